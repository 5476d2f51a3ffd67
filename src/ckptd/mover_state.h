/* SPDX-License-Identifier: Apache-2.0 */
/* The mover's inside: mover.c has the thread and its commands, mover_reads.c the reads under way,
 * mover_gather.c those of a rank's device memory, mover_regions.c the arena's registration.
 * All of it runs on the mover's thread, but for the functions of mover.h. */
#ifndef CKPT_CKPTD_MOVER_STATE_H
#define CKPT_CKPTD_MOVER_STATE_H

#include <pthread.h>

#include "base/rare.h"
#include "mover.h"
#include "transport/transport.h"

enum command_type {
    COMMAND_READ,
    COMMAND_GATHER,
    COMMAND_CANCEL,
    COMMAND_SHAPE,
    COMMAND_RENEW,
    COMMAND_LINK_DOWN,
    COMMAND_OFFER,
    COMMAND_REVOKE
};

struct command {
    struct command *next;
    enum command_type type;
    struct job *job;
    uint64_t work;
    uint32_t link;
    struct offer_reply *offer;
    uint32_t n;
    uint16_t segments[];
};

/* A slice in flight; its index is the transport's cookie. */
struct slice {
    struct job *job; /* NULL: free */
    uint64_t chunk;
    uint32_t chunks; /* to be digested */
    uint32_t next_free;
};

/* What is to be read next: bytes that lie in one segment here and in one region there. */
struct piece {
    uint64_t offset; /* in the slot */
    uint64_t bytes;
    const struct job_region *remote;
    uint64_t remote_offset;
};

#define MOVER_REFUSED 16 /* ways to peers that cannot be made, by cause: said rarely */
#define MOVER_OWN_LINK 0 /* of the way back to this transport; no connection has this number */

/* The way to one peer's transport, by the control connection it was offered on. */
struct way {
    struct way *next;
    uint32_t link;
    bool failed; /* or no longer wanted: no new reads */
    struct transport_endpoint *endpoint;
};

struct mover {
    struct mover_options options;
    struct arena *arena;
    struct digester *digester;
    struct completions *completions;
    struct transport *transport;
    const char *spec;                  /* of that */
    struct transport_region **regions; /* by id; NULL: none, as of a cut segment */
    uint8_t address[CKPT_WORKER_ADDRESS_MAX];
    size_t address_bytes;
    uint32_t depth;
    uint32_t slice_chunks;
    struct slice *slices;
    uint32_t free_slice;
    struct job *jobs; /* reads under way; the first is served next */
    struct way *ways;
    bool gather_unsupported; /* and said so */
    struct rare refused[MOVER_REFUSED];
    _Atomic(uint64_t) rails; /* of the transport: the total, and those up in the lower half */

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t started_cond;
    uint32_t steps_done; /* of the start: the transport is open, the arena registered */
    enum ckpt_status start_status;
    char reason[CKPT_REASON_MAX + 1];
    bool stopping;
    bool closed; /* the thread is closing the transport */
    bool held;
    bool was_held; /* when the thread looked last: it has to be woken when that is over */
    bool ended;    /* the thread has been joined; the caller's own */
    struct command *first;
    struct command **last;
};

/* mover_reads.c */
void mover_job_add(struct mover *m, struct job *job);
void mover_read_begin(struct mover *m, struct job *job);
void mover_read_cancel(struct mover *m, uint64_t work);
void mover_read_link_down(struct mover *m, uint32_t link);
void mover_reads_issue(struct mover *m, bool held);
void mover_read_done(struct mover *m, const struct transport_completion *done);
void mover_way_gone(struct mover *m, uint64_t cookie);
void mover_reads_end(struct mover *m); /* closes the transport: everything fails */

/* mover_gather.c */
void mover_gather_begin(struct mover *m, struct job *job);
void mover_gather_next(const struct mover *m, const struct job *job, struct piece *piece_out);
void mover_gather_issued(struct job *job, uint64_t bytes);
void mover_gather_end(struct job *job);

/* mover_regions.c */
enum ckpt_status mover_register_all(struct mover *m);
void mover_shape_memory(struct mover *m, struct job *job);
void mover_renew_segments(struct mover *m, struct job *job);
void mover_revoke_segments(struct mover *m, const uint16_t *segments, uint32_t n);
void mover_fill_offer(struct mover *m, struct offer_reply *reply);

#endif
