/* SPDX-License-Identifier: Apache-2.0 */
/* What the mover's tests run over: an arena, digester and completions of their own, and another
 * node's memory behind the in-process transport. */
#ifndef CKPT_TESTS_MOVER_FIXTURE_H
#define CKPT_TESTS_MOVER_FIXTURE_H

#include <pthread.h>

#include "mover/completions.h"
#include "mover/digester.h"
#include "mover/mover.h"
#include "transport/transport.h"

#define SEGMENT_BYTES (2 * CKPT_MIB)
#define SEGMENTS 6
#define SHARD_BYTES (3 * CKPT_MIB + 12345)

/* Another node's transport: its thread serves it, as a peer's mover would. */
struct source {
    struct transport *transport;
    struct transport_region *regions[2];
    uint8_t *memory; /* two segments of SEGMENT_BYTES */
    uint8_t address[CKPT_WORKER_ADDRESS_MAX];
    size_t address_bytes;
    uint8_t descriptors[2][CKPT_DESCRIPTOR_MAX];
    size_t descriptor_bytes[2];
    pthread_t thread;
    atomic_bool stopping;
    pthread_barrier_t ready;
};

extern struct arena *arena;
extern struct completions *completions;
extern struct digester *digester;
extern const struct digest_engine *engine;
extern struct source source;

/* cmocka's, of the whole group. */
int fixture_start(void **state);
int fixture_stop(void **state);
/* Over the arena; the options' segments are filled in. */
enum ckpt_status start_mover(struct mover_options *options, struct mover **mover_out);
/* The next one that is finished, or handed back. */
struct work *wait_work(void);

#endif
