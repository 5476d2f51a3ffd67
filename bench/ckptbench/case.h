/* SPDX-License-Identifier: Apache-2.0 */
/* The cases of ckptbench. A case is a file with its own flags, which makes its own report. */
#ifndef CKPTBENCH_CASE_H
#define CKPTBENCH_CASE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

enum bench_exit {
    BENCH_OK = 0,
    BENCH_FAILED = 1, /* something could not be measured, a digest was wrong, a target was missed */
    BENCH_USAGE = 2,
};

struct bench_case {
    const char *name;
    const char *summary; /* NULL: not for people, not in the page of --help */
    const struct config_program *program;
    /* Its steps, upon `bytes` of zeroed memory. */
    size_t bytes;
    enum ckpt_status (*prepare)(const struct config *config, void *work, char *reason);
    enum ckpt_status (*measure)(void *work, char *reason);
    bool (*tell)(void *work, const struct config *config); /* false: it was said why not */
    void (*close)(void *work);                             /* also after a step that failed */
    /* In place of the steps, for what has others. */
    enum bench_exit (*run)(int argc, char **argv);
};

extern const struct bench_case case_cycle;
extern const struct bench_case case_digest;
extern const struct bench_case case_drain;
extern const struct bench_case case_fanout;
extern const struct bench_case case_kernels;
extern const struct bench_case case_plot;
extern const struct bench_case case_rails;
extern const struct bench_case case_raw;
extern const struct bench_case case_register;
extern const struct bench_case case_scale;
extern const struct bench_case case_serve;
extern const struct bench_case case_source;

/* Runs a case; argv[0] is its name. */
enum bench_exit case_run(const struct bench_case *bench, int argc, char **argv);

/* Loads a case's flags. False: there is nothing to run, and *exit_out says how the program ends;
 * errors have been printed. The config is the caller's to config_delete. */
bool case_options(const struct config_program *program, int argc, char **argv,
                  struct config **config_out, enum bench_exit *exit_out);

/* Says why a case failed, and how the program ends by it: a wrong request (CKPT_ERR_CONFIG) as a
 * wrong command line. reason may be "". */
enum bench_exit case_fail(const char *name, enum ckpt_status status, const char *reason);

#endif
