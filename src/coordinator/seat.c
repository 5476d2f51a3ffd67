/* SPDX-License-Identifier: Apache-2.0 */
/* Starts and their seats: finding, adding, removing. */
#include "coordinator/seat.h"

#include <assert.h>
#include <string.h>

static uint32_t *seat_bucket(const struct coordinator *c, uint32_t start, uint32_t rank)
{
    return &c->seat_buckets[(start * 2654435761u + rank) & c->seat_mask];
}

struct seat *coordinator_seat_find(const struct coordinator *c, const struct start *start,
                                   uint32_t rank)
{
    assert(start->used);
    uint32_t index = start_index(c, start);
    uint32_t i = *seat_bucket(c, index, rank);
    for (; i != NONE; i = c->seats[i].next_in_bucket) {
        if (c->seats[i].start == index && c->seats[i].rank == rank) {
            return &c->seats[i];
        }
    }
    return NULL;
}

/*   FREE --its start has such a rank--> EMPTY --a process sits down--> TAKEN --it goes--> EMPTY
 *
 *   TAKEN -> TAKEN            another process of the rank takes the place of the one before
 *   EMPTY, TAKEN -> FREE      the start is over, or the rank was of none that has a number
 *
 * A start counts the seats that are taken. */
static const unsigned moves[] = {
    [SEAT_FREE] = TO(SEAT_EMPTY),
    [SEAT_EMPTY] = TO(SEAT_EMPTY) | TO(SEAT_TAKEN) | TO(SEAT_FREE),
    [SEAT_TAKEN] = TO(SEAT_EMPTY) | TO(SEAT_TAKEN) | TO(SEAT_FREE),
};

static void move(struct coordinator *c, struct seat *seat, enum seat_state to)
{
    assert(MAY_MOVE(moves, seat->state, to));
    struct start *start = &c->starts[seat->start];
    assert(seat->state != SEAT_TAKEN || start->live > 0);
    start->live -= seat->state == SEAT_TAKEN;
    start->live += to == SEAT_TAKEN;
    seat->state = (uint8_t)to;
}

void coordinator_seat_move(struct coordinator *c, struct seat *seat, uint32_t member)
{
    assert(member == NONE || member < c->member_count);
    move(c, seat, member == NONE ? SEAT_EMPTY : SEAT_TAKEN);
    seat->member = member;
}

static void seat_unlink(struct coordinator *c, const struct seat *seat)
{
    assert(seat->start != NONE);
    uint32_t place = (uint32_t)(seat - c->seats);
    uint32_t *at = seat_bucket(c, seat->start, seat->rank);
    while (*at != place) {
        at = &c->seats[*at].next_in_bucket;
    }
    *at = seat->next_in_bucket;
}

void coordinator_start_free(struct coordinator *c, struct start *start)
{
    assert(start->used);
    struct run *run = &c->runs[start->run];
    while (start->first_seat != NONE) {
        struct seat *seat = &c->seats[start->first_seat];
        start->first_seat = seat->next_in_start;
        seat_unlink(c, seat);
        move(c, seat, SEAT_FREE);
        uint32_t place = (uint32_t)(seat - c->seats);
        *seat = (struct seat){.start = NONE, .member = NONE, .next_in_bucket = c->first_free_seat};
        c->first_free_seat = place;
    }
    uint32_t *at = &run->first_start;
    while (*at != start_index(c, start)) {
        at = &c->starts[*at].next_in_run;
    }
    *at = start->next_in_run;
    c->starts_telling -= start->telling != NONE;
    run->start = run->start == start_index(c, start) ? NONE : run->start;
    c->starts_free++;
    memset(start, 0, sizeof *start);
}

/* The seats of the start that nobody sits in and that has been so for longest are free: its number
 * and name are known as ever, and who is of it after all is told of again. */
static void seats_reclaim(struct coordinator *c, const struct start *but)
{
    struct start *oldest = NULL;
    for (uint32_t i = 0; i < c->starts_max; i++) {
        struct start *start = &c->starts[i];
        if (start->used && start != but && start->live == 0 && start->seats > 0 &&
            (oldest == NULL || start->since_ms < oldest->since_ms)) {
            oldest = start;
        }
    }
    if (oldest != NULL) {
        coordinator_start_free(c, oldest);
    }
}

struct seat *coordinator_seat_add(struct coordinator *c, struct start *start, uint32_t rank)
{
    assert(start->used);
    if (c->first_free_seat == NONE && c->seats_high == c->config.shards_max) {
        seats_reclaim(c, start);
    }
    uint32_t place = c->first_free_seat;
    if (place != NONE) {
        c->first_free_seat = c->seats[place].next_in_bucket;
    } else if (c->seats_high < c->config.shards_max) {
        place = c->seats_high++;
    } else {
        return NULL;
    }
    struct seat *seat = &c->seats[place];
    uint32_t *bucket = seat_bucket(c, start_index(c, start), rank);
    *seat = (struct seat){.start = start_index(c, start),
                          .rank = rank,
                          .member = NONE,
                          .next_in_bucket = *bucket,
                          .next_in_start = start->first_seat};
    move(c, seat, SEAT_EMPTY);
    *bucket = place;
    start->first_seat = place;
    start->seats++;
    return seat;
}

void coordinator_seat_free(struct coordinator *c, struct seat *seat)
{
    assert(seat->start != NONE);
    struct start *start = &c->starts[seat->start];
    uint32_t place = (uint32_t)(seat - c->seats);
    uint32_t *at = &start->first_seat;
    while (*at != place) {
        at = &c->seats[*at].next_in_start;
    }
    *at = seat->next_in_start;
    seat_unlink(c, seat);
    assert(start->seats > 0 && start->live <= start->seats);
    move(c, seat, SEAT_FREE);
    start->seats--;
    *seat = (struct seat){.start = NONE, .member = NONE, .next_in_bucket = c->first_free_seat};
    c->first_free_seat = place;
}

struct start *coordinator_start_add(struct coordinator *c, struct run *run)
{
    assert(run->used);
    for (uint32_t i = 0; c->starts_free > 0 && i < c->starts_max; i++) {
        struct start *start = &c->starts[i];
        if (!start->used) {
            *start = (struct start){.used = true,
                                    .run = run_index(c, run),
                                    .next_in_run = run->first_start,
                                    .first_seat = NONE,
                                    .telling = NONE,
                                    .since_ms = c->now_ms};
            run->first_start = i;
            c->starts_free--;
            return start;
        }
    }
    return NULL;
}

void coordinator_start_retire(struct coordinator *c, struct run *run)
{
    assert(run->used);
    if (run->start != NONE) {
        coordinator_start_free(c, &c->starts[run->start]);
    }
}

void coordinator_starts_free_of(struct coordinator *c, struct run *run)
{
    assert(run->used);
    while (run->first_start != NONE) {
        coordinator_start_free(c, &c->starts[run->first_start]);
    }
}

struct start *coordinator_start_of(struct coordinator *c, struct run *run)
{
    assert(run->used);
    if (run->attempt == 0) {
        return NULL;
    }
    if (run->start == NONE) {
        struct start *start = coordinator_start_add(c, run);
        if (start == NULL) {
            return NULL;
        }
        start->attempt = run->attempt;
        start->nonce = run->start_nonce;
        start->is_recalled = true;
        run->start = start_index(c, start);
    }
    return &c->starts[run->start];
}

bool coordinator_run_has_begun(const struct coordinator *c, const struct run *run)
{
    assert(run->used);
    if (run->begun || run->verdict_attempt == run->attempt) {
        return true;
    }
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        if (c->checkpoints[i].attempt == run->attempt) {
            return true;
        }
    }
    return false;
}

bool coordinator_run_was_complete(const struct coordinator *c, const struct run *run)
{
    assert(run->used);
    if (run->verdict_attempt == run->attempt) {
        return true;
    }
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        const struct checkpoint *k = &c->checkpoints[i];
        if (k->attempt == run->attempt && checkpoint_is_committed(k)) {
            return true;
        }
    }
    return false;
}

bool coordinator_run_is_complete(struct coordinator *c, struct run *run)
{
    assert(run->used);
    const struct start *start = coordinator_start_of(c, run);
    return start != NULL && start->world > 0 && start->seats == start->world;
}

uint32_t coordinator_run_live_seats(const struct coordinator *c, const struct run *run)
{
    assert(run->used);
    uint32_t live = 0;
    for (uint32_t i = run->first_start; i != NONE; i = c->starts[i].next_in_run) {
        live += c->starts[i].live;
    }
    return live;
}

bool coordinator_run_has_live_seat(const struct coordinator *c, const struct run *run)
{
    assert(run->used);
    return coordinator_run_live_seats(c, run) > 0;
}
