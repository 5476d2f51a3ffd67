/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault_point.h"

#if CKPT_FAULT_POINTS

static char reason[4096];

static void unarmed_points_do_nothing(void **state)
{
    (void)state;
    assert_int_equal(fault_points_arm("", reason, sizeof(reason)), CKPT_OK);
    FAULT_POINT(agent_before_offer);
    assert_false(FAULT_POINT_ERROR(agent_before_offer));
}

static void error_is_true_at_the_named_pass(void **state)
{
    (void)state;
    const char *spec = "agent_before_offer=error,agent_pull_chunk=error@3";
    assert_int_equal(fault_points_arm(spec, reason, sizeof(reason)), CKPT_OK);
    for (int pass = 1; pass <= 5; pass++) {
        assert_true(FAULT_POINT_ERROR(agent_before_offer));
        assert_int_equal(FAULT_POINT_ERROR(agent_pull_chunk), pass == 3);
        assert_false(FAULT_POINT_ERROR(agent_before_zero));
    }
    /* Arming again starts counting again. */
    assert_int_equal(fault_points_arm("agent_pull_chunk=error@1", reason, sizeof(reason)), CKPT_OK);
    assert_true(FAULT_POINT_ERROR(agent_pull_chunk));
    assert_false(FAULT_POINT_ERROR(agent_before_offer));
}

static int status_of_child_at(const char *action, int options)
{
    char spec[100];
    int status = 0;
    snprintf(spec, sizeof(spec), "agent_before_offer=%s", action);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (fault_points_arm(spec, reason, sizeof(reason)) != CKPT_OK) {
            _exit(3);
        }
        FAULT_POINT(agent_before_offer);
        _exit(7);
    }
    assert_int_equal(waitpid(child, &status, options), child);
    if (WIFSTOPPED(status)) {
        kill(child, SIGCONT);
        int end = 0;
        assert_int_equal(waitpid(child, &end, 0), child);
        assert_true(WIFEXITED(end) && WEXITSTATUS(end) == 7);
    }
    return status;
}

static void crash_and_stop_are_real_signals(void **state)
{
    (void)state;
    int status = status_of_child_at("crash", 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    status = status_of_child_at("stop", WUNTRACED);
    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    status = status_of_child_at("crash@2", 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void sleep_waits_at_least_so_long(void **state)
{
    (void)state;
    struct timespec start;
    struct timespec end;
    assert_int_equal(fault_points_arm("agent_before_zero=sleep:30", reason, sizeof(reason)),
                     CKPT_OK);
    clock_gettime(CLOCK_MONOTONIC, &start);
    assert_false(FAULT_POINT_ERROR(agent_before_zero));
    clock_gettime(CLOCK_MONOTONIC, &end);
    int64_t ns = (end.tv_sec - start.tv_sec) * INT64_C(1000000000) + end.tv_nsec - start.tv_nsec;
    assert_true(ns >= 30 * 1000000);
}

static void bad_lists_arm_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "agent_before_offer",
        "agent_before_offer=",
        "agent_before_offer=explode",
        "agent_before_offer=none",
        "agent_before_offer=sleep",
        "agent_before_offer=sleep:",
        "agent_before_offer=sleep:1x",
        "agent_before_offer=sleep:99999999999999999999999",
        "agent_before_offer=crash:1",
        "agent_before_offer=error@",
        "agent_before_offer=error@0",
        "agent_before_offer=error@-1",
        "agent_before_offer=error,",
        "agent_before_offer=error,agent_before_offer=error",
        ",",
        "=error",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        reason[0] = '\0';
        if (fault_points_arm(bad[i], reason, sizeof(reason)) != CKPT_ERR_CONFIG) {
            fail_msg("'%s' accepted", bad[i]);
        }
        assert_true(strlen(reason) > 20);
        assert_false(FAULT_POINT_ERROR(agent_before_offer));
    }
}

static void an_unknown_name_lists_the_known_ones(void **state)
{
    (void)state;
    enum ckpt_status status = fault_points_arm("agent_before_ofer=crash", reason, sizeof(reason));
    assert_int_equal(status, CKPT_ERR_CONFIG);
    assert_non_null(strstr(reason, "'agent_before_ofer', did you mean 'agent_before_offer'?"));
    for (int i = 0; i < FAULT_POINT_COUNT; i++) {
        assert_non_null(strstr(reason, fault_point_name((enum fault_point)i)));
    }
    char small[40];
    fault_points_arm("agent_before_ofer=crash", small, sizeof(small));
    assert_int_equal(strlen(small), sizeof(small) - 1);
}

static void the_environment_arms(void **state)
{
    (void)state;
    unsetenv("CKPT_FAULT");
    assert_int_equal(fault_points_arm_from_environment(reason, sizeof(reason)), CKPT_OK);
    setenv("CKPT_FAULT", "agent_before_zero=error", 1);
    assert_int_equal(fault_points_arm_from_environment(reason, sizeof(reason)), CKPT_OK);
    assert_true(FAULT_POINT_ERROR(agent_before_zero));
    setenv("CKPT_FAULT", "nonsense", 1);
    assert_int_equal(fault_points_arm_from_environment(reason, sizeof(reason)), CKPT_ERR_CONFIG);
}

static void every_point_says_where_it_stands(void **state)
{
    (void)state;
    for (int i = 0; i < FAULT_POINT_COUNT; i++) {
        enum fault_point point = (enum fault_point)i;
        assert_true(strlen(fault_point_name(point)) > 0);
        assert_true(strlen(fault_point_program(point)) > 0);
        assert_true(strlen(fault_point_place(point)) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unarmed_points_do_nothing),
        cmocka_unit_test(error_is_true_at_the_named_pass),
        cmocka_unit_test(crash_and_stop_are_real_signals),
        cmocka_unit_test(sleep_waits_at_least_so_long),
        cmocka_unit_test(bad_lists_arm_nothing),
        cmocka_unit_test(an_unknown_name_lists_the_known_ones),
        cmocka_unit_test(the_environment_arms),
        cmocka_unit_test(every_point_says_where_it_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    puts("skipped: this build has no fault points");
    return 77;
}

#endif
