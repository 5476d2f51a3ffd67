/* SPDX-License-Identifier: Apache-2.0 */
/* What a tier says of a shard and of a checkpoint, and their bytes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "tier/manifest.h"
#include "tier/name.h"
#include "tier/pace.h"
#include "tier/sidecar.h"
#include "tier/state.h"

enum ckpt_status tier_look_shard(struct tier *tier, const struct shard_key *key,
                                 struct tier_shard *shard_out, char *reason_out)
{
    struct tier_name folder;
    char *text;
    size_t bytes;
    struct tier_checkpoint_key of = {.run = key->run, .attempt = key->attempt, .step = key->step};
    if (key->rank >= CKPT_WORLD_MAX || !tier_name_checkpoint(&of, &folder)) {
        return reason_refuse(reason_out, CKPT_ERR_NAME, "no file can have this run, step or rank");
    }
    struct tier_name name = tier_name_in(&folder, tier_name_sidecar(key->rank).text);
    enum ckpt_status status = tier->medium->backend->load(
        tier->medium, name.text, SIDECAR_BYTES_MAX, &text, &bytes, reason_out);
    if (status == CKPT_OK) {
        status = sidecar_decode(text, bytes, &of, key->rank, shard_out, reason_out);
        free(text);
    }
    return status;
}

enum ckpt_status tier_read_manifest(struct tier *tier, const struct tier_checkpoint_key *key,
                                    struct tier_manifest **manifest_out, char *reason_out)
{
    struct tier_name folder;
    char *text;
    size_t bytes;
    if (!tier_name_checkpoint(key, &folder)) {
        return reason_refuse(reason_out, CKPT_ERR_NAME, "no file can have this run or step");
    }
    enum ckpt_status status =
        tier->medium->backend->load(tier->medium, tier_name_in(&folder, TIER_MANIFEST).text,
                                    MANIFEST_BYTES_MAX, &text, &bytes, reason_out);
    if (status == CKPT_OK) {
        status = manifest_decode(text, bytes, key, manifest_out, reason_out);
        free(text);
    }
    return status;
}

enum ckpt_status tier_read_shard(struct tier *tier, const struct tier_checkpoint_key *key,
                                 const struct tier_shard *shard, uint64_t offset, void *into,
                                 uint64_t bytes, char *reason_out)
{
    struct tier_name folder;
    uint8_t *to = into;
    enum ckpt_status status = CKPT_OK;
    if (!tier_name_checkpoint(key, &folder)) {
        return reason_refuse(reason_out, CKPT_ERR_NAME, "no file can have this run or step");
    }
    if (offset > shard->bytes || bytes > shard->bytes - offset) {
        return reason_refuse(reason_out, CKPT_ERR_SIZE,
                             "bytes %" PRIu64 " and %" PRIu64
                             " more are not in a shard of %" PRIu64,
                             offset, bytes, shard->bytes);
    }
    struct tier_name name =
        tier_name_in(&folder, tier_name_shard(shard->rank, shard->encoding).text);
    while (bytes > 0 && status == CKPT_OK) {
        size_t part = (size_t)(bytes < TIER_READ_BYTES ? bytes : TIER_READ_BYTES);
        status = pace_ask(tier, reason_out);
        if (status == CKPT_OK) {
            status =
                tier->medium->backend->read(tier->medium, name.text, offset, to, part, reason_out);
        }
        offset += part;
        to += part;
        bytes -= part;
    }
    return status;
}
