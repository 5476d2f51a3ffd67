/* SPDX-License-Identifier: Apache-2.0 */
/* Surviving a trainer that cuts a segment which the agent is reading.
 *
 * Happy path: nothing happens; a range is two words in a table.
 * Failure: the kernel raises SIGBUS in the thread that touches a lost page. The handler finds the
 * range, marks the segment, puts zeros under the whole segment and returns; the touch is repeated
 * and reads zero. The handler takes no lock and allocates nothing: it reads the table and calls
 * mmap(). On close: a range is removed by its owner, when no thread of the process touches it any
 * more, so the handler never finds a range that is being freed. */
#include "arena/guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARENAS_MAX 16
#define RANGES_MAX (ARENA_VIEWS_MAX + ARENAS_MAX)

/* begin is stored last and cleared first: it is what makes the rest valid. */
struct range {
    _Atomic(uintptr_t) begin;
    _Atomic(uintptr_t) end;
    struct arena *arena;
    uint16_t *ids; /* of the segments side by side; NULL: 0, 1, 2, ... */
};

static struct range ranges[RANGES_MAX];
static pthread_mutex_t ranges_mutex = PTHREAD_MUTEX_INITIALIZER; /* for adding and removing */
static struct sigaction action_before;

/* What lost a page, and where it is mapped: a part of the arena's own range has its own place. */
static struct segment *find_lost(const struct range *range, uintptr_t address,
                                 uintptr_t *begin_inout, uint64_t *bytes_out)
{
    struct arena *arena = range->arena;
    size_t index = (size_t)((address - *begin_inout) / arena->segment_bytes);
    struct segment *segment =
        arena_find(arena, range->ids == NULL ? (uint32_t)index : range->ids[index]);
    if (segment == NULL) {
        return NULL; /* the spare place, of a file that nobody else has */
    }
    *begin_inout += index * arena->segment_bytes;
    *bytes_out = arena_bytes_of(arena, segment);
    if (range->ids != NULL || !atomic_load(&segment->cut)) {
        return segment;
    }
    for (uint32_t i = 0; i < arena->part_count; i++) {
        struct segment *part = &arena->segments[arena->segment_count + i];
        uintptr_t begin = atomic_load(&part->begin);
        uintptr_t end = atomic_load(&part->end);
        if (begin != 0 && address >= begin && address < end) {
            *begin_inout = begin;
            *bytes_out = end - begin;
            return part;
        }
    }
    return NULL; /* what is left of a cut segment is nobody's, and nobody else has it */
}

/* True when the address was in a range and may be touched again. */
static bool recover(uintptr_t address)
{
    for (size_t i = 0; i < RANGES_MAX; i++) {
        struct range *range = &ranges[i];
        uintptr_t begin = atomic_load(&range->begin);
        if (begin == 0 || address < begin || address >= atomic_load(&range->end)) {
            continue;
        }
        uint64_t bytes;
        struct segment *lost = find_lost(range, address, &begin, &bytes);
        if (lost == NULL) {
            return false;
        }
        atomic_store(&lost->damaged, true);
        void *start = (void *)begin;
        return mmap(start, (size_t)bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == start;
    }
    return false;
}

static void handle(int signal_number, siginfo_t *info, void *context)
{
    /* A SIGBUS sent by kill() has no address. */
    if (info->si_code > 0 && recover((uintptr_t)info->si_addr)) {
        return;
    }
    if ((action_before.sa_flags & SA_SIGINFO) != 0) {
        action_before.sa_sigaction(signal_number, info, context);
    } else if (action_before.sa_handler == SIG_DFL || action_before.sa_handler == SIG_IGN) {
        /* The default action, when the instruction is repeated; or now, when it was sent. */
        (void)signal(SIGBUS, SIG_DFL);
        if (info->si_code <= 0) {
            (void)raise(SIGBUS);
        }
    } else {
        action_before.sa_handler(signal_number);
    }
}

enum ckpt_status arena_guard_install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    (void)sigemptyset(&action.sa_mask);
    enum ckpt_status status = CKPT_OK;
    (void)pthread_mutex_lock(&ranges_mutex);
    struct sigaction current;
    if (sigaction(SIGBUS, NULL, &current) != 0) {
        status = CKPT_ERR_SYSTEM;
    } else if ((current.sa_flags & SA_SIGINFO) == 0 || current.sa_sigaction != handle) {
        /* Before the handler can run, which reads it without a lock. */
        action_before = current;
        status = sigaction(SIGBUS, &action, NULL) == 0 ? CKPT_OK : CKPT_ERR_SYSTEM;
    }
    (void)pthread_mutex_unlock(&ranges_mutex);
    return status;
}

enum ckpt_status arena_guard_add(struct arena *arena, uint8_t *address, uint32_t count,
                                 const uint16_t *segments)
{
    uint16_t *ids = NULL;
    if (segments != NULL) {
        ids = malloc(count * sizeof *ids);
        if (ids == NULL) {
            return CKPT_ERR_MEMORY;
        }
        memcpy(ids, segments, count * sizeof *ids);
    }
    (void)pthread_mutex_lock(&ranges_mutex);
    struct range *range = NULL;
    for (size_t i = 0; i < RANGES_MAX && range == NULL; i++) {
        if (atomic_load(&ranges[i].begin) == 0) {
            range = &ranges[i];
        }
    }
    if (range != NULL) {
        range->arena = arena;
        range->ids = ids;
        uint64_t bytes =
            segments != NULL ? arena_memory_bytes(arena, segments[0]) : arena->segment_bytes;
        atomic_store(&range->end, (uintptr_t)address + count * bytes);
        atomic_store(&range->begin, (uintptr_t)address);
    }
    (void)pthread_mutex_unlock(&ranges_mutex);
    if (range == NULL) {
        free(ids);
        return CKPT_ERR_MEMORY;
    }
    return CKPT_OK;
}

void arena_guard_remove(const uint8_t *address)
{
    uint16_t *ids = NULL;
    (void)pthread_mutex_lock(&ranges_mutex);
    for (size_t i = 0; i < RANGES_MAX; i++) {
        if (address != NULL && atomic_load(&ranges[i].begin) == (uintptr_t)address) {
            atomic_store(&ranges[i].begin, 0);
            ids = ranges[i].ids;
            ranges[i].ids = NULL;
            break;
        }
    }
    (void)pthread_mutex_unlock(&ranges_mutex);
    free(ids);
}
