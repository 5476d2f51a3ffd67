/* SPDX-License-Identifier: Apache-2.0 */
/* A load: asked for until there is a verdict, mapped read-only, its index read, given back. */
#include "client/load.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "arena/view.h"
#include "base/reason.h"
#include "client/context.h"
#include "client/loaded.h"
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

static enum ckpt_status read_index(struct ckpt *ckpt, const struct arena_view *view,
                                   struct shard_index **index_out)
{
    uint64_t header_bytes;
    char reason[CKPT_REASON_MAX + 1] = "it ends before its header does";
    enum ckpt_status status = view->bytes < 8
                                  ? CKPT_ERR_CORRUPT
                                  : shard_header_size(view->address, view->bytes, &header_bytes);
    if (status == CKPT_OK) {
        status = shard_index_new(view->address, header_bytes, view->bytes, index_out, reason,
                                 sizeof(reason));
    }
    if (status == CKPT_OK) {
        return CKPT_OK;
    }
    return reason_refuse(ckpt->reason, status == CKPT_ERR_MEMORY ? status : CKPT_ERR_CORRUPT,
                         "the shard is no safetensors file: %.200s", reason);
}

static enum ckpt_status map(struct ckpt *ckpt, const struct message_loaded *answer,
                            struct loaded *loaded)
{
    struct arena_view_files files = {.fds = ckpt->link.carried,
                                     .count = answer->segment_count,
                                     .segment_bytes = ckpt->segment_bytes,
                                     .part_bytes = answer->part_bytes};
    enum ckpt_status status = arena_view_map(&files, answer->bytes, false, &loaded->view);
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
    status = read_index(ckpt, &loaded->view, &loaded->index);
    if (status != CKPT_OK) {
        arena_view_unmap(&loaded->view);
        client_release(ckpt, answer->slot, answer->generation);
    }
    return status;
}

/* An agent of before there were kinds says none, and knows BLAKE3 alone. */
static uint32_t kind_of(const struct message_loaded *answer)
{
    _Static_assert(CKPT_DIGEST_UNKNOWN == (int)DIGEST_KIND_UNKNOWN, "one numbering");
    _Static_assert(CKPT_DIGEST_BLAKE3 == (int)DIGEST_KIND_BLAKE3, "one numbering");
    _Static_assert(CKPT_DIGEST_FINGERPRINT == (int)DIGEST_KIND_FINGERPRINT, "one numbering");
    return answer->digest_kind == DIGEST_KIND_UNKNOWN ? CKPT_DIGEST_BLAKE3 : answer->digest_kind;
}

static enum ckpt_status take(struct ckpt *ckpt, const struct message_loaded *answer,
                             struct ckpt_shard *shard_out)
{
    struct loaded *loaded = calloc(1, sizeof(*loaded));
    if (loaded == NULL) {
        client_release(ckpt, answer->slot, answer->generation);
        return reason_refuse(ckpt->reason, CKPT_ERR_MEMORY,
                             "no memory for the record of a loaded shard");
    }
    enum ckpt_status status = map(ckpt, answer, loaded);
    if (status != CKPT_OK) {
        free(loaded);
        return status;
    }
    loaded->slot = answer->slot;
    loaded->generation = answer->generation;
    loaded->link = ckpt->link.number;
    loaded->next = ckpt->loaded;
    ckpt->loaded = loaded;
    *shard_out = (struct ckpt_shard){
        .step = answer->step,
        .attempt = answer->attempt,
        .rank = answer->rank,
        .world = answer->world,
        .digest_kind = kind_of(answer),
        .data = loaded->view.address,
        .bytes = loaded->view.bytes,
        .tensor_count = shard_index_count(loaded->index),
        .private_state = loaded,
    };
    memcpy(shard_out->digest, answer->digest.bytes, sizeof(shard_out->digest));
    return CKPT_OK;
}

static enum ckpt_status load(struct ckpt *ckpt, const struct message_load_ask *asked,
                             uint32_t timeout_ms, struct ckpt_shard *shard_out)
{
    struct message message;
    enum ckpt_status status = ask(ckpt, asked, deadline_after_ms(timeout_ms), &message);
    if (status != CKPT_OK) {
        return status;
    }
    const struct message_loaded *answer = &message.loaded;
    if (answer->status != CKPT_OK) {
        return client_refused(ckpt, "nothing was loaded", answer->status, answer->reason);
    }
    if (!names_what_was_asked(ckpt, asked, answer)) {
        return client_break(ckpt, "a shard that was not asked for");
    }
    return take(ckpt, answer, shard_out);
}

enum ckpt_status ckpt_load(struct ckpt *ckpt, uint64_t step, uint32_t timeout_ms,
                           struct ckpt_shard *shard_out)
{
    enum ckpt_status status = client_enter(ckpt);
    if (status != CKPT_OK) {
        return status;
    }
    if (shard_out == NULL || ckpt->reader) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             shard_out == NULL
                                 ? "ckpt_load has nowhere to write: shard_out is NULL"
                                 : "a reader's context holds no rank: use ckpt_fetch");
    }
    struct message_load_ask asked = {
        .step = step,
        .rank = ckpt->rank,
        .asking_rank = ckpt->rank,
        .attempt = ckpt->attempt,
        .world = ckpt->world,
        .collective = true,
        .load = ++ckpt->loads,
    };
    return load(ckpt, &asked, timeout_ms, shard_out);
}

enum ckpt_status ckpt_fetch(struct ckpt *ckpt, uint64_t step, uint32_t rank, uint32_t timeout_ms,
                            struct ckpt_shard *shard_out)
{
    enum ckpt_status status = client_enter(ckpt);
    if (status != CKPT_OK) {
        return status;
    }
    if (shard_out == NULL) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             "ckpt_fetch has nowhere to write: shard_out is NULL");
    }
    if (rank >= CKPT_WORLD_MAX) {
        return reason_refuse(ckpt->reason, CKPT_ERR_RANK,
                             "rank %u is outside any world: at most %d", rank, CKPT_WORLD_MAX);
    }
    struct message_load_ask asked = {
        .step = step,
        .rank = rank,
        .asking_rank = ckpt->rank,
        .attempt = ckpt->attempt,
        .world = ckpt->world,
        .load = CLIENT_FETCH_BASE | ++ckpt->fetches,
    };
    return load(ckpt, &asked, timeout_ms, shard_out);
}

static void drop(struct loaded *loaded)
{
    arena_view_unmap(&loaded->view);
    shard_index_delete(&loaded->index);
    free(loaded);
}

void ckpt_unload(struct ckpt *ckpt, struct ckpt_shard *shard)
{
    if (ckpt == NULL || shard == NULL) {
        return;
    }
    struct loaded **at = &ckpt->loaded;
    while (*at != NULL && *at != shard->private_state) {
        at = &(*at)->next;
    }
    struct loaded *loaded = *at;
    if (loaded != NULL) {
        *at = loaded->next;
        arena_view_unmap(&loaded->view);
        /* A later connection's agent knows nothing of this loan. */
        if (loaded->link == ckpt->link.number && client_is_own_process(ckpt)) {
            client_release(ckpt, loaded->slot, loaded->generation);
        }
        drop(loaded);
    }
    memset(shard, 0, sizeof(*shard));
}

void client_loaded_clear(struct ckpt *ckpt)
{
    while (ckpt->loaded != NULL) {
        struct loaded *next = ckpt->loaded->next;
        drop(ckpt->loaded);
        ckpt->loaded = next;
    }
}
