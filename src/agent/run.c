/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of runs. */
#include "agent/run.h"

#include <assert.h>
#include <string.h>

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

static bool is_needed(const struct agent *a, const struct run *run)
{
    assert(run->used);
    for (uint32_t i = 0; i < a->session_count; i++) {
        const struct rank_session *session = &a->sessions[i];
        if (session->used && session->open && run_key_equal(&session->run, &run->key)) {
            return true;
        }
    }
    return false;
}

/* There are more entries than sessions, so one that no session needs is always to be had. */
struct run *agent_run_make(struct agent *a, const struct run_key *key)
{
    struct run *run = agent_run_find(a, key);
    if (run != NULL) {
        return run;
    }
    for (uint32_t i = 0; i < a->run_count; i++) {
        struct run *candidate = &a->runs[i];
        if (!candidate->used) {
            run = candidate;
            break;
        }
        if ((run == NULL || candidate->used_ms < run->used_ms) && !is_needed(a, candidate)) {
            run = candidate;
        }
    }
    assert(run != NULL);
    memset(run, 0, sizeof(*run));
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
