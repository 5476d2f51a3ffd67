/* SPDX-License-Identifier: Apache-2.0 */
/* The raw tools of others, run between two processes of this machine at the same size and depth:
 * ucx_perftest of UCX, ib_read_bw of perftest. By the main thread. */
#ifndef CKPTBENCH_BESIDE_H
#define CKPTBENCH_BESIDE_H

#include <stdbool.h>
#include <stdint.h>

#include <ckpt/status.h>

#define BESIDE_MAX 5

struct beside_test;

/* By name; NULL, and reason (CKPT_REASON_MAX + 1 bytes): unknown, for another kind of transport, or
 * its tool is not installed. */
const struct beside_test *beside_find(const char *name, const char *transport, char *reason);
const char *beside_name(const struct beside_test *test);

struct beside_run {
    const char *transport; /* as ckptbench has it; decides the tool's settings */
    const char *devices;   /* comma list, or NULL */
    uint64_t slice_bytes;
    uint32_t depth;
    uint64_t count; /* of operations, at least; tools want several times the depth */
    bool is_pinned; /* to CPUs: the client, as a reader, and the server */
    uint32_t client_cpu, server_cpu;
    bool spins; /* as ckptbench does; where the test is set up alike */
};

/* Runs it once; 10^9 bytes a second. Blocks, two minutes at most. CKPT_ERR_SYSTEM and reason when
 * it failed, or said what is not understood. */
enum ckpt_status beside_measure(const struct beside_test *test, const struct beside_run *run,
                                double *gbps_out, char *reason);

/* Every name, apart by ", ". */
const char *beside_names(void);

#endif
