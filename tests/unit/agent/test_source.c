/* SPDX-License-Identifier: Apache-2.0 */
/* Slots offered to peers: what may be read, for how long it is kept, and what the reader is
 * told. */
#include "unit/agent/driver.h"

#include <string.h>

#define PEER 21u

static void start(struct driver *d)
{
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
}

static const struct message_offer *ask(struct driver *d, uint32_t link, uint64_t pull,
                                       struct shard_key shard, uint64_t generation)
{
    struct message message = {.type = MESSAGE_OFFER_ASK,
                              .offer_ask = {.pull = pull,
                                            .shard = shard,
                                            .source_incarnation = life(LIFE_OF_AGENT),
                                            .generation = generation}};
    driver_peer(d, link, message);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER);
    assert_non_null(out);
    assert_int_equal(out->link, link);
    assert_int_equal(out->message.offer.pull, pull);
    assert_true((out->message.offer.status == CKPT_OK) == (out->attach == ATTACH_REGIONS));
    return &out->message.offer;
}

static enum ckpt_status done(struct driver *d, uint32_t link, uint64_t pull, uint32_t slot,
                             uint64_t generation)
{
    struct message message = {.type = MESSAGE_OFFER_DONE, .offer_done = {pull, slot, generation}};
    driver_peer(d, link, message);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_CLOSED);
    assert_non_null(out);
    assert_int_equal(out->message.offer_closed.pull, pull);
    return out->message.offer_closed.status;
}

static void a_sealed_slot_is_offered_and_pinned(void **state)
{
    struct driver *d = *state;
    start(d);
    struct message_slot_granted granted = *driver_ask(d, 1, 10, 2 * SEGMENT);
    struct shard_key key = key_of(ALICE, 10, 0);
    assert_int_equal(ask(d, PEER, 1, key, granted.generation)->status, CKPT_ERR_NOT_FOUND);
    driver_seal(d, 1, 10, granted.slot, granted.generation);
    const struct message_offer *offer = ask(d, PEER, 1, key, granted.generation);
    assert_int_equal(offer->status, CKPT_OK);
    assert_int_equal(offer->bytes, 2 * SEGMENT);
    assert_int_equal(offer->segment_bytes, SEGMENT);
    assert_int_equal(offer->slot, granted.slot);
    assert_int_equal(driver_slot(d, granted.slot).pins, 1);
    ask(d, PEER, 1, key, granted.generation); /* a repeat */
    assert_int_equal(driver_slot(d, granted.slot).pins, 1);
    ask(d, PEER, 2, key, granted.generation);
    assert_int_equal(driver_slot(d, granted.slot).pins, 2);
    assert_int_equal(done(d, PEER, 1, granted.slot, granted.generation), CKPT_OK);
    assert_int_equal(driver_slot(d, granted.slot).pins, 1);
    assert_int_equal(done(d, PEER, 1, granted.slot, granted.generation), CKPT_OK);
    assert_int_equal(driver_slot(d, granted.slot).pins, 1);
}

static void asks_are_refused(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    uint64_t generation = driver_slot(d, slot).generation;
    struct shard_key key = key_of(ALICE, 10, 0);
    assert_int_equal(ask(d, PEER, 1, key, generation + 1)->status, CKPT_ERR_STALE);
    assert_int_equal(ask(d, PEER, 1, key_of(BOB, 10, 0), generation)->status, CKPT_ERR_NOT_FOUND);
    assert_int_equal(ask(d, PEER, 1, key_of(ALICE, 11, 0), generation)->status, CKPT_ERR_NOT_FOUND);
    memset(key.run.name, 'x', sizeof(key.run.name));
    assert_int_equal(ask(d, PEER, 1, key, generation)->status, CKPT_ERR_NOT_FOUND);
    struct message other = {.type = MESSAGE_OFFER_ASK,
                            .offer_ask = {.pull = 1,
                                          .shard = key_of(ALICE, 10, 0),
                                          .source_incarnation = life(99),
                                          .generation = generation}};
    driver_peer(d, PEER, other);
    assert_int_equal(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER)->message.offer.status,
                     CKPT_ERR_STALE);
    assert_int_equal(driver_slot(d, slot).pins, 0);
    assert_int_equal(done(d, PEER, 1, slot, generation + 1), CKPT_ERR_STALE);
    assert_int_equal(done(d, PEER, 1, 8, generation), CKPT_ERR_STALE);
    assert_int_equal(done(d, PEER, 1, UINT32_MAX, generation), CKPT_ERR_STALE);
    struct message odd = {.type = MESSAGE_PULL_ORDER};
    driver_peer(d, PEER, odd);
    assert_true(driver_said(d, AGENT_TO_PEER, MESSAGE_NONE)->close);
}

static void a_pinned_slot_outlives_its_retirement(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    uint64_t generation = driver_slot(d, slot).generation;
    struct shard_key key = key_of(ALICE, 10, 0);
    ask(d, PEER, 1, key, generation);
    driver_checkpoint(d, 10, CHECKPOINT_RETIRED);
    assert_int_equal(driver_slot(d, slot).state, SLOT_DIRTY);
    assert_int_equal(agent_segments_free(d->agent), 7);
    assert_int_equal(ask(d, PEER, 2, key, generation)->status, CKPT_ERR_NOT_FOUND);
    assert_int_equal(done(d, PEER, 1, slot, generation), CKPT_OK); /* the bytes were kept */
    assert_int_equal(agent_segments_free(d->agent), 8);
    assert_int_equal(done(d, PEER, 1, slot, generation), CKPT_ERR_STALE);
}

static void a_silent_reader_loses_its_pin(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    uint64_t generation = driver_slot(d, slot).generation;
    struct shard_key key = key_of(ALICE, 10, 0);
    ask(d, PEER, 1, key, generation);
    ask(d, PEER + 1, 1, key, generation);
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
    driver_tick(d, d->config.offer_pin_ms - 1);
    ask(d, PEER, 1, key, generation); /* a word */
    assert_int_equal(driver_slot(d, slot).pins, 2);
    driver_tick(d, 1);
    assert_int_equal(driver_slot(d, slot).pins, 1);
    assert_int_equal(done(d, PEER + 1, 1, slot, generation), CKPT_OK); /* never freed since */
    driver_tick(d, d->config.offer_pin_ms);
    assert_int_equal(driver_slot(d, slot).pins, 0);
    ask(d, PEER, 3, key, generation);
    driver_event(d, (struct agent_event){.type = AGENT_PEER_DOWN, .link = PEER});
    assert_int_equal(driver_slot(d, slot).pins, 0);

    /* Freed and filled again under a reader that was silent too long: it is told. */
    ask(d, PEER, 4, key, generation);
    driver_tick(d, d->config.offer_pin_ms);
    driver_join(d);
    driver_checkpoint(d, 10, CHECKPOINT_RETIRED);
    uint32_t next = driver_save(d, 1, 11, SEGMENT);
    assert_true(driver_slot(d, next).generation > generation);
    assert_int_equal(done(d, PEER, 4, slot, generation), CKPT_ERR_STALE);
}

static void reads_are_bounded(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    uint64_t generation = driver_slot(d, slot).generation;
    struct shard_key key = key_of(ALICE, 10, 0);
    uint64_t pull = 0;
    while (ask(d, PEER, ++pull, key, generation)->status == CKPT_OK) {
        assert_true(pull < 1000);
    }
    assert_int_equal(ask(d, PEER, pull, key, generation)->status, CKPT_ERR_BUSY);
    assert_int_equal(pull - 1, d->config.slots * CKPT_COPIES_MAX);
    assert_int_equal(driver_slot(d, slot).pins, pull - 1);
    driver_event(d, (struct agent_event){.type = AGENT_PEER_DOWN, .link = PEER});
    assert_int_equal(driver_slot(d, slot).pins, 0);
}

static void a_cached_copy_is_no_source(void **state)
{
    struct driver *d = *state;
    start(d);
    struct message order = driver_order(d, 10, 3, SEGMENT);
    order.pull_order.purpose = PULL_FETCH;
    driver_coordinator(d, order);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK);
    uint32_t link = out->link;
    uint64_t pull = out->message.offer_ask.pull;
    struct message offer = {.type = MESSAGE_OFFER,
                            .offer = {.pull = pull,
                                      .generation = 50,
                                      .bytes = SEGMENT,
                                      .segment_bytes = SEGMENT,
                                      .region_count = 1}};
    driver_peer(d, link, offer);
    driver_work(d, driver_works(d, AGENT_WORK_READ)->work, CKPT_OK, 1);
    struct message closed = {.type = MESSAGE_OFFER_CLOSED, .offer_closed = {pull, CKPT_OK}};
    driver_peer(d, link, closed);
    assert_true(
        driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT)->message.shard_report.cached);
    struct shard_key key = key_of(ALICE, 10, 3);
    uint32_t slot = driver_find(d, &key);
    uint64_t generation = driver_slot(d, slot).generation;
    assert_int_equal(ask(d, PEER, 1, key, generation)->status, CKPT_ERR_NOT_FOUND);
    /* A copy that is wanted after all counts from the order on. */
    order = driver_order(d, 10, 3, SEGMENT);
    driver_coordinator(d, order);
    driver_work(d, driver_works(d, AGENT_WORK_DIGEST)->work, CKPT_OK, 1);
    assert_false(
        driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT)->message.shard_report.cached);
    assert_int_equal(ask(d, PEER, 1, key, generation)->status, CKPT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_sealed_slot_is_offered_and_pinned, driver),
        MACHINE_TEST(asks_are_refused, driver),
        MACHINE_TEST(a_pinned_slot_outlives_its_retirement, driver),
        MACHINE_TEST(a_silent_reader_loses_its_pin, driver),
        MACHINE_TEST(reads_are_bounded, driver),
        MACHINE_TEST(a_cached_copy_is_no_source, driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
