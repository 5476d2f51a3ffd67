/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/arena/fixture.h"

#define SEGMENT FIXTURE_SEGMENT_BYTES

static void open_fds(struct arena *arena, const uint16_t *ids, int n, bool read_only, int *fds)
{
    for (int i = 0; i < n; i++) {
        assert_int_equal(arena_segment_fd(arena, ids[i], read_only, &fds[i]), CKPT_OK);
    }
}

static void close_fds(const int *fds, int n)
{
    for (int i = 0; i < n; i++) {
        assert_int_equal(close(fds[i]), 0);
    }
}

static enum ckpt_status map(const int *fds, uint32_t count, uint64_t segment_bytes, uint64_t bytes,
                            bool writable, struct arena_view *view_out)
{
    struct arena_view_files files = {.fds = fds, .count = count, .segment_bytes = segment_bytes};
    return arena_view_map(&files, bytes, writable, view_out);
}

static void test_segments_lie_side_by_side_in_order(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    struct arena *arena = fixture_open(&options);
    const uint16_t ids[3] = {4, 0, 2};
    int fds[3];
    open_fds(arena, ids, 3, false, fds);
    struct arena_view view;
    assert_int_equal(map(fds, 3, SEGMENT, 2 * SEGMENT + 1, true, &view), CKPT_OK);
    close_fds(fds, 3);
    assert_int_equal((uintptr_t)view.address % SEGMENT, 0);
    assert_int_equal(view.bytes, 2 * SEGMENT + 1);
    assert_int_equal(view.mapped_bytes, 3 * SEGMENT);
    for (uint64_t i = 0; i < view.mapped_bytes; i++) {
        view.address[i] = (uint8_t)(i * 31 + i / SEGMENT * 5);
    }
    for (uint64_t i = 0; i < view.mapped_bytes; i++) {
        const uint8_t *segment = arena_segment_address(arena, ids[i / SEGMENT]);
        assert_int_equal(segment[i % SEGMENT], (uint8_t)(i * 31 + i / SEGMENT * 5));
    }
    struct arena_view inside;
    assert_int_equal(arena_slot_map(arena, ids, 3, 3 * SEGMENT, false, &inside), CKPT_OK);
    assert_memory_equal(inside.address, view.address, view.mapped_bytes);
    arena_slot_unmap(arena, &inside);
    assert_null(inside.address);
    arena_view_unmap(&view);
    assert_null(view.address);
    arena_view_unmap(&view);
    arena_view_unmap(NULL);
    fixture_remove(&arena, &options);
}

static void test_what_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    struct arena *arena = fixture_open(&options);
    const uint16_t ids[2] = {0, 1};
    int fds[2];
    open_fds(arena, ids, 2, false, fds);
    struct arena_view pattern;
    memset(&pattern, 0x5a, sizeof pattern);
    struct arena_view view = pattern;
    assert_int_equal(map(fds, 0, SEGMENT, 0, true, &view), CKPT_ERR_INVALID);
    assert_int_equal(map(fds, CKPT_SEGMENTS_PER_SHARD_MAX + 1, SEGMENT, 1, true, &view),
                     CKPT_ERR_INVALID);
    assert_int_equal(map(fds, 2, 4096, 8192, true, &view), CKPT_ERR_INVALID);
    assert_int_equal(map(fds, 2, UINT64_MAX / 2 + 1, 1, true, &view), CKPT_ERR_INVALID);
    assert_int_equal(map(fds, 2, SEGMENT, 2 * SEGMENT + 1, true, &view), CKPT_ERR_SIZE);
    assert_int_equal(map(fds, 2, SEGMENT, SEGMENT, true, &view), CKPT_ERR_SIZE);
    assert_int_equal(map(fds, 2, 2 * SEGMENT, 4 * SEGMENT, true, &view), CKPT_ERR_SIZE);
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(map(pipe_fds, 1, SEGMENT, 1, true, &view), CKPT_ERR_SIZE);
    close_fds(pipe_fds, 2);
    const int bad[1] = {-1};
    assert_int_equal(map(bad, 1, SEGMENT, 1, true, &view), CKPT_ERR_SYSTEM);
    int read_only;
    assert_int_equal(arena_segment_fd(arena, 0, true, &read_only), CKPT_OK);
    assert_int_equal(map(&read_only, 1, SEGMENT, 1, true, &view), CKPT_ERR_INVALID);
    const uint16_t beyond[1] = {FIXTURE_SEGMENTS};
    assert_int_equal(arena_slot_map(arena, beyond, 1, 1, true, &view), CKPT_ERR_INVALID);
    assert_memory_equal(&view, &pattern, sizeof view);
    close_fds(fds, 2);
    close_fds(&read_only, 1);
    fixture_remove(&arena, &options);
}

struct read_only_case {
    int fd;
};

/* 0: every way to write that a trainer could try is refused. */
static int try_to_write(void *argument)
{
    int fd = ((struct read_only_case *)argument)->fd;
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (mmap(NULL, SEGMENT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED) {
        return 1;
    }
    void *mapping = mmap(NULL, SEGMENT, PROT_READ, MAP_SHARED, fd, 0);
    if (mapping == MAP_FAILED || mprotect(mapping, SEGMENT, PROT_READ | PROT_WRITE) == 0) {
        return 2;
    }
    if (open(path, O_RDWR) >= 0 || open(path, O_WRONLY) >= 0 || open(path, O_RDONLY) >= 0) {
        return 3;
    }
    if (ftruncate(fd, 0) == 0 || truncate(path, 0) == 0 || fchmod(fd, 0666) == 0 ||
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0) {
        return 4;
    }
    return *(uint8_t *)mapping == 0x77 ? 0 : 5;
}

static void test_a_read_only_descriptor_stays_read_only(void **state)
{
    (void)state;
    struct arena_options options = fixture_options();
    struct arena *arena = fixture_open(&options);
    struct read_only_case argument;
    assert_int_equal(arena_segment_fd(arena, 1, true, &argument.fd), CKPT_OK);
    arena_segment_address(arena, 1)[0] = 0x77;
    if (geteuid() == 0) {
        assert_int_equal(fixture_in_child(try_to_write, &argument, 12345), 0);
    } else {
        print_message("not root, so not another user: skipped in part\n");
        assert_ptr_equal(mmap(NULL, SEGMENT, PROT_READ | PROT_WRITE, MAP_SHARED, argument.fd, 0),
                         MAP_FAILED);
    }
    assert_int_equal(arena_segment_fd(arena, FIXTURE_SEGMENTS, true, &argument.fd),
                     CKPT_ERR_INVALID);
    assert_int_equal(close(argument.fd), 0);
    fixture_remove(&arena, &options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments_lie_side_by_side_in_order),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
        cmocka_unit_test(test_a_read_only_descriptor_stays_read_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
