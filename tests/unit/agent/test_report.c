/* SPDX-License-Identifier: Apache-2.0 */
/* What the coordinator is told of copies, until it has acknowledged it, and what its words do. */
#include "unit/agent/driver.h"

#include <string.h>

static void start(struct driver *d)
{
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
}

static const struct message_shard_report *reported(const struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT);
    return out != NULL ? &out->message.shard_report : NULL;
}

static void lease(struct driver *d)
{
    struct message message = {.type = MESSAGE_LEASE};
    driver_coordinator(d, message);
}

static void a_report_is_repeated_until_acknowledged(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    for (int i = 0; i < 5; i++) {
        driver_tick(d, d->config.resend_ms - 1);
        assert_null(reported(d));
        driver_tick(d, 1);
        assert_int_equal(reported(d)->state, COPY_VERIFIED);
        lease(d);
    }
    struct message ack = {.type = MESSAGE_SHARD_ACK};
    ack.shard_ack.shard = key_of(ALICE, 10, 0);
    ack.shard_ack.generation = driver_slot(d, slot).generation;
    ack.shard_ack.state = COPY_SEALED; /* of an earlier report: not what is said now */
    ack.shard_ack.keep = true;
    driver_coordinator(d, ack);
    driver_tick(d, d->config.resend_ms);
    assert_non_null(reported(d));
    driver_ack(d, slot, true, CHECKPOINT_VERIFYING);
    driver_ack(d, slot, true, CHECKPOINT_VERIFYING);
    driver_event(d, (struct agent_event){.type = AGENT_TICK});
    lease(d);
    driver_tick(d, 400); /* less than a heartbeat */
    assert_null(reported(d));
    assert_true(d->update.deadline_ms > d->now_ms);
}

static void room_that_comes_back_is_said_at_once_and_once(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    uint32_t before = agent_segments_free(d->agent);
    driver_ack(d, slot, true, CHECKPOINT_VERIFYING);
    assert_null(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_HEARTBEAT));
    driver_ack(d, slot, false, CHECKPOINT_RETIRED);
    const struct agent_outgoing *beat = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_HEARTBEAT);
    assert_non_null(beat);
    assert_int_equal(beat->message.heartbeat.segments_free, before + 1);
    driver_event(d, (struct agent_event){.type = AGENT_TICK});
    assert_null(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_HEARTBEAT));
}

SPOILS(of_a_later_generation, struct message_shard_ack, it->generation++)
SPOILS(of_another_user, struct message_shard_ack, it->shard.run.uid = BOB)
SPOILS(of_another_attempt, struct message_shard_ack, it->shard.attempt = 2)
SPOILS(with_a_reason_without_end, struct message_shard_ack,
       memset(it->reason, 'x', sizeof(it->reason)))
/* The next slot's: nobody has heard of it. */
SPOILS(of_what_is_still_filling, struct message_shard_ack, it->shard.step = 11, it->generation++)
static const struct {
    const char *name;
    void (*spoil)(struct message_shard_ack *it);
} bad_acks[] = {
    {ROW(of_a_later_generation)},     {ROW(of_another_user)},          {ROW(of_another_attempt)},
    {ROW(with_a_reason_without_end)}, {ROW(of_what_is_still_filling)},
};

static void acks_are_checked(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    struct message_slot_granted filling = *driver_ask(d, 1, 11, SEGMENT);
    assert_int_equal(filling.generation, driver_slot(d, slot).generation + 1);
    for (size_t i = 0; i < ROWS(bad_acks); i++) {
        struct message ack = {.type = MESSAGE_SHARD_ACK};
        ack.shard_ack.shard = key_of(ALICE, 10, 0);
        ack.shard_ack.generation = driver_slot(d, slot).generation;
        ack.shard_ack.state = COPY_VERIFIED;
        ack.shard_ack.keep = false;
        ack.shard_ack.status = CKPT_ERR_STEP;
        bad_acks[i].spoil(&ack.shard_ack);
        driver_coordinator(d, ack);
        ROW_HOLDS(&bad_acks[i], driver_silent(d));
        ROW_HOLDS(&bad_acks[i], driver_slot(d, slot).state == SLOT_VERIFIED);
        ROW_HOLDS(&bad_acks[i], driver_slot(d, filling.slot).state == SLOT_FILLING);
    }
}

static void a_refused_copy_is_freed_and_its_rank_told(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    uint64_t generation = driver_slot(d, slot).generation;
    driver_ack(d, slot, false, CHECKPOINT_NONE);
    assert_int_equal(driver_stored(d, slot)->state, SLOT_FREE);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_SAVE_OUTCOME);
    assert_int_equal(out->message.save_outcome.status, CKPT_ERR_STEP);
    assert_string_equal(out->message.save_outcome.reason, "too late");
    assert_int_equal(reported(d)->state, COPY_NONE);
    assert_int_equal(reported(d)->generation, generation);
    assert_true(reported(d)->bytes > 0 && reported(d)->world > 0);
    driver_tick(d, d->config.resend_ms);
    assert_int_equal(reported(d)->state, COPY_NONE); /* until it is acknowledged */
    struct message ack = {.type = MESSAGE_SHARD_ACK};
    ack.shard_ack.shard = key_of(ALICE, 10, 0);
    ack.shard_ack.generation = generation;
    ack.shard_ack.state = COPY_NONE;
    ack.shard_ack.keep = true;
    driver_coordinator(d, ack);
    driver_tick(d, d->config.resend_ms);
    assert_null(reported(d));
}

/* The coordinator may have found room meanwhile, and count the copy as it was told last. */
static void want_of_room_for_an_earlier_word_frees_nothing(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    struct message ack = {.type = MESSAGE_SHARD_ACK};
    ack.shard_ack.shard = key_of(ALICE, 10, 0);
    ack.shard_ack.generation = driver_slot(d, slot).generation;
    ack.shard_ack.status = CKPT_ERR_FULL;
    static const enum copy_state earlier[] = {COPY_SEALED, COPY_ADOPTED};
    for (size_t i = 0; i < ROWS(earlier); i++) {
        ack.shard_ack.state = earlier[i];
        driver_coordinator(d, ack);
        assert_true(driver_silent(d));
        assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    }
    driver_tick(d, d->config.resend_ms);
    assert_int_equal(reported(d)->state, COPY_VERIFIED); /* until that is answered */
    driver_ack(d, slot, false, CHECKPOINT_NONE);
    assert_int_equal(driver_stored(d, slot)->state, SLOT_FREE);
    assert_non_null(driver_said(d, AGENT_TO_RANK, MESSAGE_SAVE_OUTCOME));
}

static void what_contradicts_an_earlier_word_frees_the_copy(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    struct message ack = {.type = MESSAGE_SHARD_ACK};
    ack.shard_ack.shard = key_of(ALICE, 10, 0);
    ack.shard_ack.generation = driver_slot(d, slot).generation;
    ack.shard_ack.state = COPY_SEALED;
    ack.shard_ack.status = CKPT_ERR_STEP;
    driver_coordinator(d, ack);
    assert_int_equal(driver_stored(d, slot)->state, SLOT_FREE);
}

static void gone_copies_are_told_until_that_is_heard(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    driver_ack(d, slot, false, CHECKPOINT_NONE);
    uint32_t told = 0;
    for (int i = 0; i < 100; i++) {
        told += reported(d) != NULL;
        lease(d);
        driver_tick(d, d->config.resend_ms);
    }
    assert_int_equal(told, 100); /* where many words are lost, a few are none */
}

static void an_ack_makes_a_lost_commit_good(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    driver_ack(d, slot, true, CHECKPOINT_CONSISTENT);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_SAVE_OUTCOME);
    assert_int_equal(out->message.save_outcome.status, CKPT_OK);
    assert_int_equal(driver_ask(d, 1, 10, SEGMENT)->status, CKPT_ERR_STEP);
    driver_ack(d, slot, true, CHECKPOINT_CONSISTENT);
    assert_true(driver_silent(d));
}

static void copies_are_told_again_in_rotation(void **state)
{
    struct driver *d = *state;
    driver_config(d);
    d->config.segments = d->config.slots = 24;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    for (uint64_t step = 1; step <= 20; step++) {
        driver_ack(d, driver_save(d, 1, step, SEGMENT), true, CHECKPOINT_VERIFYING);
    }
    lease(d); /* once says little: words may be on their way */
    driver_tick(d, 1000);
    assert_int_equal(driver_said_count(d, MESSAGE_HEARTBEAT), 1);
    assert_int_equal(driver_said_count(d, MESSAGE_SHARD_REPORT), 0);
    uint64_t steps = 0;
    for (int beats = 0; beats < 3; beats++) {
        lease(d);
        driver_tick(d, 1000);
        assert_int_equal(driver_said_count(d, MESSAGE_HEARTBEAT), 1);
        assert_int_equal(driver_said_count(d, MESSAGE_SHARD_REPORT), 8);
        struct agent_update beat = d->update;
        for (uint32_t i = 0; i < beat.message_count; i++) {
            if (beat.messages[i].message.type == MESSAGE_SHARD_REPORT) {
                uint64_t step = beat.messages[i].message.shard_report.shard.step;
                steps |= UINT64_C(1) << step;
                struct shard_key key = key_of(ALICE, step, 0);
                driver_ack(d, driver_find(d, &key), true, CHECKPOINT_VERIFYING);
            }
        }
    }
    assert_int_equal(steps, ((UINT64_C(1) << 21) - 1) & ~UINT64_C(1));
}

/* What the coordinator knows as it is need not be told again, and less often that we live; one word
 * that it knows otherwise, and the rotation goes on. */
static void what_is_settled_is_not_told_again(void **state)
{
    struct driver *d = *state;
    start(d);
    struct message welcome = {.type = MESSAGE_WELCOME,
                              .welcome = {.heartbeat_ms = 1000, .lease_ms = 6000}};
    driver_coordinator(d, welcome);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    driver_ack(d, slot, true, CHECKPOINT_CONSISTENT);
    driver_tick(d, 1000);
    const struct agent_outgoing *beat = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_HEARTBEAT);
    assert_non_null(beat);
    assert_true(beat->message.heartbeat.has_inventory);
    uint64_t inventory = beat->message.heartbeat.inventory;
    assert_true(inventory != 0);
    struct message settled = {.type = MESSAGE_LEASE, .lease = {.settled = true}};
    driver_coordinator(d, settled);
    driver_ack(d, slot, true, CHECKPOINT_CONSISTENT);
    driver_tick(d, 1000); /* the beat that was due anyway */
    assert_int_equal(driver_said_count(d, MESSAGE_HEARTBEAT), 1);
    assert_null(reported(d));
    driver_coordinator(d, settled);
    driver_tick(d, 2399);
    assert_int_equal(driver_said_count(d, MESSAGE_HEARTBEAT), 0);
    driver_tick(d, 1);
    beat = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_HEARTBEAT);
    assert_true(beat->message.heartbeat.inventory == inventory);
    assert_null(reported(d));
    lease(d);
    lease(d);
    driver_tick(d, 2400);
    assert_non_null(reported(d));
    driver_tick(d, 1000);
    assert_int_equal(driver_said_count(d, MESSAGE_HEARTBEAT), 1);
    driver_ack(d, slot, true, CHECKPOINT_CONSISTENT);
    driver_coordinator(d, settled);
    for (int i = 0; i < 11; i++) { /* two leases, as it is answered rarely */
        driver_tick(d, 1000);
        assert_null(driver_noted(d, EVENT_coordinator_silent));
    }
    driver_tick(d, 1000);
    assert_non_null(driver_noted(d, EVENT_coordinator_silent));
}

static struct message verify(struct driver *d, uint32_t slot)
{
    struct message message = {.type = MESSAGE_VERIFY_ORDER};
    message.verify_order.order = ++d->orders;
    message.verify_order.shard = driver_slot(d, slot).shard;
    message.verify_order.generation = driver_slot(d, slot).generation;
    return message;
}

static void a_copy_is_digested_again_on_order(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    driver_ack(d, slot, true, CHECKPOINT_CONSISTENT);
    struct message order = verify(d, slot);
    driver_coordinator(d, order);
    uint64_t work = driver_works(d, AGENT_WORK_DIGEST)->work;
    assert_null(reported(d));
    driver_coordinator(d, order);
    assert_true(driver_silent(d));
    driver_work(d, work, CKPT_OK, 10);
    assert_int_equal(reported(d)->order, order.verify_order.order);
    assert_int_equal(reported(d)->state, COPY_VERIFIED);
    assert_null(driver_noted(d, EVENT_digest_mismatch));
    driver_ack(d, slot, true, CHECKPOINT_CONSISTENT);
    driver_coordinator(d, order); /* its report was lost: said again, not digested again */
    assert_int_equal(reported(d)->order, order.verify_order.order);
    assert_int_equal(d->update.work_count, 0);
    driver_ack(d, slot, true, CHECKPOINT_CONSISTENT);

    /* An order while a digest runs is for one that begins afterwards. */
    struct message first = verify(d, slot);
    driver_coordinator(d, first);
    work = driver_works(d, AGENT_WORK_DIGEST)->work;
    struct message second = verify(d, slot);
    driver_coordinator(d, second);
    assert_true(driver_silent(d));
    driver_coordinator(d, first); /* old now */
    driver_work(d, work, CKPT_OK, 10);
    assert_true(reported(d) == NULL || reported(d)->order != second.verify_order.order);
    work = driver_works(d, AGENT_WORK_DIGEST)->work;
    driver_work(d, work, CKPT_OK, 10);
    assert_int_equal(reported(d)->order, second.verify_order.order);
}

static void a_changed_copy_is_reported_as_it_is(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    driver_coordinator(d, verify(d, slot));
    driver_work(d, driver_works(d, AGENT_WORK_DIGEST)->work, CKPT_OK, 0xee);
    struct digest digest = digest_of(0xee);
    assert_memory_equal(&reported(d)->digest, &digest, sizeof(digest));
    assert_true(reported(d)->changed);
    assert_non_null(driver_noted(d, EVENT_digest_mismatch));
    struct message ask = {.type = MESSAGE_OFFER_ASK,
                          .offer_ask = {.pull = 1,
                                        .shard = key_of(ALICE, 10, 0),
                                        .source_incarnation = life(LIFE_OF_AGENT),
                                        .generation = driver_slot(d, slot).generation}};
    driver_peer(d, 9, ask); /* and is no source any more */
    assert_int_equal(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER)->message.offer.status,
                     CKPT_ERR_NOT_FOUND);
    driver_ack(d, slot, false, CHECKPOINT_CONSISTENT);
    assert_int_equal(driver_slot(d, slot).state, SLOT_FREE);
}

static void orders_for_absent_copies_are_answered(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    struct message order = verify(d, slot);
    order.verify_order.generation++;
    driver_coordinator(d, order);
    assert_int_equal(reported(d)->state, COPY_NONE);
    assert_int_equal(reported(d)->order, order.verify_order.order);
    assert_int_equal(reported(d)->generation, order.verify_order.generation);
    assert_true(reported(d)->bytes > 0 && reported(d)->world > 0 && reported(d)->copies > 0);
    order = verify(d, slot);
    order.verify_order.shard.step = 77;
    driver_coordinator(d, order);
    assert_int_equal(reported(d)->state, COPY_NONE);
    order.verify_order.shard.run.name[0] = '\0';
    driver_coordinator(d, order);
    assert_true(driver_silent(d));
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
}

static void a_digest_that_fails_gives_the_copy_up(void **state)
{
    struct driver *d = *state;
    start(d);
    struct message_slot_granted granted = *driver_ask(d, 1, 10, SEGMENT);
    driver_seal(d, 1, 10, granted.slot, granted.generation);
    driver_work(d, driver_works(d, AGENT_WORK_DIGEST)->work, CKPT_ERR_CORRUPT, 0);
    assert_int_equal(reported(d)->state, COPY_NONE);
    assert_int_equal(driver_slot(d, granted.slot).state, SLOT_FREE);
    assert_non_null(driver_noted(d, EVENT_digest_failed));
}

static void digests_are_bounded(void **state)
{
    struct driver *d = *state;
    driver_config(d);
    d->config.segments = d->config.slots = 24;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    uint32_t works = 0;
    uint64_t some = 0;
    for (uint64_t step = 1; step <= 12; step++) {
        struct message_slot_granted granted = *driver_ask(d, 1, step, SEGMENT);
        driver_seal(d, 1, step, granted.slot, granted.generation);
        works += driver_works_count(d, AGENT_WORK_DIGEST);
        some = works == 1 && some == 0 ? driver_works(d, AGENT_WORK_DIGEST)->work : some;
    }
    assert_int_equal(works, 8);
    driver_work(d, some, CKPT_OK, 1);
    assert_int_equal(driver_works_count(d, AGENT_WORK_DIGEST), 1);
}

/* More than one update holds: every word comes out, one turn after another. */
static void what_does_not_fit_comes_with_the_next_turn(void **state)
{
    struct driver *d = *state;
    driver_config(d);
    d->config.segments = d->config.slots = 100;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    for (uint32_t rank = 1; rank < 4; rank++) {
        driver_pull(d, 10, rank, SEGMENT);
    }
    for (uint64_t step = 11; step < 70; step++) {
        driver_save(d, 1, step, SEGMENT);
    }
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    struct message welcome = {.type = MESSAGE_WELCOME, .welcome = {.heartbeat_ms = 1000}};
    driver_coordinator(d, welcome);
    uint32_t reports = driver_said_count(d, MESSAGE_SHARD_REPORT);
    assert_true(d->update.again);
    while (d->update.again) {
        driver_tick(d, 0);
        reports += driver_said_count(d, MESSAGE_SHARD_REPORT);
        assert_true(reports <= 62);
    }
    assert_int_equal(reports, 62);
}

static void many_slots_of_a_checkpoint_are_freed(void **state)
{
    struct driver *d = *state;
    driver_config(d);
    d->config.segments = d->config.slots = 64;
    driver_start(d);
    driver_join(d);
    for (uint32_t i = 0; i < 30; i++) {
        struct message order = driver_order(d, 10, i, SEGMENT);
        order.pull_order.world = 64;
        driver_coordinator(d, order);
        const struct agent_outgoing *out = driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK);
        uint32_t link = out->link;
        struct message offer = {.type = MESSAGE_OFFER,
                                .offer = {.pull = out->message.offer_ask.pull,
                                          .generation = 50,
                                          .bytes = SEGMENT,
                                          .segment_bytes = SEGMENT,
                                          .region_count = 1}};
        driver_peer(d, link, offer);
        driver_work(d, driver_works(d, AGENT_WORK_READ)->work, CKPT_OK, 1);
        struct message closed = {.type = MESSAGE_OFFER_CLOSED,
                                 .offer_closed = {offer.offer.pull, CKPT_OK}};
        driver_peer(d, link, closed);
    }
    assert_int_equal(agent_segments_free(d->agent), 34);
    struct message retired = {.type = MESSAGE_CHECKPOINT_STATE,
                              .checkpoint_state = {.run = key_of(ALICE, 10, 0).run,
                                                   .attempt = 1,
                                                   .step = 10,
                                                   .world = 64,
                                                   .state = CHECKPOINT_RETIRED}};
    driver_coordinator(d, retired);
    uint32_t freed = d->update.record_count, gone = 0;
    assert_int_equal(freed, AGENT_RECORDS_MAX);
    while (d->update.again) {
        gone += driver_said_count(d, MESSAGE_SHARD_REPORT);
        driver_tick(d, 0);
        freed += d->update.record_count;
        for (uint32_t i = 0; i < d->update.record_count; i++) {
            assert_int_equal(d->update.records[i].segment_count == 0,
                             d->update.records[i].state == SLOT_FREE);
        }
    }
    gone += driver_said_count(d, MESSAGE_SHARD_REPORT);
    assert_int_equal(agent_segments_free(d->agent), 64);
    assert_int_equal(gone, 30);
    assert_true(freed >= 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_report_is_repeated_until_acknowledged, driver),
        MACHINE_TEST(room_that_comes_back_is_said_at_once_and_once, driver),
        MACHINE_TEST(acks_are_checked, driver),
        MACHINE_TEST(a_refused_copy_is_freed_and_its_rank_told, driver),
        MACHINE_TEST(want_of_room_for_an_earlier_word_frees_nothing, driver),
        MACHINE_TEST(what_contradicts_an_earlier_word_frees_the_copy, driver),
        MACHINE_TEST(gone_copies_are_told_until_that_is_heard, driver),
        MACHINE_TEST(an_ack_makes_a_lost_commit_good, driver),
        MACHINE_TEST(copies_are_told_again_in_rotation, driver),
        MACHINE_TEST(what_is_settled_is_not_told_again, driver),
        MACHINE_TEST(a_copy_is_digested_again_on_order, driver),
        MACHINE_TEST(a_changed_copy_is_reported_as_it_is, driver),
        MACHINE_TEST(orders_for_absent_copies_are_answered, driver),
        MACHINE_TEST(a_digest_that_fails_gives_the_copy_up, driver),
        MACHINE_TEST(digests_are_bounded, driver),
        MACHINE_TEST(what_does_not_fit_comes_with_the_next_turn, driver),
        MACHINE_TEST(many_slots_of_a_checkpoint_are_freed, driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
