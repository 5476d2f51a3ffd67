/* SPDX-License-Identifier: Apache-2.0 */
#include "fanout/star.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/reason.h"
#include "digest/digest.h"

#define OUT_BYTES_MAX (64 * CKPT_MIB) /* a rank that takes none of so much is lost */
#define STRANGERS_MAX 64              /* who came and has not said who it is */
#define STRANGER UINT32_MAX

struct peer {
    int fd; /* -1: the place is free, or its rank was lost */
    uint32_t rank;
    bool connecting;
    bool lost; /* to be said */
    uint8_t *in;
    size_t in_bytes;
    size_t taken; /* of the word that was given out */
    uint8_t *out;
    size_t out_bytes;
    size_t out_room;
};

struct star {
    int listener;
    uint32_t ranks;
    uint8_t token[TOKEN_BYTES];
    size_t in_room;
    uint32_t count;
    bool *there;   /* by rank */
    uint32_t next; /* whose words are looked at first */
    struct peer *peers;
    struct pollfd *polled; /* count, the listener, the caller's */
};

static struct star *make(uint32_t count, size_t body_max)
{
    struct star *star = calloc(1, sizeof(*star));
    if (star == NULL) {
        return NULL;
    }
    star->listener = -1;
    star->in_room = sizeof(struct word_header) + body_max;
    star->count = count;
    star->peers = calloc(count, sizeof(*star->peers));
    star->polled = calloc(count + 2, sizeof(*star->polled));
    star->there = calloc(count, sizeof(*star->there));
    for (uint32_t i = 0; star->peers != NULL && i < count; i++) {
        star->peers[i].fd = -1;
    }
    if (star->peers == NULL || star->polled == NULL || star->there == NULL) {
        star_close(&star);
    }
    return star;
}

enum ckpt_status star_listen(const char *host, uint32_t ranks, const uint8_t token[TOKEN_BYTES],
                             struct star **star_out, char address_out[TCP_ADDRESS_BYTES],
                             char *reason)
{
    struct star *star = make(ranks + STRANGERS_MAX, WORD_BODY_TO_LEADER_MAX);
    if (star == NULL) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "fan-out: no memory for its connections");
    }
    star->ranks = ranks;
    memcpy(star->token, token, TOKEN_BYTES);
    enum ckpt_status status = tcp_listen(host, &star->listener, address_out, reason);
    if (status != CKPT_OK) {
        star_close(&star);
        return status;
    }
    *star_out = star;
    return CKPT_OK;
}

static bool open_peer(const struct star *star, struct peer *peer, int fd, uint32_t rank)
{
    *peer = (struct peer){.fd = fd, .rank = rank, .in = malloc(star->in_room)};
    if (peer->in == NULL) {
        close(fd);
        peer->fd = -1;
    }
    return peer->in != NULL;
}

static void shut(struct peer *peer)
{
    if (peer->fd >= 0) {
        close(peer->fd);
    }
    free(peer->in);
    free(peer->out);
    peer->fd = -1;
    peer->connecting = false;
    peer->in = peer->out = NULL;
    peer->in_bytes = peer->taken = peer->out_bytes = peer->out_room = 0;
}

static void lose(struct star *star, struct peer *peer)
{
    shut(peer); /* its rank stays */
    peer->lost = peer->rank != STRANGER;
    if (peer->lost) {
        star->there[peer->rank] = false;
    }
}

enum ckpt_status star_connect(const char *address, struct star **star_out, char *reason)
{
    int fd;
    struct star *star = make(1, WORD_BODY_MAX);
    if (star == NULL) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "fan-out: no memory for its connection");
    }
    enum ckpt_status status = tcp_connect(address, &fd, reason);
    if (status == CKPT_OK && !open_peer(star, &star->peers[0], fd, 0)) {
        status = reason_refuse(reason, CKPT_ERR_MEMORY, "fan-out: no memory for its connection");
    }
    if (status != CKPT_OK) {
        star_close(&star);
        return status;
    }
    star->peers[0].connecting = true;
    star->there[0] = true;
    *star_out = star;
    return CKPT_OK;
}

enum ckpt_status star_host(const struct star *star, char host_out[TCP_ADDRESS_BYTES])
{
    return star->peers[0].fd >= 0 ? tcp_host_of(star->peers[0].fd, host_out) : CKPT_ERR_LINK;
}

static void flush(struct star *star, struct peer *peer)
{
    size_t sent = 0;
    if (peer->connecting) {
        return;
    }
    while (sent < peer->out_bytes) {
        ssize_t count = send(peer->fd, peer->out + sent, peer->out_bytes - sent, MSG_NOSIGNAL);
        if (count <= 0) {
            if (errno != EAGAIN && errno != EINTR) {
                lose(star, peer);
                return;
            }
            break;
        }
        sent += (size_t)count;
    }
    peer->out_bytes -= sent;
    memmove(peer->out, peer->out + sent, peer->out_bytes);
}

static bool has_room(struct peer *peer, size_t bytes)
{
    size_t wanted = peer->out_bytes + bytes;
    if (wanted <= peer->out_room) {
        return true;
    }
    uint8_t *grown = wanted <= OUT_BYTES_MAX ? realloc(peer->out, wanted * 2) : NULL;
    if (grown != NULL) {
        peer->out = grown;
        peer->out_room = wanted * 2;
    }
    return grown != NULL;
}

static void send_to(struct star *star, struct peer *peer, const struct word_header *header,
                    const void *body)
{
    if (!has_room(peer, sizeof(*header) + header->bytes)) {
        lose(star, peer);
        return;
    }
    memcpy(peer->out + peer->out_bytes, header, sizeof(*header));
    peer->out_bytes += sizeof(*header);
    if (header->bytes > 0) {
        memcpy(peer->out + peer->out_bytes, body, header->bytes);
        peer->out_bytes += header->bytes;
    }
    flush(star, peer);
}

void star_send(struct star *star, uint32_t to, enum word_type type, uint32_t fetch,
               const void *body, size_t bytes)
{
    struct word_header header = {WORDS_VERSION, (uint32_t)type, fetch, (uint32_t)bytes};
    for (uint32_t i = 0; i < star->count; i++) {
        struct peer *peer = &star->peers[i];
        if (peer->fd >= 0 && peer->rank != STRANGER && (to == STAR_ALL || to == peer->rank)) {
            send_to(star, peer, &header, body);
        }
    }
}

static void receive(struct star *star, struct peer *peer)
{
    size_t room = star->in_room - peer->in_bytes;
    if (room == 0) { /* of a word that has not been taken yet */
        return;
    }
    ssize_t count = recv(peer->fd, peer->in + peer->in_bytes, room, 0);
    if (count > 0) {
        peer->in_bytes += (size_t)count;
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
        lose(star, peer);
    }
}

/* A stranger becomes a rank by its JOIN. */
static bool is_admitted(const struct star *star, const struct peer *stranger)
{
    struct word_header header;
    struct word_join join;
    memcpy(&header, stranger->in, sizeof(header));
    if (header.type != WORD_JOIN || header.bytes != sizeof(join)) {
        return false;
    }
    memcpy(&join, stranger->in + sizeof(header), sizeof(join));
    bool is_ours = memcmp(join.token, star->token, TOKEN_BYTES) == 0 && join.rank != 0 &&
                   join.rank < star->ranks;
    for (uint32_t i = 0; is_ours && i < star->count; i++) {
        const struct peer *peer = &star->peers[i];
        is_ours = peer->rank != join.rank || (peer->fd < 0 && !peer->lost);
    }
    return is_ours;
}

/* True: *word_out is the next word of this peer. What makes no sense ends its connection. */
static bool read_word(struct star *star, struct peer *peer, struct word *word_out)
{
    struct word_header header;
    if (peer->in_bytes < sizeof(header)) {
        return false;
    }
    memcpy(&header, peer->in, sizeof(header));
    if (header.version != WORDS_VERSION || header.bytes > star->in_room - sizeof(header) ||
        header.type < WORD_JOIN || header.type >= WORD_LOST) {
        lose(star, peer);
        return false;
    }
    if (peer->in_bytes < sizeof(header) + header.bytes) {
        return false;
    }
    if (peer->rank == STRANGER) {
        if (!is_admitted(star, peer)) {
            lose(star, peer);
            return false;
        }
        struct word_join join;
        memcpy(&join, peer->in + sizeof(header), sizeof(join));
        peer->rank = join.rank;
        star->there[join.rank] = true;
    }
    peer->taken = sizeof(header) + header.bytes;
    *word_out = (struct word){.type = (enum word_type)header.type,
                              .from = peer->rank,
                              .fetch = header.fetch,
                              .bytes = header.bytes,
                              .body = peer->in + sizeof(header)};
    return true;
}

/* What was given out before has been read. */
static void consume(struct peer *peer)
{
    if (peer->fd >= 0 && peer->taken > 0) {
        peer->in_bytes -= peer->taken;
        memmove(peer->in, peer->in + peer->taken, peer->in_bytes);
        peer->taken = 0;
    }
}

static bool find_word(struct star *star, struct word *word_out)
{
    for (uint32_t i = 0; i < star->count; i++) {
        uint32_t at = (star->next + i) % star->count;
        struct peer *peer = &star->peers[at];
        consume(peer);
        bool found = peer->fd >= 0 && read_word(star, peer, word_out);
        if (!found && peer->lost) {
            peer->lost = false;
            *word_out = (struct word){.type = WORD_LOST, .from = peer->rank};
            found = true;
        }
        if (found) {
            star->next = at + 1;
            return true;
        }
    }
    return false;
}

static void welcome(struct star *star)
{
    int fd;
    while ((fd = tcp_accept(star->listener)) >= 0) {
        uint32_t i = 0;
        while (i < star->count && (star->peers[i].fd >= 0 || star->peers[i].lost)) {
            i++;
        }
        if (i == star->count) {
            close(fd);
        } else {
            (void)open_peer(star, &star->peers[i], fd, STRANGER);
        }
    }
}

static void serve(struct star *star, struct peer *peer, short events)
{
    if (peer->connecting && (events & (POLLOUT | POLLERR | POLLHUP)) != 0) {
        peer->connecting = false;
        if (tcp_error(peer->fd) != 0) {
            lose(star, peer);
            return;
        }
        flush(star, peer);
    } else if ((events & POLLOUT) != 0) {
        flush(star, peer);
    }
    if (peer->fd >= 0 && !peer->connecting && (events & (POLLIN | POLLERR | POLLHUP)) != 0) {
        receive(star, peer);
    }
}

enum ckpt_status star_take(struct star *star, int wake_fd, int wait_ms, struct word *word_out)
{
    if (find_word(star, word_out)) {
        return CKPT_OK;
    }
    for (uint32_t i = 0; i < star->count; i++) {
        const struct peer *peer = &star->peers[i];
        bool out = peer->connecting || peer->out_bytes > 0;
        star->polled[i] = (struct pollfd){peer->fd, (short)(POLLIN | (out ? POLLOUT : 0)), 0};
    }
    star->polled[star->count] = (struct pollfd){star->listener, POLLIN, 0};
    star->polled[star->count + 1] = (struct pollfd){wake_fd, POLLIN, 0};
    if (poll(star->polled, star->count + 2, wait_ms) <= 0) {
        return CKPT_ERR_BUSY;
    }
    for (uint32_t i = 0; i < star->count; i++) {
        if (star->polled[i].revents != 0) {
            serve(star, &star->peers[i], star->polled[i].revents);
        }
    }
    if (star->polled[star->count].revents != 0) {
        welcome(star);
    }
    return find_word(star, word_out) ? CKPT_OK : CKPT_ERR_BUSY;
}

bool star_has(const struct star *star, uint32_t rank)
{
    return star->there[rank];
}

void star_close(struct star **star)
{
    if (*star == NULL) {
        return;
    }
    for (uint32_t i = 0; (*star)->peers != NULL && i < (*star)->count; i++) {
        shut(&(*star)->peers[i]);
    }
    if ((*star)->listener >= 0) {
        close((*star)->listener);
    }
    free((*star)->peers);
    free((*star)->polled);
    free((*star)->there);
    free(*star);
    *star = NULL;
}
