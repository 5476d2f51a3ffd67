/* SPDX-License-Identifier: Apache-2.0 */
/* Held copies are proven again: when, for whom it waits, and what its outcome does. Step 10 of rank
 * 3 is here, and proven. */
#include "unit/agent/story.h"

#define PERIOD_MS (30 * 60 * 1000ULL)
#define DUE_MS (PERIOD_MS - PERIOD_MS / 4)

static uint32_t slot;

static void start(struct driver *d)
{
    driver_config(d);
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 3);
    slot = driver_pull(d, 10, 3, 100);
}

/* The coordinator's life is told while time passes. */
static void pass(struct driver *d, uint64_t ms)
{
    for (; ms > 1000; ms -= 1000) {
        driver_tick(d, 1000);
        driver_coordinator(d, (struct message){.type = MESSAGE_LEASE});
    }
    driver_tick(d, ms);
}

/* That was begun in the last turn; NULL: none was. */
static const struct agent_work *scrub(const struct driver *d)
{
    const struct agent_work *work = driver_works(d, AGENT_WORK_DIGEST);
    return work != NULL && work->scrubs ? work : NULL;
}

/* Fails where the default is off. */
static void a_copy_is_proven_again_before_half_an_hour_is_over(void **state)
{
    struct driver *d = *state;
    struct agent_config config;
    agent_config_default(&config);
    assert_int_equal(config.scrub_ms, PERIOD_MS);
    start(d);
    uint64_t began_ms = d->now_ms;
    pass(d, DUE_MS - 2000);
    assert_null(scrub(d));
    for (int i = 0; i < 100 && scrub(d) == NULL; i++) {
        driver_tick(d, 100);
    }
    const struct agent_work *work = scrub(d);
    assert_non_null(work);
    assert_int_equal(work->slot, slot);
    assert_int_equal(work->chunk_count, 0);
    assert_true(work->patience_ms > 0 && work->patience_ms <= PERIOD_MS / 4);
    assert_true(d->now_ms + work->patience_ms <= began_ms + PERIOD_MS);
}

static uint64_t begin_scrub(struct driver *d)
{
    pass(d, DUE_MS - 2000);
    for (int i = 0; i < 100 && scrub(d) == NULL; i++) {
        driver_tick(d, 100);
    }
    assert_non_null(scrub(d));
    return scrub(d)->work;
}

static void off_is_off(void **state)
{
    struct driver *d = *state;
    driver_config(d);
    d->config.scrub_ms = 0;
    driver_start(d);
    driver_join(d);
    slot = driver_pull(d, 10, 3, 100);
    pass(d, 2 * PERIOD_MS);
    for (int i = 0; i < 10; i++) {
        driver_tick(d, 1000);
        assert_null(scrub(d));
    }
}

static void what_is_as_it_was_is_reported_and_left_for_another_period(void **state)
{
    struct driver *d = *state;
    start(d);
    uint8_t digest = driver_slot(d, slot).digest.bytes[0];
    driver_work(d, begin_scrub(d), CKPT_OK, digest);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT);
    assert_non_null(out);
    assert_int_equal(out->message.shard_report.state, COPY_VERIFIED);
    assert_false(out->message.shard_report.changed);
    driver_ack(d, slot, true, CHECKPOINT_CONSISTENT);
    pass(d, DUE_MS - 5000);
    assert_null(scrub(d));
    pass(d, 10000);
}

static void what_has_rotted_is_said_and_lent_to_nobody(void **state)
{
    struct driver *d = *state;
    start(d);
    uint8_t digest = driver_slot(d, slot).digest.bytes[0];
    driver_work(d, begin_scrub(d), CKPT_OK, (uint8_t)(digest ^ 1));
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT);
    assert_non_null(out);
    assert_true(out->message.shard_report.changed);
    assert_non_null(driver_noted(d, EVENT_digest_mismatch));
    struct message ask = {.type = MESSAGE_OFFER_ASK,
                          .offer_ask = {.pull = 7,
                                        .shard = key_of(ALICE, 10, 3),
                                        .source_incarnation = life(LIFE_OF_AGENT),
                                        .generation = driver_slot(d, slot).generation}};
    driver_peer(d, 9, ask);
    out = driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER);
    assert_non_null(out);
    assert_int_equal(out->message.offer.status, CKPT_ERR_NOT_FOUND);
}

static void it_stands_back_for_a_save_until_it_is_overdue(void **state)
{
    struct driver *d = *state;
    start(d);
    uint64_t began_ms = d->now_ms;
    assert_non_null(driver_ask(d, 1, 20, 100));
    while (d->now_ms < began_ms + PERIOD_MS - 3000) {
        driver_tick(d, 1000);
        assert_null(scrub(d));
        driver_coordinator(d, (struct message){.type = MESSAGE_LEASE});
        assert_null(scrub(d));
    }
    for (int i = 0; i < 100 && scrub(d) == NULL; i++) {
        driver_tick(d, 100);
    }
    assert_non_null(scrub(d));
    assert_int_equal(scrub(d)->patience_ms, 0);
}

static void an_order_to_verify_does_not_wait_for_it(void **state)
{
    struct driver *d = *state;
    start(d);
    uint64_t work = begin_scrub(d);
    struct message order = {.type = MESSAGE_VERIFY_ORDER,
                            .verify_order = {.order = 99,
                                             .shard = key_of(ALICE, 10, 3),
                                             .generation = driver_slot(d, slot).generation}};
    driver_coordinator(d, order);
    const struct agent_work *cancels = driver_works(d, AGENT_WORK_CANCEL);
    assert_non_null(cancels);
    assert_int_equal(cancels->cancels, work);
    driver_work(d, work, CKPT_ERR_ABORTED, 0);
    const struct agent_work *digest = driver_works(d, AGENT_WORK_DIGEST);
    assert_non_null(digest);
    assert_false(digest->scrubs);
    driver_work(d, digest->work, CKPT_OK, driver_slot(d, slot).digest.bytes[0]);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT);
    assert_non_null(out);
    assert_int_equal(out->message.shard_report.order, 99);
}

static void a_slot_that_is_to_go_does_not_wait_for_it(void **state)
{
    struct driver *d = *state;
    start(d);
    uint64_t work = begin_scrub(d);
    driver_ack(d, slot, false, CHECKPOINT_RETIRED);
    const struct agent_work *cancels = driver_works(d, AGENT_WORK_CANCEL);
    assert_non_null(cancels);
    assert_int_equal(cancels->cancels, work);
    driver_tick(d, 1);
    assert_null(driver_works(d, AGENT_WORK_CANCEL));
    driver_work(d, work, CKPT_ERR_ABORTED, 0);
    driver_settle(d);
    assert_int_equal(driver_slot(d, slot).state, SLOT_FREE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_copy_is_proven_again_before_half_an_hour_is_over, driver),
        MACHINE_TEST(off_is_off, driver),
        MACHINE_TEST(what_is_as_it_was_is_reported_and_left_for_another_period, driver),
        MACHINE_TEST(what_has_rotted_is_said_and_lent_to_nobody, driver),
        MACHINE_TEST(it_stands_back_for_a_save_until_it_is_overdue, driver),
        MACHINE_TEST(an_order_to_verify_does_not_wait_for_it, driver),
        MACHINE_TEST(a_slot_that_is_to_go_does_not_wait_for_it, driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
