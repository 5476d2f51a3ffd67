/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a shard, proven without the rest of it.
 *
 * Whoever proved the whole kept the values of its chunks. Those that the range touches are computed
 * anew, from the bytes as they lie in this agent's slot now; with the kept values of the others
 * they must fold into the digest that the commit has, under the run's key. That shows both that the
 * kept values are the commit's and that these bytes have them. Of what else lies in the slot it
 * says nothing, and whoever reads more asks for more.
 *
 * Where the shard is here, these are the values that this agent kept. Else the chunks come from
 * another agent into memory of their own, with its values: no copy of the shard, told to nobody,
 * and free when the reader lets it go. A source that cannot serve, or whose bytes and values do not
 * fold, costs a pass: the coordinator names the next one. When as many have failed as it says there
 * are, the whole is asked for. */
#include "agent/range.h"

#include <assert.h>
#include <string.h>

#include "agent/digest_key.h"
#include "agent/load_answer.h"
#include "agent/load_table.h"
#include "agent/pull.h"
#include "agent/pull_table.h"
#include "agent/pull_order.h"
#include "agent/slot.h"
#include "agent/update.h"
#include "agent/work.h"

bool agent_range_is_asked(const struct load *load)
{
    assert(load->state != LOAD_UNUSED);
    assert(!load->collective || load->range_bytes == 0);
    return load->range_bytes > 0 && !load->is_whole;
}

static bool lies_within(const struct load *load, uint64_t bytes)
{
    assert(load->range_bytes > 0);
    return load->range_offset < bytes && load->range_bytes <= bytes - load->range_offset;
}

/* From now on as if no range had been named. */
static void ask_for_whole(struct agent *a, struct load *load)
{
    assert(load->state == LOAD_ASKING);
    load->is_whole = true;
    load->due_ms = a->now_ms;
}

static void ask_for_next(struct agent *a, struct load *load)
{
    assert(load->state == LOAD_ASKING);
    load->range_pass++;
    load->due_ms = a->now_ms;
    if (load->failures >= load->sources || load->range_pass > 2 * load->sources) {
        ask_for_whole(a, load);
    }
}

/* The slot here whose chunks can prove the range, as the verdict describes it; NONE: none can. */
static uint32_t find_slot(const struct agent *a, const struct message_load_verdict *verdict)
{
    uint32_t slot = agent_slot_live(a, &verdict->shard);
    if (slot == NONE) {
        return NONE;
    }
    const struct slot *s = &a->slots[slot];
    bool is_meant = s->generation == verdict->source_generation && s->bytes == verdict->bytes &&
                    s->digest_key == digest_key_id(&verdict->key);
    return is_meant && agent_slot_may_be_loaned(s) ? slot : NONE;
}

/* As for a whole shard that the coordinator orders to be pulled; this one nobody did. */
static struct message_pull_order order_of(const struct message_load_verdict *verdict)
{
    struct message_pull_order order = {.shard = verdict->shard,
                                       .world = verdict->world,
                                       .copies = 1,
                                       .bytes = verdict->bytes,
                                       .purpose = PULL_FETCH,
                                       .source_incarnation = verdict->source_incarnation,
                                       .source_generation = verdict->source_generation,
                                       .key = verdict->key};
    memcpy(order.source_node, verdict->source_node, sizeof(order.source_node));
    memcpy(order.source_address, verdict->source_address, sizeof(order.source_address));
    return order;
}

/* From another agent. One whose pull finds no place asks again. */
static void fetch(struct agent *a, struct load *load, const struct message_load_verdict *verdict)
{
    assert(load->pull == 0);
    const struct message_pull_order order = order_of(verdict);
    if (agent_pull_order_fault(a, &order) != NULL) {
        ask_for_whole(a, load);
        return;
    }
    load->sources = verdict->source_count;
    if (load->failures > 0 && incarnation_equal(&load->source, &verdict->source_incarnation)) {
        ask_for_next(a, load); /* their order has changed, by the failure itself perhaps */
        return;
    }
    load->source = verdict->source_incarnation;
    load->source_failed = false;
    load->pull = agent_pull_enqueue_range(a, &order, (uint32_t)(load - a->loads));
    if (load->pull != 0) {
        agent_load_move(load, LOAD_FETCHING);
    }
}

void agent_range_verdict(struct agent *a, struct load *load,
                         const struct message_load_verdict *verdict)
{
    assert(load->state == LOAD_ASKING);
    if (!agent_range_is_asked(load)) {
        return; /* late: the whole is asked for by now */
    }
    if (verdict->key.kind != DIGEST_KIND_FINGERPRINT || !lies_within(load, verdict->bytes)) {
        ask_for_whole(a, load);
        return;
    }
    agent_digest_key_told(a, &verdict->shard.run, &verdict->key);
    load->digest = verdict->digest;
    if (!incarnation_equal(&verdict->source_incarnation, &a->incarnation)) {
        fetch(a, load, verdict);
        return;
    }
    uint32_t slot = find_slot(a, verdict);
    if (slot == NONE) {
        ask_for_whole(a, load);
        return;
    }
    agent_load_lend(a, load, slot);
    agent_load_move(load, LOAD_PROVING);
    load->work = 0;
}

void agent_range_leave(struct agent *a, struct load *load)
{
    assert(load->state == LOAD_PROVING || load->state == LOAD_FETCHING);
    struct pull *pull = load->pull != 0 ? agent_pull_of_load(a, load) : NULL;
    assert((pull != NULL) == (load->pull != 0));
    if (pull != NULL) {
        agent_pull_drop(a, pull);
    }
    if (load->slot != NONE) {
        agent_load_unlend(a, load);
    }
    load->work = 0;
    agent_load_move(load, LOAD_ASKING);
}

void agent_range_proven(struct agent *a, uint32_t slot, const struct agent_event *event)
{
    uint32_t cursor = 0;
    for (struct load *load; (load = agent_load_next(a, &cursor)) != NULL;) {
        if (load->state != LOAD_PROVING || load->work != event->work) {
            continue;
        }
        assert(load->slot == slot);
        if (event->status == CKPT_OK && digest_equal(&event->digest, &load->digest) &&
            agent_slot_may_be_loaned(&a->slots[slot])) {
            agent_load_move(load, LOAD_LOANED);
            agent_load_hand_out(a, load);
        } else {
            agent_range_leave(a, load); /* what is wrong is found out with the whole */
            ask_for_whole(a, load);
        }
        return;
    }
}

/* The range's digest is begun, where it was not and may be. */
static void prove(struct agent *a, struct load *load)
{
    assert(load->state == LOAD_PROVING);
    const struct slot *s = &a->slots[load->slot];
    assert(s->generation == load->generation);
    if (load->work != 0) {
        return;
    }
    if (!agent_slot_may_be_loaned(s)) {
        agent_range_leave(a, load);
        ask_for_whole(a, load);
        return;
    }
    uint64_t first = load->range_offset / a->config.chunk_bytes;
    uint64_t last = (load->range_offset + load->range_bytes - 1) / a->config.chunk_bytes;
    load->work = agent_work_prove_start(a, load->slot, first, last - first + 1);
}

/* Its pull has ended without the bytes. */
static void try_next(struct agent *a, struct load *load)
{
    assert(load->state == LOAD_FETCHING);
    bool failed = load->source_failed;
    agent_range_leave(a, load);
    if (failed) {
        load->failures++;
        ask_for_next(a, load);
    } else {
        ask_for_whole(a, load); /* no room was found for the part: that is said of the whole */
    }
}

/* False: no room for more in this turn. */
static bool hand_over(struct agent *a, struct load *load)
{
    assert(load->state == LOAD_FETCHING);
    if (a->slots[load->slot].doomed) {
        try_next(a, load); /* its checkpoint was given up meanwhile */
        return true;
    }
    if (!agent_update_has_room(a)) {
        return false;
    }
    agent_load_move(load, LOAD_LOANED);
    agent_load_hand_out(a, load);
    return true;
}

bool agent_range_drive(struct agent *a, struct load *load)
{
    if (load->state == LOAD_PROVING) {
        prove(a, load);
        return true;
    }
    if (load->state != LOAD_FETCHING) {
        return true;
    }
    if (load->slot != NONE) {
        return hand_over(a, load);
    }
    if (load->pull == 0) {
        try_next(a, load);
    } else if (load->ends_ms <= a->now_ms) {
        agent_range_leave(a, load);
    } else {
        agent_update_deadline(a, load->ends_ms);
    }
    return true;
}
