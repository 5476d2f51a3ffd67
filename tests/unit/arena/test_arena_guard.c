/* SPDX-License-Identifier: Apache-2.0 */
/* Trainers that cut, hole and keep what they were given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "unit/arena/fixture.h"

#define SEGMENT FIXTURE_SEGMENT_BYTES

static int touch_a_cut_segment(void *argument)
{
    struct arena *arena = argument;
    int fd = -1;
    if (arena_segment_fd(arena, 0, false, &fd) != CKPT_OK || ftruncate(fd, 0) != 0) {
        return 1;
    }
    return *(volatile uint8_t *)(arena_segment_address(arena, 0) + 4096);
}

static int touch_foreign_memory(void *argument)
{
    (void)argument;
    FILE *file = tmpfile();
    if (file == NULL || arena_guard_install() != CKPT_OK) {
        return 1;
    }
    volatile uint8_t *bytes = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
    return bytes == MAP_FAILED ? 2 : *bytes;
}

static int receive_a_sent_signal(void *argument)
{
    (void)argument;
    (void)arena_guard_install();
    (void)raise(SIGBUS);
    return 1;
}

static volatile sig_atomic_t chained;

static void chain(int number)
{
    chained = number;
    _exit(42);
}

static int chain_to_the_handler_before(void *argument)
{
    (void)signal(SIGBUS, chain);
    (void)touch_foreign_memory(argument);
    return 1;
}

/* Runs first: without the guard the same touch is deadly, so the tests below prove something. */
static void test_without_the_guard_a_cut_is_deadly(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    struct arena *arena = fixture_open(&options);
    assert_int_equal(fixture_in_child(touch_a_cut_segment, arena, 0), 256 + SIGBUS);
    fixture_remove(&arena, &options);
}

static void test_a_fault_elsewhere_is_not_swallowed(void **state)
{
    (void)state;
    assert_int_equal(fixture_in_child(touch_foreign_memory, NULL, 0), 256 + SIGBUS);
    assert_int_equal(fixture_in_child(receive_a_sent_signal, NULL, 0), 256 + SIGBUS);
    assert_int_equal(fixture_in_child(chain_to_the_handler_before, NULL, 0), 42);
}

/* The facts that make the guard necessary; should a kernel change them, there is a better way. */
static void test_size_seals_cannot_be_set(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    struct arena *arena = fixture_open(&options);
    int fd;
    assert_int_equal(arena_segment_fd(arena, 0, false, &fd), CKPT_OK);
    assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(close(fd), 0);
    fixture_remove(&arena, &options);
}

/* Cuts again and again, until it is killed. */
static pid_t start_cutter(int fd)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (;;) {
            (void)!ftruncate(fd, 0);
            (void)usleep(200);
            (void)!ftruncate(fd, (off_t)SEGMENT);
            (void)usleep(200);
        }
    }
    return child;
}

static void end(pid_t child)
{
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void test_a_trainer_that_cuts_during_a_digest_loop(void **state)
{
    (void)state;
    assert_int_equal(arena_guard_install(), CKPT_OK);
    assert_int_equal(arena_guard_install(), CKPT_OK);
    struct arena_options options = fixture_options();
    struct arena *arena = fixture_open(&options);
    const uint16_t ids[3] = {5, 1, 3};
    struct arena_view view;
    assert_int_equal(arena_slot_map(arena, ids, 3, 3 * SEGMENT, true, &view), CKPT_OK);
    memset(view.address, 0x33, view.mapped_bytes);
    uint32_t good = crc32c(0, view.address, (size_t)view.bytes);
    assert_int_equal(arena_segments_check(arena, ids, 3), CKPT_OK);

    int fd;
    assert_int_equal(arena_segment_fd(arena, 1, false, &fd), CKPT_OK);
    pid_t cutter = start_cutter(fd);
    assert_int_equal(close(fd), 0);
    unsigned believed = 0;
    unsigned refused = 0;
    for (unsigned round = 0; round < 200; round++) {
        uint32_t crc = crc32c(0, view.address, (size_t)view.bytes);
        if (arena_segments_check(arena, ids, 3) == CKPT_OK) {
            assert_int_equal(crc, good);
            believed++;
        } else {
            refused++;
        }
    }
    print_message("%u digests believed, %u refused\n", believed, refused);
    assert_true(refused > 0);
    assert_true(arena_segment_damaged(arena, 1));
    assert_false(arena_segment_damaged(arena, 5));
    assert_false(arena_segment_damaged(arena, 3));
    arena_slot_unmap(arena, &view);

    /* After the repair the trainer cuts a file that nobody else has. */
    uint8_t *address = arena_segment_address(arena, 1);
    assert_int_equal(arena_segment_repair(arena, 1), CKPT_OK);
    assert_ptr_equal(arena_segment_address(arena, 1), address);
    assert_false(arena_segment_damaged(arena, 1));
    for (unsigned round = 0; round < 50; round++) {
        memset(address, (int)round + 1, SEGMENT);
        assert_int_equal(address[SEGMENT - 1], round + 1);
        assert_memory_equal(address, address + 1, SEGMENT - 1);
    }
    assert_int_equal(arena_segments_check(arena, ids, 3), CKPT_OK);
    end(cutter);
    /* And the new file is the one that a restart adopts. */
    arena_close(&arena);
    arena = fixture_open(&options);
    assert_int_equal(arena_segment_address(arena, 1)[SEGMENT - 1], 50);
    fixture_remove(&arena, &options);
}

static void test_holes_are_seen(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    struct arena *arena = fixture_open(&options);
    const uint16_t id = 2;
    int fd;
    assert_int_equal(arena_segment_fd(arena, id, false, &fd), CKPT_OK);
    assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(arena_segments_check(arena, &id, 1), CKPT_ERR_CORRUPT);
    assert_true(arena_segment_damaged(arena, id));
    assert_int_equal(arena_segments_zero(arena, &id, 1), CKPT_ERR_CORRUPT);
    assert_int_equal(arena_segment_repair(arena, id), CKPT_OK);
    assert_int_equal(arena_segments_check(arena, &id, 1), CKPT_OK);
    const uint16_t beyond = FIXTURE_SEGMENTS;
    assert_int_equal(arena_segments_check(arena, &beyond, 1), CKPT_ERR_INVALID);
    assert_int_equal(arena_segments_zero(arena, &beyond, 1), CKPT_ERR_INVALID);
    assert_int_equal(arena_segment_repair(arena, beyond), CKPT_ERR_INVALID);
    fixture_remove(&arena, &options);
}

static void test_zeroing_is_complete_and_stays_inside(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    struct arena *arena = fixture_open(&options);
    uint8_t *all = arena_segment_address(arena, 0);
    memset(all, 0xab, FIXTURE_SEGMENTS * SEGMENT); /* neighbours lie side by side */
    const uint16_t ids[2] = {4, 1};
    assert_int_equal(arena_segments_zero(arena, ids, 2), CKPT_OK);
    for (uint64_t i = 0; i < FIXTURE_SEGMENTS * SEGMENT; i++) {
        uint64_t id = i / SEGMENT;
        assert_int_equal(all[i], id == 1 || id == 4 ? 0 : 0xab);
    }
    fixture_remove(&arena, &options);
}

/* Holds a mapping of the descriptor, tells so, and waits for its end. */
static pid_t start_keeper(int fd, bool writable, int *told)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
        void *bytes = mmap(NULL, SEGMENT, protection, MAP_SHARED, fd, 0);
        (void)close(fd);
        (void)!write(pipe_fds[1], bytes == MAP_FAILED ? "n" : "y", 1);
        for (;;) {
            (void)pause();
        }
    }
    char answer = 0;
    assert_int_equal(read(pipe_fds[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    assert_int_equal(close(pipe_fds[1]), 0);
    *told = pipe_fds[0];
    return child;
}

static void test_memory_that_another_user_still_maps_is_not_passed(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    struct arena *arena = fixture_open(&options);
    const uint16_t ids[3] = {0, 1, 2};
    uint16_t wanting[3] = {9, 9, 9};
    uint32_t wanting_count = 9;
    for (int writable = 0; writable < 2; writable++) {
        memset(arena_segment_address(arena, 0), 0xcd, 3 * SEGMENT);
        struct arena_view view; /* the agent's own view does not count */
        assert_int_equal(arena_slot_map(arena, ids, 3, 3 * SEGMENT, true, &view), CKPT_OK);
        int fd;
        assert_int_equal(arena_segment_fd(arena, 1, !writable, &fd), CKPT_OK);
        assert_true(arena_segment_shared(arena, 1));
        int told;
        pid_t keeper = start_keeper(fd, writable, &told);
        assert_int_equal(close(fd), 0);
        assert_true(arena_segment_shared(arena, 1));
        assert_false(arena_segment_shared(arena, 0));
        assert_int_equal(arena_segments_pass(arena, ids, 3, wanting, &wanting_count), CKPT_OK);
        assert_int_equal(wanting_count, 1);
        assert_int_equal(wanting[0], 1);
        assert_int_equal(arena_segment_address(arena, 0)[SEGMENT - 1], 0);
        assert_int_equal(arena_segment_address(arena, 1)[0], 0xcd);
        assert_int_equal(arena_segment_address(arena, 2)[0], 0);
        arena_slot_unmap(arena, &view);
        if (writable) {
            assert_int_equal(arena_segment_repair(arena, 1), CKPT_OK);
            assert_false(arena_segment_shared(arena, 1));
            assert_int_equal(arena_segment_address(arena, 1)[0], 0);
        }
        end(keeper);
        assert_int_equal(close(told), 0);
        assert_int_equal(arena_segments_pass(arena, ids, 3, wanting, &wanting_count), CKPT_OK);
        assert_int_equal(wanting_count, 0);
        assert_int_equal(arena_segment_address(arena, 1)[0], 0);
    }
    fixture_remove(&arena, &options);
}

static unsigned count_free_huge_pages(void)
{
    FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
    unsigned count = 0;
    if (file != NULL) {
        (void)!fscanf(file, "%u", &count);
        (void)fclose(file);
    }
    return count;
}

static void live_on_huge_pages(struct arena_options *options)
{
    struct arena *arena = fixture_open(options);
    assert_int_equal(arena_page_bytes(arena), 2 * CKPT_MIB);
    assert_true(arena_is_locked(arena));
    memset(arena_segment_address(arena, 0), 0x44, 2 * SEGMENT);
    struct slot_record record = fixture_record(0, 3, 0, 2);
    assert_int_equal(arena_record_store(arena, 0, &record), CKPT_OK);
    arena_close(&arena);
    /* Its pages are not free now, and it is found all the same. */
    arena = fixture_open(options);
    struct slot_record loaded;
    assert_int_equal(arena_record_load(arena, 0, &loaded, NULL), CKPT_OK);
    assert_int_equal(arena_segment_address(arena, 1)[SEGMENT - 1], 0x44);

    assert_int_equal(arena_guard_install(), CKPT_OK);
    const uint16_t ids[2] = {1, 0};
    struct arena_view view;
    assert_int_equal(arena_slot_map(arena, ids, 2, 2 * SEGMENT, true, &view), CKPT_OK);
    assert_int_equal(view.address[2 * SEGMENT - 1], 0x44);
    int fd;
    assert_int_equal(arena_segment_fd(arena, 0, false, &fd), CKPT_OK);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(((volatile uint8_t *)view.address)[SEGMENT], 0);
    assert_int_equal(((volatile uint8_t *)view.address)[0], 0x44);
    assert_int_equal(arena_segments_check(arena, ids, 2), CKPT_ERR_CORRUPT);
    assert_true(arena_segment_damaged(arena, 0));
    assert_false(arena_segment_damaged(arena, 1));
    arena_slot_unmap(arena, &view);
    assert_int_equal(arena_segment_repair(arena, 0), CKPT_OK);
    assert_int_equal(close(fd), 0);
    assert_false(arena_segment_shared(arena, 0));
    assert_int_equal(arena_segments_zero(arena, ids, 2), CKPT_OK);
    arena_close(&arena);
    char reason[ARENA_REASON_BYTES] = "";
    assert_int_equal(arena_destroy_files(options, reason), CKPT_OK);
}

static void test_huge_pages(void **state)
{
    (void)state;
    char mount_point[] = "/tmp/ckptd-test-huge-XXXXXX";
    assert_non_null(mkdtemp(mount_point));
    if (mount("none", mount_point, "hugetlbfs", 0, "pagesize=2M,mode=0700") != 0) {
        print_message("mount: not permitted: skipped\n");
        assert_int_equal(rmdir(mount_point), 0);
        skip();
    }
    char name[64];
    (void)snprintf(name, sizeof name, "test-huge-%d", (int)getpid());
    struct arena_options options = fixture_options();
    options.directory = NULL;
    options.node_name = name;
    options.hugetlbfs = mount_point;
    options.segment_count = 4;
    options.lock = ARENA_LOCK_REQUIRED;
    unsigned free_pages = count_free_huge_pages();
    if (free_pages >= 8 && free_pages <= 64) {
        options.huge_pages = ARENA_HUGE_PAGES_REQUIRE;
        live_on_huge_pages(&options);
        assert_int_equal(count_free_huge_pages(), free_pages);
        /* Too few: an error when they are required, tmpfs when not. */
        options.segment_count = free_pages;
        struct arena *arena = NULL;
        char reason[ARENA_REASON_BYTES] = "";
        assert_int_equal(arena_open(&options, &arena, reason), CKPT_ERR_MEMORY);
        assert_int_equal(arena_destroy_files(&options, reason), CKPT_OK);
        options.huge_pages = ARENA_HUGE_PAGES_AUTO;
        options.lock = ARENA_LOCK_TRY;
        arena = fixture_open(&options);
        assert_int_equal(strncmp(arena_directory(arena), "/dev/shm/", 9), 0);
        arena_close(&arena);
        assert_int_equal(arena_destroy_files(&options, reason), CKPT_OK);
    } else {
        print_message("wants 8 to 64 free huge pages (sysctl vm.nr_hugepages=16): skipped\n");
    }
    assert_int_equal(umount(mount_point), 0);
    assert_int_equal(rmdir(mount_point), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_the_guard_a_cut_is_deadly),
        cmocka_unit_test(test_a_fault_elsewhere_is_not_swallowed),
        cmocka_unit_test(test_size_seals_cannot_be_set),
        cmocka_unit_test(test_a_trainer_that_cuts_during_a_digest_loop),
        cmocka_unit_test(test_holes_are_seen),
        cmocka_unit_test(test_zeroing_is_complete_and_stays_inside),
        cmocka_unit_test(test_memory_that_another_user_still_maps_is_not_passed),
        cmocka_unit_test(test_huge_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
