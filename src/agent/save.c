/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's saves: slot asked for, sealed or abandoned, and how it ended. */
#include "agent/state.h"

#include <assert.h>
#include <string.h>

static void refuse(struct agent *a, const struct rank_session *session, uint64_t step,
                   enum ckpt_status status, const char *reason)
{
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_RANK, session->link, MESSAGE_SLOT_GRANTED);
    assert(out != NULL && status != CKPT_OK);
    struct message_slot_granted *granted = &out->message.slot_granted;
    granted->status = status;
    granted->step = step;
    memcpy(granted->reason, reason, strlen(reason) + 1);
    struct shard_key shard = {session->run, session->attempt, step, session->rank};
    agent_refused(a, EVENT_save_refused, &shard, status, reason);
}

static void grant(struct agent *a, const struct rank_session *session)
{
    const struct slot *s = &a->slots[session->filling];
    assert(s->state == SLOT_FILLING && !s->record_pending);
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_RANK, session->link, MESSAGE_SLOT_GRANTED);
    assert(out != NULL);
    out->attach = ATTACH_WRITABLE;
    out->attach_slot = session->filling;
    struct message_slot_granted *granted = &out->message.slot_granted;
    granted->status = CKPT_OK;
    granted->step = s->shard.step;
    granted->slot = session->filling;
    granted->generation = s->generation;
    granted->bytes = s->bytes;
    granted->segment_count = s->segment_count;
    granted->segments = s->segments;
    granted->part_bytes = agent_slot_part(a, s).bytes;
}

static void tell_outcome(struct agent *a, const struct rank_session *session, uint64_t step,
                         enum ckpt_status status, const char *reason)
{
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_RANK, session->link, MESSAGE_SAVE_OUTCOME);
    assert(out != NULL);
    out->message.save_outcome.step = step;
    out->message.save_outcome.status = status;
    memcpy(out->message.save_outcome.reason, reason, strlen(reason) + 1);
}

static enum ckpt_status check_step(struct agent *a, const struct rank_session *session,
                                   uint64_t step, char *reason)
{
    const struct run *run = agent_run_find(a, &session->run);
    if (step == CKPT_STEP_LATEST) {
        agent_reason(reason, "%llu names the newest step and cannot be saved",
                     (unsigned long long)step);
        return CKPT_ERR_STEP;
    }
    if (run != NULL && session->attempt != 0 && session->attempt < run->attempt) {
        agent_reason(reason,
                     "attempt %u of run %s has begun: this process is of attempt %u and can "
                     "save no more",
                     run->attempt, session->run.name, session->attempt);
        return CKPT_ERR_ATTEMPT;
    }
    const struct seat *seat = &a->seats[session->seat];
    if (seat->refused) {
        agent_reason(reason, "%.200s", seat->reason);
        return seat->status;
    }
    if (session->has_step && step <= session->last_step) {
        agent_reason(reason, "step %llu is not above %llu, the last that rank %u of run %s saved",
                     (unsigned long long)step, (unsigned long long)session->last_step,
                     session->rank, session->run.name);
        return CKPT_ERR_STEP;
    }
    if (run != NULL && run->has_latest && step <= run->latest) {
        agent_reason(reason, "step %llu is not above %llu, the newest consistent step of run %s",
                     (unsigned long long)step, (unsigned long long)run->latest, session->run.name);
        return CKPT_ERR_STEP;
    }
    return CKPT_OK;
}

/* The ask while an earlier one has its slot. True: answered. */
static bool ask_again(struct agent *a, struct rank_session *session,
                      const struct message_slot_ask *ask)
{
    const struct slot *s = &a->slots[session->filling];
    bool same = s->shard.step == ask->step && s->bytes == ask->bytes && !s->doomed;
    if (s->state == SLOT_DIRTY) {
        if (same) {
            return true; /* it is being renewed: the grant comes by itself */
        }
        /* Never granted, so that nobody writes in it. */
        agent_slot_writer_gone(a, session->filling);
        session->filling = AGENT_NONE;
        return false;
    }
    if (same) {
        grant(a, session);
        return true;
    }
    char reason[CKPT_REASON_MAX + 1];
    agent_reason(reason,
                 "rank %u of run %s still fills slot %u with step %llu: seal or abandon it "
                 "first",
                 session->rank, session->run.name, session->filling,
                 (unsigned long long)s->shard.step);
    refuse(a, session, ask->step, CKPT_ERR_BUSY, reason);
    return true;
}

static struct slot_claim claim_of(const struct agent *a, const struct rank_session *session,
                                  uint64_t step, uint64_t bytes)
{
    return (struct slot_claim){
        .shard = {session->run, session->attempt, step, session->rank},
        .seat = &a->seats[session->seat],
        .world = session->world,
        .copies = session->copies,
        .bytes = bytes,
        .owner = true,
        .whole = !session->asked.takes_parts,
    };
}

/* A copy of what the claim names, or the process's own save of it that has no number yet. */
static uint32_t find_claimed(const struct agent *a, const struct rank_session *session,
                             const struct slot_claim *claim)
{
    return session->attempt != 0 ? agent_slot_live(a, &claim->shard)
                                 : agent_seat_staged(a, session->seat, claim->shard.step);
}

/* Takes the slot, and grants it unless its memory is renewed first. False: *status_out says why. */
static bool take(struct agent *a, uint32_t index, const struct slot_claim *claim, char *reason,
                 enum ckpt_status *status_out)
{
    struct rank_session *session = &a->sessions[index];
    uint32_t slot;
    *status_out = agent_slot_take(a, claim, SLOT_FILLING, &slot, reason);
    if (*status_out != CKPT_OK) {
        return false;
    }
    session->filling = slot;
    session->gather_number = 0;
    if (a->slots[slot].state == SLOT_FILLING) {
        grant(a, session);
    }
    return true;
}

/* Half of what the rank waits at most: the answer must reach it. */
static uint32_t room_wait_ms(const struct agent *a, const struct message_slot_ask *ask)
{
    uint32_t half_ms = ask->wait_ms / 2;
    return half_ms > 0 && half_ms < a->config.room_wait_ms ? half_ms : a->config.room_wait_ms;
}

/* A full node is told of, and gets room where somebody may give some: that takes a round trip. */
static bool may_wait_for_room(const struct agent *a, const struct message_slot_ask *ask)
{
    return a->coordinator.joined && (a->coordinator.features & WIRE_FEATURE_ROOM) != 0 &&
           room_wait_ms(a, ask) > 0;
}

void agent_save_ask(struct agent *a, uint32_t index, const struct message_slot_ask *ask)
{
    struct rank_session *session = &a->sessions[index];
    char reason[CKPT_REASON_MAX + 1] = "";
    if (session->reader) {
        refuse(a, session, ask->step, CKPT_ERR_INVALID, "a reader holds no rank and cannot save");
        return;
    }
    agent_load_give_up(a, index, 0);
    if (session->room.used && session->room.step == ask->step &&
        session->room.bytes == ask->bytes) {
        return; /* the answer comes by itself */
    }
    session->room.used = false;
    if (session->filling != AGENT_NONE && ask_again(a, session, ask)) {
        return;
    }
    if (ask->bytes == 0) {
        refuse(a, session, ask->step, CKPT_ERR_SIZE, "a shard has a header, so it has bytes");
        return;
    }
    enum ckpt_status status = check_step(a, session, ask->step, reason);
    if (status != CKPT_OK) {
        refuse(a, session, ask->step, status, reason);
        return;
    }
    struct slot_claim claim = claim_of(a, session, ask->step, ask->bytes);
    uint32_t other = find_claimed(a, session, &claim);
    if (other != AGENT_NONE) {
        agent_reason(reason, "node %s holds a copy of step %llu of rank %u already (slot %u, %s)",
                     a->config.node, (unsigned long long)ask->step, session->rank, other,
                     agent_slot_state_text(a->slots[other].state));
        refuse(a, session, ask->step, CKPT_ERR_STEP, reason);
        return;
    }
    if (!take(a, index, &claim, reason, &status)) {
        if (status == CKPT_ERR_FULL && may_wait_for_room(a, ask)) {
            session->room = (struct room_wait){.used = true,
                                               .step = ask->step,
                                               .bytes = ask->bytes,
                                               .ends_ms = a->now_ms + room_wait_ms(a, ask),
                                               .due_ms = a->now_ms};
            return;
        }
        refuse(a, session, ask->step, status, reason);
    }
}

static bool say_need(struct agent *a, const struct rank_session *session)
{
    struct agent_outgoing *out = agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_NEED);
    if (out == NULL) {
        return false;
    }
    uint64_t needed = agent_slot_segments_needed(a, session->room.bytes);
    needed =
        needed > a->segments_free ? needed - a->segments_free : 1; /* a slot is what it wants */
    uint64_t part = session->asked.takes_parts ? agent_part_bytes(a, session->room.bytes) : 0;
    out->message.need.shard =
        (struct shard_key){session->run, session->attempt, session->room.step, session->rank};
    out->message.need.segments = (uint32_t)needed;
    out->message.need.bytes = part > 0 ? part : needed * a->config.segment_bytes;
    return true;
}

/* Who waits for room gets it as soon as there is some, in the order of the sessions. */
static void wait_on(struct agent *a, uint32_t index)
{
    struct rank_session *session = &a->sessions[index];
    struct room_wait *room = &session->room;
    char reason[CKPT_REASON_MAX + 1] = "";
    enum ckpt_status status = CKPT_ERR_FULL;
    bool has_room = agent_slot_has_room(a, room->bytes, !session->asked.takes_parts);
    bool ends = room->ends_ms <= a->now_ms || !a->coordinator.joined;
    if (has_room || ends) {
        struct slot_claim claim = claim_of(a, session, room->step, room->bytes);
        uint64_t step = room->step;
        room->used = false;
        status = check_step(a, session, step, reason);
        bool free_name = find_claimed(a, session, &claim) == AGENT_NONE;
        if (status == CKPT_OK && free_name && take(a, index, &claim, reason, &status)) {
            return;
        }
        refuse(a, session, step, free_name ? status : CKPT_ERR_STEP,
               free_name ? reason : "a copy of that step came here while the save waited for room");
        return;
    }
    if (room->due_ms <= a->now_ms && say_need(a, session)) {
        room->due_ms = a->now_ms + a->config.resend_ms;
    }
    agent_update_deadline(a, room->due_ms < room->ends_ms ? room->due_ms : room->ends_ms);
}

void agent_room_waits_pump(struct agent *a)
{
    for (uint32_t i = 0; i < a->session_count; i++) {
        if (a->sessions[i].used && a->sessions[i].room.used) {
            if (!agent_update_has_room(a)) {
                return;
            }
            wait_on(a, i);
        }
    }
}

void agent_save_renewed(struct agent *a, uint32_t slot, enum ckpt_status status)
{
    struct slot *s = &a->slots[slot];
    assert(s->state == SLOT_DIRTY && s->owner);
    for (uint32_t i = 0; i < a->session_count; i++) {
        struct rank_session *session = &a->sessions[i];
        if (!session->used || session->filling != slot) {
            continue;
        }
        if (status == CKPT_OK) {
            agent_slot_move(s, SLOT_FILLING);
            agent_update_record(a, slot);
            grant(a, session);
        } else {
            refuse(a, session, s->shard.step, CKPT_ERR_SYSTEM,
                   "the agent could not make its memory ready; see its log");
            session->filling = AGENT_NONE;
            agent_slot_writer_gone(a, slot);
        }
        return;
    }
    assert(false && "a slot is renewed for a rank that is here, or doomed");
}

static struct save *find_save(struct rank_session *session, uint64_t step)
{
    for (uint32_t i = 0; i < AGENT_SAVES_KEPT; i++) {
        if (session->saves[i].used && session->saves[i].step == step) {
            return &session->saves[i];
        }
    }
    return NULL;
}

static struct save *add_save(struct rank_session *session, uint64_t step, uint32_t slot,
                             uint64_t generation)
{
    struct save *save = &session->saves[session->save_next];
    session->save_next = (session->save_next + 1) % AGENT_SAVES_KEPT;
    memset(save, 0, sizeof(*save));
    save->used = true;
    save->step = step;
    save->slot = slot;
    save->generation = generation;
    if (!session->has_step || step > session->last_step) {
        session->has_step = true;
        session->last_step = step;
    }
    return save;
}

/* Whether the words name the slot that the session fills. */
bool agent_save_names_filling(const struct agent *a, const struct rank_session *session,
                              uint64_t step, uint32_t slot, uint64_t generation)
{
    if (session->filling == AGENT_NONE || session->filling != slot) {
        return false;
    }
    const struct slot *s = &a->slots[session->filling];
    return s->state == SLOT_FILLING && s->generation == generation && s->shard.step == step;
}

/* Why a slot that its rank seals is given up all the same; false: it is not. */
static bool spoils_seal(const struct slot *s, const struct rank_session *session, char *reason)
{
    if (s->doomed) {
        agent_reason(reason, "step %llu was given up while rank %u still filled it",
                     (unsigned long long)s->shard.step, session->rank);
    } else if (s->work != 0) {
        agent_reason(reason, "step %llu was sealed while gather %u of rank %u was under way",
                     (unsigned long long)s->shard.step, session->gather_number, session->rank);
    }
    return s->doomed || s->work != 0;
}

void agent_save_seal(struct agent *a, uint32_t index, const struct message_seal *seal)
{
    struct rank_session *session = &a->sessions[index];
    if (!agent_save_names_filling(a, session, seal->step, seal->slot, seal->generation)) {
        const struct save *save = find_save(session, seal->step);
        if (save != NULL && save->slot == seal->slot && save->generation == seal->generation) {
            return; /* a repeat */
        }
        char reason[CKPT_REASON_MAX + 1];
        agent_reason(reason,
                     "slot %u of generation %llu is not being filled with step %llu by this "
                     "process: ask for a slot anew",
                     seal->slot, (unsigned long long)seal->generation,
                     (unsigned long long)seal->step);
        tell_outcome(a, session, seal->step,
                     seal->slot < a->config.slots ? CKPT_ERR_STALE : CKPT_ERR_INVALID, reason);
        return;
    }
    uint32_t slot = session->filling;
    struct slot *s = &a->slots[slot];
    session->filling = AGENT_NONE;
    struct save *save = add_save(session, seal->step, slot, seal->generation);
    if (spoils_seal(s, session, save->reason)) {
        save->ended = true;
        save->status = CKPT_ERR_ABORTED;
        agent_slot_writer_gone(a, slot);
        return;
    }
    agent_slot_move(s, SLOT_SEALED);
    s->replica_said = seal->replica_said && seal->replica_leader <= session->rank;
    s->replica_leader = seal->replica_leader;
    s->replica_part = seal->replica_part;
    s->replica_value = seal->replica_value;
    s->digest_wanted = true;
    agent_update_record(a, slot);
    agent_report_wanted(a, slot);
}

void agent_save_abandon(struct agent *a, uint32_t index, const struct message_abandon *abandon)
{
    struct rank_session *session = &a->sessions[index];
    if (!agent_save_names_filling(a, session, abandon->step, abandon->slot, abandon->generation)) {
        return; /* a repeat, or not this rank's: there is nothing to give up */
    }
    agent_slot_writer_gone(a, session->filling);
    session->filling = AGENT_NONE;
}

/* A process that has connected again hears of what it sealed before. */
void agent_save_find_earlier(struct agent *a, uint32_t index)
{
    struct rank_session *session = &a->sessions[index];
    assert(session->open && !session->reader);
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        if (!s->owner || s->doomed || agent_copy_state(s) == COPY_NONE ||
            !nonce_equal(&s->seat, &a->seats[session->seat].seat) ||
            !agent_run_equal(&s->shard.run, &session->run)) {
            continue;
        }
        struct save *save = add_save(session, s->shard.step, i, s->generation);
        save->ended =
            s->checkpoint == CHECKPOINT_CONSISTENT || s->checkpoint == CHECKPOINT_QUARANTINED;
        save->status = CKPT_OK;
    }
}

/* One save of this process has ended so. */
void agent_save_end_one(struct rank_session *session, uint64_t step, enum ckpt_status status,
                        const char *reason)
{
    struct save *save = find_save(session, step);
    if (save != NULL && !save->ended) {
        save->ended = true;
        save->status = status;
        memcpy(save->reason, reason, strlen(reason) + 1);
    }
}

/* The saves of every rank of shard's checkpoint have ended so: of that world, 0 for any, or only
 * that of shard's rank (AGENT_ONE_RANK). */
void agent_save_end(struct agent *a, const struct shard_key *shard, uint32_t world,
                    enum ckpt_status status, const char *reason)
{
    for (uint32_t i = 0; i < a->session_count; i++) {
        struct rank_session *session = &a->sessions[i];
        if (!session->used || !session->open || session->reader ||
            session->attempt != shard->attempt || !agent_run_equal(&session->run, &shard->run) ||
            (world == AGENT_ONE_RANK ? session->rank != shard->rank
                                     : world != 0 && session->world != world)) {
            continue;
        }
        agent_save_end_one(session, shard->step, status, reason);
    }
}

void agent_saves_pump(struct agent *a)
{
    for (uint32_t i = 0; i < a->session_count; i++) {
        struct rank_session *session = &a->sessions[i];
        for (uint32_t j = 0; session->used && j < AGENT_SAVES_KEPT; j++) {
            struct save *save = &session->saves[j];
            if (!save->used || !save->ended || save->told) {
                continue;
            }
            if (!agent_update_has_room(a)) {
                return;
            }
            tell_outcome(a, session, save->step, save->status, save->reason);
            save->told = true;
        }
    }
}
