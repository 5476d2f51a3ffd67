/* SPDX-License-Identifier: Apache-2.0 */
/* The command line as a table: the options of every verb, [slurm] of the file, and behind them the
 * options that a verb brings. */
#ifndef CKPT_CKPTCTL_OPTIONS_H
#define CKPT_CKPTCTL_OPTIONS_H

#include "ckptctl/ctl.h"

/* Entries of a verb's table that several have, so that they are called and bounded alike. A flag
 * takes a value in every verb that has it, or in none. */
#define OPTION_SWITCH(word, what)                                                                  \
    {                                                                                              \
        .name = (word), .flag = (word), .type = CONFIG_BOOL, .help = (what)                        \
    }

#define OPTION_TIMEOUT(default_, what)                                                             \
    {                                                                                              \
        .name = "timeout", .flag = "timeout", .letter = 't', .type = CONFIG_DURATION,              \
        .fallback = (default_), .max = 7 * 24 * 3600 * 1000, .help = (what)                        \
    }

/* For a verb that shows what is now. main.c does it, for every verb that has it. */
#define OPTION_WATCH                                                                               \
    {                                                                                              \
        .name = "watch", .flag = "watch", .type = CONFIG_INTEGER, .min = 1, .max = 86400,          \
        .implied = "2", .placeholder = "SECONDS",                                                  \
        .help = "again and again, each 2 s or SECONDS, until Ctrl-C"                               \
    }

#define OPTION_ATTEMPT(what)                                                                       \
    {                                                                                              \
        .name = "attempt", .flag = "attempt", .type = CONFIG_INTEGER, .min = 1, .max = UINT32_MAX, \
        .help = (what)                                                                             \
    }

/* An option of the verb that runs, by its place in verb.keys; as config_flag and so on. */
bool option_flag(const struct ctl *ctl, size_t option);
bool option_is_set(const struct ctl *ctl, size_t option);
uint64_t option_number(const struct ctl *ctl, size_t option);
const char *option_text(const struct ctl *ctl, size_t option);

#define OPTIONS_MAX 64

struct options {
    struct config_program program; /* of the keys below */
    struct config_key keys[OPTIONS_MAX];
    size_t first; /* of the verb's own */
};

/* The table of a verb; NULL: of no verb. Lives as long as the program. */
const struct options *options_of(const struct verb *verb);

/* The table of all verbs, in which one can be looked for on a command line. */
const struct options *options_of_all(void);

/* Complains of a flag that another verb has and this one does not. */
enum exit_code options_check(const struct verb *verb, int argc, char **argv);

/* The seconds of --watch; 0 where the verb has none, or was not told to. */
uint32_t options_watch(const struct options *options, const struct config *config);

/* What every verb is told; false after a complaint. */
bool options_read(const struct options *options, const struct config *config, struct ctl *ctl);

/* What --check-config refuses beside what the table does, with a complaint: verbs that ask nobody
 * do not mind. */
enum exit_code options_check_values(const struct config *config);

/* The script that completes command lines, for CONFIG_BASH or CONFIG_ZSH. */
void options_print_completions(enum config_request shell, FILE *out);

/* The page of a verb, and of all (NULL). */
void options_print_help(const struct verb *verb, FILE *out);

#endif
