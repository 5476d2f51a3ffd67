/* SPDX-License-Identifier: Apache-2.0 */
/* The table of pulls: of whole shards, as they were ordered, and of parts, for readers. */
#include "agent/pull_table.h"

#include <assert.h>
#include <string.h>

#include "agent/note.h"

/*   UNUSED --> QUEUED --> RENEWING --> ASKING --> READING --> CLOSING --.
 *     ^           '---------------------^                               | done
 *     '-- any: failed, called off, or replaced by a later order --------' */
static const unsigned moves[] = {
    [PULL_UNUSED] = TO(PULL_QUEUED),
    [PULL_QUEUED] = TO(PULL_RENEWING) | TO(PULL_ASKING) | TO(PULL_UNUSED),
    [PULL_RENEWING] = TO(PULL_ASKING) | TO(PULL_UNUSED),
    [PULL_ASKING] = TO(PULL_READING) | TO(PULL_UNUSED),
    [PULL_READING] = TO(PULL_CLOSING) | TO(PULL_UNUSED),
    [PULL_CLOSING] = TO(PULL_UNUSED),
};

void agent_pull_move(struct agent *a, struct pull *pull, enum pull_state to)
{
    assert(MAY_MOVE(moves, pull->state, to));
    pull->state = to;
    pull->since_ms = a->now_ms;
    pull->due_ms = a->now_ms;
}

bool agent_pull_is_at_source(const struct pull *pull)
{
    return pull->state == PULL_ASKING || pull->state == PULL_READING || pull->state == PULL_CLOSING;
}

struct pull *agent_pull_of_slot(struct agent *a, uint32_t slot)
{
    assert(slot < a->config.slots);
    for (uint32_t i = 0; i < a->pull_count; i++) {
        if (a->pulls[i].state != PULL_UNUSED && a->pulls[i].slot == slot) {
            return &a->pulls[i];
        }
    }
    return NULL;
}

struct pull *agent_pull_of_shard(struct agent *a, const struct shard_key *shard)
{
    for (uint32_t i = 0; i < a->pull_count; i++) {
        if (a->pulls[i].state != PULL_UNUSED && a->pulls[i].load == NONE &&
            shard_key_equal(&a->pulls[i].order.shard, shard)) {
            return &a->pulls[i];
        }
    }
    return NULL;
}

struct pull *agent_pull_of_load(struct agent *a, const struct load *load)
{
    for (uint32_t i = 0; i < a->pull_count; i++) {
        struct pull *pull = &a->pulls[i];
        if (pull->state != PULL_UNUSED && pull->load != NONE && pull->number == load->pull) {
            assert(&a->loads[pull->load] == load);
            return pull;
        }
    }
    return NULL;
}

uint32_t agent_pulls_under_way(const struct agent *a)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->pull_count; i++) {
        count += a->pulls[i].state > PULL_QUEUED;
    }
    return count;
}

struct pull_source agent_pull_source_of(const struct message_pull_order *order)
{
    struct pull_source source = {.kind = PULL_FROM_AGENT,
                                 .incarnation = order->source_incarnation,
                                 .generation = order->source_generation,
                                 .peer = NONE};
    memcpy(source.node, order->source_node, sizeof(source.node));
    memcpy(source.address, order->source_address, sizeof(source.address));
    return source;
}

/* NULL: there are too many. */
static struct pull *enqueue(struct agent *a, const struct message_pull_order *order, uint32_t load)
{
    assert(a->coordinator.state == LINK_JOINED);
    for (uint32_t i = 0; i < a->pull_count; i++) {
        struct pull *pull = &a->pulls[i];
        if (pull->state != PULL_UNUSED) {
            continue;
        }
        memset(pull, 0, sizeof(*pull));
        agent_pull_move(a, pull, PULL_QUEUED);
        pull->number = ++a->pull_last;
        pull->life = a->coordinator.life;
        pull->order = *order;
        pull->load = load;
        pull->slot = NONE;
        pull->source = agent_pull_source_of(order);
        return pull;
    }
    agent_note(a, EVENT_pull_queue_full, &order->shard,
               "%u pulls wait already: the order will come again", a->pull_count);
    return NULL;
}

void agent_pull_enqueue(struct agent *a, const struct message_pull_order *order)
{
    (void)enqueue(a, order, NONE);
}

uint64_t agent_pull_enqueue_range(struct agent *a, const struct message_pull_order *order,
                                  uint32_t load)
{
    assert(load < a->load_count);
    assert(order->order == 0);
    const struct pull *pull = enqueue(a, order, load);
    return pull != NULL ? pull->number : 0;
}
