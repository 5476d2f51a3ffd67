/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/arena/fixture.h"

struct arena_options fixture_options(void)
{
    static char path[64];
    (void)snprintf(path, sizeof path, "/dev/shm/ckptd-test-arena-%d", (int)getpid());
    struct arena_options options = {
        .directory = path,
        .segment_bytes = FIXTURE_SEGMENT_BYTES,
        .segment_count = FIXTURE_SEGMENTS,
        .slot_count = 4,
        .lock = ARENA_LOCK_TRY,
    };
    char reason[ARENA_REASON_BYTES];
    assert_int_equal(arena_destroy_files(&options, reason), CKPT_OK);
    return options;
}

struct arena *fixture_open(const struct arena_options *options)
{
    struct arena *arena = NULL;
    char reason[ARENA_REASON_BYTES] = "";
    if (arena_open(options, &arena, reason) != CKPT_OK) {
        fail_msg("arena_open: %s", reason);
    }
    return arena;
}

void fixture_remove(struct arena **arena, const struct arena_options *options)
{
    char reason[ARENA_REASON_BYTES] = "";
    arena_close(arena);
    assert_null(*arena);
    if (arena_destroy_files(options, reason) != CKPT_OK) {
        fail_msg("arena_destroy_files: %s", reason);
    }
    assert_int_not_equal(access(options->directory, F_OK), 0);
}

struct slot_record fixture_record(uint32_t slot, uint64_t generation, uint16_t first, uint32_t n)
{
    struct slot_record record = {
        .slot = slot,
        .state = SLOT_VERIFIED,
        .generation = generation,
        .shard = {.run = {.uid = 1000, .name = "llama/7b-run.1"},
                  .attempt = 2,
                  .step = 4000,
                  .rank = 3},
        .world = 8,
        .copies = 2,
        .bytes = n * FIXTURE_SEGMENT_BYTES - 17,
        .owner = true,
        .has_digest = true,
        .segment_count = n,
    };
    for (unsigned i = 0; i < CKPT_DIGEST_BYTES; i++) {
        record.digest.bytes[i] = (uint8_t)(i * 7 + 1);
    }
    for (uint32_t i = 0; i < n; i++) {
        record.segments[i] = (uint16_t)(first + i);
    }
    return record;
}

int fixture_in_child(int (*fn)(void *), void *argument, unsigned uid)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* cmocka's handlers would go on with the tests, in the child. */
        (void)signal(SIGBUS, SIG_DFL);
        (void)signal(SIGSEGV, SIG_DFL);
        if (uid != 0 && (setgid(uid) != 0 || setuid(uid) != 0)) {
            _exit(99);
        }
        _exit(fn(argument));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}
