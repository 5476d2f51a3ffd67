/* SPDX-License-Identifier: Apache-2.0 */
/* What is held is proven again in time, and what has rotted is known from then on: invariant 21.
 *
 * By the digests that were computed, and the time in which the agent's process ran: of a copy that
 * is held as proven the last one began no longer ago than the period that the agent was told, and
 * the agent has its outcome, whatever it is.
 *
 * Not verified: that a scrub stands back for others. */
#include <inttypes.h>

#include "hosts.h"
#include "judge.h"

/* From when it is due at once: it may be the last of all slots, and each takes a while. */
#define TURN_MS 3000
/* Until the word of a digest's end is there. */
#define HEARD_MS 500

static void judge_copy(struct sim *sim, uint32_t index, uint32_t slot)
{
    const struct sim_node *node = &sim->nodes[index];
    const struct sim_slot *s = &node->slots[slot];
    struct agent_slot_view view;
    if (!agent_slot_view(node->machine, slot, &view) || view.state != SLOT_VERIFIED ||
        view.doomed || view.cached || s->whole_life != node->host.life ||
        s->whole_generation != view.generation || digest_key_of(&s->whole) != view.digest_key) {
        return;
    }
    uint64_t ran_ms = host_ran_ms(sim, &node->host);
    if (!digest_equal(&view.digest, &s->whole)) {
        if (ran_ms > s->whole_ended_ms + HEARD_MS) {
            sim_violation(sim, "node %u holds slot %u for what it was before its last digest",
                          index, slot);
        }
        return;
    }
    bool is_bad =
        s->stored && s->record.has_digest && !digest_equal(&view.digest, &s->record.digest);
    if (!is_bad && ran_ms > s->whole_began_ms + node->config.scrub_ms + TURN_MS) {
        sim_violation(sim, "node %u has not proven slot %u for %" PRIu64 " ms", index, slot,
                      ran_ms - s->whole_began_ms);
    }
}

void judge_scrubbed(struct sim *sim, uint32_t node)
{
    for (uint32_t slot = 0; slot < sim->mix.slots && sim->nodes[node].host.alive; slot++) {
        judge_copy(sim, node, slot);
    }
}
