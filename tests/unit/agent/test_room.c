/* SPDX-License-Identifier: Apache-2.0 */
/* Copies that are let go, pulls that are called off, saves that wait for room, and what the
 * coordinator is told of all that is here. */
#include "unit/agent/driver.h"

#include <string.h>

/* As driver_join, by a coordinator that knows of room. */
static void start(struct driver *d)
{
    driver_start(d);
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    const struct agent_outgoing *join = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_JOIN);
    assert_non_null(join);
    assert_true((join->message.join.features & WIRE_FEATURE_ROOM) != 0);
    struct message welcome = {
        .type = MESSAGE_WELCOME,
        .welcome = {.heartbeat_ms = 1000, .lease_ms = 5000, .features = FEATURES_BEFORE_KEYS}};
    driver_coordinator(d, welcome);
    driver_settle(d);
    driver_rank(d, 1, ALICE, 0);
}

static const struct message_shard_report *reported(const struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT);
    return out != NULL ? &out->message.shard_report : NULL;
}

static void let_go(struct driver *d, uint64_t step, uint32_t rank, uint64_t generation,
                   uint64_t order)
{
    struct message message = {.type = MESSAGE_LET_GO};
    message.let_go.order = order;
    message.let_go.shard = key_of(ALICE, step, rank);
    message.let_go.generation = generation;
    driver_coordinator(d, message);
}

static void a_copy_too_many_is_freed_and_said_to_be_gone(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_pull(d, 10, 2, 3 * SEGMENT);
    uint64_t generation = driver_slot(d, slot).generation;
    driver_ack(d, slot, true, CHECKPOINT_CONSISTENT);
    let_go(d, 10, 2, generation + 1, 76); /* of another slot: it is not there */
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    let_go(d, 10, 2, generation, 77);
    driver_settle(d);
    assert_int_equal(driver_slot(d, slot).state, SLOT_FREE);
    assert_int_equal(agent_segments_free(d->agent), 8);
    driver_tick(d, d->config.resend_ms);
    assert_int_equal(reported(d)->state, COPY_NONE);
    let_go(d, 10, 2, generation, 77); /* repeated */
    assert_int_equal(reported(d)->state, COPY_NONE);
}

static void a_copy_that_is_read_or_digested_is_kept(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    uint64_t generation = driver_slot(d, slot).generation;
    driver_ack(d, slot, true, CHECKPOINT_CONSISTENT);
    struct message verify = {.type = MESSAGE_VERIFY_ORDER,
                             .verify_order = {70, key_of(ALICE, 10, 0), generation}};
    driver_coordinator(d, verify);
    const struct agent_work *work = driver_works(d, AGENT_WORK_DIGEST);
    assert_non_null(work);
    uint64_t digest = work->work;
    let_go(d, 10, 0, generation, 71);
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    assert_int_equal(reported(d)->state, COPY_VERIFIED);
    assert_int_equal(reported(d)->order, 71);
    driver_work(d, digest, CKPT_OK, 10);

    struct message ask = {.type = MESSAGE_OFFER_ASK,
                          .offer_ask = {.pull = 5,
                                        .shard = key_of(ALICE, 10, 0),
                                        .source_incarnation = life(LIFE_OF_AGENT),
                                        .generation = generation}};
    driver_peer(d, 9, ask);
    assert_int_equal(driver_slot(d, slot).pins, 1);
    let_go(d, 10, 0, generation, 72);
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    assert_int_equal(reported(d)->order, 72);
    driver_event(d, (struct agent_event){.type = AGENT_PEER_DOWN, .link = 9});
    let_go(d, 10, 0, generation, 73);
    driver_settle(d);
    assert_int_equal(driver_slot(d, slot).state, SLOT_FREE);
}

static void a_pull_that_is_called_off_gives_its_memory_back(void **state)
{
    struct driver *d = *state;
    start(d);
    struct message order = driver_order(d, 10, 2, 4 * SEGMENT);
    driver_coordinator(d, order);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK);
    assert_non_null(out);
    struct message offer = {.type = MESSAGE_OFFER};
    offer.offer.pull = out->message.offer_ask.pull;
    offer.offer.slot = 3;
    offer.offer.generation = 50;
    offer.offer.bytes = 4 * SEGMENT;
    offer.offer.segment_bytes = SEGMENT;
    offer.offer.region_count = 4;
    driver_peer(d, out->link, offer);
    const struct agent_work *read = driver_works(d, AGENT_WORK_READ);
    assert_non_null(read);
    uint64_t number = read->work;
    let_go(d, 10, 2, 0, order.pull_order.order + 1); /* another pull's number */
    assert_int_equal(driver_works_count(d, AGENT_WORK_CANCEL), 0);
    let_go(d, 10, 2, 0, order.pull_order.order);
    assert_int_equal(driver_works_count(d, AGENT_WORK_CANCEL), 1);
    assert_int_equal(agent_segments_free(d->agent), 4); /* the transport writes it still */
    driver_work(d, number, CKPT_ERR_ABORTED, 0);
    driver_settle(d);
    assert_int_equal(agent_segments_free(d->agent), 8);
}

static const struct message_need *needed(const struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_NEED);
    return out != NULL ? &out->message.need : NULL;
}

static const struct message_slot_granted *granted(const struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_SLOT_GRANTED);
    return out != NULL ? &out->message.slot_granted : NULL;
}

static void ask(struct driver *d, uint64_t step, uint64_t bytes, uint32_t wait_ms)
{
    struct message message = {.type = MESSAGE_SLOT_ASK,
                              .slot_ask = {.step = step, .bytes = bytes, .wait_ms = wait_ms}};
    driver_rank_says(d, 1, message);
}

static void a_save_waits_for_room_and_says_so(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, 6 * SEGMENT);
    driver_ack(d, slot, true, CHECKPOINT_CONSISTENT);
    ask(d, 20, 3 * SEGMENT, 5000);
    assert_null(granted(d));
    assert_non_null(needed(d));
    assert_int_equal(needed(d)->segments, 1);
    assert_int_equal(needed(d)->shard.step, 20);
    ask(d, 20, 3 * SEGMENT, 5000); /* repeated */
    assert_null(granted(d));
    driver_tick(d, d->config.resend_ms);
    assert_non_null(needed(d));
    driver_checkpoint(d, 10, CHECKPOINT_RETIRED);
    driver_settle(d);
    uint32_t filling = 0;
    for (uint32_t i = 0; i < d->config.slots; i++) {
        filling += driver_slot(d, i).state == SLOT_FILLING;
    }
    assert_int_equal(filling, 1);
    assert_int_equal(agent_segments_free(d->agent), 5);
    driver_tick(d, d->config.resend_ms);
    assert_null(needed(d));
}

static void no_room_in_time_is_full(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, 6 * SEGMENT);
    driver_ack(d, slot, true, CHECKPOINT_CONSISTENT);
    ask(d, 20, 3 * SEGMENT, 400); /* half of it is waited at most */
    driver_tick(d, 199);
    assert_null(granted(d));
    driver_tick(d, 1);
    assert_non_null(granted(d));
    assert_int_equal(granted(d)->status, CKPT_ERR_FULL);
    assert_non_null(strstr(granted(d)->reason, "2 of 8 segments"));
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
    ask(d, 20, 3 * SEGMENT, 5000); /* nobody to ask: at once */
    assert_int_equal(granted(d)->status, CKPT_ERR_FULL);
}

static bool told_all(struct driver *d)
{
    driver_tick(d, 1000);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_HEARTBEAT);
    assert_non_null(out);
    return out->message.heartbeat.inventory_told;
}

static void the_inventory_is_told_when_every_copy_is_acknowledged(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t first = driver_save(d, 1, 10, SEGMENT);
    driver_ack(d, first, true, CHECKPOINT_CONSISTENT);
    uint32_t second = driver_save(d, 1, 20, SEGMENT);
    driver_ack(d, second, true, CHECKPOINT_CONSISTENT);
    assert_true(told_all(d));
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    struct message welcome = {
        .type = MESSAGE_WELCOME,
        .welcome = {.heartbeat_ms = 1000, .lease_ms = 5000, .features = FEATURES_BEFORE_KEYS}};
    driver_coordinator(d, welcome);
    assert_false(told_all(d));
    driver_ack(d, first, true, CHECKPOINT_CONSISTENT);
    assert_false(told_all(d));
    driver_ack(d, second, true, CHECKPOINT_CONSISTENT);
    assert_true(told_all(d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_copy_too_many_is_freed_and_said_to_be_gone, driver),
        MACHINE_TEST(a_copy_that_is_read_or_digested_is_kept, driver),
        MACHINE_TEST(a_pull_that_is_called_off_gives_its_memory_back, driver),
        MACHINE_TEST(a_save_waits_for_room_and_says_so, driver),
        MACHINE_TEST(no_room_in_time_is_full, driver),
        MACHINE_TEST(the_inventory_is_told_when_every_copy_is_acknowledged, driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
