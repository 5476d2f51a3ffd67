/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of saves to come: told before they come, soft, and never another user's bytes. */
#include "unit/agent/driver.h"

#include <string.h>

#define PAGE 8u

static void ask(struct driver *d, uint32_t link, uint32_t number, uint64_t bytes, uint64_t after)
{
    struct message message = {.type = MESSAGE_PREPARE,
                              .prepare = {.number = number, .bytes = bytes, .after = after}};
    driver_rank_says(d, link, message);
}

static const struct message_prepare *answered(const struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_PREPARE);
    if (out == NULL) {
        return NULL;
    }
    bool has_memory = out->message.prepare.status == CKPT_OK;
    assert_int_equal(out->attach, has_memory ? ATTACH_PREPARED : ATTACH_NONE);
    return &out->message.prepare;
}

static struct message_prepare prepare(struct driver *d, uint32_t link, uint64_t bytes,
                                      uint64_t after)
{
    static uint32_t number;
    ask(d, link, ++number, bytes, after);
    const struct message_prepare *told = answered(d);
    assert_non_null(told);
    assert_int_equal(told->number, number);
    return *told;
}

static void expect_segments(const struct message_prepare *told, uint32_t first, uint32_t count)
{
    assert_int_equal(told->status, CKPT_OK);
    assert_int_equal(told->segment_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(told->segments[i], first + i);
    }
}

static void expect_granted(struct driver *d, uint32_t link, uint64_t step, uint64_t bytes,
                           uint32_t first)
{
    const struct message_slot_granted *granted = driver_ask(d, link, step, bytes);
    assert_non_null(granted);
    assert_int_equal(granted->status, CKPT_OK);
    for (uint32_t i = 0; i < granted->segment_count; i++) {
        assert_int_equal(granted->segments[i], first + i);
    }
    driver_seal(d, link, step, granted->slot, granted->generation);
}

/* Ends the renewal that the last event began. */
static void renew(struct driver *d, enum ckpt_status status)
{
    const struct agent_work *work = driver_works(d, AGENT_WORK_RENEW);
    assert_non_null(work);
    driver_work(d, work->work, status, 0);
}

static void the_next_saves_get_what_was_told(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    struct message_prepare first = prepare(d, 1, 2000, 0);
    expect_segments(&first, 0, 2);
    struct message_prepare second = prepare(d, 1, 2000, first.generation);
    expect_segments(&second, 2, 2);
    assert_int_equal(agent_segments_free(d->agent), 8); /* nothing is held */
    expect_granted(d, 1, 1, 2000, 0);
    expect_granted(d, 1, 2, 2000, 2);
    expect_granted(d, 1, 3, 2000, 4);
}

/* An agent that is started anew must not take for untouched what this one has handed out. */
static void memory_that_was_told_of_is_on_record(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    struct message_prepare first = prepare(d, 1, 2000, 0);
    assert_int_equal(first.status, CKPT_OK);
    const struct slot_record *record = driver_stored(d, 0);
    assert_non_null(record);
    const struct slot_record kept = *record;
    assert_int_equal(kept.state, SLOT_FREE);
    driver_stop(d);
    driver_begin(d);
    driver_event(d, (struct agent_event){.type = AGENT_ADOPT, .record = &kept});
    driver_event(d, (struct agent_event){.type = AGENT_ADOPT_END});
    driver_rank(d, 1, BOB, 0);
    assert_null(driver_ask(d, 1, 1, 1000));
    assert_non_null(driver_works(d, AGENT_WORK_RENEW));
}

static void asked_twice_the_same_is_told(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    struct message_prepare first = prepare(d, 1, 2000, 0);
    struct message_prepare again = prepare(d, 1, 2000, 0);
    expect_segments(&again, 0, 2);
    assert_int_equal(again.generation, first.generation);
    /* Of fewer bytes it is the begin of the same. */
    again = prepare(d, 1, 900, 0);
    expect_segments(&again, 0, 1);
    expect_granted(d, 1, 1, 900, 0);
}

/* The optimizer has its state now: the saves get larger than was thought. */
static void a_larger_shard_takes_what_was_told_and_more(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    struct message_prepare told = prepare(d, 1, 1000, 0);
    expect_segments(&told, 0, 1);
    told = prepare(d, 1, 1000, told.generation);
    expect_segments(&told, 1, 1);
    told = prepare(d, 1, 3000, 0);
    expect_segments(&told, 0, 3);
    expect_granted(d, 1, 1, 3000, 0);
}

/* Of a smaller shard's saves the second does not begin in the rest of the first's. */
static void a_smaller_shard_begins_where_a_list_does(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    struct message_prepare told = prepare(d, 1, 3000, 0);
    expect_segments(&told, 0, 3);
    told = prepare(d, 1, 3000, told.generation);
    expect_segments(&told, 3, 3);
    expect_granted(d, 1, 1, 2000, 0);
    expect_granted(d, 1, 2, 2000, 3);
}

static void others_take_other_memory_first(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    driver_rank(d, 2, ALICE, 1);
    struct message_prepare told = prepare(d, 1, 2000, 0);
    expect_segments(&told, 0, 2);
    expect_granted(d, 2, 1, 2000, 2);
    struct message_prepare other = prepare(d, 2, 2000, 0);
    expect_segments(&other, 4, 2);
    expect_granted(d, 1, 1, 2000, 0);
}

static void it_is_withheld_from_nobody(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    driver_rank(d, 2, ALICE, 1);
    struct message_prepare told = prepare(d, 1, 4000, 0);
    expect_segments(&told, 0, 4);
    const struct message_slot_granted *granted = driver_ask(d, 2, 1, 6000);
    assert_non_null(granted);
    assert_int_equal(granted->status, CKPT_OK);
    assert_int_equal(granted->segments[0], 4);
    assert_int_equal(granted->segments[4], 0);
}

static void who_finds_no_room_is_told_so(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    struct message_prepare told = prepare(d, 1, 9000, 0);
    assert_int_equal(told.status, CKPT_ERR_TOO_LARGE);
    told = prepare(d, 1, 0, 0);
    assert_int_equal(told.status, CKPT_ERR_SIZE);
    told = prepare(d, 1, 2000, UINT64_MAX);
    assert_int_equal(told.status, CKPT_ERR_INVALID);
    told = prepare(d, 1, 5000, 0);
    assert_int_equal(told.status, CKPT_OK);
    told = prepare(d, 1, 5000, told.generation);
    assert_int_equal(told.status, CKPT_ERR_FULL);
    assert_non_null(strstr(told.reason, "75%"));
    expect_granted(d, 1, 1, 5000, 0);
}

static void one_user_is_told_of_his_share(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    driver_rank(d, 2, ALICE, 1);
    driver_rank(d, 3, BOB, 0);
    struct message_prepare told = prepare(d, 1, 4000, 0);
    assert_int_equal(told.status, CKPT_OK);
    told = prepare(d, 2, 2000, 0);
    assert_int_equal(told.status, CKPT_OK);
    told = prepare(d, 2, 1000, told.generation);
    assert_int_equal(told.status, CKPT_ERR_FULL);
    told = prepare(d, 3, 2000, 0);
    expect_segments(&told, 6, 2);
}

static void who_has_gone_awaits_nothing(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    (void)prepare(d, 1, 6000, 0);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    driver_rank(d, 2, ALICE, 1);
    struct message_prepare told = prepare(d, 2, 6000, 0);
    assert_int_equal(told.status, CKPT_OK);
    assert_int_equal(told.segments[0], 6); /* what nobody ever had */
    assert_int_equal(told.segments[2], 0);
}

/* Bytes of another user's are gone before he hears of the memory. */
static void another_users_memory_is_renewed_before(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    (void)prepare(d, 1, 6000, 0);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    driver_rank(d, 2, BOB, 1);
    ask(d, 2, 1, 5000, 0);
    assert_null(answered(d));
    const struct agent_work *work = driver_works(d, AGENT_WORK_RENEW);
    assert_non_null(work);
    const uint32_t slot = work->slot;
    const uint64_t number = work->work;
    assert_int_equal(driver_stored(d, slot)->state, SLOT_DIRTY);
    ask(d, 2, 1, 5000, 0); /* said again */
    assert_null(answered(d));
    assert_int_equal(driver_works_count(d, AGENT_WORK_RENEW), 0);
    struct agent_slot_view view = driver_slot(d, slot);
    assert_int_equal(view.segment_count, 5);
    uint16_t segments[5];
    memcpy(segments, view.segments, sizeof(segments));
    driver_work(d, number, CKPT_OK, 0);
    const struct message_prepare *told = answered(d);
    assert_non_null(told);
    assert_int_equal(told->status, CKPT_OK);
    assert_memory_equal(told->segments, segments, sizeof(segments));
    assert_int_equal(driver_slot(d, slot).state, SLOT_FREE);
    assert_int_equal(agent_segments_free(d->agent), 8);
    const struct message_slot_granted *granted = driver_ask(d, 2, 1, 5000);
    assert_non_null(granted);
    assert_int_equal(granted->status, CKPT_OK);
    assert_memory_equal(granted->segments, segments, sizeof(segments));
}

static void what_cannot_be_renewed_is_told_of_to_nobody(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    (void)prepare(d, 1, 6000, 0);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    driver_rank(d, 2, BOB, 1);
    ask(d, 2, 1, 5000, 0);
    renew(d, CKPT_ERR_SYSTEM);
    const struct message_prepare *told = answered(d);
    assert_non_null(told);
    assert_int_equal(told->status, CKPT_ERR_SYSTEM);
    assert_int_equal(agent_segments_free(d->agent), 8);
}

/* One renewal at a time on a node; the next begins when it has ended. Who dies is passed over. */
static void renewals_come_one_after_the_other(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    (void)prepare(d, 1, 6000, 0);
    (void)prepare(d, 1, 8000, 0);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    driver_rank(d, 2, BOB, 1);
    driver_rank(d, 3, BOB, 2);
    driver_rank(d, 4, BOB, 3);
    ask(d, 2, 1, 3000, 0);
    const uint64_t work = driver_works(d, AGENT_WORK_RENEW)->work;
    ask(d, 3, 1, 3000, 0);
    ask(d, 4, 1, 3000, 0);
    assert_int_equal(driver_works_count(d, AGENT_WORK_RENEW), 0);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 2});
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 3});
    driver_work(d, work, CKPT_OK, 0);
    /* What was renewed is Bob's now, and nobody awaits it: the third rank has it as it is. */
    driver_settle(d);
    assert_null(driver_works(d, AGENT_WORK_RENEW));
    struct message_prepare told = prepare(d, 4, 3000, 0);
    assert_int_equal(told.status, CKPT_OK);
}

/* Who waits for a renewal hinders nobody who needs none, and is looked at when his turn comes. */
static void who_needs_no_renewal_passes_who_waits(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    (void)prepare(d, 1, 6000, 0);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    driver_rank(d, 2, BOB, 1);
    driver_rank(d, 3, BOB, 2);
    driver_rank(d, 4, ALICE, 3);
    ask(d, 2, 1, 3000, 0);
    const uint64_t first = driver_works(d, AGENT_WORK_RENEW)->work;
    ask(d, 3, 1, 3000, 0);
    assert_null(answered(d));
    struct message_prepare told = prepare(d, 4, 1000, 0);
    assert_int_equal(told.status, CKPT_OK);
    driver_work(d, first, CKPT_OK, 0);
    assert_non_null(answered(d));
    driver_settle(d);
    const struct agent_work *second = driver_works(d, AGENT_WORK_RENEW);
    if (second != NULL) {
        driver_work(d, second->work, CKPT_OK, 0);
    }
    const struct message_prepare *last = answered(d);
    assert_non_null(last);
    assert_int_equal(last->status, CKPT_OK);
}

/* A save that finds no room for what is being renewed ahead waits for it, coordinator or none. */
static void a_save_waits_for_what_is_renewed_ahead(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    (void)prepare(d, 1, 6000, 0);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    driver_rank(d, 2, BOB, 1);
    driver_rank(d, 3, BOB, 2);
    ask(d, 2, 1, 5000, 0);
    const uint64_t work = driver_works(d, AGENT_WORK_RENEW)->work;
    assert_null(driver_ask(d, 3, 1, 6000));
    driver_tick(d, 5000);
    assert_null(driver_said(d, AGENT_TO_RANK, MESSAGE_SLOT_GRANTED));
    driver_work(d, work, CKPT_OK, 0);
    /* It is the one that is served: the prepare waits. */
    const struct agent_work *renewal = driver_works(d, AGENT_WORK_RENEW);
    assert_non_null(renewal);
    driver_work(d, renewal->work, CKPT_OK, 0);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_SLOT_GRANTED);
    assert_non_null(out);
    assert_int_equal(out->message.slot_granted.status, CKPT_OK);
}

static void start_with_parts(struct driver *d)
{
    driver_config(d);
    d->config.page_bytes = PAGE;
    d->config.parts = d->config.slots = 50;
    driver_begin(d);
    driver_event(d, (struct agent_event){.type = AGENT_ADOPT_END});
    d->takes_parts = true;
}

/* Parts are made, one beside the other, and are the saves' in the order in which they were told. */
static void small_shards_are_told_of_parts(void **state)
{
    struct driver *d = *state;
    uint16_t parts[3];
    uint64_t after = 0;
    start_with_parts(d);
    driver_rank(d, 1, ALICE, 0);
    for (uint32_t i = 0; i < 3; i++) {
        ask(d, 1, i, 100, after);
        renew(d, CKPT_OK);
        const struct message_prepare *told = answered(d);
        assert_non_null(told);
        assert_int_equal(told->status, CKPT_OK);
        assert_int_equal(told->part_bytes, 128);
        parts[i] = told->segments[0];
        assert_true(parts[i] >= CKPT_PART_ID_FIRST);
        after = told->generation;
    }
    assert_int_equal(agent_segments_free(d->agent), 8);
    for (uint32_t i = 0; i < 3; i++) {
        const struct message_slot_granted *granted = driver_ask(d, 1, i + 1, 100);
        assert_non_null(granted);
        assert_int_equal(granted->segments[0], parts[i]);
        assert_int_equal(driver_slot(d, granted->slot).part.segment, 0);
        driver_seal(d, 1, i + 1, granted->slot, granted->generation);
    }
    assert_int_equal(agent_segments_free(d->agent), 7);
}

static void a_rank_that_opens_hears_of_its_last_shard(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    (void)driver_save(d, 1, 1, 1500);
    (void)driver_save(d, 1, 2, 2500);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    driver_event(d, (struct agent_event){.type = AGENT_RANK_UP, .link = 2, .uid = ALICE});
    struct message open = {.type = MESSAGE_RANK_OPEN,
                           .rank_open = {.run = "llama", .rank = 0, .world = 4}};
    open.rank_open.seat = (struct nonce){{7}};
    driver_rank_says(d, 2, open);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_RANK_OPENED);
    assert_non_null(out);
    assert_true(out->message.rank_opened.prepares);
    assert_int_equal(out->message.rank_opened.last_bytes, 2500);
}

static void a_reader_is_told_of_nothing(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_UP, .link = 1, .uid = ALICE});
    struct message open = {.type = MESSAGE_RANK_OPEN,
                           .rank_open = {.run = "llama", .reader = true}};
    driver_rank_says(d, 1, open);
    struct message_prepare told = prepare(d, 1, 1000, 0);
    assert_int_equal(told.status, CKPT_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(the_next_saves_get_what_was_told, driver),
        MACHINE_TEST(memory_that_was_told_of_is_on_record, driver),
        MACHINE_TEST(asked_twice_the_same_is_told, driver),
        MACHINE_TEST(a_larger_shard_takes_what_was_told_and_more, driver),
        MACHINE_TEST(a_smaller_shard_begins_where_a_list_does, driver),
        MACHINE_TEST(others_take_other_memory_first, driver),
        MACHINE_TEST(it_is_withheld_from_nobody, driver),
        MACHINE_TEST(who_finds_no_room_is_told_so, driver),
        MACHINE_TEST(one_user_is_told_of_his_share, driver),
        MACHINE_TEST(who_has_gone_awaits_nothing, driver),
        MACHINE_TEST(another_users_memory_is_renewed_before, driver),
        MACHINE_TEST(what_cannot_be_renewed_is_told_of_to_nobody, driver),
        MACHINE_TEST(renewals_come_one_after_the_other, driver),
        MACHINE_TEST(who_needs_no_renewal_passes_who_waits, driver),
        MACHINE_TEST(a_save_waits_for_what_is_renewed_ahead, driver),
        MACHINE_TEST(small_shards_are_told_of_parts, driver),
        MACHINE_TEST(a_rank_that_opens_hears_of_its_last_shard, driver),
        MACHINE_TEST(a_reader_is_told_of_nothing, driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
