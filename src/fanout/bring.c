/* SPDX-License-Identifier: Apache-2.0 */
#include "fanout/bring.h"

#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "fanout/proof.h"
#include "fanout/talk.h"

#define ASK_EVERY_MS 1   /* a road that cannot say when there is news */
#define LOOK_EVERY_MS 50 /* for what the clock alone tells */
#define ALIVE_PARTS 4    /* of the time that is a stall: between two words that nothing stalls */

struct work {
    struct ckpt_fanout *group;
    const struct bring_order *order;
    const struct fanout_plan *plan;
    struct fanout_proof proof;
    uint8_t *values; /* of all pieces, one behind the other */
    uint8_t *has;    /* 1: a piece's values are there */
    uint64_t pieces;
    uint64_t rounds;
    uint64_t posted; /* rounds */
    uint64_t taken;
    uint64_t proven; /* pieces */
    uint64_t wrong;
    bool is_done;      /* and has said so */
    uint32_t done;     /* of the others, at the leader */
    bool is_over;      /* END */
    int64_t own_ns;    /* when this rank did something */
    int64_t others_ns; /* when something was heard of the others' doing */
    int64_t said_ns;   /* when that was last told */
};

static uint8_t *values_of(const struct work *work, uint64_t piece)
{
    return work->values + piece * proof_values_bytes(&work->proof, work->plan->piece_bytes);
}

static enum ckpt_status start(struct work *work)
{
    const struct bring_order *order = work->order;
    struct road_shard shard = {work->plan, order->source, order->target};
    work->pieces = plan_piece_count(work->plan);
    work->rounds = (work->pieces + plan_at_once(work->plan) - 1) / plan_at_once(work->plan);
    proof_make(&work->proof, (enum digest_kind)order->word->shard.digest_kind, work->plan->bytes,
               order->word->secret);
    work->values = malloc(work->pieces * proof_values_bytes(&work->proof, work->plan->piece_bytes));
    work->has = calloc(work->pieces, 1);
    if (work->values == NULL || work->has == NULL) {
        return reason_refuse(work->group->reason, CKPT_ERR_MEMORY,
                             "fan-out: no memory for the values of %llu pieces",
                             (unsigned long long)work->pieces);
    }
    work->own_ns = work->others_ns = work->said_ns = deadline_now_ns();
    return work->group->ops->begin(work->group->road, &shard, work->group->reason);
}

static uint32_t round_pieces(const struct work *work, uint64_t round)
{
    uint64_t left = work->pieces - round * plan_at_once(work->plan);
    return left < plan_at_once(work->plan) ? (uint32_t)left : plan_at_once(work->plan);
}

/* A sender says what its piece is before it goes. */
static void tell_values(struct work *work, uint64_t index)
{
    struct word_values word = {.piece = index};
    struct fanout_piece piece = plan_piece(work->plan, index);
    size_t bytes = proof_values_bytes(&work->proof, piece.bytes);
    proof_values(&work->proof, &piece, work->order->source + piece.offset, word.values);
    star_send(work->group->star, group_leads(work->group) ? STAR_ALL : 0, WORD_VALUES,
              work->group->fetch, &word, offsetof(struct word_values, values) + bytes);
    if (group_leads(work->group)) { /* a leader that receives others' is told its own as well */
        memcpy(values_of(work, index), word.values, bytes);
        work->has[index] = 1;
    }
}

static enum ckpt_status post(struct work *work)
{
    uint64_t first = work->posted * plan_at_once(work->plan);
    uint32_t count = round_pieces(work, work->posted);
    for (uint64_t i = first; i < first + count; i++) {
        if (plan_piece(work->plan, i).sender == work->group->rank) {
            tell_values(work, i);
        }
    }
    work->posted++;
    return work->group->ops->post(work->group->road, first, count, work->group->reason);
}

static void prove(struct work *work)
{
    uint8_t found[PROOF_PIECE_VALUES_MAX];
    struct fanout_piece piece = plan_piece(work->plan, work->proven);
    proof_values(&work->proof, &piece, work->order->target + piece.offset, found);
    if (memcmp(found, values_of(work, work->proven),
               proof_values_bytes(&work->proof, piece.bytes)) != 0) {
        work->wrong++;
        reason_set(work->group->reason,
                   "fan-out: %llu pieces came wrong over %s, the last at byte %llu: this node's "
                   "memory, or what is between it and rank %u",
                   (unsigned long long)work->wrong, work->group->ops->name,
                   (unsigned long long)piece.offset, piece.sender);
    }
    work->proven++;
}

static bool receives(const struct work *work)
{
    return !work->plan->holds[work->group->rank];
}

static bool can_prove(const struct work *work)
{
    uint64_t arrived = work->taken * plan_at_once(work->plan);
    return receives(work) && work->proven < work->pieces && work->proven < arrived &&
           work->has[work->proven] != 0;
}

/* What can be done now: CKPT_OK, and something was; CKPT_ERR_BUSY: nothing could be. */
static enum ckpt_status step(struct work *work)
{
    enum ckpt_status found = CKPT_ERR_BUSY;
    if (work->posted < work->rounds && work->posted - work->taken < ROAD_ROUNDS) {
        enum ckpt_status status = post(work);
        if (status != CKPT_OK) {
            return status;
        }
        found = CKPT_OK;
    }
    if (work->taken < work->posted) {
        enum ckpt_status status = work->group->ops->take(work->group->road, work->group->reason);
        if (status != CKPT_OK && status != CKPT_ERR_BUSY) {
            return status;
        }
        work->taken += status == CKPT_OK;
        found = status == CKPT_OK ? CKPT_OK : found;
    }
    if (can_prove(work)) {
        prove(work);
        found = CKPT_OK;
    }
    return found;
}

static enum ckpt_status take_values(struct work *work, const struct word *word)
{
    const struct word_values *values = word->body;
    uint64_t piece;
    size_t head = offsetof(struct word_values, values);
    if (word->bytes >= head) {
        memcpy(&piece, &values->piece, sizeof(piece));
    }
    if (word->bytes < head || piece >= work->pieces ||
        word->bytes - head !=
            proof_values_bytes(&work->proof, plan_piece(work->plan, piece).bytes)) {
        return reason_refuse(work->group->reason, CKPT_ERR_PROTOCOL,
                             "fan-out: values from rank %u that are of no piece", word->from);
    }
    if (group_leads(work->group)) {
        if (plan_piece(work->plan, piece).sender != word->from) {
            return reason_refuse(work->group->reason, CKPT_ERR_PROTOCOL,
                                 "fan-out: values from rank %u that are another's to send",
                                 word->from);
        }
        star_send(work->group->star, STAR_ALL, WORD_VALUES, work->group->fetch, word->body,
                  word->bytes);
    }
    memcpy(values_of(work, piece), values->values, word->bytes - head);
    work->has[piece] = 1;
    return CKPT_OK;
}

static enum ckpt_status hear(struct work *work, const struct word *word)
{
    enum ckpt_status status = talk_judge(work->group, word);
    if (status != CKPT_OK || word->fetch != work->group->fetch) {
        return status;
    }
    work->others_ns = deadline_now_ns();
    if (word->type == WORD_VALUES) {
        return take_values(work, word);
    }
    if (word->type == WORD_DONE && group_leads(work->group)) {
        work->done++;
    }
    work->is_over = work->is_over || (word->type == WORD_END && !group_leads(work->group));
    return CKPT_OK;
}

/* Says that something was done, to the leader, and the leader to all: now and then. */
static void tell_alive(struct work *work, int64_t now_ns)
{
    struct ckpt_fanout *group = work->group;
    int64_t part_ns = (int64_t)group->settings.stall_ms * 1000000 / ALIVE_PARTS;
    int64_t done_ns = work->own_ns;
    if (group_leads(group) && work->others_ns > done_ns) {
        done_ns = work->others_ns;
    }
    if (now_ns - work->said_ns >= part_ns && done_ns > work->said_ns) {
        star_send(group->star, group_leads(group) ? STAR_ALL : 0, WORD_ALIVE, group->fetch, NULL,
                  0);
        work->said_ns = now_ns;
    }
}

/* A rank that still gets something is judged by what it gets; one that has all waits for the
 * others, of whom the leader tells. Who is told waits longer than who tells, so that the reason is
 * the one that knows. */
static enum ckpt_status look_at_clock(struct work *work, struct deadline deadline)
{
    struct ckpt_fanout *group = work->group;
    int64_t now_ns = deadline_now_ns();
    int64_t stall_ns = (int64_t)group->settings.stall_ms * 1000000;
    int64_t since_ns = work->own_ns;
    if (work->is_done && work->others_ns > since_ns) {
        since_ns = work->others_ns;
    }
    if (work->is_done && !group_leads(group)) {
        stall_ns += stall_ns / 2;
    }
    uint64_t arrived = work->taken * plan_at_once(work->plan);
    tell_alive(work, now_ns);
    if (now_ns - since_ns > stall_ns) {
        return reason_refuse(group->reason, CKPT_ERR_TIMEOUT,
                             "fan-out: %s: nothing %s for %u ms, after %llu of %llu pieces",
                             group->ops->name, work->is_done ? "was heard of the others" : "came",
                             group->settings.stall_ms, (unsigned long long)arrived,
                             (unsigned long long)work->pieces);
    }
    if (deadline_left_ms(deadline) == 0) {
        return reason_refuse(group->reason, CKPT_ERR_TIMEOUT,
                             "fan-out: half of the time has passed, and %llu of %llu pieces came",
                             (unsigned long long)arrived, (unsigned long long)work->pieces);
    }
    return CKPT_OK;
}

static void look_whether_done(struct work *work)
{
    struct ckpt_fanout *group = work->group;
    bool has_all = work->taken == work->rounds && (!receives(work) || work->proven == work->pieces);
    if (has_all && !work->is_done) {
        work->is_done = true;
        if (!group_leads(group)) {
            star_send(group->star, 0, WORD_DONE, group->fetch, NULL, 0);
        }
    }
    if (work->is_done && group_leads(group) && work->done == group->ranks - 1) {
        star_send(group->star, STAR_ALL, WORD_END, group->fetch, NULL, 0);
        work->is_over = true;
    }
}

static enum ckpt_status run(struct work *work, struct deadline deadline)
{
    struct ckpt_fanout *group = work->group;
    while (!work->is_over) {
        struct word word;
        enum ckpt_status status = step(work);
        if (status != CKPT_OK && status != CKPT_ERR_BUSY) {
            return status;
        }
        if (status == CKPT_OK) {
            work->own_ns = deadline_now_ns();
        }
        bool awaits = work->taken < work->posted;
        int wake_fd = awaits ? group->ops->wake_fd(group->road) : -1;
        int wait_ms = awaits && wake_fd < 0 ? ASK_EVERY_MS : LOOK_EVERY_MS;
        look_whether_done(work);
        wait_ms = status == CKPT_OK || work->is_over ? 0 : wait_ms;
        while (!work->is_over && star_take(group->star, wake_fd, wait_ms, &word) == CKPT_OK) {
            status = hear(work, &word);
            if (status != CKPT_OK) {
                return status;
            }
            wait_ms = 0;
        }
        status = work->is_over ? CKPT_OK : look_at_clock(work, deadline);
        if (status != CKPT_OK) {
            return status;
        }
    }
    return CKPT_OK;
}

enum ckpt_status bring(struct ckpt_fanout *group, const struct bring_order *order,
                       struct deadline deadline, uint64_t *wrong_out)
{
    struct work work = {.group = group, .order = order, .plan = order->plan};
    enum ckpt_status status = start(&work);
    if (status == CKPT_OK) {
        status = run(&work, deadline);
    }
    if (status == CKPT_OK) {
        group->ops->end(group->road);
        if (receives(&work) && work.wrong == 0 &&
            !proof_is_of(&work.proof, work.values, &order->word->shard.digest)) {
            work.wrong = work.pieces;
            reason_set(group->reason, "fan-out: the senders' values are not those of the commit");
        }
        *wrong_out = work.wrong;
    }
    free(work.values);
    free(work.has);
    return status;
}
