/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a shard that the agent lends: what it says of it is checked before it is used. */
#include "client/loan.h"

#include <poll.h>
#include <string.h>

#include "base/limits.h"
#include "base/reason.h"
#include "client/rank.h"

/* How often a lost agent is looked for while a load has time left. */
#define CONNECT_EVERY_MS 50

static bool is_loaded(const struct message *message, const void *load)
{
    return message->type == MESSAGE_LOADED && message->loaded.load == *(const uint32_t *)load;
}

/* The ask is the same each time, so that an agent that was started anew, and the coordinator, know
 * it again. */
static enum ckpt_status ask(struct ckpt *ckpt, const struct message_load_ask *asked,
                            struct deadline deadline, struct message *answer_out)
{
    for (;;) {
        struct message message = {.type = MESSAGE_LOAD_ASK};
        message.load_ask = *asked;
        message.load_ask.wait_ms = (uint32_t)deadline_left_ms(deadline);
        enum ckpt_status status = client_rank_ensure(ckpt, deadline);
        if (status == CKPT_OK) {
            status = client_send(ckpt, &message, deadline);
        }
        if (status == CKPT_OK) {
            status = client_await(ckpt, is_loaded, &asked->load, deadline, answer_out);
        }
        if (status == CKPT_ERR_TIMEOUT) {
            return client_timed_out(ckpt,
                                    "no verdict in time: not every rank has asked, or a shard is "
                                    "still on its way; give ckpt_load more time");
        }
        if (status != CKPT_ERR_NO_AGENT || deadline_left_ms(deadline) == 0) {
            return status;
        }
        (void)poll(NULL, 0, CONNECT_EVERY_MS);
    }
}

static bool names_what_was_asked(const struct ckpt *ckpt, const struct message_load_ask *asked,
                                 const struct message_loaded *loaded)
{
    return loaded->rank == asked->rank && loaded->rank < loaded->world &&
           loaded->step != CKPT_STEP_LATEST &&
           (asked->step == CKPT_STEP_LATEST || loaded->step == asked->step) &&
           (!asked->collective || loaded->world == ckpt->world) &&
           client_segments_fit(ckpt, loaded->bytes, loaded->segment_count, loaded->part_bytes);
}

static bool lies_within(uint64_t offset, uint64_t bytes, uint64_t whole_bytes)
{
    return offset <= whole_bytes && bytes <= whole_bytes - offset;
}

static enum ckpt_status map(struct ckpt *ckpt, const struct message_loaded *answer,
                            struct client_loan *loan)
{
    struct arena_view_files files = {.fds = ckpt->link.carried,
                                     .count = answer->segment_count,
                                     .segment_bytes = ckpt->segment_bytes,
                                     .part_bytes = answer->part_bytes};
    enum ckpt_status status = arena_view_map(&files, answer->bytes, false, &loan->view);
    if (status == CKPT_ERR_MEMORY || status == CKPT_ERR_SYSTEM) {
        client_release(ckpt, answer->slot, answer->generation);
        return reason_refuse(ckpt->reason, status, "a shard of %llu bytes cannot be mapped: %s",
                             (unsigned long long)answer->bytes,
                             status == CKPT_ERR_MEMORY
                                 ? "raise the limit of address space (ulimit -v)"
                                 : "mmap failed");
    }
    if (status != CKPT_OK) {
        return client_break(ckpt, "segments that are not files of the size it said");
    }
    return CKPT_OK;
}

/* An agent of before there were kinds says none, and knows BLAKE3 alone. */
static uint32_t kind_of(const struct message_loaded *answer)
{
    _Static_assert(CKPT_DIGEST_UNKNOWN == (int)DIGEST_KIND_UNKNOWN, "one numbering");
    _Static_assert(CKPT_DIGEST_BLAKE3 == (int)DIGEST_KIND_BLAKE3, "one numbering");
    _Static_assert(CKPT_DIGEST_FINGERPRINT == (int)DIGEST_KIND_FINGERPRINT, "one numbering");
    return answer->digest_kind == DIGEST_KIND_UNKNOWN ? CKPT_DIGEST_BLAKE3 : answer->digest_kind;
}

static uint64_t shard_bytes_of(const struct message_loaded *answer)
{
    return answer->shard_bytes != 0 ? answer->shard_bytes : answer->bytes;
}

/* A part of the shard has the range, and is for who asked for one. */
static bool is_part_asked_for(const struct message_load_ask *asked,
                              const struct message_loaded *answer)
{
    uint64_t offset = answer->range_offset;
    if (answer->shard_bytes == 0) {
        return offset == 0;
    }
    return asked->range_bytes > 0 && offset % CKPT_CHUNK_BYTES == 0 && !answer->whole &&
           asked->range_offset >= offset &&
           lies_within(asked->range_offset - offset, asked->range_bytes, answer->bytes) &&
           lies_within(offset, answer->bytes, answer->shard_bytes);
}

/* BLAKE3 is of all bytes, so that who proves by it has proven all. */
static bool is_whole(const struct message_load_ask *asked, const struct message_loaded *answer)
{
    return answer->shard_bytes == 0 &&
           (asked->range_bytes == 0 || answer->whole || kind_of(answer) == CKPT_DIGEST_BLAKE3);
}

static enum ckpt_status take(struct ckpt *ckpt, const struct message_load_ask *asked,
                             const struct message_loaded *answer, struct client_loan *loan_out)
{
    uint64_t shard_bytes = shard_bytes_of(answer);
    if (!names_what_was_asked(ckpt, asked, answer) || !is_part_asked_for(asked, answer)) {
        return client_break(ckpt, "a shard that was not asked for");
    }
    if (!lies_within(asked->range_offset, asked->range_bytes, shard_bytes)) {
        client_release(ckpt, answer->slot, answer->generation);
        return reason_refuse(ckpt->reason, CKPT_ERR_SIZE,
                             "%llu bytes from %llu on are asked for of rank %u's shard of step "
                             "%llu, which has %llu",
                             (unsigned long long)asked->range_bytes,
                             (unsigned long long)asked->range_offset, asked->rank,
                             (unsigned long long)answer->step, (unsigned long long)shard_bytes);
    }
    struct client_loan loan = {
        .step = answer->step,
        .attempt = answer->attempt,
        .rank = answer->rank,
        .world = answer->world,
        .shard_bytes = shard_bytes,
        .offset = answer->range_offset,
        .digest = answer->digest,
        .digest_kind = kind_of(answer),
        .is_whole = is_whole(asked, answer),
        .slot = answer->slot,
        .generation = answer->generation,
        .link = ckpt->link.number,
    };
    enum ckpt_status status = map(ckpt, answer, &loan);
    if (status == CKPT_OK) {
        *loan_out = loan;
    }
    return status;
}

enum ckpt_status client_loan_take(struct ckpt *ckpt, const struct message_load_ask *asked,
                                  struct deadline deadline, struct client_loan *loan_out)
{
    struct message message;
    enum ckpt_status status = ask(ckpt, asked, deadline, &message);
    if (status != CKPT_OK) {
        return status;
    }
    if (message.loaded.status != CKPT_OK) {
        return client_refused(ckpt, "nothing was loaded", message.loaded.status,
                              message.loaded.reason);
    }
    return take(ckpt, asked, &message.loaded, loan_out);
}

void client_loan_return(struct ckpt *ckpt, struct client_loan *loan)
{
    arena_view_unmap(&loan->view);
    /* A later connection's agent knows nothing of this loan. */
    if (loan->link == ckpt->link.number && client_is_own_process(ckpt)) {
        client_release(ckpt, loan->slot, loan->generation);
    }
}
