/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of segments: cut out, dropped, adopted, under SIGKILL, and in an arena of before there were
 * any. What an arena takes of memory is the same throughout. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "base/prng.h"
#include "unit/arena/fixture.h"

#define SEGMENT FIXTURE_SEGMENT_BYTES
#define PART(n) (CKPT_PART_ID_FIRST + (n))
#define SLOTS 64

static struct arena_options options_with_parts(void)
{
    struct arena_options options = fixture_options();
    options.slot_count = SLOTS;
    options.part_count = SLOTS;
    return options;
}

/* What the arena's files take, the index not counted. */
static uint64_t count_bytes(const struct arena_options *options)
{
    uint64_t bytes = 0;
    DIR *listing = opendir(options->directory);
    struct dirent *entry;
    assert_non_null(listing);
    while ((entry = readdir(listing)) != NULL) {
        struct stat info;
        bool counts =
            strncmp(entry->d_name, "segment-", 8) == 0 || strncmp(entry->d_name, "part-", 5) == 0;
        if (counts && fstatat(dirfd(listing), entry->d_name, &info, 0) == 0) {
            bytes += (uint64_t)info.st_blocks * 512;
        }
    }
    assert_int_equal(closedir(listing), 0);
    return bytes;
}

static struct slot_record record_of_part(uint32_t slot, uint64_t generation, uint16_t id,
                                         const struct room_part *at)
{
    struct slot_record record = fixture_record(slot, generation, id, 1);
    record.part = *at;
    record.bytes = at->bytes - 1;
    return record;
}

static void make(struct arena *arena, uint32_t id, struct room_part at)
{
    assert_int_equal(arena_part_make(arena, id, &at), CKPT_OK);
    assert_true(arena_part_is_there(arena, id, &at));
    assert_int_equal(arena_memory_bytes(arena, id), at.bytes);
    assert_ptr_equal(arena_segment_address(arena, id),
                     arena_segment_address(arena, at.segment) + at.offset);
}

static bool is_all(const uint8_t *bytes, uint64_t n, uint8_t value)
{
    return bytes[0] == value && memcmp(bytes, bytes + 1, n - 1) == 0;
}

static void test_a_part_takes_its_bytes_from_its_segment(void **state)
{
    (void)state;
    struct arena_options options = options_with_parts();
    struct arena *arena = fixture_open(&options);
    uint64_t before = count_bytes(&options);
    memset(arena_segment_address(arena, 1), 0xee, SEGMENT);
    make(arena, PART(0), (struct room_part){1, 8192, 8192});
    make(arena, PART(1), (struct room_part){1, 4096, 4096});
    make(arena, PART(2), (struct room_part){1, SEGMENT / 2, SEGMENT / 2});
    assert_int_equal(count_bytes(&options), before);
    assert_true(arena_segment_is_cut(arena, 1));
    assert_false(arena_segment_is_cut(arena, 0));
    assert_true(is_all(arena_segment_address(arena, PART(0)), 8192, 0));
    assert_true(is_all(arena_segment_address(arena, 1), 4096, 0xee));
    const uint16_t ids[3] = {PART(0), PART(1), PART(2)};
    assert_int_equal(arena_segments_check(arena, ids, 3), CKPT_OK);
    memset(arena_segment_address(arena, PART(2)), 0x77, SEGMENT / 2);
    assert_int_equal(arena_part_drop(arena, PART(2)), CKPT_OK);
    assert_true(is_all(arena_segment_address(arena, 1) + SEGMENT / 2, SEGMENT / 2, 0));
    assert_int_equal(arena_segments_check(arena, &ids[2], 1), CKPT_ERR_INVALID);
    assert_true(arena_segment_is_cut(arena, 1));
    assert_int_equal(arena_part_drop(arena, PART(0)), CKPT_OK);
    assert_int_equal(arena_part_drop(arena, PART(1)), CKPT_OK);
    assert_false(arena_segment_is_cut(arena, 1));
    const uint16_t whole = 1;
    assert_int_equal(arena_segments_check(arena, &whole, 1), CKPT_OK);
    assert_int_equal(count_bytes(&options), before);
    assert_int_equal(arena_part_drop(arena, PART(1)), CKPT_ERR_INVALID);
    fixture_remove(&arena, &options);
}

static void test_places_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct arena_options options = options_with_parts();
    struct arena *arena = fixture_open(&options);
    make(arena, PART(3), (struct room_part){0, 65536, 65536});
    static const struct room_part bad[] = {
        {0, 65536, 65536},  {0, 0, 131072}, {0, 69632, 4096}, {FIXTURE_SEGMENTS, 0, 4096},
        {1, 4096, 8192},    {1, 0, 12288},  {1, 0, 2048},     {1, 0, SEGMENT},
        {1, SEGMENT, 4096}, {1, 0, 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(arena_part_make(arena, PART(4), &bad[i]), CKPT_ERR_INVALID);
    }
    struct room_part good = {1, 0, 4096};
    assert_int_equal(arena_part_make(arena, PART(3), &good), CKPT_ERR_INVALID); /* in use */
    assert_int_equal(arena_part_make(arena, PART(SLOTS), &good), CKPT_ERR_INVALID);
    assert_int_equal(arena_part_make(arena, 4, &good), CKPT_ERR_INVALID);
    uint16_t found = 0;
    struct room_part range = {0, 0, SEGMENT};
    assert_true(arena_part_within(arena, &range, &found));
    assert_int_equal(found, PART(3));
    range.segment = 1;
    assert_false(arena_part_within(arena, &range, &found));
    fixture_remove(&arena, &options);
}

/* A descriptor of a part is one of its bytes and of no others. */
static void test_a_descriptor_is_of_the_part_alone(void **state)
{
    (void)state;
    struct arena_options options = options_with_parts();
    struct arena *arena = fixture_open(&options);
    make(arena, PART(0), (struct room_part){2, 0, 8192});
    make(arena, PART(1), (struct room_part){2, 8192, 8192});
    int fd;
    assert_int_equal(arena_segment_fd(arena, PART(0), false, &fd), CKPT_OK);
    struct arena_view_files files = {
        .fds = &fd, .count = 1, .segment_bytes = SEGMENT, .part_bytes = 8192};
    struct arena_view view;
    assert_int_equal(arena_view_map(&files, 8193, true, &view), CKPT_ERR_SIZE);
    assert_int_equal(arena_view_map(&files, 5000, true, &view), CKPT_OK);
    assert_int_equal(view.mapped_bytes, 8192);
    memset(view.address, 0x11, 8192);
    arena_view_unmap(&view);
    assert_true(is_all(arena_segment_address(arena, PART(0)), 8192, 0x11));
    assert_true(is_all(arena_segment_address(arena, PART(1)), 8192, 0));
    /* A reader of before parts maps it as a segment, which takes no memory. */
    uint64_t before = count_bytes(&options);
    files.part_bytes = 0;
    assert_int_equal(arena_view_map(&files, 5000, false, &view), CKPT_OK);
    assert_true(is_all(view.address, 5000, 0x11));
    arena_view_unmap(&view);
    assert_int_equal(count_bytes(&options), before);
    files.part_bytes = 4095;
    assert_int_equal(arena_view_map(&files, 5, false, &view), CKPT_ERR_INVALID);
    assert_true(arena_segment_shared(arena, PART(0)));
    assert_int_equal(close(fd), 0);
    assert_false(arena_segment_shared(arena, PART(0)));
    fixture_remove(&arena, &options);
}

/* Whoever kept a descriptor of the whole segment reaches nothing of the part, and gives it no
 * memory beside what it has. */
static void test_a_segment_in_other_hands_is_replaced_before_it_is_cut(void **state)
{
    (void)state;
    struct arena_options options = options_with_parts();
    struct arena *arena = fixture_open(&options);
    int fd;
    assert_int_equal(arena_segment_fd(arena, 0, false, &fd), CKPT_OK);
    make(arena, PART(0), (struct room_part){0, 0, 4096});
    assert_int_equal(pwrite(fd, "xx", 2, 0), 2);
    assert_true(is_all(arena_segment_address(arena, PART(0)), 4096, 0));
    assert_int_equal(close(fd), 0);
    assert_int_equal(count_bytes(&options), FIXTURE_SEGMENTS * SEGMENT);
    fixture_remove(&arena, &options);
}

/* Touches what a trainer has cut: zeros, and only the part is damaged. */
static int read_cut_part(void *argument)
{
    const struct arena_options *options = argument;
    struct arena *arena = fixture_open(options);
    if (arena_guard_install() != CKPT_OK) {
        return 1;
    }
    make(arena, PART(0), (struct room_part){1, 0, 65536});
    make(arena, PART(1), (struct room_part){1, 65536, 65536});
    memset(arena_segment_address(arena, PART(1)), 0x22, 65536);
    int fd;
    if (arena_segment_fd(arena, PART(0), false, &fd) != CKPT_OK || ftruncate(fd, 0) != 0) {
        return 2;
    }
    close(fd);
    if (!is_all(arena_segment_address(arena, PART(0)), 65536, 0)) {
        return 3;
    }
    const uint16_t cut = PART(0), other = PART(1);
    if (!arena_segment_damaged(arena, cut) ||
        arena_segments_check(arena, &cut, 1) != CKPT_ERR_CORRUPT ||
        arena_segments_check(arena, &other, 1) != CKPT_OK ||
        !is_all(arena_segment_address(arena, other), 65536, 0x22)) {
        return 4;
    }
    if (arena_segment_repair(arena, cut) != CKPT_OK ||
        arena_segments_check(arena, &cut, 1) != CKPT_OK ||
        arena_memory_bytes(arena, cut) != 65536) {
        return 5;
    }
    arena_close(&arena);
    return 0;
}

static void test_a_cut_part_is_survived(void **state)
{
    (void)state;
    struct arena_options options = options_with_parts();
    assert_int_equal(fixture_in_child(read_cut_part, &options, 0), 0);
    struct arena *arena = fixture_open(&options);
    fixture_remove(&arena, &options);
}

struct found {
    enum ckpt_status status[SLOTS];
    char reason[SLOTS][256];
};

static void visit(void *context, uint32_t slot, enum ckpt_status status,
                  const struct slot_record *record, const char *reason)
{
    struct found *found = context;
    (void)record;
    found->status[slot] = status;
    (void)snprintf(found->reason[slot], sizeof found->reason[slot], "%s", reason);
}

static void test_parts_on_record_are_adopted_and_others_go_back(void **state)
{
    (void)state;
    static struct found found;
    struct arena_options options = options_with_parts();
    struct arena *arena = fixture_open(&options);
    struct room_part held = {1, 8192, 8192}, loose = {1, 65536, 65536}, other = {2, 0, 4096};
    make(arena, PART(5), held);
    make(arena, PART(6), loose);
    make(arena, PART(7), other);
    memset(arena_segment_address(arena, PART(5)), 0x33, held.bytes);
    memset(arena_segment_address(arena, 4), 0x44, SEGMENT);
    struct slot_record record = record_of_part(0, 3, PART(5), &held);
    assert_int_equal(arena_record_store(arena, 0, &record), CKPT_OK);
    record = fixture_record(1, 4, 4, 1);
    assert_int_equal(arena_record_store(arena, 1, &record), CKPT_OK);
    arena_close(&arena);
    arena = fixture_open(&options);
    assert_int_equal(arena_inventory(arena, visit, &found), 0);
    assert_int_equal(found.status[0], CKPT_OK);
    assert_int_equal(found.status[1], CKPT_OK);
    assert_true(arena_part_is_there(arena, PART(5), &held));
    assert_true(is_all(arena_segment_address(arena, PART(5)), held.bytes, 0x33));
    assert_true(is_all(arena_segment_address(arena, 4), SEGMENT, 0x44));
    assert_false(arena_part_is_there(arena, PART(6), NULL));
    assert_false(arena_segment_is_cut(arena, 2));
    assert_int_equal(count_bytes(&options), FIXTURE_SEGMENTS * SEGMENT);
    make(arena, PART(8), loose);
    fixture_remove(&arena, &options);
}

/* A save that was cut short before its part was there has lost nothing: no line for a person. */
static void test_what_was_on_record_and_not_made_is_made(void **state)
{
    (void)state;
    static struct found found;
    struct arena_options options = options_with_parts();
    struct arena *arena = fixture_open(&options);
    struct room_part at = {3, 4096, 4096}, gone = {3, 8192, 8192};
    struct slot_record record = record_of_part(0, 3, PART(0), &at);
    record.state = SLOT_DIRTY;
    assert_int_equal(arena_record_store(arena, 0, &record), CKPT_OK);
    make(arena, PART(1), gone);
    record = record_of_part(1, 4, PART(1), &gone);
    assert_int_equal(arena_record_store(arena, 1, &record), CKPT_OK);
    arena_close(&arena);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/part-0001", options.directory);
    assert_int_equal(unlink(path), 0);
    arena = fixture_open(&options);
    assert_int_equal(arena_inventory(arena, visit, &found), 1);
    assert_int_equal(found.status[0], CKPT_OK);
    assert_int_equal(found.status[1], CKPT_ERR_CORRUPT);
    assert_non_null(strstr(found.reason[1], "slot 1 claims part 1, whose file was missing"));
    assert_true(arena_part_is_there(arena, PART(0), &at));
    assert_int_equal(count_bytes(&options), FIXTURE_SEGMENTS * SEGMENT);
    fixture_remove(&arena, &options);
}

static void test_of_two_that_claim_the_same_bytes_neither_is_believed(void **state)
{
    (void)state;
    static struct found found;
    struct arena_options options = options_with_parts();
    struct arena *arena = fixture_open(&options);
    struct room_part large = {0, 0, 65536}, inside = {0, 4096, 4096}, of_whole = {1, 0, 4096};
    struct slot_record record = record_of_part(0, 3, PART(0), &large);
    assert_int_equal(arena_record_store(arena, 0, &record), CKPT_OK);
    record = record_of_part(1, 4, PART(1), &inside);
    assert_int_equal(arena_record_store(arena, 1, &record), CKPT_OK);
    record = record_of_part(2, 5, PART(2), &of_whole);
    assert_int_equal(arena_record_store(arena, 2, &record), CKPT_OK);
    record = fixture_record(3, 6, 1, 1);
    assert_int_equal(arena_record_store(arena, 3, &record), CKPT_OK);
    arena_close(&arena);
    arena = fixture_open(&options);
    assert_int_equal(arena_inventory(arena, visit, &found), 4);
    assert_non_null(strstr(found.reason[0], "claim the same bytes"));
    assert_non_null(strstr(found.reason[3], "claim the same bytes"));
    assert_int_equal(count_bytes(&options), FIXTURE_SEGMENTS * SEGMENT);
    fixture_remove(&arena, &options);
}

/* As the format of before parts has it: a header of version 1, as many slots as segments. */
static void make_header_old(const struct arena_options *options)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/index", options->directory);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (off_t copy = 0; copy < 2; copy++) {
        uint8_t header[4096];
        uint32_t version = 1;
        assert_int_equal(pread(fd, header, sizeof header, copy * 4096), sizeof header);
        memcpy(header + 8, &version, sizeof version);
        uint32_t crc = crc32c(0, header, 4092);
        memcpy(header + 4092, &crc, sizeof crc);
        assert_int_equal(pwrite(fd, header, sizeof header, copy * 4096), sizeof header);
    }
    assert_int_equal(close(fd), 0);
}

static void test_an_arena_of_before_parts_is_adopted(void **state)
{
    (void)state;
    static struct found found;
    struct arena_options old = fixture_options();
    struct arena *arena = fixture_open(&old);
    struct nonce cluster = {.bytes = {7}};
    for (uint32_t slot = 0; slot < 4; slot++) {
        memset(arena_segment_address(arena, slot), (int)slot + 1, SEGMENT);
        struct slot_record record = fixture_record(slot, 10 + slot, (uint16_t)slot, 1);
        assert_int_equal(arena_record_store(arena, slot, &record), CKPT_OK);
    }
    arena_epoch_raise(arena, 77);
    arena_cluster_set(arena, &cluster);
    arena_close(&arena);
    make_header_old(&old);
    struct arena_options options = old;
    options.slot_count = SLOTS;
    options.part_count = SLOTS;
    arena = fixture_open(&options);
    assert_int_equal(arena_slot_count(arena), SLOTS);
    assert_int_equal(arena_inventory(arena, visit, &found), 0);
    for (uint32_t slot = 0; slot < 4; slot++) {
        assert_int_equal(found.status[slot], CKPT_OK);
        assert_true(is_all(arena_segment_address(arena, slot), SEGMENT, (uint8_t)(slot + 1)));
    }
    assert_int_equal(found.status[4], CKPT_ERR_NOT_FOUND);
    assert_int_equal(arena_epoch(arena), 77);
    struct nonce is = arena_cluster(arena);
    assert_true(nonce_equal(&is, &cluster));
    assert_int_equal(arena_generation_floor(arena), 13);
    struct room_part at = {5, 0, 4096};
    make(arena, PART(0), at);
    struct slot_record record = record_of_part(SLOTS - 1, 20, PART(0), &at);
    assert_int_equal(arena_record_store(arena, SLOTS - 1, &record), CKPT_OK);
    arena_close(&arena);
    /* Who asks for fewer slots gets what there is. */
    arena = fixture_open(&old);
    assert_int_equal(arena_slot_count(arena), SLOTS);
    fixture_remove(&arena, &options);
}

/* Makes, drops, records, in an order of the seed's, until it is killed. */
static int churn(const struct arena_options *options, uint64_t seed, int begun)
{
    struct arena *arena = fixture_open(options);
    struct prng prng;
    prng_seed(&prng, seed);
    struct room_part places[SLOTS] = {{0}};
    struct slot_record record;
    uint64_t generation = arena_generation_floor(arena);
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        if (arena_record_load(arena, slot, &record, NULL) == CKPT_OK &&
            record.state == SLOT_VERIFIED) {
            places[slot] = record.part;
        }
    }
    if (write(begun, "x", 1) != 1) {
        return 4;
    }
    for (;;) {
        uint32_t slot = (uint32_t)prng_below(&prng, SLOTS);
        uint16_t id = (uint16_t)PART(slot);
        uint16_t other;
        if (places[slot].bytes > 0) {
            record = (struct slot_record){.slot = slot, .generation = ++generation};
            if (arena_record_store(arena, slot, &record) != CKPT_OK ||
                arena_part_drop(arena, id) != CKPT_OK) {
                return 1;
            }
            places[slot].bytes = 0;
            continue;
        }
        struct room_part at = {.segment = (uint32_t)prng_below(&prng, FIXTURE_SEGMENTS),
                               .bytes = UINT64_C(4096) << prng_below(&prng, 8)};
        at.offset = prng_below(&prng, SEGMENT / at.bytes) * at.bytes;
        if (arena_part_within(arena, &at, &other)) {
            continue;
        }
        record = record_of_part(slot, ++generation, id, &at);
        record.state = SLOT_DIRTY;
        record.bytes = at.bytes;
        if (arena_part_is_there(arena, id, NULL) || /* on record, as DIRTY, by an earlier life */
            arena_record_store(arena, slot, &record) != CKPT_OK ||
            arena_part_make(arena, id, &at) != CKPT_OK) {
            record = (struct slot_record){.slot = slot, .generation = ++generation};
            if (arena_record_store(arena, slot, &record) != CKPT_OK ||
                (arena_part_is_there(arena, id, NULL) && arena_part_drop(arena, id) != CKPT_OK)) {
                return 2;
            }
            continue;
        }
        memset(arena_segment_address(arena, id), (int)(1 + slot), at.bytes);
        record.state = SLOT_VERIFIED;
        if (arena_record_store(arena, slot, &record) != CKPT_OK) {
            return 3;
        }
        places[slot] = at;
    }
}

static void test_killed_while_it_cuts_and_drops(void **state)
{
    (void)state;
    static struct found found;
    struct arena_options options = options_with_parts();
    unsigned adopted = 0;
    for (unsigned round = 0; round < 60; round++) {
        int begun[2];
        char byte;
        assert_int_equal(pipe(begun), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            _exit(churn(&options, round, begun[1]));
        }
        assert_int_equal(close(begun[1]), 0);
        assert_int_equal(read(begun[0], &byte, 1), 1);
        assert_int_equal(close(begun[0]), 0);
        struct timespec pause = {0, 1000000 + (long)(round * 7919 % 15000) * 1000};
        (void)nanosleep(&pause, NULL);
        assert_int_equal(kill(child, SIGKILL), 0);
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));

        struct arena *arena = fixture_open(&options);
        if (arena_inventory(arena, visit, &found) != 0) {
            for (uint32_t slot = 0; slot < SLOTS; slot++) {
                if (found.reason[slot][0] != '\0') {
                    fail_msg("round %u: %s", round, found.reason[slot]);
                }
            }
        }
        for (uint32_t slot = 0; slot < SLOTS; slot++) {
            struct slot_record record;
            if (found.status[slot] == CKPT_OK &&
                arena_record_load(arena, slot, &record, NULL) == CKPT_OK &&
                record.state == SLOT_VERIFIED) {
                assert_true(is_all(arena_segment_address(arena, record.segments[0]),
                                   record.part.bytes, (uint8_t)(1 + slot)));
                adopted++;
            }
        }
        assert_int_equal(count_bytes(&options), FIXTURE_SEGMENTS * SEGMENT);
        arena_close(&arena);
    }
    print_message("%u parts adopted\n", adopted);
    assert_true(adopted > 60);
    struct arena *arena = fixture_open(&options);
    fixture_remove(&arena, &options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_part_takes_its_bytes_from_its_segment),
        cmocka_unit_test(test_places_that_cannot_be_are_refused),
        cmocka_unit_test(test_a_descriptor_is_of_the_part_alone),
        cmocka_unit_test(test_a_segment_in_other_hands_is_replaced_before_it_is_cut),
        cmocka_unit_test(test_a_cut_part_is_survived),
        cmocka_unit_test(test_parts_on_record_are_adopted_and_others_go_back),
        cmocka_unit_test(test_what_was_on_record_and_not_made_is_made),
        cmocka_unit_test(test_of_two_that_claim_the_same_bytes_neither_is_believed),
        cmocka_unit_test(test_an_arena_of_before_parts_is_adopted),
        cmocka_unit_test(test_killed_while_it_cuts_and_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
