/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator process: what its parts share. One thread; everything happens in the event loop.
 *
 *   main.c     start and end
 *   options.c  what it is told
 *   start.c    store, machine and replay, before it listens
 *   loop.c     an event into the machine, its update out
 *   peers.c    what sessions say
 *   admin.c    what ckptctl asks: who may, and mutations
 *   tables.c   the answers as JSON
 *   notes.c    what a person sees in the log */
#ifndef CKPT_CKPTCTLD_DAEMON_H
#define CKPT_CKPTCTLD_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/lateness.h"
#include "coordinator/coordinator.h"
#include "options.h"
#include "session/session.h"
#include "store/store.h"

/* Exit codes; the help page and docs/ckptctld.md say the same. */
enum exit_code {
    EXIT_ENDED = 0,  /* told to, by SIGTERM or SIGINT */
    EXIT_START = 1,  /* could not start: an address in use, no memory, the state directory taken */
    EXIT_CONFIG = 2, /* the configuration is wrong */
    EXIT_STORE = 3,  /* the record store failed or is damaged: a person must look */
    EXIT_STALE = 4,  /* another coordinator rules */
};

#define GROUP_JOINED 1 /* sessions of agents that were welcomed: COORDINATOR_LINK_ALL */
#define EVENTS_COUNTED_MAX 64

/* How often a note's event was seen. */
struct event_count {
    const char *event;
    uint64_t count;
};

struct daemon {
    struct options options;
    struct event_base *base;
    struct session_hub *agents; /* TCP: agents, and as far as allowed ckptctl */
    struct session_hub *local;  /* the UNIX socket: ckptctl */
    char address[CKPT_ADDRESS_MAX + 1];
    struct store *store;
    void *memory;
    size_t memory_bytes;
    struct coordinator *machine;
    struct coordinator_update update;
    struct event *deadline_event;
    struct lateness lateness;
    uint64_t armed_ms; /* what deadline_event waits for; UINT64_MAX: nothing */
    uint64_t started_ms;
    uint64_t epoch_read_ms; /* when the store was last asked who rules */
    bool ending;            /* no event may reach the machine any more */
    enum exit_code exit_code;
    struct event_count events[EVENTS_COUNTED_MAX];
    size_t event_count;
};

/* Monotonic milliseconds. */
uint64_t daemon_now_ms(void);

/* Less than this is no stall but the way of a busy machine. */
#define LATE_SLACK_MS 50

/* Leaves the loop. The first call's code is the one that counts. */
void daemon_end(struct daemon *daemon, enum exit_code code);

/* Opens the store, makes the machine, replays into it and takes a new epoch. What went wrong is
 * logged. EXIT_ENDED for success; on failure daemon_stop gives back what was taken. */
enum exit_code daemon_start(struct daemon *daemon);
void daemon_stop(struct daemon *daemon);

/* Takes an event through the machine and does what the update says. The admin verb's outcome is in
 * *status_out and reason_out (CKPT_REASON_MAX + 1 bytes) unless they are NULL. */
void loop_advance(struct daemon *daemon, struct coordinator_event *event,
                  enum ckpt_status *status_out, char *reason_out);

/* The deadline's event. */
enum ckpt_status loop_open(struct daemon *daemon);
void loop_close(struct daemon *daemon);

/* Opens both hubs and listens. EXIT_ENDED for success; what went wrong is logged. */
enum exit_code peers_open(struct daemon *daemon);
void peers_close(struct daemon *daemon);

/* Answers MESSAGE_ADMIN_ASK. */
void admin_answer(struct daemon *daemon, struct session *session, const struct message *message);

void notes_log(struct daemon *daemon, const struct coordinator_update *update);

#endif
