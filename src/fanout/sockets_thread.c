/* SPDX-License-Identifier: Apache-2.0 */
#include "fanout/sockets_thread.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/reason.h"
#include "fanout/tcp.h"

#define PACED_BYTES (64 * CKPT_KIB) /* at once, where a pace is kept */

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

void sockets_signal(int fd)
{
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof(one));
    (void)written; /* it can only be full, which is as good */
}

void sockets_drain(int fd)
{
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof(count));
    (void)got;
}

static void fail(struct sockets *s, enum ckpt_status status, const char *what, uint32_t rank)
{
    if (s->status == CKPT_OK) {
        s->status = reason_refuse(s->reason, status, "fan-out: sockets: rank %u %s", rank, what);
        sockets_signal(s->wake);
    }
}

/* Who is next gets it too; a piece that is complete may be taken. */
static void arrived(struct sockets *s, uint32_t from, uint64_t block)
{
    uint64_t piece = block * FANOUT_BLOCK_BYTES / s->plan->piece_bytes;
    uint8_t bit = (uint8_t)(1u << (block % 8));
    if ((s->seen[block / 8] & bit) != 0 || !plan_is_linked(s->plan, from, s->hello.rank)) {
        fail(s, CKPT_ERR_PROTOCOL, "sent a block that is not its to send", from);
        return;
    }
    s->seen[block / 8] |= bit;
    uint32_t next = plan_next(s->plan, s->hello.rank, block);
    if (next != FANOUT_NOBODY) {
        lane_queue(&s->out[next], block);
    }
    if (--s->left[piece] == 0) {
        sockets_signal(s->wake);
    }
}

static void take_in(struct sockets *s, uint32_t rank)
{
    uint64_t block;
    enum ckpt_status status;
    do {
        status = lane_receive(&s->in[rank], s->plan, s->target, s->fetch, &block);
        if (status == CKPT_OK) {
            arrived(s, rank, block);
        }
    } while (status == CKPT_OK && s->status == CKPT_OK);
    if (status == CKPT_ERR_PROTOCOL) {
        fail(s, status, "sent what is no block of this shard", rank);
    } else if (status == CKPT_ERR_LINK) {
        close_fd(&s->in[rank].fd);
        fail(s, status, "closed its connection", rank);
    }
}

static void give_out(struct sockets *s, uint32_t rank)
{
    struct lane_out *lane = &s->out[rank];
    size_t sent;
    uint64_t block;
    if (lane->connecting) {
        lane->connecting = false;
        if (tcp_error(lane->fd) != 0) {
            fail(s, CKPT_ERR_LINK, "cannot be reached", rank);
            return;
        }
    }
    enum ckpt_status status =
        lane_send(lane, &s->hello, s->plan, s->data, s->fetch,
                  s->pace_bytes_s > 0 ? PACED_BYTES : FANOUT_BLOCK_BYTES, &sent, &block);
    if (s->pace_bytes_s > 0) {
        int64_t now = (int64_t)clock_now_ns();
        int64_t from =
            s->next_ns > now - 1000000 ? s->next_ns : now; /* idle time is not saved up */
        s->next_ns = from + (int64_t)((double)sent * 1e9 / (double)s->pace_bytes_s);
    }
    if (status == CKPT_ERR_LINK) {
        fail(s, status, "takes nothing any more", rank);
    } else if (status == CKPT_OK && s->plan->holds[s->hello.rank] &&
               --s->left[block * FANOUT_BLOCK_BYTES / s->plan->piece_bytes] == 0) {
        sockets_signal(s->wake);
    }
}

static void welcome(struct sockets *s)
{
    int fd;
    while ((fd = tcp_accept(s->listener)) >= 0) {
        size_t i = 0;
        while (i < SOCKETS_STRANGERS_MAX && s->strangers[i].fd >= 0) {
            i++;
        }
        if (i == SOCKETS_STRANGERS_MAX) {
            i = 0; /* who is silent gives way */
            close_fd(&s->strangers[i].fd);
        }
        s->strangers[i] = (struct stranger){.fd = fd};
    }
}

/* A stranger that knows the key becomes a rank's connection. */
static void hear(struct sockets *s, struct stranger *stranger)
{
    size_t wanted = sizeof(stranger->hello) - stranger->got;
    ssize_t count = read(stranger->fd, (uint8_t *)&stranger->hello + stranger->got, wanted);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (count <= 0) {
        close_fd(&stranger->fd);
        return;
    }
    stranger->got += (size_t)count;
    if (stranger->got < sizeof(stranger->hello)) {
        return;
    }
    const struct lane_hello *hello = &stranger->hello;
    if (memcmp(hello->key, s->hello.key, ROAD_KEY_BYTES) == 0 &&
        hello->version == s->hello.version && hello->rank < s->ranks && s->in[hello->rank].fd < 0) {
        s->in[hello->rank] = (struct lane_in){.fd = stranger->fd};
        stranger->fd = -1;
    }
    close_fd(&stranger->fd);
}

static bool may_send(const struct sockets *s, const struct lane_out *lane, int64_t now_ns)
{
    bool wants = lane->connecting || lane->hello_sent < sizeof(s->hello) ||
                 (s->plan != NULL && lane->first < lane->count);
    return lane->fd >= 0 && wants && (s->pace_bytes_s == 0 || now_ns >= s->next_ns);
}

/* Until when the thread may sleep, by the pace. */
static int wait_ms(const struct sockets *s, int64_t now_ns)
{
    if (s->pace_bytes_s == 0 || s->plan == NULL || s->next_ns <= now_ns) {
        return -1;
    }
    return (int)((s->next_ns - now_ns + 999999) / 1000000);
}

static size_t list(struct sockets *s, int64_t now_ns)
{
    bool is_on = s->plan != NULL && s->status == CKPT_OK;
    struct pollfd *at = s->polled;
    for (uint32_t i = 0; i < s->ranks; i++, at += 2) {
        bool sends = is_on && may_send(s, &s->out[i], now_ns);
        at[0] = (struct pollfd){is_on ? s->in[i].fd : -1, POLLIN, 0};
        at[1] = (struct pollfd){sends ? s->out[i].fd : -1, POLLOUT, 0};
    }
    for (size_t i = 0; i < SOCKETS_STRANGERS_MAX; i++) {
        *at++ = (struct pollfd){s->strangers[i].fd, POLLIN, 0};
    }
    *at++ = (struct pollfd){s->listener, POLLIN, 0};
    *at++ = (struct pollfd){s->kick, POLLIN, 0};
    return (size_t)(at - s->polled);
}

static void serve(struct sockets *s)
{
    const struct pollfd *at = s->polled;
    for (uint32_t i = 0; i < s->ranks; i++, at += 2) {
        /* The caller may have ended the shard since. */
        if (at[0].revents != 0 && s->plan != NULL && s->status == CKPT_OK) {
            take_in(s, i);
        }
        if (at[1].revents != 0 && s->plan != NULL && s->status == CKPT_OK) {
            give_out(s, i);
        }
    }
    for (size_t i = 0; i < SOCKETS_STRANGERS_MAX; i++, at++) {
        if (at->revents != 0 && s->strangers[i].fd >= 0) {
            hear(s, &s->strangers[i]);
        }
    }
    if (at[0].revents != 0) {
        welcome(s);
    }
    if (at[1].revents != 0) {
        sockets_drain(s->kick);
    }
}

static void *work(void *road)
{
    struct sockets *s = road;
    pthread_mutex_lock(&s->mutex);
    while (!s->ends) {
        int64_t now_ns = (int64_t)clock_now_ns(); /* one: who is left out is waited for */
        size_t count = list(s, now_ns);
        int wait = wait_ms(s, now_ns);
        pthread_mutex_unlock(&s->mutex);
        int ready = poll(s->polled, count, wait);
        pthread_mutex_lock(&s->mutex);
        if (ready > 0) {
            serve(s);
        }
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

bool sockets_thread_start(struct sockets *s)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    s->has_thread = pthread_create(&s->thread, NULL, work, s) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return s->has_thread;
}

void sockets_thread_end(struct sockets *s)
{
    if (s->has_thread) {
        pthread_mutex_lock(&s->mutex);
        s->ends = true;
        pthread_mutex_unlock(&s->mutex);
        sockets_signal(s->kick);
        pthread_join(s->thread, NULL);
    }
}
