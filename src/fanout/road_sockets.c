/* SPDX-License-Identifier: Apache-2.0 */
/* The road's side of the thread: what it is told, and what it says. Connections are made when the
 * first shard needs them, and kept for the others. */
#include "fanout/road_sockets.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/reason.h"
#include "fanout/sockets_thread.h"
#include "fanout/tcp.h"

#define LANE_VERSION 1

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static void sockets_close(void *road)
{
    struct sockets *s = road;
    sockets_thread_end(s);
    for (uint32_t i = 0; i < s->ranks && s->in != NULL && s->out != NULL; i++) {
        close_fd(&s->in[i].fd);
        close_fd(&s->out[i].fd);
        free(s->out[i].queue);
    }
    for (size_t i = 0; i < SOCKETS_STRANGERS_MAX; i++) {
        close_fd(&s->strangers[i].fd);
    }
    close_fd(&s->listener);
    close_fd(&s->wake);
    close_fd(&s->kick);
    free(s->in);
    free(s->out);
    free(s->polled);
    free(s->addresses);
    free(s->left);
    free(s->seen);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

static enum ckpt_status sockets_open(void **road_out, char address[ROAD_ADDRESS_BYTES], int device,
                                     char *reason)
{
    char host[ROAD_ADDRESS_BYTES];
    struct sockets *s = calloc(1, sizeof(*s));
    (void)device;
    if (s == NULL) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "fan-out: sockets: no memory");
    }
    pthread_mutex_init(&s->mutex, NULL);
    s->listener = -1;
    for (size_t i = 0; i < SOCKETS_STRANGERS_MAX; i++) {
        s->strangers[i].fd = -1;
    }
    s->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    s->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    memcpy(host, address, sizeof(host));
    enum ckpt_status status = tcp_listen(host, &s->listener, address, reason);
    if (status == CKPT_OK && (s->wake < 0 || s->kick < 0)) {
        status = reason_refuse(reason, CKPT_ERR_SYSTEM, "fan-out: sockets: no descriptors left");
    }
    if (status != CKPT_OK) {
        sockets_close(s);
        return status;
    }
    *road_out = s;
    return CKPT_OK;
}

static enum ckpt_status sockets_key(void *road, uint8_t key_out[ROAD_KEY_BYTES], char *reason)
{
    (void)road;
    return getrandom(key_out, ROAD_KEY_BYTES, 0) == ROAD_KEY_BYTES
               ? CKPT_OK
               : reason_refuse(reason, CKPT_ERR_SYSTEM, "fan-out: getrandom failed");
}

static enum ckpt_status sockets_meet(void *road, const struct road_setup *setup, char *reason)
{
    struct sockets *s = road;
    s->ranks = setup->ranks;
    s->pace_bytes_s = setup->pace_bytes_s;
    s->hello = (struct lane_hello){.rank = setup->rank, .version = LANE_VERSION};
    memcpy(s->hello.key, setup->key, ROAD_KEY_BYTES);
    s->in = calloc(s->ranks, sizeof(*s->in));
    s->out = calloc(s->ranks, sizeof(*s->out));
    s->polled = calloc(2 * (size_t)s->ranks + SOCKETS_STRANGERS_MAX + 2, sizeof(*s->polled));
    s->addresses = malloc((size_t)s->ranks * ROAD_ADDRESS_BYTES);
    if (s->in == NULL || s->out == NULL || s->polled == NULL || s->addresses == NULL) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "fan-out: sockets: no memory");
    }
    memcpy(s->addresses, setup->addresses, (size_t)s->ranks * ROAD_ADDRESS_BYTES);
    for (uint32_t i = 0; i < s->ranks; i++) {
        s->in[i].fd = -1;
        s->out[i].fd = -1;
    }
    return sockets_thread_start(s)
               ? CKPT_OK
               : reason_refuse(reason, CKPT_ERR_SYSTEM, "fan-out: no thread is left");
}

/* The connections that the plan wants of this rank, and their queues. */
static enum ckpt_status link_up(struct sockets *s, const struct fanout_plan *plan, uint64_t blocks,
                                char *reason)
{
    for (uint32_t rank = 0; rank < s->ranks; rank++) {
        struct lane_out *lane = &s->out[rank];
        if (!plan_is_linked(plan, s->hello.rank, rank)) {
            continue;
        }
        free(lane->queue);
        lane->queue = malloc(blocks * sizeof(*lane->queue));
        lane->first = lane->count = 0;
        lane->sent = 0;
        if (lane->queue == NULL) {
            return reason_refuse(reason, CKPT_ERR_MEMORY, "fan-out: sockets: no memory");
        }
        if (lane->fd < 0) {
            enum ckpt_status status = tcp_connect(s->addresses[rank], &lane->fd, reason);
            if (status != CKPT_OK) {
                return status;
            }
            lane->connecting = true;
        }
    }
    return CKPT_OK;
}

/* How many blocks of a piece are this rank's to get, or how many times it gives one out. */
static uint32_t share(const struct sockets *s, const struct fanout_plan *plan, uint64_t index)
{
    struct fanout_piece piece = plan_piece(plan, index);
    uint32_t blocks = (uint32_t)((piece.bytes + FANOUT_BLOCK_BYTES - 1) / FANOUT_BLOCK_BYTES);
    if (!plan->holds[s->hello.rank]) {
        return blocks;
    }
    if (piece.sender != s->hello.rank || plan->receiver_count == 0) {
        return 0;
    }
    return plan->shape == FANOUT_STAR ? blocks * plan->receiver_count : blocks;
}

static enum ckpt_status sockets_begin(void *road, const struct road_shard *shard, char *reason)
{
    struct sockets *s = road;
    const struct fanout_plan *plan = shard->plan;
    uint64_t pieces = plan_piece_count(plan);
    uint64_t blocks = (plan->bytes + FANOUT_BLOCK_BYTES - 1) / FANOUT_BLOCK_BYTES;
    pthread_mutex_lock(&s->mutex);
    s->fetch++;
    s->left = malloc(pieces * sizeof(*s->left));
    s->seen = calloc(blocks / 8 + 1, 1);
    enum ckpt_status status = CKPT_ERR_MEMORY;
    if (s->left == NULL || s->seen == NULL) {
        reason_set(reason, "fan-out: sockets: no memory");
    } else {
        status = link_up(s, plan, blocks, reason);
    }
    if (status == CKPT_OK && s->left != NULL) {
        for (uint64_t i = 0; i < pieces; i++) {
            s->left[i] = share(s, plan, i);
        }
        s->plan = plan;
        s->target = shard->target;
        s->data = shard->source != NULL ? shard->source : shard->target;
    }
    pthread_mutex_unlock(&s->mutex);
    sockets_signal(s->kick);
    return status;
}

static void queue_piece(struct sockets *s, uint64_t index)
{
    struct fanout_piece piece = plan_piece(s->plan, index);
    uint64_t first = piece.offset / FANOUT_BLOCK_BYTES;
    uint64_t end = (piece.offset + piece.bytes + FANOUT_BLOCK_BYTES - 1) / FANOUT_BLOCK_BYTES;
    if (piece.sender != s->hello.rank) {
        return;
    }
    for (uint64_t block = first; block < end; block++) {
        uint32_t to;
        for (uint32_t door = 0; (to = plan_door(s->plan, block, door)) != FANOUT_NOBODY; door++) {
            lane_queue(&s->out[to], block);
        }
    }
}

static enum ckpt_status sockets_post(void *road, uint64_t first, uint32_t count, char *reason)
{
    struct sockets *s = road;
    (void)reason;
    pthread_mutex_lock(&s->mutex);
    s->rounds[s->round_count][0] = first;
    s->rounds[s->round_count][1] = count;
    s->round_count++;
    for (uint64_t i = first; s->plan->holds[s->hello.rank] && i < first + count; i++) {
        queue_piece(s, i);
    }
    pthread_mutex_unlock(&s->mutex);
    sockets_signal(s->kick);
    return CKPT_OK;
}

static enum ckpt_status sockets_take(void *road, char *reason)
{
    struct sockets *s = road;
    sockets_drain(s->wake);
    pthread_mutex_lock(&s->mutex);
    enum ckpt_status status = CKPT_OK;
    for (uint64_t i = 0; i < s->rounds[0][1]; i++) {
        if (s->left[s->rounds[0][0] + i] > 0) {
            status = CKPT_ERR_BUSY;
        }
    }
    if (status == CKPT_OK) {
        memmove(s->rounds[0], s->rounds[1], sizeof(s->rounds[0]));
        s->round_count--;
        sockets_signal(s->wake); /* the next one may have come with it */
    } else if (s->status != CKPT_OK) {
        status = reason_refuse(reason, s->status, "%s", s->reason);
    }
    pthread_mutex_unlock(&s->mutex);
    return status;
}

static void sockets_end(void *road)
{
    struct sockets *s = road;
    pthread_mutex_lock(&s->mutex);
    s->plan = NULL;
    s->round_count = 0;
    free(s->left);
    free(s->seen);
    s->left = NULL;
    s->seen = NULL;
    pthread_mutex_unlock(&s->mutex);
}

static int sockets_wake_fd(void *road)
{
    return ((struct sockets *)road)->wake;
}

const struct fanout_road road_sockets = {
    .name = "sockets",
    .open = sockets_open,
    .key = sockets_key,
    .meet = sockets_meet,
    .begin = sockets_begin,
    .post = sockets_post,
    .take = sockets_take,
    .end = sockets_end,
    .wake_fd = sockets_wake_fd,
    .close = sockets_close,
};
