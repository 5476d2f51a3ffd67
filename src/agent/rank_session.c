/* SPDX-License-Identifier: Apache-2.0 */
/* One process at the local socket: who it says it is, and that its words are in order. */
#include "agent/rank_session.h"

#include <assert.h>
#include <string.h>

#include "agent/gather.h"
#include "agent/job.h"
#include "agent/load.h"
#include "agent/note.h"
#include "agent/prepare.h"
#include "agent/query.h"
#include "agent/refusal.h"
#include "agent/run.h"
#include "agent/save.h"
#include "agent/save_outcome.h"
#include "agent/seat.h"
#include "agent/slot.h"
#include "agent/update.h"
#include "base/bytes.h"
#include "base/planted_bug.h"
#include "base/reason.h"
#include "base/share.h"

static uint32_t find_session(const struct agent *a, uint32_t link)
{
    for (uint32_t i = 0; i < a->session_count; i++) {
        if (a->sessions[i].used && a->sessions[i].link == link) {
            return i;
        }
    }
    return NONE;
}

static struct message_rank_opened *
send_opened(struct agent *a, uint32_t link, enum ckpt_status status, const char *reason, bool close)
{
    struct agent_outgoing *out = agent_update_message(a, AGENT_TO_RANK, link, MESSAGE_RANK_OPENED);
    assert(out != NULL);
    out->close = close;
    struct message_rank_opened *opened = &out->message.rank_opened;
    opened->status = status;
    memcpy(opened->reason, reason, strlen(reason) + 1);
    memcpy(opened->node, a->config.node, sizeof(opened->node));
    opened->segment_bytes = a->config.segment_bytes;
    opened->coordinator_known = a->coordinator.state == LINK_JOINED;
    opened->prepares = true;
    return opened;
}

static void refuse_open(struct agent *a, uint32_t link, const struct run_key *run,
                        enum ckpt_status status, const char *reason, bool close)
{
    assert(status != CKPT_OK);
    struct shard_key shard = {.run = *run};
    agent_refused(a, EVENT_open_refused, &shard, status, reason);
    (void)send_opened(a, link, status, reason, close);
}

/* A seat for one more process of the user; NONE: all, or all that he may have, are taken. */
static uint32_t find_seat(const struct agent *a, uint32_t uid, uint32_t *mine_out)
{
    uint32_t used = 0, mine = 0, seat = NONE;
    for (uint32_t i = 0; i < a->session_count; i++) {
        const struct rank_session *session = &a->sessions[i];
        if (!session->used) {
            seat = seat == NONE ? i : seat;
            continue;
        }
        used++;
        mine += session->uid == uid;
    }
    *mine_out = mine;
    bool is_trusted = uid == 0 || uid == a->config.own_uid;
    uint32_t shared = a->session_count - AGENT_SEATS_KEPT;
    bool may = is_trusted || (mine < a->config.ranks_max &&
                              share_allows(shared, used, mine, 1, AGENT_SEATS_SHARE));
    return may ? seat : NONE;
}

void agent_rank_up(struct agent *a, uint32_t link, uint32_t uid)
{
    assert(!a->adopting);
    uint32_t mine = 0;
    if (find_session(a, link) != NONE) {
        return;
    }
    uint32_t seat = find_seat(a, uid, &mine);
    if (seat == NONE) {
        char reason[CKPT_REASON_MAX + 1];
        reason_set(reason,
                   "node %s serves as many processes as it may, %u of them of user %u: close "
                   "one, or raise ranks_max of its ckptd (%u)",
                   a->config.node, mine, uid, a->config.ranks_max);
        refuse_open(a, link, &(struct run_key){.uid = uid}, CKPT_ERR_FULL, reason, true);
        return;
    }
    struct rank_session *session = &a->sessions[seat];
    memset(session, 0, sizeof(*session));
    session->used = true;
    session->link = link;
    session->uid = uid;
    session->filling = NONE;
    session->seat = NONE;
    session->prepare.slot = NONE;
}

void agent_rank_down(struct agent *a, uint32_t link)
{
    uint32_t index = find_session(a, link);
    if (index == NONE) {
        return;
    }
    struct rank_session *session = &a->sessions[index];
    if (session->filling != NONE && !PLANTED_BUG(WRITER_GONE)) {
        a->slots[session->filling].in_doubt = a->slots[session->filling].state == SLOT_FILLING;
        agent_slot_writer_gone(a, session->filling);
    }
    agent_load_session_ends(a, index);
    agent_prepare_session_ends(a, index);
    if (session->open && !session->reader) {
        agent_seat_leave(a, session->seat);
    }
    memset(session, 0, sizeof(*session));
    session->filling = NONE;
    session->seat = NONE;
}

static enum ckpt_status check_words(const struct message_rank_open *ask, char *reason)
{
    if (!name_is_valid(ask->run, CKPT_RUN_NAME_MAX)) {
        return reason_refuse(
            reason, CKPT_ERR_NAME,
            "the run's name must be 1 to %d of A-Z a-z 0-9 . _ / -, with no empty, "
            ". or .. part",
            CKPT_RUN_NAME_MAX);
    }
    if (ask->copies > CKPT_COPIES_MAX) {
        return reason_refuse(reason, CKPT_ERR_INVALID,
                             "%u copies are asked for: at most %d can be kept", ask->copies,
                             CKPT_COPIES_MAX);
    }
    if (ask->reader) {
        return CKPT_OK;
    }
    if (ask->world == 0 || ask->world > CKPT_WORLD_MAX) {
        return reason_refuse(reason, CKPT_ERR_INVALID, "world is %u: it must be 1 to %d",
                             ask->world, CKPT_WORLD_MAX);
    }
    if (ask->rank >= ask->world) {
        return reason_refuse(reason, CKPT_ERR_RANK,
                             "rank %u is outside the world of %u: ranks count from 0", ask->rank,
                             ask->world);
    }
    return CKPT_OK;
}

/* Whether, as far as this node can tell, both are of one start. One that has its number is
 * complete, so that who opens without one is of another. */
static bool is_of_one_start(const struct agent *a, const struct rank_session *other,
                            const struct message_rank_open *ask)
{
    assert(other->open);
    assert(!other->reader);
    const struct seat *seat = &a->seats[other->seat];
    return nonce_equal(&seat->name, &ask->name) && seat->attempt == ask->attempt &&
           !(seat->settled && ask->attempt == 0);
}

/* Against what else is known on this node of the run. */
static enum ckpt_status check_run(struct agent *a, const struct run_key *key,
                                  const struct message_rank_open *ask, char *reason)
{
    assert(ask->rank < ask->world);
    const struct run *run = agent_run_find(a, key);
    if (run != NULL && ask->attempt != 0 && ask->attempt < run->attempt) {
        return reason_refuse(
            reason, CKPT_ERR_ATTEMPT,
            "attempt %u of run %s has begun, and this is attempt %u: open with attempt 0, "
            "or use a higher number at each start",
            run->attempt, key->name, ask->attempt);
    }
    for (uint32_t i = 0; i < a->session_count; i++) {
        const struct rank_session *other = &a->sessions[i];
        if (!other->used || !other->open || other->reader || !run_key_equal(&other->run, key)) {
            continue;
        }
        bool same_process = nonce_equal(&a->seats[other->seat].seat, &ask->seat);
        if (!same_process && !is_of_one_start(a, other, ask)) {
            continue;
        }
        if (!same_process && other->world != ask->world) {
            return reason_refuse(
                reason, CKPT_ERR_WORLD,
                "rank %u of run %s said a world of %u in this start, this one says "
                "%u: all ranks must say the same",
                other->rank, key->name, other->world, ask->world);
        }
        if (same_process || other->rank == ask->rank) {
            return reason_refuse(reason, CKPT_ERR_RANK,
                                 "another process on node %s is rank %u of this start of run %s: "
                                 "give each its own rank, or wait until it has ended",
                                 a->config.node, ask->rank, key->name);
        }
    }
    return CKPT_OK;
}

static bool is_repeat(const struct rank_session *session, const struct message_rank_open *ask)
{
    const struct message_rank_open *asked = &session->asked;
    return strncmp(asked->run, ask->run, sizeof(ask->run)) == 0 && asked->attempt == ask->attempt &&
           asked->rank == ask->rank && asked->world == ask->world && asked->copies == ask->copies &&
           asked->reader == ask->reader && nonce_equal(&asked->seat, &ask->seat);
}

/* A process of before starts had names does not name itself: it goes by its number and rank, and
 * where it has no number either, it is another one on each connection. */
static struct nonce name_process(struct agent *a, const struct message_rank_open *ask)
{
    struct nonce seat = {{0}};
    if (ask->attempt != 0) {
        store_le32(seat.bytes, ask->attempt);
        store_le32(seat.bytes + 4, ask->rank);
        return seat;
    }
    memcpy(seat.bytes, a->incarnation.bytes, sizeof(seat.bytes));
    a->reader_last++;
    for (size_t i = 0; i < sizeof(a->reader_last); i++) {
        seat.bytes[i] ^= (uint8_t)(a->reader_last >> 8 * i);
    }
    return seat;
}

static enum ckpt_status claim_seat(struct agent *a, struct rank_session *session,
                                   const struct message_rank_open *ask, char *reason)
{
    assert(!session->reader);
    bool is_of_before = nonce_is_zero(&session->asked.seat);
    session->seat = agent_seat_claim(a, &session->run, ask, is_of_before);
    const struct seat *seat = &a->seats[session->seat];
    assert(seat->used);
    session->attempt = seat->settled ? seat->attempt : 0;
    session->seat_sent = is_of_before || !nonce_is_zero(&ask->start);
    if (seat->refused) {
        memcpy(reason, seat->reason, sizeof(seat->reason));
    }
    return seat->refused ? seat->status : CKPT_OK;
}

static void open_session(struct agent *a, uint32_t index, const struct message_rank_open *words)
{
    struct message_rank_open named = *words;
    const struct message_rank_open *ask = &named;
    struct rank_session *session = &a->sessions[index];
    assert(session->used);
    char reason[CKPT_REASON_MAX + 1] = "";
    if (session->open) {
        bool repeat = is_repeat(session, ask);
        (void)send_opened(a, session->link, repeat ? CKPT_OK : CKPT_ERR_INVALID,
                          repeat ? "" : "this connection is another rank's already: open a new one",
                          false);
        return;
    }
    struct run_key key = {.uid = session->uid};
    enum ckpt_status status = check_words(ask, reason);
    if (status == CKPT_OK) {
        memcpy(key.name, ask->run, strnlen(ask->run, CKPT_RUN_NAME_MAX));
    }
    if (status == CKPT_OK && !ask->reader) {
        named.seat = nonce_is_zero(&named.seat) ? name_process(a, ask) : named.seat;
        status = check_run(a, &key, ask, reason);
    }
    if (status != CKPT_OK) {
        refuse_open(a, session->link, &key, status, reason, false);
        return;
    }
    session->open = true;
    session->asked = *words;
    session->run = key;
    session->reader = ask->reader;
    session->rank = ask->reader ? 0 : ask->rank;
    session->world = ask->world;
    session->copies = ask->copies != 0 ? ask->copies : a->config.copies_default;
    if (!session->reader) {
        struct run *run = agent_run_make(a, &key);
        agent_run_attempt(a, run, ask->attempt);
        status = claim_seat(a, session, ask, reason);
        agent_save_find_earlier(a, index);
    }
    struct message_rank_opened *opened = send_opened(a, session->link, status, reason, false);
    opened->last_bytes = session->reader ? 0 : agent_prepare_last_bytes(a, session);
}

/* What is said before RANK_OPEN, or is no rank's to say, is no use of this protocol. */
static void hang_up(struct agent *a, const struct rank_session *session, enum message_type type)
{
    assert(session->used);
    agent_note(a, EVENT_rank_protocol, NULL,
               "a process of user %u sent message %d, which it may not send now: connection closed",
               session->uid, (int)type);
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_RANK, session->link, MESSAGE_NONE);
    assert(out != NULL);
    out->close = true;
}

void agent_rank_message(struct agent *a, uint32_t link, const struct message *message)
{
    uint32_t index = find_session(a, link);
    if (index == NONE) {
        return;
    }
    struct rank_session *session = &a->sessions[index];
    if (message->type == MESSAGE_RANK_OPEN) {
        open_session(a, index, &message->rank_open);
    } else if (message->type == MESSAGE_JOB) {
        agent_job_told(a, index, &message->job);
    } else if (!session->open) {
        hang_up(a, session, message->type);
    } else if (message->type == MESSAGE_SLOT_ASK) {
        agent_save_ask(a, index, &message->slot_ask);
    } else if (message->type == MESSAGE_SEAL) {
        agent_save_seal(a, index, &message->seal);
    } else if (message->type == MESSAGE_ABANDON) {
        agent_save_abandon(a, index, &message->abandon);
    } else if (message->type == MESSAGE_PREPARE) {
        agent_prepare_ask(a, index, &message->prepare);
    } else if (message->type == MESSAGE_GATHER) {
        agent_gather_ask(a, index, &message->gather);
    } else if (message->type == MESSAGE_LOAD_ASK) {
        agent_load_ask(a, index, &message->load_ask);
    } else if (message->type == MESSAGE_RELEASE) {
        agent_load_release(a, index, &message->release);
    } else if (message->type == MESSAGE_CHECKPOINT_ASK) {
        agent_query_ask(a, index, &message->checkpoint_ask);
    } else {
        hang_up(a, session, message->type);
    }
}
