/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of what a rank and its agent say. The numbers that a rank opens with are bounded by the
 * agent, which answers a wrong one with a reason instead of closing the session. */
#include "wire/layout.h"

static const struct wire_field rank_open_fields[] = {
    FIELD_NAME(message_rank_open, RankOpen, run, CKPT_RUN_NAME_MAX),
    FIELD_U32(message_rank_open, RankOpen, attempt, UINT32_MAX),
    FIELD_U32(message_rank_open, RankOpen, rank, UINT32_MAX),
    FIELD_U32(message_rank_open, RankOpen, world, UINT32_MAX),
    FIELD_U32(message_rank_open, RankOpen, copies, UINT32_MAX),
    FIELD_BOOL(message_rank_open, RankOpen, reader),
    FIELD_NONCE(message_rank_open, RankOpen, start),
    FIELD_NONCE(message_rank_open, RankOpen, seat),
    FIELD_NONCE(message_rank_open, RankOpen, name),
    FIELD_BOOL(message_rank_open, RankOpen, takes_parts),
};
WIRE_LAYOUT(rank_open, message_rank_open, rank_open);

static const struct wire_field rank_opened_fields[] = {
    FIELD_STATUS(message_rank_opened, RankOpened, status),
    FIELD_REASON(message_rank_opened, RankOpened, reason),
    FIELD_NAME_OR_EMPTY(message_rank_opened, RankOpened, node, CKPT_NODE_NAME_MAX),
    FIELD_U64(message_rank_opened, RankOpened, segment_bytes),
    FIELD_BOOL(message_rank_opened, RankOpened, coordinator_known),
    FIELD_BOOL(message_rank_opened, RankOpened, prepares),
    FIELD_U64(message_rank_opened, RankOpened, last_bytes),
};
WIRE_LAYOUT(rank_opened, message_rank_opened, rank_opened);

static const struct wire_field rank_seated_fields[] = {
    FIELD_STATUS(message_rank_seated, RankSeated, status),
    FIELD_REASON(message_rank_seated, RankSeated, reason),
    FIELD_U32(message_rank_seated, RankSeated, attempt, UINT32_MAX),
    FIELD_NONCE(message_rank_seated, RankSeated, start),
};
WIRE_LAYOUT(rank_seated, message_rank_seated, rank_seated);

static const struct wire_field slot_ask_fields[] = {
    FIELD_U64(message_slot_ask, SlotAsk, step),
    FIELD_U64(message_slot_ask, SlotAsk, bytes),
    FIELD_U32(message_slot_ask, SlotAsk, wait_ms, UINT32_MAX),
};
WIRE_LAYOUT(slot_ask, message_slot_ask, slot_ask);

static const struct wire_field slot_granted_fields[] = {
    FIELD_STATUS(message_slot_granted, SlotGranted, status),
    FIELD_REASON(message_slot_granted, SlotGranted, reason),
    FIELD_U64(message_slot_granted, SlotGranted, step),
    FIELD_U32(message_slot_granted, SlotGranted, slot, UINT32_MAX),
    FIELD_U64(message_slot_granted, SlotGranted, generation),
    FIELD_U64(message_slot_granted, SlotGranted, bytes),
    FIELD_IDS(message_slot_granted, SlotGranted, segments, segment_count,
              CKPT_SEGMENTS_PER_SHARD_MAX),
    FIELD_U64(message_slot_granted, SlotGranted, part_bytes),
    FIELD_DIGEST_KEY(message_slot_granted, SlotGranted, device_key),
};
WIRE_LAYOUT(slot_granted, message_slot_granted, slot_granted);

static const struct wire_field prepare_fields[] = {
    FIELD_U32(message_prepare, Prepare, number, UINT32_MAX),
    FIELD_U64(message_prepare, Prepare, bytes),
    FIELD_U64(message_prepare, Prepare, after),
    FIELD_STATUS(message_prepare, Prepare, status),
    FIELD_REASON(message_prepare, Prepare, reason),
    FIELD_U64(message_prepare, Prepare, generation),
    FIELD_IDS(message_prepare, Prepare, segments, segment_count, CKPT_SEGMENTS_PER_SHARD_MAX),
    FIELD_U64(message_prepare, Prepare, part_bytes),
};
WIRE_LAYOUT(prepare, message_prepare, prepare);

static const struct wire_field seal_fields[] = {
    FIELD_U64(message_seal, Seal, step),
    FIELD_U32(message_seal, Seal, slot, UINT32_MAX),
    FIELD_U64(message_seal, Seal, generation),
    FIELD_BOOL(message_seal, Seal, replica_said),
    FIELD_U32(message_seal, Seal, replica_leader, CKPT_WORLD_MAX),
    FIELD_U32(message_seal, Seal, replica_part, UINT32_MAX),
    FIELD_U64(message_seal, Seal, replica_value),
    FIELD_BOOL(message_seal, Seal, device_said),
    FIELD_DIGEST_OR_NONE(message_seal, Seal, device_digest),
    FIELD_U64(message_seal, Seal, nans),
    FIELD_U64(message_seal, Seal, infinities),
    FIELD_REASON(message_seal, Seal, device_reason),
};
WIRE_LAYOUT(seal, message_seal, seal);

static const struct wire_field abandon_fields[] = {
    FIELD_U64(message_abandon, Abandon, step),
    FIELD_U32(message_abandon, Abandon, slot, UINT32_MAX),
    FIELD_U64(message_abandon, Abandon, generation),
};
WIRE_LAYOUT(abandon, message_abandon, abandon);

static const struct wire_field gather_fields[] = {
    FIELD_U64(message_gather, Gather, step),
    FIELD_U32(message_gather, Gather, slot, UINT32_MAX),
    FIELD_U64(message_gather, Gather, generation),
    FIELD_U32(message_gather, Gather, number, UINT32_MAX),
    FIELD_RANGES(message_gather, Gather, ranges, range_count, CKPT_RANGES_MAX),
};
WIRE_LAYOUT(gather, message_gather, gather);

static const struct wire_field gathered_fields[] = {
    FIELD_U64(message_gathered, Gathered, step),
    FIELD_U32(message_gathered, Gathered, slot, UINT32_MAX),
    FIELD_U64(message_gathered, Gathered, generation),
    FIELD_U32(message_gathered, Gathered, number, UINT32_MAX),
    FIELD_STATUS(message_gathered, Gathered, status),
    FIELD_REASON(message_gathered, Gathered, reason),
};
WIRE_LAYOUT(gathered, message_gathered, gathered);

static const struct wire_field save_outcome_fields[] = {
    FIELD_U64(message_save_outcome, SaveOutcome, step),
    FIELD_STATUS(message_save_outcome, SaveOutcome, status),
    FIELD_REASON(message_save_outcome, SaveOutcome, reason),
};
WIRE_LAYOUT(save_outcome, message_save_outcome, save_outcome);

static const struct wire_field load_ask_fields[] = {
    FIELD_RUN_OR_EMPTY(message_load_ask, LoadAsk, run),
    FIELD_U32(message_load_ask, LoadAsk, attempt, UINT32_MAX),
    FIELD_U32(message_load_ask, LoadAsk, asking_rank, UINT32_MAX),
    FIELD_U32(message_load_ask, LoadAsk, world, UINT32_MAX),
    FIELD_U64(message_load_ask, LoadAsk, step),
    FIELD_U32(message_load_ask, LoadAsk, rank, UINT32_MAX),
    FIELD_BOOL(message_load_ask, LoadAsk, collective),
    FIELD_U32(message_load_ask, LoadAsk, load, UINT32_MAX),
    FIELD_U64(message_load_ask, LoadAsk, reader),
    FIELD_U32(message_load_ask, LoadAsk, wait_ms, UINT32_MAX),
    FIELD_NONCE(message_load_ask, LoadAsk, start),
    FIELD_NONCE(message_load_ask, LoadAsk, seat),
    FIELD_U64(message_load_ask, LoadAsk, range_offset),
    FIELD_U64(message_load_ask, LoadAsk, range_bytes),
    FIELD_U32(message_load_ask, LoadAsk, range_pass, UINT32_MAX),
};
WIRE_LAYOUT(load_ask, message_load_ask, load_ask);

static const struct wire_field load_verdict_fields[] = {
    FIELD_RUN(message_load_verdict, LoadVerdict, run),
    FIELD_U32(message_load_verdict, LoadVerdict, attempt, UINT32_MAX),
    FIELD_U32(message_load_verdict, LoadVerdict, asking_rank, UINT32_MAX),
    FIELD_BOOL(message_load_verdict, LoadVerdict, collective),
    FIELD_U32(message_load_verdict, LoadVerdict, load, UINT32_MAX),
    FIELD_U64(message_load_verdict, LoadVerdict, reader),
    FIELD_STATUS(message_load_verdict, LoadVerdict, status),
    FIELD_REASON(message_load_verdict, LoadVerdict, reason),
    FIELD_SHARD_OR_EMPTY(message_load_verdict, LoadVerdict, shard),
    FIELD_NONCE(message_load_verdict, LoadVerdict, start),
    FIELD_DIGEST_OR_NONE(message_load_verdict, LoadVerdict, digest),
    FIELD_U64(message_load_verdict, LoadVerdict, bytes),
    FIELD_U32(message_load_verdict, LoadVerdict, world, CKPT_WORLD_MAX),
    FIELD_DIGEST_KEY(message_load_verdict, LoadVerdict, key),
    FIELD_U32(message_load_verdict, LoadVerdict, source_count, UINT32_MAX),
    FIELD_NAME_OR_EMPTY(message_load_verdict, LoadVerdict, source_node, CKPT_NODE_NAME_MAX),
    FIELD_TEXT(message_load_verdict, LoadVerdict, source_address, CKPT_ADDRESS_MAX),
    FIELD_INCARNATION_OR_NONE(message_load_verdict, LoadVerdict, source_incarnation),
    FIELD_U64(message_load_verdict, LoadVerdict, source_generation),
};
WIRE_LAYOUT(load_verdict, message_load_verdict, load_verdict);

static const struct wire_field loaded_fields[] = {
    FIELD_STATUS(message_loaded, Loaded, status),
    FIELD_REASON(message_loaded, Loaded, reason),
    FIELD_U32(message_loaded, Loaded, load, UINT32_MAX),
    FIELD_U32(message_loaded, Loaded, attempt, UINT32_MAX),
    FIELD_U64(message_loaded, Loaded, step),
    FIELD_U32(message_loaded, Loaded, rank, UINT32_MAX),
    FIELD_U32(message_loaded, Loaded, world, CKPT_WORLD_MAX),
    FIELD_U32(message_loaded, Loaded, slot, UINT32_MAX),
    FIELD_U64(message_loaded, Loaded, generation),
    FIELD_U64(message_loaded, Loaded, bytes),
    FIELD_DIGEST(message_loaded, Loaded, digest),
    FIELD_U32(message_loaded, Loaded, segment_count, CKPT_SEGMENTS_PER_SHARD_MAX),
    FIELD_U64(message_loaded, Loaded, part_bytes),
    FIELD_DIGEST_KIND(message_loaded, Loaded, digest_kind),
    FIELD_U64(message_loaded, Loaded, range_offset),
    FIELD_U64(message_loaded, Loaded, shard_bytes),
    FIELD_BOOL(message_loaded, Loaded, whole),
};
WIRE_LAYOUT(loaded, message_loaded, loaded);

static const struct wire_field release_fields[] = {
    FIELD_U32(message_release, Release, slot, UINT32_MAX),
    FIELD_U64(message_release, Release, generation),
};
WIRE_LAYOUT(release, message_release, release);

static const struct wire_field checkpoint_ask_fields[] = {
    FIELD_RUN_OR_EMPTY(message_checkpoint_ask, CheckpointAsk, run),
    FIELD_U64(message_checkpoint_ask, CheckpointAsk, step),
    FIELD_U64(message_checkpoint_ask, CheckpointAsk, reader),
    FIELD_U32(message_checkpoint_ask, CheckpointAsk, attempt, UINT32_MAX),
    FIELD_BOOL(message_checkpoint_ask, CheckpointAsk, own),
    FIELD_BOOL(message_checkpoint_ask, CheckpointAsk, here),
};
WIRE_LAYOUT(checkpoint_ask, message_checkpoint_ask, checkpoint_ask);

static const struct wire_field checkpoint_info_fields[] = {
    FIELD_RUN_OR_EMPTY(message_checkpoint_info, CheckpointInfo, run),
    FIELD_U64(message_checkpoint_info, CheckpointInfo, reader),
    FIELD_STATUS(message_checkpoint_info, CheckpointInfo, status),
    FIELD_CHECKPOINT_STATE(message_checkpoint_info, CheckpointInfo, state),
    FIELD_U32(message_checkpoint_info, CheckpointInfo, attempt, UINT32_MAX),
    FIELD_U64(message_checkpoint_info, CheckpointInfo, step),
    FIELD_U32(message_checkpoint_info, CheckpointInfo, world, CKPT_WORLD_MAX),
    FIELD_U32(message_checkpoint_info, CheckpointInfo, copies, UINT32_MAX),
    FIELD_U64(message_checkpoint_info, CheckpointInfo, bytes),
    FIELD_REASON(message_checkpoint_info, CheckpointInfo, reason),
    FIELD_STATUS(message_checkpoint_info, CheckpointInfo, outcome),
    FIELD_U32(message_checkpoint_info, CheckpointInfo, run_attempt, UINT32_MAX),
    FIELD_U32(message_checkpoint_info, CheckpointInfo, run_live, UINT32_MAX),
    FIELD_ENUM(message_checkpoint_info, CheckpointInfo, tier, checkpoint_tier, CheckpointTier,
               wire_checkpoint_tier_is_known),
    FIELD_BOOL(message_checkpoint_info, CheckpointInfo, has_persisted),
    FIELD_U32(message_checkpoint_info, CheckpointInfo, persisted_attempt, UINT32_MAX),
    FIELD_U64(message_checkpoint_info, CheckpointInfo, persisted_step),
};
WIRE_LAYOUT(checkpoint_info, message_checkpoint_info, checkpoint_info);
