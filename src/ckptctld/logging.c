/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/logging.h"

static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const formats[] = {"auto", "journal", "time", NULL};

static const struct config_key keys[LOGGING_KEYS] = {
    [LOGGING_LEVEL] = {.section = "log",
                       .name = "level",
                       .type = CONFIG_ENUM,
                       .choices = levels,
                       .fallback = "info",
                       .help = "how much is logged, to standard error"},
    [LOGGING_FORMAT] = {.section = "log",
                        .name = "format",
                        .type = CONFIG_ENUM,
                        .choices = formats,
                        .fallback = "auto",
                        .help = "auto sees whether the journal listens"},
};

void logging_begin(const struct options *options)
{
    log_set_level(options->log_level);
    log_to_stderr(options->log_format == LOG_FORMAT_JOURNAL ||
                  (options->log_format == LOG_FORMAT_AUTO && log_stderr_is_journal()));
}

struct part part_logging = {.keys = keys, .key_count = LOGGING_KEYS};
