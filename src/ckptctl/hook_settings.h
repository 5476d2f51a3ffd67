/* SPDX-License-Identifier: Apache-2.0 */
/* [slurm] of the configuration: how the hooks behave. A file may have it whichever verb reads the
 * file. */
#ifndef CKPT_CKPTCTL_HOOK_SETTINGS_H
#define CKPT_CKPTCTL_HOOK_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

struct hook_settings {
    bool starts_agent; /* mode = per-job */
    bool may_fail;     /* on_failure = fail */
    bool marked_only;  /* jobs = marked */
    uint32_t timeout_ms;
    uint32_t start_timeout_ms;
    uint64_t linger_ms;
    uint64_t idle_exit_ms;
    const char *agent;        /* the program */
    const char *agent_config; /* its file; NULL: its default */
    const char *agent_user;   /* NULL: the hook's own */
    const char *agent_log;
    const char *hooks; /* the directory that holds prolog.d and so on */
};

#define HOOK_KEYS 12
extern const struct config_key hook_keys[HOOK_KEYS];

/* Their values; hook_keys are at `first` of the config's table. */
struct hook_settings hook_settings_read(const struct config *config, size_t first);

#endif
