/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of the agent: digests, renewals and reads, over a real arena and the in-process
 * transport. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "mover/rails.h"
#include "unit/mover/fixture.h"

static void fill(const uint16_t *segments, uint64_t bytes, const uint8_t *from)
{
    for (uint64_t at = 0; at < bytes; at += SEGMENT_BYTES) {
        uint64_t left = bytes - at < SEGMENT_BYTES ? bytes - at : SEGMENT_BYTES;
        memcpy(arena_segment_address(arena, segments[at / SEGMENT_BYTES]), from + at, left);
    }
}

static struct digest_key proof_key = {.kind = DIGEST_KIND_BLAKE3}; /* of the works made next */

static uint64_t part_first, part_count; /* of the works made next; 0 chunks: the whole */

static bool is_scrub;
static uint64_t patience_ms;

static struct work *make(enum work_type type, const uint16_t *segments, uint32_t n)
{
    struct work_plan plan = {.type = type,
                             .number = 77,
                             .slot = 1,
                             .generation = 5,
                             .bytes = type == WORK_RENEW ? 0 : SHARD_BYTES,
                             .segments = segments,
                             .segment_count = n,
                             .arena = arena,
                             .engine = engine,
                             .chunk_first = part_first,
                             .chunk_count = part_count,
                             .key = proof_key,
                             .scrubs = is_scrub,
                             .patience_ms = patience_ms,
                             .finished = completions_post_work,
                             .context = completions};
    struct work *work = work_make(&plan);
    assert_non_null(work);
    return work;
}

static void digests_a_slot_over_several_segments(void **state)
{
    (void)state;
    const uint16_t segments[] = {4, 1};
    struct digest expected;
    fill(segments, SHARD_BYTES, source.memory);
    digest_bytes(engine, source.memory, SHARD_BYTES, &expected);
    digester_add(digester, make(WORK_DIGEST, segments, 2));
    struct work *work = wait_work();
    assert_int_equal(work->plan.number, 77);
    assert_int_equal(atomic_load(&work->status), CKPT_OK);
    assert_true(digest_equal(&work->digest, &expected));
    work_free(work);
}

static struct work *make_part(const uint16_t *segments, uint64_t first, uint64_t count)
{
    part_first = first;
    part_count = count;
    struct work *work = make(WORK_DIGEST, segments, 2);
    part_first = part_count = 0;
    return work;
}

static void prove_by_fingerprint(uint8_t fill)
{
    proof_key.kind = DIGEST_KIND_FINGERPRINT;
    memset(proof_key.secret.bytes, fill, sizeof proof_key.secret.bytes);
}

static int prove_by_blake3(void **state)
{
    (void)state;
    memset(&proof_key, 0, sizeof proof_key);
    proof_key.kind = DIGEST_KIND_BLAKE3;
    return 0;
}

/* The bytes of `source`, as the machine would have them. */
static void expected_digest(struct digest *digest_out)
{
    struct fingerprint_key key;
    if (proof_key.kind == DIGEST_KIND_BLAKE3) {
        digest_bytes(engine, source.memory, SHARD_BYTES, digest_out);
        return;
    }
    fingerprint_key_derive(proof_key.secret.bytes, &key);
    fingerprint_bytes(engine, &key, source.memory, SHARD_BYTES, digest_out);
}

/* Values of slot 1's generation 5, in these segments, as make() makes works over them. */
static enum ckpt_status load_values(const uint16_t *segments, uint8_t values_out[4 * 16])
{
    struct arena_values of = {.slot = 1,
                              .generation = 5,
                              .digest_key = digest_key_id(&proof_key),
                              .bytes = SHARD_BYTES,
                              .segments = segments,
                              .segment_count = 2};
    return arena_values_load(arena, &of, values_out);
}

/* They are of the bytes in memory, chunk by chunk, and fold into the slot's fingerprint. */
static void check_values(const uint16_t *segments, const struct digest *fingerprint)
{
    uint8_t values[4 * FINGERPRINT_VALUE_BYTES], value[FINGERPRINT_VALUE_BYTES];
    struct fingerprint_key key;
    struct digest folded;
    fingerprint_key_derive(proof_key.secret.bytes, &key);
    assert_int_equal(load_values(segments, values), CKPT_OK);
    assert_int_equal(fingerprint_fold(values, 4, SHARD_BYTES, &folded), CKPT_OK);
    assert_true(digest_equal(&folded, fingerprint));
    for (uint64_t i = 0; i < 4; i++) {
        const uint8_t *at =
            arena_segment_address(arena, segments[i / 2]) + i % 2 * CKPT_CHUNK_BYTES;
        size_t bytes = (size_t)digest_chunk_bytes(i, SHARD_BYTES);
        assert_int_equal(fingerprint_chunk(engine, &key, at, bytes, value), CKPT_OK);
        assert_memory_equal(value, values + i * sizeof value, sizeof value);
    }
}

static void fingerprints_a_slot_and_keeps_its_values(void **state)
{
    (void)state;
    const uint16_t segments[] = {4, 1};
    uint8_t values[4 * FINGERPRINT_VALUE_BYTES];
    struct digest expected;
    fill(segments, SHARD_BYTES, source.memory);
    for (uint8_t key = 1; key <= 2; key++) {
        prove_by_fingerprint(key);
        assert_int_equal(load_values(segments, values), CKPT_ERR_NOT_FOUND);
        expected_digest(&expected);
        digester_add(digester, make(WORK_DIGEST, segments, 2));
        struct work *work = wait_work();
        assert_int_equal(atomic_load(&work->status), CKPT_OK);
        assert_true(digest_equal(&work->digest, &expected));
        check_values(segments, &expected);
        work_free(work);
    }
    prove_by_blake3(NULL); /* asked for beside the proof: its values stay */
    digester_add(digester, make(WORK_DIGEST, segments, 2));
    work_free(wait_work());
    prove_by_fingerprint(2);
    check_values(segments, &expected);
}

/* What changes in memory changes the value of its chunk, and no other. */
static void values_are_of_the_bytes_as_they_lie(void **state)
{
    (void)state;
    const uint16_t segments[] = {4, 1};
    uint8_t before[4 * FINGERPRINT_VALUE_BYTES], after[4 * FINGERPRINT_VALUE_BYTES];
    prove_by_fingerprint(3);
    fill(segments, SHARD_BYTES, source.memory);
    digester_add(digester, make(WORK_DIGEST, segments, 2));
    work_free(wait_work());
    assert_int_equal(load_values(segments, before), CKPT_OK);
    arena_segment_address(arena, 1)[17] ^= 1; /* of the third chunk */
    digester_add(digester, make(WORK_DIGEST, segments, 2));
    struct work *work = wait_work();
    check_values(segments, &work->digest);
    work_free(work);
    assert_int_equal(load_values(segments, after), CKPT_OK);
    for (size_t i = 0; i < 4; i++) {
        bool same = memcmp(before + i * FINGERPRINT_VALUE_BYTES,
                           after + i * FINGERPRINT_VALUE_BYTES, FINGERPRINT_VALUE_BYTES) == 0;
        assert_int_equal(same, i != 2);
    }
}

static struct work *digest_part(const uint16_t *segments, uint64_t first, uint64_t count)
{
    digester_add(digester, make_part(segments, first, count));
    return wait_work();
}

/* The whole once, so that its values are kept. */
static void digest_whole(const uint16_t *segments, struct digest *digest_out)
{
    fill(segments, SHARD_BYTES, source.memory);
    digester_add(digester, make(WORK_DIGEST, segments, 2));
    struct work *work = wait_work();
    assert_int_equal(atomic_load(&work->status), CKPT_OK);
    *digest_out = work->digest;
    work_free(work);
}

/* The work's answer for a part is the fingerprint of the whole when the part is as it was, and
 * another when it is not: whatever became of the other chunks. */
static void a_part_is_proven_without_the_rest(void **state)
{
    (void)state;
    const uint16_t segments[] = {4, 1};
    struct digest whole;
    prove_by_fingerprint(5);
    digest_whole(segments, &whole);
    arena_segment_address(arena, 1)[17] ^= 1; /* of the third chunk */
    for (uint64_t first = 0; first < 4; first++) {
        for (uint64_t count = 1; count <= 4 - first; count++) {
            struct work *work = digest_part(segments, first, count);
            bool touches = first <= 2 && first + count > 2;
            assert_int_equal(atomic_load(&work->status), CKPT_OK);
            assert_int_equal(digest_equal(&work->digest, &whole), !touches);
            work_free(work);
        }
    }
    arena_segment_address(arena, 1)[17] ^= 1;
    check_values(segments, &whole); /* a part's digest leaves what is kept as it was */
}

static void a_part_needs_the_values_of_its_own_key(void **state)
{
    (void)state;
    const uint16_t segments[] = {4, 1};
    struct digest whole;
    prove_by_fingerprint(6);
    digest_whole(segments, &whole);
    prove_by_fingerprint(7);
    struct work *work = digest_part(segments, 1, 1);
    assert_int_equal(atomic_load(&work->status), CKPT_ERR_NOT_FOUND);
    work_free(work);
    prove_by_blake3(NULL);
    work = digest_part(segments, 1, 1);
    assert_int_equal(atomic_load(&work->status), CKPT_ERR_NOT_FOUND);
    work_free(work);
}

/* A rank waits for a renewal, nobody for the digest before it. */
static void a_held_digest_lets_a_renewal_pass(void **state)
{
    (void)state;
    const uint16_t digested[] = {4, 1};
    const uint16_t renewed[] = {2};
    digester_hold(digester, true);
    digester_add(digester, make(WORK_DIGEST, digested, 2));
    digester_add(digester, make(WORK_RENEW, renewed, 1));
    struct work *work = wait_work();
    assert_int_equal(work->plan.type, WORK_RENEW);
    work_free(work);
    digester_add(digester, make(WORK_RENEW, renewed, 1));
    work = wait_work();
    assert_int_equal(work->plan.type, WORK_RENEW);
    work_free(work);
    digester_hold(digester, false);
    work = wait_work();
    assert_int_equal(work->plan.type, WORK_DIGEST);
    assert_int_equal(atomic_load(&work->status), CKPT_OK);
    work_free(work);
}

static struct work *make_scrub(uint64_t patience)
{
    const uint16_t segments[] = {4, 1};
    is_scrub = true;
    patience_ms = patience;
    struct work *work = make(WORK_DIGEST, segments, 2);
    is_scrub = false;
    patience_ms = 0;
    return work;
}

static bool is_nothing_finished(int wait_ms)
{
    struct pollfd waiter = {.fd = completions_fd(completions), .events = POLLIN};
    return poll(&waiter, 1, wait_ms) == 0;
}

static void a_scrub_waits_while_a_rank_copies_and_ends_after(void **state)
{
    (void)state;
    digester_saves(digester, true);
    digester_add(digester, make_scrub(60000));
    assert_true(is_nothing_finished(100));
    digester_saves(digester, false);
    struct work *work = wait_work();
    assert_int_equal(atomic_load(&work->status), CKPT_OK);
    work_free(work);
}

static void a_scrub_lets_other_digests_go_first(void **state)
{
    (void)state;
    const uint16_t segments[] = {4, 1};
    digester_hold(digester, true);
    digester_add(digester, make_scrub(60000));
    digester_add(digester, make(WORK_DIGEST, segments, 2));
    assert_true(is_nothing_finished(50));
    digester_hold(digester, false);
    struct work *work = wait_work();
    assert_false(work->plan.scrubs);
    work_free(work);
    work = wait_work();
    assert_true(work->plan.scrubs);
    assert_int_equal(atomic_load(&work->status), CKPT_OK);
    work_free(work);
}

static void a_scrub_whose_patience_is_over_waits_for_nobody(void **state)
{
    (void)state;
    digester_saves(digester, true);
    digester_hold(digester, true);
    digester_add(digester, make_scrub(50));
    struct work *work = wait_work();
    assert_int_equal(atomic_load(&work->status), CKPT_OK);
    work_free(work);
    digester_add(digester, make_scrub(0));
    work = wait_work();
    assert_int_equal(atomic_load(&work->status), CKPT_OK);
    work_free(work);
    digester_hold(digester, false);
    digester_saves(digester, false);
}

static void a_scrub_that_is_cancelled_ends_at_once(void **state)
{
    (void)state;
    digester_saves(digester, true);
    digester_add(digester, make_scrub(60000));
    assert_false(digester_cancel(digester, 78));
    assert_true(digester_cancel(digester, 77));
    assert_false(digester_cancel(digester, 77));
    struct work *work = wait_work();
    assert_int_equal(atomic_load(&work->status), CKPT_ERR_ABORTED);
    work_free(work);
    digester_saves(digester, false);
}

static void renewal_zeroes_what_nobody_has_open_and_replaces_the_rest(void **state)
{
    (void)state;
    struct mover *mover;
    const uint16_t segments[] = {2, 3};
    int kept;
    struct rails rails = {.spec = "loop"};
    struct mover_options options = {.rails = &rails};
    assert_int_equal(start_mover(&options, &mover), CKPT_OK);
    fill(segments, 2 * SEGMENT_BYTES, source.memory);
    assert_int_equal(arena_segment_fd(arena, 3, false, &kept), CKPT_OK);
    digester_add(digester, make(WORK_RENEW, segments, 2));
    struct work *work = wait_work();
    assert_true(work->is_handed_back);
    assert_int_equal(work->wanting_count, 1);
    assert_int_equal(work->wanting[0], 3);
    mover_renew(mover, work);
    work = wait_work();
    assert_false(work->is_handed_back);
    assert_int_equal(atomic_load(&work->status), CKPT_OK);
    work_free(work);
    for (uint32_t i = 0; i < 2; i++) {
        const uint8_t *address = arena_segment_address(arena, segments[i]);
        for (size_t at = 0; at < SEGMENT_BYTES; at += 511) {
            assert_int_equal(address[at], 0);
        }
    }
    /* Who kept a descriptor has the old bytes, and no hold on the new ones. */
    uint8_t byte = 1;
    assert_int_equal(pwrite(kept, &byte, 1, 0), 1);
    assert_int_equal(arena_segment_address(arena, 3)[0], 0);
    close(kept);
    mover_stop(&mover);
}

static void take_offer(struct work *work, const uint8_t *values, uint32_t values_bytes)
{
    struct message_region regions[2];
    for (int i = 0; i < 2; i++) {
        regions[i] = (struct message_region){.bytes = (uint32_t)source.descriptor_bytes[i],
                                             .descriptor = source.descriptors[i]};
    }
    struct message_offer offer = {.bytes = SHARD_BYTES,
                                  .segment_bytes = SEGMENT_BYTES,
                                  .worker_address = source.address,
                                  .worker_address_bytes = (uint32_t)source.address_bytes,
                                  .region_count = 2,
                                  .regions = regions,
                                  .values = values,
                                  .values_bytes = values_bytes};
    assert_true(work_take_offer(work, 9, &offer));
}

static struct work *make_read(const uint16_t *segments, uint32_t n)
{
    struct work *work = make(WORK_READ, segments, n);
    take_offer(work, NULL, 0);
    return work;
}

static void read_with(const char *transport, bool cancel)
{
    struct mover *mover;
    const uint16_t segments[] = {5, 0};
    struct digest expected;
    struct rails rails = {0};
    struct mover_options options = {.rails = &rails, .timeout_ms = 2000, .depth = 2};
    snprintf(rails.spec, sizeof rails.spec, "%s", transport);
    assert_int_equal(start_mover(&options, &mover), CKPT_OK);
    expected_digest(&expected);
    mover_read(mover, make_read(segments, 2));
    if (cancel) {
        mover_cancel(mover, 77);
    }
    struct work *work = wait_work();
    enum ckpt_status status = (enum ckpt_status)atomic_load(&work->status);
    if (cancel) {
        assert_true(status == CKPT_ERR_ABORTED || status == CKPT_OK);
    } else if (strstr(transport, "error") != NULL) {
        assert_int_not_equal(status, CKPT_OK);
    } else if (strstr(transport, "corrupt") != NULL) {
        assert_int_equal(status, CKPT_OK);
        assert_false(digest_equal(&work->digest, &expected));
    } else {
        assert_int_equal(status, CKPT_OK);
        assert_true(digest_equal(&work->digest, &expected));
        assert_memory_equal(arena_segment_address(arena, 5), source.memory, SEGMENT_BYTES);
        if (proof_key.kind == DIGEST_KIND_FINGERPRINT) {
            check_values(segments, &expected);
        }
    }
    work_free(work);
    mover_stop(&mover);
}

static void reads_and_digests_what_lands(void **state)
{
    (void)state;
    read_with("loop", false);
}

static void reads_and_fingerprints_what_lands(void **state)
{
    (void)state;
    prove_by_fingerprint(4);
    read_with("loop", false);
}

/* Of the shard at `source`, these chunks alone, into memory of their own, with these values of all
 * of them. */
static struct work *read_range(struct mover *mover, uint64_t first, uint64_t count,
                               const uint8_t *values, uint32_t values_bytes)
{
    const uint16_t segments[] = {5, 0};
    uint64_t left = SHARD_BYTES - first * CKPT_CHUNK_BYTES;
    uint64_t bytes = count * CKPT_CHUNK_BYTES < left ? count * CKPT_CHUNK_BYTES : left;
    struct work_plan plan = {.type = WORK_READ,
                             .number = 77,
                             .slot = 2,
                             .generation = 5,
                             .bytes = bytes,
                             .segments = segments,
                             .segment_count = bytes > SEGMENT_BYTES ? 2 : 1,
                             .arena = arena,
                             .engine = engine,
                             .chunk_first = first,
                             .shard_bytes = SHARD_BYTES,
                             .key = proof_key,
                             .finished = completions_post_work,
                             .context = completions};
    struct work *work = work_make(&plan);
    assert_non_null(work);
    take_offer(work, values, values_bytes);
    mover_read(mover, work);
    work = wait_work();
    if (atomic_load(&work->status) == CKPT_OK) {
        for (uint64_t at = 0; at < bytes; at += SEGMENT_BYTES) {
            size_t piece = (size_t)(bytes - at < SEGMENT_BYTES ? bytes - at : SEGMENT_BYTES);
            assert_memory_equal(arena_segment_address(arena, segments[at / SEGMENT_BYTES]),
                                source.memory + first * CKPT_CHUNK_BYTES + at, piece);
        }
    }
    return work;
}

/* The values of the chunks that are read are of the bytes that came, the others as they were told:
 * what they fold into is the shard's digest only when all of them are right. */
static void a_range_is_read_and_proven_by_the_others_values(void **state)
{
    (void)state;
    const uint16_t whole[] = {4, 1};
    uint8_t values[4 * FINGERPRINT_VALUE_BYTES], wrong[4 * FINGERPRINT_VALUE_BYTES];
    struct digest expected;
    struct mover *mover;
    struct rails rails = {.spec = "loop"};
    struct mover_options options = {.rails = &rails, .timeout_ms = 2000, .depth = 2};
    assert_int_equal(start_mover(&options, &mover), CKPT_OK);
    prove_by_fingerprint(8);
    digest_whole(whole, &expected);
    assert_int_equal(load_values(whole, values), CKPT_OK);
    memcpy(wrong, values, sizeof wrong);
    wrong[2 * FINGERPRINT_VALUE_BYTES] ^= 1; /* of the third chunk */
    for (uint64_t first = 0; first < 4; first++) {
        for (uint64_t count = 1; count <= 4 - first; count++) {
            bool reads_third = first <= 2 && first + count > 2;
            struct work *work = read_range(mover, first, count, values, sizeof values);
            assert_int_equal(atomic_load(&work->status), CKPT_OK);
            assert_true(digest_equal(&work->digest, &expected));
            work_free(work);
            work = read_range(mover, first, count, wrong, sizeof wrong);
            assert_int_equal(atomic_load(&work->status), CKPT_OK);
            assert_int_equal(digest_equal(&work->digest, &expected), reads_third);
            work_free(work);
        }
    }
    check_values(whole, &expected); /* of the slot that has them all: they stay */
    mover_stop(&mover);
}

static void a_range_needs_the_values_of_all_chunks(void **state)
{
    (void)state;
    uint8_t values[4 * FINGERPRINT_VALUE_BYTES] = {0};
    struct mover *mover;
    struct rails rails = {.spec = "loop"};
    struct mover_options options = {.rails = &rails, .timeout_ms = 2000, .depth = 2};
    assert_int_equal(start_mover(&options, &mover), CKPT_OK);
    prove_by_fingerprint(8);
    struct work *work = read_range(mover, 1, 1, values, 3 * FINGERPRINT_VALUE_BYTES);
    assert_int_equal(atomic_load(&work->status), CKPT_ERR_NOT_FOUND);
    work_free(work);
    prove_by_blake3(NULL);
    work = read_range(mover, 1, 1, values, sizeof values);
    assert_int_equal(atomic_load(&work->status), CKPT_ERR_NOT_FOUND);
    work_free(work);
    mover_stop(&mover);
}

static void a_held_read_begins_when_it_may(void **state)
{
    (void)state;
    struct mover *mover;
    const uint16_t segments[] = {5, 0};
    struct rails rails = {.spec = "loop"};
    struct mover_options options = {.rails = &rails, .timeout_ms = 2000, .depth = 2};
    struct pollfd waiter = {.fd = completions_fd(completions), .events = POLLIN};
    assert_int_equal(start_mover(&options, &mover), CKPT_OK);
    mover_hold(mover, true);
    mover_read(mover, make_read(segments, 2));
    assert_int_equal(poll(&waiter, 1, 100), 0);
    mover_hold(mover, false);
    struct work *work = wait_work();
    assert_int_equal(atomic_load(&work->status), CKPT_OK);
    work_free(work);
    mover_hold(mover, true);
    mover_read(mover, make_read(segments, 2));
    mover_cancel(mover, 77);
    work = wait_work();
    assert_int_equal(atomic_load(&work->status), CKPT_ERR_ABORTED);
    work_free(work);
    mover_stop(&mover);
}

static void a_cancelled_read_ends(void **state)
{
    (void)state;
    read_with("loop", true);
}

static void a_failed_read_reports_its_failure(void **state)
{
    (void)state;
    read_with("fault:error=1:loop", false);
}

static void corruption_on_the_way_shows_in_the_digest(void **state)
{
    (void)state;
    read_with("fault:corrupt=1:loop", false);
}

static void an_offer_that_does_not_add_up_is_refused(void **state)
{
    (void)state;
    struct mover *mover;
    const uint16_t segments[] = {5, 0};
    struct rails rails = {.spec = "loop"};
    struct mover_options options = {.rails = &rails};
    assert_int_equal(start_mover(&options, &mover), CKPT_OK);
    struct work *work = make_read(segments, 2);
    work->region_count = 1;
    mover_read(mover, work);
    work = wait_work();
    assert_int_equal(atomic_load(&work->status), CKPT_ERR_PROTOCOL);
    work_free(work);
    mover_stop(&mover);
}

/* The rank's device memory: this transport takes none, and without its descriptor none does. */
static void a_gather_that_cannot_begin_ends_with_its_descriptor_closed(void **state)
{
    (void)state;
    struct mover *mover;
    const uint16_t segments[] = {5, 0};
    struct rails rails = {.spec = "loop"};
    struct mover_options options = {.rails = &rails};
    struct message_range range = {.bytes = 4096};
    struct message_gather ask = {.range_count = 1, .ranges = &range};
    int ends[2];
    char byte;
    assert_int_equal(start_mover(&options, &mover), CKPT_OK);
    struct work *work = make(WORK_GATHER, segments, 2);
    assert_true(work_take_gather(work, &ask, -1));
    mover_read(mover, work);
    work = wait_work();
    assert_int_equal(atomic_load(&work->status), CKPT_ERR_SYSTEM);
    work_free(work);

    assert_int_equal(pipe(ends), 0);
    work = make(WORK_GATHER, segments, 2);
    assert_true(work_take_gather(work, &ask, ends[1]));
    mover_read(mover, work);
    work = wait_work();
    assert_int_equal(atomic_load(&work->status), CKPT_ERR_UNSUPPORTED);
    work_free(work);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* the other end is closed */
    close(ends[0]);
    mover_stop(&mover);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_a_slot_over_several_segments),
        cmocka_unit_test_teardown(fingerprints_a_slot_and_keeps_its_values, prove_by_blake3),
        cmocka_unit_test_teardown(values_are_of_the_bytes_as_they_lie, prove_by_blake3),
        cmocka_unit_test_teardown(a_part_is_proven_without_the_rest, prove_by_blake3),
        cmocka_unit_test_teardown(a_part_needs_the_values_of_its_own_key, prove_by_blake3),
        cmocka_unit_test_teardown(a_range_is_read_and_proven_by_the_others_values, prove_by_blake3),
        cmocka_unit_test_teardown(a_range_needs_the_values_of_all_chunks, prove_by_blake3),
        cmocka_unit_test_teardown(reads_and_fingerprints_what_lands, prove_by_blake3),
        cmocka_unit_test(a_held_digest_lets_a_renewal_pass),
        cmocka_unit_test(a_scrub_waits_while_a_rank_copies_and_ends_after),
        cmocka_unit_test(a_scrub_lets_other_digests_go_first),
        cmocka_unit_test(a_scrub_whose_patience_is_over_waits_for_nobody),
        cmocka_unit_test(a_scrub_that_is_cancelled_ends_at_once),
        cmocka_unit_test(renewal_zeroes_what_nobody_has_open_and_replaces_the_rest),
        cmocka_unit_test(reads_and_digests_what_lands),
        cmocka_unit_test(a_held_read_begins_when_it_may),
        cmocka_unit_test(a_cancelled_read_ends),
        cmocka_unit_test(a_failed_read_reports_its_failure),
        cmocka_unit_test(corruption_on_the_way_shows_in_the_digest),
        cmocka_unit_test(an_offer_that_does_not_add_up_is_refused),
        cmocka_unit_test(a_gather_that_cannot_begin_ends_with_its_descriptor_closed),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
