/* SPDX-License-Identifier: Apache-2.0 */
/* The raw tools of others, run between two processes of this machine at the same size and depth:
 * ucx_perftest of UCX, ib_read_bw of perftest. By the main thread. */
#ifndef CKPTBENCH_BESIDE_H
#define CKPTBENCH_BESIDE_H

#include <stdbool.h>
#include <stdint.h>

#include <ckpt/status.h>

#define BESIDE_MAX 5
#define BESIDE_NAME_MAX 39

struct beside_test;

/* A test as it was asked for. */
struct beside {
    const struct beside_test *test;
    uint64_t message_bytes; /* 0: as large as a slice */
    char name[BESIDE_NAME_MAX + 1];
};

/* By NAME or NAME@SIZE: with messages of that size. These tools send the same buffer over and over:
 * one that is larger than the caches makes them move memory. False, and reason (CKPT_REASON_MAX + 1
 * bytes): unknown, for another kind of transport, its tool is not installed, or no size. */
bool beside_find(const char *name, const char *transport, struct beside *beside_out, char *reason);

struct beside_run {
    const char *transport; /* as ckptbench has it; decides the tool's settings */
    const char *devices;   /* comma list, or NULL */
    uint64_t slice_bytes;
    uint32_t depth;
    uint64_t bytes; /* moved, at least; tools want several times the depth */
    bool is_pinned; /* to CPUs: the client, as a reader, and the server */
    uint32_t client_cpu, server_cpu;
    bool spins; /* as ckptbench does; where the test is set up alike */
};

/* Runs it once; 10^9 bytes a second. Blocks, two minutes at most. CKPT_ERR_SYSTEM and reason when
 * it failed, or said what is not understood. */
enum ckpt_status beside_measure(const struct beside *beside, const struct beside_run *run,
                                double *gbps_out, char *reason);

/* Every name, apart by ", ". */
const char *beside_names(void);

#endif
