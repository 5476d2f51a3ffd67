/* SPDX-License-Identifier: Apache-2.0 */
/* ckptctl: what its verbs share. A verb is one file, verb_<name>.c. */
#ifndef CKPT_CKPTCTL_CTL_H
#define CKPT_CKPTCTL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/message.h"

/* Exit codes; the help page and docs/ckptctl.md say the same. */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_NO = 1,     /* refused, failed, not found, differs, or not in time */
    EXIT_USAGE = 2,  /* the command line or the configuration is wrong */
    EXIT_NOBODY = 3, /* no coordinator, or no agent, answers */
};

struct link;

/* [slurm] of the configuration: how the hooks behave. */
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

struct ctl {
    const char *coordinator;  /* address */
    const char *agent_socket; /* NULL: libckpt's default */
    bool json;
    bool color;
    uint32_t user;       /* whose runs; CKPT_UID_ANY: the caller's, or for root whoever's */
    uint32_t timeout_ms; /* of what a verb waits for */
    bool has_timeout;    /* it was given */
    bool newer;
    bool wait;
    uint32_t copies;   /* 0: the agent's default */
    uint32_t attempt;  /* 0: not given */
    const char *xml;   /* a recorded machine; NULL: this one */
    const char *rails; /* an override; NULL: none */
    bool final;        /* job end: nobody wants its checkpoints any more */
    bool opaque;       /* import: also as bytes what should be safetensors */
    bool print;        /* slurm install: only show */
    const char *file;  /* the configuration file; NULL: the default one */
    struct hook_settings hook;
    char *const *operands; /* behind the verb */
    size_t operand_count;
    struct link *link; /* to the coordinator; NULL until first used */
};

/* The flags that not every verb takes; bits of verb.flags. */
enum flag {
    FLAG_TIMEOUT = 1,
    FLAG_NEWER = 2,
    FLAG_WAIT = 4,
    FLAG_COPIES = 8,
    FLAG_ATTEMPT = 16,
    FLAG_TOPOLOGY = 32, /* --xml and --rails */
    FLAG_FINAL = 64,
    FLAG_PRINT = 128,
    FLAG_OPAQUE = 256,
};

struct verb {
    const char *name;
    const char *operands; /* "RUN STEP"; "" for none */
    const char *summary;  /* one line */
    const char *help;     /* lines as printed */
    unsigned flags;
    size_t operands_min;
    size_t operands_max;
    enum exit_code (*run)(struct ctl *ctl);
};

extern const struct verb verb_status, verb_nodes, verb_runs, verb_list, verb_show, verb_placement,
    verb_wait, verb_verify, verb_retire, verb_mark, verb_export, verb_import, verb_topology,
    verb_job, verb_slurm;

/* One line to standard error, after "ckptctl: ". Returns code. */
enum exit_code complain(enum exit_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* An operand as a step: a number or "latest". False, with a complaint, when it is neither. */
bool parse_step(const char *text, uint64_t *step_out);
bool parse_number(const char *what, const char *text, uint32_t max, uint32_t *number_out);

/* The name of the run among the operands into an ask; false, with a complaint, when it is no name.
 * */
bool name_run(const struct ctl *ctl, const char *text, struct message_admin_ask *ask);

/* Monotonic milliseconds, and a pause. */
uint64_t now_ms(void);
void pause_ms(uint32_t ms);

#endif
