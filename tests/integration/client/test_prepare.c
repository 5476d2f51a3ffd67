/* SPDX-License-Identifier: Apache-2.0 */
/* First saves on real daemons, by the page faults that they meet: none where their memory was
 * prepared, also by opening where the rank was before, and all is well where the agent forgot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "integration/client/nodes.h"

#define STATE_BYTES (5 << 20)
#define PAGES (STATE_BYTES / 4096)
#define STRAY_FAULTS 64 /* of a stack, of code that was not there yet */
#define WAIT_MS 60000

static uint8_t bytes[STATE_BYTES];

static long faults(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_minflt;
}

/* In page faults of the calling thread. */
static long save(struct ckpt *ckpt, uint64_t step)
{
    const struct ckpt_tensor tensor = {"state",       CKPT_DTYPE_U8, 1,
                                       {STATE_BYTES}, bytes,         STATE_BYTES};
    memset(bytes, (int)step, sizeof(bytes));
    long before = faults();
    enum ckpt_status status = ckpt_save(ckpt, step, &tensor, 1, NULL, 0);
    long met = faults() - before;
    if (status != CKPT_OK) {
        fail_msg("step %u: %s", (unsigned)step, ckpt_reason(ckpt));
    }
    status = ckpt_wait(ckpt, step, WAIT_MS);
    if (status != CKPT_OK) {
        fail_msg("step %u: %s", (unsigned)step, ckpt_reason(ckpt));
    }
    return met;
}

static void a_save_that_is_not_prepared_meets_each_page(void **state)
{
    struct ckpt *ckpt = nodes_open(*state, 0, "unprepared", 1, WAIT_MS);
    assert_true(save(ckpt, 1) >= PAGES);
    ckpt_close(&ckpt);
}

static void a_prepared_save_meets_none(void **state)
{
    struct ckpt *ckpt = nodes_open(*state, 0, "prepared", 1, WAIT_MS);
    assert_int_equal(ckpt_prepare(ckpt, STATE_BYTES + 200), CKPT_OK);
    for (uint64_t step = 1; step <= 3; step++) {
        assert_in_range(save(ckpt, step), 0, STRAY_FAULTS);
    }
    ckpt_close(&ckpt);
    /* The next start finds out by itself how large its saves will be. */
    ckpt = nodes_open(*state, 0, "prepared", 2, WAIT_MS);
    assert_in_range(save(ckpt, 4), 0, STRAY_FAULTS);
    ckpt_close(&ckpt);
}

static void an_agent_that_is_started_anew_has_forgotten(void **state)
{
    struct nodes *nodes = *state;
    struct ckpt *ckpt = nodes_open(nodes, 0, "forgotten", 1, WAIT_MS);
    assert_int_equal(ckpt_prepare(ckpt, STATE_BYTES + 200), CKPT_OK);
    process_kill(&nodes->agents[0]);
    nodes_start_agent(nodes, 0);
    (void)save(ckpt, 1);
    assert_int_equal(ckpt_prepare(ckpt, STATE_BYTES + 200), CKPT_OK);
    assert_in_range(save(ckpt, 2), 0, STRAY_FAULTS);
    ckpt_close(&ckpt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_save_that_is_not_prepared_meets_each_page, nodes_start,
                                        nodes_stop),
        cmocka_unit_test_setup_teardown(a_prepared_save_meets_none, nodes_start, nodes_stop),
        cmocka_unit_test_setup_teardown(an_agent_that_is_started_anew_has_forgotten, nodes_start,
                                        nodes_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
