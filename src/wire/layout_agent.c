/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of what an agent and the coordinator say, and of the keys that all share. */
#include "wire/layout.h"

static const struct wire_field run_key_fields[] = {
    FIELD_U32(run_key, RunKey, uid, UINT32_MAX),
    FIELD_NAME(run_key, RunKey, name, CKPT_RUN_NAME_MAX),
};
WIRE_LAYOUT(run_key, run_key, run_key);

static const struct wire_field run_key_or_empty_fields[] = {
    FIELD_U32(run_key, RunKey, uid, UINT32_MAX),
    FIELD_NAME_OR_EMPTY(run_key, RunKey, name, CKPT_RUN_NAME_MAX),
};
WIRE_LAYOUT(run_key_or_empty, run_key, run_key);

static const struct wire_field digest_key_fields[] = {
    FIELD_DIGEST_KIND(digest_key, DigestKey, kind),
    FIELD_SECRET(digest_key, DigestKey, secret),
};
WIRE_LAYOUT(digest_key, digest_key, digest_key);

static const struct wire_field shard_key_fields[] = {
    FIELD_RUN(shard_key, ShardKey, run),
    FIELD_U32(shard_key, ShardKey, attempt, UINT32_MAX),
    FIELD_U64(shard_key, ShardKey, step),
    FIELD_U32(shard_key, ShardKey, rank, CKPT_WORLD_MAX - 1),
};
WIRE_LAYOUT(shard_key, shard_key, shard_key);

/* A refusal may echo a rank that never was. */
static const struct wire_field shard_key_or_empty_fields[] = {
    FIELD_RUN_OR_EMPTY(shard_key, ShardKey, run),
    FIELD_U32(shard_key, ShardKey, attempt, UINT32_MAX),
    FIELD_U64(shard_key, ShardKey, step),
    FIELD_U32(shard_key, ShardKey, rank, UINT32_MAX),
};
WIRE_LAYOUT(shard_key_or_empty, shard_key, shard_key);

/* The coordinator answers a wrong protocol number or too many segments with a reason. */
static const struct wire_field join_fields[] = {
    FIELD_U32(message_join, Join, protocol, UINT32_MAX),
    FIELD_NAME(message_join, Join, node, CKPT_NODE_NAME_MAX),
    FIELD_NAME(message_join, Join, domain, CKPT_DOMAIN_NAME_MAX),
    FIELD_TEXT(message_join, Join, address, CKPT_ADDRESS_MAX),
    FIELD_U64(message_join, Join, segment_bytes),
    FIELD_U32(message_join, Join, segments, UINT32_MAX),
    FIELD_U32(message_join, Join, segments_free, UINT32_MAX),
    FIELD_U32(message_join, Join, features, UINT32_MAX),
    FIELD_NONCE(message_join, Join, cluster),
    FIELD_U32(message_join, Join, locked, UINT32_MAX),
    FIELD_U64(message_join, Join, page_bytes),
    FIELD_U32(message_join, Join, closed, UINT32_MAX),
    FIELD_BOOL(message_join, Join, has_tier),
};
WIRE_LAYOUT(join, message_join, join);

static const struct wire_field welcome_fields[] = {
    FIELD_STATUS(message_welcome, Welcome, status),
    FIELD_REASON(message_welcome, Welcome, reason),
    FIELD_U32(message_welcome, Welcome, heartbeat_ms, UINT32_MAX),
    FIELD_U32(message_welcome, Welcome, lease_ms, UINT32_MAX),
    FIELD_U32(message_welcome, Welcome, features, UINT32_MAX),
    FIELD_NONCE(message_welcome, Welcome, cluster),
};
WIRE_LAYOUT(welcome, message_welcome, welcome);

static const struct wire_field seat_ask_fields[] = {
    FIELD_RUN(message_seat_ask, SeatAsk, run),
    FIELD_U32(message_seat_ask, SeatAsk, rank, CKPT_WORLD_MAX - 1),
    FIELD_U32(message_seat_ask, SeatAsk, world, CKPT_WORLD_MAX),
    FIELD_U32(message_seat_ask, SeatAsk, attempt, UINT32_MAX),
    FIELD_NONCE(message_seat_ask, SeatAsk, start),
    FIELD_NONCE(message_seat_ask, SeatAsk, seat),
    FIELD_NONCE(message_seat_ask, SeatAsk, name),
    FIELD_BOOL(message_seat_ask, SeatAsk, ended),
    FIELD_BOOL(message_seat_ask, SeatAsk, staged),
    FIELD_BOOL(message_seat_ask, SeatAsk, settled),
};
WIRE_LAYOUT(seat_ask, message_seat_ask, seat_ask);

static const struct wire_field seat_told_fields[] = {
    FIELD_RUN(message_seat_told, SeatTold, run),
    FIELD_U32(message_seat_told, SeatTold, rank, CKPT_WORLD_MAX - 1),
    FIELD_NONCE(message_seat_told, SeatTold, seat),
    FIELD_BOOL(message_seat_told, SeatTold, ended),
    FIELD_STATUS(message_seat_told, SeatTold, status),
    FIELD_REASON(message_seat_told, SeatTold, reason),
    FIELD_U32(message_seat_told, SeatTold, attempt, UINT32_MAX),
    FIELD_NONCE(message_seat_told, SeatTold, start),
    FIELD_DIGEST_KEY(message_seat_told, SeatTold, key),
};
WIRE_LAYOUT(seat_told, message_seat_told, seat_told);

static const struct wire_field heartbeat_fields[] = {
    FIELD_U32(message_heartbeat, Heartbeat, segments_free, CKPT_ARENA_SEGMENTS_MAX),
    FIELD_U32(message_heartbeat, Heartbeat, pulls, UINT32_MAX),
    FIELD_U32(message_heartbeat, Heartbeat, unverified, UINT32_MAX),
    FIELD_BOOL(message_heartbeat, Heartbeat, has_inventory),
    FIELD_U64(message_heartbeat, Heartbeat, inventory),
    FIELD_BOOL(message_heartbeat, Heartbeat, inventory_told),
    FIELD_BOOL(message_heartbeat, Heartbeat, has_bytes),
    FIELD_U64(message_heartbeat, Heartbeat, bytes_taken),
    FIELD_U64(message_heartbeat, Heartbeat, bytes_held),
    FIELD_U64(message_heartbeat, Heartbeat, refusals),
    FIELD_STATUS(message_heartbeat, Heartbeat, refused_status),
    FIELD_U64(message_heartbeat, Heartbeat, refused_ms_ago),
    FIELD_RUN_OR_EMPTY(message_heartbeat, Heartbeat, refused_run),
    FIELD_REASON(message_heartbeat, Heartbeat, refused_reason),
    FIELD_U64(message_heartbeat, Heartbeat, part_bytes_free),
    FIELD_U64(message_heartbeat, Heartbeat, part_bytes_largest),
    FIELD_U32(message_heartbeat, Heartbeat, rails, UINT32_MAX),
    FIELD_U32(message_heartbeat, Heartbeat, rails_up, UINT32_MAX),
};
WIRE_LAYOUT(heartbeat, message_heartbeat, heartbeat);

static const struct wire_field lease_fields[] = {
    FIELD_BOOL(message_lease, Lease, settled),
};
WIRE_LAYOUT(lease, message_lease, lease);

static const struct wire_field shard_report_fields[] = {
    FIELD_SHARD(message_shard_report, ShardReport, shard),
    FIELD_U32(message_shard_report, ShardReport, world, CKPT_WORLD_MAX),
    FIELD_U32(message_shard_report, ShardReport, copies, CKPT_COPIES_MAX),
    FIELD_U64(message_shard_report, ShardReport, bytes),
    FIELD_U64(message_shard_report, ShardReport, generation),
    FIELD_COPY_STATE(message_shard_report, ShardReport, state),
    FIELD_BOOL(message_shard_report, ShardReport, owner),
    FIELD_BOOL(message_shard_report, ShardReport, cached),
    FIELD_U64(message_shard_report, ShardReport, order),
    FIELD_DIGEST(message_shard_report, ShardReport, digest),
    FIELD_BOOL(message_shard_report, ShardReport, changed),
    FIELD_BOOL(message_shard_report, ShardReport, replica_said),
    FIELD_U32(message_shard_report, ShardReport, replica_leader, CKPT_WORLD_MAX),
    FIELD_U32(message_shard_report, ShardReport, replica_part, UINT32_MAX),
    FIELD_U64(message_shard_report, ShardReport, replica_value),
    FIELD_U64(message_shard_report, ShardReport, digest_key),
};
WIRE_LAYOUT(shard_report, message_shard_report, shard_report);

static const struct wire_field shard_ack_fields[] = {
    FIELD_SHARD(message_shard_ack, ShardAck, shard),
    FIELD_U64(message_shard_ack, ShardAck, generation),
    FIELD_COPY_STATE(message_shard_ack, ShardAck, state),
    FIELD_CHECKPOINT_STATE(message_shard_ack, ShardAck, checkpoint),
    FIELD_BOOL(message_shard_ack, ShardAck, keep),
    FIELD_STATUS(message_shard_ack, ShardAck, status),
    FIELD_REASON(message_shard_ack, ShardAck, reason),
    FIELD_DIGEST_KEY(message_shard_ack, ShardAck, key),
};
WIRE_LAYOUT(shard_ack, message_shard_ack, shard_ack);

static const struct wire_field pull_order_fields[] = {
    FIELD_U64(message_pull_order, PullOrder, order),
    FIELD_SHARD(message_pull_order, PullOrder, shard),
    FIELD_U32(message_pull_order, PullOrder, world, CKPT_WORLD_MAX),
    FIELD_U32(message_pull_order, PullOrder, copies, CKPT_COPIES_MAX),
    FIELD_U64(message_pull_order, PullOrder, bytes),
    FIELD_ENUM(message_pull_order, PullOrder, purpose, pull_purpose, PullPurpose,
               wire_pull_purpose_is_known),
    FIELD_NAME(message_pull_order, PullOrder, source_node, CKPT_NODE_NAME_MAX),
    FIELD_TEXT(message_pull_order, PullOrder, source_address, CKPT_ADDRESS_MAX),
    FIELD_INCARNATION(message_pull_order, PullOrder, source_incarnation),
    FIELD_U64(message_pull_order, PullOrder, source_generation),
    FIELD_DIGEST_KEY(message_pull_order, PullOrder, key),
};
WIRE_LAYOUT(pull_order, message_pull_order, pull_order);

static const struct wire_field pull_failed_fields[] = {
    FIELD_U64(message_pull_failed, PullFailed, order),
    FIELD_SHARD(message_pull_failed, PullFailed, shard),
    FIELD_STATUS(message_pull_failed, PullFailed, status),
    FIELD_REASON(message_pull_failed, PullFailed, reason),
};
WIRE_LAYOUT(pull_failed, message_pull_failed, pull_failed);

static const struct wire_field verify_order_fields[] = {
    FIELD_U64(message_verify_order, VerifyOrder, order),
    FIELD_SHARD(message_verify_order, VerifyOrder, shard),
    FIELD_U64(message_verify_order, VerifyOrder, generation),
    FIELD_DIGEST_KEY(message_verify_order, VerifyOrder, key),
};
WIRE_LAYOUT(verify_order, message_verify_order, verify_order);

static const struct wire_field let_go_fields[] = {
    FIELD_U64(message_let_go, LetGo, order),
    FIELD_SHARD(message_let_go, LetGo, shard),
    FIELD_U64(message_let_go, LetGo, generation),
};
WIRE_LAYOUT(let_go, message_let_go, let_go);

static const struct wire_field need_fields[] = {
    FIELD_SHARD(message_need, Need, shard),
    FIELD_U32(message_need, Need, segments, CKPT_ARENA_SEGMENTS_MAX),
    FIELD_U64(message_need, Need, bytes),
};
WIRE_LAYOUT(need, message_need, need);

static const struct wire_field load_waits_fields[] = {
    FIELD_RUN(message_load_waits, LoadWaits, run),
    FIELD_U32(message_load_waits, LoadWaits, attempt, UINT32_MAX),
    FIELD_U32(message_load_waits, LoadWaits, asking_rank, UINT32_MAX),
    FIELD_BOOL(message_load_waits, LoadWaits, collective),
    FIELD_U32(message_load_waits, LoadWaits, load, UINT32_MAX),
    FIELD_U64(message_load_waits, LoadWaits, reader),
    FIELD_REASON(message_load_waits, LoadWaits, reason),
    FIELD_NONCE(message_load_waits, LoadWaits, start),
};
WIRE_LAYOUT(load_waits, message_load_waits, load_waits);

static const struct wire_field checkpoint_state_fields[] = {
    FIELD_RUN(message_checkpoint_state, CheckpointStateNews, run),
    FIELD_U32(message_checkpoint_state, CheckpointStateNews, attempt, UINT32_MAX),
    FIELD_U64(message_checkpoint_state, CheckpointStateNews, step),
    FIELD_CHECKPOINT_STATE(message_checkpoint_state, CheckpointStateNews, state),
    FIELD_STATUS(message_checkpoint_state, CheckpointStateNews, status),
    FIELD_REASON(message_checkpoint_state, CheckpointStateNews, reason),
    FIELD_U32(message_checkpoint_state, CheckpointStateNews, world, CKPT_WORLD_MAX),
};
WIRE_LAYOUT(checkpoint_state, message_checkpoint_state, checkpoint_state_news);

WIRE_LAYOUT_EMPTY(stale_epoch, stale_epoch);
WIRE_LAYOUT_EMPTY(goodbye, goodbye);
