/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint becomes whole: B3SUMS, then the manifest. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault_point.h"
#include "base/reason.h"
#include "tier/manifest.h"
#include "tier/name.h"
#include "tier/pace.h"
#include "tier/root.h"
#include "tier/sums.h"
#include "tier/walk.h"

/* Whether each row's file is there, of its size. */
static enum ckpt_status look_for_files(struct tier *tier, const struct tier_name *folder,
                                       const struct tier_manifest *manifest, char *reason_out)
{
    struct walk walk;
    enum ckpt_status status = walk_begin(tier, folder->text, &walk, reason_out);
    for (uint32_t rank = 0; rank < manifest->world && status == CKPT_OK; rank++) {
        const struct tier_shard *shard = &manifest->shards[rank];
        struct tier_name name = tier_name_shard(rank, shard->encoding);
        const struct walk_thing *file = walk_find(&walk, name.text);
        if (file == NULL || file->thing != TIER_FILE) {
            status = reason_refuse(reason_out, CKPT_ERR_NOT_FOUND, "%s/%s is not there",
                                   folder->text, name.text);
        } else if (file->bytes != shard->stored_bytes) {
            status = reason_refuse(reason_out, CKPT_ERR_CORRUPT,
                                   "%s/%s has %" PRIu64 " bytes, not %" PRIu64, folder->text,
                                   name.text, file->bytes, shard->stored_bytes);
        }
    }
    walk_end(&walk);
    return status;
}

/* All ranks' sidecars become rows, which must have the root that was asked for. */
static enum ckpt_status gather(struct tier *tier, struct tier_manifest *manifest, char *reason_out)
{
    struct tier_root root;
    struct digest found;
    struct shard_key key = {
        .run = manifest->key.run, .attempt = manifest->key.attempt, .step = manifest->key.step};
    tier_root_begin(&root);
    for (; key.rank < manifest->world; key.rank++) {
        struct tier_shard *shard = &manifest->shards[key.rank];
        enum ckpt_status status = pace_ask(tier, reason_out);
        if (status == CKPT_OK) {
            status = tier_look_shard(tier, &key, shard, reason_out);
        }
        if (status != CKPT_OK) {
            return status;
        }
        tier_root_add(&root, key.rank, shard->bytes, &shard->blake3);
    }
    tier_root_final(&root, &found);
    if (!digest_equal(&found, &manifest->root)) {
        return reason_refuse(reason_out, CKPT_ERR_DIGEST,
                             "step %" PRIu64
                             ": the tier's shards are not those that the manifest was ordered for",
                             key.step);
    }
    return CKPT_OK;
}

static enum ckpt_status write_sums(struct tier *tier, const struct tier_name *folder,
                                   const struct tier_manifest *manifest, char *reason_out)
{
    char *text = sums_encode(manifest);
    if (text == NULL) {
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory for " TIER_SUMS);
    }
    FAULT_POINT(tier_before_sums);
    enum ckpt_status status = tier->medium->backend->store(
        tier->medium, tier_name_in(folder, TIER_SUMS).text, text, strlen(text), false, reason_out);
    free(text);
    return status;
}

/* What is there already is by another coordinator, or by this one before a restart. */
static enum ckpt_status compare(struct tier *tier, const struct tier_manifest *manifest,
                                bool *is_there_out, bool *is_same_out, char *reason_out)
{
    struct tier_manifest *there;
    enum ckpt_status status = tier_read_manifest(tier, &manifest->key, &there, reason_out);
    *is_there_out = status == CKPT_OK;
    *is_same_out = false;
    if (status == CKPT_ERR_NOT_FOUND) {
        return CKPT_OK;
    }
    if (status != CKPT_OK) {
        return status;
    }
    if (!digest_equal(&there->root, &manifest->root) || there->world != manifest->world) {
        status = reason_refuse(reason_out, CKPT_ERR_DIGEST,
                               "step %" PRIu64 ": the tier has a manifest of other shards already",
                               manifest->key.step);
    }
    *is_same_out = there->mark == manifest->mark;
    tier_manifest_free(there);
    return status;
}

static enum ckpt_status write_manifest(struct tier *tier, const struct tier_name *folder,
                                       const struct tier_manifest *manifest, char *reason_out)
{
    bool is_there;
    bool is_same;
    enum ckpt_status status = compare(tier, manifest, &is_there, &is_same, reason_out);
    if (status != CKPT_OK || is_same) {
        return status;
    }
    char *text = manifest_encode(manifest);
    if (text == NULL) {
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory for a manifest");
    }
    FAULT_POINT(tier_before_manifest);
    status = tier->medium->backend->store(tier->medium, tier_name_in(folder, TIER_MANIFEST).text,
                                          text, strlen(text), !is_there, reason_out);
    free(text);
    if (status == CKPT_ERR_STALE) { /* another was quicker: as good, if it is the same */
        status = compare(tier, manifest, &is_there, &is_same, reason_out);
    }
    return status;
}

enum ckpt_status tier_put_manifest(struct tier *tier, const struct tier_manifest *manifest,
                                   char *reason_out)
{
    struct tier_name folder;
    struct tier_manifest own = *manifest;
    if (manifest->world == 0 || manifest->world > CKPT_WORLD_MAX ||
        !tier_name_checkpoint(&manifest->key, &folder)) {
        return reason_refuse(reason_out, CKPT_ERR_NAME,
                             "run, step or world of a checkpoint is none that a file can have");
    }
    own.shards = calloc(own.world, sizeof(*own.shards));
    if (own.shards == NULL) {
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory for a manifest");
    }
    own.made_ms = clock_wall_ms();
    enum ckpt_status status = gather(tier, &own, reason_out);
    if (status == CKPT_OK) {
        status = look_for_files(tier, &folder, &own, reason_out);
    }
    if (status == CKPT_OK) {
        status = write_sums(tier, &folder, &own, reason_out);
    }
    if (status == CKPT_OK) {
        status = write_manifest(tier, &folder, &own, reason_out);
    }
    free(own.shards);
    return status;
}
