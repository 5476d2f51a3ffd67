/* SPDX-License-Identifier: Apache-2.0 */
/* What this node's agent is configured to be, by its own word: `ckptd --check-config` prints every
 * setting, with the defaults. */
#ifndef CKPT_CKPTCTL_DOCTOR_SETTINGS_H
#define CKPT_CKPTCTL_DOCTOR_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/limits.h"
#include "ckptctl/findings.h"

#define DOCTOR_TEXT_MAX 255

struct doctor_settings {
    char version[32]; /* of the ckptd that is installed; "" where there is none */
    char file[DOCTOR_TEXT_MAX + 1];
    char node[CKPT_NODE_NAME_MAX + 1];
    char coordinator[DOCTOR_TEXT_MAX + 1];
    char listen[DOCTOR_TEXT_MAX + 1];
    char socket[DOCTOR_TEXT_MAX + 1];
    char arena_directory[DOCTOR_TEXT_MAX + 1]; /* "": its default */
    uint64_t arena_bytes;
    uint64_t segment_bytes;
    char huge_pages[16]; /* auto, require, never */
    char lock[16];       /* require, try, off */
    char spec[DOCTOR_TEXT_MAX + 1];
    char devices[DOCTOR_TEXT_MAX + 1];
    char tier[DOCTOR_TEXT_MAX + 1]; /* "": none */
    char tier_endpoint[DOCTOR_TEXT_MAX + 1];
    char tier_region[DOCTOR_TEXT_MAX + 1];
};

/* ckptd's defaults, on a host of this name. */
void doctor_settings_default(struct doctor_settings *settings_out);

/* Takes what --check-config has printed, which is changed by it. */
void doctor_settings_take(struct doctor_settings *settings, char *text);

/* Asks the program, with this file (NULL: its default), and says how that went. What cannot be
 * learnt keeps its default. */
void doctor_settings_read(const char *program, const char *file, struct doctor_settings *settings,
                          struct findings *findings);

/* Asks it once more, with the command line of the agent that runs, whose flags come over its file.
 * Its environment is not seen. */
void doctor_settings_follow(const char *program, pid_t pid, struct doctor_settings *settings,
                            struct findings *findings);

#endif
