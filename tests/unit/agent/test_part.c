/* SPDX-License-Identifier: Apache-2.0 */
/* Small shards take small room, and leave it to whoever needs it. */
#include "unit/agent/driver.h"

#include <string.h>

#define PAGE 8u
#define SLOTS 200u

static void start(struct driver *d)
{
    driver_config(d);
    d->config.page_bytes = PAGE;
    d->config.parts = d->config.slots = SLOTS;
    d->config.ranks_max = 40;
    driver_begin(d);
    driver_event(d, (struct agent_event){.type = AGENT_ADOPT_END});
    driver_join(d);
    d->takes_parts = true;
}

/* Asks, and makes the memory ready where that has to be. The slot. */
static uint32_t fill(struct driver *d, uint32_t link, uint64_t step, uint64_t bytes)
{
    const struct message_slot_granted *granted = driver_ask(d, link, step, bytes);
    if (granted == NULL) {
        const struct agent_work *renew = driver_works(d, AGENT_WORK_RENEW);
        assert_non_null(renew);
        driver_work(d, renew->work, CKPT_OK, 0);
        const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_SLOT_GRANTED);
        assert_non_null(out);
        granted = &out->message.slot_granted;
    }
    assert_int_equal(granted->status, CKPT_OK);
    return granted->slot;
}

static uint32_t save(struct driver *d, uint32_t link, uint64_t step, uint64_t bytes)
{
    uint32_t slot = fill(d, link, step, bytes);
    driver_seal(d, link, step, slot, driver_slot(d, slot).generation);
    const struct agent_work *work = driver_works(d, AGENT_WORK_DIGEST);
    assert_non_null(work);
    driver_work(d, work->work, CKPT_OK, (uint8_t)step);
    return slot;
}

static void expect_full(struct driver *d, uint32_t link, uint64_t step, uint64_t bytes)
{
    const struct message_slot_granted *granted = driver_ask(d, link, step, bytes);
    assert_non_null(granted);
    assert_int_equal(granted->status, CKPT_ERR_FULL);
}

static void retire(struct driver *d, uint64_t step)
{
    driver_checkpoint(d, step, CHECKPOINT_RETIRED);
    driver_settle(d);
}

static void a_small_shard_takes_a_part(void **state)
{
    struct driver *d = *state;
    start(d);
    driver_rank(d, 1, ALICE, 0);
    assert_null(driver_ask(d, 1, 10, 100));
    const struct slot_record *record = driver_stored(d, 0);
    assert_int_equal(record->state, SLOT_DIRTY);
    assert_int_equal(record->segment_count, 1);
    assert_int_equal(record->segments[0], CKPT_PART_ID_FIRST);
    assert_int_equal(record->part.bytes, 128);
    const struct agent_work *renew = driver_works(d, AGENT_WORK_RENEW);
    assert_non_null(renew);
    driver_work(d, renew->work, CKPT_OK, 0);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_SLOT_GRANTED);
    assert_non_null(out);
    assert_int_equal(out->message.slot_granted.part_bytes, 128);
    assert_int_equal(out->message.slot_granted.segments[0], CKPT_PART_ID_FIRST);
    assert_int_equal(driver_stored(d, 0)->state, SLOT_FILLING);
    assert_int_equal(agent_segments_free(d->agent), 7);
}

static void many_small_shards_fill_one_segment(void **state)
{
    struct driver *d = *state;
    start(d);
    for (uint32_t i = 0; i < 16; i++) {
        driver_rank(d, 1 + i, ALICE + i, 0);
        for (uint64_t step = 1; step <= 7; step++) {
            (void)save(d, 1 + i, step, 1 + i % PAGE);
        }
    }
    assert_int_equal(agent_segments_free(d->agent), 7);
    driver_rank(d, 30, BOB, 1);
    (void)save(d, 30, 1, 7 * SEGMENT);
    assert_int_equal(agent_segments_free(d->agent), 0);
    (void)save(d, 30, 2, 64); /* beside them */
    expect_full(d, 30, 3, 512);
}

/* One of before parts gets segments; also a load of what lies in a part names that it is one. */
static void who_takes_no_parts_gets_segments(void **state)
{
    struct driver *d = *state;
    start(d);
    d->takes_parts = false;
    driver_rank(d, 1, ALICE, 0);
    uint32_t slot = driver_save(d, 1, 10, 100);
    assert_int_equal(driver_slot(d, slot).part.bytes, 0);
    assert_int_equal(driver_slot(d, slot).segments[0], 0);
    assert_int_equal(agent_segments_free(d->agent), 7);
}

static void a_rank_gets_its_own_part_again(void **state)
{
    struct driver *d = *state;
    start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    driver_rank(d, 2, BOB, 1);
    uint16_t first = driver_slot(d, save(d, 1, 10, 100)).segments[0];
    uint16_t second = driver_slot(d, save(d, 1, 11, 100)).segments[0];
    assert_int_not_equal(first, second);
    retire(d, 10);
    const struct message_slot_granted *granted = driver_ask(d, 1, 12, 90);
    assert_non_null(granted); /* at once: it is mapped and pinned */
    assert_int_equal(granted->segments[0], first);
    /* Another user's shard of that size never gets it. */
    retire(d, 11);
    uint32_t slot = save(d, 2, 20, 100);
    assert_int_not_equal(driver_slot(d, slot).segments[0], second);
}

/* What a rank that has gone may have mapped is made anew before it is anyone's. */
static void a_part_in_doubt_is_made_anew(void **state)
{
    struct driver *d = *state;
    start(d);
    driver_rank(d, 1, ALICE, 0);
    (void)fill(d, 1, 10, 100);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    driver_settle(d);
    assert_int_equal(agent_segments_free(d->agent), 8);
    driver_rank(d, 2, ALICE, 1);
    assert_null(driver_ask(d, 2, 11, 100));
    assert_non_null(driver_works(d, AGENT_WORK_RENEW));
}

/* Parts in no use hold nobody up: neither whole segments nor parts of another size. */
static void parts_in_no_use_make_room(void **state)
{
    struct driver *d = *state;
    start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    driver_rank(d, 2, ALICE, 1);
    for (uint64_t step = 1; step <= 8; step++) {
        (void)save(d, 1, step, 400); /* 512 bytes: one a segment of 1000 */
    }
    assert_int_equal(agent_segments_free(d->agent), 0);
    (void)save(d, 2, 1, 256); /* behind one of them */
    retire(d, 3);
    assert_int_equal(agent_segments_free(d->agent), 1);
    uint32_t slot = save(d, 2, 20, SEGMENT);
    assert_int_equal(driver_slot(d, slot).part.bytes, 0);
    assert_int_equal(agent_segments_free(d->agent), 0);
    /* In the place of a larger one that went. */
    retire(d, 5);
    for (uint64_t step = 30; step < 40; step++) {
        assert_int_equal(driver_slot(d, save(d, 2, step, 128)).part.bytes, 128);
    }
}

static void heartbeats_tell_of_room_in_parts(void **state)
{
    struct driver *d = *state;
    start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    (void)save(d, 1, 1, 100);
    (void)save(d, 1, 2, 2 * SEGMENT - 1);
    driver_tick(d, 1000);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_HEARTBEAT);
    assert_non_null(out);
    const struct message_heartbeat *beat = &out->message.heartbeat;
    assert_int_equal(beat->segments_free, 5);
    assert_int_equal(beat->bytes_taken, 128 + 2 * SEGMENT);
    assert_int_equal(beat->bytes_held, 100 + 2 * SEGMENT - 1);
    assert_int_equal(beat->part_bytes_free, SEGMENT - 128);
    assert_int_equal(beat->part_bytes_largest, 256); /* 512 would lie at 512, and end at 1024 */
}

static struct slot_record record_of(uint32_t slot, uint16_t number, uint64_t offset, uint64_t bytes)
{
    struct slot_record record = {.slot = slot,
                                 .state = SLOT_SEALED,
                                 .generation = 5 + slot,
                                 .shard = key_of(ALICE, 10 + slot, 0),
                                 .world = 4,
                                 .copies = 2,
                                 .bytes = bytes - 1,
                                 .owner = true,
                                 .segment_count = 1,
                                 .segments = {(uint16_t)(CKPT_PART_ID_FIRST + number)},
                                 .part = {2, offset, bytes}};
    return record;
}

static void parts_are_adopted(void **state)
{
    struct driver *d = *state;
    driver_config(d);
    d->config.page_bytes = PAGE;
    d->config.parts = d->config.slots = SLOTS;
    driver_begin(d);
    struct slot_record good = record_of(3, 7, 128, 128), over = record_of(4, 8, 128, 64),
                       odd = record_of(5, 9, 100, 64), same = record_of(6, 7, 512, 64),
                       whole = record_of(7, 0, 0, 0);
    whole.segments[0] = 2;
    whole.part = (struct room_part){0};
    whole.bytes = SEGMENT;
    struct slot_record *records[] = {&good, &over, &odd, &same, &whole};
    for (size_t i = 0; i < 5; i++) {
        driver_event(d, (struct agent_event){.type = AGENT_ADOPT, .record = records[i]});
    }
    driver_event(d, (struct agent_event){.type = AGENT_ADOPT_END});
    assert_int_equal(driver_slot(d, 3).state, SLOT_ADOPTED);
    assert_int_equal(driver_slot(d, 3).part.offset, 128);
    for (uint32_t slot = 4; slot < 8; slot++) {
        assert_int_equal(driver_slot(d, slot).state, SLOT_FREE);
    }
    assert_int_equal(agent_segments_free(d->agent), 7);
}

static void a_part_that_cannot_be_made_is_no_partial_save(void **state)
{
    struct driver *d = *state;
    start(d);
    driver_rank(d, 1, ALICE, 0);
    assert_null(driver_ask(d, 1, 10, 100));
    const struct agent_work *renew = driver_works(d, AGENT_WORK_RENEW);
    driver_work(d, renew->work, CKPT_ERR_MEMORY, 0);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_SLOT_GRANTED);
    assert_non_null(out);
    assert_int_equal(out->message.slot_granted.status, CKPT_ERR_SYSTEM);
    driver_settle(d);
    assert_int_equal(agent_segments_free(d->agent), 8);
    (void)save(d, 1, 11, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_small_shard_takes_a_part, driver),
        MACHINE_TEST(many_small_shards_fill_one_segment, driver),
        MACHINE_TEST(who_takes_no_parts_gets_segments, driver),
        MACHINE_TEST(a_rank_gets_its_own_part_again, driver),
        MACHINE_TEST(a_part_in_doubt_is_made_anew, driver),
        MACHINE_TEST(parts_in_no_use_make_room, driver),
        MACHINE_TEST(heartbeats_tell_of_room_in_parts, driver),
        MACHINE_TEST(parts_are_adopted, driver),
        MACHINE_TEST(a_part_that_cannot_be_made_is_no_partial_save, driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
