/* SPDX-License-Identifier: Apache-2.0 */
/* Does what an update of the machine says: records, work, messages, notes, in that order. */
#include "ckptd/act.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena/arena.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "ckptd/connections.h"
#include "ckptd/quiet.h"
#include "ckptd/tier_work.h"
#include "mover/mover.h"
#include "session/session.h"

static void act_on_record(struct daemon *d, const struct slot_record *record)
{
    quiet_slot(d->quiet, record->slot, record->state == SLOT_FILLING, clock_now_ms());
    switch (record->state) {
    case SLOT_FILLING:
        FAULT_POINT(agent_before_grant);
        break;
    case SLOT_SEALED:
        FAULT_POINT(agent_before_seal_record);
        break;
    case SLOT_VERIFIED:
        FAULT_POINT(agent_before_pulled_record);
        break;
    case SLOT_FREE:
        FAULT_POINT(agent_before_retire);
        break;
    case SLOT_DIRTY: /* also of memory that is new to a slot */
    case SLOT_PULLING:
    case SLOT_ADOPTED:
        break;
    }
    if (record->state == SLOT_DIRTY && record->segment_count > 0) {
        mover_revoke(d->mover, record->segments, record->segment_count);
    }
    enum ckpt_status status = arena_record_store(d->arena, record->slot, record);
    if (status != CKPT_OK) {
        /* What can't be recorded must not be said. */
        log_event(EVENT_record_not_stored, "slot=%u status=%s", record->slot,
                  ckpt_status_name(status));
        d->is_broken = true;
    }
    if (record->state == SLOT_FILLING) {
        FAULT_POINT(agent_after_grant);
    } else if (record->state == SLOT_SEALED) {
        FAULT_POINT(agent_after_seal_record);
    } else if (record->state == SLOT_VERIFIED) {
        FAULT_POINT(agent_after_pulled_record);
    }
}

static struct work_plan plan_of(const struct daemon *d, const struct agent_work *asked,
                                enum work_type type)
{
    return (struct work_plan){.type = type,
                              .number = asked->work,
                              .slot = asked->slot,
                              .generation = asked->generation,
                              .arena = d->arena,
                              .engine = d->engine,
                              .chunk_first = asked->chunk_first,
                              .chunk_count = asked->chunk_count,
                              .shard_bytes = asked->shard_bytes,
                              .key = asked->key,
                              .device_key = asked->device_key,
                              .scrubs = asked->scrubs,
                              .patience_ms = asked->patience_ms,
                              .finished = completions_post_work,
                              .context = d->completions};
}

/* Over the slot's memory; NULL: no memory. */
static struct work *work_over_slot(struct daemon *d, const struct agent_work *asked,
                                   enum work_type type)
{
    struct agent_slot_view slot;
    bool found = agent_slot_view(d->machine, asked->slot, &slot);
    assert(found);
    (void)found;
    struct work_plan plan = plan_of(d, asked, type);
    plan.bytes = type == WORK_RENEW ? 0 : asked->bytes;
    plan.segments = slot.segments;
    plan.segment_count = slot.segment_count;
    plan.part = slot.part;
    return work_make(&plan);
}

/* A work that can't be made has failed; the machine hears of it as of any other. */
static void fail_work(struct daemon *d, struct work *work, const struct agent_work *asked)
{
    struct work_plan plan = plan_of(d, asked, WORK_DIGEST);
    plan.chunk_count = 0;
    plan.shard_bytes = 0;
    work_free(work);
    work = work_make(&plan);
    if (work == NULL) {
        log_event(EVENT_out_of_memory, "where=work");
        d->is_broken = true;
        return;
    }
    work_fail(work, CKPT_ERR_MEMORY);
    work_release(work);
}

/* That came with the message of this event; -1: none. */
static int take_descriptor(struct daemon *d)
{
    int descriptor = d->event_descriptor;
    d->event_descriptor = -1;
    return descriptor;
}

static void act_on_work(struct daemon *d, const struct agent_work *asked)
{
    struct work *work = NULL;
    switch (asked->type) {
    case AGENT_WORK_DIGEST:
        work = work_over_slot(d, asked, WORK_DIGEST);
        if (work != NULL) {
            if (!asked->scrubs) {
                quiet_work(d->quiet, clock_now_ms());
            }
            digester_add(d->digester, work);
            return;
        }
        break;
    case AGENT_WORK_READ:
        FAULT_POINT(agent_pull_before_read);
        assert(d->event_message != NULL && d->event_message->type == MESSAGE_OFFER);
        work = work_over_slot(d, asked, WORK_READ);
        if (work != NULL && work_take_offer(work, asked->link, &d->event_message->offer)) {
            quiet_work(d->quiet, clock_now_ms());
            mover_read(d->mover, work);
            return;
        }
        break;
    case AGENT_WORK_GATHER:
        assert(d->event_message != NULL && d->event_message->type == MESSAGE_GATHER);
        work = work_over_slot(d, asked, WORK_GATHER);
        if (work != NULL && work_take_gather(work, &d->event_message->gather, take_descriptor(d))) {
            mover_read(d->mover, work);
            return;
        }
        break;
    case AGENT_WORK_RENEW:
        FAULT_POINT(agent_before_zero);
        work = work_over_slot(d, asked, WORK_RENEW);
        if (work != NULL) {
            mover_shape(d->mover, work);
            return;
        }
        break;
    case AGENT_WORK_CANCEL:
        if (!digester_cancel(d->digester, asked->cancels)) {
            mover_cancel(d->mover, asked->cancels);
        }
        return;
    case AGENT_WORK_PEER_CONNECT:
        connections_connect(d, asked->link, asked->address);
        return;
    case AGENT_WORK_PEER_CLOSE:
        connections_close(d, asked->link);
        return;
    case AGENT_WORK_PERSIST:
    case AGENT_WORK_MANIFEST:
        tier_begin(d, asked);
        return;
    }
    fail_work(d, work, asked);
}

/* 0: there was an error, or nothing to open. */
static uint32_t open_listed(struct daemon *d, const uint16_t *segments, uint32_t segment_count,
                            bool read_only, int *descriptors)
{
    uint32_t count = 0;
    for (; count < segment_count; count++) {
        if (arena_segment_fd(d->arena, segments[count], read_only, &descriptors[count]) !=
            CKPT_OK) {
            log_event(EVENT_segment_not_opened, "segment=%u error=\"%m\"", segments[count]);
            while (count > 0) {
                close(descriptors[--count]);
            }
            return 0;
        }
    }
    return count;
}

/* Opens the descriptors that ride along. 0: there was an error, or nothing to open. */
static uint32_t open_segments(struct daemon *d, const struct agent_outgoing *out, int *descriptors)
{
    struct agent_slot_view view;
    if (out->attach == ATTACH_PREPARED) {
        assert(out->message.type == MESSAGE_PREPARE);
        const struct message_prepare *prepare = &out->message.prepare;
        return open_listed(d, prepare->segments, prepare->segment_count, false, descriptors);
    }
    if (!agent_slot_view(d->machine, out->attach_slot, &view)) {
        return 0;
    }
    return open_listed(d, view.segments, view.segment_count, out->attach == ATTACH_READ_ONLY,
                       descriptors);
}

/* Where they are not kept, or are more than a message tells, the puller hears of none. */
static void add_values(struct daemon *d, const struct agent_outgoing *out,
                       const struct agent_slot_view *view, struct offer_reply *reply)
{
    const struct arena_values of = {.slot = out->attach_slot,
                                    .generation = view->generation,
                                    .digest_key = out->values_key,
                                    .bytes = view->bytes,
                                    .segments = view->segments,
                                    .segment_count = view->segment_count,
                                    .part = view->part};
    uint64_t bytes = digest_chunk_count(view->bytes) * ARENA_VALUE_BYTES;
    reply->values = bytes <= CKPT_VALUES_BYTES_MAX ? malloc(bytes) : NULL;
    if (reply->values != NULL && arena_values_load(d->arena, &of, reply->values) == CKPT_OK) {
        reply->message.offer.values = reply->values;
        reply->message.offer.values_bytes = (uint32_t)bytes;
    }
}

static void send_offer(struct daemon *d, const struct agent_outgoing *out)
{
    struct agent_slot_view view;
    bool found = agent_slot_view(d->machine, out->attach_slot, &view);
    assert(found);
    (void)found;
    struct offer_reply *reply = offer_reply_make(view.segment_count);
    if (reply == NULL) {
        log_event(EVENT_out_of_memory, "where=offer");
        return; /* the puller asks again */
    }
    reply->link = out->link;
    reply->message = out->message;
    memcpy(reply->segments, view.segments, view.segment_count * sizeof(uint16_t));
    if (out->values_key != DIGEST_KEY_ID_BLAKE3) {
        add_values(d, out, &view, reply);
    }
    FAULT_POINT(agent_before_offer);
    mover_offer(d->mover, reply);
}

static void act_on_message(struct daemon *d, const struct agent_outgoing *out)
{
    static int descriptors[CKPT_SEGMENTS_PER_SHARD_MAX];
    struct session *session = connections_find(d, out->target, out->link);
    uint32_t count = 0;
    if (session == NULL) {
        return; /* it is gone; the machine hears of it */
    }
    if (out->attach == ATTACH_REGIONS) {
        session_vouch(session); /* it named a copy that is here, and this life of the agent */
        send_offer(d, out);
        return;
    }
    if (out->attach != ATTACH_NONE) {
        count = open_segments(d, out, descriptors);
        if (count == 0) {
            session_close(session); /* better no answer than one without its memory */
            return;
        }
        if (out->message.type == MESSAGE_LOADED) {
            FAULT_POINT(agent_restore_before_answer);
        }
    }
    if (out->message.type == MESSAGE_RANK_OPENED && out->message.rank_opened.status == CKPT_OK) {
        session_vouch(session);
    }
    if (out->message.type != MESSAGE_NONE) {
        enum ckpt_status status =
            session_send(session, &out->message, count > 0 ? descriptors : NULL, count);
        if (status != CKPT_OK && status != CKPT_ERR_LINK) {
            log_event(EVENT_message_not_sent, "type=%d status=%s", (int)out->message.type,
                      ckpt_status_name(status));
        }
    }
    if (out->close) {
        session_close(session);
    }
}

void act_on_update(struct daemon *d, const struct agent_update *update)
{
    const struct nonce cluster = agent_cluster(d->machine);
    if (!nonce_is_zero(&cluster)) { /* before it has adopted, the machine knows of none */
        arena_cluster_set(d->arena, &cluster);
    }
    arena_epoch_raise(d->arena, agent_epoch(d->machine));
    for (uint32_t i = 0; i < update->record_count; i++) {
        act_on_record(d, &update->records[i]);
    }
    for (uint32_t i = 0; i < update->work_count; i++) {
        act_on_work(d, &update->works[i]);
    }
    for (uint32_t i = 0; i < update->message_count && !d->is_broken; i++) {
        act_on_message(d, &update->messages[i]);
    }
    notes_log(&d->notes, update->notes, update->note_count, update->notes_lost, d->node);
}
