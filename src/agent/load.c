/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's loads: asked of the coordinator until it has a verdict, handed out, released. */
#include "agent/load.h"

#include <assert.h>
#include <string.h>

#include "agent/identity.h"
#include "agent/note.h"
#include "agent/part.h"
#include "agent/range.h"
#include "agent/silence.h"
#include "agent/slot.h"
#include "agent/update.h"
#include "base/planted_bug.h"
#include "base/reason.h"

/*   UNUSED --> ASKING ---------> LOANED
 *     ^         | ^  |            ^ |
 *     |         | |  v            | |
 *     |         | PROVING --------' |   a range alone; back where that cannot be done
 *     '---------'----'--------------'   refused, too late, released, or its process is gone */
static const unsigned moves[] = {
    [LOAD_UNUSED] = TO(LOAD_ASKING),
    [LOAD_ASKING] = TO(LOAD_PROVING) | TO(LOAD_LOANED) | TO(LOAD_UNUSED),
    [LOAD_PROVING] = TO(LOAD_LOANED) | TO(LOAD_ASKING) | TO(LOAD_UNUSED),
    [LOAD_LOANED] = TO(LOAD_UNUSED),
};

static void move(struct load *load, enum load_state to)
{
    assert(MAY_MOVE(moves, load->state, to));
    load->state = to;
}

static void send_refusal(struct agent *a, const struct rank_session *session, uint32_t load,
                         enum ckpt_status status, const char *reason)
{
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_RANK, session->link, MESSAGE_LOADED);
    assert(out != NULL);
    assert(status != CKPT_OK);
    out->message.loaded.status = status;
    out->message.loaded.load = load;
    memcpy(out->message.loaded.reason, reason, strlen(reason) + 1);
}

static void send_loaded(struct agent *a, const struct load *load)
{
    const struct slot *s = &a->slots[load->slot];
    assert(load->state == LOAD_LOANED);
    assert(s->loans > 0);
    assert(s->generation == load->generation);
    assert(s->state == SLOT_VERIFIED || s->state == SLOT_ADOPTED || s->doomed);
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_RANK, a->sessions[load->session].link, MESSAGE_LOADED);
    assert(out != NULL);
    out->attach = ATTACH_READ_ONLY;
    out->attach_slot = load->slot;
    struct message_loaded *loaded = &out->message.loaded;
    loaded->status = CKPT_OK;
    loaded->load = load->load;
    loaded->attempt = s->shard.attempt;
    loaded->step = s->shard.step;
    loaded->rank = s->shard.rank;
    loaded->world = s->world;
    loaded->slot = load->slot;
    loaded->generation = s->generation;
    loaded->bytes = s->bytes;
    loaded->digest = s->digest;
    loaded->digest_kind =
        s->digest_key == DIGEST_KEY_ID_BLAKE3 ? DIGEST_KIND_BLAKE3 : DIGEST_KIND_FINGERPRINT;
    loaded->whole = load->is_whole;
    loaded->segment_count = s->segment_count;
    loaded->part_bytes = agent_slot_part(a, s).bytes;
}

/* Most processes have none, and are stepped over whole. */
struct load *agent_load_next(const struct agent *a, uint32_t *cursor)
{
    assert(*cursor <= a->load_count);
    while (*cursor < a->load_count) {
        uint32_t at = *cursor;
        if (a->sessions[at / AGENT_LOADS_PER_RANK].loads == 0) {
            *cursor = (at / AGENT_LOADS_PER_RANK + 1) * AGENT_LOADS_PER_RANK;
            continue;
        }
        *cursor = at + 1;
        if (a->loads[at].state != LOAD_UNUSED) {
            return &a->loads[at];
        }
    }
    return NULL;
}

static void end(struct agent *a, struct load *load)
{
    assert(a->sessions[load->session].loads > 0);
    assert(load->session < a->session_count);
    a->sessions[load->session].loads--;
    move(load, LOAD_UNUSED);
    memset(load, 0, sizeof(*load));
}

static struct load *find(struct agent *a, uint32_t session, bool collective, uint32_t number)
{
    assert(session < a->session_count);
    for (uint32_t i = 0; i < AGENT_LOADS_PER_RANK; i++) {
        struct load *load = &a->loads[session * AGENT_LOADS_PER_RANK + i];
        if (load->state != LOAD_UNUSED && load->collective == collective && load->load == number) {
            return load;
        }
    }
    return NULL;
}

/* Each session has its own part of the table, so that none crowds out another. */
static struct load *find_unused(struct agent *a, uint32_t session)
{
    assert(session < a->session_count);
    for (uint32_t i = 0; i < AGENT_LOADS_PER_RANK; i++) {
        struct load *load = &a->loads[session * AGENT_LOADS_PER_RANK + i];
        if (load->state == LOAD_UNUSED) {
            return load;
        }
    }
    return NULL;
}

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
        send_refusal(a, session, ask->load, status, reason);
        return;
    }
    if (ask->collective) {
        agent_load_give_up(a, index, ask->load);
    }
    uint32_t rank = ask->collective ? session->rank : ask->rank;
    struct load *load = find(a, index, ask->collective, ask->load);
    if (load != NULL && load->state == LOAD_LOANED) {
        send_loaded(a, load);
        return;
    }
    if (load != NULL) {
        if (load->step != ask->step || load->rank != rank ||
            (!ask->collective &&
             (load->range_offset != ask->range_offset || load->range_bytes != ask->range_bytes))) {
            send_refusal(a, session, ask->load, CKPT_ERR_INVALID,
                         "this load has been asked for another shard: count loads on");
        }
        return; /* the verdict comes by itself */
    }
    load = find_unused(a, index);
    if (load == NULL) {
        reason_set(reason, "this process holds or asks for %d shards already: release one first",
                   AGENT_LOADS_PER_RANK);
        send_refusal(a, session, ask->load, CKPT_ERR_FULL, reason);
        return;
    }
    memset(load, 0, sizeof(*load));
    session->loads++;
    move(load, LOAD_ASKING);
    load->session = index;
    load->collective = ask->collective;
    load->load = ask->load;
    load->rank = rank;
    load->step = ask->step;
    load->reader = ++a->reader_last;
    load->ends_ms = a->now_ms + patience_ms(a, ask);
    load->due_ms = a->now_ms;
    load->slot = NONE;
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

static void loan(struct agent *a, struct load *load, uint32_t slot, enum load_state state)
{
    assert(agent_slot_may_be_loaned(&a->slots[slot]));
    move(load, state);
    load->slot = slot;
    load->generation = a->slots[slot].generation;
    a->slots[slot].loans++;
}

/* From now on as if no range had been named. */
static void ask_for_whole(struct agent *a, struct load *load)
{
    assert(load->state == LOAD_ASKING);
    load->is_whole = true;
    load->due_ms = a->now_ms;
}

/* It says where the bytes are, and not that a copy here was proven: nothing is lent on it alone. */
static void on_range_verdict(struct agent *a, struct load *load,
                             const struct message_load_verdict *verdict)
{
    assert(load->state == LOAD_ASKING);
    if (!agent_range_is_asked(load)) {
        return; /* late: the whole is asked for by now */
    }
    uint32_t slot = agent_range_slot(a, load, verdict);
    if (slot == NONE) {
        ask_for_whole(a, load);
        return;
    }
    loan(a, load, slot, LOAD_PROVING);
    load->digest = verdict->digest;
    load->work = 0;
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
        send_refusal(a, session, load->load, verdict->status, verdict->reason);
        end(a, load);
        return;
    }
    if (!names_what_was_asked(session, load, &verdict->shard)) {
        agent_note(a, EVENT_verdict_refused, NULL,
                   "a verdict for load %u of rank %u names a shard that was not asked for",
                   load->load, session->rank);
        return;
    }
    if (verdict->source_count > 0 && !PLANTED_BUG(RANGE_LENDS)) {
        on_range_verdict(a, load, verdict);
        return;
    }
    uint32_t slot = agent_slot_live(a, &verdict->shard);
    if (slot == NONE || !agent_slot_may_be_loaned(&a->slots[slot])) {
        return; /* it went away after the verdict: the ask goes on */
    }
    load->is_whole = true;
    loan(a, load, slot, LOAD_LOANED);
    send_loaded(a, load);
}

static void unloan(struct agent *a, struct load *load)
{
    assert(load->state == LOAD_LOANED || load->state == LOAD_PROVING);
    assert(a->slots[load->slot].loans > 0);
    agent_slot_unloan(a, load->slot);
    end(a, load);
}

static void proving_failed(struct agent *a, struct load *load)
{
    assert(load->state == LOAD_PROVING);
    agent_slot_unloan(a, load->slot);
    move(load, LOAD_ASKING);
    load->slot = NONE;
    load->work = 0;
    ask_for_whole(a, load);
}

void agent_load_proven(struct agent *a, uint32_t slot, const struct agent_event *event)
{
    uint32_t cursor = 0;
    for (struct load *load; (load = agent_load_next(a, &cursor)) != NULL;) {
        if (load->state != LOAD_PROVING || load->work != event->work) {
            continue;
        }
        assert(load->slot == slot);
        if (event->status == CKPT_OK && digest_equal(&event->digest, &load->digest) &&
            agent_slot_may_be_loaned(&a->slots[slot])) {
            move(load, LOAD_LOANED);
            send_loaded(a, load);
        } else {
            proving_failed(a, load); /* what is wrong is found out with the whole */
        }
        return;
    }
}

/* One that this process does not hold changes nothing: a repeat. */
void agent_load_release(struct agent *a, uint32_t index, const struct message_release *release)
{
    assert(a->sessions[index].open);
    for (uint32_t i = 0; i < AGENT_LOADS_PER_RANK; i++) {
        struct load *load = &a->loads[index * AGENT_LOADS_PER_RANK + i];
        if (load->state == LOAD_LOANED && load->slot == release->slot &&
            load->generation == release->generation) {
            unloan(a, load);
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
            end(a, load);
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
            unloan(a, load);
        } else if (load->state == LOAD_PROVING) {
            unloan(a, load);
        } else if (load->state == LOAD_ASKING) {
            end(a, load);
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
    send_refusal(a, session, load->load, status, reason);
    end(a, load);
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
    }
    load->due_ms = a->now_ms + a->config.resend_ms;
}

void agent_loads_pump(struct agent *a)
{
    assert(a->update != NULL);
    uint32_t cursor = 0;
    for (struct load *load; (load = agent_load_next(a, &cursor)) != NULL;) {
        if (load->state == LOAD_PROVING && !agent_range_prove(a, load)) {
            proving_failed(a, load);
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
            send_refusal(a, session, load->load, seat->status, seat->reason);
            end(a, load);
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
