/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of the nodes: segments of a few bytes, and the slot records beside them. It outlives
 * the agent's process, and ends with the node. */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "hosts.h"
#include "judge.h"

static const struct digest_engine *engine_of(void)
{
    static const struct digest_engine *engine;
    if (!engine) {
        (void)digest_engine_select(NULL, &engine);
    }
    return engine;
}

#define KEY_AT (CKPT_DIGEST_BYTES - 8)

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void value_of(const uint8_t *chunk, uint32_t count, uint8_t *value_out)
{
    uint64_t low = count + 1;
    uint64_t high = UINT64_C(0x9e3779b97f4a7c15);
    for (uint32_t i = 0; i < count; i += 8) {
        uint8_t word[8] = {0};
        memcpy(word, chunk + i, count - i < 8 ? count - i : 8);
        low = mix(low ^ load_le64(word));
        high = mix(high + load_le64(word));
    }
    store_le64(value_out, low);
    store_le64(value_out + 8, high);
}

void values_of(const uint8_t *bytes, uint32_t count, uint8_t *values_out)
{
    for (uint32_t at = 0; at < count; at += SIM_CHUNK_BYTES) {
        uint32_t left = count - at;
        value_of(bytes + at, left < SIM_CHUNK_BYTES ? left : SIM_CHUNK_BYTES,
                 values_out + at / SIM_CHUNK_BYTES * SIM_VALUE_BYTES);
    }
}

void digest_of_values(const uint8_t *values, uint32_t count, uint64_t key,
                      struct digest *digest_out)
{
    uint8_t all[8 + SIM_CHUNKS_MAX * SIM_VALUE_BYTES];
    uint32_t bytes = (count + SIM_CHUNK_BYTES - 1) / SIM_CHUNK_BYTES * SIM_VALUE_BYTES;
    struct digest plain;
    store_le64(all, count);
    memcpy(all + 8, values, bytes);
    digest_bytes(engine_of(), all, 8 + bytes, &plain);
    digest_under(&plain, key, digest_out);
}

void digest_of(const uint8_t *bytes, uint32_t count, uint64_t key, struct digest *digest_out)
{
    uint8_t values[SIM_CHUNKS_MAX * SIM_VALUE_BYTES];
    values_of(bytes, count, values);
    digest_of_values(values, count, key, digest_out);
}

void digest_under(const struct digest *plain, uint64_t key, struct digest *digest_out)
{
    struct digest keyed = *plain;
    store_le64(keyed.bytes + KEY_AT, key);
    if (key != DIGEST_KEY_ID_BLAKE3) {
        digest_bytes(engine_of(), keyed.bytes, sizeof(keyed.bytes), digest_out);
        keyed = *digest_out;
        store_le64(keyed.bytes + KEY_AT, key);
    }
    *digest_out = keyed;
}

uint64_t digest_key_of(const struct digest *digest)
{
    return load_le64(digest->bytes + KEY_AT);
}

struct sim_segment *memory_file(struct sim *sim, uint32_t node, uint32_t id)
{
    struct sim_node *at = &sim->nodes[node];
    if (id < CKPT_PART_ID_FIRST) {
        return id < sim->mix.segments ? &at->segments[id] : NULL;
    }
    return id - CKPT_PART_ID_FIRST < SIM_SEGMENTS_MAX ? &at->parts[id - CKPT_PART_ID_FIRST] : NULL;
}

static void mark_dirty(struct sim *sim, uint32_t node, uint32_t slot)
{
    struct sim_slot *held = &sim->nodes[node].slots[slot];
    if (!held->dirty) {
        held->dirty = true;
        sim->dirty[sim->dirty_count++] = node * SIM_SEGMENTS_MAX + slot;
    }
}

void memory_map_segments(struct sim *sim, uint32_t node, uint32_t count, const uint16_t *segments,
                         struct sim_mapping *mapping_out)
{
    *mapping_out = (struct sim_mapping){.node = node, .wipes = sim->nodes[node].wipes};
    for (uint32_t i = 0; i < count && i < SIM_SHARD_SEGMENTS_MAX; i++) {
        const struct sim_segment *file = memory_file(sim, node, segments[i]);
        if (!file) {
            sim_violation(sim, "node %u names segment %u of %u", node, segments[i],
                          sim->mix.segments);
            return;
        }
        mapping_out->segments[i] = segments[i];
        mapping_out->versions[i] = file->version;
        mapping_out->count = i + 1;
    }
}

void memory_hand(struct sim *sim, const struct sim_mapping *mapping, uint32_t user)
{
    for (uint32_t i = 0; i < mapping->count; i++) {
        memory_file(sim, mapping->node, mapping->segments[i])->users |= 1u << user;
    }
}

bool memory_map_slot(struct sim *sim, uint32_t node, uint32_t slot, struct sim_mapping *mapping_out)
{
    struct agent_slot_view view;
    if (!agent_slot_view(sim->nodes[node].machine, slot, &view)) {
        return false;
    }
    memory_map_segments(sim, node, view.segment_count, view.segments, mapping_out);
    return true;
}

/* The segment behind byte offset, or NULL when its file is gone. */
static struct sim_segment *segment_at(struct sim *sim, const struct sim_mapping *mapping,
                                      uint32_t offset)
{
    struct sim_node *node = &sim->nodes[mapping->node];
    uint32_t i = offset / sim->mix.segment_bytes;
    if (i >= mapping->count || node->wipes != mapping->wipes) {
        return NULL;
    }
    struct sim_segment *segment = memory_file(sim, mapping->node, mapping->segments[i]);
    return segment && segment->version == mapping->versions[i] ? segment : NULL;
}

void memory_read(struct sim *sim, const struct sim_mapping *mapping, uint32_t offset,
                 uint32_t bytes, uint8_t *to)
{
    for (uint32_t done = 0; done < bytes;) {
        uint32_t within = (offset + done) % sim->mix.segment_bytes;
        uint32_t piece = sim->mix.segment_bytes - within;
        piece = piece < bytes - done ? piece : bytes - done;
        const struct sim_segment *segment = segment_at(sim, mapping, offset + done);
        if (segment) {
            memcpy(to + done, segment->bytes + within, piece);
        } else {
            memset(to + done, 0, piece);
        }
        done += piece;
    }
}

void memory_write(struct sim *sim, const struct sim_mapping *mapping, uint32_t offset,
                  uint32_t bytes, const uint8_t *from)
{
    for (uint32_t done = 0; done < bytes;) {
        uint32_t within = (offset + done) % sim->mix.segment_bytes;
        uint32_t piece = sim->mix.segment_bytes - within;
        piece = piece < bytes - done ? piece : bytes - done;
        struct sim_segment *segment = segment_at(sim, mapping, offset + done);
        if (segment) {
            memcpy(segment->bytes + within, from + done, piece);
            uint32_t index = mapping->segments[(offset + done) / sim->mix.segment_bytes];
            uint32_t slot = memory_slot_of_segment(sim, mapping->node, index);
            if (slot != UINT32_MAX) {
                mark_dirty(sim, mapping->node, slot);
            }
        }
        done += piece;
    }
}

bool memory_is_mapped(struct sim *sim, const struct sim_mapping *mapping)
{
    for (uint32_t i = 0; i < mapping->count; i++) {
        if (!segment_at(sim, mapping, i * sim->mix.segment_bytes)) {
            return false;
        }
    }
    return true;
}

uint32_t memory_slot_of_segment(struct sim *sim, uint32_t node, uint32_t segment)
{
    for (uint32_t slot = 0; slot < sim->mix.slots; slot++) {
        const struct sim_slot *held = &sim->nodes[node].slots[slot];
        if (!held->stored || held->record.state == SLOT_FREE) {
            continue;
        }
        for (uint32_t i = 0; i < held->record.segment_count; i++) {
            if (held->record.segments[i] == segment) {
                return slot;
            }
        }
    }
    return UINT32_MAX;
}

void memory_store_record(struct sim *sim, uint32_t node, const struct slot_record *record)
{
    if (record->slot >= sim->mix.slots || record->segment_count > CKPT_SEGMENTS_PER_SHARD_MAX) {
        sim_violation(sim, "node %u stores a record of slot %u", node, record->slot);
        return;
    }
    struct sim_slot *held = &sim->nodes[node].slots[record->slot];
    judge_slot_record(sim, node, held->stored ? &held->record : NULL, record);
    held->stored = true;
    held->corrupt = false;
    held->record = *record;
    mark_dirty(sim, node, record->slot);
    uint32_t user = sim_user_of_uid(record->shard.run.uid);
    if (record->state != SLOT_FREE && record->state != SLOT_DIRTY) {
        for (uint32_t i = 0; i < record->segment_count; i++) {
            struct sim_segment *file = memory_file(sim, node, record->segments[i]);
            if (file) {
                file->users |= 1u << user;
            }
        }
    }
    sim_hash(sim, record->generation * 16 + (uint64_t)record->state);
    sim_trace(sim, "node %u stores slot %u gen %" PRIu64 " state %d step %" PRIu64 " rank %u", node,
              record->slot, record->generation, (int)record->state, record->shard.step,
              record->shard.rank);
}

static void drop(struct sim_segment *file)
{
    file->version++;
    file->users = 0;
    file->at = (struct room_part){.bytes = 0};
    memset(file->bytes, 0, sizeof file->bytes);
}

/* A file at a place takes the place of every part that lies there. */
void memory_renew(struct sim *sim, uint32_t node, uint32_t id, const struct room_part *part)
{
    struct room_part at = {.segment = id, .bytes = sim->mix.segment_bytes};
    at = part->bytes > 0 ? *part : at;
    for (uint32_t i = 0; i < SIM_SEGMENTS_MAX; i++) {
        struct sim_segment *other = &sim->nodes[node].parts[i];
        if (other->at.bytes > 0 && room_parts_overlap(&other->at, &at)) {
            drop(other);
        }
    }
    struct sim_segment *file = memory_file(sim, node, id);
    drop(file);
    file->at = *part;
}

static bool lies_in(const struct slot_record *record, const struct room_part *range)
{
    if (record->part.bytes > 0) {
        return room_parts_overlap(&record->part, range);
    }
    for (uint32_t i = 0; i < record->segment_count; i++) {
        if (record->segments[i] == range->segment) {
            return true;
        }
    }
    return false;
}

/* Whose memory lies in the range; UINT32_MAX: nobody's. */
uint32_t memory_slot_within(struct sim *sim, uint32_t node, const struct room_part *range,
                            uint32_t except)
{
    for (uint32_t slot = 0; slot < sim->mix.slots; slot++) {
        const struct sim_slot *held = &sim->nodes[node].slots[slot];
        if (held->stored && slot != except && held->record.state != SLOT_FREE &&
            lies_in(&held->record, range)) {
            return slot;
        }
    }
    return UINT32_MAX;
}

bool memory_is_free(struct sim *sim, uint32_t node, const struct room_part *range)
{
    return memory_slot_within(sim, node, range, UINT32_MAX) == UINT32_MAX;
}

/* As the arena does when an agent opens it: parts that no record claims go back to their segments,
 * and those that a record claims are there. */
void memory_tidy(struct sim *sim, uint32_t node)
{
    for (uint32_t i = 0; i < SIM_SEGMENTS_MAX; i++) {
        struct sim_segment *file = &sim->nodes[node].parts[i];
        uint32_t slot = memory_slot_of_segment(sim, node, CKPT_PART_ID_FIRST + i);
        const struct room_part none = {.bytes = 0};
        const struct room_part *at =
            slot != UINT32_MAX ? &sim->nodes[node].slots[slot].record.part : &none;
        if (file->at.bytes != at->bytes || file->at.segment != at->segment ||
            file->at.offset != at->offset) {
            drop(file);
            file->at = *at;
        }
    }
}

void memory_touch(struct sim *sim, uint32_t node, uint32_t slot, const char *why)
{
    struct sim_slot *held = &sim->nodes[node].slots[slot];
    held->touched = true;
    held->touched_generation = held->record.generation;
    held->touched_ms = sim->now_ms;
    mark_dirty(sim, node, slot);
    judge_taint(sim, node, slot, held->record.generation);
    sim_trace(sim, "%s: node %u slot %u gen %" PRIu64, why, node, slot, held->record.generation);
}

bool memory_flip(struct sim *sim, bool owner)
{
    uint32_t candidates[SIM_NODES_MAX * SIM_SEGMENTS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < sim->mix.nodes * sim->mix.slots; i++) {
        const struct sim_slot *held = &sim->nodes[i / sim->mix.slots].slots[i % sim->mix.slots];
        if (held->stored && held->record.state != SLOT_FREE && held->record.state != SLOT_DIRTY &&
            held->record.owner == owner && held->record.bytes > 0 &&
            held->record.segment_count > 0) {
            candidates[count++] = i;
        }
    }
    if (count == 0) {
        return false;
    }
    uint32_t chosen = candidates[prng_below(&sim->prng, count)];
    uint32_t node = chosen / sim->mix.slots;
    uint32_t slot = chosen % sim->mix.slots;
    const struct slot_record *record = &sim->nodes[node].slots[slot].record;
    uint32_t at = (uint32_t)prng_below(&sim->prng, record->bytes);
    if (at / sim->mix.segment_bytes >= record->segment_count) {
        return false;
    }
    uint32_t index = record->segments[at / sim->mix.segment_bytes];
    struct sim_segment *segment = memory_file(sim, node, index);
    segment->bytes[at % sim->mix.segment_bytes] ^= (uint8_t)(1u << sim_between(sim, 0, 7));
    memory_touch(sim, node, slot, "flip");
    judge_taint_readers(sim, node, index);
    return true;
}

bool memory_digest(struct sim *sim, uint32_t node, uint32_t slot, uint64_t key,
                   struct digest *digest_out)
{
    const struct sim_slot *held = &sim->nodes[node].slots[slot];
    uint8_t bytes[SIM_SHARD_BYTES_MAX];
    if (!held->stored || held->record.segment_count > SIM_SHARD_SEGMENTS_MAX ||
        held->record.bytes > (uint64_t)held->record.segment_count * sim->mix.segment_bytes) {
        return false;
    }
    struct sim_mapping mapping;
    memory_map_segments(sim, node, held->record.segment_count, held->record.segments, &mapping);
    memory_read(sim, &mapping, 0, (uint32_t)held->record.bytes, bytes);
    digest_of(bytes, (uint32_t)held->record.bytes, key, digest_out);
    return true;
}
