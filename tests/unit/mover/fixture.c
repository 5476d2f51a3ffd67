/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/mover/fixture.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct arena *arena;
static struct arena_options arena_options;
static char directory[64];
struct completions *completions;
struct digester *digester;
const struct digest_engine *engine;
struct source source;

static void *serve(void *context)
{
    struct source *s = context;
    assert_int_equal(transport_open("loop", NULL, &s->transport), CKPT_OK);
    for (int i = 0; i < 2; i++) {
        struct transport_memory memory = {.address = s->memory + (size_t)i * SEGMENT_BYTES,
                                          .bytes = SEGMENT_BYTES,
                                          .generation = 1};
        assert_int_equal(transport_register(s->transport, &memory, &s->regions[i]), CKPT_OK);
        assert_int_equal(
            transport_export(s->regions[i], s->descriptors[i], &s->descriptor_bytes[i]), CKPT_OK);
    }
    assert_int_equal(transport_address(s->transport, s->address, &s->address_bytes), CKPT_OK);
    pthread_barrier_wait(&s->ready);
    while (!atomic_load(&s->stopping)) {
        struct transport_completion done[8];
        if (transport_progress(s->transport, done, 8) == 0 && transport_arm(s->transport)) {
            struct pollfd waiter = {.fd = transport_event_fd(s->transport), .events = POLLIN};
            (void)poll(&waiter, 1, 10);
        }
    }
    transport_close(s->transport, NULL, NULL);
    return NULL;
}

enum ckpt_status start_mover(struct mover_options *options, struct mover **mover_out)
{
    char reason[CKPT_REASON_MAX + 1];
    options->segment_bytes = SEGMENT_BYTES;
    options->segment_count = SEGMENTS;
    enum ckpt_status status = mover_open(options, mover_out, reason);
    return status == CKPT_OK ? mover_start(*mover_out, arena, digester, completions, reason)
                             : status;
}

int fixture_start(void **state)
{
    char reason[ARENA_REASON_BYTES];
    (void)state;
    snprintf(directory, sizeof directory, "/dev/shm/ckptd-test-mover-%d", getpid());
    arena_options = (struct arena_options){.directory = directory,
                                           .segment_bytes = SEGMENT_BYTES,
                                           .segment_count = SEGMENTS,
                                           .lock = ARENA_LOCK_TRY,
                                           .huge_pages = ARENA_HUGE_PAGES_NEVER};
    if (arena_open(&arena_options, &arena, reason) != CKPT_OK) {
        print_error("%s\n", reason);
        return -1;
    }
    assert_int_equal(completions_make(&completions), CKPT_OK);
    cpu_set_t everywhere;
    CPU_ZERO(&everywhere);
    assert_int_equal(digester_start(2, 0, &everywhere, &digester), CKPT_OK);
    assert_int_equal(digest_engine_select(NULL, &engine), CKPT_OK);
    memset(&source, 0, sizeof source);
    source.memory = aligned_alloc(4096, 2 * SEGMENT_BYTES);
    for (size_t i = 0; i < 2 * SEGMENT_BYTES; i++) {
        source.memory[i] = (uint8_t)(i * 7 + i / 4096);
    }
    pthread_barrier_init(&source.ready, NULL, 2);
    pthread_create(&source.thread, NULL, serve, &source);
    pthread_barrier_wait(&source.ready);
    return 0;
}

int fixture_stop(void **state)
{
    char reason[ARENA_REASON_BYTES];
    (void)state;
    atomic_store(&source.stopping, true);
    pthread_join(source.thread, NULL);
    pthread_barrier_destroy(&source.ready);
    free(source.memory);
    digester_stop(&digester);
    completions_free(&completions);
    arena_close(&arena);
    return arena_destroy_files(&arena_options, reason) == CKPT_OK ? 0 : -1;
}

struct work *wait_work(void)
{
    struct pollfd waiter = {.fd = completions_fd(completions), .events = POLLIN};
    struct work *work = NULL;
    struct offer_reply *offer = NULL;
    while (work == NULL) {
        assert_int_equal(poll(&waiter, 1, 20000), 1);
        completions_take(completions, &work, &offer);
        assert_null(offer);
    }
    assert_null(work->next);
    return work;
}
