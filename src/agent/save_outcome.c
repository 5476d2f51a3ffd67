/* SPDX-License-Identifier: Apache-2.0 */
/* How a rank's saves ended: kept until its process has heard. */
#include "agent/save_outcome.h"

#include <assert.h>
#include <string.h>

#include "agent/slot.h"
#include "agent/update.h"

/*   UNUSED --> SEALED --> ENDED --> SENT
 *                ^----------'--------'     the oldest entry is written over */
static const unsigned moves[] = {
    [SAVE_UNUSED] = TO(SAVE_SEALED),
    [SAVE_SEALED] = TO(SAVE_SEALED) | TO(SAVE_ENDED),
    [SAVE_ENDED] = TO(SAVE_SEALED) | TO(SAVE_SENT),
    [SAVE_SENT] = TO(SAVE_SEALED),
};

static void move(struct save *save, enum save_state to)
{
    assert(MAY_MOVE(moves, save->state, to));
    save->state = to;
}

void agent_save_outcome_send(struct agent *a, const struct rank_session *session, uint64_t step,
                             enum ckpt_status status, const char *reason)
{
    assert(session->used);
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_RANK, session->link, MESSAGE_SAVE_OUTCOME);
    assert(out != NULL);
    out->message.save_outcome.step = step;
    out->message.save_outcome.status = status;
    memcpy(out->message.save_outcome.reason, reason, strlen(reason) + 1);
}

struct save *agent_save_find(struct rank_session *session, uint64_t step)
{
    assert(session->used);
    for (uint32_t i = 0; i < AGENT_SAVES_KEPT; i++) {
        if (session->saves[i].state != SAVE_UNUSED && session->saves[i].step == step) {
            return &session->saves[i];
        }
    }
    return NULL;
}

struct save *agent_save_add(struct rank_session *session, uint64_t step, uint32_t slot,
                            uint64_t generation)
{
    assert(session->open);
    assert(session->save_next < AGENT_SAVES_KEPT);
    struct save *save = &session->saves[session->save_next];
    session->save_next = (session->save_next + 1) % AGENT_SAVES_KEPT;
    move(save, SAVE_SEALED);
    *save =
        (struct save){.state = save->state, .step = step, .slot = slot, .generation = generation};
    if (!session->has_step || step > session->last_step) {
        session->has_step = true;
        session->last_step = step;
    }
    return save;
}

void agent_save_ends(struct save *save, enum ckpt_status status, const char *reason)
{
    move(save, SAVE_ENDED);
    save->status = status;
    memcpy(save->reason, reason, strlen(reason) + 1);
}

void agent_save_find_earlier(struct agent *a, uint32_t index)
{
    struct rank_session *session = &a->sessions[index];
    assert(session->open);
    assert(!session->reader);
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        if (!s->owner || s->doomed || agent_copy_state(s) == COPY_NONE ||
            !nonce_equal(&s->seat, &a->seats[session->seat].seat) ||
            !run_key_equal(&s->shard.run, &session->run)) {
            continue;
        }
        struct save *save = agent_save_add(session, s->shard.step, i, s->generation);
        if (s->checkpoint == CHECKPOINT_CONSISTENT || s->checkpoint == CHECKPOINT_QUARANTINED) {
            agent_save_ends(save, CKPT_OK, "");
        }
    }
}

void agent_save_end_one(struct rank_session *session, uint64_t step, enum ckpt_status status,
                        const char *reason)
{
    struct save *save = agent_save_find(session, step);
    if (save != NULL && save->state == SAVE_SEALED) {
        agent_save_ends(save, status, reason);
    }
}

void agent_save_end(struct agent *a, const struct shard_key *shard, uint32_t world,
                    enum ckpt_status status, const char *reason)
{
    for (uint32_t i = 0; i < a->session_count; i++) {
        struct rank_session *session = &a->sessions[i];
        if (!session->used || !session->open || session->reader ||
            session->attempt != shard->attempt || !run_key_equal(&session->run, &shard->run) ||
            (world == AGENT_ONE_RANK ? session->rank != shard->rank
                                     : world != 0 && session->world != world)) {
            continue;
        }
        agent_save_end_one(session, shard->step, status, reason);
    }
}

void agent_saves_pump(struct agent *a)
{
    assert(a->update != NULL);
    for (uint32_t i = 0; i < a->session_count; i++) {
        struct rank_session *session = &a->sessions[i];
        for (uint32_t j = 0; session->used && j < AGENT_SAVES_KEPT; j++) {
            struct save *save = &session->saves[j];
            if (save->state != SAVE_ENDED) {
                continue;
            }
            if (!agent_update_has_room(a)) {
                return;
            }
            agent_save_outcome_send(a, session, save->step, save->status, save->reason);
            move(save, SAVE_SENT);
        }
    }
}
