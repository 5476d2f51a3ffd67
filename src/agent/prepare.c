/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's prepares: which memory its saves to come will get, so that it can map it before.
 *
 * Nothing is held: what is told of stays free. It bears the rank's tag and a place in its order, so
 * that the rank's next claim finds it first, and whoever else needs room takes all other memory
 * before it. Memory that was another user's, or nobody knows whose, is renewed before it is told
 * of, as before a grant: in a slot of no shard, that is free when it has been. One at a time on the
 * node, and none is begun while a save waits for room.
 *
 *   asked --> answered          what comes next for the rank is ready, or can be made so by a word
 *         '-> renewing --> answered
 *         '-> refused           no room beside what others wait for, or beyond the user's share */
#include "agent/prepare.h"

#include <assert.h>
#include <string.h>

#include "agent/grant.h"
#include "agent/identity.h"
#include "agent/part.h"
#include "agent/segment.h"
#include "agent/slot.h"
#include "agent/slot_claim.h"
#include "agent/update.h"
#include "base/reason.h"

static struct slot_owner owner_of(const struct rank_session *session)
{
    assert(session->open);
    assert(!session->reader);
    const struct shard_key shard = {.run = session->run, .rank = session->rank};
    return agent_slot_owner(&shard);
}

static struct message_prepare *answer(struct agent *a, const struct rank_session *session,
                                      const struct prepare *asked)
{
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_RANK, session->link, MESSAGE_PREPARE);
    assert(out != NULL);
    assert(session->open);
    out->message.prepare.number = asked->number;
    out->message.prepare.bytes = asked->bytes;
    out->message.prepare.after = asked->after;
    return &out->message.prepare;
}

static void refuse(struct agent *a, const struct rank_session *session, const struct prepare *asked,
                   enum ckpt_status status, const char *reason)
{
    assert(status != CKPT_OK);
    struct message_prepare *prepare = answer(a, session, asked);
    prepare->status = status;
    memcpy(prepare->reason, reason, strlen(reason) + 1);
}

/* Whether the memory that comes next is known: it is told of. */
static bool tell_next(struct agent *a, const struct rank_session *session,
                      const struct prepare *asked)
{
    const struct slot_owner owner = owner_of(session);
    uint64_t part = session->asked.takes_parts ? agent_part_bytes(a, asked->bytes) : 0;
    uint32_t count = part > 0 ? 1 : (uint32_t)agent_slot_segments_needed(a, asked->bytes);
    uint64_t generation;
    bool known =
        part > 0 ? agent_part_next(a, &owner, part, asked->after, a->prepared, &generation)
                 : agent_segments_list(a, &owner, count, asked->after, a->prepared, &generation);
    if (!known) {
        return false;
    }
    assert(generation > asked->after);
    struct message_prepare *prepare = answer(a, session, asked);
    a->update->messages[a->update->message_count - 1].attach = ATTACH_PREPARED;
    prepare->generation = generation;
    prepare->segment_count = count;
    prepare->segments = a->prepared;
    prepare->part_bytes = part;
    return true;
}

static bool save_waits_for_room(const struct agent *a)
{
    for (uint32_t i = 0; i < a->session_count; i++) {
        if (a->sessions[i].used && a->sessions[i].room.used) {
            assert(a->sessions[i].open);
            return true;
        }
    }
    return false;
}

/* Whether no renewal may begin. */
static bool is_blocked(const struct agent *a)
{
    return agent_slot_is_ahead(a) || save_waits_for_room(a);
}

/* A segment is some rank's from the moment it is told of, also for an agent that is started anew
 * and finds no record of it: there must be one of something, as there is after any save. */
static void mark_memory(struct agent *a)
{
    if (a->is_marked) {
        return;
    }
    assert(a->slots[0].state == SLOT_FREE);
    assert(a->slots[0].generation == 0);
    a->slots[0].generation = ++a->generation_last;
    a->slots_high = a->slots_high > 0 ? a->slots_high : 1;
    bool stored = agent_update_record(a, 0);
    assert(stored && "the update has room, as was looked at before");
    (void)stored;
}

/* Whether what may be had as it is was given to the rank. */
static bool take_ready(struct agent *a, const struct rank_session *session, uint64_t bytes)
{
    assert(bytes > 0);
    const struct slot_owner owner = owner_of(session);
    uint64_t part = session->asked.takes_parts ? agent_part_bytes(a, bytes) : 0;
    return part > 0
               ? agent_part_prepare(a, &owner, part)
               : agent_segments_prepare(a, &owner, (uint32_t)agent_slot_segments_needed(a, bytes));
}

static bool begin_renewal(struct agent *a, struct rank_session *session)
{
    struct prepare *asked = &session->prepare;
    assert(asked->slot == NONE);
    const struct slot_claim claim = {
        .shard = {.run = session->run, .attempt = session->attempt, .rank = session->rank},
        .world = session->world,
        .copies = session->copies,
        .bytes = asked->bytes,
        .whole = !session->asked.takes_parts,
    };
    if (!agent_slot_claim_ahead(a, &claim, &asked->slot)) {
        return false;
    }
    asked->generation = a->slots[asked->slot].generation;
    return true;
}

static bool is_renewing(const struct agent *a, const struct prepare *asked)
{
    assert(asked->used);
    return asked->slot != NONE && a->slots[asked->slot].generation == asked->generation &&
           a->slots[asked->slot].state == SLOT_DIRTY;
}

static enum ckpt_status check(const struct agent *a, const struct rank_session *session,
                              char *reason)
{
    uint64_t bytes = session->prepare.bytes;
    uint64_t needed = agent_slot_segments_needed(a, bytes);
    uint64_t all = a->config.segments * a->config.segment_bytes;
    if (session->reader) {
        return reason_refuse(reason, CKPT_ERR_INVALID, "a reader holds no rank and saves nothing");
    }
    if (bytes == 0) {
        return reason_refuse(reason, CKPT_ERR_SIZE, "a shard has a header, so it has bytes");
    }
    if (session->prepare.after > a->generation_last) {
        return reason_refuse(reason, CKPT_ERR_INVALID, "nothing was told of generation %llu",
                             (unsigned long long)session->prepare.after);
    }
    if (needed > a->config.segments || needed > CKPT_SEGMENTS_PER_SHARD_MAX) {
        return reason_refuse(reason, CKPT_ERR_TOO_LARGE,
                             "a shard of %llu bytes needs %llu segments, and node %s has %u: give "
                             "its ckptd more memory",
                             (unsigned long long)bytes, (unsigned long long)needed, a->config.node,
                             a->config.segments);
    }
    assert(needed > 0);
    uint64_t room =
        session->asked.takes_parts ? agent_room_bytes(a, bytes) : needed * a->config.segment_bytes;
    uint64_t prepared = agent_awaited_bytes(a, session->uid);
    if ((prepared + room) / AGENT_PREPARED_SHARE > all / 100) {
        return reason_refuse(reason, CKPT_ERR_FULL,
                             "%llu%% of the memory of node %s are prepared for ranks of user %u "
                             "already, and %d%% may be",
                             (unsigned long long)(prepared / (all / 100)), a->config.node,
                             session->uid, AGENT_PREPARED_SHARE);
    }
    return CKPT_OK;
}

/* False: it goes on waiting. */
static bool serve(struct agent *a, struct rank_session *session)
{
    struct prepare *asked = &session->prepare;
    char reason[CKPT_REASON_MAX + 1] = "";
    assert(asked->used);
    if (is_renewing(a, asked)) {
        return false;
    }
    bool renewed = asked->slot != NONE;
    asked->slot = NONE;
    if (!session->reader && asked->bytes > 0 && tell_next(a, session, asked)) {
        return true;
    }
    enum ckpt_status status = agent_grant_check_open(a, reason);
    if (status == CKPT_OK) {
        status = check(a, session, reason);
    }
    if (status == CKPT_OK && renewed) {
        status = reason_refuse(reason, CKPT_ERR_SYSTEM,
                               "the agent could not make its memory ready, or others took it");
    }
    if (status == CKPT_OK && take_ready(a, session, asked->bytes)) {
        mark_memory(a);
        bool told = tell_next(a, session, asked);
        assert(told);
        return told;
    }
    if (status == CKPT_OK && is_blocked(a)) {
        asked->waits = true;
        return false;
    }
    if (status == CKPT_OK && begin_renewal(a, session)) {
        return false;
    }
    if (status == CKPT_OK) {
        status = reason_refuse(reason, CKPT_ERR_FULL,
                               "node %s has %u of %u segments free, and none for %llu bytes beside "
                               "what other saves wait for",
                               a->config.node, a->segments_free, a->config.segments,
                               (unsigned long long)asked->bytes);
    }
    refuse(a, session, asked, status, reason);
    return true;
}

void agent_prepare_ask(struct agent *a, uint32_t index, const struct message_prepare *ask)
{
    struct rank_session *session = &a->sessions[index];
    assert(session->open);
    struct prepare *asked = &session->prepare;
    bool is_repeat = asked->used && asked->number == ask->number && asked->bytes == ask->bytes &&
                     asked->after == ask->after;
    if (is_repeat) {
        return; /* the answer comes by itself */
    }
    *asked = (struct prepare){.used = true,
                              .number = ask->number,
                              .bytes = ask->bytes,
                              .after = ask->after,
                              .order = ++a->prepare_last,
                              .slot = NONE};
}

void agent_prepare_session_ends(struct agent *a, uint32_t index)
{
    const struct rank_session *session = &a->sessions[index];
    assert(session->used);
    if (session->open && !session->reader) {
        const struct slot_owner owner = owner_of(session);
        agent_awaited_forget(a, &owner);
    }
}

uint64_t agent_prepare_last_bytes(const struct agent *a, const struct rank_session *session)
{
    assert(!session->reader);
    const struct slot *last = NULL;
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        if (agent_copy_state(s) != COPY_NONE && s->shard.rank == session->rank &&
            s->world == session->world && run_key_equal(&s->shard.run, &session->run) &&
            (last == NULL || s->generation > last->generation)) {
            last = s;
        }
    }
    return last != NULL ? last->bytes : 0;
}

/* The first to have asked of those that came after `order`; NONE. While renewals cannot begin, who
 * needs one is passed over: a thousand may wait. */
static uint32_t find_next(const struct agent *a, uint64_t order, bool is_blocked_now)
{
    assert(order <= a->prepare_last);
    uint32_t next = NONE;
    for (uint32_t i = 0; i < a->session_count; i++) {
        const struct rank_session *session = &a->sessions[i];
        bool passed = is_blocked_now && session->prepare.waits;
        if (session->used && session->prepare.used && !passed && session->prepare.order > order &&
            (next == NONE || session->prepare.order < a->sessions[next].prepare.order)) {
            next = i;
        }
    }
    return next;
}

/* One answer a turn has segments: they lie in the one table that there is for that. */
void agent_prepares_pump(struct agent *a)
{
    assert(a->update != NULL);
    uint64_t order = 0;
    for (;;) {
        uint32_t next = find_next(a, order, is_blocked(a));
        if (next == NONE) {
            return;
        }
        if (!agent_update_has_room(a)) {
            return;
        }
        struct rank_session *session = &a->sessions[next];
        order = session->prepare.order;
        if (serve(a, session)) {
            session->prepare.used = false;
            a->update->again = a->update->again || find_next(a, 0, is_blocked(a)) != NONE;
            return;
        }
    }
}
