/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a shard for a reader: from where, and what proves it.
 *
 * The answer is a fact and no order: the commit's digest, the run's key, and one holder of a good
 * copy. The reader's agent fetches what the range touches, and proves it by the values of the
 * shard's chunks, which the digest covers. Nothing is kept of the ask: no copy is made or counted,
 * none is pinned. Where a source fails, the ask comes again with a higher pass, and gets the next
 * one. */
#include "coordinator/range.h"

#include <assert.h>
#include <string.h>

#include "base/reason.h"
#include "coordinator/digest_key.h"
#include "coordinator/verdict.h"

/* Sources are tried in this order. */
enum nearness { NEAR_OWN, NEAR_CONNECTED, NEAR_OTHER, NEAR_NONE };

/* An agent may also read a copy of its own that does not count. */
static enum nearness nearness(const struct coordinator *c, const struct shard *s,
                              const struct copy *copy, uint32_t member)
{
    assert(s->used);
    struct copy as_counted = *copy;
    as_counted.cached = copy->cached && copy->member != member;
    if (!copy_is_good(s, &as_counted)) {
        return NEAR_NONE;
    }
    if (copy->member == member) {
        return NEAR_OWN;
    }
    return c->members[copy->member].connected ? NEAR_CONNECTED : NEAR_OTHER;
}

static uint32_t count_sources(const struct coordinator *c, const struct shard *s, uint32_t member)
{
    assert(s->used);
    uint32_t count = 0;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        count += nearness(c, s, &s->copies[i], member) != NEAR_NONE;
    }
    return count;
}

/* The source of this number, below count_sources(). */
static const struct copy *source_at(const struct coordinator *c, const struct shard *s,
                                    uint32_t member, uint32_t number)
{
    for (enum nearness near = NEAR_OWN; near < NEAR_NONE; near++) {
        for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
            if (nearness(c, s, &s->copies[i], member) == near && number-- == 0) {
                return &s->copies[i];
            }
        }
    }
    assert(false && "there are as many as were counted");
    return NULL;
}

static void fill(struct coordinator *c, const struct shard *s, const struct copy *copy,
                 struct message_load_verdict *verdict)
{
    assert(s->has_digest);
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    const struct member *source = &c->members[copy->member];
    verdict->digest = s->digest;
    verdict->bytes = s->bytes;
    verdict->world = k->world;
    verdict->key = *coordinator_key_told(c, &c->runs[k->run]);
    strcpy(verdict->source_node, source->node);
    strcpy(verdict->source_address, source->address);
    verdict->source_incarnation = source->incarnation;
    verdict->source_generation = copy->generation;
}

bool coordinator_range_answer(struct coordinator *c, uint32_t member,
                              const struct message_load_ask *ask, const struct shard *s)
{
    assert(member < c->member_count);
    assert(ask->range_bytes > 0);
    if (ask->range_offset >= s->bytes || ask->range_bytes > s->bytes - ask->range_offset) {
        char reason[CKPT_REASON_MAX + 1];
        reason_set(reason, "%llu bytes at %llu are wanted, but rank %u's shard has %llu",
                   (unsigned long long)ask->range_bytes, (unsigned long long)ask->range_offset,
                   ask->rank, (unsigned long long)s->bytes);
        coordinator_send_verdict(c, member, ask, CKPT_ERR_SIZE, reason, NULL);
        return true;
    }
    uint32_t count = count_sources(c, s, member);
    if (count == 0) {
        return false;
    }
    struct message_load_verdict *verdict = coordinator_send_verdict(c, member, ask, CKPT_OK, "", s);
    if (verdict != NULL) {
        verdict->source_count = count;
        fill(c, s, source_at(c, s, member, ask->range_pass % count), verdict);
    }
    return true;
}
