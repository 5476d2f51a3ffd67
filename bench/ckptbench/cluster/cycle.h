/* SPDX-License-Identifier: Apache-2.0 */
/* The measurements of `ckptbench cycle`, one after the other, each beside what it is compared with.
 * Cycles that differ in their digests are measured turn about. */
#ifndef CKPTBENCH_CYCLE_H
#define CKPTBENCH_CYCLE_H

#include <stdint.h>

#include "cluster/cluster.h"
#include "digest/fingerprint.h"
#include "digest/key.h"
#include "cluster/ranks.h"
#include "raw/raw.h"
#include "report/samples.h"

#define CYCLES_MAX 2 /* that are measured turn about */

struct cycle_options {
    uint64_t bytes; /* of all ranks */
    uint32_t ranks;
    uint32_t repeat;
    uint32_t small_repeat;
    uint32_t copy_threads; /* of each rank */
    uint32_t timeout_ms;
    uint64_t segment_bytes;
    const char *transport;
    const char *directory;
    const char *agent_flags;
    enum digest_kind digest; /* that its runs are proven with */
};

struct cycle {
    struct cycle_options options;
    char directory[PATH_MAX]; /* made below options.directory, or the lender's */
    struct cluster cluster;
    bool borrows; /* the next three, of another cycle */
    struct raw *raw;
    uint8_t *data;
    uint8_t *copy; /* what memcpy writes */
    struct ranks ranks;
    const struct digest_engine *engine;
    struct fingerprint_key key;
    long cores;

    struct samples memcpy_gbps;
    struct samples save_gbps;
    struct samples stall_ratio;
    struct samples digest_gbps;
    struct samples raw_gbps; /* beside replication */
    struct samples raw_cpu;  /* seconds a GB of both processes, beside replication */
    struct samples replicate_gbps;
    struct samples replicate_cpu;  /* seconds a GB of all daemons */
    struct samples replicate_roof; /* GB/s */
    struct samples replicate_ratio;
    struct samples consistent_s;
    struct samples raw_restore_gbps; /* beside restore */
    struct samples restore_gbps;
    struct samples restore_ratio;
    struct samples restore_cpu;
    struct samples restore_roof;
    struct samples restore_s;
    struct samples local_restore_s;
    struct samples small_save_ms;
    struct samples small_consistent_ms;
    struct samples memory_beyond; /* bytes; the largest of the agents, after each turn */

    char save_missing[CKPT_REASON_MAX + 1]; /* why a part ended early; "" when it did not */
    char small_missing[CKPT_REASON_MAX + 1];
    char restore_missing[CKPT_REASON_MAX + 1];
};

/* How much sooner, or cheaper, the second of two cycles was, turn by turn. */
struct cycle_pairs {
    struct samples replicate_speedup;
    struct samples restore_speedup;
    struct samples local_restore_speedup;
    struct samples cpu_ratio;   /* of all daemons', a byte replicated */
    struct samples small_ratio; /* of the time until 1 MiB is consistent */
};

/* Memory, processes; the memory and the raw read are those of `lender`, of the same sizes, where it
 * is not NULL. Then measure; what fails leaves its reason in *_missing and the samples taken so
 * far. At last close, a lender last, also after a failure. The processes end with
 * belongings_end(). */
enum ckpt_status cycle_open(const struct cycle_options *options, const struct cycle *lender,
                            struct cycle *cycle, char *reason);
void cycle_measure(struct cycle *const *cycles, size_t count);
void cycle_compare(const struct cycle *first, const struct cycle *second,
                   struct cycle_pairs *pairs_out);
void cycle_close(struct cycle *cycle);

#endif
