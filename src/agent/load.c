/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's loads: asked of the coordinator until it has a verdict, handed out, released. */
#include "agent/load.h"

#include <assert.h>
#include <string.h>

#include "agent/identity.h"
#include "agent/load_answer.h"
#include "agent/load_table.h"
#include "agent/note.h"
#include "agent/range.h"
#include "agent/silence.h"
#include "agent/slot.h"
#include "agent/update.h"
#include "base/planted_bug.h"
#include "base/reason.h"

static enum ckpt_status check(const struct rank_session *session,
                              const struct message_load_ask *ask, char *reason)
{
    if (ask->collective && session->reader) {
        return reason_refuse(reason, CKPT_ERR_INVALID,
                             "a reader is no rank and restores none: fetch a shard instead");
    }
    if (!ask->collective && ask->rank >= CKPT_WORLD_MAX) {
        return reason_refuse(reason, CKPT_ERR_RANK,
                             "rank %u is outside any world: the largest has %d", ask->rank,
                             CKPT_WORLD_MAX);
    }
    return CKPT_OK;
}

/* How long the verdict is waited for: as long as the process waits, but for the time in which the
 * answer must reach it. */
static uint32_t patience_ms(const struct agent *a, const struct message_load_ask *ask)
{
    if (ask->wait_ms == 0) {
        return a->config.load_timeout_ms;
    }
    uint32_t margin_ms = ask->wait_ms / 10 < 2000 ? ask->wait_ms / 10 : 2000;
    uint32_t wait_ms = ask->wait_ms - margin_ms;
    return wait_ms < a->config.load_timeout_ms ? wait_ms : a->config.load_timeout_ms;
}

void agent_load_ask(struct agent *a, uint32_t index, const struct message_load_ask *ask)
{
    struct rank_session *session = &a->sessions[index];
    assert(session->open);
    char reason[CKPT_REASON_MAX + 1] = "";
    enum ckpt_status status = check(session, ask, reason);
    if (status != CKPT_OK) {
        agent_load_refuse(a, index, ask->load, status, reason);
        return;
    }
    if (ask->collective) {
        agent_load_give_up(a, index, ask->load);
    }
    uint32_t rank = ask->collective ? session->rank : ask->rank;
    struct load *load = agent_load_find(a, index, ask->collective, ask->load);
    if (load != NULL && load->state == LOAD_LOANED) {
        agent_load_hand_out(a, load);
        return;
    }
    if (load != NULL) {
        if (load->step != ask->step || load->rank != rank ||
            (!ask->collective &&
             (load->range_offset != ask->range_offset || load->range_bytes != ask->range_bytes))) {
            agent_load_refuse(a, index, ask->load, CKPT_ERR_INVALID,
                              "this load has been asked for another shard: count loads on");
        }
        return; /* the verdict comes by itself */
    }
    load = agent_load_make(a, index);
    if (load == NULL) {
        reason_set(reason, "this process holds or asks for %d shards already: release one first",
                   AGENT_LOADS_PER_RANK);
        agent_load_refuse(a, index, ask->load, CKPT_ERR_FULL, reason);
        return;
    }
    load->collective = ask->collective;
    load->load = ask->load;
    load->rank = rank;
    load->step = ask->step;
    load->reader = ++a->reader_last;
    load->ends_ms = a->now_ms + patience_ms(a, ask);
    load->due_ms = a->now_ms;
    if (!ask->collective) {
        load->range_offset = ask->range_offset;
        load->range_bytes = ask->range_bytes;
    }
}

static struct load *find_asked(struct agent *a, const struct message_load_verdict *verdict)
{
    assert(a->coordinator.state == LINK_JOINED);
    uint32_t cursor = 0;
    for (struct load *load; (load = agent_load_next(a, &cursor)) != NULL;) {
        if (load->state != LOAD_ASKING || load->collective != verdict->collective) {
            continue;
        }
        const struct rank_session *session = &a->sessions[load->session];
        if (!run_key_equal(&session->run, &verdict->run) || load->load != verdict->load) {
            continue;
        }
        if (load->collective
                ? session->attempt == verdict->attempt && session->rank == verdict->asking_rank &&
                      nonce_equal(&a->seats[session->seat].start, &verdict->start)
                : load->reader == verdict->reader) {
            return load;
        }
    }
    return NULL;
}

/* Kept for the case that the process's time ends before the wait does. */
void agent_load_waits(struct agent *a, const struct message_load_waits *waits)
{
    if (!agent_run_is_valid(&waits->run) || !agent_text_ends(waits->reason, CKPT_REASON_MAX)) {
        return;
    }
    struct message_load_verdict about = {.run = waits->run,
                                         .attempt = waits->attempt,
                                         .start = waits->start,
                                         .asking_rank = waits->asking_rank,
                                         .collective = waits->collective,
                                         .load = waits->load,
                                         .reader = waits->reader};
    struct load *load = find_asked(a, &about);
    if (load != NULL) {
        struct rank_session *session = &a->sessions[load->session];
        if (strcmp(session->waits, waits->reason) != 0) {
            agent_note(a, EVENT_load_waits, NULL, "%s", waits->reason);
        }
        memcpy(session->waits, waits->reason, sizeof(session->waits));
    }
}

static bool names_what_was_asked(const struct rank_session *session, const struct load *load,
                                 const struct shard_key *shard)
{
    assert(load->state == LOAD_ASKING);
    return agent_shard_is_valid(shard) && run_key_equal(&shard->run, &session->run) &&
           shard->rank == load->rank &&
           (load->step == CKPT_STEP_LATEST || load->step == shard->step);
}

void agent_load_verdict(struct agent *a, const struct message_load_verdict *verdict)
{
    assert(a->coordinator.state == LINK_JOINED);
    if (!agent_run_is_valid(&verdict->run) || !agent_text_ends(verdict->reason, CKPT_REASON_MAX)) {
        return;
    }
    struct load *load = find_asked(a, verdict);
    if (load == NULL) {
        return;
    }
    const struct rank_session *session = &a->sessions[load->session];
    a->sessions[load->session].waits[0] = '\0';
    if (verdict->status != CKPT_OK) {
        agent_load_refuse(a, load->session, load->load, verdict->status, verdict->reason);
        agent_load_end(a, load);
        return;
    }
    if (!names_what_was_asked(session, load, &verdict->shard)) {
        agent_note(a, EVENT_verdict_refused, NULL,
                   "a verdict for load %u of rank %u names a shard that was not asked for",
                   load->load, session->rank);
        return;
    }
    if (verdict->source_count > 0 && !PLANTED_BUG(RANGE_LENDS)) {
        agent_range_verdict(a, load, verdict);
        return;
    }
    uint32_t slot = agent_slot_live(a, &verdict->shard);
    if (slot == NONE || !agent_slot_may_be_loaned(&a->slots[slot])) {
        return; /* it went away after the verdict: the ask goes on */
    }
    load->is_whole = true;
    agent_load_lend(a, load, slot);
    agent_load_move(load, LOAD_LOANED);
    agent_load_hand_out(a, load);
}

/* One that this process does not hold changes nothing: a repeat. */
void agent_load_release(struct agent *a, uint32_t index, const struct message_release *release)
{
    assert(a->sessions[index].open);
    for (uint32_t i = 0; i < AGENT_LOADS_PER_RANK; i++) {
        struct load *load = &a->loads[index * AGENT_LOADS_PER_RANK + i];
        if (load->state == LOAD_LOANED && load->slot == release->slot &&
            load->generation == release->generation) {
            agent_load_unlend(a, load);
            agent_load_end(a, load);
            return;
        }
    }
}

/* To go on asking would have the coordinator give up the checkpoints that are saved meanwhile. */
void agent_load_give_up(struct agent *a, uint32_t index, uint32_t but_load)
{
    assert(a->sessions[index].open);
    for (uint32_t i = 0; i < AGENT_LOADS_PER_RANK; i++) {
        struct load *load = &a->loads[index * AGENT_LOADS_PER_RANK + i];
        if (load->state == LOAD_ASKING && load->collective && load->load != but_load) {
            agent_load_end(a, load);
        }
    }
}

void agent_load_session_ends(struct agent *a, uint32_t index)
{
    assert(a->sessions[index].used);
    for (uint32_t i = 0; i < AGENT_LOADS_PER_RANK; i++) {
        struct load *load = &a->loads[index * AGENT_LOADS_PER_RANK + i];
        if (load->state == LOAD_LOANED) {
            a->slots[load->slot].in_doubt = true;
            agent_load_unlend(a, load);
        } else if (load->state == LOAD_PROVING || load->state == LOAD_FETCHING) {
            agent_range_leave(a, load);
        }
        if (load->state != LOAD_UNUSED) {
            agent_load_end(a, load);
        }
    }
    assert(a->sessions[index].loads == 0);
}

/* A verdict is of a start, so that the start has to be known; a fetch is of none. */
static bool has_start(const struct agent *a, const struct load *load)
{
    assert(load->state == LOAD_ASKING);
    return !load->collective || a->sessions[load->session].attempt != 0;
}

static bool is_refused(const struct agent *a, const struct load *load)
{
    assert(load->state == LOAD_ASKING);
    const struct rank_session *session = &a->sessions[load->session];
    return load->collective && a->seats[session->seat].refused;
}

static void time_out(struct agent *a, struct load *load)
{
    assert(load->state == LOAD_ASKING);
    const struct rank_session *session = &a->sessions[load->session];
    char reason[CKPT_REASON_MAX + 1];
    enum ckpt_status status = CKPT_ERR_TIMEOUT;
    if (!agent_coordinator_answers(a, reason)) {
        status = CKPT_ERR_NO_COORDINATOR;
    } else if (session->waits[0] != '\0') {
        status = CKPT_ERR_LOST;
        reason_set(reason, "%s", session->waits);
    } else {
        reason_set(reason, "no verdict in time for rank %u of run %.60s: %.140s", load->rank,
                   session->run.name,
                   has_start(a, load) ? "not every rank has asked, or a shard is still on its way"
                                      : a->seats[session->seat].reason);
    }
    agent_load_refuse(a, load->session, load->load, status, reason);
    agent_load_end(a, load);
}

static void send_load_ask(struct agent *a, struct load *load)
{
    assert(load->state == LOAD_ASKING);
    assert(a->coordinator.state == LINK_JOINED);
    const struct rank_session *session = &a->sessions[load->session];
    struct agent_outgoing *out = agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_LOAD_ASK);
    assert(out != NULL);
    struct message_load_ask *ask = &out->message.load_ask;
    ask->run = session->run;
    ask->attempt = session->attempt;
    if (!session->reader) {
        ask->start = a->seats[session->seat].start;
        ask->seat = a->seats[session->seat].seat;
    }
    ask->asking_rank = session->rank;
    ask->world = session->world;
    ask->step = load->step;
    ask->rank = load->rank;
    ask->collective = load->collective;
    ask->load = load->load;
    ask->reader = load->reader;
    if (agent_range_is_asked(load) && (a->coordinator.features & WIRE_FEATURE_RANGES) != 0) {
        ask->range_offset = load->range_offset;
        ask->range_bytes = load->range_bytes;
        ask->range_pass = load->range_pass;
    }
    load->due_ms = a->now_ms + a->config.resend_ms;
}

void agent_loads_pump(struct agent *a)
{
    assert(a->update != NULL);
    uint32_t cursor = 0;
    for (struct load *load; (load = agent_load_next(a, &cursor)) != NULL;) {
        if (!agent_range_drive(a, load)) {
            return;
        }
        if (load->state != LOAD_ASKING) {
            continue;
        }
        uint64_t ends_ms = load->ends_ms;
        bool may_ask = a->coordinator.state == LINK_JOINED && has_start(a, load);
        bool asks = may_ask && load->due_ms <= a->now_ms;
        bool refused = is_refused(a, load);
        if ((ends_ms <= a->now_ms || asks || refused) && !agent_update_has_room(a)) {
            return;
        }
        if (refused) {
            const struct rank_session *session = &a->sessions[load->session];
            const struct seat *seat = &a->seats[session->seat];
            agent_load_refuse(a, load->session, load->load, seat->status, seat->reason);
            agent_load_end(a, load);
            continue;
        }
        if (ends_ms <= a->now_ms) {
            time_out(a, load);
            continue;
        }
        if (asks) {
            send_load_ask(a, load);
        }
        agent_update_deadline(a, ends_ms);
        if (may_ask) {
            agent_update_deadline(a, load->due_ms);
        }
    }
}
