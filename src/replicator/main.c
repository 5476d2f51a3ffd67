/* SPDX-License-Identifier: Apache-2.0 */
/* ckptd-orbax-replicator: what `ckptd --compat orbax-replicator DIR` becomes. A client of this
 * node's agent, as a rank is: JAX jobs that use Orbax's multi-tier checkpointing keep their local
 * checkpoints by it, without a line of theirs changed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "config/config.h"
#include "serve.h"

#define FORM "ckptd --compat orbax-replicator DIR"

extern char **environ;

enum option { OPTION_SOCKET, OPTION_LOG_LEVEL, OPTION_COUNT };

static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

static const struct config_key keys[OPTION_COUNT] = {
    [OPTION_SOCKET] = {.section = "agent",
                       .name = "socket",
                       .flag = "socket",
                       .letter = 's',
                       .type = CONFIG_PATH,
                       .fallback_is = "$CKPT_SOCKET, else /run/ckptd/ckptd.sock",
                       .help = "of this node's agent"},
    [OPTION_LOG_LEVEL] = {.section = "log",
                          .name = "level",
                          .flag = "log-level",
                          .type = CONFIG_ENUM,
                          .fallback = "info",
                          .choices = levels,
                          .help = "what is logged: it and all before it"},
};

static const struct config_program program = {
    .name = "ckptd-orbax-replicator",
    .version = CKPT_VERSION,
    .operands = "DIR",
    .summary = "Keeps what a JAX job saves into DIR by Orbax's multi-tier checkpointing: each step "
               "goes to this node's agent, and so to another node; a job that starts again finds "
               "in DIR the newest step that is consistent.",
    .default_file = "/etc/ckptd/replicator.conf",
    .keys = keys,
    .key_count = OPTION_COUNT,
    .examples = "  " FORM "\n",
    .exit_codes = "  1  DIR cannot be opened or watched\n"
                  "  2  the command line or the configuration is wrong\n",
};

int main(int argc, char **argv)
{
    char reason[CKPT_REASON_MAX + 256];
    struct config *config = NULL;
    enum config_request request;
    enum ckpt_status status =
        config_load(&program, argc, argv, environ, &config, &request, reason, sizeof reason);
    if (status == CKPT_OK && config_answer(&program, config, request, stdout)) {
        config_delete(&config);
        return 0;
    }
    size_t count = 0;
    char *const *operands = status == CKPT_OK ? config_operands(config, &count) : NULL;
    if (status == CKPT_OK && count != 1) {
        snprintf(reason, sizeof reason, "one folder is wanted: " FORM);
        status = CKPT_ERR_CONFIG;
    }
    if (status != CKPT_OK) {
        fprintf(stderr, "ckptd-orbax-replicator: %s\n", reason);
        config_delete(&config);
        return 2;
    }
    enum log_level level = LOG_LEVEL_INFO;
    (void)log_level_from_name(config_text(config, OPTION_LOG_LEVEL), &level);
    log_set_level(level);
    log_to_stderr(log_stderr_is_journal());

    const char *path = operands[0];
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        fprintf(stderr, "ckptd-orbax-replicator: %s: %s\n", path, strerror(errno));
        config_delete(&config);
        return 1;
    }
    log_event(EVENT_ready, "folder=%s", LOG_QUOTED(path));
    serve(folder, path, config_text(config, OPTION_SOCKET));
    close(folder);
    config_delete(&config);
    return 1;
}
