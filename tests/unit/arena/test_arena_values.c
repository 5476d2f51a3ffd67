/* SPDX-License-Identifier: Apache-2.0 */
/* Chunk values beside the slot records: found again for the slot, generation and key that they are
 * of, over a restart too, and for no other; any damage is seen, and none hinders the start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/prng.h"
#include "unit/arena/fixture.h"

#define SEGMENT (4 * CKPT_MIB)
#define CHUNKS_MAX 16

static const uint16_t scattered[] = {5, 0, 3};

/* Nine chunks, the last of one byte, in three segments. */
static const struct arena_values large = {.slot = 1,
                                          .generation = 77,
                                          .digest_key = UINT64_C(0x1122334455667788),
                                          .bytes = 8 * CKPT_MIB + 1,
                                          .segments = scattered,
                                          .segment_count = 3};

static struct arena_options small_arena(void)
{
    struct arena_options options = fixture_options();
    options.segment_bytes = SEGMENT;
    return options;
}

static void path_of(const struct arena_options *options, char path_out[256])
{
    (void)snprintf(path_out, 256, "%s/values", options->directory);
}

static void make_values(uint64_t seed, uint8_t values_out[CHUNKS_MAX * ARENA_VALUE_BYTES])
{
    struct prng prng;
    prng_seed(&prng, seed);
    for (uint32_t i = 0; i < CHUNKS_MAX * ARENA_VALUE_BYTES; i++) {
        values_out[i] = (uint8_t)prng_next(&prng);
    }
}

static uint64_t chunks_of(const struct arena_values *of)
{
    return (of->bytes + CKPT_CHUNK_BYTES - 1) / CKPT_CHUNK_BYTES;
}

static void store(struct arena *arena, const struct arena_values *of, uint64_t seed)
{
    uint8_t values[CHUNKS_MAX * ARENA_VALUE_BYTES];
    make_values(seed, values);
    assert_int_equal(arena_values_store(arena, of, values), CKPT_OK);
}

static enum ckpt_status load(struct arena *arena, const struct arena_values *of, uint64_t seed)
{
    uint8_t values[CHUNKS_MAX * ARENA_VALUE_BYTES], found[CHUNKS_MAX * ARENA_VALUE_BYTES];
    make_values(seed, values);
    enum ckpt_status status = arena_values_load(arena, of, found);
    if (status == CKPT_OK) {
        assert_memory_equal(found, values, chunks_of(of) * ARENA_VALUE_BYTES);
    }
    return status;
}

static void test_found_again_over_a_restart(void **state)
{
    (void)state;
    struct arena_options options = small_arena();
    struct arena *arena = fixture_open(&options);
    assert_true(arena_keeps_values(arena));
    assert_int_equal(load(arena, &large, 1), CKPT_ERR_NOT_FOUND);
    store(arena, &large, 1);
    assert_int_equal(load(arena, &large, 1), CKPT_OK);
    arena_close(&arena);
    arena = fixture_open(&options);
    assert_int_equal(load(arena, &large, 1), CKPT_OK);
    store(arena, &large, 2); /* digested again */
    assert_int_equal(load(arena, &large, 2), CKPT_OK);
    fixture_remove(&arena, &options);
}

static void test_of_another_use_is_not_found(void **state)
{
    (void)state;
    struct arena_options options = small_arena();
    struct arena *arena = fixture_open(&options);
    store(arena, &large, 1);
    struct arena_values other = large;
    other.generation++;
    assert_int_equal(load(arena, &other, 1), CKPT_ERR_NOT_FOUND);
    other = large;
    other.digest_key++;
    assert_int_equal(load(arena, &other, 1), CKPT_ERR_NOT_FOUND);
    other = large;
    other.bytes--;
    assert_int_equal(load(arena, &other, 1), CKPT_ERR_NOT_FOUND);
    other = large;
    other.slot++;
    assert_int_equal(load(arena, &other, 1), CKPT_ERR_NOT_FOUND);
    fixture_remove(&arena, &options);
}

/* The segments went to another slot, which was digested: what the first slot's entry says of them
 * is not so any more. */
static void test_segments_of_another_slot_now(void **state)
{
    (void)state;
    struct arena_options options = small_arena();
    struct arena *arena = fixture_open(&options);
    store(arena, &large, 1);
    static const uint16_t one[] = {3};
    struct arena_values next = {
        .slot = 2, .generation = 78, .bytes = 2 * CKPT_MIB, .segments = one, .segment_count = 1};
    store(arena, &next, 2);
    assert_int_equal(load(arena, &next, 2), CKPT_OK);
    assert_int_equal(load(arena, &large, 1), CKPT_ERR_CORRUPT);
    fixture_remove(&arena, &options);
}

/* Small ones share a chunk of their segment, larger ones have their own. */
static void test_parts(void **state)
{
    (void)state;
    struct arena_options options = small_arena();
    struct arena *arena = fixture_open(&options);
    struct arena_values of[] = {
        {.slot = 0, .bytes = 4096, .part = {.segment = 4, .offset = 0, .bytes = 4096}},
        {.slot = 1, .bytes = 1, .part = {.segment = 4, .offset = 4096, .bytes = 4096}},
        {.slot = 2,
         .bytes = 2 * CKPT_MIB - 5,
         .part = {.segment = 4, .offset = 2 * CKPT_MIB, .bytes = 2 * CKPT_MIB}},
        {.slot = 3,
         .bytes = CKPT_MIB,
         .part = {.segment = 4, .offset = CKPT_MIB, .bytes = CKPT_MIB}},
    };
    for (uint32_t i = 0; i < 4; i++) {
        of[i].generation = 100 + i;
        of[i].segment_count = 1;
        store(arena, &of[i], i);
    }
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(load(arena, &of[i], i), CKPT_OK);
    }
    fixture_remove(&arena, &options);
}

static void test_what_cannot_be_is_refused(void **state)
{
    (void)state;
    struct arena_options options = small_arena();
    struct arena *arena = fixture_open(&options);
    uint8_t values[CHUNKS_MAX * ARENA_VALUE_BYTES];
    make_values(1, values);
    static const uint16_t none[] = {FIXTURE_SEGMENTS};
    struct arena_values wrong[] = {large, large, large, large, large, large};
    wrong[0].slot = 4;
    wrong[1].generation = 0;
    wrong[2].bytes = 3 * SEGMENT + 1;
    wrong[3].bytes = 0;
    wrong[4].segments = none;
    wrong[4].segment_count = 1;
    wrong[4].bytes = 1;
    wrong[5].part = (struct room_part){.segment = 1, .offset = SEGMENT, .bytes = SEGMENT};
    for (uint32_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(arena_values_store(arena, &wrong[i], values), CKPT_ERR_INVALID);
        assert_int_equal(arena_values_load(arena, &wrong[i], values), CKPT_ERR_INVALID);
    }
    fixture_remove(&arena, &options);
}

/* Each byte of the file in turn: what is found then is what was stored, or nothing. */
static void test_any_damage_is_seen(void **state)
{
    (void)state;
    struct arena_options options = small_arena();
    struct arena *arena = fixture_open(&options);
    char path[256];
    struct stat info;
    uint32_t seen = 0;
    store(arena, &large, 1);
    path_of(&options, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &info), 0);
    for (off_t at = 0; at < info.st_size; at++) {
        uint8_t byte;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        seen += load(arena, &large, 1) != CKPT_OK;
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    assert_int_equal(close(fd), 0);
    assert_int_equal(seen, 9 * ARENA_VALUE_BYTES + 64);
    assert_int_equal(load(arena, &large, 1), CKPT_OK);
    fixture_remove(&arena, &options);
}

static void overwrite(const struct arena_options *options, off_t at, const void *bytes, size_t n)
{
    char path[256];
    path_of(options, path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, at), n);
    assert_int_equal(close(fd), 0);
}

/* The arena with its records is adopted, whatever has become of the values. */
static void test_made_anew_where_they_are_not_right(void **state)
{
    (void)state;
    struct arena_options options = small_arena();
    struct arena *arena = fixture_open(&options);
    struct slot_record record = fixture_record(0, 7, 0, 1), found;
    char path[256], reason[ARENA_REASON_BYTES];
    path_of(&options, path);
    assert_int_equal(arena_record_store(arena, 0, &record), CKPT_OK);
    for (int i = 0; i < 4; i++) {
        store(arena, &large, 1);
        arena_close(&arena);
        if (i == 0) { /* an arena of before there were any */
            assert_int_equal(unlink(path), 0);
        } else if (i == 1) {
            assert_int_equal(truncate(path, 100), 0);
        } else if (i == 2) {
            overwrite(&options, 8, "\2", 1); /* of a later version */
        } else {
            options.slot_count++;
        }
        arena = fixture_open(&options);
        assert_true(arena_keeps_values(arena));
        assert_int_equal(load(arena, &large, 1), CKPT_ERR_NOT_FOUND);
        assert_int_equal(arena_record_load(arena, 0, &found, reason), CKPT_OK);
        assert_int_equal(found.generation, 7);
    }
    fixture_remove(&arena, &options);
}

/* Generations begin anew in a new arena: those of the last one must not be found. */
static void test_not_those_of_an_arena_that_is_gone(void **state)
{
    (void)state;
    struct arena_options options = small_arena();
    struct arena *arena = fixture_open(&options);
    char path[256];
    store(arena, &large, 1);
    arena_close(&arena);
    (void)snprintf(path, sizeof path, "%s/index", options.directory);
    assert_int_equal(unlink(path), 0);
    arena = fixture_open(&options);
    assert_int_equal(load(arena, &large, 1), CKPT_ERR_NOT_FOUND);
    fixture_remove(&arena, &options);
}

/* A link in its place is not followed, and not a reason not to start. */
static void test_none_are_kept(void **state)
{
    (void)state;
    struct arena_options options = small_arena();
    struct arena *arena = fixture_open(&options);
    uint8_t values[CHUNKS_MAX * ARENA_VALUE_BYTES];
    char path[256];
    path_of(&options, path);
    arena_close(&arena);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/null", path), 0);
    arena = fixture_open(&options);
    assert_false(arena_keeps_values(arena));
    make_values(1, values);
    assert_int_equal(arena_values_store(arena, &large, values), CKPT_ERR_MEMORY);
    assert_int_equal(arena_values_load(arena, &large, values), CKPT_ERR_NOT_FOUND);
    fixture_remove(&arena, &options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_again_over_a_restart),
        cmocka_unit_test(test_of_another_use_is_not_found),
        cmocka_unit_test(test_segments_of_another_slot_now),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_what_cannot_be_is_refused),
        cmocka_unit_test(test_any_damage_is_seen),
        cmocka_unit_test(test_made_anew_where_they_are_not_right),
        cmocka_unit_test(test_not_those_of_an_arena_that_is_gone),
        cmocka_unit_test(test_none_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
