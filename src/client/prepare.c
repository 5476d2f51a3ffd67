/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of saves to come: asked for, mapped and faulted in before they come. */
#include "client/prepare.h"

#include "base/reason.h"
#include "client/rank.h"

/* As many as come before a slot is used again, where two checkpoints are kept. */
#define SAVES_PREPARED 3
_Static_assert(SAVES_PREPARED < MAPPINGS_KEPT, "none of them drops another's mapping");

static bool is_told(const struct message *message, const void *number)
{
    return message->type == MESSAGE_PREPARE && message->prepare.number == *(const uint32_t *)number;
}

static enum ckpt_status ask(struct ckpt *ckpt, uint64_t bytes, uint64_t after,
                            struct deadline deadline, struct message *answer_out)
{
    const uint32_t number = ++ckpt->prepare_number;
    struct message message = {.type = MESSAGE_PREPARE};
    message.prepare = (struct message_prepare){.number = number, .bytes = bytes, .after = after};
    enum ckpt_status status = client_send(ckpt, &message, deadline);
    if (status == CKPT_OK) {
        status = client_await(ckpt, is_told, &number, deadline, answer_out);
    }
    return status;
}

static enum ckpt_status map(struct ckpt *ckpt, uint64_t bytes, const struct message_prepare *told)
{
    const struct arena_view_files files = {.fds = ckpt->link.carried,
                                           .count = told->segment_count,
                                           .segment_bytes = ckpt->segment_bytes,
                                           .part_bytes = told->part_bytes};
    if (!client_segments_fit(ckpt, bytes, files.count, files.part_bytes)) {
        return client_break(ckpt, "memory of a save to come that is not of its bytes");
    }
    enum ckpt_status status =
        mappings_prepare(&ckpt->mappings, told->segments, &files, bytes, &ckpt->prepare_is_stopped);
    if (status == CKPT_ERR_MEMORY || status == CKPT_ERR_SYSTEM) {
        return reason_refuse(
            ckpt->reason, status, "%u segments of %llu bytes cannot be mapped beforehand: %s",
            told->segment_count, (unsigned long long)ckpt->segment_bytes,
            status == CKPT_ERR_MEMORY ? "raise the limit of address space (ulimit -v)"
                                      : "mmap failed");
    }
    if (status != CKPT_OK) {
        return client_break(ckpt, "segments that are not distinct files of the size it said");
    }
    return CKPT_OK;
}

static enum ckpt_status prepare_one(struct ckpt *ckpt, uint64_t bytes, uint64_t *after,
                                    struct deadline *deadline)
{
    struct message message;
    enum ckpt_status status = ask(ckpt, bytes, *after, *deadline, &message);
    if (status != CKPT_OK) {
        return status;
    }
    const struct message_prepare *told = &message.prepare;
    if (told->status != CKPT_OK) {
        return client_refused(ckpt, "the agent has no memory to prepare", told->status,
                              told->reason);
    }
    if (told->generation <= *after) {
        return client_break(ckpt, "memory of a save to come that it has told of before");
    }
    int64_t begin_ns = deadline_now_ns();
    status = map(ckpt, bytes, told);
    deadline->at_ns += deadline_now_ns() - begin_ns;
    *after = told->generation;
    return status;
}

enum ckpt_status client_prepare(struct ckpt *ckpt, uint64_t bytes, struct deadline deadline)
{
    uint64_t after = 0;
    enum ckpt_status status = CKPT_OK;
    uint32_t done = 0;
    while (done < SAVES_PREPARED && status == CKPT_OK &&
           !atomic_load_explicit(&ckpt->prepare_is_stopped, memory_order_relaxed)) {
        status = prepare_one(ckpt, bytes, &after, &deadline);
        done += status == CKPT_OK;
    }
    /* Room for fewer saves than that is room all the same. */
    if (status == CKPT_ERR_FULL && done > 0) {
        ckpt->reason[0] = '\0';
        status = CKPT_OK;
    }
    return status;
}

static enum ckpt_status check(struct ckpt *ckpt, uint64_t bytes)
{
    if (ckpt->reader) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             "a reader's context holds no rank to save");
    }
    if (bytes == 0) {
        return reason_refuse(ckpt->reason, CKPT_ERR_SIZE, "a shard of 0 bytes needs no memory");
    }
    if (ckpt->has_begun) {
        return reason_refuse(ckpt->reason, CKPT_ERR_BUSY,
                             "step %llu was begun: ckpt_save_end or ckpt_save_cancel it first",
                             (unsigned long long)ckpt->begun_step);
    }
    return CKPT_OK;
}

enum ckpt_status ckpt_prepare(struct ckpt *ckpt, uint64_t bytes)
{
    enum ckpt_status status = client_enter(ckpt);
    if (status == CKPT_OK) {
        status = check(ckpt, bytes);
    }
    if (status != CKPT_OK) {
        return status;
    }
    struct deadline deadline = deadline_after_ms(ckpt->timeout_ms);
    status = client_rank_ensure(ckpt, deadline);
    if (status != CKPT_OK) {
        return status;
    }
    if (!ckpt->prepares) {
        return reason_refuse(ckpt->reason, CKPT_ERR_UNSUPPORTED,
                             "the agent at %s is of a release that prepares nothing: the first "
                             "saves map what they are granted",
                             ckpt->socket);
    }
    status = client_prepare(ckpt, bytes, deadline);
    atomic_store_explicit(&ckpt->prepare_is_stopped, false, memory_order_relaxed);
    if (status == CKPT_ERR_TIMEOUT) {
        return reason_refuse(ckpt->reason, CKPT_ERR_TIMEOUT,
                             "the agent at %s did not have memory of %llu bytes ready in %u ms: it "
                             "renews what was another user's; ask again",
                             ckpt->socket, (unsigned long long)bytes, ckpt->timeout_ms);
    }
    return status;
}

void ckpt_prepare_stop(struct ckpt *ckpt)
{
    if (ckpt != NULL) {
        atomic_store_explicit(&ckpt->prepare_is_stopped, true, memory_order_relaxed);
    }
}
