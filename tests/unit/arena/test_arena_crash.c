/* SPDX-License-Identifier: Apache-2.0 */
/* A store that is killed leaves the old record or the new one: at every single instruction (by
 * stepping through one store and restarting from what lies in memory then), and under real
 * SIGKILLs at random moments of a store loop. */
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
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/arena/fixture.h"

#define INDEX_BYTES (3 * 4096 + 2 * ARENA_RECORD_BYTES)

static struct arena_options small_options(void)
{
    struct arena_options options = fixture_options();
    options.segment_count = 1;
    options.slot_count = 1;
    options.prefault_threads = 1;
    return options;
}

static struct slot_record record_of(uint64_t generation)
{
    struct slot_record record = fixture_record(0, generation, 0, 1);
    record.shard.step = generation * 3; /* all of a record has to be of one generation */
    for (unsigned i = 0; i < CKPT_DIGEST_BYTES; i++) {
        record.digest.bytes[i] = (uint8_t)(generation >> (i % 8 * 8));
    }
    return record;
}

/* A restart from the bytes of an index: what would an agent find? */
static void check_restart(const struct arena_options *clone, const uint8_t *index,
                          uint64_t old_generation, uint64_t new_generation, bool *is_new_inout)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/index", clone->directory);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, index, INDEX_BYTES, 0), INDEX_BYTES);
    assert_int_equal(close(fd), 0);

    struct arena *arena = fixture_open(clone);
    struct slot_record loaded;
    char reason[ARENA_REASON_BYTES] = "";
    enum ckpt_status status = arena_record_load(arena, 0, &loaded, reason);
    if (old_generation == 0 && status == CKPT_ERR_NOT_FOUND) {
        assert_false(*is_new_inout);
    } else {
        if (status != CKPT_OK) {
            fail_msg("status %d: %s", status, reason);
        }
        struct slot_record expected = record_of(loaded.generation);
        assert_memory_equal(&loaded, &expected, sizeof loaded);
        assert_true(loaded.generation == new_generation ||
                    (loaded.generation == old_generation && !*is_new_inout));
        *is_new_inout = loaded.generation == new_generation;
        assert_true(arena_generation_floor(arena) >= loaded.generation);
    }
    assert_true(arena_generation_floor(arena) >= old_generation);
    assert_true(arena_generation_floor(arena) <= new_generation);
    arena_close(&arena);
}

/* Steps a child through one store; returns the number of distinct memories it went through. */
static unsigned step_through_store(struct arena *arena, const struct arena_options *options,
                                   const struct arena_options *clone, uint64_t old_generation,
                                   uint64_t new_generation)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/index", options->directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    const uint8_t *index = mmap(NULL, INDEX_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(index, MAP_FAILED);
    assert_int_equal(close(fd), 0);
    uint8_t *seen = malloc(INDEX_BYTES);
    assert_non_null(seen);
    memcpy(seen, index, INDEX_BYTES);

    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct slot_record record = record_of(new_generation);
        (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        (void)raise(SIGSTOP);
        _exit(arena_record_store(arena, 0, &record) == CKPT_OK ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSTOPPED(status));
    unsigned memories = 0;
    bool is_new = false;
    while (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0) {
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSTOPPED(status)) {
            break;
        }
        if (memcmp(seen, index, INDEX_BYTES) != 0) {
            memcpy(seen, index, INDEX_BYTES);
            memories++;
            check_restart(clone, seen, old_generation, new_generation, &is_new);
        }
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(is_new);
    free(seen);
    assert_int_equal(munmap((void *)(uintptr_t)index, INDEX_BYTES), 0);
    return memories;
}

static bool may_trace(void)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_killed_at_every_instruction(void **state)
{
    (void)state;
    if (!may_trace()) {
        print_message("ptrace: not permitted: skipped\n");
        skip();
    }
    struct arena_options options = small_options();
    struct arena_options clone = options;
    char path[96];
    (void)snprintf(path, sizeof path, "%s-clone", options.directory);
    clone.directory = path;
    struct arena *arena = fixture_open(&clone);
    arena_close(&arena);
    arena = fixture_open(&options);
    unsigned memories = 0;
    /* The first store of all, and one into each copy; with and without a new floor. */
    memories += step_through_store(arena, &options, &clone, 0, 5);
    memories += step_through_store(arena, &options, &clone, 5, 9);
    memories += step_through_store(arena, &options, &clone, 9, 12);
    print_message("restarted from %u different memories\n", memories);
    assert_true(memories > 30);
    fixture_remove(&arena, &options);
    fixture_remove(&arena, &clone);
}

static int store_for_ever(void *argument)
{
    struct arena *arena = NULL;
    char reason[ARENA_REASON_BYTES];
    if (arena_open(argument, &arena, reason) != CKPT_OK) {
        return 1;
    }
    struct slot_record record;
    uint64_t generation = 0;
    enum ckpt_status status = arena_record_load(arena, 0, &record, NULL);
    if (status == CKPT_OK) {
        generation = record.generation;
    } else if (status != CKPT_ERR_NOT_FOUND) {
        return 2;
    }
    for (;;) {
        record = record_of(++generation);
        if (arena_record_store(arena, 0, &record) != CKPT_OK) {
            return 3;
        }
    }
}

static void test_killed_at_random_moments(void **state)
{
    (void)state;
    struct arena_options options = small_options();
    uint64_t generation = 0;
    unsigned advanced = 0;
    for (unsigned round = 0; round < 150; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            _exit(store_for_ever(&options));
        }
        struct timespec pause = {0, 1000000 + (long)(round * 7919 % 3000) * 1000};
        (void)nanosleep(&pause, NULL);
        assert_int_equal(kill(child, SIGKILL), 0);
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));

        struct arena *arena = fixture_open(&options);
        struct slot_record loaded;
        enum ckpt_status loading = arena_record_load(arena, 0, &loaded, NULL);
        if (generation == 0 && loading == CKPT_ERR_NOT_FOUND) {
            arena_close(&arena);
            continue; /* killed before its first store */
        }
        assert_int_equal(loading, CKPT_OK);
        struct slot_record expected = record_of(loaded.generation);
        assert_memory_equal(&loaded, &expected, sizeof loaded);
        assert_true(loaded.generation >= generation);
        assert_true(arena_generation_floor(arena) >= loaded.generation);
        assert_true(arena_generation_floor(arena) <= loaded.generation + 1);
        advanced += loaded.generation > generation;
        generation = loaded.generation;
        arena_close(&arena);
    }
    print_message("%u rounds stored, %llu stores\n", advanced, (unsigned long long)generation);
    assert_true(advanced > 10);
    struct arena *arena = fixture_open(&options);
    fixture_remove(&arena, &options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_at_every_instruction),
        cmocka_unit_test(test_killed_at_random_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
