/* SPDX-License-Identifier: Apache-2.0 */
/* ckptctl: what its verbs share. A verb is one file, verb_<name>.c. */
#ifndef CKPT_CKPTCTL_CTL_H
#define CKPT_CKPTCTL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "ckptctl/hook_settings.h"
#include "wire/message.h"

/* Exit codes; the help page and docs/ckptctl.md say the same. */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_NO = 1,     /* refused, failed, not found, differs, or not in time */
    EXIT_USAGE = 2,  /* the command line or the configuration is wrong */
    EXIT_NOBODY = 3, /* no coordinator, or no agent, answers */
    EXIT_SHORT = 4,  /* consistent, but with fewer copies than were asked for */
};

struct link;

struct ctl {
    const char *coordinator;  /* address */
    const char *agent_socket; /* NULL: libckpt's default */
    bool json;
    bool color;
    uint32_t user; /* whose runs; CKPT_UID_ANY: the caller's, or for root whoever's */
    struct hook_settings hook;
    const struct config *config;
    size_t first_option;   /* where the verb's own begin in config */
    char *const *operands; /* behind the verb */
    size_t operand_count;
    struct link *link; /* to the coordinator; NULL until first used */
};

struct verb {
    const char *name;
    const char *operands;          /* "RUN STEP"; "" for none */
    const char *summary;           /* one line */
    const char *help;              /* lines as printed */
    const struct config_key *keys; /* that not every verb has; option_...() read them */
    size_t key_count;
    size_t operands_min;
    size_t operands_max;
    enum exit_code (*run)(struct ctl *ctl);
};

/* One line to standard error, after "ckptctl: ". Returns code. */
enum exit_code complain(enum exit_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* An operand as a step: a number or "latest". False, with a complaint, when it is neither. */
bool parse_step(const char *text, uint64_t *step_out);
bool parse_number(const char *what, const char *text, uint32_t max, uint32_t *number_out);

/* The name of the run among the operands into an ask; false, with a complaint, when it is no name.
 * */
bool name_run(const struct ctl *ctl, const char *text, struct message_admin_ask *ask);

#endif
