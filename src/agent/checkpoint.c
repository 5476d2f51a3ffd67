/* SPDX-License-Identifier: Apache-2.0 */
/* What the coordinator decides about checkpoints, and what that means for their slots and saves. */
#include "agent/checkpoint.h"

#include <assert.h>

#include "agent/identity.h"
#include "agent/note.h"
#include "agent/pull.h"
#include "agent/run.h"
#include "agent/save_outcome.h"
#include "agent/slot.h"

/* Whether the slot is one of the checkpoint that shard is of. A rank that says another world than
 * its attempt has is of none. World 0: a coordinator of before it said so. */
static bool is_of_checkpoint(const struct slot *s, const struct shard_key *shard, uint32_t world)
{
    assert(s->segment_count > 0 || s->state == SLOT_FREE);
    return s->state != SLOT_FREE && (world == 0 || s->world == world) &&
           agent_shard_is_of(&s->shard, &shard->run, shard->attempt, shard->step);
}

void agent_checkpoint_consistent(struct agent *a, const struct shard_key *shard, uint32_t world)
{
    assert(shard->step != CKPT_STEP_LATEST);
    struct run *run = agent_run_make(a, &shard->run);
    assert(run->used);
    if (!run->has_latest || shard->step > run->latest) {
        run->has_latest = true;
        run->latest = shard->step;
    }
    for (uint32_t i = 0; i < a->slots_high; i++) {
        struct slot *s = &a->slots[i];
        if (is_of_checkpoint(s, shard, world)) {
            s->checkpoint = CHECKPOINT_CONSISTENT;
        }
    }
    agent_save_end(a, shard, world, CKPT_OK, "");
}

/* Its slots are freed. Where it was the run's newest, which one is that now is not known here. */
static void checkpoint_ends(struct agent *a, const struct message_checkpoint_state *state,
                            const struct shard_key *any)
{
    assert(state->state == CHECKPOINT_ABORTED || state->state == CHECKPOINT_RETIRED);
    struct run *run = agent_run_find(a, &state->run);
    if (run != NULL && run->has_latest && run->latest == state->step) {
        run->has_latest = false;
    }
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        if (is_of_checkpoint(s, any, state->world) && !(s->state == SLOT_DIRTY && !s->doomed)) {
            agent_slot_doom(a, i);
        }
    }
    enum ckpt_status status = state->status;
    if (status == CKPT_OK) {
        status = state->state == CHECKPOINT_RETIRED ? CKPT_ERR_RETIRED : CKPT_ERR_ABORTED;
    }
    agent_save_end(a, any, state->world, status, state->reason);
}

static void note_save_waits(struct agent *a, const struct message_checkpoint_state *state)
{
    assert(a->coordinator.state == LINK_JOINED);
    struct shard_key shard = {.run = state->run, .attempt = state->attempt, .step = state->step};
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        if (s->owner && agent_copy_state(s) != COPY_NONE &&
            agent_shard_is_of(&s->shard, &shard.run, shard.attempt, shard.step)) {
            shard.rank = s->shard.rank;
            agent_note(a, EVENT_save_waits, &shard, "%.200s", state->reason);
            return;
        }
    }
}

void agent_checkpoint_state(struct agent *a, const struct message_checkpoint_state *state)
{
    assert(a->coordinator.state == LINK_JOINED);
    if (!agent_run_is_valid(&state->run) || state->step == CKPT_STEP_LATEST ||
        !agent_text_ends(state->reason, CKPT_REASON_MAX)) {
        return;
    }
    struct shard_key any = {.run = state->run, .attempt = state->attempt, .step = state->step};
    switch (state->state) {
    case CHECKPOINT_CONSISTENT:
        agent_checkpoint_consistent(a, &any, state->world);
        return;
    case CHECKPOINT_ABORTED:
    case CHECKPOINT_RETIRED:
        agent_pulls_of_checkpoint_end(a, state);
        checkpoint_ends(a, state, &any);
        return;
    case CHECKPOINT_QUARANTINED: {
        struct run *run = agent_run_find(a, &state->run);
        if (run != NULL && run->has_latest && run->latest == state->step) {
            run->has_latest = false;
        }
        for (uint32_t i = 0; i < a->slots_high; i++) {
            if (is_of_checkpoint(&a->slots[i], &any, state->world)) {
                a->slots[i].checkpoint = CHECKPOINT_QUARANTINED;
            }
        }
        return;
    }
    case CHECKPOINT_OPEN:
    case CHECKPOINT_VERIFYING:
        note_save_waits(a, state);
        return;
    case CHECKPOINT_NONE:
        break;
    }
}
