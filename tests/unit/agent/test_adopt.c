/* SPDX-License-Identifier: Apache-2.0 */
/* A start over what the agent before this one left. */
#include "unit/agent/driver.h"

#include <string.h>

static struct slot_record record_of(uint32_t slot, enum slot_state state, uint64_t generation,
                                    uint64_t step, uint16_t segment)
{
    struct slot_record record = {.slot = slot,
                                 .state = state,
                                 .generation = generation,
                                 .shard = key_of(ALICE, step, 3),
                                 .world = 4,
                                 .copies = 2,
                                 .bytes = 2 * SEGMENT,
                                 .has_digest = state == SLOT_VERIFIED,
                                 .digest = digest_of((uint8_t)step),
                                 .segment_count = 2,
                                 .segments = {segment, (uint16_t)(segment + 1)}};
    return record;
}

static void adopt(struct driver *d, struct slot_record record, bool corrupt)
{
    driver_event(d,
                 (struct agent_event){.type = AGENT_ADOPT, .record = &record, .corrupt = corrupt});
}

static void adopt_end(struct driver *d)
{
    driver_event(d, (struct agent_event){.type = AGENT_ADOPT_END});
}

static const struct message_shard_report *reported(const struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT);
    return out != NULL ? &out->message.shard_report : NULL;
}

static void a_copy_is_held_until_it_is_digested_again(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    adopt(d, record_of(4, SLOT_VERIFIED, 30, 10, 2), false);
    assert_int_equal(driver_stored(d, 4)->state, SLOT_ADOPTED);
    adopt_end(d);
    assert_null(driver_works(d, AGENT_WORK_DIGEST)); /* under which key is not known */
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    struct message welcome = {.type = MESSAGE_WELCOME, .welcome = {.heartbeat_ms = 1000}};
    driver_coordinator(d, welcome);
    const struct agent_work *digest = driver_works(d, AGENT_WORK_DIGEST);
    uint64_t work = digest->work;
    assert_int_equal(digest->generation, 30);
    assert_int_equal(reported(d)->state, COPY_ADOPTED);
    assert_int_equal(reported(d)->generation, 30);
    driver_tick(d, 1000);
    const struct agent_outgoing *beat = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_HEARTBEAT);
    assert_int_equal(beat->message.heartbeat.unverified, 1);
    struct message ask = {.type = MESSAGE_OFFER_ASK,
                          .offer_ask = {.pull = 1,
                                        .shard = key_of(ALICE, 10, 3),
                                        .source_incarnation = life(LIFE_OF_AGENT),
                                        .generation = 30}};
    driver_peer(d, 9, ask); /* not yet a source */
    assert_int_equal(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER)->message.offer.status,
                     CKPT_ERR_NOT_FOUND);
    driver_work(d, work, CKPT_OK, 10);
    assert_int_equal(reported(d)->state, COPY_VERIFIED);
    assert_int_equal(driver_stored(d, 4)->state, SLOT_VERIFIED);
    driver_peer(d, 9, ask);
    assert_int_equal(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER)->message.offer.status, CKPT_OK);
}

static void a_copy_that_changed_is_given_up(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    adopt(d, record_of(4, SLOT_VERIFIED, 30, 10, 2), false);
    adopt_end(d);
    driver_join(d);
    uint64_t work = driver_works(d, AGENT_WORK_DIGEST)->work;
    driver_coordinator(d, driver_order(d, 10, 3, 2 * SEGMENT)); /* waits for the digest */
    assert_null(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK));
    driver_work(d, work, CKPT_OK, 11);
    assert_non_null(driver_noted(d, EVENT_digest_mismatch));
    assert_int_equal(reported(d)->state, COPY_NONE);
    assert_int_equal(reported(d)->generation, 30);
    assert_int_equal(driver_slot(d, 4).state, SLOT_FREE);
    driver_coordinator(d, driver_order(d, 10, 3, 2 * SEGMENT));
    driver_work(d, driver_works(d, AGENT_WORK_RENEW)->work, CKPT_OK, 0);
    struct shard_key key = key_of(ALICE, 10, 3);
    assert_int_equal(driver_slot(d, driver_find(d, &key)).state, SLOT_PULLING);
    assert_true(driver_slot(d, driver_find(d, &key)).generation > 30);
}

static void an_owners_undigested_copy_gets_its_first(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    struct slot_record record = record_of(0, SLOT_SEALED, 30, 10, 0);
    record.owner = true;
    record.seat = (struct nonce){{1, 3, (uint8_t)ALICE}};
    adopt(d, record, false);
    adopt_end(d);
    driver_join(d);
    driver_work(d, driver_works(d, AGENT_WORK_DIGEST)->work, CKPT_OK, 0x42);
    assert_int_equal(reported(d)->state, COPY_VERIFIED);
    assert_true(reported(d)->owner);
    driver_rank(d, 1, ALICE, 3); /* the same attempt goes on, and hears of it */
    assert_int_equal(driver_ask(d, 1, 10, SEGMENT)->status, CKPT_ERR_STEP);
    driver_checkpoint(d, 10, CHECKPOINT_CONSISTENT);
    assert_non_null(driver_said(d, AGENT_TO_RANK, MESSAGE_SAVE_OUTCOME));
}

static void incomplete_copies_are_freed(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    adopt(d, record_of(0, SLOT_FILLING, 30, 10, 0), false);
    assert_int_equal(driver_stored(d, 0)->state, SLOT_FREE);
    assert_int_equal(driver_stored(d, 0)->generation, 30);
    adopt(d, record_of(1, SLOT_PULLING, 31, 11, 2), false);
    adopt(d, record_of(2, SLOT_DIRTY, 32, 12, 4), false);
    struct slot_record cached = record_of(3, SLOT_VERIFIED, 33, 13, 6);
    cached.cached = true;
    adopt(d, cached, false);
    struct slot_record free_slot = {.slot = 4, .generation = 90};
    adopt(d, free_slot, false);
    adopt_end(d);
    assert_int_equal(agent_segments_free(d->agent), 8);
    assert_int_equal(d->update.work_count, 0);
    driver_join(d);
    assert_int_equal(driver_said_count(d, MESSAGE_SHARD_REPORT), 0);
    driver_rank(d, 1, ALICE, 3);
    driver_ask(d, 1, 20, SEGMENT);
    const struct agent_work *renew = driver_works(d, AGENT_WORK_RENEW);
    assert_non_null(renew); /* whose bytes are in free memory, nobody knows */
    assert_true(renew->generation > 90);
}

SPOILS(a_segment_of_another_record, struct slot_record, it->segments[1] = 2)
SPOILS(a_segment_that_is_not_there, struct slot_record, it->segments[1] = 8)
SPOILS(a_segment_of_the_first_record, struct slot_record, it->segments[1] = 0)
SPOILS(one_segment_too_many, struct slot_record, it->segment_count = 3)
SPOILS(no_segment, struct slot_record, it->segment_count = 0)
SPOILS(more_segments_than_can_be, struct slot_record, it->segment_count = UINT32_MAX)
SPOILS(no_bytes, struct slot_record, it->bytes = 0)
SPOILS(more_bytes_than_can_be, struct slot_record, it->bytes = UINT64_MAX)
SPOILS(a_rank_outside_its_world, struct slot_record, it->world = 3)
SPOILS(no_world, struct slot_record, it->world = 0)
SPOILS(too_many_copies, struct slot_record, it->copies = 5)
SPOILS(an_unknown_state, struct slot_record, it->state = (enum slot_state)17)
SPOILS(no_generation, struct slot_record, it->generation = 0)
SPOILS(a_name_that_is_none, struct slot_record, strcpy(it->shard.run.name, "a//b"))
static const struct impossible {
    const char *name;
    void (*spoil)(struct slot_record *it);
} impossible[] = {
    {ROW(a_segment_of_another_record)},
    {ROW(a_segment_that_is_not_there)},
    {ROW(a_segment_of_the_first_record)},
    {ROW(one_segment_too_many)},
    {ROW(no_segment)},
    {ROW(more_segments_than_can_be)},
    {ROW(no_bytes)},
    {ROW(more_bytes_than_can_be)},
    {ROW(a_rank_outside_its_world)},
    {ROW(no_world)},
    {ROW(too_many_copies)},
    {ROW(an_unknown_state)},
    {ROW(no_generation)},
    {ROW(a_name_that_is_none)},
};

static void records_that_cannot_be_are_refused(void **state)
{
    struct driver *d = *state;
    for (size_t i = 0; i < ROWS(impossible); i++) {
        const struct impossible *row = &impossible[i];
        driver_begin(d);
        adopt(d, record_of(0, SLOT_VERIFIED, 30, 10, 0), false);
        struct slot_record record = record_of(1, SLOT_VERIFIED, 31, 11, 2);
        row->spoil(&record);
        adopt(d, record, false);
        ROW_HOLDS(row, driver_noted(d, EVENT_record_refused) != NULL);
        ROW_HOLDS(row, driver_slot(d, 1).state == SLOT_FREE);
        ROW_HOLDS(row, driver_stored(d, 1)->state == SLOT_FREE);
        ROW_HOLDS(row, agent_segments_free(d->agent) == 6);
        struct slot_record corrupt = record_of(2, SLOT_VERIFIED, 60, 12, 4);
        adopt(d, corrupt, true);
        assert_int_equal(driver_slot(d, 2).state, SLOT_FREE);
        adopt_end(d);
        driver_rank(d, 1, ALICE, 3);
        driver_ask(d, 1, 20, SEGMENT);
        assert_true(driver_works(d, AGENT_WORK_RENEW)->generation > 60);
        driver_stop(d);
    }
}

static void of_two_copies_the_later_is_kept(void **state)
{
    struct driver *d = *state;
    for (int later_first = 0; later_first < 2; later_first++) {
        driver_begin(d);
        struct slot_record old = record_of(0, SLOT_VERIFIED, 30, 10, 0);
        struct slot_record new = record_of(1, SLOT_VERIFIED, 31, 10, 2);
        adopt(d, later_first ? new : old, false);
        adopt(d, later_first ? old : new, false);
        adopt_end(d);
        struct shard_key key = key_of(ALICE, 10, 3);
        assert_int_equal(driver_find(d, &key), 1);
        driver_stop(d);
    }
}

static void few_digests_run_at_once(void **state)
{
    struct driver *d = *state;
    driver_config(d);
    d->config.segments = d->config.slots = 32;
    driver_begin(d);
    uint64_t works[16];
    uint32_t count = 0;
    for (uint32_t i = 0; i < 10; i++) {
        adopt(d, record_of(i, SLOT_VERIFIED, 30 + i, i, (uint16_t)(2 * i)), false);
        assert_int_equal(d->update.work_count, 0);
    }
    adopt_end(d);
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    driver_coordinator(d, (struct message){.type = MESSAGE_WELCOME});
    for (uint32_t j = 0; j < d->update.work_count; j++) {
        works[count++] = d->update.works[j].work;
    }
    assert_int_equal(count, 4);
    for (uint32_t done = 0; done < count; done++) {
        driver_work(d, works[done], CKPT_OK, (uint8_t)done);
        for (uint32_t j = 0; j < d->update.work_count; j++) {
            works[count++] = d->update.works[j].work;
        }
        assert_true(count - done - 1 <= 4);
    }
    assert_int_equal(count, 10);
}

static void events_out_of_order_are_refused(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    struct slot_record record = record_of(0, SLOT_VERIFIED, 30, 10, 0);
    struct agent_event event = {.type = AGENT_COORDINATOR_UP, .now_ms = d->now_ms};
    assert_int_equal(agent_advance(d->agent, &event, &d->update), CKPT_ERR_INVALID);
    adopt(d, record, false);
    event = (struct agent_event){.type = AGENT_ADOPT, .now_ms = d->now_ms, .record = &record};
    assert_int_equal(agent_advance(d->agent, &event, &d->update), CKPT_ERR_INVALID); /* twice */
    record.slot = 8;
    assert_int_equal(agent_advance(d->agent, &event, &d->update), CKPT_ERR_INVALID);
    event.record = NULL;
    assert_int_equal(agent_advance(d->agent, &event, &d->update), CKPT_ERR_INVALID);
    adopt_end(d);
    record.slot = 1;
    event.record = &record;
    assert_int_equal(agent_advance(d->agent, &event, &d->update), CKPT_ERR_INVALID);
    event.type = AGENT_ADOPT_END;
    assert_int_equal(agent_advance(d->agent, &event, &d->update), CKPT_ERR_INVALID);
    event.type = AGENT_RANK_MESSAGE;
    assert_int_equal(agent_advance(d->agent, &event, &d->update), CKPT_ERR_INVALID);
    event.type = AGENT_TICK;
    event.now_ms = d->now_ms - 1;
    assert_int_equal(agent_advance(d->agent, &event, &d->update), CKPT_ERR_INVALID);
    event.type = (enum agent_event_type)99;
    event.now_ms = d->now_ms;
    assert_int_equal(agent_advance(d->agent, &event, &d->update), CKPT_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_copy_is_held_until_it_is_digested_again, driver),
        MACHINE_TEST(a_copy_that_changed_is_given_up, driver),
        MACHINE_TEST(an_owners_undigested_copy_gets_its_first, driver),
        MACHINE_TEST(incomplete_copies_are_freed, driver),
        MACHINE_TEST(records_that_cannot_be_are_refused, driver),
        MACHINE_TEST(of_two_copies_the_later_is_kept, driver),
        MACHINE_TEST(few_digests_run_at_once, driver),
        MACHINE_TEST(events_out_of_order_are_refused, driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
