/* SPDX-License-Identifier: Apache-2.0 */
#include "fanout/fetch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/reason.h"
#include "fanout/bring.h"
#include "fanout/held.h"
#include "fanout/talk.h"

/* Of a call's time, for the verdict: a tenth, and this at most. */
#define VERDICT_MS_MAX 2000

struct fetch {
    struct ckpt_fanout *group;
    const struct fanout_source *source;
    uint64_t step;
    uint32_t rank; /* of the shard */
    struct deadline group_ends;
    struct deadline source_ends;
    struct deadline ends;
    int64_t began_ns;
    struct held *lent; /* by this rank's source; NULL: not yet */
    struct word_plan word;
    struct fanout_plan plan;
};

static enum ckpt_status ask_source(struct fetch *fetch, struct deadline deadline)
{
    struct held *held = held_make(0);
    if (held == NULL) {
        return reason_refuse(fetch->group->reason, CKPT_ERR_MEMORY, "fan-out: no memory");
    }
    held->source = *fetch->source;
    enum ckpt_status status =
        held->source.fetch(held->source.context, fetch->step, fetch->rank,
                           (uint32_t)deadline_left_ms(deadline), &held->lent, fetch->group->reason);
    if (status == CKPT_OK && held->lent.bytes == 0) {
        status = reason_refuse(fetch->group->reason, CKPT_ERR_CORRUPT,
                               "fan-out: the agent lent a shard of no bytes");
    }
    if (status != CKPT_OK) {
        held->lent.bytes = 0;
        held_drop(held);
        return status;
    }
    fetch->lent = held;
    return CKPT_OK;
}

/* What this rank has to say of it. */
static struct word_have own_have(const struct fetch *fetch)
{
    struct word_have have = {.step = fetch->step, .rank = fetch->rank};
    if (fetch->lent != NULL) {
        const struct ckpt_shard *lent = &fetch->lent->lent;
        have.bytes = lent->bytes;
        have.attempt = lent->attempt;
        have.world = lent->world;
        have.digest_kind = lent->digest_kind;
        memcpy(have.digest.bytes, lent->digest, sizeof(have.digest.bytes));
        have.has = 1;
    }
    return have;
}

/* The first who has it says what it is; another who has something else is no sender. */
static enum ckpt_status take_have(struct ckpt_fanout *group, const struct word *word, void *context)
{
    struct fetch *fetch = context;
    struct word_have have;
    memcpy(&have, word->body, sizeof(have));
    if (have.step != fetch->step || have.rank != fetch->rank) {
        return reason_refuse(group->reason, CKPT_ERR_STEP,
                             "fan-out: rank %u of the group wants shard %u of step %llu, its "
                             "leader %u of %llu",
                             word->from, have.rank, (unsigned long long)have.step, fetch->rank,
                             (unsigned long long)fetch->step);
    }
    if (have.has == 1 && fetch->word.shard.has == 0) {
        fetch->word.shard = have;
    }
    fetch->word.holds[word->from] =
        have.has == 1 && memcmp(&have, &fetch->word.shard, sizeof(have)) == 0;
    return CKPT_OK;
}

static enum ckpt_status make_plan(struct fetch *fetch)
{
    struct ckpt_fanout *group = fetch->group;
    struct word own = {.from = 0, .bytes = sizeof(struct word_have)};
    struct word_have have = own_have(fetch);
    own.body = &have;
    enum ckpt_status status = take_have(group, &own, fetch);
    if (status == CKPT_OK) {
        struct talk_roll roll = {.type = WORD_HAVE,
                                 .bytes = sizeof(struct word_have),
                                 .take = take_have,
                                 .context = fetch};
        status = talk_collect(group, &roll, fetch->group_ends);
    }
    if (status != CKPT_OK) {
        return status;
    }
    if (fetch->word.shard.has == 0) {
        return reason_refuse(group->reason, CKPT_ERR_NOT_FOUND,
                             "fan-out: no sender got the shard of its agent");
    }
    if (getrandom(fetch->word.secret, sizeof(fetch->word.secret), 0) !=
        sizeof(fetch->word.secret)) {
        return reason_refuse(group->reason, CKPT_ERR_SYSTEM, "fan-out: getrandom failed");
    }
    star_send(group->star, STAR_ALL, WORD_PLAN, group->fetch, &fetch->word, sizeof(fetch->word));
    return CKPT_OK;
}

static enum ckpt_status hear_plan(struct fetch *fetch)
{
    struct word word;
    struct word_have have = own_have(fetch);
    star_send(fetch->group->star, 0, WORD_HAVE, fetch->group->fetch, &have, sizeof(have));
    enum ckpt_status status =
        talk_await(fetch->group, WORD_PLAN, sizeof(fetch->word), fetch->group_ends, &word);
    if (status == CKPT_OK) {
        memcpy(&fetch->word, word.body, sizeof(fetch->word));
    }
    return status;
}

/* The leader's word, looked at as any other's. */
static enum ckpt_status read_plan(struct fetch *fetch)
{
    struct ckpt_fanout *group = fetch->group;
    const struct word_plan *word = &fetch->word;
    bool holds[CKPT_FANOUT_RANKS_MAX] = {false};
    uint32_t senders = 0;
    for (uint32_t i = 0; i < group->ranks; i++) {
        holds[i] = word->holds[i] == 1;
        senders += holds[i];
    }
    bool is_known = word->shard.digest_kind == DIGEST_KIND_BLAKE3 ||
                    word->shard.digest_kind == DIGEST_KIND_FINGERPRINT;
    if (senders == 0 || word->shard.bytes == 0 || word->shard.bytes > INT64_MAX || !is_known ||
        (holds[group->rank] && fetch->lent == NULL) || word->shard.step != fetch->step ||
        word->shard.rank != fetch->rank ||
        (fetch->lent != NULL && holds[group->rank] &&
         fetch->lent->lent.bytes != word->shard.bytes)) {
        return reason_refuse(group->reason, CKPT_ERR_PROTOCOL,
                             "fan-out: the leader's plan makes no sense");
    }
    plan_make(&fetch->plan, word->shard.bytes, group->settings.piece_bytes,
              (enum fanout_shape)group->settings.shape, holds, group->ranks);
    return CKPT_OK;
}

/* By the group: *held_out is what this rank has then, or NULL, where it came wrong. */
static enum ckpt_status by_group(struct fetch *fetch, struct held **held_out)
{
    struct ckpt_fanout *group = fetch->group;
    struct held *target = NULL;
    uint64_t wrong = 0;
    if (group->rank < group->sender_count) {
        (void)ask_source(fetch, fetch->group_ends); /* who has it not receives it */
    }
    enum ckpt_status status = group_leads(group) ? make_plan(fetch) : hear_plan(fetch);
    if (status == CKPT_OK) {
        status = read_plan(fetch);
    }
    if (status == CKPT_OK && !fetch->plan.holds[group->rank]) {
        target = held_make(fetch->plan.bytes);
        if (target == NULL) {
            status = reason_refuse(group->reason, CKPT_ERR_MEMORY,
                                   "fan-out: no memory for a shard of %llu bytes",
                                   (unsigned long long)fetch->plan.bytes);
        }
    }
    if (status == CKPT_OK) {
        struct bring_order order = {
            .plan = &fetch->plan,
            .word = &fetch->word,
            .source = target == NULL ? fetch->lent->lent.data : NULL,
            .target = target != NULL ? target->memory : NULL,
        };
        status = bring(group, &order, fetch->group_ends, &wrong);
    }
    if (status != CKPT_OK) { /* before the memory goes that the road works on */
        (void)talk_give_up(group, status);
    }
    if (status == CKPT_OK && target != NULL && wrong == 0) {
        *held_out = target;
        return CKPT_OK;
    }
    held_drop(target);
    return status;
}

struct outcomes {
    enum ckpt_status status; /* the first that is none */
    char reason[CKPT_REASON_MAX + 1];
};

static bool misses_some(const struct ckpt_fanout *group, const bool *heard)
{
    for (uint32_t rank = 1; rank < group->ranks; rank++) {
        if (!heard[rank] && star_has(group->star, rank)) {
            return true;
        }
    }
    return false;
}

/* The leader hears what each rank has that is still there. */
static void hear_outcomes(struct ckpt_fanout *group, struct deadline deadline, struct outcomes *all)
{
    bool heard[CKPT_FANOUT_RANKS_MAX] = {false};
    while (misses_some(group, heard) && deadline_left_ms(deadline) > 0) {
        struct word word;
        char reason[CKPT_REASON_MAX + 1];
        if (star_take(group->star, -1, deadline_left_ms(deadline), &word) != CKPT_OK ||
            word.type != WORD_OUTCOME || word.fetch != group->fetch) {
            continue;
        }
        heard[word.from] = true;
        enum ckpt_status status = talk_read_outcome(&word, reason);
        if (status != CKPT_OK && all->status == CKPT_OK) {
            all->status = status;
            reason_set(all->reason, "rank %u of the group: %.220s", word.from, reason);
        }
    }
}

static void hear_verdict(struct ckpt_fanout *group, struct deadline deadline, struct outcomes *all)
{
    while (star_has(group->star, 0) && deadline_left_ms(deadline) > 0) {
        struct word word;
        if (star_take(group->star, -1, deadline_left_ms(deadline), &word) == CKPT_OK &&
            word.type == WORD_VERDICT && word.fetch == group->fetch) {
            all->status = talk_read_outcome(&word, all->reason);
            return;
        }
    }
}

/* How long the others are waited for: as long as this rank took itself, as they do the same; not
 * until the call's end, which may be an hour, for a rank that hangs. The leader tells after once
 * that time, so who is told waits for twice. */
static struct deadline until(const struct fetch *fetch)
{
    int64_t took_ms = (deadline_now_ns() - fetch->began_ns) / 1000000;
    uint32_t stall_ms = fetch->group->settings.stall_ms;
    uint32_t wait_ms = took_ms > stall_ms ? (uint32_t)took_ms : stall_ms;
    return deadline_within_ms(fetch->ends, group_leads(fetch->group) ? wait_ms : 2 * wait_ms);
}

/* What all have, where it is heard in time: else what this rank has. Of a group that has failed the
 * ranks that are still connected agree all the same. */
static enum ckpt_status agree(struct fetch *fetch, enum ckpt_status own)
{
    struct ckpt_fanout *group = fetch->group;
    struct outcomes all = {.status = own};
    if (group->star == NULL) {
        return own;
    }
    reason_set(all.reason, "%s", group->reason);
    if (group_leads(group)) {
        hear_outcomes(group, until(fetch), &all);
        talk_outcome(group, STAR_ALL, WORD_VERDICT, all.status, all.reason);
    } else {
        talk_outcome(group, 0, WORD_OUTCOME, own, group->reason);
        hear_verdict(group, until(fetch), &all);
    }
    if (own == CKPT_OK && all.status != CKPT_OK) {
        reason_set(group->reason, "fan-out: %s", all.reason);
    }
    return own != CKPT_OK ? own : all.status;
}

/* By this rank's own source. The group's reason stays when it goes well. */
static enum ckpt_status by_source(struct fetch *fetch)
{
    char why[CKPT_REASON_MAX + 1];
    if (fetch->lent != NULL) {
        return CKPT_OK;
    }
    memcpy(why, fetch->group->reason, sizeof(why));
    enum ckpt_status status = ask_source(fetch, fetch->source_ends);
    if (status == CKPT_OK) {
        memcpy(fetch->group->reason, why, sizeof(why));
    }
    return status;
}

static void give(const struct fetch *fetch, struct held *held, struct ckpt_fanout_shard *shard_out)
{
    const struct word_have *is = &fetch->word.shard;
    const struct ckpt_shard *lent = &held->lent;
    bool own = held->memory == NULL;
    *shard_out = (struct ckpt_fanout_shard){
        .step = fetch->step,
        .attempt = own ? lent->attempt : is->attempt,
        .rank = fetch->rank,
        .world = own ? lent->world : is->world,
        .digest_kind = own ? lent->digest_kind : is->digest_kind,
        .data = own ? lent->data : held->memory,
        .bytes = own ? lent->bytes : held->memory_bytes,
        .way = own ? CKPT_FANOUT_FROM_AGENT : CKPT_FANOUT_FROM_GROUP,
        .tensor_count = shard_index_count(held->index),
        .private_state = held,
    };
    memcpy(shard_out->digest, own ? lent->digest : is->digest.bytes, sizeof(shard_out->digest));
    held->next = fetch->group->held;
    fetch->group->held = held;
}

static void set_times(struct fetch *fetch, uint32_t timeout_ms)
{
    uint32_t verdict_ms = timeout_ms / 10 < VERDICT_MS_MAX ? timeout_ms / 10 : VERDICT_MS_MAX;
    fetch->group_ends = deadline_after_ms(timeout_ms / 2);
    fetch->source_ends = deadline_after_ms(timeout_ms - verdict_ms);
    fetch->ends = deadline_after_ms(timeout_ms);
    fetch->began_ns = deadline_now_ns();
}

enum ckpt_status fetch_shard(struct ckpt_fanout *group, const struct fanout_source *source,
                             uint64_t step, uint32_t rank, uint32_t timeout_ms,
                             struct ckpt_fanout_shard *shard_out)
{
    struct held *held = NULL;
    struct fetch *fetch = calloc(1, sizeof(*fetch));
    if (fetch == NULL) {
        return reason_refuse(group->reason, CKPT_ERR_MEMORY, "fan-out: no memory");
    }
    fetch->group = group;
    fetch->source = source;
    fetch->step = step;
    fetch->rank = rank;
    set_times(fetch, timeout_ms);
    group->fetch++;
    enum ckpt_status status = CKPT_OK;
    if (group->is_whole) {
        group->reason[0] = '\0';
        status = by_group(fetch, &held);
    }
    if (held == NULL && status != CKPT_ERR_STEP) { /* on which the ranks do not agree */
        status = by_source(fetch);
        held = fetch->lent;
        fetch->lent = NULL;
    }
    held_drop(fetch->lent); /* of who received in the end, or of another step */
    if (status == CKPT_OK) {
        status = held_index(held, group->reason);
    }
    status = agree(fetch, status);
    if (status == CKPT_OK && held != NULL) {
        give(fetch, held, shard_out);
    } else {
        held_drop(held);
    }
    free(fetch);
    return status;
}
