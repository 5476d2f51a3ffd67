/* SPDX-License-Identifier: Apache-2.0 */
/* Copies are proven under the key that their run has, once it is told; under another they do not
 * count. The key itself goes to the works alone. */
#include "unit/agent/driver.h"

#include <string.h>

static struct digest_key secret(uint8_t fill)
{
    struct digest_key key = {.kind = DIGEST_KIND_FINGERPRINT};
    memset(key.secret.bytes, fill, sizeof(key.secret.bytes));
    return key;
}

static const struct digest_key blake3 = {.kind = DIGEST_KIND_BLAKE3};

static const struct message_shard_report *reported(const struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT);
    return out != NULL ? &out->message.shard_report : NULL;
}

static void start(struct driver *d)
{
    driver_start(d);
    driver_join_told_keys(d);
    driver_rank(d, 1, ALICE, 0);
}

/* Sealed; its digest has not begun. */
static uint32_t seal(struct driver *d, uint64_t step)
{
    struct message_slot_granted granted = *driver_ask(d, 1, step, SEGMENT);
    driver_seal(d, 1, step, granted.slot, granted.generation);
    return granted.slot;
}

static void ack(struct driver *d, uint32_t slot, enum copy_state state, struct digest_key key)
{
    struct agent_slot_view view = driver_slot(d, slot);
    struct message message = {.type = MESSAGE_SHARD_ACK,
                              .shard_ack = {.shard = view.shard,
                                            .generation = view.generation,
                                            .state = state,
                                            .checkpoint = CHECKPOINT_VERIFYING,
                                            .keep = true,
                                            .key = key}};
    driver_coordinator(d, message);
}

static void tell_seat(struct driver *d, struct digest_key key)
{
    struct message told = {.type = MESSAGE_SEAT_TOLD,
                           .seat_told = {.run = key_of(ALICE, 0, 0).run,
                                         .rank = 0,
                                         .seat = {{1, 0, (uint8_t)ALICE}},
                                         .attempt = 1,
                                         .start = {{2}},
                                         .key = key}};
    driver_coordinator(d, told);
}

static void order_verify(struct driver *d, uint32_t slot, uint64_t order, struct digest_key key)
{
    struct agent_slot_view view = driver_slot(d, slot);
    struct message message = {
        .type = MESSAGE_VERIFY_ORDER,
        .verify_order = {
            .order = order, .shard = view.shard, .generation = view.generation, .key = key}};
    driver_coordinator(d, message);
}

/* The digest that the last event began is under that key. Its number. */
static uint64_t begun_under(const struct driver *d, struct digest_key key)
{
    const struct agent_work *work = driver_works(d, AGENT_WORK_DIGEST);
    assert_non_null(work);
    assert_int_equal(work->key.kind, key.kind);
    assert_memory_equal(&work->key.secret, &key.secret, sizeof(key.secret));
    return work->work;
}

static void expect_verified(const struct driver *d, uint8_t digest, struct digest_key key)
{
    struct digest wanted = digest_of(digest);
    assert_non_null(reported(d));
    assert_int_equal(reported(d)->state, COPY_VERIFIED);
    assert_memory_equal(&reported(d)->digest, &wanted, sizeof(wanted));
    assert_int_equal(reported(d)->digest_key, digest_key_id(&key));
    assert_false(reported(d)->changed);
}

/* Verified under the key, and acknowledged. */
static uint32_t save(struct driver *d, uint64_t step, struct digest_key key)
{
    tell_seat(d, key);
    uint32_t slot = seal(d, step);
    driver_work(d, begun_under(d, key), CKPT_OK, (uint8_t)step);
    expect_verified(d, (uint8_t)step, key);
    assert_int_equal(driver_stored(d, slot)->digest_key, digest_key_id(&key));
    ack(d, slot, COPY_VERIFIED, key);
    return slot;
}

static void a_sealed_copy_waits_for_its_key(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = seal(d, 10);
    assert_null(driver_works(d, AGENT_WORK_DIGEST));
    assert_int_equal(reported(d)->state, COPY_SEALED);
    ack(d, slot, COPY_SEALED, (struct digest_key){.kind = DIGEST_KIND_UNKNOWN});
    driver_tick(d, d->config.resend_ms);
    assert_int_equal(reported(d)->state, COPY_SEALED); /* until its answer has it */
    ack(d, slot, COPY_SEALED, secret(1));
    driver_work(d, begun_under(d, secret(1)), CKPT_OK, 10);
    expect_verified(d, 10, secret(1));
    driver_tick(d, d->config.resend_ms);
    expect_verified(d, 10, secret(1));
    ack(d, slot, COPY_VERIFIED, (struct digest_key){.kind = DIGEST_KIND_UNKNOWN});
    driver_tick(d, 400);
    assert_null(reported(d));
}

static void a_start_brings_the_key(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = seal(d, 10);
    assert_null(driver_works(d, AGENT_WORK_DIGEST));
    tell_seat(d, secret(2));
    driver_work(d, begun_under(d, secret(2)), CKPT_OK, 10);
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    seal(d, 11); /* from then on nothing waits */
    (void)begun_under(d, secret(2));
}

static void a_run_of_blake3_is_told_so(void **state)
{
    struct driver *d = *state;
    start(d);
    (void)save(d, 10, blake3);
}

/* Each row: the record's digest is under `recorded`, the run's key is `told`. */
static const struct adopting {
    const char *name;
    uint8_t recorded, told, found;
    bool is_given_up;
} adoptions[] = {
    {"the same key, the same digest", 1, 1, 10, false},
    {"the same key, another digest", 1, 1, 11, true},
    {"another key, another digest", 1, 2, 11, false},
    {"of before there were keys", 0, 1, 11, false},
};

static void what_was_adopted_is_proven_under_the_key_that_counts(void **state)
{
    struct driver *d = *state;
    for (size_t i = 0; i < ROWS(adoptions); i++) {
        const struct adopting *row = &adoptions[i];
        struct digest_key recorded = row->recorded == 0 ? blake3 : secret(row->recorded);
        struct slot_record record = {.state = SLOT_VERIFIED,
                                     .generation = 30,
                                     .shard = key_of(ALICE, 10, 3),
                                     .world = 4,
                                     .copies = 2,
                                     .bytes = SEGMENT,
                                     .has_digest = true,
                                     .digest = digest_of(10),
                                     .digest_key = digest_key_id(&recorded),
                                     .segment_count = 1};
        driver_begin(d);
        driver_event(d, (struct agent_event){.type = AGENT_ADOPT, .record = &record});
        driver_event(d, (struct agent_event){.type = AGENT_ADOPT_END});
        driver_join_told_keys(d);
        ROW_HOLDS(row, reported(d)->state == COPY_ADOPTED);
        ROW_HOLDS(row, driver_works(d, AGENT_WORK_DIGEST) == NULL);
        ack(d, 0, COPY_ADOPTED, secret(row->told));
        driver_work(d, begun_under(d, secret(row->told)), CKPT_OK, row->found);
        if (row->is_given_up) {
            ROW_HOLDS(row, driver_noted(d, EVENT_digest_mismatch) != NULL);
            ROW_HOLDS(row, reported(d)->state == COPY_NONE);
        } else {
            expect_verified(d, row->found, secret(row->told));
        }
        driver_stop(d);
    }
}

static void under_another_key_a_copy_is_proven_again(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = save(d, 10, secret(1));
    tell_seat(d, secret(2));
    assert_int_equal(driver_slot(d, slot).state, SLOT_ADOPTED);
    assert_non_null(driver_noted(d, EVENT_copies_unproven));
    assert_int_equal(driver_stored(d, slot)->state, SLOT_ADOPTED);
    assert_int_equal(reported(d)->state, COPY_ADOPTED);
    uint64_t work = begun_under(d, secret(2));
    driver_work(d, work, CKPT_OK, 77); /* another digest, as it must be */
    expect_verified(d, 77, secret(2));
    assert_null(driver_noted(d, EVENT_digest_mismatch));
    tell_seat(d, secret(2)); /* which it is already */
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    ack(d, slot, COPY_VERIFIED, blake3);
    assert_int_equal(driver_slot(d, slot).state, SLOT_ADOPTED);
    assert_int_equal(reported(d)->state, COPY_ADOPTED); /* which was not what was acknowledged */
    (void)begun_under(d, blake3);
}

static void a_digest_under_an_earlier_key_does_not_count(void **state)
{
    struct driver *d = *state;
    start(d);
    tell_seat(d, secret(1));
    uint32_t slot = seal(d, 10);
    uint64_t work = begun_under(d, secret(1));
    tell_seat(d, secret(2));
    assert_null(driver_works(d, AGENT_WORK_DIGEST)); /* one at a time */
    driver_work(d, work, CKPT_OK, 10);
    assert_int_equal(driver_slot(d, slot).state, SLOT_SEALED);
    driver_work(d, begun_under(d, secret(2)), CKPT_OK, 11);
    expect_verified(d, 11, secret(2));
}

struct pulling {
    uint32_t link;
    uint64_t pull;
    uint64_t read;
};

/* From the order to the read, which is under the order's key. */
static struct pulling begin_pull(struct driver *d, const struct message *order)
{
    driver_coordinator(d, *order);
    const struct agent_outgoing *ask = driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK);
    struct pulling pulling = {.link = ask->link, .pull = ask->message.offer_ask.pull};
    struct message offer = {.type = MESSAGE_OFFER,
                            .offer = {.pull = pulling.pull,
                                      .slot = 3,
                                      .generation = order->pull_order.source_generation,
                                      .bytes = SEGMENT,
                                      .segment_bytes = SEGMENT,
                                      .region_count = 1}};
    driver_peer(d, pulling.link, offer);
    const struct agent_work *read = driver_works(d, AGENT_WORK_READ);
    assert_memory_equal(&read->key, &order->pull_order.key, sizeof(read->key));
    pulling.read = read->work;
    return pulling;
}

static uint32_t end_pull(struct driver *d, const struct message *order, struct pulling pulling)
{
    driver_work(d, pulling.read, CKPT_OK, 10);
    driver_peer(
        d, pulling.link,
        (struct message){.type = MESSAGE_OFFER_CLOSED, .offer_closed = {.pull = pulling.pull}});
    return driver_find(d, &order->pull_order.shard);
}

/* An order waits: the proof under the later key answers it. */
static void a_key_that_changes_while_a_copy_is_pulled(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join_told_keys(d);
    struct message order = driver_order(d, 10, 3, SEGMENT);
    order.pull_order.key = secret(1);
    struct pulling pulling = begin_pull(d, &order);
    order.pull_order.order = ++d->orders;
    order.pull_order.key = secret(2);
    driver_coordinator(d, order);
    uint32_t slot = end_pull(d, &order, pulling);
    assert_int_equal(driver_slot(d, slot).state, SLOT_ADOPTED);
    uint64_t work = begun_under(d, secret(2));
    assert_int_equal(reported(d)->order, 0);
    driver_work(d, work, CKPT_OK, 11);
    expect_verified(d, 11, secret(2));
    assert_int_equal(reported(d)->order, d->orders);
}

static void a_pulled_copy_is_proven_under_its_orders_key(void **state)
{
    struct driver *d = *state;
    start(d);
    save(d, 9, secret(3));
    uint32_t slot = driver_pull(d, 10, 3, SEGMENT);
    expect_verified(d, 10, secret(3)); /* as its run was told; the order said none */
    assert_int_equal(driver_slot(d, slot).digest_key, driver_stored(d, slot)->digest_key);
}

static void an_order_to_verify_brings_the_key_too(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = seal(d, 10);
    order_verify(d, slot, 1, secret(4));
    driver_work(d, begun_under(d, secret(4)), CKPT_OK, 10);
    expect_verified(d, 10, secret(4));
    assert_int_equal(reported(d)->order, 1);
}

/* BLAKE3 of what lies here is told once for each time that it is asked for; the proof stays. */
static void a_name_is_told_beside_the_proof(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = save(d, 10, secret(1));
    order_verify(d, slot, 5, blake3);
    uint64_t work = begun_under(d, blake3);
    driver_work(d, work, CKPT_OK, 99);
    expect_verified(d, 99, blake3);
    assert_int_equal(reported(d)->order, 5);
    assert_null(driver_stored(d, slot));
    struct digest proof = digest_of(10);
    struct agent_slot_view view = driver_slot(d, slot);
    assert_memory_equal(&view.digest, &proof, sizeof(proof));
    driver_tick(d, d->config.resend_ms);
    assert_null(reported(d));
    order_verify(d, slot, 5, blake3); /* the answer was lost */
    assert_null(driver_works(d, AGENT_WORK_DIGEST));
    expect_verified(d, 99, blake3);
    order_verify(d, slot, 6, blake3); /* asked again, it is computed again */
    driver_work(d, begun_under(d, blake3), CKPT_OK, 98);
    expect_verified(d, 98, blake3);
    order_verify(d, slot, 7, blake3);
    work = begun_under(d, blake3);
    order_verify(d, slot, 8, blake3); /* what began before it is no answer to it */
    driver_work(d, work, CKPT_OK, 97);
    assert_null(reported(d));
    driver_work(d, begun_under(d, blake3), CKPT_OK, 96);
    expect_verified(d, 96, blake3);
    assert_int_equal(reported(d)->order, 8);
    order_verify(d, slot, 9, secret(1));
    driver_work(d, begun_under(d, secret(1)), CKPT_OK, 10);
    expect_verified(d, 10, secret(1));
}

/* The copy's own report is not mixed up with it: that goes first, and is acknowledged. */
static void a_name_waits_for_the_copys_own_report(void **state)
{
    struct driver *d = *state;
    start(d);
    tell_seat(d, secret(1));
    uint32_t slot = seal(d, 10);
    uint64_t work = begun_under(d, secret(1));
    order_verify(d, slot, 5, blake3);
    driver_work(d, work, CKPT_OK, 10);
    expect_verified(d, 10, secret(1));
    work = begun_under(d, blake3);
    order_verify(d, slot, 6, blake3); /* while it is computed: once more */
    driver_work(d, work, CKPT_OK, 99);
    assert_null(reported(d));
    driver_work(d, begun_under(d, blake3), CKPT_OK, 99);
    assert_null(reported(d));
    ack(d, slot, COPY_VERIFIED, secret(1));
    expect_verified(d, 99, blake3);
    assert_int_equal(reported(d)->order, 6);
}

/* A coordinator of before there were keys. */
static void one_that_tells_none_has_blake3(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = save(d, 10, secret(1));
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    driver_coordinator(d, (struct message){.type = MESSAGE_WELCOME});
    assert_int_equal(driver_slot(d, slot).state, SLOT_ADOPTED);
    driver_work(d, begun_under(d, blake3), CKPT_OK, 42);
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    tell_seat(d, secret(1)); /* which it cannot mean */
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
    driver_join_told_keys(d);
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    ack(d, slot, COPY_VERIFIED, secret(1));
    assert_int_equal(driver_slot(d, slot).state, SLOT_ADOPTED);
}

static void load(struct driver *d, uint32_t number)
{
    struct message ask = {.type = MESSAGE_LOAD_ASK,
                          .load_ask = {.collective = true, .load = number, .step = 10}};
    driver_rank_says(d, 1, ask);
    struct message verdict = {.type = MESSAGE_LOAD_VERDICT,
                              .load_verdict = {.run = key_of(ALICE, 10, 0).run,
                                               .attempt = 1,
                                               .start = {{2}},
                                               .collective = true,
                                               .load = number,
                                               .shard = key_of(ALICE, 10, 0)}};
    driver_coordinator(d, verdict);
}

/* What a rank has mapped stays where it is; nobody gets more of it before it is proven again. */
static void a_lent_copy_under_another_key(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = save(d, 10, secret(1));
    load(d, 1);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_LOADED);
    assert_int_equal(out->message.loaded.status, CKPT_OK);
    assert_int_equal(out->message.loaded.digest_kind, DIGEST_KIND_FINGERPRINT);
    tell_seat(d, blake3);
    uint64_t work = begun_under(d, blake3);
    assert_int_equal(driver_slot(d, slot).pins, 1);
    load(d, 2);
    assert_null(driver_said(d, AGENT_TO_RANK, MESSAGE_LOADED));
    struct message release = {.type = MESSAGE_RELEASE,
                              .release = {slot, driver_slot(d, slot).generation}};
    driver_rank_says(d, 1, release);
    assert_int_equal(driver_slot(d, slot).pins, 0);
    driver_work(d, work, CKPT_OK, 42);
    load(d, 2);
    out = driver_said(d, AGENT_TO_RANK, MESSAGE_LOADED);
    assert_int_equal(out->message.loaded.digest_kind, DIGEST_KIND_BLAKE3);
}

/* A reader's copy is had again rather than proven again. */
static void a_readers_copy_under_another_key_is_given_up(void **state)
{
    struct driver *d = *state;
    for (int cached = 0; cached < 2; cached++) {
        driver_start(d);
        driver_join_told_keys(d);
        struct message order = driver_order(d, 10, 3, SEGMENT);
        order.pull_order.purpose = cached ? PULL_FETCH : PULL_REPLICATE;
        order.pull_order.key = secret(1);
        uint32_t slot = end_pull(d, &order, begin_pull(d, &order));
        expect_verified(d, 10, secret(1));
        assert_int_equal(driver_slot(d, slot).cached, cached);
        ack(d, slot, COPY_VERIFIED, secret(2));
        assert_int_equal(driver_slot(d, slot).state, cached ? SLOT_FREE : SLOT_ADOPTED);
        driver_stop(d);
    }
}

/* More runs than the machine remembers: what still waits for its proof asks for its key anew. */
static void a_run_that_was_forgotten_is_asked_for_again(void **state)
{
    struct driver *d = *state;
    start(d);
    tell_seat(d, secret(1));
    uint32_t slot = seal(d, 10);
    uint64_t work = begun_under(d, secret(1));
    ack(d, slot, COPY_SEALED, secret(1));
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    for (uint32_t i = 0; i < 600; i++) {
        struct message order = {.type = MESSAGE_VERIFY_ORDER};
        order.verify_order.order = 1;
        order.verify_order.shard = key_of(2000 + i, 10, 0);
        order.verify_order.key = secret((uint8_t)i);
        driver_coordinator(d, order);
    }
    driver_work(d, work, CKPT_OK, 10); /* the last that was told of it counts */
    expect_verified(d, 10, secret(1));
    ack(d, slot, COPY_VERIFIED, (struct digest_key){.kind = DIGEST_KIND_UNKNOWN});
    order_verify(d, slot, 2, (struct digest_key){.kind = DIGEST_KIND_UNKNOWN});
    assert_null(driver_works(d, AGENT_WORK_DIGEST));
    order_verify(d, slot, 2, secret(1)); /* as it is repeated */
    (void)begun_under(d, secret(1));
}

#define MANY 700u

/* What the machine has asked for and said, and is still to be answered. */
struct pending {
    uint64_t works[2 * MANY];
    uint32_t work_count;
    struct message_shard_report reports[2 * MANY];
    uint32_t report_count;
};

static void remember(const struct driver *d, struct pending *pending)
{
    for (uint32_t i = 0; i < d->update.work_count; i++) {
        assert_true(pending->work_count < 2 * MANY);
        pending->works[pending->work_count++] = d->update.works[i].work;
    }
    for (uint32_t i = 0; i < d->update.message_count; i++) {
        const struct message *message = &d->update.messages[i].message;
        if (message->type == MESSAGE_SHARD_REPORT && pending->report_count < 2 * MANY) {
            pending->reports[pending->report_count++] = message->shard_report;
        }
    }
}

/* One digest ends, if they may; or else one report is answered, with its run's key. */
static void answer_one(struct driver *d, struct pending *pending, bool works)
{
    if (works && pending->work_count > 0) {
        driver_work(d, pending->works[--pending->work_count], CKPT_OK, 1);
    } else if (pending->report_count > 0) {
        struct message_shard_report report = pending->reports[0];
        memmove(&pending->reports[0], &pending->reports[1],
                --pending->report_count * sizeof(pending->reports[0]));
        struct message answer = {
            .type = MESSAGE_SHARD_ACK,
            .shard_ack = {.shard = report.shard,
                          .generation = report.generation,
                          .state = report.state,
                          .keep = true,
                          .key = secret((uint8_t)(report.shard.run.uid % 251))}};
        driver_coordinator(d, answer);
    } else {
        driver_tick(d, 100);
    }
    remember(d, pending);
}

static uint32_t count_verified(const struct driver *d)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        count += driver_slot(d, i).state == SLOT_VERIFIED;
    }
    return count;
}

/* More runs than the machine has places for wait for their proof. */
static void more_runs_than_are_known_at_once(void **state)
{
    struct driver *d = *state;
    static struct pending pending;
    driver_config(d);
    d->config.segments = d->config.slots = MANY;
    driver_begin(d);
    for (uint32_t i = 0; i < MANY; i++) {
        struct slot_record record = {.slot = i,
                                     .state = SLOT_SEALED,
                                     .generation = 1 + i,
                                     .shard = key_of(3000 + i, 10, 0),
                                     .world = 1,
                                     .copies = 1,
                                     .bytes = SEGMENT,
                                     .owner = true,
                                     .segment_count = 1,
                                     .segments = {(uint16_t)i}};
        driver_event(d, (struct agent_event){.type = AGENT_ADOPT, .record = &record});
    }
    driver_event(d, (struct agent_event){.type = AGENT_ADOPT_END});
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    driver_coordinator(d, (struct message){.type = MESSAGE_WELCOME,
                                           .welcome = {.features = WIRE_FEATURE_FINGERPRINT}});
    remember(d, &pending);
    for (uint32_t i = 0; i < MANY; i++) { /* before any has its turn */
        answer_one(d, &pending, false);
    }
    for (uint32_t i = 0; i < 8 * MANY && count_verified(d) < MANY; i++) {
        answer_one(d, &pending, true);
    }
    assert_int_equal(count_verified(d), MANY);
}

static bool has_bytes(const void *memory, size_t bytes, uint8_t fill)
{
    const uint8_t *at = memory;
    size_t run = 0;
    for (size_t i = 0; i < bytes && run < 16; i++) {
        run = at[i] == fill ? run + 1 : 0;
    }
    return run >= 16;
}

/* Not to a rank, a peer or the coordinator, not into a record, and not into the log. */
static void the_secret_goes_nowhere(void **state)
{
    struct driver *d = *state;
    start(d);
    struct message order = driver_order(d, 10, 3, SEGMENT);
    order.pull_order.key = secret(0xa5);
    struct agent_update seen = {0};
    (void)save(d, 9, secret(0xa5));
    driver_coordinator(d, order);
    for (int i = 0; i < 20; i++) {
        seen = d->update;
        for (uint32_t j = 0; j < seen.message_count; j++) {
            assert_false(has_bytes(&seen.messages[j], sizeof(seen.messages[j]), 0xa5));
        }
        for (uint32_t j = 0; j < seen.record_count; j++) {
            assert_false(has_bytes(&seen.records[j], sizeof(seen.records[j]), 0xa5));
        }
        for (uint32_t j = 0; j < seen.note_count; j++) {
            assert_false(has_bytes(&seen.notes[j], sizeof(seen.notes[j]), 0xa5));
        }
        if (i == 4) {
            load(d, 1);
        } else if (i == 8) {
            tell_seat(d, secret(0x5a));
        } else if (i == 9) {
            tell_seat(d, secret(0xa5));
        } else {
            driver_tick(d, 200);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_sealed_copy_waits_for_its_key, driver),
        MACHINE_TEST(a_start_brings_the_key, driver),
        MACHINE_TEST(a_run_of_blake3_is_told_so, driver),
        MACHINE_TEST(what_was_adopted_is_proven_under_the_key_that_counts, driver),
        MACHINE_TEST(under_another_key_a_copy_is_proven_again, driver),
        MACHINE_TEST(a_digest_under_an_earlier_key_does_not_count, driver),
        MACHINE_TEST(a_key_that_changes_while_a_copy_is_pulled, driver),
        MACHINE_TEST(a_pulled_copy_is_proven_under_its_orders_key, driver),
        MACHINE_TEST(an_order_to_verify_brings_the_key_too, driver),
        MACHINE_TEST(a_name_is_told_beside_the_proof, driver),
        MACHINE_TEST(a_name_waits_for_the_copys_own_report, driver),
        MACHINE_TEST(one_that_tells_none_has_blake3, driver),
        MACHINE_TEST(a_lent_copy_under_another_key, driver),
        MACHINE_TEST(a_readers_copy_under_another_key_is_given_up, driver),
        MACHINE_TEST(a_run_that_was_forgotten_is_asked_for_again, driver),
        MACHINE_TEST(more_runs_than_are_known_at_once, driver),
        MACHINE_TEST(the_secret_goes_nowhere, driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
