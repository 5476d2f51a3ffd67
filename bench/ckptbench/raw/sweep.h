/* SPDX-License-Identifier: Apache-2.0 */
/* Raw reads at many points, in turn: every slice size with every depth, for each number of rails.
 * Each turn visits all points of one number of rails, so that other work on the machine touches all
 * of them; the first turn warms up and is not counted. */
#ifndef CKPTBENCH_SWEEP_H
#define CKPTBENCH_SWEEP_H

#include "raw/beside.h"
#include "report/latency.h"
#include "raw/raw.h"
#include "report/report.h"
#include "report/samples.h"

#define SWEEP_SLICES_MAX 32
#define SWEEP_DEPTHS_MAX 16
#define SWEEP_RAILS_MAX 8
#define SWEEP_POINTS_MAX 256

struct sweep_point {
    uint32_t rails; /* 0: whatever the transport takes */
    uint64_t slice_bytes;
    uint32_t depth;
    struct samples gbps;
    struct samples cpu; /* seconds a GB, of both ends */
    struct latency latency;
    struct samples beside[BESIDE_MAX];       /* GB/s */
    struct samples beside_ratio[BESIDE_MAX]; /* ours over theirs, the same turn */
};

struct sweep {
    struct raw_options raw; /* transport and devices are those of all rails */
    uint64_t bytes;         /* read each time */
    uint64_t reads_max;     /* at most so many reads each time; 0: no bound */
    uint32_t repeat;
    uint32_t copy_threads; /* of the memcpy; 0: none */
    size_t slice_count;    /* 0: what the transport likes; as of depths */
    uint64_t slices[SWEEP_SLICES_MAX];
    size_t depth_count;
    uint32_t depths[SWEEP_DEPTHS_MAX];
    size_t rail_count; /* 0: whatever the transport takes */
    uint32_t rails[SWEEP_RAILS_MAX];
    size_t beside_count;
    struct beside beside[BESIDE_MAX];
    /* Results: */
    struct samples copy_gbps;
    size_t point_count;
    struct sweep_point *points;
    json_t *peer_environment; /* of a server; NULL: none */
    char *gpu_model;          /* whose memory was read; NULL: the host's */
};

/* Measures; what was taken until a failure stays. CKPT_ERR_CONFIG: what was asked for is not there.
 * On failure reason (CKPT_REASON_MAX + 1 bytes) says what failed. By the main thread. */
enum ckpt_status sweep_run(struct sweep *sweep, char *reason);

/* The points as columns of a report. */
void sweep_tell(const struct sweep *sweep, struct report *report);

void sweep_free(struct sweep *sweep);

#endif
