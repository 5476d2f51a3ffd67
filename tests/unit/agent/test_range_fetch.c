/* SPDX-License-Identifier: Apache-2.0 */
/* A process reads a part of a shard that lies at another agent: what is asked of that agent and
 * read, when the process gets the memory, what becomes of it, and where it goes on when the source
 * fails. The shard is rank 3's of step 10; it has two and a half chunks, and lies at n2 and n3. */
#include "unit/agent/driver.h"

#include <string.h>

#include "digest/fingerprint.h"

#define CHUNK CKPT_CHUNK_BYTES
#define SHARD_BYTES (CHUNK * 5 / 2)
#define GENERATION_THERE 50u
#define SLOT_THERE 3u

static const struct digest_key key = {.kind = DIGEST_KIND_FINGERPRINT, .secret = {{4}}};

static struct message_load_ask asked; /* of the coordinator, last */

static void start(struct driver *d)
{
    driver_config(d);
    d->config.segment_bytes = 4 * CHUNK;
    d->config.pull_timeout_ms = 300; /* so that the coordinator is not silent as long */
    driver_start(d);
    driver_join_saying(d, WIRE_FEATURE_FINGERPRINT | WIRE_FEATURE_RANGES);
    driver_rank(d, 1, ALICE, 3);
}

static void ask(struct driver *d, uint32_t load, uint64_t offset, uint64_t bytes)
{
    driver_rank_says(d, 1,
                     (struct message){.type = MESSAGE_LOAD_ASK,
                                      .load_ask = {.step = 10,
                                                   .rank = 3,
                                                   .load = load,
                                                   .range_offset = offset,
                                                   .range_bytes = bytes}});
}

/* The coordinator was asked in the last turn, or is when the next one comes. */
static void coordinator_is_asked(struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_LOAD_ASK);
    for (uint32_t i = 0; out == NULL && i < 3; i++) {
        driver_tick(d, 1);
        out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_LOAD_ASK);
    }
    assert_non_null(out);
    asked = out->message.load_ask;
}

static const struct message_loaded *loaded(const struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_LOADED);
    return out != NULL ? &out->message.loaded : NULL;
}

static uint8_t life_of_source; /* of the verdict made last */

/* That the source of this number, of two, is to be asked. */
static struct message verdict(uint32_t source)
{
    life_of_source = (uint8_t)(LIFE_OF_PEER + 10 * source);
    struct message m = {.type = MESSAGE_LOAD_VERDICT,
                        .load_verdict = {.run = asked.run,
                                         .asking_rank = asked.asking_rank,
                                         .load = asked.load,
                                         .reader = asked.reader,
                                         .status = CKPT_OK,
                                         .shard = key_of(ALICE, 10, asked.rank),
                                         .digest = digest_of(10),
                                         .bytes = SHARD_BYTES,
                                         .world = 4,
                                         .key = key,
                                         .source_count = 2,
                                         .source_incarnation = life(life_of_source),
                                         .source_generation = GENERATION_THERE}};
    strcpy(m.load_verdict.source_node, source == 0 ? "n2" : "n3");
    strcpy(m.load_verdict.source_address, source == 0 ? "n2:7000" : "n3:7000");
    return m;
}

static const struct agent_outgoing *source_is_asked(struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK);
    assert_non_null(out);
    return out;
}

/* Up to the question to the source of that number. */
static struct agent_outgoing asking(struct driver *d, uint32_t source)
{
    driver_coordinator(d, verdict(source));
    driver_settle(d);
    return *source_is_asked(d);
}

static struct message offer_to(const struct agent_outgoing *out)
{
    static const uint8_t values[3 * FINGERPRINT_VALUE_BYTES];
    struct message m = {.type = MESSAGE_OFFER, .incarnation = life(life_of_source)};
    m.offer.pull = out->message.offer_ask.pull;
    m.offer.slot = SLOT_THERE;
    m.offer.generation = GENERATION_THERE;
    m.offer.bytes = SHARD_BYTES;
    m.offer.segment_bytes = 4 * CHUNK;
    m.offer.region_count = 1;
    m.offer.values = values;
    m.offer.values_bytes = sizeof(values);
    return m;
}

/* Up to the read: its work. */
static struct agent_work reading(struct driver *d, uint64_t offset, uint64_t bytes)
{
    ask(d, 1, offset, bytes);
    coordinator_is_asked(d);
    assert_int_equal(asked.range_offset, offset);
    assert_int_equal(asked.range_bytes, bytes);
    assert_int_equal(asked.range_pass, 0);
    struct agent_outgoing out = asking(d, 0);
    driver_peer(d, out.link, offer_to(&out));
    const struct agent_work *work = driver_works(d, AGENT_WORK_READ);
    assert_non_null(work);
    assert_null(loaded(d));
    return *work;
}

static const struct {
    const char *name;
    uint64_t offset, bytes;
    uint64_t first, read;
} ranges[] = {
    {"a byte", 0, 1, 0, CHUNK},
    {"a chunk", CHUNK, CHUNK, 1, CHUNK},
    {"over a border", CHUNK - 1, 2, 0, 2 * CHUNK},
    {"the end", SHARD_BYTES - 1, 1, 2, CHUNK / 2},
    {"all", 0, SHARD_BYTES, 0, SHARD_BYTES},
};

static void only_what_is_touched_is_read(void **state)
{
    struct driver *d = *state;
    start(d);
    for (uint32_t i = 0; i < ROWS(ranges); i++) {
        struct agent_work work = reading(d, ranges[i].offset, ranges[i].bytes);
        ROW_HOLDS(&ranges[i], work.chunk_first == ranges[i].first);
        ROW_HOLDS(&ranges[i], work.bytes == ranges[i].read);
        ROW_HOLDS(&ranges[i], work.shard_bytes == SHARD_BYTES);
        ROW_HOLDS(&ranges[i], digest_key_id(&work.key) == digest_key_id(&key));
        ROW_HOLDS(&ranges[i], driver_slot(d, work.slot).bytes == ranges[i].read);
        driver_work(d, work.work, CKPT_OK, 10);
        driver_settle(d);
        const struct message_loaded *m = loaded(d);
        ROW_HOLDS(&ranges[i], m != NULL && m->status == CKPT_OK);
        ROW_HOLDS(&ranges[i], m->slot == work.slot && m->bytes == ranges[i].read);
        ROW_HOLDS(&ranges[i], m->range_offset == ranges[i].first * CHUNK);
        ROW_HOLDS(&ranges[i], m->shard_bytes == SHARD_BYTES);
        ROW_HOLDS(&ranges[i], m->digest_kind == DIGEST_KIND_FINGERPRINT);
        struct digest committed = digest_of(10);
        ROW_HOLDS(&ranges[i], digest_equal(&m->digest, &committed));
        driver_rank_says(
            d, 1,
            (struct message){.type = MESSAGE_RELEASE,
                             .release = {.slot = m->slot, .generation = m->generation}});
        driver_settle(d);
        ROW_HOLDS(&ranges[i], driver_slot(d, work.slot).state == SLOT_FREE);
    }
}

static void the_source_is_asked_for_values_and_let_go(void **state)
{
    struct driver *d = *state;
    start(d);
    ask(d, 1, CHUNK, 1);
    coordinator_is_asked(d);
    struct agent_outgoing out = asking(d, 0);
    assert_int_equal(out.message.offer_ask.values_key, digest_key_id(&key));
    assert_int_equal(out.message.offer_ask.generation, GENERATION_THERE);
    driver_peer(d, out.link, offer_to(&out));
    driver_work(d, driver_works(d, AGENT_WORK_READ)->work, CKPT_OK, 10);
    const struct agent_outgoing *done = driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_DONE);
    assert_non_null(done);
    assert_int_equal(done->message.offer_done.slot, SLOT_THERE);
}

/* Nobody hears of it as of a copy, nor finds it after a restart. */
static void it_is_no_copy(void **state)
{
    struct driver *d = *state;
    start(d);
    struct agent_work work = reading(d, 0, 1);
    driver_work(d, work.work, CKPT_OK, 10);
    driver_settle(d);
    assert_non_null(loaded(d));
    for (uint32_t i = 0; i < 20; i++) {
        driver_tick(d, 100);
        assert_int_equal(driver_said_count(d, MESSAGE_SHARD_REPORT), 0);
    }
    assert_int_equal(driver_slot(d, work.slot).state, SLOT_PULLING);
    assert_true(driver_slot(d, work.slot).cached);
    struct message peer = {.type = MESSAGE_OFFER_ASK,
                           .offer_ask = {.pull = 1,
                                         .shard = key_of(ALICE, 10, 3),
                                         .source_incarnation = life(LIFE_OF_AGENT),
                                         .generation = driver_slot(d, work.slot).generation}};
    driver_peer(d, 77, peer);
    assert_int_equal(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER)->message.offer.status,
                     CKPT_ERR_NOT_FOUND);
}

/* A copy of the whole may come and be here at the same time. */
static void the_whole_is_pulled_beside_it(void **state)
{
    struct driver *d = *state;
    start(d);
    struct agent_work part = reading(d, 0, 1);
    driver_coordinator(d, driver_order(d, 10, 3, SHARD_BYTES));
    struct agent_outgoing out = *source_is_asked(d);
    assert_int_equal(out.message.offer_ask.values_key, DIGEST_KEY_ID_BLAKE3);
    struct message offer = offer_to(&out);
    offer.offer.values_bytes = 0;
    driver_peer(d, out.link, offer);
    struct agent_work read = *driver_works(d, AGENT_WORK_READ);
    uint32_t whole = read.slot;
    assert_int_equal(read.shard_bytes, 0);
    driver_work(d, read.work, CKPT_OK, 10);
    driver_peer(d, out.link,
                (struct message){.type = MESSAGE_OFFER_CLOSED,
                                 .offer_closed = {.pull = out.message.offer_ask.pull}});
    assert_int_not_equal(whole, part.slot);
    driver_work(d, part.work, CKPT_OK, 10);
    driver_settle(d);
    assert_int_equal(loaded(d)->slot, part.slot);
    assert_int_equal(driver_slot(d, whole).state, SLOT_VERIFIED);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    driver_settle(d);
    assert_int_equal(driver_slot(d, part.slot).state, SLOT_FREE);
    assert_int_equal(driver_slot(d, whole).state, SLOT_VERIFIED);
}

/* How a source fails; what was asked of it is in *out. */
typedef void failure(struct driver *d, const struct agent_outgoing *out);

static void refuses(struct driver *d, const struct agent_outgoing *out)
{
    struct message m = offer_to(out);
    m.offer.status = CKPT_ERR_NOT_FOUND;
    driver_peer(d, out->link, m);
}

static void is_of_an_earlier_release(struct driver *d, const struct agent_outgoing *out)
{
    struct message m = offer_to(out);
    m.offer.values_bytes = 0;
    driver_peer(d, out->link, m);
    assert_non_null(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_DONE));
}

static void has_too_few_values(struct driver *d, const struct agent_outgoing *out)
{
    struct message m = offer_to(out);
    m.offer.values_bytes -= FINGERPRINT_VALUE_BYTES;
    driver_peer(d, out->link, m);
}

static void has_another_size(struct driver *d, const struct agent_outgoing *out)
{
    struct message m = offer_to(out);
    m.offer.bytes--;
    driver_peer(d, out->link, m);
}

static void is_gone(struct driver *d, const struct agent_outgoing *out)
{
    driver_event(d, (struct agent_event){.type = AGENT_PEER_DOWN, .link = out->link});
}

static void is_silent(struct driver *d, const struct agent_outgoing *out)
{
    (void)out;
    driver_tick(d, d->config.pull_timeout_ms);
}

static void cannot_be_read(struct driver *d, const struct agent_outgoing *out)
{
    driver_peer(d, out->link, offer_to(out));
    driver_work(d, driver_works(d, AGENT_WORK_READ)->work, CKPT_ERR_LINK, 0);
}

static void has_other_bytes(struct driver *d, const struct agent_outgoing *out)
{
    driver_peer(d, out->link, offer_to(out));
    driver_work(d, driver_works(d, AGENT_WORK_READ)->work, CKPT_OK, 11);
}

static const struct {
    const char *name;
    failure *fails;
} failures[] = {
    {"refuses", refuses},
    {"is of an earlier release", is_of_an_earlier_release},
    {"has too few values", has_too_few_values},
    {"has another size", has_another_size},
    {"is gone", is_gone},
    {"is silent", is_silent},
    {"cannot be read", cannot_be_read},
    {"has other bytes", has_other_bytes},
};

/* Each costs a pass; after the second, of two sources, the whole is asked for. */
static void the_next_source_is_asked_for(void **state)
{
    struct driver *d = *state;
    start(d);
    for (uint32_t i = 0; i < ROWS(failures); i++) {
        ask(d, i + 1, CHUNK, 1);
        coordinator_is_asked(d);
        struct agent_outgoing out = asking(d, 0);
        failures[i].fails(d, &out);
        ROW_HOLDS(&failures[i], loaded(d) == NULL);
        ROW_HOLDS(&failures[i], driver_noted(d, EVENT_range_failed) != NULL);
        coordinator_is_asked(d);
        ROW_HOLDS(&failures[i], asked.range_bytes == 1 && asked.range_pass == 1);
        ROW_HOLDS(&failures[i], driver_said_count(d, MESSAGE_PULL_FAILED) == 0);
        out = asking(d, 1);
        failures[i].fails(d, &out);
        coordinator_is_asked(d);
        ROW_HOLDS(&failures[i], asked.range_bytes == 0 && asked.range_pass == 0);
        driver_settle(d);
    }
    for (uint32_t i = 0; i < d->config.slots; i++) {
        assert_int_equal(driver_slot(d, i).state, SLOT_FREE);
    }
}

static void the_second_source_serves(void **state)
{
    struct driver *d = *state;
    start(d);
    ask(d, 1, 0, 1);
    coordinator_is_asked(d);
    struct agent_outgoing out = asking(d, 0);
    is_gone(d, &out);
    coordinator_is_asked(d);
    out = asking(d, 1);
    driver_peer(d, out.link, offer_to(&out));
    driver_work(d, driver_works(d, AGENT_WORK_READ)->work, CKPT_OK, 10);
    driver_settle(d);
    assert_int_equal(loaded(d)->status, CKPT_OK);
}

/* Where the order of the sources has changed by the failure, the one that failed is told again. */
static void a_source_that_has_failed_is_passed_over(void **state)
{
    struct driver *d = *state;
    start(d);
    ask(d, 1, 0, 1);
    coordinator_is_asked(d);
    struct agent_outgoing out = asking(d, 0);
    is_gone(d, &out);
    coordinator_is_asked(d);
    assert_int_equal(asked.range_pass, 1);
    driver_coordinator(d, verdict(0));
    driver_settle(d);
    assert_null(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK));
    coordinator_is_asked(d);
    assert_int_equal(asked.range_pass, 2);
    assert_int_equal(asked.range_bytes, 1);
    out = asking(d, 1);
    driver_peer(d, out.link, offer_to(&out));
    driver_work(d, driver_works(d, AGENT_WORK_READ)->work, CKPT_OK, 10);
    driver_settle(d);
    assert_int_equal(loaded(d)->status, CKPT_OK);
}

/* As where a coordinator can name no other. */
static void asking_for_another_source_ends(void **state)
{
    struct driver *d = *state;
    start(d);
    ask(d, 1, 0, 1);
    coordinator_is_asked(d);
    struct agent_outgoing out = asking(d, 0);
    is_gone(d, &out);
    for (uint32_t i = 0; i < 4; i++) {
        coordinator_is_asked(d);
        assert_int_equal(asked.range_bytes, 1);
        driver_coordinator(d, verdict(0));
        driver_settle(d);
    }
    coordinator_is_asked(d);
    assert_int_equal(asked.range_bytes, 0);
}

static void without_room_the_whole_is_asked_for(void **state)
{
    struct driver *d = *state;
    start(d);
    for (uint32_t i = 0; i < d->config.segments; i++) {
        driver_pull(d, 11 + i, 3, 4 * CHUNK);
    }
    ask(d, 1, 0, 1);
    coordinator_is_asked(d);
    driver_coordinator(d, verdict(0));
    driver_settle(d);
    assert_null(driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK));
    coordinator_is_asked(d);
    assert_int_equal(asked.range_bytes, 0);
}

static void a_process_that_ends_calls_the_read_off(void **state)
{
    struct driver *d = *state;
    start(d);
    struct agent_work work = reading(d, 0, 1);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    assert_non_null(driver_works(d, AGENT_WORK_CANCEL));
    assert_int_not_equal(driver_slot(d, work.slot).state, SLOT_FREE); /* it is written still */
    driver_work(d, work.work, CKPT_ERR_ABORTED, 0);
    driver_settle(d);
    assert_int_equal(driver_slot(d, work.slot).state, SLOT_FREE);
}

static void a_checkpoint_that_is_retired_meanwhile_is_asked_about(void **state)
{
    struct driver *d = *state;
    start(d);
    struct agent_work work = reading(d, 0, 1);
    driver_checkpoint(d, 10, CHECKPOINT_RETIRED);
    coordinator_is_asked(d);
    assert_int_equal(asked.range_bytes, 0);
    driver_work(d, work.work, CKPT_OK, 10);
    assert_null(loaded(d));
    struct message m = verdict(0);
    m.load_verdict.status = CKPT_ERR_NOT_FOUND;
    driver_coordinator(d, m);
    assert_int_equal(loaded(d)->status, CKPT_ERR_NOT_FOUND);
}

static void its_time_ends_it(void **state)
{
    struct driver *d = *state;
    start(d);
    struct agent_work work = reading(d, 0, 1);
    driver_tick(d, d->config.load_timeout_ms);
    assert_non_null(loaded(d));
    assert_int_not_equal(loaded(d)->status, CKPT_OK);
    driver_work(d, work.work, CKPT_OK, 10);
    driver_settle(d);
    assert_int_equal(driver_slot(d, work.slot).state, SLOT_FREE);
}

/* What is in the arena's record of it is never a copy. */
static void a_later_agent_does_not_adopt_it(void **state)
{
    struct driver *d = *state;
    start(d);
    struct agent_work work = reading(d, 0, 1);
    const struct slot_record *record = NULL;
    driver_work(d, work.work, CKPT_OK, 10);
    record = driver_stored(d, work.slot);
    assert_true(record == NULL || record->state == SLOT_PULLING);
}

static const struct {
    const char *name;
    uint64_t kept_under; /* 0: the key */
    bool is_told;
} keys[] = {
    {"the key that was asked for", 0, true},
    {"another key", 5, false},
};

/* As a source: values go with the offer where they are of the key that the reader has. */
static void values_are_told_of_the_right_key(void **state)
{
    struct driver *d = *state;
    start(d);
    struct message told = {.type = MESSAGE_SEAT_TOLD};
    told.seat_told.run = key_of(ALICE, 0, 0).run;
    told.seat_told.rank = 3;
    told.seat_told.seat = (struct nonce){{1, 3, (uint8_t)ALICE}};
    told.seat_told.start = (struct nonce){{2}};
    told.seat_told.attempt = 1;
    told.seat_told.key = key;
    driver_coordinator(d, told);
    uint32_t slot = driver_pull(d, 10, 3, SHARD_BYTES);
    for (uint32_t i = 0; i < ROWS(keys); i++) {
        uint64_t id = keys[i].kept_under != 0 ? keys[i].kept_under : digest_key_id(&key);
        struct message m = {.type = MESSAGE_OFFER_ASK,
                            .offer_ask = {.pull = i,
                                          .shard = key_of(ALICE, 10, 3),
                                          .source_incarnation = life(LIFE_OF_AGENT),
                                          .generation = driver_slot(d, slot).generation,
                                          .values_key = id}};
        driver_peer(d, 77, m);
        const struct agent_outgoing *out = driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER);
        ROW_HOLDS(&keys[i], out->message.offer.status == CKPT_OK);
        ROW_HOLDS(&keys[i], out->values_key == (keys[i].is_told ? id : 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(only_what_is_touched_is_read, driver),
        MACHINE_TEST(the_source_is_asked_for_values_and_let_go, driver),
        MACHINE_TEST(it_is_no_copy, driver),
        MACHINE_TEST(the_whole_is_pulled_beside_it, driver),
        MACHINE_TEST(the_next_source_is_asked_for, driver),
        MACHINE_TEST(the_second_source_serves, driver),
        MACHINE_TEST(a_source_that_has_failed_is_passed_over, driver),
        MACHINE_TEST(asking_for_another_source_ends, driver),
        MACHINE_TEST(without_room_the_whole_is_asked_for, driver),
        MACHINE_TEST(a_process_that_ends_calls_the_read_off, driver),
        MACHINE_TEST(a_checkpoint_that_is_retired_meanwhile_is_asked_about, driver),
        MACHINE_TEST(its_time_ends_it, driver),
        MACHINE_TEST(a_later_agent_does_not_adopt_it, driver),
        MACHINE_TEST(values_are_told_of_the_right_key, driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
