/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent's threads and its transport do: digests, reads, gathers and renewals, piece by
 * piece in virtual time, so that bytes which change in between are seen half old and half new.
 *
 * A read lands in the reader's memory and is digested as it lands: a flip that comes between the
 * landing and the end is not in the digest, as it would not be with real caches; one that comes in
 * landing is, as what is digested is what lies there.
 *
 * A chunk has 64 bytes here. What digests all of a shard leaves the values of its chunks beside its
 * slot; a proof of a part computes those of its own chunks anew, of the bytes as they lie there. */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/planted_bug.h"
#include "hosts.h"
#include "judge.h"

static struct sim_work *find(struct sim *sim, uint32_t node, uint64_t number)
{
    for (uint32_t i = 0; i < SIM_WORKS_MAX; i++) {
        struct sim_work *work = &sim->works[i];
        if (work->active && !work->is_told && work->node == node && work->work == number &&
            work->life == sim->nodes[node].host.life) {
            return work;
        }
    }
    return NULL;
}

/* The digest of the whole, of the bytes that were seen and the values that were told. */
static void fold(struct sim *sim, struct sim_work *work, struct digest *digest_out)
{
    struct sim_slot *slot = &sim->nodes[work->node].slots[work->slot];
    values_of(work->shadow, work->bytes, work->values + work->chunk_first * SIM_VALUE_BYTES);
    digest_of_values(work->values, work->shard_bytes, work->key, digest_out);
    if (!work->is_range && work->key != DIGEST_KEY_ID_BLAKE3) {
        slot->values_generation = work->generation;
        slot->values_key = work->key;
        slot->values_bytes = work->bytes;
        memcpy(slot->values, work->values, sizeof slot->values);
    }
}

/* What the judges hold against what is said of it. */
static void note_digest(struct sim *sim, const struct sim_work *work, const struct digest *digest)
{
    struct sim_slot *slot = &sim->nodes[work->node].slots[work->slot];
    if (work->is_range) {
        sim->stats.range_proofs++;
        sim->stats.range_reads += work->type == AGENT_WORK_READ;
        slot->range_life = work->life;
        slot->range_generation = work->generation;
        slot->range_began_ms = work->began_ms;
        slot->range_ended_ms = sim->now_ms;
        return;
    }
    bool again = slot->digest_life == work->life && slot->digest_generation == work->generation;
    if (again && work->key == DIGEST_KEY_ID_BLAKE3 &&
        digest_key_of(&slot->digest) != DIGEST_KEY_ID_BLAKE3) {
        slot->named = *digest;
        return;
    }
    slot->digest_before = again ? slot->digest : *digest;
    slot->digest_life = work->life;
    slot->digest_generation = work->generation;
    slot->digest_began_ms = work->began_ms;
    slot->digest_ended_ms = sim->now_ms;
    slot->digest = *digest;
    slot->whole_life = work->life;
    slot->whole_generation = work->generation;
    slot->whole_began_ms = work->began_ran_ms;
    slot->whole_ended_ms = host_ran_ms(sim, &sim->nodes[work->node].host);
    slot->whole = *digest;
}

void work_finish(struct sim *sim, struct sim_work *work, enum ckpt_status status)
{
    struct parcel *parcel = parcel_new(PARCEL_WORK);
    parcel->host = work->node;
    parcel->life = work->life;
    parcel->work = work->work;
    parcel->status = status;
    work->active = false;
    if (status == CKPT_OK && (work->type == AGENT_WORK_DIGEST || work->type == AGENT_WORK_READ)) {
        fold(sim, work, &parcel->digest);
        if (work->device_key != 0) {
            digest_of(work->shadow, work->bytes, work->device_key, &parcel->device_digest);
        }
        if (!sim->faults_over && sim->mix.liar == (int)work->node &&
            sim_chance(sim, sim->mix.lie_ppm)) {
            parcel->digest.bytes[0] ^= 0x5a;
            sim_fault(sim, FAULT_LIE);
        }
        note_digest(sim, work, &parcel->digest);
    }
    if (work->type == AGENT_WORK_PERSIST) {
        parcel->digest = work->persist.digest;
        parcel->bytes = work->bytes;
    }
    sim_trace(sim, "node %u work %" PRIu64 " ends %d", work->node, work->work, (int)status);
    sim_later(sim, 0, TURN_PARCEL, 0, 0, 0, parcel);
}

/* Where the offered regions say the source's bytes are. */
static bool read_offer(struct sim *sim, const struct message *offer, struct sim_work *work)
{
    if (!offer || offer->type != MESSAGE_OFFER || offer->offer.region_count == 0 ||
        offer->offer.region_count > SIM_SHARD_SEGMENTS_MAX || !offer->offer.regions) {
        return false;
    }
    for (uint32_t i = 0; i < offer->offer.region_count; i++) {
        const uint8_t *descriptor = offer->offer.regions[i].descriptor;
        if (offer->offer.regions[i].bytes != SIM_DESCRIPTOR_BYTES) {
            return false;
        }
        work->there.node = load_le32(descriptor);
        work->there_life = load_le32(descriptor + 4);
        work->there.versions[i] = load_le32(descriptor + 8);
        work->there.segments[i] = load_le16(descriptor + 12);
        work->there.wipes = load_le16(descriptor + 14);
        work->there.count = i + 1;
    }
    return work->there.node < sim->mix.nodes;
}

/* The bytes that the rank's descriptor leads to: they outlive its process. */
static bool take_device(struct sim *sim, const struct message *ask, uint32_t rank_link,
                        struct sim_work *work)
{
    const struct sim_link *link = NULL;
    for (uint32_t i = 0; i < sim->link_count && link == NULL; i++) {
        const struct sim_end *to = &sim->links[i].ends[1];
        bool is_it = to->type == END_NODE && to->index == work->node && to->life == work->life &&
                     to->link == rank_link && sim->links[i].ends[0].type == END_RANK;
        link = is_it ? &sim->links[i] : NULL;
    }
    if (!link || !ask || ask->type != MESSAGE_GATHER || ask->gather.range_count != 1) {
        return false;
    }
    uint32_t who = link->ends[0].index;
    const struct message_range *range = &ask->gather.ranges[0];
    work->at = (uint32_t)range->to;
    work->bytes = (uint32_t)range->bytes;
    rank_fill_bytes(&sim->jobs[who / SIM_WORLD_MAX], who % SIM_WORLD_MAX, ask->gather.step,
                    (uint32_t)range->from, work->bytes, work->shadow);
    return true;
}

static struct sim_work *new_work(struct sim *sim, uint32_t node, const struct agent_work *asked)
{
    for (uint32_t i = 0; i < SIM_WORKS_MAX; i++) {
        if (!sim->works[i].active) {
            sim->works[i] =
                (struct sim_work){.active = true,
                                  .type = asked->type,
                                  .node = node,
                                  .life = sim->nodes[node].host.life,
                                  .work = asked->work,
                                  .slot = asked->slot,
                                  .generation = asked->generation,
                                  .is_range = asked->chunk_count > 0 || asked->shard_bytes > 0,
                                  .chunk_first = (uint32_t)asked->chunk_first,
                                  .key = digest_key_id(&asked->key),
                                  .device_key = digest_key_id(&asked->device_key),
                                  .began_ms = sim->now_ms,
                                  .began_ran_ms = host_ran_ms(sim, &sim->nodes[node].host)};
            return &sim->works[i];
        }
    }
    sim_violation(sim, "more than %d works under way", SIM_WORKS_MAX);
    return NULL;
}

/* Which bytes it is about, and the values of the others: kept here, or offered by the source.
 * False: there are none. */
static bool take_range(struct sim *sim, struct sim_work *work, const struct agent_work *asked,
                       const struct agent_event *event)
{
    struct sim_slot *slot = &sim->nodes[work->node].slots[work->slot];
    uint32_t first = work->chunk_first * SIM_CHUNK_BYTES;
    work->shard_bytes = asked->shard_bytes > 0 ? (uint32_t)asked->shard_bytes : work->bytes;
    uint32_t bytes = (work->shard_bytes + SIM_CHUNK_BYTES - 1) / SIM_CHUNK_BYTES * SIM_VALUE_BYTES;
    if (asked->shard_bytes > 0) {
        slot->part_generation = work->generation;
        work->there_from = first;
        if (event->message->offer.values_bytes != bytes) {
            sim_violation(sim, "node %u reads a part with %u bytes of values for %u", work->node,
                          event->message->offer.values_bytes, bytes);
            return false;
        }
        memcpy(work->values, event->message->offer.values, bytes);
    } else if (asked->chunk_count > 0) {
        uint32_t left = work->shard_bytes - first;
        uint32_t wanted = (uint32_t)asked->chunk_count * SIM_CHUNK_BYTES;
        work->from = first;
        work->bytes = wanted < left ? wanted : left;
        memcpy(work->values, slot->values, bytes);
        return slot->values_generation == work->generation && slot->values_key == work->key &&
               slot->values_bytes == work->shard_bytes;
    }
    return true;
}

void work_start(struct sim *sim, uint32_t node, const struct agent_work *asked,
                const struct agent_event *event)
{
    if (asked->type == AGENT_WORK_CANCEL) {
        struct sim_work *work = find(sim, node, asked->cancels);
        if (work) {
            work->cancelled = true;
        }
        return;
    }
    struct sim_work *work = new_work(sim, node, asked);
    if (!work) {
        return;
    }
    if (asked->type == AGENT_WORK_MANIFEST) {
        tier_start(sim, work, asked);
        return;
    }
    if (asked->slot >= sim->mix.slots || !memory_map_slot(sim, node, asked->slot, &work->here) ||
        (asked->type != AGENT_WORK_RENEW &&
         asked->bytes > (uint64_t)work->here.count * sim->mix.segment_bytes)) {
        sim_violation(
            sim, "node %u starts work %" PRIu64 " on slot %u that cannot hold %" PRIu64 " bytes",
            node, asked->work, asked->slot, asked->bytes);
        work->active = false;
        return;
    }
    work->bytes = (uint32_t)asked->bytes;
    if (asked->type == AGENT_WORK_GATHER && !take_device(sim, event->message, asked->link, work)) {
        sim_violation(sim, "node %u gathers for nobody", node);
        work->active = false;
        return;
    }
    work->chunk = work->bytes / sim_between(sim, 1, 4) + 1;
    sim_trace(sim, "node %u work %" PRIu64 " type %d slot %u gen %" PRIu64, node, asked->work,
              (int)asked->type, asked->slot, asked->generation);
    if (asked->type == AGENT_WORK_READ && !read_offer(sim, event->message, work)) {
        work_finish(sim, work, CKPT_ERR_PROTOCOL);
        return;
    }
    if (asked->type == AGENT_WORK_PERSIST) {
        tier_start(sim, work, asked);
        return;
    }
    if (!take_range(sim, work, asked, event)) {
        work_finish(sim, work, CKPT_ERR_NOT_FOUND);
        return;
    }
    sim_later(sim, sim_between(sim, 1, 10), TURN_WORK, (uint32_t)(work - sim->works), work->life,
              (uint32_t)work->work, NULL);
}

/* What may stand between a reader and its source. CKPT_ERR_TIMEOUT: nothing yet, try again. */
static enum ckpt_status reach_source(struct sim *sim, const struct sim_work *work)
{
    const struct sim_node *source = &sim->nodes[work->there.node];
    if (!source->host.alive || source->host.life != work->there_life ||
        !memory_is_mapped(sim, &work->there)) {
        return CKPT_ERR_LINK;
    }
    uint32_t here = work->node;
    uint32_t there = work->there.node;
    if (sim->cut[here][there] || sim->cut[there][here] || sim->clog[here][there] ||
        sim->clog[there][here] || (source->host.paused && !sim->mix.paused_memory_serves)) {
        return sim->now_ms - work->began_ms > 3000 ? CKPT_ERR_LINK : CKPT_ERR_TIMEOUT;
    }
    if (!sim->faults_over && sim_chance(sim, sim->mix.read_fail_ppm)) {
        sim_fault(sim, FAULT_READ_FAILS);
        return CKPT_ERR_LINK;
    }
    return CKPT_OK;
}

/* Bytes that came are in memory, as well as it went; and what is digested is what lies there. */
static void land(struct sim *sim, struct sim_work *work, uint32_t bytes, bool flips)
{
    uint8_t *came = work->shadow + work->landed;
    uint8_t lands[SIM_SHARD_BYTES_MAX];
    memcpy(lands, came, bytes);
    if (flips) {
        sim_fault(sim, FAULT_FLIP_LANDING);
        lands[prng_below(&sim->prng, bytes)] ^= 0x10;
    }
    judge_landing(sim, work);
    memory_write(sim, &work->here, work->landed, bytes, lands);
    if (!PLANTED_BUG(VALUE_FROM_MESSAGE)) {
        memcpy(came, lands, bytes);
    }
    work->landed += bytes;
}

/* One piece. False when the work ended. */
static bool read_piece(struct sim *sim, struct sim_work *work, uint32_t bytes)
{
    enum ckpt_status status = reach_source(sim, work);
    if (status != CKPT_OK) {
        if (status != CKPT_ERR_TIMEOUT) {
            work_finish(sim, work, status);
        }
        return status == CKPT_ERR_TIMEOUT;
    }
    uint8_t *to = work->shadow + work->landed;
    memory_read(sim, &work->there, work->there_from + work->landed, bytes, to);
    bool flips = bytes > 0 && !sim->faults_over && sim_chance(sim, sim->mix.flip_wire_ppm);
    bool in_landing = flips && sim_chance(sim, PPM / 2);
    if (flips && !in_landing) {
        sim_fault(sim, FAULT_FLIP_WIRE);
        to[prng_below(&sim->prng, bytes)] ^= 0x10;
    }
    land(sim, work, bytes, in_landing);
    return true;
}

/* The same for a gather, which no network can cut. */
static bool gather_piece(struct sim *sim, struct sim_work *work, uint32_t bytes)
{
    if (!sim->faults_over && sim_chance(sim, sim->mix.read_fail_ppm)) {
        sim_fault(sim, FAULT_READ_FAILS);
        work_finish(sim, work, sim_chance(sim, PPM / 2) ? CKPT_ERR_UNSUPPORTED : CKPT_ERR_LINK);
        return false;
    }
    judge_landing(sim, work);
    memory_write(sim, &work->here, work->at + work->landed, bytes, work->shadow + work->landed);
    work->landed += bytes;
    return true;
}

static void renew(struct sim *sim, struct sim_work *work)
{
    struct agent_slot_view view;
    if (!agent_slot_view(sim->nodes[work->node].machine, work->slot, &view)) {
        return;
    }
    /* All of them: memory that is made ready ahead may be more than any shard here has. */
    for (uint32_t i = 0; i < view.segment_count; i++) {
        memory_renew(sim, work->node, view.segments[i], &view.part);
    }
    work_finish(sim, work, CKPT_OK);
}

void work_turn(struct sim *sim, uint32_t index)
{
    struct sim_work *work = &sim->works[index];
    struct sim_node *node = &sim->nodes[work->node];
    if (node->host.paused) {
        sim_later(sim, 20, TURN_WORK, index, work->life, (uint32_t)work->work, NULL);
        return;
    }
    if (work->type == AGENT_WORK_PERSIST || work->type == AGENT_WORK_MANIFEST) {
        tier_turn(sim, work);
        return;
    }
    if (work->type == AGENT_WORK_RENEW) {
        renew(sim, work);
        return;
    }
    if (work->cancelled) {
        work_finish(sim, work, CKPT_ERR_ABORTED);
        return;
    }
    uint32_t left = work->bytes - work->landed;
    uint32_t bytes = left < work->chunk ? left : work->chunk;
    if (work->type == AGENT_WORK_DIGEST) {
        memory_read(sim, &work->here, work->from + work->landed, bytes,
                    work->shadow + work->landed);
        work->landed += bytes;
    } else if (!(work->type == AGENT_WORK_GATHER ? gather_piece(sim, work, bytes)
                                                 : read_piece(sim, work, bytes))) {
        return;
    }
    if (work->landed == work->bytes) {
        work_finish(sim, work, CKPT_OK);
        return;
    }
    sim_later(sim, sim_between(sim, 1, 10), TURN_WORK, index, work->life, (uint32_t)work->work,
              NULL);
}

void work_drop_all(struct sim *sim, uint32_t node)
{
    for (uint32_t i = 0; i < SIM_WORKS_MAX; i++) {
        if (sim->works[i].active && sim->works[i].node == node) {
            sim->works[i].active = false;
        }
    }
}
