/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "unit/arena/fixture.h"

#define GOLDEN "unit/arena/slot_record_4.golden"
#define GOLDEN_3 "unit/arena/slot_record_3.golden" /* of before digests had keys */
#define GOLDEN_2 "unit/arena/slot_record_2.golden" /* of before parts of segments */
#define GOLDEN_1 "unit/arena/slot_record.golden"   /* of before starts had names */

/* The index of the fixture's arena: two headers, one page of cells, two copies a slot. */
#define CELLS 8192
#define COPY(slot, copy) (12288 + ((slot)*2 + (copy)) * ARENA_RECORD_BYTES)

static struct slot_record full_record(void)
{
    struct slot_record record = fixture_record(7, UINT64_C(0x1122334455667788), 3, 1000);
    record.state = SLOT_VERIFIED;
    record.owner = false;
    record.shard.step = UINT64_C(0x0102030405060708);
    memset(record.seat.bytes, 0xa1, sizeof record.seat.bytes);
    memset(record.name.bytes, 0xb2, sizeof record.name.bytes);
    record.insisted = 77;
    return record;
}

static struct slot_record record_of_part(void)
{
    struct slot_record record = full_record();
    memset(record.segments, 0, sizeof record.segments);
    record.segment_count = 1;
    record.segments[0] = CKPT_PART_ID_FIRST + 0x123;
    record.part = (struct room_part){.segment = 0x456, .offset = 0x7896000, .bytes = 0x2000};
    record.bytes = 0x1fff;
    return record;
}

static struct slot_record record_with_key(void)
{
    struct slot_record record = full_record();
    record.digest_key = UINT64_C(0xfedcba9876543210);
    return record;
}

static void test_what_is_encoded_is_decoded(void **state)
{
    (void)state;
    struct slot_record record = record_with_key();
    uint8_t bytes[ARENA_RECORD_BYTES];
    assert_int_equal(arena_record_encode(&record, 9, bytes), CKPT_OK);
    struct slot_record decoded;
    uint64_t sequence = 0;
    assert_int_equal(arena_record_decode(bytes, sizeof bytes, &decoded, &sequence), CKPT_OK);
    assert_memory_equal(&decoded, &record, sizeof record);
    assert_int_equal(sequence, 9);
}

static void test_every_flipped_bit_is_detected(void **state)
{
    (void)state;
    struct slot_record record = record_with_key();
    uint8_t bytes[ARENA_RECORD_BYTES];
    assert_int_equal(arena_record_encode(&record, 1, bytes), CKPT_OK);
    struct slot_record untouched;
    memset(&untouched, 0x5a, sizeof untouched);
    struct slot_record decoded = untouched;
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(arena_record_decode(bytes, sizeof bytes, &decoded, NULL),
                         CKPT_ERR_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_memory_equal(&decoded, &untouched, sizeof decoded);
}

/* Sets one byte and makes the checksum right again: the ranges have to be checked too. */
static enum ckpt_status decode_with(size_t offset, uint8_t value)
{
    struct slot_record record = record_with_key();
    uint8_t bytes[ARENA_RECORD_BYTES];
    assert_int_equal(arena_record_encode(&record, 1, bytes), CKPT_OK);
    assert_int_not_equal(bytes[offset], value);
    bytes[offset] = value;
    uint32_t crc = crc32c(0, bytes, sizeof bytes - 4);
    for (size_t i = 0; i < 4; i++) {
        bytes[sizeof bytes - 4 + i] = (uint8_t)(crc >> 8 * i);
    }
    return arena_record_decode(bytes, sizeof bytes, &record, NULL);
}

static void test_fields_out_of_range_are_refused(void **state)
{
    (void)state;
    assert_int_equal(decode_with(41, 2), CKPT_OK);             /* another slot, to show that the */
    assert_int_equal(decode_with(0, 0), CKPT_ERR_CORRUPT);     /* checksum is right; the magic */
    assert_int_equal(decode_with(4, 5), CKPT_ERR_VERSION);     /* version */
    assert_int_equal(decode_with(4, 0), CKPT_ERR_VERSION);     /* version */
    assert_int_equal(decode_with(4, 1), CKPT_ERR_CORRUPT);     /* a field that version 1 has not */
    assert_int_equal(decode_with(4, 3), CKPT_ERR_CORRUPT);     /* and one that 3 has not */
    assert_int_equal(decode_with(42, 1), CKPT_ERR_CORRUPT);    /* slot */
    assert_int_equal(decode_with(54, 1), CKPT_ERR_CORRUPT);    /* rank */
    assert_int_equal(decode_with(59, 1), CKPT_ERR_CORRUPT);    /* world */
    assert_int_equal(decode_with(60, 5), CKPT_ERR_CORRUPT);    /* copies */
    assert_int_equal(decode_with(65, 5), CKPT_ERR_CORRUPT);    /* segment count */
    assert_int_equal(decode_with(68, 6), CKPT_ERR_CORRUPT);    /* state */
    assert_int_equal(decode_with(68, 0), CKPT_ERR_CORRUPT);    /* FREE with segments */
    assert_int_equal(decode_with(68, 2), CKPT_ERR_CORRUPT);    /* sealed, of no owner */
    assert_int_equal(decode_with(69, 3), CKPT_ERR_CORRUPT);    /* pulled, by its owner */
    assert_int_equal(decode_with(69, 4), CKPT_ERR_CORRUPT);    /* an unknown flag */
    assert_int_equal(decode_with(69, 0), CKPT_ERR_CORRUPT);    /* a digest without its flag */
    assert_int_equal(decode_with(70, 1), CKPT_ERR_CORRUPT);    /* padding */
    assert_int_equal(decode_with(104, ' '), CKPT_ERR_CORRUPT); /* name */
    assert_int_equal(decode_with(231, 'a'), CKPT_ERR_CORRUPT); /* after the name */
    assert_int_equal(decode_with(232, 4), CKPT_ERR_CORRUPT);   /* a segment twice */
    assert_int_equal(decode_with(233, 16), CKPT_ERR_CORRUPT);  /* segment id 4099 */
    assert_int_equal(decode_with(2279, 1), CKPT_ERR_CORRUPT);  /* a segment after the count */
    assert_int_equal(decode_with(4091, 1), CKPT_ERR_CORRUPT);  /* padding */
}

/* What the format has no state for comes back as what it is after a restart. */
static void test_states_of_one_life_of_the_agent(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum slot_state state;
        bool owner, cached, has_digest;
        enum slot_state loaded;
    } rows[] = {
        {"an owner's, sealed", SLOT_SEALED, true, false, false, SLOT_SEALED},
        {"an owner's, verified", SLOT_VERIFIED, true, false, true, SLOT_VERIFIED},
        {"an owner's, adopted before its digest", SLOT_ADOPTED, true, false, false, SLOT_SEALED},
        {"a holder's, adopted", SLOT_ADOPTED, false, false, true, SLOT_VERIFIED},
        {"a reader's", SLOT_VERIFIED, false, true, true, SLOT_PULLING},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct slot_record record = full_record();
        uint8_t bytes[ARENA_RECORD_BYTES];
        record.state = rows[i].state;
        record.owner = rows[i].owner;
        record.cached = rows[i].cached;
        record.has_digest = rows[i].has_digest;
        if (arena_record_encode(&record, 1, bytes) != CKPT_OK ||
            arena_record_decode(bytes, sizeof bytes, &record, NULL) != CKPT_OK) {
            fail_msg("%s: is no record", rows[i].name);
        }
        if (record.state != rows[i].loaded || record.cached) {
            fail_msg("%s: comes back in state %d", rows[i].name, (int)record.state);
        }
    }
}

static void test_unsound_records_are_not_encoded(void **state)
{
    (void)state;
    uint8_t bytes[ARENA_RECORD_BYTES] = {0};
    struct slot_record record = full_record();
    memset(record.shard.run.name, 'a', sizeof record.shard.run.name);
    assert_int_equal(arena_record_encode(&record, 1, bytes), CKPT_ERR_INVALID);
    record = full_record();
    record.segment_count = CKPT_SEGMENTS_PER_SHARD_MAX + 1;
    assert_int_equal(arena_record_encode(&record, 1, bytes), CKPT_ERR_INVALID);
    record = full_record();
    record.segments[999] = record.segments[0];
    assert_int_equal(arena_record_encode(&record, 1, bytes), CKPT_ERR_INVALID);
    record = full_record();
    record.state = (enum slot_state)17;
    assert_int_equal(arena_record_encode(&record, 1, bytes), CKPT_ERR_INVALID);
    for (size_t i = 0; i < sizeof bytes; i++) {
        assert_int_equal(bytes[i], 0);
    }
    assert_int_equal(arena_record_decode(bytes, sizeof bytes, &record, NULL), CKPT_ERR_NOT_FOUND);
    assert_int_equal(arena_record_decode(bytes, sizeof bytes - 1, &record, NULL), CKPT_ERR_CORRUPT);
}

static void read_golden(const char *path, uint8_t golden_out[ARENA_RECORD_BYTES + 1])
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(golden_out, 1, ARENA_RECORD_BYTES + 1, file), ARENA_RECORD_BYTES);
    (void)fclose(file);
}

/* The bytes of a format never change. */
static void test_the_golden_file(void **state)
{
    (void)state;
    struct slot_record record = record_of_part();
    record.digest_key = UINT64_C(0xfedcba9876543210);
    uint8_t bytes[ARENA_RECORD_BYTES];
    assert_int_equal(arena_record_encode(&record, UINT64_C(0x8877665544332211), bytes), CKPT_OK);
    uint8_t golden[ARENA_RECORD_BYTES + 1];
    read_golden(CKPT_SOURCE_TESTS "/" GOLDEN, golden);
    assert_memory_equal(golden, bytes, sizeof bytes);
}

/* Its digest is BLAKE3's. */
static void test_a_record_of_version_3_is_read(void **state)
{
    (void)state;
    struct slot_record wanted = record_of_part();
    struct slot_record record;
    uint8_t golden[ARENA_RECORD_BYTES + 1];
    read_golden(CKPT_SOURCE_TESTS "/" GOLDEN_3, golden);
    assert_int_equal(arena_record_decode(golden, ARENA_RECORD_BYTES, &record, NULL), CKPT_OK);
    assert_memory_equal(&record, &wanted, sizeof record);
    assert_int_equal(record.digest_key, 0);
}

/* A key's id is of a digest. */
static void test_a_key_without_a_digest_is_no_record(void **state)
{
    (void)state;
    struct slot_record record = record_with_key();
    uint8_t bytes[ARENA_RECORD_BYTES];
    record.state = SLOT_SEALED;
    record.owner = true;
    record.has_digest = false;
    assert_int_equal(arena_record_encode(&record, 1, bytes), CKPT_OK);
    assert_int_equal(arena_record_decode(bytes, sizeof bytes, &record, NULL), CKPT_OK);
    assert_int_equal(record.digest_key, 0);
    bytes[2336] = 1;
    uint32_t crc = crc32c(0, bytes, sizeof bytes - 4);
    for (size_t i = 0; i < 4; i++) {
        bytes[sizeof bytes - 4 + i] = (uint8_t)(crc >> 8 * i);
    }
    assert_int_equal(arena_record_decode(bytes, sizeof bytes, &record, NULL), CKPT_ERR_CORRUPT);
}

static void test_a_record_of_version_2_is_read(void **state)
{
    (void)state;
    struct slot_record wanted = full_record();
    struct slot_record record;
    uint8_t golden[ARENA_RECORD_BYTES + 1];
    read_golden(CKPT_SOURCE_TESTS "/" GOLDEN_2, golden);
    assert_int_equal(arena_record_decode(golden, ARENA_RECORD_BYTES, &record, NULL), CKPT_OK);
    assert_memory_equal(&record, &wanted, sizeof record);
}

static void test_what_a_part_cannot_be_is_no_record(void **state)
{
    (void)state;
    uint8_t bytes[ARENA_RECORD_BYTES];
    struct slot_record record = record_of_part();
    record.segments[0] = 7; /* an id of a segment */
    assert_int_equal(arena_record_encode(&record, 1, bytes), CKPT_ERR_INVALID);
    record = record_of_part();
    record.segments[0] = CKPT_ARENA_IDS_MAX;
    assert_int_equal(arena_record_encode(&record, 1, bytes), CKPT_ERR_INVALID);
    record = record_of_part();
    record.part.bytes += 4096; /* no power of two */
    assert_int_equal(arena_record_encode(&record, 1, bytes), CKPT_ERR_INVALID);
    record = record_of_part();
    record.part.offset += 4096; /* no multiple of its bytes */
    assert_int_equal(arena_record_encode(&record, 1, bytes), CKPT_ERR_INVALID);
    record = record_of_part();
    record.part.segment = CKPT_ARENA_SEGMENTS_MAX;
    assert_int_equal(arena_record_encode(&record, 1, bytes), CKPT_ERR_INVALID);
    record = record_of_part();
    record.part = (struct room_part){.segment = 1};
    assert_int_equal(arena_record_encode(&record, 1, bytes), CKPT_ERR_INVALID);
    record = record_of_part();
    record.part.bytes = 0; /* an id of a part, and no part */
    record.part.offset = 0;
    record.part.segment = 0;
    assert_int_equal(arena_record_encode(&record, 1, bytes), CKPT_ERR_INVALID);
    record = record_of_part();
    record.segment_count = 2;
    record.segments[1] = 3;
    assert_int_equal(arena_record_encode(&record, 1, bytes), CKPT_ERR_INVALID);
}

static void test_a_record_of_version_1_is_read(void **state)
{
    (void)state;
    struct slot_record wanted = full_record();
    struct slot_record record;
    memset(&wanted.seat, 0, sizeof wanted.seat);
    memset(&wanted.name, 0, sizeof wanted.name);
    wanted.insisted = 0;
    uint8_t golden[ARENA_RECORD_BYTES + 1];
    read_golden(CKPT_SOURCE_TESTS "/" GOLDEN_1, golden);
    assert_int_equal(arena_record_decode(golden, ARENA_RECORD_BYTES, &record, NULL), CKPT_OK);
    assert_memory_equal(&record, &wanted, sizeof record);
}

static void flip(const struct arena_options *options, size_t offset, uint8_t mask)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/index", options->directory);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= mask;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    assert_int_equal(close(fd), 0);
}

static void store(struct arena *arena, uint32_t slot, uint64_t generation, uint16_t first,
                  uint32_t n)
{
    struct slot_record record = fixture_record(slot, generation, first, n);
    assert_int_equal(arena_record_store(arena, slot, &record), CKPT_OK);
}

/* For every byte of the newest copy: refused, and said so; of the older copy or of the cell:
 * nothing is lost. */
static void test_every_flipped_byte_in_the_arena(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    struct arena *arena = fixture_open(&options);
    char reason[ARENA_REASON_BYTES];
    struct slot_record loaded;
    store(arena, 1, 5, 0, 1); /* sequence 1, copy 1 */
    for (size_t i = 0; i < 8; i++) {
        flip(&options, CELLS + 8 + i, 0x10);
        assert_int_equal(arena_record_load(arena, 1, &loaded, NULL), CKPT_OK);
        assert_int_equal(loaded.generation, 5);
        flip(&options, CELLS + 8 + i, 0x10);
    }
    store(arena, 1, 6, 0, 2); /* sequence 2, copy 0: the newest */
    for (size_t i = 0; i < ARENA_RECORD_BYTES; i++) {
        flip(&options, COPY(1, 0) + i, 0x10);
        assert_int_equal(arena_record_load(arena, 1, &loaded, reason), CKPT_ERR_CORRUPT);
        assert_non_null(strstr(reason, "copy A"));
        assert_non_null(strstr(reason, "newest"));
        flip(&options, COPY(1, 0) + i, 0x10);
        flip(&options, COPY(1, 1) + i, 0x10);
        assert_int_equal(arena_record_load(arena, 1, &loaded, NULL), CKPT_OK);
        assert_int_equal(loaded.generation, 6);
        flip(&options, COPY(1, 1) + i, 0x10);
    }
    for (size_t i = 0; i < 8; i++) {
        flip(&options, CELLS + 8 + i, 0x10);
        assert_int_equal(arena_record_load(arena, 1, &loaded, NULL), CKPT_OK);
        assert_int_equal(loaded.generation, 6);
        flip(&options, CELLS + 8 + i, 0x10);
    }
    flip(&options, COPY(1, 0) + 50, 1);
    flip(&options, COPY(1, 1) + 50, 1);
    assert_int_equal(arena_record_load(arena, 1, &loaded, reason), CKPT_ERR_CORRUPT);
    assert_non_null(strstr(reason, "both copies"));
    /* A damaged slot takes no generation that it may have had, and is good after a store. */
    struct slot_record record = fixture_record(1, 6, 0, 2);
    assert_int_equal(arena_record_store(arena, 1, &record), CKPT_ERR_STALE);
    store(arena, 1, 7, 0, 2);
    assert_int_equal(arena_record_load(arena, 1, &loaded, NULL), CKPT_OK);
    assert_int_equal(loaded.generation, 7);
    fixture_remove(&arena, &options);
}

static void test_the_epoch_never_goes_back(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    struct arena *arena = fixture_open(&options);
    assert_int_equal(arena_epoch(arena), 0);
    arena_epoch_raise(arena, 7);
    arena_epoch_raise(arena, 6);
    arena_close(&arena);
    for (size_t copy = 0; copy < 2; copy++) {
        flip(&options, copy * 4096 + 48, 0xff);
        arena = fixture_open(&options);
        assert_int_equal(arena_epoch(arena), 7);
        arena_close(&arena); /* it has written both header copies again */
    }
    fixture_remove(&arena, &options);
}

static void test_the_generation_never_goes_back(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    struct arena *arena = fixture_open(&options);
    store(arena, 0, 100, 0, 1);
    store(arena, 3, 7, 1, 1);
    struct slot_record record = fixture_record(0, 99, 0, 1);
    assert_int_equal(arena_record_store(arena, 0, &record), CKPT_ERR_STALE);
    assert_int_equal(arena_generation_floor(arena), 100);
    arena_close(&arena);
    /* The record and either header copy may be lost together. */
    flip(&options, COPY(0, 1) + 17, 0xff);
    for (size_t copy = 0; copy < 2; copy++) {
        flip(&options, copy * 4096 + 40, 0xff);
        arena = fixture_open(&options);
        assert_int_equal(arena_generation_floor(arena), 100);
        struct slot_record loaded;
        assert_int_equal(arena_record_load(arena, 0, &loaded, NULL), CKPT_ERR_CORRUPT);
        arena_close(&arena); /* it has written both header copies again */
    }
    flip(&options, 40, 0xff);
    flip(&options, 4096 + 40, 0xff);
    char reason[ARENA_REASON_BYTES] = "";
    assert_int_equal(arena_open(&options, &arena, reason), CKPT_ERR_CORRUPT);
    assert_non_null(strstr(reason, "rm -r"));
    fixture_remove(&arena, &options);
}

static void test_records_that_do_not_fit_the_arena(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    struct arena *arena = fixture_open(&options);
    struct slot_record record = fixture_record(1, 1, 0, 2);
    assert_int_equal(arena_record_store(arena, 0, &record), CKPT_ERR_INVALID);
    assert_int_equal(arena_record_store(arena, 4, &record), CKPT_ERR_INVALID);
    record.segments[1] = FIXTURE_SEGMENTS;
    assert_int_equal(arena_record_store(arena, 1, &record), CKPT_ERR_INVALID);
    record = fixture_record(1, 1, 0, 2);
    record.bytes = 2 * FIXTURE_SEGMENT_BYTES + 1;
    assert_int_equal(arena_record_store(arena, 1, &record), CKPT_ERR_INVALID);
    assert_int_equal(arena_record_load(arena, 1, &record, NULL), CKPT_ERR_NOT_FOUND);
    assert_int_equal(arena_record_load(arena, 4, &record, NULL), CKPT_ERR_INVALID);
    fixture_remove(&arena, &options);
}

struct seen {
    enum ckpt_status status[4];
    bool has_record[4];
    char reason[4][ARENA_REASON_BYTES];
};

static void see(void *context, uint32_t slot, enum ckpt_status status,
                const struct slot_record *record, const char *reason)
{
    struct seen *seen = context;
    seen->status[slot] = status;
    seen->has_record[slot] = record != NULL;
    (void)snprintf(seen->reason[slot], ARENA_REASON_BYTES, "%s", reason);
}

static void test_the_inventory_refuses_what_cannot_be_true(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    struct arena *arena = fixture_open(&options);
    struct seen seen;
    assert_int_equal(arena_inventory(arena, see, &seen), 0);
    assert_int_equal(seen.status[0], CKPT_ERR_NOT_FOUND);
    store(arena, 0, 1, 0, 2);
    store(arena, 1, 2, 2, 1);
    store(arena, 2, 3, 1, 1); /* claims segment 1, as slot 0 does */
    assert_int_equal(arena_inventory(arena, see, &seen), 2);
    assert_int_equal(seen.status[0], CKPT_ERR_CORRUPT);
    assert_int_equal(seen.status[1], CKPT_OK);
    assert_int_equal(seen.status[2], CKPT_ERR_CORRUPT);
    assert_int_equal(seen.status[3], CKPT_ERR_NOT_FOUND);
    assert_true(seen.has_record[0] && seen.has_record[1] && seen.has_record[2]);
    assert_non_null(strstr(seen.reason[0], "slot 2"));
    assert_non_null(strstr(seen.reason[2], "segment 1"));
    assert_string_equal(seen.reason[1], "");
    arena_close(&arena);
    /* A segment that went missing takes its record with it. */
    char path[256];
    (void)snprintf(path, sizeof path, "%s/segment-0002", options.directory);
    assert_int_equal(unlink(path), 0);
    flip(&options, COPY(2, 1) + 20, 1);
    arena = fixture_open(&options);
    assert_int_equal(arena_inventory(arena, see, &seen), 2);
    assert_int_equal(seen.status[0], CKPT_OK);
    assert_int_equal(seen.status[1], CKPT_ERR_CORRUPT);
    assert_non_null(strstr(seen.reason[1], "made anew"));
    assert_int_equal(seen.status[2], CKPT_ERR_CORRUPT);
    assert_false(seen.has_record[2]);
    store(arena, 1, 4, 2, 1); /* filled anew: true again */
    assert_int_equal(arena_inventory(arena, see, &seen), 1);
    fixture_remove(&arena, &options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_encoded_is_decoded),
        cmocka_unit_test(test_every_flipped_bit_is_detected),
        cmocka_unit_test(test_fields_out_of_range_are_refused),
        cmocka_unit_test(test_states_of_one_life_of_the_agent),
        cmocka_unit_test(test_unsound_records_are_not_encoded),
        cmocka_unit_test(test_the_golden_file),
        cmocka_unit_test(test_a_record_of_version_3_is_read),
        cmocka_unit_test(test_a_key_without_a_digest_is_no_record),
        cmocka_unit_test(test_a_record_of_version_2_is_read),
        cmocka_unit_test(test_what_a_part_cannot_be_is_no_record),
        cmocka_unit_test(test_a_record_of_version_1_is_read),
        cmocka_unit_test(test_every_flipped_byte_in_the_arena),
        cmocka_unit_test(test_the_generation_never_goes_back),
        cmocka_unit_test(test_the_epoch_never_goes_back),
        cmocka_unit_test(test_records_that_do_not_fit_the_arena),
        cmocka_unit_test(test_the_inventory_refuses_what_cannot_be_true),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
