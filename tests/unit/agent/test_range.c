/* SPDX-License-Identifier: Apache-2.0 */
/* A process reads a part of a shard: which chunks are digested for it, when it gets the memory, and
 * when the whole is asked for in its place. The shard is rank 3's of step 10; it has two and a half
 * chunks, and lies in one slot here. */
#include "unit/agent/story.h"

#include <string.h>

#define CHUNK CKPT_CHUNK_BYTES
#define SHARD_BYTES (CHUNK * 5 / 2)

static const struct digest_key key = {.kind = DIGEST_KIND_FINGERPRINT, .secret = {{4}}};

static struct message_load_ask asked; /* of the coordinator, last */
static uint32_t slot;

static void start_with(struct driver *d, uint32_t features)
{
    driver_config(d);
    d->config.segment_bytes = 4 * CHUNK;
    driver_start(d);
    driver_join_saying(d, features);
    driver_rank(d, 1, ALICE, 3);
}

/* Step 10 is here, and proven under the key. */
static void start(struct driver *d)
{
    start_with(d, WIRE_FEATURE_FINGERPRINT | WIRE_FEATURE_RANGES);
    struct message told = {.type = MESSAGE_SEAT_TOLD};
    told.seat_told.run = key_of(ALICE, 0, 0).run;
    told.seat_told.rank = 3;
    told.seat_told.seat = (struct nonce){{1, 3, (uint8_t)ALICE}};
    told.seat_told.start = (struct nonce){{2}};
    told.seat_told.attempt = 1;
    told.seat_told.key = key;
    driver_coordinator(d, told);
    slot = driver_pull(d, 10, 3, SHARD_BYTES);
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

/* The coordinator was asked in the last turn. */
static bool is_asked(const struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_LOAD_ASK);
    if (out != NULL) {
        asked = out->message.load_ask;
    }
    return out != NULL;
}

static const struct message_loaded *loaded(const struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_LOADED);
    return out != NULL ? &out->message.loaded : NULL;
}

static struct message whole_verdict(enum ckpt_status status)
{
    return (struct message){.type = MESSAGE_LOAD_VERDICT,
                            .load_verdict = {.run = asked.run,
                                             .asking_rank = asked.asking_rank,
                                             .load = asked.load,
                                             .reader = asked.reader,
                                             .status = status,
                                             .shard = key_of(ALICE, 10, asked.rank)}};
}

/* That the copy here is the source, as it is. */
static struct message verdict(const struct driver *d)
{
    struct message m = whole_verdict(CKPT_OK);
    m.load_verdict.digest = digest_of(10);
    m.load_verdict.bytes = SHARD_BYTES;
    m.load_verdict.world = 4;
    m.load_verdict.key = key;
    m.load_verdict.source_count = 2;
    m.load_verdict.source_incarnation = life(LIFE_OF_AGENT);
    m.load_verdict.source_generation = driver_slot(d, slot).generation;
    return m;
}

/* Up to the digest of the range: its work. */
static struct agent_work proving(struct driver *d, uint64_t offset, uint64_t bytes)
{
    ask(d, 1, offset, bytes);
    assert_true(is_asked(d));
    assert_int_equal(asked.range_offset, offset);
    assert_int_equal(asked.range_bytes, bytes);
    driver_coordinator(d, verdict(d));
    driver_settle(d);
    const struct agent_work *work = driver_works(d, AGENT_WORK_DIGEST);
    assert_non_null(work);
    assert_null(loaded(d));
    return *work;
}

static const struct {
    const char *name;
    uint64_t offset, bytes;
    uint64_t first, count;
} ranges[] = {
    {"a byte", 0, 1, 0, 1},
    {"a chunk", CHUNK, CHUNK, 1, 1},
    {"over a border", CHUNK - 1, 2, 0, 2},
    {"the end", SHARD_BYTES - 1, 1, 2, 1},
    {"all", 0, SHARD_BYTES, 0, 3},
};

static void only_what_is_touched_is_digested(void **state)
{
    struct driver *d = *state;
    start(d);
    for (uint32_t i = 0; i < ROWS(ranges); i++) {
        ask(d, i + 1, ranges[i].offset, ranges[i].bytes);
        ROW_HOLDS(&ranges[i], is_asked(d));
        driver_coordinator(d, verdict(d));
        driver_settle(d);
        const struct agent_work *work = driver_works(d, AGENT_WORK_DIGEST);
        ROW_HOLDS(&ranges[i], work != NULL && work->slot == slot);
        ROW_HOLDS(&ranges[i], work->chunk_first == ranges[i].first);
        ROW_HOLDS(&ranges[i], work->chunk_count == ranges[i].count);
        ROW_HOLDS(&ranges[i], digest_key_id(&work->key) == digest_key_id(&key));
        driver_work(d, work->work, CKPT_OK, 10);
        ROW_HOLDS(&ranges[i], loaded(d) != NULL && loaded(d)->status == CKPT_OK);
        ROW_HOLDS(&ranges[i], loaded(d)->load == i + 1 && loaded(d)->slot == slot);
        ROW_HOLDS(&ranges[i], !loaded(d)->whole);
        ROW_HOLDS(&ranges[i], driver_slot(d, slot).pins == i + 1);
    }
}

static void what_is_lent_is_given_back(void **state)
{
    struct driver *d = *state;
    start(d);
    struct agent_work work = proving(d, 0, 1);
    assert_int_equal(driver_slot(d, slot).pins, 1); /* nobody frees it meanwhile */
    driver_work(d, work.work, CKPT_OK, 10);
    ask(d, 1, 0, 1); /* the answer was lost */
    assert_non_null(loaded(d));
    driver_rank_says(
        d, 1,
        (struct message){.type = MESSAGE_RELEASE,
                         .release = {.slot = slot, .generation = driver_slot(d, slot).generation}});
    assert_int_equal(driver_slot(d, slot).pins, 0);
}

/* The ask that follows names no range, and is answered by a verdict about the whole alone. */
static void check_whole_is_asked(struct driver *d)
{
    driver_settle(d);
    if (!is_asked(d)) {
        driver_tick(d, 1);
        assert_true(is_asked(d));
    }
    assert_int_equal(asked.range_bytes, 0);
    assert_null(loaded(d));
    assert_int_equal(driver_slot(d, slot).pins, 0);
    driver_coordinator(d, verdict(d)); /* the range's, late: it proves nothing of the whole */
    driver_settle(d);
    assert_null(loaded(d));
    assert_null(driver_works(d, AGENT_WORK_DIGEST));
    driver_coordinator(d, whole_verdict(CKPT_OK));
    assert_non_null(loaded(d));
    assert_int_equal(loaded(d)->status, CKPT_OK);
    assert_true(loaded(d)->whole);
}

static void other_bytes_are_not_handed_out(void **state)
{
    struct driver *d = *state;
    start(d);
    struct agent_work work = proving(d, 0, 1);
    driver_work(d, work.work, CKPT_OK, 11);
    check_whole_is_asked(d);
}

static void without_kept_values_the_whole_is_proven(void **state)
{
    struct driver *d = *state;
    start(d);
    struct agent_work work = proving(d, 0, 1);
    driver_work(d, work.work, CKPT_ERR_NOT_FOUND, 0);
    check_whole_is_asked(d);
}

static void another_source(struct message_load_verdict *v)
{
    v->source_incarnation = life(LIFE_OF_PEER);
}

static void another_generation(struct message_load_verdict *v)
{
    v->source_generation++;
}

static void another_size(struct message_load_verdict *v)
{
    v->bytes++;
}

static void blake3(struct message_load_verdict *v)
{
    v->key = (struct digest_key){.kind = DIGEST_KIND_BLAKE3};
}

static void no_key(struct message_load_verdict *v)
{
    v->key = (struct digest_key){.kind = DIGEST_KIND_UNKNOWN};
}

static const struct {
    const char *name;
    void (*change)(struct message_load_verdict *);
} others[] = {
    {"another source", another_source},
    {"another generation", another_generation},
    {"another size", another_size},
    {"BLAKE3", blake3},
    {"no key", no_key},
};

static void what_cannot_be_proven_here_is_asked_for_whole(void **state)
{
    struct driver *d = *state;
    start(d);
    for (uint32_t i = 0; i < ROWS(others); i++) {
        ask(d, i + 1, 0, 1);
        ROW_HOLDS(&others[i], is_asked(d));
        struct message m = verdict(d);
        others[i].change(&m.load_verdict);
        driver_coordinator(d, m);
        driver_settle(d);
        ROW_HOLDS(&others[i], driver_works(d, AGENT_WORK_DIGEST) == NULL);
        ROW_HOLDS(&others[i], loaded(d) == NULL);
        if (!is_asked(d)) {
            driver_tick(d, 1);
            ROW_HOLDS(&others[i], is_asked(d));
        }
        ROW_HOLDS(&others[i], asked.range_bytes == 0);
    }
}

static void a_coordinator_of_before_is_asked_for_the_whole(void **state)
{
    struct driver *d = *state;
    start_with(d, WIRE_FEATURE_FINGERPRINT);
    slot = driver_pull(d, 10, 3, SHARD_BYTES);
    ask(d, 1, 5, 1);
    assert_true(is_asked(d));
    assert_int_equal(asked.range_bytes, 0);
    assert_int_equal(asked.range_offset, 0);
    driver_coordinator(d, whole_verdict(CKPT_OK));
    assert_non_null(loaded(d));
    assert_true(loaded(d)->whole);
}

static void a_refusal_is_passed_on(void **state)
{
    struct driver *d = *state;
    start(d);
    ask(d, 1, SHARD_BYTES, 1);
    assert_true(is_asked(d));
    driver_coordinator(d, whole_verdict(CKPT_ERR_SIZE));
    assert_int_equal(loaded(d)->status, CKPT_ERR_SIZE);
}

/* Its memory is kept while its chunks are digested, and what comes of it reaches nobody. */
static void a_process_that_ends_lets_go(void **state)
{
    struct driver *d = *state;
    start(d);
    struct agent_work work = proving(d, 0, 1);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    assert_int_equal(driver_slot(d, slot).pins, 0);
    driver_work(d, work.work, CKPT_OK, 10);
    assert_null(loaded(d));
    assert_int_equal(driver_slot(d, slot).pins, 0);
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
}

static void a_checkpoint_that_is_retired_meanwhile_is_asked_about(void **state)
{
    struct driver *d = *state;
    start(d);
    struct agent_work work = proving(d, 0, 1);
    driver_checkpoint(d, 10, CHECKPOINT_RETIRED);
    assert_int_not_equal(driver_slot(d, slot).state, SLOT_FREE);
    driver_work(d, work.work, CKPT_OK, 10);
    assert_null(loaded(d));
    driver_settle(d);
    if (!is_asked(d)) {
        driver_tick(d, 1);
        assert_true(is_asked(d));
    }
    driver_coordinator(d, whole_verdict(CKPT_ERR_NOT_FOUND));
    assert_int_equal(loaded(d)->status, CKPT_ERR_NOT_FOUND);
    driver_settle(d);
    assert_int_equal(driver_slot(d, slot).state, SLOT_FREE);
}

/* One work at a time over a slot: two readers follow each other. */
static void readers_of_one_slot_wait_for_each_other(void **state)
{
    struct driver *d = *state;
    start(d);
    struct agent_work first = proving(d, 0, 1);
    ask(d, 2, CHUNK, 1);
    assert_true(is_asked(d));
    driver_coordinator(d, verdict(d));
    driver_settle(d);
    assert_null(driver_works(d, AGENT_WORK_DIGEST));
    driver_work(d, first.work, CKPT_OK, 10);
    assert_int_equal(loaded(d)->load, 1);
    const struct agent_work *second = driver_works(d, AGENT_WORK_DIGEST);
    assert_non_null(second);
    assert_int_equal(second->chunk_first, 1);
    driver_work(d, second->work, CKPT_OK, 10);
    assert_int_equal(loaded(d)->load, 2);
}

static void one_load_is_of_one_range(void **state)
{
    struct driver *d = *state;
    start(d);
    (void)proving(d, 0, 1);
    ask(d, 1, 0, 1);
    assert_null(loaded(d)); /* a repeat */
    ask(d, 1, 0, 2);
    assert_int_equal(loaded(d)->status, CKPT_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(only_what_is_touched_is_digested, driver),
        MACHINE_TEST(what_is_lent_is_given_back, driver),
        MACHINE_TEST(other_bytes_are_not_handed_out, driver),
        MACHINE_TEST(without_kept_values_the_whole_is_proven, driver),
        MACHINE_TEST(what_cannot_be_proven_here_is_asked_for_whole, driver),
        MACHINE_TEST(a_coordinator_of_before_is_asked_for_the_whole, driver),
        MACHINE_TEST(a_refusal_is_passed_on, driver),
        MACHINE_TEST(a_process_that_ends_lets_go, driver),
        MACHINE_TEST(a_checkpoint_that_is_retired_meanwhile_is_asked_about, driver),
        MACHINE_TEST(readers_of_one_slot_wait_for_each_other, driver),
        MACHINE_TEST(one_load_is_of_one_range, driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
