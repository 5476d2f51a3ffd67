/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of runs. */
#include "agent/run.h"

#include <assert.h>
#include <string.h>

#include "agent/slot.h"

struct run *agent_run_find(struct agent *a, const struct run_key *key)
{
    for (uint32_t i = 0; i < a->run_count; i++) {
        if (a->runs[i].used && run_key_equal(&a->runs[i].key, key)) {
            a->runs[i].used_ms = a->now_ms;
            return &a->runs[i];
        }
    }
    return NULL;
}

/* How much its entry is needed: by a process, by a copy that is to be proven under its key. */
static unsigned need(const struct agent *a, const struct run *run)
{
    assert(run->used);
    for (uint32_t i = 0; i < a->session_count; i++) {
        const struct rank_session *session = &a->sessions[i];
        if (session->used && session->open && run_key_equal(&session->run, &run->key)) {
            return 2;
        }
    }
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        if (s->state != SLOT_FREE && s->digest_wanted && run_key_equal(&s->shard.run, &run->key)) {
            return 1;
        }
    }
    return 0;
}

/* Those of its copies that are to be proven ask for its key anew. */
static void forget(struct agent *a, struct run *run)
{
    assert(run != NULL);
    for (uint32_t i = 0; run->used && i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        if (s->state != SLOT_FREE && s->digest_wanted && run_key_equal(&s->shard.run, &run->key)) {
            agent_report_wanted(a, i);
        }
    }
    memset(run, 0, sizeof(*run)); /* with its secret */
}

/* The one that is needed least, and then the one that was used longest ago. */
static struct run *find_least(struct agent *a)
{
    assert(a->run_count > a->session_count);
    struct run *least = NULL;
    unsigned least_need = 2;
    for (uint32_t i = 0; i < a->run_count; i++) {
        struct run *candidate = &a->runs[i];
        if (!candidate->used) {
            return candidate;
        }
    }
    for (uint32_t i = 0; i < a->run_count; i++) {
        struct run *candidate = &a->runs[i];
        unsigned candidate_need = need(a, candidate);
        if (candidate_need < least_need || (least != NULL && candidate_need == least_need &&
                                            candidate->used_ms < least->used_ms)) {
            least = candidate;
            least_need = candidate_need;
        }
    }
    return least;
}

/* There are more entries than sessions, so one that no session needs is always to be had. */
struct run *agent_run_make(struct agent *a, const struct run_key *key)
{
    struct run *run = agent_run_find(a, key);
    if (run != NULL) {
        return run;
    }
    run = find_least(a);
    assert(run != NULL);
    forget(a, run);
    run->used = true;
    run->key = *key;
    run->used_ms = a->now_ms;
    return run;
}

uint64_t agent_node_clock_ms(const struct agent *a)
{
    return a->now_ms + a->stalled_ms;
}

void agent_run_attempt(struct agent *a, struct run *run, uint32_t attempt)
{
    if (attempt > run->attempt) {
        run->attempt = attempt;
        run->attempt_ms = agent_node_clock_ms(a);
    }
}

uint32_t agent_run_attempt_at(const struct run *run, uint64_t ms)
{
    return run->attempt_ms <= ms ? run->attempt : 0;
}
