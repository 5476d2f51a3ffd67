/* SPDX-License-Identifier: Apache-2.0 */
#include "client/stage.h"

#include "base/fault_point.h"
#include "base/reason.h"
#include "client/gpu.h"
#include "client/rank.h"
#include "client/replica.h"
#include "client/saves.h"

struct asked {
    uint64_t step;
    uint64_t bytes;
};

/* A grant of other bytes is the late answer to an earlier ask. */
static bool is_grant(const struct message *message, const void *asked_pointer)
{
    const struct asked *asked = asked_pointer;
    const struct message_slot_granted *granted = &message->slot_granted;
    return message->type == MESSAGE_SLOT_GRANTED && granted->step == asked->step &&
           (granted->status != CKPT_OK || granted->bytes == asked->bytes);
}

static enum ckpt_status ask(struct ckpt *ckpt, const struct stage *stage, struct deadline deadline,
                            struct message *answer_out)
{
    struct asked asked = {.step = stage->step, .bytes = stage->bytes};
    for (;;) {
        uint64_t abandoned = ckpt->abandoned;
        struct message message = {.type = MESSAGE_SLOT_ASK};
        message.slot_ask.step = stage->step;
        message.slot_ask.bytes = stage->bytes;
        message.slot_ask.wait_ms = (uint32_t)deadline_left_ms(deadline);
        enum ckpt_status status = client_send(ckpt, &message, deadline);
        if (status == CKPT_OK) {
            status = client_await(ckpt, is_grant, &asked, deadline, answer_out);
        }
        if (status == CKPT_ERR_TIMEOUT) {
            return reason_refuse(ckpt->reason, CKPT_ERR_NO_AGENT,
                                 "the agent at %s gave no slot for step %llu in %u ms: is it "
                                 "stopped or overloaded?",
                                 ckpt->socket, (unsigned long long)stage->step, ckpt->timeout_ms);
        }
        if (status != CKPT_OK) {
            return status;
        }
        /* Busy with what an earlier call asked for and did not wait for: given back by now. */
        if (answer_out->slot_granted.status != CKPT_ERR_BUSY || ckpt->abandoned == abandoned) {
            return CKPT_OK;
        }
    }
}

static enum ckpt_status map(struct ckpt *ckpt, const struct stage *stage,
                            const struct message_slot_granted *granted, uint8_t **address_out)
{
    struct arena_view_files files = {.fds = ckpt->link.carried,
                                     .count = granted->segment_count,
                                     .segment_bytes = ckpt->segment_bytes,
                                     .part_bytes = granted->part_bytes};
    if (!client_segments_fit(ckpt, stage->bytes, files.count, files.part_bytes)) {
        return client_break(ckpt, "a slot whose segments are not those of its bytes");
    }
    /* Generations of one arena only rise. */
    if (ckpt->last_link == ckpt->link.number && granted->generation <= ckpt->last_generation) {
        return client_break(ckpt, "a slot of a generation that was sealed before");
    }
    enum ckpt_status status =
        mappings_get(&ckpt->mappings, granted->segments, &files, stage->bytes, address_out);
    if (status == CKPT_ERR_MEMORY || status == CKPT_ERR_SYSTEM) {
        client_abandon(ckpt, granted->step, granted->slot, granted->generation);
        return reason_refuse(
            ckpt->reason, status, "a slot of %u segments of %llu bytes cannot be mapped: %s",
            granted->segment_count, (unsigned long long)ckpt->segment_bytes,
            status == CKPT_ERR_MEMORY ? "raise the limit of address space (ulimit -v)"
                                      : "mmap failed");
    }
    if (status != CKPT_OK) {
        return client_break(
            ckpt, "segments that are not distinct files of the size it said, for writing");
    }
    return CKPT_OK;
}

static enum ckpt_status take_slot(struct ckpt *ckpt, const struct stage *stage,
                                  struct deadline deadline, struct client_grant *grant_out)
{
    struct message message;
    enum ckpt_status status = client_rank_ensure(ckpt, deadline);
    atomic_store_explicit(&ckpt->prepare_is_stopped, false, memory_order_relaxed);
    if (status == CKPT_OK) {
        status = ask(ckpt, stage, deadline, &message);
    }
    if (status != CKPT_OK) {
        return status;
    }
    const struct message_slot_granted *granted = &message.slot_granted;
    if (granted->status != CKPT_OK) {
        return client_refused(ckpt, "the agent gave no slot", granted->status, granted->reason);
    }
    uint8_t *address;
    status = map(ckpt, stage, granted, &address);
    if (status == CKPT_OK) {
        *grant_out =
            (struct client_grant){granted->slot, granted->generation, address, granted->device_key};
    }
    return status;
}

enum ckpt_status stage_seal(struct ckpt *ckpt, uint64_t step, const struct client_grant *grant,
                            struct deadline deadline)
{
    struct message message = {.type = MESSAGE_SEAL};
    message.seal.step = step;
    message.seal.slot = grant->slot;
    message.seal.generation = grant->generation;
    client_replica_ride(ckpt, &message.seal);
    client_gpu_ride(ckpt, &message.seal);
    enum ckpt_status status = client_send(ckpt, &message, deadline);
    if (status == CKPT_ERR_TIMEOUT) {
        /* The end of the connection gives the slot back, which nothing else would. */
        (void)client_break(ckpt, "it takes no messages");
        return reason_refuse(ckpt->reason, CKPT_ERR_NO_AGENT,
                             "the agent at %s takes no messages: is it stopped or overloaded?",
                             ckpt->socket);
    }
    if (status != CKPT_OK) {
        return status;
    }
    FAULT_POINT(client_save_after_seal);
    ckpt->has_step = true;
    ckpt->last_step = step;
    ckpt->last_generation = grant->generation;
    ckpt->last_link = ckpt->link.number;
    client_saves_add(ckpt, step);
    return CKPT_OK;
}

enum ckpt_status stage_fill(struct ckpt *ckpt, const struct stage *stage, struct deadline *deadline,
                            struct client_grant *grant_out)
{
    struct client_grant grant;
    enum ckpt_status status = take_slot(ckpt, stage, *deadline, &grant);
    if (status != CKPT_OK) {
        return status;
    }
    int64_t begin_ns = deadline_now_ns();
    FAULT_POINT(client_save_before_copy);
    if (stage->layout != NULL &&
        shard_header_encode(ckpt->tensors, stage->tensor_count, ckpt->metadata,
                            stage->metadata_count, stage->layout, grant.address) != CKPT_OK) {
        client_abandon(ckpt, stage->step, grant.slot, grant.generation);
        (void)client_poison(ckpt, "a header is longer than it was laid out");
        return CKPT_ERR_INTERNAL;
    }
    copy_pieces(grant.address, ckpt->pieces, stage->piece_count, ckpt->copy_threads);
    deadline->at_ns += deadline_now_ns() - begin_ns;
    *grant_out = grant;
    return CKPT_OK;
}

enum ckpt_status stage_all(struct ckpt *ckpt, const struct stage *stage, struct deadline deadline)
{
    struct client_grant grant;
    enum ckpt_status status = stage_fill(ckpt, stage, &deadline, &grant);
    if (status != CKPT_OK) {
        return status;
    }
    FAULT_POINT(client_save_before_seal);
    return stage_seal(ckpt, stage->step, &grant, deadline);
}
