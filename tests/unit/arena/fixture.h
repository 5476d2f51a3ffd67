/* SPDX-License-Identifier: Apache-2.0 */
/* A small arena in /dev/shm for one test, and child processes that answer by their exit status. */
#ifndef CKPT_TESTS_ARENA_FIXTURE_H
#define CKPT_TESTS_ARENA_FIXTURE_H

#include "arena/arena.h"

#define FIXTURE_SEGMENT_BYTES CKPT_SEGMENT_BYTES_MIN
#define FIXTURE_SEGMENTS 6

/* Options for an arena of this process's own name; nothing is there yet. */
struct arena_options fixture_options(void);

/* Opens it, or fails the test with the reason. */
struct arena *fixture_open(const struct arena_options *options);

/* Closes and removes it. */
void fixture_remove(struct arena **arena, const struct arena_options *options);

/* A SEALED record of n segments from `first` on. */
struct slot_record fixture_record(uint32_t slot, uint64_t generation, uint16_t first, uint32_t n);

/* Runs fn(argument) in a child, as `uid` when it is not 0; the exit status, or 256 + the signal. */
int fixture_in_child(int (*fn)(void *), void *argument, unsigned uid);

#endif
