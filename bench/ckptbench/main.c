/* SPDX-License-Identifier: Apache-2.0 */
/* ckptbench: picks the case. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/nearest.h"
#include "process/belongings.h"
#include "case.h"
#include "process/complain.h"
#include "process/progress.h"
#include "transport/transport.h"

static const struct bench_case *const cases[] = {
    &case_cycle, &case_raw,   &case_serve,  &case_rails,   &case_register, &case_digest,
    &case_drain, &case_scale, &case_fanout, &case_kernels, &case_plot,     &case_source,
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

static void print_help(void)
{
    puts("Usage: ckptbench CASE [OPTION]...\n\n"
         "Measures a checkpoint path. Each ratio is formed from measurements made in turn, in\n"
         "one run on one machine; medians are shown with the least and the greatest.\n\n"
         "Cases (ckptbench help CASE says more):");
    for (size_t i = 0; i < CASES; i++) {
        if (cases[i]->summary != NULL) {
            printf("  %-8s %s\n", cases[i]->name, cases[i]->summary);
        }
    }
    puts("\nOptions:\n"
         "  -h, --help      print this page, exit; after a case: the case's own page\n"
         "  -V, --version   print the version, exit\n\n"
         "Examples:\n"
         "  ckptbench cycle --bytes=1GiB --json=cycle.json\n"
         "  ckptbench cycle --check\n"
         "  ckptbench raw --sweep --json=raw.json && ckptbench plot raw.json -o raw.svg\n"
         "  ckptbench serve                    on one node, and on another\n"
         "  ckptbench raw --connect=node7 --transport=verbs --sweep\n\n"
         "Exit status:\n"
         "  0  measured\n"
         "  1  a run failed, or with --check a target was missed\n"
         "  2  the command line is wrong");
}

/* True: it was asked for, and printed. */
static bool print_completions(const char *flag)
{
    struct config_command commands[CASES + 1];
    struct config_program program = {.name = "ckptbench", .commands = commands};
    bool zsh = strcmp(flag, "--completions=zsh") == 0;
    if (!zsh && strcmp(flag, "--completions=bash") != 0) {
        return false;
    }
    for (size_t i = 0; i < CASES; i++) {
        const struct config_program *known = cases[i]->program;
        if (cases[i]->summary != NULL) {
            commands[program.command_count++] =
                (struct config_command){.name = cases[i]->name,
                                        .summary = cases[i]->summary,
                                        .operands = known->operands,
                                        .keys = known->keys,
                                        .key_count = known->key_count};
        }
    }
    commands[program.command_count++] = (struct config_command){
        .name = "help", .summary = "the page of a case", .operands = "[CASE]"};
    return config_answer(&program, NULL, zsh ? CONFIG_ZSH : CONFIG_BASH, stdout);
}

static const struct bench_case *find(const char *name)
{
    for (size_t i = 0; i < CASES; i++) {
        if (strcmp(cases[i]->name, name) == 0) {
            return cases[i];
        }
    }
    return NULL;
}

static enum bench_exit refuse(const char *name)
{
    const char *names[CASES];
    size_t count = 0;
    for (size_t i = 0; i < CASES; i++) {
        if (cases[i]->summary != NULL) {
            names[count++] = cases[i]->name;
        }
    }
    const char *nearest = nearest_name(name, names, count);
    complain("unknown case %s%s%s%s (ckptbench --help lists the cases)", LOG_QUOTED(name),
             nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "",
             nearest != NULL ? "?" : "");
    return BENCH_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        complain("which case? (ckptbench --help lists them)");
        return BENCH_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        (argc == 2 && strcmp(argv[1], "help") == 0)) {
        print_help();
        return BENCH_OK;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("ckptbench %s, UCX %s\n", CKPT_VERSION, transport_ucx_version());
        return BENCH_OK;
    }
    if (print_completions(argv[1])) {
        return BENCH_OK;
    }
    char flag[] = "--help";
    char *page[] = {argv[0], argc > 2 ? argv[2] : NULL, flag, NULL};
    if (strcmp(argv[1], "help") == 0) { /* "help CASE" is "CASE --help" */
        argv = page;
        argc = 3;
    }
    const struct bench_case *chosen = find(argv[1]);
    if (chosen == NULL) {
        return (int)refuse(argv[1]);
    }
    if (!belongings_guard()) {
        complain("cannot start a thread");
        return BENCH_FAILED;
    }
    enum bench_exit code = case_run(chosen, argc - 1, argv + 1);
    progress_clear();
    belongings_end();
    return (int)code;
}
