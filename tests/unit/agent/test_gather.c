/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's own memory, read into the slot that it fills: the order of things, and every refusal. */
#include "unit/agent/driver.h"

#include <string.h>

static struct driver d;
static struct message_slot_granted granted;

static int begin(void **state)
{
    (void)state;
    memset(&d, 0, sizeof(d));
    driver_start(&d);
    driver_join(&d);
    driver_rank(&d, 1, ALICE, 2);
    granted = *driver_ask(&d, 1, 10, 2 * SEGMENT);
    assert_int_equal(granted.status, CKPT_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    driver_stop(&d);
    return 0;
}

static const struct message_range all = {.from = 64, .to = 0, .bytes = 2 * SEGMENT};

static struct message gather(uint32_t number)
{
    struct message message = {.type = MESSAGE_GATHER};
    message.gather = (struct message_gather){.step = 10,
                                             .slot = granted.slot,
                                             .generation = granted.generation,
                                             .number = number,
                                             .range_count = 1,
                                             .ranges = &all};
    return message;
}

static const struct message_gathered *answer(void)
{
    const struct agent_outgoing *out = driver_said(&d, AGENT_TO_RANK, MESSAGE_GATHERED);
    return out == NULL ? NULL : &out->message.gathered;
}

static uint64_t start(uint32_t number)
{
    driver_rank_says(&d, 1, gather(number));
    const struct agent_work *work = driver_works(&d, AGENT_WORK_GATHER);
    assert_non_null(work);
    assert_null(answer());
    assert_int_equal(work->slot, granted.slot);
    assert_int_equal(work->generation, granted.generation);
    assert_int_equal(work->link, 1);
    return work->work;
}

static void several_follow_each_other(void **state)
{
    (void)state;
    for (uint32_t number = 1; number <= 3; number++) {
        uint64_t work = start(number);
        driver_rank_says(&d, 1, gather(number)); /* a repeat while it runs */
        assert_true(driver_silent(&d));
        driver_work(&d, work, CKPT_OK, 0);
        assert_int_equal(answer()->status, CKPT_OK);
        assert_int_equal(answer()->number, number);
        assert_int_equal(answer()->generation, granted.generation);
        driver_rank_says(&d, 1, gather(number)); /* and after it */
        assert_int_equal(answer()->status, CKPT_OK);
        assert_null(driver_works(&d, AGENT_WORK_GATHER));
    }
    driver_seal(&d, 1, 10, granted.slot, granted.generation);
    assert_int_equal(driver_stored(&d, granted.slot)->state, SLOT_SEALED);
}

static void one_that_fails_leaves_the_slot_to_its_rank(void **state)
{
    (void)state;
    driver_work(&d, start(1), CKPT_ERR_UNSUPPORTED, 0);
    assert_int_equal(answer()->status, CKPT_ERR_UNSUPPORTED);
    driver_rank_says(&d, 1, gather(1));
    assert_int_equal(answer()->status, CKPT_ERR_UNSUPPORTED);
    driver_work(&d, start(2), CKPT_OK, 0);
    assert_int_equal(answer()->status, CKPT_OK);
    driver_seal(&d, 1, 10, granted.slot, granted.generation);
    assert_int_equal(driver_stored(&d, granted.slot)->state, SLOT_SEALED);
}

static void refuse(struct message message, enum ckpt_status status)
{
    driver_rank_says(&d, 1, message);
    assert_null(driver_works(&d, AGENT_WORK_GATHER));
    assert_int_equal(answer()->status, status);
    assert_int_equal(answer()->number, message.gather.number);
    assert_true(answer()->reason[0] != '\0');
}

static void what_is_out_of_order_is_refused(void **state)
{
    (void)state;
    struct message message = gather(1);
    message.gather.generation++;
    refuse(message, CKPT_ERR_STALE);
    message = gather(1);
    message.gather.slot++;
    refuse(message, CKPT_ERR_STALE);
    message = gather(1);
    message.gather.step++;
    refuse(message, CKPT_ERR_STALE);
    refuse(gather(0), CKPT_ERR_BUSY);
    refuse(gather(2), CKPT_ERR_BUSY);
    uint64_t work = start(1);
    refuse(gather(2), CKPT_ERR_BUSY);
    driver_work(&d, work, CKPT_OK, 0);
    driver_seal(&d, 1, 10, granted.slot, granted.generation);
    refuse(gather(2), CKPT_ERR_STALE);
}

static void ranges_stay_within_the_slot(void **state)
{
    (void)state;
    static const struct message_range wrong[] = {
        {.from = 0, .to = 0, .bytes = 0},           {.from = 0, .to = 0, .bytes = 2 * SEGMENT + 1},
        {.from = 0, .to = 1, .bytes = 2 * SEGMENT}, {.from = 0, .to = UINT64_MAX, .bytes = 1},
        {.from = 0, .to = 0, .bytes = UINT64_MAX},  {.from = UINT64_MAX, .to = 0, .bytes = 1},
        {.from = INT64_MAX, .to = 0, .bytes = 1},
    };
    struct message message = gather(1);
    message.gather.range_count = 0;
    refuse(message, CKPT_ERR_SIZE);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const struct message_range ranges[] = {all, wrong[i]};
        message.gather.ranges = ranges;
        message.gather.range_count = 2;
        refuse(message, CKPT_ERR_SIZE);
    }
    driver_work(&d, start(1), CKPT_OK, 0);
    assert_int_equal(answer()->status, CKPT_OK);
}

/* The slot's memory is given to nobody while a device may still write it. */
static void expect_held_until(uint64_t work)
{
    const struct agent_work *cancel = driver_works(&d, AGENT_WORK_CANCEL);
    assert_non_null(cancel);
    assert_int_equal(cancel->cancels, work);
    assert_int_equal(driver_stored(&d, granted.slot)->state, SLOT_DIRTY);
    assert_int_equal(agent_segments_free(d.agent), 6);
    driver_work(&d, work, CKPT_ERR_ABORTED, 0);
    driver_settle(&d);
    assert_null(answer());
    assert_int_equal(driver_slot(&d, granted.slot).state, SLOT_FREE);
    assert_int_equal(agent_segments_free(d.agent), 8);
}

static void a_rank_that_goes_leaves_the_slot_held(void **state)
{
    (void)state;
    uint64_t work = start(1);
    driver_event(&d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    expect_held_until(work);
}

static void an_abandoned_slot_stays_held(void **state)
{
    (void)state;
    uint64_t work = start(1);
    struct message message = {.type = MESSAGE_ABANDON};
    message.abandon = (struct message_abandon){
        .step = 10, .slot = granted.slot, .generation = granted.generation};
    driver_rank_says(&d, 1, message);
    expect_held_until(work);
}

static void a_seal_over_a_gather_gives_the_step_up(void **state)
{
    (void)state;
    uint64_t work = start(1);
    driver_seal(&d, 1, 10, granted.slot, granted.generation);
    const struct agent_outgoing *out = driver_said(&d, AGENT_TO_RANK, MESSAGE_SAVE_OUTCOME);
    assert_int_equal(out->message.save_outcome.status, CKPT_ERR_ABORTED);
    assert_non_null(strstr(out->message.save_outcome.reason, "gather 1"));
    expect_held_until(work);
}

static void a_new_slot_counts_anew(void **state)
{
    (void)state;
    driver_work(&d, start(1), CKPT_OK, 0);
    driver_seal(&d, 1, 10, granted.slot, granted.generation);
    granted = *driver_ask(&d, 1, 11, SEGMENT);
    assert_int_equal(granted.status, CKPT_OK);
    struct message message = gather(1);
    static const struct message_range half = {.bytes = SEGMENT};
    message.gather.step = 11;
    message.gather.ranges = &half;
    driver_rank_says(&d, 1, message);
    assert_non_null(driver_works(&d, AGENT_WORK_GATHER));
}

#define WITH_GRANT(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_GRANT(several_follow_each_other),
        WITH_GRANT(one_that_fails_leaves_the_slot_to_its_rank),
        WITH_GRANT(what_is_out_of_order_is_refused),
        WITH_GRANT(ranges_stay_within_the_slot),
        WITH_GRANT(a_rank_that_goes_leaves_the_slot_held),
        WITH_GRANT(an_abandoned_slot_stays_held),
        WITH_GRANT(a_seal_over_a_gather_gives_the_step_up),
        WITH_GRANT(a_new_slot_counts_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
