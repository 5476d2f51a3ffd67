/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between an agent and the coordinator about the tier: what is consistent goes to a disk,
 * or to a store of objects. docs/protocol.md tells when each is sent. */
#ifndef CKPT_WIRE_MESSAGE_TIER_H
#define CKPT_WIRE_MESSAGE_TIER_H

#include <stdint.h>

#include "base/ids.h"
#include "base/limits.h"
#include "digest/digest.h"
#include "digest/key.h"
#include "wire/key.h"
#include "wire/state.h"
#include <ckpt/status.h>

/* Write your copy to the tier. Repeated until it is answered; whoever has forgotten it begins anew,
 * and writes what is there already. */
struct message_persist_order {
    uint64_t order;
    struct shard_key shard;
    uint64_t generation; /* of its slot */
    uint32_t world;
    uint32_t copies;
    uint64_t bytes;
    struct digest digest; /* that was committed: bytes with another one get no name in the tier */
    struct digest_key key;
};

/* Every shard of the checkpoint is in the tier: write down there that it is whole. */
struct message_manifest_order {
    uint64_t order;
    struct run_key run;
    uint32_t attempt;
    uint64_t step;
    uint32_t world;
    uint32_t copies;
    uint64_t bytes;   /* of all shards together */
    uint64_t wall_ms; /* of the commit; 0: not known */
    enum checkpoint_mark mark;
    struct digest root; /* BLAKE3 over rank (32 bits), bytes (64) and name (256) of each
                         * shard in the order of ranks, little-endian */
};

/* How an order ended: told again when it comes again. */
struct message_persist_told {
    uint64_t order;
    enum ckpt_status status; /* CKPT_OK: it is durable. CKPT_ERR_FULL: the tier is;
                              * CKPT_ERR_TIMEOUT, CKPT_ERR_DISK, CKPT_ERR_THROTTLED: it does not
                              * go on; CKPT_ERR_DIGEST: the bytes
                              * here have another digest; CKPT_ERR_BUSY: too much is under way */
    uint64_t bytes;          /* that it takes in the tier */
    struct digest name;      /* BLAKE3 of the shard's bytes; zeros of a manifest */
    char reason[CKPT_REASON_MAX + 1];
};

#endif
