/* SPDX-License-Identifier: Apache-2.0 */
/* What agents say of their copies: the only way in which anything becomes ready.
 *
 * Happy path: the owner reports SEALED (the checkpoint opens, pulls are ordered), then VERIFIED
 * (its digest becomes the reference); each holder reports VERIFIED with an equal digest. Failure
 * modes: the report contradicts what is known (refused with a reason, nothing changes); the digest
 * differs (the copy is refused, another is made; an owner that changed its mind means that the
 * bytes changed under the seal: abort).
 * A repeated report finds the state it asks for and is only acked again. */
#include "coordinator/drain.h"
#include "coordinator/state.h"

#include <assert.h>
#include <string.h>

#include "base/planted_bug.h"

static void ack(struct coordinator *c, struct coordinator_update *u, uint32_t member,
                const struct message_shard_report *r, enum checkpoint_state checkpoint,
                enum ckpt_status status, const char *reason)
{
    struct message *m = update_message(c, u, c->members[member].link, MESSAGE_SHARD_ACK);
    m->shard_ack.shard = r->shard;
    m->shard_ack.generation = r->generation;
    m->shard_ack.state = r->state;
    m->shard_ack.checkpoint = checkpoint;
    m->shard_ack.keep = status == CKPT_OK;
    m->shard_ack.status = status;
    say(m->shard_ack.reason, "%s", reason);
}

/* What is over is let go, and nobody need look. */
static void note_outdated(struct coordinator_update *u, const struct trouble *what,
                          const char *reason)
{
    struct machine_note *note = update_note(u, EVENT_report_outdated);
    strcpy(note->node, what->node);
    note->run = what->shard.run;
    note->has_shard = true;
    note->attempt = what->shard.attempt;
    note->step = what->shard.step;
    note->rank = what->shard.rank;
    say(note->text, "%s", reason);
}

static void refuse(struct coordinator *c, struct coordinator_update *u, uint32_t member,
                   const struct message_shard_report *r, enum checkpoint_state checkpoint,
                   enum ckpt_status status, const char *reason)
{
    struct trouble what = {
        .kind = TROUBLE_REPORT, .status = status, .has_rank = true, .shard = r->shard};
    strcpy(what.node, c->members[member].node);
    if (status == CKPT_ERR_RETIRED || status == CKPT_ERR_ABORTED || r->state == COPY_NONE) {
        note_outdated(u, &what, reason);
    } else {
        (void)trouble_happens(c, u, EVENT_report_refused, &what, "%s", reason);
    }
    ack(c, u, member, r, checkpoint, status, reason);
}

static bool report_is_valid(const struct message_shard_report *r)
{
    return name_is_valid(r->shard.run.name, CKPT_RUN_NAME_MAX) &&
           r->shard.step != CKPT_STEP_LATEST && r->world >= 1 && r->world <= CKPT_WORLD_MAX &&
           r->copies >= 1 && r->copies <= CKPT_COPIES_MAX && r->bytes > 0;
}

/* The checkpoint was never heard of, or is forgotten: may this report open it? */
static enum ckpt_status may_open(struct coordinator *c, const struct run *run,
                                 const struct message_shard_report *r, char *reason)
{
    const struct fence *fence = run == NULL ? fence_find(c, &r->shard.run) : NULL;
    uint32_t newest = run != NULL ? run->attempt : fence != NULL ? fence->attempt : 0;
    if (r->shard.attempt < newest) {
        say(reason, "attempt %u is over: attempt %u has begun", r->shard.attempt, newest);
        return CKPT_ERR_ATTEMPT;
    }
    if (fence != NULL && r->shard.attempt <= fence->withdrawn_attempt &&
        r->shard.step <= fence->withdrawn_step) {
        say(reason, "step %llu was retired, and its run forgotten",
            (unsigned long long)r->shard.step);
        return CKPT_ERR_RETIRED;
    }
    if (run != NULL && run->has_latest && r->shard.step <= run->latest &&
        !PLANTED_BUG(LATEST_BACK)) {
        say(reason, "step %llu is not after the newest consistent step %llu",
            (unsigned long long)r->shard.step, (unsigned long long)run->latest);
        return CKPT_ERR_STEP;
    }
    if (run != NULL && r->shard.attempt <= run->withdrawn_attempt &&
        r->shard.step <= run->withdrawn_step) {
        say(reason, "step %llu was retired by command", (unsigned long long)r->shard.step);
        return CKPT_ERR_RETIRED;
    }
    if (run != NULL && run->attempt == r->shard.attempt && run->world != 0 &&
        run->world != r->world) {
        say(reason, "world is %u, but attempt %u of this run has %u", r->world, run->attempt,
            run->world);
        return CKPT_ERR_WORLD;
    }
    if (c->free_shards - c->reserved_shards < r->world) {
        say(reason, "no room for %u shards in the coordinator's tables: raise shards_max",
            r->world);
        return CKPT_ERR_FULL;
    }
    if (c->held.checkpoints >= c->config.checkpoints_max) {
        say(reason, "no room for another checkpoint in the coordinator's tables: raise "
                    "checkpoints_max");
        return CKPT_ERR_FULL;
    }
    return share_lets_open(c, r->shard.run.uid, r->world, reason) ? CKPT_OK : CKPT_ERR_FULL;
}

/* What saves the run's next step takes the place of its newest in the end: as long as there is one
 * in the tables at all, no share ends a run that has begun. One at a time. */
static bool may_go_on(const struct coordinator *c, const struct run *run, uint32_t world)
{
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        if (checkpoint_is_open(&c->checkpoints[i])) {
            return false;
        }
    }
    return run->has_latest && c->free_shards - c->reserved_shards >= world &&
           c->held.checkpoints < c->config.checkpoints_max;
}

/* Opens the checkpoint at its first owner's report. NULL: refused or put off, and answered. */
static struct checkpoint *open_checkpoint(struct coordinator *c, struct coordinator_update *u,
                                          uint32_t member, const struct message_shard_report *r)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    struct run *run = run_find(c, &r->shard.run);
    bool is_first = r->owner && r->state != COPY_HELD && !r->cached;
    enum ckpt_status status = may_open(c, run, r, reason);
    while (status == CKPT_ERR_FULL && is_first && make_place(c, u, &r->shard.run)) {
        status = may_open(c, run, r, reason);
    }
    if (status == CKPT_ERR_FULL && is_first && run != NULL && may_go_on(c, run, r->world)) {
        status = CKPT_OK;
    }
    if (status != CKPT_OK) {
        refuse(c, u, member, r, CHECKPOINT_RETIRED, status, reason);
        return NULL;
    }
    if (!is_first) {
        /* A holder's copy without its owner: the owner may still be on its way, after a restart. An
         * owner's that is being digested: its next word may be on its way, and is what counts. */
        bool wait = c->now_ms < c->started_ms + c->config.restore_settle_ms || r->owner;
        if (wait) {
            ack(c, u, member, r, CHECKPOINT_NONE, CKPT_OK, "");
        } else {
            refuse(c, u, member, r, CHECKPOINT_ABORTED, CKPT_ERR_ABORTED, "its owner is gone");
        }
        return NULL;
    }
    bool is_new = run == NULL || run->first_checkpoint == NONE;
    if (is_new && !share_lets_settle(c, member, r->shard.run.uid, reason)) {
        refuse(c, u, member, r, CHECKPOINT_NONE, CKPT_ERR_FULL, reason);
        return NULL;
    }
    run = run != NULL ? run : run_add(c, &r->shard.run);
    if (run == NULL) {
        refuse(c, u, member, r, CHECKPOINT_NONE, CKPT_ERR_FULL, run_no_room());
        return NULL;
    }
    if (r->shard.attempt > run->attempt) {
        run_raise_attempt(c, u, run, r->shard.attempt, false, &(struct nonce){{0}});
    }
    run->begun = true;
    struct checkpoint *k = checkpoint_add(c, run, r->shard.attempt, r->shard.step, r->world);
    if (k == NULL) {
        refuse(c, u, member, r, CHECKPOINT_NONE, CKPT_ERR_FULL,
               "no room for another checkpoint in the coordinator's tables: raise checkpoints_max");
        return NULL;
    }
    k->copies = r->copies;
    k->reserved = k->world;
    c->reserved_shards += k->world;
    run->world = r->world;
    return k;
}

/* What contradicts the checkpoint as it is known. */
static enum ckpt_status contradiction(struct coordinator *c, const struct checkpoint *k,
                                      const struct shard *s, uint32_t member,
                                      const struct message_shard_report *r, char *reason)
{
    if (k->state == CHECKPOINT_ABORTED) {
        say(reason, "%s", k->reason);
        return k->status;
    }
    if (r->world != k->world || r->shard.rank >= k->world) {
        say(reason, "rank %u of world %u, but the checkpoint has world %u", r->shard.rank, r->world,
            k->world);
        return CKPT_ERR_WORLD;
    }
    if (checkpoint_is_open(k) && r->copies != k->copies) {
        say(reason, "wants %u copies, but other ranks want %u", r->copies, k->copies);
        return CKPT_ERR_INVALID;
    }
    if (s == NULL) {
        return CKPT_OK;
    }
    if (s->bytes != r->bytes) {
        say(reason, "shard has %llu bytes, but %llu were announced", (unsigned long long)r->bytes,
            (unsigned long long)s->bytes);
        return CKPT_ERR_SIZE;
    }
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        if (r->owner && checkpoint_is_open(k) && copy->member != NONE && copy->owner &&
            copy->member != member) {
            say(reason, "rank %u saves on node %s as well: two processes have one rank number",
                r->shard.rank, c->members[copy->member].node);
            return CKPT_ERR_RANK;
        }
    }
    return CKPT_OK;
}

/* What was read from it differs: either the reader is wrong or the source is, since its own digest.
 * The source digests again; until it has, others are preferred. */
static void suspect_source(struct coordinator *c, struct coordinator_update *u, struct shard *s,
                           uint32_t source_member)
{
    struct copy *source = source_member == NONE ? NULL : copy_find(s, source_member);
    if (source == NULL) {
        return;
    }
    if (source->source_failures < UINT8_MAX) {
        source->source_failures++;
    }
    if (source->state == COPY_VERIFIED && source->order_kind == ORDER_NONE) {
        order_verify(c, u, s, source);
    }
}

/* A digest that differs from the reference, or from what this copy said before. */
static void on_mismatch(struct coordinator *c, struct coordinator_update *u, struct shard *s,
                        struct copy *copy, const struct message_shard_report *r, const char *what)
{
    struct checkpoint *k = &c->checkpoints[s->checkpoint];
    struct member *m = &c->members[copy->member];
    uint32_t member = copy->member;
    bool owner = copy->owner;
    uint32_t source = copy->order_kind == ORDER_PULL ? copy->source : NONE;
    struct machine_note *note = update_note(u, EVENT_digest_mismatch);
    strcpy(note->node, m->node);
    note->run = r->shard.run;
    note->has_shard = true;
    note->attempt = k->attempt;
    note->step = k->step;
    note->rank = s->rank;
    say(note->text, "%s", what);
    m->mismatches++;

    if (copy->state == COPY_VERIFIED) {
        m->copies_verified--;
    }
    copy_set_order(c, copy, ORDER_NONE);
    copy->state = COPY_NONE;
    copy->bad = true;
    copy->has_digest = false;
    shard_refresh(c, s);
    restore_copy_gone(c, s, member);
    if (m->connected) { /* otherwise it hears of it when it reports again */
        ack(c, u, member, r, (enum checkpoint_state)k->state, CKPT_ERR_DIGEST, what);
    }

    if (!checkpoint_is_open(k)) {
        suspect_source(c, u, s, source);
        queue_push(c, s);
        return;
    }
    s->failures++;
    if (owner) {
        checkpoint_abort(c, u, k, CKPT_ERR_DIGEST,
                         "rank %u: the bytes changed after they were sealed (node %s)", s->rank,
                         m->node);
    } else if (s->failures >= c->config.pull_attempts_max && !drain_makes_do(c, k)) {
        checkpoint_abort(c, u, k, CKPT_ERR_DIGEST,
                         "rank %u: no copy has the owner's digest after %u tries", s->rank,
                         s->failures);
    } else {
        for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
            struct copy *other = &s->copies[i];
            if (other->member != NONE && other->owner && other->order_kind == ORDER_NONE &&
                other->state == COPY_VERIFIED) {
                order_verify(c, u, s, other);
            }
        }
        queue_push(c, s);
    }
}

/* The owner's first digest is the reference: holders that were faster are judged now. */
static void set_reference(struct coordinator *c, struct coordinator_update *u, struct shard *s,
                          const struct digest *digest)
{
    s->has_digest = true;
    s->digest = *digest;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        struct copy *copy = &s->copies[i];
        if (copy->member == NONE || copy->owner || copy->state != COPY_VERIFIED ||
            memcmp(&copy->digest, digest, sizeof *digest) == 0) {
            continue;
        }
        struct message_shard_report r = {.world = c->checkpoints[s->checkpoint].world,
                                         .bytes = s->bytes,
                                         .generation = copy->generation,
                                         .state = COPY_VERIFIED};
        shard_key_of(c, s, &r.shard);
        on_mismatch(c, u, s, copy, &r, "differs from the owner's digest");
        if (c->checkpoints[s->checkpoint].state == CHECKPOINT_ABORTED) {
            return;
        }
    }
}

/* A good digest. */
static void on_verified(struct coordinator *c, struct coordinator_update *u, struct shard *s,
                        struct copy *copy, const struct message_shard_report *r)
{
    struct checkpoint *k = &c->checkpoints[s->checkpoint];
    struct member *m = &c->members[copy->member];
    uint64_t order = copy->order;
    bool answered = r->order != 0 && r->order == order;

    if (copy->state != COPY_VERIFIED) {
        copy->state = COPY_VERIFIED;
        m->copies_verified++;
        copy->bad = false;
        k->progress_ms = c->now_ms;
    }
    copy->has_digest = true;
    copy->digest = r->digest;
    copy->verified_ms = c->now_ms;
    if (copy->order_kind == ORDER_LET_GO) {
        copy->kept_ms = c->now_ms; /* in use there */
    }
    copy->called_back = false;
    if (copy->order_kind == ORDER_PULL || (copy->order_kind != ORDER_NONE && answered)) {
        copy_set_order(c, copy, ORDER_NONE);
    }
    if (!s->has_digest && copy->owner) {
        set_reference(c, u, s, &r->digest);
        if (k->state == CHECKPOINT_ABORTED) {
            return;
        }
    }
    shard_refresh(c, s);
    ack(c, u, copy->member, r, (enum checkpoint_state)k->state, CKPT_OK, "");
    restore_copy_verified(c, u, s, copy, answered ? order : 0);
    if (s->has_digest && answered) {
        fetch_copy_verified(c, u, s, copy); /* digested after the ask, not some time ago */
    }
    queue_push(c, s);
    commit_if_due(c, u, k);
    offer_again_if_whole(c, u, k);
}

/* A holder's copy that this life of the coordinator never asked for, of a checkpoint that is not
 * committed: perhaps found after a coordinator's start, perhaps a word that was on its way when the
 * copy was refused and freed. Which of the two, only an answer to an order of now can tell. */
static bool is_out_of_the_blue(const struct checkpoint *k, const struct copy *copy,
                               const struct message_shard_report *r)
{
    bool answers = copy->order_kind != ORDER_NONE && r->order != 0 && r->order == copy->order;
    return checkpoint_is_open(k) && !r->owner && copy->state != COPY_VERIFIED && !answers;
}

static void prove(struct coordinator *c, struct coordinator_update *u, struct shard *s,
                  struct copy *copy, const struct message_shard_report *r)
{
    if (copy->order_kind == ORDER_NONE) {
        copy->state = COPY_HELD;
        copy_weigh(c, s, copy);
        order_verify(c, u, s, copy);
    }
    ack(c, u, copy->member, r, (enum checkpoint_state)c->checkpoints[s->checkpoint].state, CKPT_OK,
        "");
}

/* A copy's digest: another one than is known of it, or one that has yet to count, or counts. */
static void on_digest(struct coordinator *c, struct coordinator_update *u, struct shard *s,
                      struct copy *copy, const struct message_shard_report *r)
{
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    bool changed = r->changed ||
                   (copy->has_digest && memcmp(&copy->digest, &r->digest, sizeof r->digest) != 0);
    bool differs = s->has_digest && memcmp(&s->digest, &r->digest, sizeof r->digest) != 0;
    if (changed || differs) {
        on_mismatch(c, u, s, copy, r,
                    changed ? "differs from what this copy said before"
                            : "differs from the shard's digest");
    } else if ((copy->order_kind == ORDER_LET_GO || copy->called_back) && r->order != copy->order) {
        /* Said before the order came there, or of a copy that may be gone by now. */
        ack(c, u, copy->member, r, (enum checkpoint_state)k->state, CKPT_OK, "");
    } else if (is_out_of_the_blue(k, copy, r)) {
        prove(c, u, s, copy, r);
    } else {
        on_verified(c, u, s, copy, r);
    }
}

static void on_copy_gone(struct coordinator *c, struct coordinator_update *u, uint32_t member,
                         const struct message_shard_report *r)
{
    struct run *run = run_find(c, &r->shard.run);
    struct checkpoint *k =
        run == NULL ? NULL : checkpoint_find(c, run, r->shard.attempt, r->shard.step);
    struct shard *s = k == NULL ? NULL : shard_find(c, k, r->shard.rank);
    struct copy *copy = s == NULL ? NULL : copy_find(s, member);
    /* A pull under way has a generation that this report cannot know. */
    if (copy != NULL && copy->order_kind != ORDER_PULL && copy->generation <= r->generation) {
        copy_drop(c, s, copy);
        shard_refresh(c, s);
        restore_copy_gone(c, s, member);
        queue_push(c, s);
    }
    ack(c, u, member, r, k == NULL ? CHECKPOINT_NONE : (enum checkpoint_state)k->state, CKPT_OK,
        "");
}

/* The shard for the report, new when its owner announces it first; NULL: refused, and answered. */
static struct shard *shard_for_report(struct coordinator *c, struct coordinator_update *u,
                                      uint32_t member, struct checkpoint *k,
                                      const struct message_shard_report *r)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    struct shard *s = shard_find(c, k, r->shard.rank);
    enum ckpt_status status = contradiction(c, k, s, member, r, reason);
    if (status != CKPT_OK) {
        refuse(c, u, member, r, (enum checkpoint_state)k->state, status, reason);
        return NULL;
    }
    if (s == NULL) {
        s = shard_add(c, k, r->shard.rank);
        if (s == NULL) {
            refuse(c, u, member, r, (enum checkpoint_state)k->state, CKPT_ERR_FULL,
                   "no room for another shard in the coordinator's tables: raise shards_max");
            return NULL;
        }
        s->bytes = r->bytes;
    }
    replica_note(k, s, r);
    if (r->owner && !s->sealed && r->state != COPY_HELD) {
        checkpoint_touch(c, k);
        s->sealed = true;
        k->bytes += s->bytes;
        k->progress_ms = c->now_ms;
        checkpoint_time_seal(c, k, member);
        k->sealed++;
        run_gone_on(c, u, &c->runs[k->run], &r->shard, member);
        uint32_t missing = PLANTED_BUG(MISSING_RANK) && k->world > 1;
        if (k->state == CHECKPOINT_OPEN && k->sealed + missing >= k->world) {
            checkpoint_verifying(c, k);
        }
    }
    return s;
}

void on_shard_report(struct coordinator *c, struct coordinator_update *u, uint32_t member,
                     const struct message_shard_report *r)
{
    if (!report_is_valid(r)) {
        refuse(c, u, member, r, CHECKPOINT_NONE, CKPT_ERR_INVALID, "report with invalid values");
        return;
    }
    if (r->state == COPY_NONE) {
        on_copy_gone(c, u, member, r);
        return;
    }
    struct run *run = run_find(c, &r->shard.run);
    struct checkpoint *k =
        run == NULL ? NULL : checkpoint_find(c, run, r->shard.attempt, r->shard.step);
    k = k != NULL ? k : open_checkpoint(c, u, member, r);
    struct shard *s = k == NULL ? NULL : shard_for_report(c, u, member, k, r);
    if (s == NULL) {
        return;
    }
    struct copy *copy = copy_find(s, member);
    if (copy == NULL) {
        copy = r->cached ? copy_add(c, s, member) : place_for_found(c, s, member);
    }
    if (copy == NULL) {
        refuse(c, u, member, r, (enum checkpoint_state)k->state, CKPT_ERR_FULL,
               "more copies than are kept");
        return;
    }
    if (r->generation < copy->generation) {
        ack(c, u, member, r, (enum checkpoint_state)k->state, CKPT_ERR_STALE,
            "an older generation");
        return;
    }
    if (copy->bad && copy->state == COPY_NONE && copy->generation == r->generation) {
        ack(c, u, member, r, (enum checkpoint_state)k->state, CKPT_ERR_DIGEST, "refused before");
        return;
    }
    if (r->generation > copy->generation) {
        if (copy->state == COPY_VERIFIED) {
            c->members[member].copies_verified--;
        }
        copy->state = COPY_NONE;
        copy->has_digest = false;
        copy->called_back = false;
        copy->generation = r->generation;
        if (copy->order_kind == ORDER_LET_GO) {
            copy_set_order(c, copy, ORDER_NONE); /* of the slot before */
        }
    }
    copy->owner = r->owner;
    copy->cached = r->cached;
    shard_refresh(c, s); /* a copy that counted may be another, or a reader's, by now */
    if (r->state == COPY_VERIFIED) {
        on_digest(c, u, s, copy, r);
        return;
    }
    if (copy->state != COPY_VERIFIED) {
        copy->state = (uint8_t)r->state;
        queue_push(c, s);
    }
    shard_refresh(c, s);
    ack(c, u, member, r, (enum checkpoint_state)k->state, CKPT_OK, "");
}

void on_pull_failed(struct coordinator *c, struct coordinator_update *u, uint32_t member,
                    const struct message_pull_failed *f)
{
    struct run *run = run_find(c, &f->shard.run);
    struct checkpoint *k =
        run == NULL ? NULL : checkpoint_find(c, run, f->shard.attempt, f->shard.step);
    struct shard *s = k == NULL ? NULL : shard_find(c, k, f->shard.rank);
    struct copy *copy = s == NULL ? NULL : copy_find(s, member);
    if (copy == NULL || copy->order_kind != ORDER_PULL || copy->order != f->order) {
        return;
    }
    /* A failure that is none is one all the same: the copy was not made. */
    enum ckpt_status status = f->status != CKPT_OK ? f->status : CKPT_ERR_PROTOCOL;
    struct trouble what = {
        .kind = TROUBLE_PULL, .status = status, .has_rank = true, .shard = f->shard};
    strcpy(what.node, c->members[member].node);
    (void)trouble_happens(c, u, EVENT_pull_failed, &what, "%s", f->reason);

    struct copy *source = copy->source == NONE ? NULL : copy_find(s, copy->source);
    if (source != NULL && status != CKPT_ERR_FULL && source->source_failures < UINT8_MAX) {
        source->source_failures++;
    }
    if (status == CKPT_ERR_FULL) {
        c->places[member].segments_free = 0; /* until its next heartbeat says more */
        c->places[member].part_bytes_free = 0;
    }
    copy_set_order(c, copy, ORDER_NONE);
    copy->bad = f->status != CKPT_ERR_FULL;
    restore_copy_gone(c, s, member);
    /* For a reader nothing is given up; its copy is cached and makes no checkpoint safer. */
    bool room_comes =
        f->status == CKPT_ERR_FULL && copy->purpose != PULL_FETCH &&
        (!checkpoint_is_committed(k) || copy->purpose == PULL_RESTORE || k->step == run->latest) &&
        make_room(c, u, member, run, shard_room(c, s, member));
    if (room_comes) {
        park(c, s);
        return;
    }
    if (checkpoint_is_open(k) && ++s->failures >= c->config.pull_attempts_max &&
        !drain_makes_do(c, k)) {
        checkpoint_abort(c, u, k, status, "rank %u: %u pulls failed, the last on node %s: %.160s",
                         s->rank, s->failures, c->members[member].node, f->reason);
        return;
    }
    park(c, s); /* at once would be a hot loop */
}
