/* SPDX-License-Identifier: Apache-2.0 */
/* What every case begins and may end with, and the steps of most. */
#include "case.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "process/complain.h"
#include "report/busy.h"

enum bench_exit case_fail(const char *name, enum ckpt_status status, const char *reason)
{
    complain("%s: %s", name, reason[0] != '\0' ? reason : ckpt_status_text(status));
    return status == CKPT_ERR_CONFIG ? BENCH_USAGE : BENCH_FAILED;
}

static void tell_stranger(void *context, const char *line)
{
    (void)context;
    complain("%s", line);
}

bool case_options(const struct config_program *program, int argc, char **argv,
                  struct config **config_out, enum bench_exit *exit_out)
{
    char reason[CONFIG_TEXT_MAX];
    char *no_environment[] = {NULL};
    enum config_request request;
    struct config *config = NULL;
    if (config_load(program, argc, argv, no_environment, &config, &request, reason,
                    sizeof(reason)) != CKPT_OK) {
        complain("%s: %s (ckptbench %s --help lists the flags)", argv[0], reason, argv[0]);
        *exit_out = BENCH_USAGE;
        return false;
    }
    if (config) {
        config_tell_strangers(config, environ, tell_stranger, NULL);
    }
    if (config_answer(program, config, request, stdout)) {
        config_delete(&config);
        *exit_out = BENCH_OK;
        return false;
    }
    *config_out = config;
    return true;
}

static enum bench_exit run_steps(const struct bench_case *bench, const struct config *config,
                                 void *work)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    enum ckpt_status status = bench->prepare(config, work, reason);
    if (status == CKPT_OK) {
        status = bench->measure(work, reason);
    }
    if (status != CKPT_OK) {
        return case_fail(bench->name, status, reason);
    }
    return bench->tell(work, config) ? BENCH_OK : BENCH_FAILED;
}

enum bench_exit case_run(const struct bench_case *bench, int argc, char **argv)
{
    struct config *config;
    enum bench_exit code;
    if (bench->run != NULL) {
        return bench->run(argc, argv);
    }
    if (!case_options(bench->program, argc, argv, &config, &code)) {
        return code;
    }
    busy_begin();
    void *work = calloc(1, bench->bytes);
    if (work == NULL) {
        code = case_fail(bench->name, CKPT_ERR_MEMORY, "");
    } else {
        code = run_steps(bench, config, work);
        bench->close(work);
    }
    free(work);
    config_delete(&config);
    return code;
}
