/* SPDX-License-Identifier: Apache-2.0 */
/* From an order to a verified copy, and every way in which that ends otherwise. */
#include "unit/agent/story.h"

#include <string.h>

static const struct message_pull_failed *failed(const struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_PULL_FAILED);
    return out != NULL ? &out->message.pull_failed : NULL;
}

static struct message offer_for(const struct driver *d, const struct message *order)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK);
    assert_non_null(out);
    struct message offer = {.type = MESSAGE_OFFER};
    offer.offer.pull = out->message.offer_ask.pull;
    offer.offer.slot = 3;
    offer.offer.generation = order->pull_order.source_generation;
    offer.offer.bytes = order->pull_order.bytes;
    offer.offer.segment_bytes = SEGMENT;
    offer.offer.region_count = (uint32_t)((order->pull_order.bytes + SEGMENT - 1) / SEGMENT);
    return offer;
}

/* Ordered, asked, offered, reading. */
struct reading {
    struct message order;
    struct message offer;
    uint32_t link;
    uint32_t slot;
    uint64_t work;
};

static struct reading begin_reading(struct driver *d, uint64_t step)
{
    struct reading r = {.order = driver_order(d, step, 3, 2 * SEGMENT)};
    driver_coordinator(d, r.order);
    r.offer = offer_for(d, &r.order);
    r.link = driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK)->link;
    driver_peer(d, r.link, r.offer);
    const struct agent_work *read = driver_works(d, AGENT_WORK_READ);
    assert_non_null(read);
    r.slot = read->slot;
    r.work = read->work;
    return r;
}

static void start(struct driver *d)
{
    driver_start(d);
    driver_join(d);
}

static void a_pull_passes_through_its_states(void **state)
{
    struct driver *d = *state;
    start(d);
    driver_story(
        d, "> order 1: pull step 10 rank 3, 2000 bytes, from n2\n"
           "< store slot 0 PULLING gen 1\n"
           "< connect n2:7000\n"
           "< n2: offer_ask 1000:llama/1 step 10 rank 3 gen 50\n"
           "> n2 offers slot 3 gen 50, 2000 bytes\n"
           "< read slot 0, 2000 bytes\n"
           "> n2 offers slot 3 gen 50, 2000 bytes\n"
           "> n2 agrees to the end\n"
           "> the work of slot 0 ends, digest 119\n"
           "< n2: offer_done slot 3 gen 50\n"
           "> n2 agrees to the end\n"
           "< store slot 0 VERIFIED gen 1\n"
           "< coordinator: shard_report 1000:llama/1 step 10 rank 3 gen 1 VERIFIED order 1 7777\n"
           "> n2 agrees to the end\n"
           "> coordinator knows of slot 0\n"
           "> 30000 ms pass\n"
           "< close n2\n"
           "< coordinator: closed\n");
}

static void repeats_of_an_order_change_nothing(void **state)
{
    struct driver *d = *state;
    start(d);
    struct reading r = begin_reading(d, 10);
    driver_coordinator(d, r.order);
    assert_true(driver_silent(d));
    struct message newer = r.order; /* from the same source: only the number matters */
    newer.pull_order.order = ++d->orders;
    driver_coordinator(d, newer);
    assert_true(driver_silent(d));
    driver_work(d, r.work, CKPT_OK, 1);
    struct message closed = {.type = MESSAGE_OFFER_CLOSED,
                             .offer_closed = {r.offer.offer.pull, CKPT_OK}};
    driver_peer(d, r.link, closed);
    const struct agent_outgoing *report =
        driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT);
    assert_int_equal(report->message.shard_report.order, newer.pull_order.order);
    driver_ack(d, r.slot, true, CHECKPOINT_VERIFYING);
    driver_coordinator(d, newer); /* held: reported again, with the number */
    report = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT);
    assert_int_equal(report->message.shard_report.order, newer.pull_order.order);
    assert_int_equal(d->update.work_count, 0);
}

static void another_source_ends_the_read_first(void **state)
{
    struct driver *d = *state;
    start(d);
    struct reading r = begin_reading(d, 10);
    struct message other = driver_order(d, 10, 3, 2 * SEGMENT);
    strcpy(other.pull_order.source_address, "n3:7000");
    other.pull_order.source_incarnation = life(9);
    driver_coordinator(d, other);
    assert_int_equal(driver_works(d, AGENT_WORK_CANCEL)->cancels, r.work);
    assert_null(driver_works(d, AGENT_WORK_PEER_CONNECT));
    assert_null(failed(d)); /* nobody waits for the old order */
    assert_int_equal(driver_slot(d, r.slot).state, SLOT_DIRTY);
    driver_tick(d, 100);
    assert_null(driver_works(d, AGENT_WORK_CANCEL));
    assert_null(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK));
    driver_work(d, r.work, CKPT_OK, 1); /* it may even have succeeded */
    assert_string_equal(driver_works(d, AGENT_WORK_PEER_CONNECT)->address, "n3:7000");
    assert_non_null(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK));
    driver_coordinator(d, r.order); /* the old order is old */
    assert_null(driver_works(d, AGENT_WORK_CANCEL));
}

static void a_source_that_refuses_ends_the_pull(void **state)
{
    struct driver *d = *state;
    start(d);
    struct message order = driver_order(d, 10, 3, SEGMENT);
    driver_coordinator(d, order);
    struct message offer = offer_for(d, &order);
    uint32_t link = driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK)->link;
    offer.offer.status = CKPT_ERR_STALE;
    strcpy(offer.offer.reason, "another generation");
    driver_peer(d, link + 1, offer); /* not that connection */
    offer.offer.pull++;
    driver_peer(d, link, offer); /* not that pull */
    assert_true(driver_silent(d));
    offer.offer.pull--;
    driver_peer(d, link, offer);
    assert_int_equal(failed(d)->status, CKPT_ERR_STALE);
    assert_int_equal(failed(d)->order, order.pull_order.order);
    assert_non_null(strstr(failed(d)->reason, "another generation"));
    assert_int_equal(agent_segments_free(d->agent), 8);
    driver_coordinator(d, order); /* a repeat is told how it ended, not tried again */
    assert_int_equal(failed(d)->status, CKPT_ERR_STALE);
    assert_int_equal(d->update.work_count + d->update.record_count, 0);
    order.pull_order.order = ++d->orders;
    driver_coordinator(d, order);
    assert_non_null(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK));
    assert_null(driver_works(d, AGENT_WORK_PEER_CONNECT)); /* the connection is still there */
}

SPOILS(of_another_generation, struct message, it->offer.generation++)
SPOILS(of_more_bytes, struct message, it->offer.bytes++)
SPOILS(of_a_region_too_many, struct message, it->offer.region_count++)
SPOILS(of_a_region_too_few, struct message, it->offer.region_count--)
SPOILS(of_segments_of_no_bytes, struct message, it->offer.segment_bytes = 0)
SPOILS(of_who_was_started_anew, struct message, it->incarnation = life(77))
static const struct {
    const char *name;
    void (*spoil)(struct message *it);
    enum ckpt_status expected;
} bad_offers[] = {
    {"of_another_generation", of_another_generation, CKPT_ERR_PROTOCOL},
    {"of_more_bytes", of_more_bytes, CKPT_ERR_PROTOCOL},
    {"of_a_region_too_many", of_a_region_too_many, CKPT_ERR_PROTOCOL},
    {"of_a_region_too_few", of_a_region_too_few, CKPT_ERR_PROTOCOL},
    {"of_segments_of_no_bytes", of_segments_of_no_bytes, CKPT_ERR_PROTOCOL},
    {"of_who_was_started_anew", of_who_was_started_anew, CKPT_ERR_STALE},
};

static void offers_that_do_not_add_up_are_refused(void **state)
{
    struct driver *d = *state;
    for (size_t i = 0; i < ROWS(bad_offers); i++) {
        start(d);
        struct message order = driver_order(d, 10, 3, 2 * SEGMENT);
        driver_coordinator(d, order);
        struct message offer = offer_for(d, &order);
        uint32_t link = driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK)->link;
        bad_offers[i].spoil(&offer);
        driver_peer(d, link, offer);
        ROW_HOLDS(&bad_offers[i], failed(d)->status == bad_offers[i].expected);
        assert_null(driver_works(d, AGENT_WORK_READ));
        assert_int_equal(agent_segments_free(d->agent), 8);
        driver_stop(d);
    }
}

static void a_read_that_fails_is_reported(void **state)
{
    struct driver *d = *state;
    start(d);
    struct reading r = begin_reading(d, 10);
    driver_work(d, r.work, CKPT_ERR_TIMEOUT, 0);
    assert_int_equal(failed(d)->status, CKPT_ERR_TIMEOUT);
    assert_int_equal(driver_slot(d, r.slot).state, SLOT_FREE);
    assert_non_null(driver_works(d, AGENT_WORK_PEER_CLOSE)); /* suspect */
    r = begin_reading(d, 11);
    driver_work(d, r.work, CKPT_ERR_CORRUPT, 0);
    assert_int_equal(failed(d)->status, CKPT_ERR_CORRUPT);
    assert_non_null(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_DONE)); /* its pin is given back */
    r = begin_reading(d, 12);
    driver_work(d, r.work, CKPT_OK, 0);
    struct message closed = {.type = MESSAGE_OFFER_CLOSED,
                             .offer_closed = {r.offer.offer.pull, CKPT_ERR_STALE}};
    driver_peer(d, r.link, closed);
    assert_int_equal(failed(d)->status, CKPT_ERR_STALE);
    assert_int_equal(driver_slot(d, r.slot).state, SLOT_FREE);
    assert_int_equal(driver_said_count(d, MESSAGE_SHARD_REPORT), 0); /* it never was a copy */
}

static void a_lost_connection_ends_its_pulls(void **state)
{
    struct driver *d = *state;
    start(d);
    struct reading r = begin_reading(d, 10);
    driver_coordinator(d, driver_order(d, 11, 3, SEGMENT));
    assert_null(driver_works(d, AGENT_WORK_PEER_CONNECT)); /* shared */
    driver_event(d, (struct agent_event){.type = AGENT_PEER_DOWN, .link = r.link});
    assert_int_equal(driver_said_count(d, MESSAGE_PULL_FAILED), 2);
    assert_int_equal(failed(d)->status, CKPT_ERR_LINK);
    assert_int_equal(driver_works(d, AGENT_WORK_CANCEL)->cancels, r.work);
    assert_int_equal(agent_segments_free(d->agent), 6); /* the transport may still write */
    driver_work(d, r.work, CKPT_ERR_LINK, 0);
    assert_int_equal(agent_segments_free(d->agent), 8);
    driver_event(d, (struct agent_event){.type = AGENT_PEER_DOWN, .link = r.link});
    assert_true(driver_silent(d));
}

/* Its coordinator hears of it, once it is there again; the next one, whose order with that number
 * is another, does not. */
static void a_failure_is_told_to_who_ordered(void **state)
{
    struct driver *d = *state;
    for (uint8_t welcomed_by = LIFE_OF_COORDINATOR; welcomed_by < LIFE_OF_COORDINATOR + 3;
         welcomed_by += 2) {
        start(d);
        struct reading r = begin_reading(d, 10);
        driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
        driver_work(d, r.work, CKPT_ERR_TIMEOUT, 0);
        assert_int_equal(driver_said_count(d, MESSAGE_PULL_FAILED), 0);
        driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
        struct message welcome = {.type = MESSAGE_WELCOME,
                                  .incarnation = life(welcomed_by),
                                  .welcome = {.heartbeat_ms = 1000, .lease_ms = 5000}};
        driver_coordinator(d, welcome);
        assert_int_equal(driver_said_count(d, MESSAGE_PULL_FAILED),
                         welcomed_by == LIFE_OF_COORDINATOR);
        driver_stop(d);
    }
}

static void silence_is_asked_again_and_given_up(void **state)
{
    struct driver *d = *state;
    start(d);
    struct message order = driver_order(d, 10, 3, SEGMENT);
    driver_coordinator(d, order);
    assert_true(d->update.deadline_ms <= d->now_ms + d->config.resend_ms);
    driver_tick(d, d->config.resend_ms - 1);
    assert_null(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK));
    driver_tick(d, 1);
    assert_non_null(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK));
    struct message lease = {.type = MESSAGE_LEASE};
    driver_coordinator(d, lease);
    driver_tick(d, d->config.pull_timeout_ms - d->config.resend_ms);
    assert_int_equal(failed(d)->status, CKPT_ERR_TIMEOUT);
    assert_int_equal(agent_segments_free(d->agent), 8);
    driver_coordinator(d, lease);
    struct reading r = begin_reading(d, 11);
    driver_tick(d, d->config.offer_pin_ms / 4); /* a long read keeps the source's pin */
    driver_coordinator(d, lease);
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
    driver_join(d);
    driver_tick(d, d->config.offer_pin_ms / 4);
    assert_non_null(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK));
    assert_int_equal(driver_slot(d, r.slot).state, SLOT_PULLING);
    driver_work(d, r.work, CKPT_OK, 0);
    driver_tick(d, d->config.resend_ms);
    assert_non_null(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_DONE));
}

/* Whoever has to wait for the resolver does not count it as the peer's silence. */
static void a_look_up_is_no_silence(void **state)
{
    struct driver *d = *state;
    struct message lease = {.type = MESSAGE_LEASE};
    start(d);
    driver_coordinator(d, driver_order(d, 10, 3, SEGMENT));
    uint32_t link = driver_works(d, AGENT_WORK_PEER_CONNECT)->link;
    driver_event(d, (struct agent_event){.type = AGENT_PEER_LOOKUP, .link = link});
    for (uint64_t ms = 0; ms < 30000; ms += 500) {
        driver_tick(d, 500);
        assert_int_equal(driver_said_count(d, MESSAGE_PULL_FAILED), 0);
        driver_coordinator(d, lease);
    }
    driver_event(d, (struct agent_event){.type = AGENT_PEER_UP, .link = link});
    driver_tick(d, d->config.pull_timeout_ms - 1);
    assert_int_equal(driver_said_count(d, MESSAGE_PULL_FAILED), 0);
    driver_coordinator(d, lease);
    driver_tick(d, 1); /* from there on it is */
    assert_int_equal(failed(d)->status, CKPT_ERR_TIMEOUT);
    driver_event(d, (struct agent_event){.type = AGENT_PEER_LOOKUP, .link = link + 7});
    driver_event(d, (struct agent_event){.type = AGENT_PEER_UP, .link = link + 7});
}

static void pulls_beyond_the_maximum_wait(void **state)
{
    struct driver *d = *state;
    start(d);
    struct reading first = begin_reading(d, 10);
    struct reading second = begin_reading(d, 11);
    struct message third = driver_order(d, 12, 3, SEGMENT);
    driver_coordinator(d, third);
    assert_true(driver_silent(d));
    driver_checkpoint(d, 12, CHECKPOINT_ABORTED); /* one that waits is dropped */
    third.pull_order.order = ++d->orders;
    driver_coordinator(d, third);
    driver_work(d, first.work, CKPT_ERR_CORRUPT, 0);
    driver_settle(d);
    struct shard_key key = key_of(ALICE, 12, 3);
    assert_int_equal(driver_slot(d, driver_find(d, &key)).state, SLOT_PULLING);
    assert_int_equal(driver_slot(d, second.slot).state, SLOT_PULLING);
}

SPOILS(of_a_rank_outside_its_world, struct message_pull_order, it->world = 3)
SPOILS(of_no_world, struct message_pull_order, it->world = 0)
SPOILS(for_no_copies, struct message_pull_order, it->copies = 0)
SPOILS(for_too_many_copies, struct message_pull_order, it->copies = CKPT_COPIES_MAX + 1)
SPOILS(for_no_bytes, struct message_pull_order, it->bytes = 0)
SPOILS(for_an_unknown_purpose, struct message_pull_order, it->purpose = (enum pull_purpose)9)
SPOILS(from_a_node_that_is_no_name, struct message_pull_order, strcpy(it->source_node, "a b"))
SPOILS(from_an_address_without_end, struct message_pull_order,
       memset(it->source_address, 'x', sizeof(it->source_address)))
SPOILS(from_no_address, struct message_pull_order, it->source_address[0] = '\0')
SPOILS(from_no_incarnation, struct message_pull_order, it->source_incarnation = life(0))
SPOILS(from_this_agent, struct message_pull_order, it->source_incarnation = life(LIFE_OF_AGENT))
static const struct {
    const char *name;
    void (*spoil)(struct message_pull_order *it);
} bad_orders[] = {
    {ROW(of_a_rank_outside_its_world)},
    {ROW(of_no_world)},
    {ROW(for_no_copies)},
    {ROW(for_too_many_copies)},
    {ROW(for_no_bytes)},
    {ROW(for_an_unknown_purpose)},
    {ROW(from_a_node_that_is_no_name)},
    {ROW(from_an_address_without_end)},
    {ROW(from_no_address)},
    {ROW(from_no_incarnation)},
    {ROW(from_this_agent)},
};

static void orders_are_refused(void **state)
{
    struct driver *d = *state;
    start(d);
    for (size_t i = 0; i < ROWS(bad_orders); i++) {
        struct message order = driver_order(d, 10, 3, SEGMENT);
        bad_orders[i].spoil(&order.pull_order);
        driver_coordinator(d, order);
        ROW_HOLDS(&bad_orders[i], failed(d)->status == CKPT_ERR_INVALID);
        ROW_HOLDS(&bad_orders[i], d->update.record_count + d->update.work_count == 0);
    }
    struct message order = driver_order(d, 10, 3, SEGMENT);
    strcpy(order.pull_order.shard.run.name, "/");
    driver_coordinator(d, order);
    assert_true(driver_silent(d));
    assert_non_null(driver_noted(d, EVENT_order_refused));
    order = driver_order(d, 10, 3, 8 * SEGMENT + 1);
    driver_coordinator(d, order);
    assert_int_equal(failed(d)->status, CKPT_ERR_TOO_LARGE);
    order = driver_order(d, 10, 3, UINT64_MAX);
    driver_coordinator(d, order);
    assert_int_equal(failed(d)->status, CKPT_ERR_TOO_LARGE);
    driver_pull(d, 9, 3, 6 * SEGMENT);
    driver_coordinator(d, driver_order(d, 10, 3, 3 * SEGMENT));
    assert_int_equal(failed(d)->status, CKPT_ERR_FULL);
    driver_coordinator(d, driver_order(d, 9, 3, 5 * SEGMENT));
    assert_int_equal(failed(d)->status, CKPT_ERR_SIZE);
}

static void the_owner_pulls_nothing_over_its_own(void **state)
{
    struct driver *d = *state;
    start(d);
    driver_rank(d, 1, ALICE, 3);
    struct message_slot_granted granted = *driver_ask(d, 1, 10, SEGMENT);
    driver_coordinator(d, driver_order(d, 10, 3, SEGMENT));
    assert_int_equal(failed(d)->status, CKPT_ERR_BUSY);
    driver_seal(d, 1, 10, granted.slot, granted.generation);
    uint64_t work = driver_works(d, AGENT_WORK_DIGEST)->work;
    driver_coordinator(d, driver_order(d, 10, 3, SEGMENT));
    assert_int_equal(failed(d)->status, CKPT_ERR_BUSY);
    assert_int_equal(driver_slot(d, granted.slot).state, SLOT_SEALED);
    driver_work(d, work, CKPT_OK, 1);
    /* A digested one is digested again: the order wants it good now. */
    struct message order = driver_order(d, 10, 3, SEGMENT);
    driver_coordinator(d, order);
    assert_null(failed(d));
    assert_null(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT));
    driver_work(d, driver_works(d, AGENT_WORK_DIGEST)->work, CKPT_OK, 1);
    const struct agent_outgoing *report =
        driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT);
    assert_int_equal(report->message.shard_report.order, order.pull_order.order);
}

static void a_pull_into_another_users_memory_renews_it(void **state)
{
    struct driver *d = *state;
    start(d);
    driver_rank(d, 1, BOB, 0);
    struct message_slot_granted granted = *driver_ask(d, 1, 1, 8 * SEGMENT);
    struct message abandon = {.type = MESSAGE_ABANDON,
                              .abandon = {1, granted.slot, granted.generation}};
    driver_rank_says(d, 1, abandon);
    struct message order = driver_order(d, 10, 3, SEGMENT);
    driver_coordinator(d, order);
    assert_null(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK));
    uint64_t work = driver_works(d, AGENT_WORK_RENEW)->work;
    driver_work(d, work, CKPT_OK, 0);
    assert_non_null(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK));
    driver_coordinator(d, driver_order(d, 11, 3, SEGMENT));
    work = driver_works(d, AGENT_WORK_RENEW)->work;
    driver_work(d, work, CKPT_ERR_MEMORY, 0);
    assert_int_equal(failed(d)->status, CKPT_ERR_SYSTEM);
    driver_coordinator(d, driver_order(d, 12, 3, SEGMENT)); /* aborted while it is renewed */
    work = driver_works(d, AGENT_WORK_RENEW)->work;
    driver_checkpoint(d, 12, CHECKPOINT_ABORTED);
    driver_work(d, work, CKPT_OK, 0);
    assert_null(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK));
    assert_int_equal(agent_segments_free(d->agent), 7);
}

static void the_digest_of_an_earlier_work_never_counts(void **state)
{
    struct driver *d = *state;
    start(d);
    struct reading r = begin_reading(d, 10);
    driver_checkpoint(d, 10, CHECKPOINT_ABORTED);
    assert_int_equal(driver_works(d, AGENT_WORK_CANCEL)->cancels, r.work);
    struct reading next = begin_reading(d, 11);
    assert_true(next.slot != r.slot); /* the cancelled read still holds its slot */
    driver_work(d, r.work, CKPT_OK, 1);
    assert_int_equal(driver_slot(d, r.slot).state, SLOT_FREE);
    driver_work(d, r.work, CKPT_OK, 1);
    driver_work(d, next.work + 65536, CKPT_OK, 1);
    driver_work(d, UINT64_MAX, CKPT_OK, 1);
    driver_work(d, 0, CKPT_OK, 1);
    assert_true(driver_silent(d));
    assert_int_equal(driver_slot(d, next.slot).state, SLOT_PULLING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_pull_passes_through_its_states, driver),
        MACHINE_TEST(repeats_of_an_order_change_nothing, driver),
        MACHINE_TEST(another_source_ends_the_read_first, driver),
        MACHINE_TEST(a_source_that_refuses_ends_the_pull, driver),
        MACHINE_TEST(offers_that_do_not_add_up_are_refused, driver),
        MACHINE_TEST(a_read_that_fails_is_reported, driver),
        MACHINE_TEST(a_lost_connection_ends_its_pulls, driver),
        MACHINE_TEST(a_failure_is_told_to_who_ordered, driver),
        MACHINE_TEST(silence_is_asked_again_and_given_up, driver),
        MACHINE_TEST(a_look_up_is_no_silence, driver),
        MACHINE_TEST(pulls_beyond_the_maximum_wait, driver),
        MACHINE_TEST(orders_are_refused, driver),
        MACHINE_TEST(the_owner_pulls_nothing_over_its_own, driver),
        MACHINE_TEST(a_pull_into_another_users_memory_renews_it, driver),
        MACHINE_TEST(the_digest_of_an_earlier_work_never_counts, driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
