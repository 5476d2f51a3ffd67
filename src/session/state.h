/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: a hub, its listeners, its sessions. */
#ifndef CKPT_SESSION_STATE_H
#define CKPT_SESSION_STATE_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <sys/un.h>

#include "session/filter.h"
#include "session/resolver.h"
#include "session/session.h"
#include "wire/message_codec.h"
#include "wire/stream.h"

/*        connect                      accept
 *           |                           |
 *           v                           v
 *      CONNECTING ----- opened ------> OPEN ---- session_close, broken ----> CLOSING
 *           |                           | |                                     |
 *           | a call of the owner       | | error, peer closed, idle            | all is written
 *           | that failed               | |                                     v
 *           +---------> FAILED <--------+ |                                 LINGERING
 *                         |               |                                     |
 *                         | the loop      |                                     | the peer has
 *                         v               v                                     | closed, or time
 *                        DEAD <-----------+-------------------------------------+ is over
 *
 * DEAD: `closed` was called, nothing is open; freed at the end of the turn, as callers on the stack
 * may still hold the pointer. */
enum session_state {
    SESSION_CONNECTING,
    SESSION_OPEN,
    SESSION_FAILED,
    SESSION_CLOSING,
    SESSION_LINGERING,
    SESSION_DEAD,
};

/* Descriptors that ride on one byte of the output. */
struct rider {
    struct rider *next;
    uint64_t at; /* offset of the byte in all that was ever queued to the session */
    uint32_t count;
    int descriptors[];
};

struct session {
    struct session_hub *hub;
    struct session *next; /* in hub->sessions */
    struct session *previous;
    struct session *bucket_next; /* of one link hash */
    struct session *flush_next;
    bool is_flushing; /* in hub->flushing */
    struct session *held_next;
    bool is_held; /* in hub->held: it has something for a callback, and its reading has stopped */
    enum session_state state;
    uint32_t link;
    uint32_t group;
    void *data;
    const struct session_events *events;
    void *context;
    int fd;
    const struct session_channel *channel; /* what carries its bytes; NULL: closed */
    bool is_local;
    uint32_t uid;
    char peer[CKPT_ADDRESS_MAX + 1];
    struct resolver_wait wait; /* for the address of its peer; fd is -1 meanwhile */
    uint32_t connect_ms;       /* how long connecting may take */
    struct event *read_event;
    struct event *write_event;
    struct event *linger_event;
    struct event *process_event;    /* of the peer's end; NULL: it is not watched */
    int process;                    /* its pidfd; -1: none */
    bool is_orphan;                 /* that process has ended, in a pause */
    struct listener *listener;      /* that accepted it; NULL: none, or it listens no more */
    bool is_known;                  /* the owner vouched for it */
    struct incarnation incarnation; /* of the peer, from its first frame */
    uint64_t sequence;              /* the last taken */
    struct evbuffer *output;
    uint64_t queued; /* bytes ever */
    uint64_t sent;   /* bytes ever */
    struct rider *riders;
    struct rider *last_rider;
    int arrived;                 /* the last descriptor that the peer passed; -1: none, or taken */
    enum ckpt_status end_status; /* for closed */
    char end_reason[CKPT_REASON_MAX + 1];
    struct wire_stream stream;
    uint8_t buffer[]; /* receive_bytes_max */
};

struct listener {
    struct listener *next;
    struct session_hub *hub;
    const struct session_events *events;
    void *context;
    int fd;
    int lock_fd;                /* of a UNIX socket: held as long as it is bound; -1: none */
    bool is_listening;          /* who connects waits, or is served; false: is refused */
    struct event *accept_event; /* NULL: bound only, nobody is served yet */
    bool is_held;               /* accepting has stopped for a pause */
    struct event *retry_event;  /* after running out of descriptors */
    struct session_door door;
    uint32_t sessions;                                      /* accepted here, and not over */
    uint32_t strangers;                                     /* of those that nobody vouched for */
    char name[CKPT_ADDRESS_MAX + 1];                        /* as it was asked for */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* to be unlinked, or "" */
    char locked_path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* that lock_fd is of */
};

struct session_hub {
    struct event_base *base;
    struct session_hub_config config;
    struct session_counters counters;
    struct session_filter *filter;
    struct resolver *resolver; /* from the first session_connect on */
    struct listener *listeners;
    struct session *sessions;
    struct session *flushing;
    struct session *dead;
    bool is_paused;
    struct session *held; /* in the order in which they are to be heard; empty but for a pause */
    struct session **last_held;
    struct event *flush_event;
    uint32_t last_link;
    uint64_t sequence; /* of the last frame sent to anybody */
    struct message_scratch scratch;
    uint8_t *scratch_memory;
    uint8_t *frame;         /* FRAME_BYTES_MAX, for encoding */
    struct message message; /* being handed to a callback */
    uint32_t buckets;       /* a power of two */
    struct session **links;
};

#endif
