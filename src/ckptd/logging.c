/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/logging.h"

#include "base/log.h"

static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

static const struct config_key keys[LOGGING_KEYS] = {
    [LOGGING_LEVEL] = {.section = "log",
                       .name = "level",
                       .flag = "log-level",
                       .type = CONFIG_ENUM,
                       .choices = levels,
                       .fallback = "info",
                       .help = "the least important lines that are logged"},
};

void logging_begin(const struct config *config)
{
    enum log_level level = LOG_LEVEL_INFO;
    (void)log_level_from_name(part_text(config, &part_logging, LOGGING_LEVEL), &level);
    log_set_level(level);
    log_to_stderr(log_stderr_is_journal());
}

struct part part_logging = {.keys = keys, .key_count = LOGGING_KEYS};
