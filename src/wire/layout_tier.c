/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of what an agent and the coordinator say of the tier. */
#include "wire/layout.h"

static const struct wire_field persist_order_fields[] = {
    FIELD_U64(message_persist_order, PersistOrder, order),
    FIELD_SHARD(message_persist_order, PersistOrder, shard),
    FIELD_U64(message_persist_order, PersistOrder, generation),
    FIELD_U32(message_persist_order, PersistOrder, world, CKPT_WORLD_MAX),
    FIELD_U32(message_persist_order, PersistOrder, copies, CKPT_COPIES_MAX),
    FIELD_U64(message_persist_order, PersistOrder, bytes),
    FIELD_DIGEST(message_persist_order, PersistOrder, digest),
    FIELD_DIGEST_KEY(message_persist_order, PersistOrder, key),
};
WIRE_LAYOUT(persist_order, message_persist_order, persist_order);

static const struct wire_field persist_told_fields[] = {
    FIELD_U64(message_persist_told, PersistTold, order),
    FIELD_STATUS(message_persist_told, PersistTold, status),
    FIELD_U64(message_persist_told, PersistTold, bytes),
    FIELD_DIGEST(message_persist_told, PersistTold, name),
    FIELD_REASON(message_persist_told, PersistTold, reason),
};
WIRE_LAYOUT(persist_told, message_persist_told, persist_told);

static const struct wire_field manifest_order_fields[] = {
    FIELD_U64(message_manifest_order, ManifestOrder, order),
    FIELD_RUN(message_manifest_order, ManifestOrder, run),
    FIELD_U32(message_manifest_order, ManifestOrder, attempt, UINT32_MAX),
    FIELD_U64(message_manifest_order, ManifestOrder, step),
    FIELD_U32(message_manifest_order, ManifestOrder, world, CKPT_WORLD_MAX),
    FIELD_U32(message_manifest_order, ManifestOrder, copies, CKPT_COPIES_MAX),
    FIELD_U64(message_manifest_order, ManifestOrder, bytes),
    FIELD_U64(message_manifest_order, ManifestOrder, wall_ms),
    FIELD_ENUM(message_manifest_order, ManifestOrder, mark, checkpoint_mark, CheckpointMark,
               wire_checkpoint_mark_is_known),
    FIELD_DIGEST(message_manifest_order, ManifestOrder, root),
};
WIRE_LAYOUT(manifest_order, message_manifest_order, manifest_order);
