/* SPDX-License-Identifier: Apache-2.0 */
/* The table of runs: finding, adding, and putting out. */
#include "coordinator/run.h"

#include <assert.h>
#include <string.h>

#include "coordinator/digest_key.h"
#include "coordinator/fence.h"
#include "coordinator/seat.h"
#include "coordinator/share.h"
#include "coordinator/table.h"

static uint32_t run_hash(const struct run_key *key)
{
    return coordinator_name_hash(key->uid, key->name);
}

struct run *coordinator_run_find(struct coordinator *c, const struct run_key *key)
{
    uint32_t i = c->run_buckets[run_hash(key) & c->run_mask];
    for (; i != NONE; i = c->runs[i].next_in_bucket) {
        if (run_key_equal(&c->runs[i].key, key)) {
            return &c->runs[i];
        }
    }
    return NULL;
}

static void run_remove(struct coordinator *c, struct run *run)
{
    assert(run->used);
    uint32_t *link = &c->run_buckets[run_hash(&run->key) & c->run_mask];
    while (*link != run_index(c, run)) {
        assert(*link != NONE);
        link = &c->runs[*link].next_in_bucket;
    }
    *link = run->next_in_bucket;
    coordinator_fence_keep(c, run);
    coordinator_share_run(c, run, false);
    coordinator_starts_free_of(c, run);
    index_set_remove(&c->runs_keeping, run_index(c, run));
    index_set_remove(&c->runs_loading, run_index(c, run));
    index_set_remove(&c->runs_ended, run_index(c, run));
    index_set_add(&c->runs_free, run_index(c, run));
    memset(run, 0, sizeof *run);
}

/* A run without any checkpoint has nothing to lose: the one untouched for longest makes room, of
 * the user alone where he has his share already. */
static struct run *run_evict(struct coordinator *c, uint32_t uid)
{
    struct run *oldest = NULL;
    for (uint32_t i = 0; i < c->runs_high; i++) {
        struct run *run = &c->runs[i];
        if (run->used && run->first_checkpoint == NONE && !run->has_latest &&
            (uid == CKPT_UID_ANY || run->key.uid == uid) &&
            (oldest == NULL || run->touched_ms < oldest->touched_ms)) {
            oldest = run;
        }
    }
    if (oldest != NULL) {
        run_remove(c, oldest);
        index_set_remove(&c->runs_free, run_index(c, oldest));
    }
    return oldest;
}

struct run *coordinator_run_add(struct coordinator *c, const struct run_key *key)
{
    bool may = c->replaying || coordinator_share_lets_begin(c, key->uid);
    uint32_t place =
        may ? coordinator_table_take(&c->runs_free, &c->runs_high, c->config.runs_max) : NONE;
    struct run *run = place == NONE ? run_evict(c, may ? CKPT_UID_ANY : key->uid) : &c->runs[place];
    if (run == NULL) {
        return NULL;
    }
    uint32_t *bucket = &c->run_buckets[run_hash(key) & c->run_mask];
    *run = (struct run){.used = true,
                        .key = *key,
                        .digest_key = {.kind = DIGEST_KIND_BLAKE3},
                        .next_in_bucket = *bucket,
                        .first_checkpoint = NONE,
                        .persisting = NONE,
                        .first_start = NONE,
                        .start = NONE,
                        .touched_ms = c->now_ms};
    coordinator_share_run(c, run, true);
    *bucket = run_index(c, run);
    if (!coordinator_fence_recall(c, run) && !c->replaying) {
        coordinator_key_begin(c, run);
    }
    return run;
}
