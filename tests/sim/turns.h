/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator's queue of turns: a binary heap over virtual time.
 *
 * One turn fires at a time. The rule for ties: of two turns at the same millisecond the one that
 * was queued first fires first. So an order of turns is a function of the seed alone. */
#ifndef CKPT_SIM_TURNS_H
#define CKPT_SIM_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct parcel;

enum turn_type {
    TURN_PARCEL = 1, /* something arrives at a host or at a rank's process */
    TURN_TICK,       /* a machine's deadline */
    TURN_INBOX,      /* a host that was busy or stopped takes the next parcel that waits */
    TURN_WORK,       /* a digest, a read or a renewal goes on */
    TURN_PERSISTED,  /* the store answers a coordinator */
    TURN_START,      /* a host's process starts */
    TURN_RESUME,     /* a stopped process goes on */
    TURN_CONNECT,    /* an agent looks for a coordinator, a coordinator at the store's epoch */
    TURN_RANK,       /* a rank's process does its next thing */
    TURN_JOB,        /* a job's supervisor looks */
    TURN_NEMESIS,    /* the next fault */
    TURN_HEAL,       /* a fault of some duration ends */
    TURN_FAULTS_END,
    TURN_END,
};

struct turn {
    uint64_t at_ms;
    uint64_t order; /* the tie rule */
    enum turn_type type;
    uint32_t who;  /* host, or run */
    uint32_t life; /* the turn is void when it is another one by then */
    uint32_t number;
    struct parcel *parcel; /* TURN_PARCEL; owned by the turn */
};

struct turns {
    struct turn *heap;
    size_t count;
    size_t room;
    uint64_t next_order;
};

void turns_init(struct turns *turns);
void turns_free(struct turns *turns); /* parcels still queued are the caller's to free first */
void turns_push(struct turns *turns, struct turn turn);
bool turns_pop(struct turns *turns, struct turn *turn_out);

#endif
