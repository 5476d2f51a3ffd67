/* SPDX-License-Identifier: Apache-2.0 */
/* From a hook's environment to a run and its attempt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "slurm/job.h"

struct variable {
    const char *name;
    const char *value;
};

/* What slurmd 22.05.8 gives; a test changes some. */
static struct variable variables[8];

static const char *get(const char *name, void *context)
{
    (void)context;
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        if (variables[i].name != NULL && strcmp(variables[i].name, name) == 0) {
            return variables[i].value;
        }
    }
    return NULL;
}

static void set(const char *name, const char *value)
{
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        if (variables[i].name == NULL || strcmp(variables[i].name, name) == 0) {
            variables[i] = (struct variable){name, value};
            return;
        }
    }
    fail();
}

static int start(void **state)
{
    (void)state;
    memset(variables, 0, sizeof(variables));
    set("SLURM_JOB_ID", "4711");
    set("SLURM_JOB_UID", "1000");
    set("SLURM_CLUSTER_NAME", "alps");
    set("SLURM_JOB_RESTART_COUNT", "0");
    return 0;
}

static struct slurm_job job;
static char reason[CKPT_REASON_MAX + 1];

static enum ckpt_status read_job(void)
{
    memset(&job, 0xa5, sizeof(job));
    reason[0] = '\0';
    return slurm_job_read(get, NULL, &job, reason);
}

static void a_job_is_its_own_run(void **state)
{
    (void)state;
    assert_int_equal(read_job(), CKPT_OK);
    assert_string_equal(job.name, "alps/4711");
    assert_string_equal(job.run.name, "slurm/alps/4711");
    assert_int_equal(job.run.uid, 1000);
    assert_int_equal(job.start, 1);
    assert_true(job.requeueable);
    assert_false(job.is_marked);
    assert_false(job.has_linger);
    set("SLURM_JOB_RESTART_COUNT", "70");
    assert_int_equal(read_job(), CKPT_OK);
    assert_string_equal(job.run.name, "slurm/alps/4711");
    assert_int_equal(job.start, 71);
}

/* Hooks have the component's number and the leader's, tasks the leader's alone. */
static void a_heterogeneous_job_is_its_leaders(void **state)
{
    (void)state;
    set("SLURM_HET_JOB_ID", "4710");
    assert_int_equal(read_job(), CKPT_OK);
    assert_string_equal(job.name, "alps/4710");
    assert_string_equal(job.run.name, "slurm/alps/4710");
    set("SLURM_HET_JOB_ID", "4710+1");
    assert_int_equal(read_job(), CKPT_ERR_INVALID);
    assert_non_null(strstr(reason, "SLURM_HET_JOB_ID is '4710+1'"));
}

static void when_it_started_is_a_hint(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        uint64_t started_s;
    } rows[] = {{NULL, 0}, {"1795984503", 1795984503}, {"Unknown", 0}, {"", 0}, {"-1", 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].value != NULL) {
            set("SLURM_JOB_START_TIME", rows[i].value);
        }
        assert_int_equal(read_job(), CKPT_OK);
        assert_int_equal(job.started_s, rows[i].started_s);
    }
}

static void a_comment_names_more(void **state)
{
    (void)state;
    set("SLURM_JOB_COMMENT", "project 7; ckpt:run=team/llama,linger=90,no-requeue");
    set("SLURM_JOB_RESTART_COUNT", "2");
    assert_int_equal(read_job(), CKPT_OK);
    assert_string_equal(job.run.name, "team/llama");
    assert_int_equal(job.start, 3);
    assert_int_equal(job.linger_ms, 90000);
    assert_true(job.has_linger && job.is_marked && !job.requeueable);
    set("SLURM_JOB_COMMENT", "ckpt:after=12");
    assert_int_equal(read_job(), CKPT_OK);
    assert_string_equal(job.run.name, "slurm/alps/12");
    assert_int_equal(job.start, 3);
    set("SLURM_JOB_COMMENT", "ckpt");
    assert_int_equal(read_job(), CKPT_OK);
    assert_true(job.is_marked);
    assert_string_equal(job.run.name, "slurm/alps/4711");
    set("SLURM_JOB_COMMENT", "checkpoints, ckpts and so on");
    assert_int_equal(read_job(), CKPT_OK);
    assert_false(job.is_marked);
}

static void srun_options_go_first(void **state)
{
    (void)state;
    set("SLURM_JOB_COMMENT", "ckpt:run=other");
    set("SPANK_CKPT", "0");
    set("SPANK_CKPT_RUN", "mine");
    assert_int_equal(read_job(), CKPT_OK);
    assert_string_equal(job.run.name, "mine");
    assert_true(job.is_marked);
}

/* Starts are of their job, whatever the run: the 64th requeue is no other job's. */
static void starts_are_counted_for_each_job(void **state)
{
    (void)state;
    set("SLURM_JOB_COMMENT", "ckpt:run=r");
    set("SLURM_JOB_RESTART_COUNT", "64");
    assert_int_equal(read_job(), CKPT_OK);
    assert_int_equal(job.start, 65);
    set("SLURM_JOB_ID", "67108863");
    set("SLURM_JOB_RESTART_COUNT", "2147483647");
    assert_int_equal(read_job(), CKPT_OK);
    assert_int_equal(job.start, UINT32_C(2147483648));
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *value;
        enum ckpt_status status;
        const char *word;
    } wrongs[] = {
        {"SLURM_JOB_ID", "x", CKPT_ERR_INVALID, "SLURM_JOB_ID"},
        {"SLURM_JOB_ID", "", CKPT_ERR_NOT_FOUND, "SLURM_JOB_ID"},
        {"SLURM_JOB_ID", "99999999999999999999", CKPT_ERR_INVALID, "SLURM_JOB_ID"},
        {"SLURM_JOB_UID", "-1", CKPT_ERR_INVALID, "SLURM_JOB_UID"},
        {"SLURM_JOB_UID", "4294967295", CKPT_ERR_INVALID, "SLURM_JOB_UID"},
        {"SLURM_CLUSTER_NAME", "a/b", CKPT_ERR_NAME, "SLURM_CLUSTER_NAME"},
        {"SLURM_CLUSTER_NAME", "", CKPT_ERR_NAME, "SLURM_CLUSTER_NAME"},
        {"SLURM_JOB_RESTART_COUNT", "1x", CKPT_ERR_INVALID, "RESTART_COUNT"},
        {"SLURM_JOB_COMMENT", "ckpt:kopies=2", CKPT_ERR_INVALID, "kopies"},
        {"SLURM_JOB_COMMENT", "ckpt:after=0", CKPT_ERR_INVALID, "after"},
        {"SLURM_JOB_COMMENT", "ckpt:linger=9999999999", CKPT_ERR_INVALID, "linger"},
        {"SLURM_JOB_COMMENT", "ckpt:run=../etc", CKPT_ERR_NAME, "../etc"},
        {"SPANK_CKPT_RUN", "a b", CKPT_ERR_NAME, "a b"},
    };
    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        start(NULL);
        set(wrongs[i].name, wrongs[i].value);
        if (wrongs[i].value[0] == '\0' && wrongs[i].status == CKPT_ERR_NOT_FOUND) {
            variables[0].value = NULL;
        }
        assert_int_equal(read_job(), wrongs[i].status);
        assert_non_null(strstr(reason, wrongs[i].word));
        assert_int_equal(((unsigned char *)&job)[0], 0xa5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_job_is_its_own_run, start),
        cmocka_unit_test_setup(a_heterogeneous_job_is_its_leaders, start),
        cmocka_unit_test_setup(when_it_started_is_a_hint, start),
        cmocka_unit_test_setup(a_comment_names_more, start),
        cmocka_unit_test_setup(srun_options_go_first, start),
        cmocka_unit_test_setup(starts_are_counted_for_each_job, start),
        cmocka_unit_test_setup(what_is_wrong_is_named, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
