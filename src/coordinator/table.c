/* SPDX-License-Identifier: Apache-2.0 */
/* Runs, checkpoints, the shard table and the attention queue: finding, adding, removing. */
#include "coordinator/state.h"

#include <assert.h>
#include <string.h>

#include "wire/inventory.h"

/* FNV-1a (Fowler, Noll, Vo). */
uint32_t name_hash(uint32_t start, const char *name)
{
    uint32_t hash = 2166136261u ^ start;
    for (const char *p = name; *p != '\0'; p++) {
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    }
    return hash;
}

static uint32_t run_hash(const struct run_key *key)
{
    return name_hash(key->uid, key->name);
}

/* The ranks of a checkpoint lie side by side: they do not collide with each other, and sixteen
 * share a cache line. Where a checkpoint begins is spread by Knuth's multiplicative hash. */
static uint32_t shard_hash(uint32_t checkpoint, uint32_t rank)
{
    return checkpoint * 2654435761u + rank;
}

uint32_t run_index(const struct coordinator *c, const struct run *run)
{
    return (uint32_t)(run - c->runs);
}

uint32_t checkpoint_index(const struct coordinator *c, const struct checkpoint *k)
{
    return (uint32_t)(k - c->checkpoints);
}

uint32_t shard_index(const struct coordinator *c, const struct shard *s)
{
    return (uint32_t)(s - c->shards);
}

struct run *run_find(struct coordinator *c, const struct run_key *key)
{
    uint32_t i = c->run_buckets[run_hash(key) & c->run_mask];
    for (; i != NONE; i = c->runs[i].next_in_bucket) {
        if (c->runs[i].key.uid == key->uid && strcmp(c->runs[i].key.name, key->name) == 0) {
            return &c->runs[i];
        }
    }
    return NULL;
}

/* The lowest free place of a table, which is taken; NONE when it is full. What lies above the
 * highest place that was ever taken stays untouched, and its memory is never asked for. */
uint32_t place_take(struct index_set *free_places, uint32_t *high, uint32_t max)
{
    uint32_t place = index_set_from(free_places, 0);
    if (place != NONE) {
        index_set_remove(free_places, place);
        return place;
    }
    return *high < max ? (*high)++ : NONE;
}

static void run_remove(struct coordinator *c, struct run *run)
{
    uint32_t *link = &c->run_buckets[run_hash(&run->key) & c->run_mask];
    while (*link != run_index(c, run)) {
        assert(*link != NONE);
        link = &c->runs[*link].next_in_bucket;
    }
    *link = run->next_in_bucket;
    fence_keep(c, run);
    share_run(c, run, false);
    starts_free_of(c, run);
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

struct run *run_add(struct coordinator *c, const struct run_key *key)
{
    bool may = c->replaying || share_lets_begin(c, key->uid);
    uint32_t place = may ? place_take(&c->runs_free, &c->runs_high, c->config.runs_max) : NONE;
    struct run *run = place == NONE ? run_evict(c, may ? CKPT_UID_ANY : key->uid) : &c->runs[place];
    if (run == NULL) {
        return NULL;
    }
    uint32_t *bucket = &c->run_buckets[run_hash(key) & c->run_mask];
    *run = (struct run){.used = true,
                        .key = *key,
                        .next_in_bucket = *bucket,
                        .first_checkpoint = NONE,
                        .first_start = NONE,
                        .start = NONE,
                        .touched_ms = c->now_ms};
    share_run(c, run, true);
    *bucket = run_index(c, run);
    fence_recall(c, run);
    return run;
}

struct checkpoint *checkpoint_find_step(struct coordinator *c, const struct run *run, uint64_t step)
{
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        struct checkpoint *k = &c->checkpoints[i];
        if (k->step == step && k->state != CHECKPOINT_ABORTED) {
            return k;
        }
    }
    return NULL;
}

struct checkpoint *checkpoint_find(struct coordinator *c, const struct run *run, uint32_t attempt,
                                   uint64_t step)
{
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        struct checkpoint *k = &c->checkpoints[i];
        if (k->step == step && k->attempt == attempt) {
            return k;
        }
    }
    return NULL;
}

/* An aborted checkpoint is kept only so that late reports of it get the true answer. */
static struct checkpoint *checkpoint_evict(struct coordinator *c)
{
    uint32_t place = index_set_from(&c->checkpoints_aborted, 0);
    if (place == NONE) {
        return NULL;
    }
    checkpoint_remove(c, &c->checkpoints[place]);
    index_set_remove(&c->checkpoints_free, place);
    return &c->checkpoints[place];
}

/* Remembers what the invariant has to look at when the turn ends. */
void checkpoint_touch(struct coordinator *c, const struct checkpoint *k)
{
    uint32_t place = checkpoint_index(c, k);
    uint32_t count = c->touched_count;
    if (count < TOUCHED_MAX && (count == 0 || c->touched[count - 1] != place)) {
        c->touched[c->touched_count++] = place;
    }
}

/* The one place where a checkpoint's state changes: what is open, and which runs retention has to
 * look at, is known without a search. */
void checkpoint_set_state(struct coordinator *c, struct checkpoint *k, enum checkpoint_state state)
{
    uint32_t place = checkpoint_index(c, k);
    bool was_consistent = k->state == CHECKPOINT_CONSISTENT;
    k->state = (uint8_t)state;
    if (was_consistent != (state == CHECKPOINT_CONSISTENT)) {
        checkpoint_weigh(c, k);
    }
    index_set_put(&c->checkpoints_open, place, checkpoint_is_open(k));
    index_set_put(&c->checkpoints_aborted, place, state == CHECKPOINT_ABORTED);
    share_checkpoint(c, k, state != CHECKPOINT_ABORTED); /* those make room for whoever comes */
    index_set_add(&c->runs_keeping, k->run);
    checkpoint_touch(c, k);
}

struct checkpoint *checkpoint_add(struct coordinator *c, struct run *run, uint32_t attempt,
                                  uint64_t step, uint32_t world)
{
    uint32_t place =
        place_take(&c->checkpoints_free, &c->checkpoints_high, c->config.checkpoints_max);
    struct checkpoint *k = place == NONE ? checkpoint_evict(c) : &c->checkpoints[place];
    if (k == NULL) {
        return NULL;
    }
    c->checkpoints_used++;
    *k = (struct checkpoint){.used = true,
                             .run = run_index(c, run),
                             .attempt = attempt,
                             .step = step,
                             .world = world,
                             .first_shard = NONE,
                             .progress_ms = c->now_ms};
    uint32_t *link = &run->first_checkpoint;
    while (*link != NONE && c->checkpoints[*link].step > step) {
        link = &c->checkpoints[*link].next_in_run;
    }
    k->next_in_run = *link;
    *link = checkpoint_index(c, k);
    checkpoint_set_state(c, k, CHECKPOINT_OPEN);
    return k;
}

void checkpoint_remove(struct coordinator *c, struct checkpoint *k)
{
    checkpoint_free_shards(c, k);
    struct session *session = &c->runs[k->run].session;
    if (session->state != SESSION_NONE && session->checkpoint == checkpoint_index(c, k)) {
        session->checkpoint = NONE;
        session->verdicts_due = false;
        session->ready = 0;
        session->state = session->state == SESSION_PULLING ? SESSION_CHOOSING : session->state;
        session_stirs(c, &c->runs[k->run]);
    }
    uint32_t *link = &c->runs[k->run].first_checkpoint;
    while (*link != checkpoint_index(c, k)) {
        assert(*link != NONE);
        link = &c->checkpoints[*link].next_in_run;
    }
    *link = k->next_in_run;
    index_set_remove(&c->checkpoints_open, checkpoint_index(c, k));
    index_set_remove(&c->checkpoints_aborted, checkpoint_index(c, k));
    index_set_add(&c->checkpoints_free, checkpoint_index(c, k));
    share_checkpoint(c, k, false);
    c->checkpoints_used--;
    memset(k, 0, sizeof *k);
}

/* A shard is a dozen cache lines, and in a large cluster none of them is in a cache: asked for
 * together they come in the time of one. */
static void shard_fetch_ahead(const struct shard *s)
{
    for (size_t at = 0; at < sizeof *s; at += 64) {
        __builtin_prefetch((const char *)s + at, 1);
    }
}

struct shard *shard_find(const struct coordinator *c, const struct checkpoint *k, uint32_t rank)
{
    uint32_t checkpoint = checkpoint_index(c, k);
    uint32_t i = c->shard_buckets[shard_hash(checkpoint, rank) & c->shard_mask];
    for (; i != NONE; i = c->shards[i].next_in_bucket) {
        shard_fetch_ahead(&c->shards[i]);
        if (c->shards[i].checkpoint == checkpoint && c->shards[i].rank == rank) {
            return &c->shards[i];
        }
    }
    return NULL;
}

struct shard *shard_add(struct coordinator *c, struct checkpoint *k, uint32_t rank)
{
    assert(shard_find(c, k, rank) == NULL);
    if (c->free_shards == 0) {
        return NULL;
    }
    uint32_t checkpoint = checkpoint_index(c, k);
    struct shard *s = &c->shards[c->shards_high];
    if (c->first_free_shard != NONE) {
        s = &c->shards[c->first_free_shard];
        c->first_free_shard = s->next_in_bucket;
    } else {
        c->shards_high++;
    }
    c->free_shards--;
    checkpoint_touch(c, k);
    uint32_t *bucket = &c->shard_buckets[shard_hash(checkpoint, rank) & c->shard_mask];
    memset(s, 0, sizeof *s);
    s->used = true;
    s->checkpoint = checkpoint;
    s->rank = rank;
    s->next_in_bucket = *bucket;
    s->next_in_checkpoint = k->first_shard;
    s->next_in_queue = NONE;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        s->copies[i].member = NONE;
    }
    struct shard_key key;
    shard_key_of(c, s, &key);
    s->weight = inventory_shard(&key);
    memset(s->homes, 0xff, sizeof s->homes);
    *bucket = shard_index(c, s);
    k->first_shard = shard_index(c, s);
    k->shards++;
    if (k->reserved > 0) {
        k->reserved--;
        c->reserved_shards--;
    }
    return s;
}

/* Takes the shard out of the queue, or out of the parked. */
static void unqueue(struct coordinator *c, struct shard *s)
{
    uint32_t *head = s->parked ? &c->parked : &c->queue_head;
    if (s->previous_in_queue == NONE) {
        *head = s->next_in_queue;
    } else {
        c->shards[s->previous_in_queue].next_in_queue = s->next_in_queue;
    }
    if (s->next_in_queue != NONE) {
        c->shards[s->next_in_queue].previous_in_queue = s->previous_in_queue;
    } else if (s->queued) {
        c->queue_tail = s->previous_in_queue;
    }
    s->queued = s->parked = false;
}

static void shard_free(struct coordinator *c, struct shard *s)
{
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (s->copies[i].member != NONE) {
            copy_drop(c, s, &s->copies[i]);
        }
    }
    shard_release_homes(c, s);
    if (s->queued || s->parked) {
        unqueue(c, s);
    }
    uint32_t *link = &c->shard_buckets[shard_hash(s->checkpoint, s->rank) & c->shard_mask];
    while (*link != shard_index(c, s)) {
        assert(*link != NONE);
        link = &c->shards[*link].next_in_bucket;
    }
    *link = s->next_in_bucket;
    s->used = false;
    s->next_in_bucket = c->first_free_shard;
    c->first_free_shard = shard_index(c, s);
    c->free_shards++;
}

void checkpoint_free_shards(struct coordinator *c, struct checkpoint *k)
{
    while (k->first_shard != NONE) {
        struct shard *s = &c->shards[k->first_shard];
        k->first_shard = s->next_in_checkpoint;
        if (k->first_shard != NONE) {
            shard_fetch_ahead(&c->shards[k->first_shard]);
        }
        shard_free(c, s);
    }
    k->shards = k->sealed = k->ready = 0;
    c->reserved_shards -= k->reserved;
    k->reserved = 0;
}

void queue_push(struct coordinator *c, struct shard *s)
{
    if (s->queued) {
        return;
    }
    if (s->parked) {
        unqueue(c, s);
    }
    s->queued = true;
    s->next_in_queue = NONE;
    s->previous_in_queue = c->queue_tail;
    if (c->queue_tail == NONE) {
        c->queue_head = shard_index(c, s);
    } else {
        c->shards[c->queue_tail].next_in_queue = shard_index(c, s);
    }
    c->queue_tail = shard_index(c, s);
}

struct shard *queue_pop(struct coordinator *c)
{
    if (c->queue_head == NONE) {
        return NULL;
    }
    struct shard *s = &c->shards[c->queue_head];
    assert(s->used && s->queued);
    unqueue(c, s);
    return s;
}

void park(struct coordinator *c, struct shard *s)
{
    if (s->queued || s->parked) {
        return;
    }
    s->parked = true;
    s->previous_in_queue = NONE;
    s->next_in_queue = c->parked;
    if (c->parked != NONE) {
        c->shards[c->parked].previous_in_queue = shard_index(c, s);
    }
    c->parked = shard_index(c, s);
}

void unpark(struct coordinator *c, uint32_t count)
{
    for (; count > 0 && c->parked != NONE; count--) {
        queue_push(c, &c->shards[c->parked]);
    }
}

void unpark_all(struct coordinator *c)
{
    unpark(c, UINT32_MAX);
}

void shard_key_of(const struct coordinator *c, const struct shard *s, struct shard_key *key_out)
{
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    key_out->run = c->runs[k->run].key;
    key_out->attempt = k->attempt;
    key_out->step = k->step;
    key_out->rank = s->rank;
}
