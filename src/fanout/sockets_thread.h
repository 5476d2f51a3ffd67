/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that has all of a rank's connections: it sends what is queued, takes what comes to its
 * place in the shard, and queues it for who is next. */
#ifndef CKPT_FANOUT_SOCKETS_THREAD_H
#define CKPT_FANOUT_SOCKETS_THREAD_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "fanout/lane.h"
#include "fanout/plan.h"

#define SOCKETS_STRANGERS_MAX 64

struct stranger {
    int fd;
    size_t got;
    struct lane_hello hello;
};

struct sockets {
    int listener;
    int wake; /* the caller's, when there is something to take */
    int kick; /* the thread's, when there is something to do */
    struct lane_hello hello;
    uint32_t ranks;
    char (*addresses)[ROAD_ADDRESS_BYTES];
    uint64_t pace_bytes_s;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t mutex; /* over all below */
    bool ends;
    enum ckpt_status status; /* what the thread met */
    char reason[CKPT_REASON_MAX + 1];
    struct lane_in *in; /* by rank, as out */
    struct lane_out *out;
    struct stranger strangers[SOCKETS_STRANGERS_MAX];
    struct pollfd *polled; /* in, out, strangers, listener, kick */
    int64_t next_ns;       /* when the pace allows more */

    const struct fanout_plan *plan; /* NULL: between shards */
    const uint8_t *data;
    uint8_t *target;
    uint32_t fetch;
    uint32_t *left;        /* of each piece: blocks that are to come, or to go */
    uint8_t *seen;         /* a bit a block that has come */
    uint64_t rounds[2][2]; /* first and count of what is posted, oldest first */
    uint32_t round_count;
};

/* When all above the mutex is set. */
bool sockets_thread_start(struct sockets *s);

/* Ends it; takes one that was never started. */
void sockets_thread_end(struct sockets *s);

/* Wakes whoever waits for a descriptor of these two, and takes the signal. */
void sockets_signal(int fd);
void sockets_drain(int fd);

#endif
