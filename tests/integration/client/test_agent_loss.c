/* SPDX-License-Identifier: Apache-2.0 */
/* libckpt and a real agent that is stopped, killed and started again, and a trainer that dies in
 * the middle of a save. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault_point.h"
#include "integration/client/nodes.h"

#define STATE_BYTES (3 << 20)
#define LONG_MS 30000

static uint8_t bytes[STATE_BYTES];

static void is(struct ckpt *ckpt, enum ckpt_status status, enum ckpt_status wanted)
{
    if (status != wanted) {
        fail_msg("%s (%s) instead of %s", ckpt_status_name(status), ckpt_reason(ckpt),
                 ckpt_status_name(wanted));
    }
}

static void save(struct ckpt *ckpt, uint64_t step, enum ckpt_status wanted)
{
    memset(bytes, (int)step, sizeof(bytes));
    is(ckpt, ckpt_save_bytes(ckpt, step, bytes, sizeof(bytes)), wanted);
}

static void check_load(const struct nodes *nodes, uint32_t node, const char *run, uint32_t attempt,
                       uint64_t step)
{
    struct ckpt *ckpt = nodes_open(nodes, node, run, attempt, LONG_MS);
    struct ckpt_shard shard;
    struct ckpt_tensor tensor;
    is(ckpt, ckpt_load(ckpt, CKPT_STEP_LATEST, LONG_MS, &shard), CKPT_OK);
    assert_int_equal(shard.step, step);
    memset(bytes, (int)step, sizeof(bytes));
    assert_int_equal(ckpt_find(&shard, "bytes", &tensor), CKPT_OK);
    assert_int_equal(tensor.bytes, sizeof(bytes));
    assert_memory_equal(tensor.data, bytes, sizeof(bytes));
    ckpt_close(&ckpt);
}

/* An agent that is stopped costs a status within the bound; when it goes on, so do saves. */
static void test_stopped(void **state)
{
    const struct nodes *nodes = *state;
    struct ckpt *ckpt = nodes_open(nodes, 0, "stopped", 1, LONG_MS);
    struct ckpt *impatient = nodes_open(nodes, 0, "impatient", 1, 300);
    save(ckpt, 1, CKPT_OK);
    is(ckpt, ckpt_wait(ckpt, 1, LONG_MS), CKPT_OK);
    process_signal(&nodes->agents[0], SIGSTOP);
    save(impatient, 1, CKPT_ERR_NO_AGENT);
    save(impatient, 2, CKPT_ERR_NO_AGENT);
    is(impatient, ckpt_wait(impatient, 2, 0), CKPT_ERR_NOT_FOUND);
    process_signal(&nodes->agents[0], SIGCONT);
    save(ckpt, 2, CKPT_OK);
    is(ckpt, ckpt_wait(ckpt, 2, LONG_MS), CKPT_OK);
    enum ckpt_status status = CKPT_ERR_NO_AGENT;
    for (uint64_t step = 3; step < 100 && status == CKPT_ERR_NO_AGENT; step++) {
        status = ckpt_save_bytes(impatient, step, bytes, sizeof(bytes));
    }
    is(impatient, status, CKPT_OK);
    ckpt_close(&impatient);
    ckpt_close(&ckpt);
    check_load(nodes, 0, "stopped", 2, 2);
}

/* One that is killed is missed, and found again when it is back, with what was staged in it. */
static void test_killed(void **state)
{
    struct nodes *nodes = *state;
    struct ckpt *ckpt = nodes_open(nodes, 0, "killed", 1, LONG_MS);
    save(ckpt, 1, CKPT_OK);
    is(ckpt, ckpt_wait(ckpt, 1, LONG_MS), CKPT_OK);
    process_kill(&nodes->agents[0]);
    save(ckpt, 2, CKPT_ERR_NO_AGENT);
    nodes_start_agent(nodes, 0);
    save(ckpt, 2, CKPT_OK);
    is(ckpt, ckpt_wait(ckpt, 2, LONG_MS), CKPT_OK);
    save(ckpt, 3, CKPT_OK);
    process_kill(&nodes->agents[0]);
    nodes_start_agent(nodes, 0);
    /* Sealed or not when it was killed: a later step becomes consistent, and 3 is told of. */
    save(ckpt, 4, CKPT_OK);
    is(ckpt, ckpt_wait(ckpt, 4, LONG_MS), CKPT_OK);
    ckpt_close(&ckpt);
    check_load(nodes, 1, "killed", 2, 4);
}

/* A trainer killed at each point of a save: nothing is staged or all is, and the next goes on. */
static void test_trainer_killed(void **state)
{
    const struct nodes *nodes = *state;
    static const char *const points[] = {
        "client_save_before_copy=crash@2",
        "client_save_mid_copy=crash@2",
        "client_save_before_seal=crash@2",
        "client_save_after_seal=crash@2",
    };
    uint32_t attempt = 1;
    for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++, attempt += 2) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            char reason[256];
            struct ckpt *ckpt = nodes_open(nodes, 0, "mortal", attempt, LONG_MS);
            bool good = fault_points_arm(points[i], reason, sizeof(reason)) == CKPT_OK &&
                        ckpt_save_bytes(ckpt, 10 * attempt, bytes, sizeof(bytes)) == CKPT_OK &&
                        ckpt_wait(ckpt, 10 * attempt, LONG_MS) == CKPT_OK;
            if (good) {
                (void)ckpt_save_bytes(ckpt, 10 * attempt + 1, bytes, sizeof(bytes));
            }
            _exit(1); /* it should have been killed */
        }
        int how;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
        struct ckpt *ckpt = nodes_open(nodes, 0, "mortal", attempt + 1, LONG_MS);
        save(ckpt, 10 * attempt + 5, CKPT_OK);
        is(ckpt, ckpt_wait(ckpt, 10 * attempt + 5, LONG_MS), CKPT_OK);
        ckpt_close(&ckpt);
    }
    check_load(nodes, 1, "mortal", attempt, 10 * (attempt - 2) + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stopped, nodes_start, nodes_stop),
        cmocka_unit_test_setup_teardown(test_killed, nodes_start, nodes_stop),
        cmocka_unit_test_setup_teardown(test_trainer_killed, nodes_start, nodes_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
