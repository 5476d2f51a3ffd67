/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/work.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What becomes of a work whose memory nobody touches any more. */
static const struct {
    bool is_digested; /* its chunks were */
    bool is_checked;  /* what was done over memory that a trainer may have cut counts only when the
                       * files are whole */
} ends[WORK_TYPES] = {[WORK_DIGEST] = {.is_digested = true, .is_checked = true},
                      [WORK_READ] = {.is_digested = true, .is_checked = true},
                      [WORK_GATHER] = {.is_checked = true}};

/* Of a part of the chunks of a slot that has them all. */
static bool is_partial(const struct work_plan *plan)
{
    return plan->type == WORK_DIGEST && plan->chunk_count > 0;
}

/* Of a slot that has a part of the chunks. */
static bool is_range(const struct work_plan *plan)
{
    assert(plan->shard_bytes == 0 || plan->type == WORK_READ);
    return plan->shard_bytes > 0;
}

static uint64_t shard_bytes(const struct work_plan *plan)
{
    return is_range(plan) ? plan->shard_bytes : plan->bytes;
}

/* The values of the slot's chunks under the plan's key, as the arena knows them. */
static struct arena_values values_of(const struct work *work)
{
    const struct work_plan *plan = &work->plan;
    _Static_assert(ARENA_VALUE_BYTES == FINGERPRINT_VALUE_BYTES, "what is kept is what is folded");
    return (struct arena_values){.slot = plan->slot,
                                 .generation = plan->generation,
                                 .digest_key = work->proof.key_id,
                                 .bytes = plan->bytes,
                                 .segments = plan->segments,
                                 .segment_count = plan->segment_count,
                                 .part = plan->part};
}

/* Of the chunks that are not digested, the values that were kept stand in: the work fails where
 * there are none. */
static void take_values(struct work *work)
{
    const struct work_plan *plan = &work->plan;
    struct arena_values of = values_of(work);
    enum ckpt_status status = CKPT_ERR_NOT_FOUND;
    assert(plan->chunk_first < work->chunk_count);
    assert(plan->chunk_count <= work->chunk_count - plan->chunk_first);
    if (plan->key.kind == DIGEST_KIND_FINGERPRINT) {
        status = arena_values_load(plan->arena, &of, work->proof.values);
    }
    if (status != CKPT_OK) {
        work_fail(work, status);
    }
    work->chunk_next = plan->chunk_first;
    work->chunk_end = plan->chunk_first + plan->chunk_count;
}

/* The second one is under a fingerprint's key, or there is none. */
static bool has_device_proof(const struct work *work)
{
    return work->plan.device_key.kind == DIGEST_KIND_FINGERPRINT;
}

static bool begin_proofs(struct work *work)
{
    const struct work_plan *plan = &work->plan;
    return proof_begin(&work->proof, &plan->key, shard_bytes(plan)) &&
           (!has_device_proof(work) ||
            proof_begin(&work->device_proof, &plan->device_key, plan->bytes));
}

enum ckpt_status work_digest_chunk(struct work *work, uint64_t chunk)
{
    const struct digest_engine *engine = work->plan.engine;
    const uint8_t *data = work_chunk_address(work, chunk);
    enum ckpt_status status = proof_chunk(&work->proof, engine, data, chunk);
    if (status == CKPT_OK && has_device_proof(work)) {
        status = proof_chunk(&work->device_proof, engine, data, chunk); /* from the caches */
    }
    return status;
}

struct work *work_make(const struct work_plan *plan)
{
    size_t bytes = plan->segment_count * sizeof(plan->segments[0]);
    struct work *work = calloc(1, sizeof *work + bytes);
    if (work == NULL) {
        return NULL;
    }
    work->plan = *plan;
    work->plan.segments = work->segments;
    memcpy(work->segments, plan->segments, bytes);
    work->chunk_count = ends[plan->type].is_digested ? digest_chunk_count(shard_bytes(plan)) : 1;
    work->chunk_end = work->chunk_count;
    if (is_range(plan)) {
        work->chunk_base = work->chunk_next = plan->chunk_first;
        work->chunk_end = plan->chunk_first + digest_chunk_count(plan->bytes);
    }
    atomic_init(&work->holders, 1);
    atomic_init(&work->status, CKPT_OK);
    atomic_init(&work->cancelled, false);
    if (ends[plan->type].is_digested && !begin_proofs(work)) {
        work_free(work);
        return NULL;
    }
    if (is_partial(plan)) {
        take_values(work);
    }
    return work;
}

/* They are as good as the offer: what they fold into is compared with the commit. */
static void take_offered_values(struct work *work, const struct message_offer *offer)
{
    uint64_t bytes = work->chunk_count * FINGERPRINT_VALUE_BYTES;
    if (work->proof.key == NULL || offer->values_bytes != bytes ||
        work->chunk_end > work->chunk_count) {
        work_fail(work, CKPT_ERR_NOT_FOUND);
        return;
    }
    memcpy(work->proof.values, offer->values, bytes);
}

bool work_take_offer(struct work *work, uint32_t link, const struct message_offer *offer)
{
    work->link = link;
    work->offer.region_bytes = offer->segment_bytes;
    work->offer.address_bytes = offer->worker_address_bytes;
    work->offer.address = malloc(offer->worker_address_bytes + 1);
    work->region_count = offer->region_count;
    work->regions = calloc(offer->region_count + 1, sizeof *work->regions);
    if (work->offer.address == NULL || work->regions == NULL) {
        return false;
    }
    memcpy(work->offer.address, offer->worker_address, offer->worker_address_bytes);
    for (uint32_t i = 0; i < offer->region_count; i++) {
        assert(offer->regions[i].bytes <= CKPT_DESCRIPTOR_MAX);
        work->regions[i].bytes = offer->regions[i].bytes;
        memcpy(work->regions[i].descriptor, offer->regions[i].descriptor, offer->regions[i].bytes);
    }
    if (is_range(&work->plan)) {
        take_offered_values(work, offer);
    }
    return true;
}

bool work_take_gather(struct work *work, const struct message_gather *ask, int descriptor)
{
    size_t bytes = ask->range_count * sizeof(ask->ranges[0]);
    work->gather = calloc(1, sizeof(*work->gather) + bytes);
    work->regions = calloc(1, sizeof(*work->regions));
    if (work->gather == NULL || work->regions == NULL) {
        if (work->gather != NULL) {
            work->gather->descriptor = -1;
        }
        if (descriptor >= 0) {
            close(descriptor);
        }
        return false;
    }
    work->region_count = 1;
    work->gather->descriptor = descriptor;
    work->gather->range_count = ask->range_count;
    memcpy(work->gather->ranges, ask->ranges, bytes);
    return true;
}

void work_hold(struct work *work)
{
    atomic_fetch_add(&work->holders, 1);
}

void work_fail(struct work *work, enum ckpt_status status)
{
    int ok = CKPT_OK;
    assert(status != CKPT_OK);
    atomic_compare_exchange_strong(&work->status, &ok, (int)status);
}

bool work_has_failed(const struct work *work)
{
    return atomic_load(&work->cancelled) || atomic_load(&work->status) != CKPT_OK;
}

/* The values of the chunks stay beside the slot's record. Nothing hangs on it: without them a chunk
 * is proven with all the others. */
static void keep_values(const struct work *work)
{
    const struct work_plan *plan = &work->plan;
    struct arena_values of = values_of(work);
    if (plan->key.kind == DIGEST_KIND_FINGERPRINT && plan->bytes > 0 && !is_partial(plan) &&
        !is_range(plan)) {
        (void)arena_values_store(plan->arena, &of, work->proof.values);
    }
}

static void finish(struct work *work)
{
    const struct work_plan *plan = &work->plan;
    if (atomic_load(&work->cancelled)) {
        work_fail(work, CKPT_ERR_ABORTED);
    }
    if (ends[plan->type].is_checked && atomic_load(&work->status) == CKPT_OK) {
        enum ckpt_status status =
            arena_segments_check(plan->arena, plan->segments, plan->segment_count);
        if (status == CKPT_OK && ends[plan->type].is_digested) {
            status = proof_fold(&work->proof, &work->digest);
        }
        if (status == CKPT_OK && has_device_proof(work)) {
            status = proof_fold(&work->device_proof, &work->device_digest);
        }
        if (status == CKPT_OK && ends[plan->type].is_digested) {
            keep_values(work);
        }
        if (status != CKPT_OK) {
            work_fail(work, status);
        }
    }
    work->is_handed_back = false;
    plan->finished(plan->context, work);
}

void work_release(struct work *work)
{
    if (atomic_fetch_sub(&work->holders, 1) == 1) {
        finish(work);
    }
}

void work_hand_back(struct work *work)
{
    work->is_handed_back = true;
    work->plan.finished(work->plan.context, work);
}

void work_free(struct work *work)
{
    if (work == NULL) {
        return;
    }
    if (work->gather != NULL && work->gather->descriptor >= 0) {
        close(work->gather->descriptor);
    }
    free(work->gather);
    proof_end(&work->proof);
    proof_end(&work->device_proof);
    explicit_bzero(&work->plan.key, sizeof work->plan.key);
    explicit_bzero(&work->plan.device_key, sizeof work->plan.device_key);
    free(work->offer.address);
    free(work->regions);
    free(work->wanting);
    free(work);
}

uint8_t *work_chunk_address(const struct work *work, uint64_t chunk)
{
    uint64_t segment_bytes = arena_segment_bytes(work->plan.arena);
    uint64_t offset = (chunk - work->chunk_base) * CKPT_CHUNK_BYTES;
    uint64_t index = offset / segment_bytes;
    assert(index < work->plan.segment_count);
    return arena_segment_address(work->plan.arena, work->segments[index]) + offset % segment_bytes;
}

uint64_t work_chunk_bytes(const struct work *work, uint64_t chunk)
{
    return digest_chunk_bytes(chunk, shard_bytes(&work->plan));
}
