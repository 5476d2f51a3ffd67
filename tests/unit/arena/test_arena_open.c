/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/arena/fixture.h"

static void path_in(const struct arena_options *options, const char *name, char out[256])
{
    (void)snprintf(out, 256, "%s/%s", options->directory, name);
}

static void expect_error(const struct arena_options *options, enum ckpt_status expected,
                         const char *word)
{
    struct arena *untouched = (struct arena *)(uintptr_t)0x5a5a;
    struct arena *arena = untouched;
    char reason[ARENA_REASON_BYTES] = "";
    enum ckpt_status status = arena_open(options, &arena, reason);
    if (status != expected || strstr(reason, word) == NULL) {
        fail_msg("status %d, expected %d with \"%s\": %s", status, expected, word, reason);
    }
    assert_ptr_equal(arena, untouched);
}

static void count_progress(void *context, const struct arena_progress *progress)
{
    unsigned *counts = context;
    counts[progress->adopted ? 1 : 0]++;
    assert_int_equal(progress->segments_done, counts[0] + counts[1]);
    assert_int_equal(progress->segment_count, FIXTURE_SEGMENTS);
}

static void test_made_then_adopted_with_bytes_and_records(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    unsigned counts[2] = {0, 0};
    options.progress = count_progress;
    options.progress_context = counts;
    struct arena *arena = fixture_open(&options);
    assert_int_equal(counts[0], FIXTURE_SEGMENTS);
    assert_int_equal(counts[1], 0);
    for (uint32_t id = 0; id < FIXTURE_SEGMENTS; id++) {
        uint8_t *bytes = arena_segment_address(arena, id);
        for (uint64_t i = 0; i < FIXTURE_SEGMENT_BYTES; i++) {
            assert_int_equal(bytes[i], 0);
        }
        memset(bytes, (int)id + 1, FIXTURE_SEGMENT_BYTES);
    }
    struct slot_record record = fixture_record(2, 77, 1, 3);
    assert_int_equal(arena_record_store(arena, 2, &record), CKPT_OK);
    arena_close(&arena);

    counts[0] = 0;
    arena = fixture_open(&options);
    assert_int_equal(counts[0], 0);
    assert_int_equal(counts[1], FIXTURE_SEGMENTS);
    for (uint32_t id = 0; id < FIXTURE_SEGMENTS; id++) {
        uint8_t *bytes = arena_segment_address(arena, id);
        assert_int_equal(bytes[0], id + 1);
        assert_memory_equal(bytes, bytes + 1, FIXTURE_SEGMENT_BYTES - 1);
    }
    struct slot_record loaded;
    assert_int_equal(arena_record_load(arena, 2, &loaded, NULL), CKPT_OK);
    assert_memory_equal(&loaded, &record, sizeof record);
    assert_int_equal(arena_record_load(arena, 1, &loaded, NULL), CKPT_ERR_NOT_FOUND);
    assert_int_equal(arena_generation_floor(arena), 77);
    fixture_remove(&arena, &options);
}

static void test_another_geometry_is_refused_and_nothing_changes(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    struct arena *arena = fixture_open(&options);
    arena_segment_address(arena, 0)[5] = 9;
    arena_close(&arena);
    struct arena_options other = options;
    other.segment_count++;
    expect_error(&other, CKPT_ERR_CONFIG, "rm -r");
    other = options;
    other.segment_bytes *= 2;
    expect_error(&other, CKPT_ERR_CONFIG, "2097152");
    arena = fixture_open(&options);
    assert_int_equal(arena_segment_address(arena, 0)[5], 9);
    fixture_remove(&arena, &options);
}

static int open_must_be_busy(void *argument)
{
    struct arena *arena = NULL;
    char reason[ARENA_REASON_BYTES] = "";
    enum ckpt_status status = arena_open(argument, &arena, reason);
    return status == CKPT_ERR_BUSY && strstr(reason, "another agent") != NULL ? 0 : 1;
}

static int open_and_die(void *argument)
{
    struct arena *arena = NULL;
    char reason[ARENA_REASON_BYTES] = "";
    if (arena_open(argument, &arena, reason) != CKPT_OK) {
        return 1;
    }
    arena_segment_address(arena, 3)[100] = 42;
    (void)raise(SIGKILL);
    return 2;
}

static void test_two_agents_never_share(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    /* One that was killed leaves its bytes, and no lock. */
    assert_int_equal(fixture_in_child(open_and_die, &options, 0), 256 + SIGKILL);
    struct arena *arena = fixture_open(&options);
    assert_int_equal(arena_segment_address(arena, 3)[100], 42);
    assert_int_equal(fixture_in_child(open_must_be_busy, &options, 0), 0);
    char reason[ARENA_REASON_BYTES] = "";
    assert_int_equal(arena_destroy_files(&options, reason), CKPT_ERR_BUSY);
    fixture_remove(&arena, &options);
}

static void test_options_out_of_range(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    struct arena_options bad = options;
    bad.segment_bytes = 3 * CKPT_MIB;
    expect_error(&bad, CKPT_ERR_CONFIG, "2 MiB");
    bad = options;
    bad.segment_count = 0;
    expect_error(&bad, CKPT_ERR_CONFIG, "0 segments");
    bad = options;
    bad.segment_count = CKPT_ARENA_SEGMENTS_MAX + 1;
    expect_error(&bad, CKPT_ERR_CONFIG, "4097 segments");
    bad = options;
    bad.slot_count = FIXTURE_SEGMENTS + 1;
    expect_error(&bad, CKPT_ERR_CONFIG, "7 slots");
    bad = options;
    bad.directory = NULL;
    expect_error(&bad, CKPT_ERR_CONFIG, "node name");
    bad.node_name = "../etc";
    expect_error(&bad, CKPT_ERR_CONFIG, "node name");
    bad = options;
    bad.directory = "/ckptd-test-arena-not-in-memory";
    expect_error(&bad, CKPT_ERR_CONFIG, "tmpfs");
    (void)rmdir(bad.directory);
    bad = options;
    bad.huge_pages = ARENA_HUGE_PAGES_REQUIRE;
    expect_error(&bad, CKPT_ERR_CONFIG, "tmpfs");
    bad = options;
    int node = 1000;
    bad.nodes = &node;
    bad.node_count = 1;
    expect_error(&bad, CKPT_ERR_CONFIG, "NUMA node 1000");
    char reason[ARENA_REASON_BYTES];
    assert_int_equal(arena_destroy_files(&options, reason), CKPT_OK);
}

static void test_links_and_open_modes_are_refused(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    assert_int_equal(symlink("/dev/shm", options.directory), 0);
    expect_error(&options, CKPT_ERR_CONFIG, "link");
    assert_int_equal(unlink(options.directory), 0);
    assert_int_equal(mkdir(options.directory, 0755), 0);
    expect_error(&options, CKPT_ERR_CONFIG, "0755");
    assert_int_equal(chmod(options.directory, 0700), 0);

    struct arena *arena = fixture_open(&options);
    arena_close(&arena);
    char path[256];
    char moved[256];
    path_in(&options, "segment-0001", path);
    path_in(&options, "segment-moved", moved);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(symlink("segment-moved", path), 0);
    expect_error(&options, CKPT_ERR_SYSTEM, "segment-0001");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(link(moved, path), 0);
    expect_error(&options, CKPT_ERR_CONFIG, "2 links");
    assert_int_equal(unlink(moved), 0);
    assert_int_equal(chmod(path, 0644), 0);
    expect_error(&options, CKPT_ERR_CONFIG, "0644");
    assert_int_equal(chmod(path, 0600), 0);
    arena = fixture_open(&options);
    fixture_remove(&arena, &options);
}

static void test_of_another_user_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("not root: skipped\n");
        skip();
    }
    struct arena_options options = fixture_options();
    assert_int_equal(mkdir(options.directory, 0700), 0);
    assert_int_equal(chown(options.directory, 12345, 12345), 0);
    expect_error(&options, CKPT_ERR_CONFIG, "12345");
    assert_int_equal(rmdir(options.directory), 0);
}

static int open_with_little_lock(void *argument)
{
    struct arena_options *options = argument;
    struct rlimit little = {64 * CKPT_KIB, 64 * CKPT_KIB};
    if (setrlimit(RLIMIT_MEMLOCK, &little) != 0 || setgid(12345) != 0 || setuid(12345) != 0) {
        return 10;
    }
    options->lock = ARENA_LOCK_REQUIRED;
    struct arena *arena = NULL;
    char reason[ARENA_REASON_BYTES] = "";
    enum ckpt_status status = arena_open(options, &arena, reason);
    if (status != CKPT_ERR_CONFIG || strstr(reason, "LimitMEMLOCK=infinity") == NULL ||
        strstr(reason, "only 64 KiB") == NULL || strstr(reason, "ulimit -l 14336") == NULL) {
        print_message("status %d: %s\n", status, reason);
        return 11;
    }
    options->lock = ARENA_LOCK_TRY;
    if (arena_open(options, &arena, reason) != CKPT_OK || arena_is_locked(arena)) {
        print_message("%s\n", reason);
        return 12;
    }
    arena_close(&arena);
    return arena_destroy_files(options, reason) == CKPT_OK ? 0 : 13;
}

static void test_a_low_memory_lock_limit_names_the_setting(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("not root: skipped\n");
        skip();
    }
    struct arena_options options = fixture_options();
    assert_int_equal(fixture_in_child(open_with_little_lock, &options, 0), 0);
}

static int open_with_few_files(void *argument)
{
    struct rlimit few = {64, 64};
    if (setrlimit(RLIMIT_NOFILE, &few) != 0) {
        return 10;
    }
    struct arena *arena = NULL;
    char reason[ARENA_REASON_BYTES] = "";
    enum ckpt_status status = arena_open(argument, &arena, reason);
    return status == CKPT_ERR_CONFIG && strstr(reason, "LimitNOFILE=") != NULL ? 0 : 11;
}

static void test_a_low_file_limit_names_the_setting(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    assert_int_equal(fixture_in_child(open_with_few_files, &options, 0), 0);
    char reason[ARENA_REASON_BYTES];
    assert_int_equal(arena_destroy_files(&options, reason), CKPT_OK);
}

/* Too little room is an error of arena_open(), told by the preflight; and when the file system
 * lies about its room, told by fallocate(), never by a SIGBUS. */
static void test_a_small_tmpfs_is_a_start_up_error(void **state)
{
    (void)state;
    char mount_point[] = "/tmp/ckptd-test-arena-XXXXXX";
    assert_non_null(mkdtemp(mount_point));
    if (mount("none", mount_point, "tmpfs", 0, "size=9m,mode=0700") != 0) {
        print_message("mount: not permitted: skipped\n");
        (void)rmdir(mount_point);
        skip();
    }
    struct arena_options options = fixture_options();
    char directory[128];
    (void)snprintf(directory, sizeof directory, "%s/arena", mount_point);
    options.directory = directory;
    expect_error(&options, CKPT_ERR_MEMORY, "remount");
    options.segment_count = 4; /* 8 MiB, but the index takes its part of 9 MiB too: still fits */
    struct arena *arena = fixture_open(&options);
    memset(arena_segment_address(arena, 0), 1, 4 * FIXTURE_SEGMENT_BYTES);
    fixture_remove(&arena, &options);
    assert_int_equal(umount(mount_point), 0);
    assert_int_equal(rmdir(mount_point), 0);
}

static void test_a_segment_that_was_cut_is_made_anew(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    struct arena *arena = fixture_open(&options);
    memset(arena_segment_address(arena, 2), 0xee, FIXTURE_SEGMENT_BYTES);
    struct slot_record record = fixture_record(0, 1, 2, 1);
    assert_int_equal(arena_record_store(arena, 0, &record), CKPT_OK);
    arena_close(&arena);
    char path[256];
    path_in(&options, "segment-0002", path);
    assert_int_equal(truncate(path, 4096), 0);
    unsigned counts[2] = {0, 0};
    options.progress = count_progress;
    options.progress_context = counts;
    arena = fixture_open(&options);
    assert_int_equal(counts[0], 1);
    assert_int_equal(arena_segment_address(arena, 2)[0], 0);
    assert_int_equal(arena_segment_address(arena, 2)[FIXTURE_SEGMENT_BYTES - 1], 0);
    fixture_remove(&arena, &options);
}

/* Killed while it is first made, the arena is made anew:
 * bytes of unknown origin are not adopted. */
static void test_an_unfinished_arena_is_made_anew(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    struct arena *arena = fixture_open(&options);
    memset(arena_segment_address(arena, 2), 0xee, FIXTURE_SEGMENT_BYTES);
    arena_close(&arena);
    char path[256];
    path_in(&options, "index", path);
    assert_int_equal(truncate(path, 4096), 0); /* the second header copy was not written yet */
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "torn", 4, 100), 4);
    assert_int_equal(close(fd), 0);
    arena = fixture_open(&options);
    assert_int_equal(arena_segment_address(arena, 2)[0], 0);
    fixture_remove(&arena, &options);
}

static void test_memory_is_locked_and_bound_when_asked(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    int node = 0;
    options.nodes = &node;
    options.node_count = 1;
    options.prefault_threads = 3;
    struct arena *arena = fixture_open(&options);
    assert_int_equal(arena_segment_node(arena, 5), 0);
    FILE *status = fopen("/proc/self/status", "re");
    assert_non_null(status);
    char line[256];
    unsigned long locked_kib = 0;
    while (fgets(line, sizeof line, status) != NULL) {
        (void)sscanf(line, "VmLck: %lu kB", &locked_kib);
    }
    (void)fclose(status);
    if (arena_is_locked(arena)) {
        assert_int_equal(locked_kib * CKPT_KIB, FIXTURE_SEGMENTS * FIXTURE_SEGMENT_BYTES);
    } else {
        print_message("locking is not permitted here\n");
    }
    fixture_remove(&arena, &options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_then_adopted_with_bytes_and_records),
        cmocka_unit_test(test_another_geometry_is_refused_and_nothing_changes),
        cmocka_unit_test(test_two_agents_never_share),
        cmocka_unit_test(test_options_out_of_range),
        cmocka_unit_test(test_links_and_open_modes_are_refused),
        cmocka_unit_test(test_of_another_user_is_refused),
        cmocka_unit_test(test_a_low_memory_lock_limit_names_the_setting),
        cmocka_unit_test(test_a_low_file_limit_names_the_setting),
        cmocka_unit_test(test_a_small_tmpfs_is_a_start_up_error),
        cmocka_unit_test(test_a_segment_that_was_cut_is_made_anew),
        cmocka_unit_test(test_an_unfinished_arena_is_made_anew),
        cmocka_unit_test(test_memory_is_locked_and_bound_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
