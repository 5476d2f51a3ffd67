/* SPDX-License-Identifier: Apache-2.0 */
/* The process around the agent's machine: what its parts share.
 *
 * One thread, the loop, runs the machine and all sockets. The mover's thread owns the transport,
 * the digester's threads digest; they hear of work through their own queues and answer through the
 * completions. The machine never waits for them, and they never see the machine. */
#ifndef CKPT_CKPTD_DAEMON_H
#define CKPT_CKPTD_DAEMON_H

#include "agent/agent.h"
#include "base/lateness.h"
#include "base/rare.h"
#include "config/config.h"
#include "daemon/notes.h"
#include "mover/rails.h"

struct arena;
struct completions;
struct digest_engine;
struct digester;
struct event;
struct event_base;
struct made_link;
struct mover;
struct quiet;
struct session;
struct session_events;
struct session_hub;
struct tier_queue;

#define DAEMON_SAID 64 /* things that may go on at once, of connections */

struct daemon {
    const struct config *config;
    struct incarnation incarnation;
    char node[CKPT_NODE_NAME_MAX + 1];
    char domain[CKPT_DOMAIN_NAME_MAX + 1];
    char address[CKPT_ADDRESS_MAX + 1]; /* that others are told */
    bool address_is_found; /* by the connection to the coordinator: listen is every address */
    char port[8];          /* of address then */

    struct rails rails;
    enum agent_closed closed; /* why it takes no new shards */
    struct arena *arena;
    const struct digest_engine *engine;
    struct completions *completions;
    struct digester *digester;
    struct mover *mover;
    struct quiet *quiet;
    struct tier_queue *tier; /* NULL: there is none */

    void *machine_memory;
    size_t machine_bytes;
    struct agent *machine;
    struct agent_update *update;
    struct notes notes;
    struct lateness lateness;
    const struct message *event_message; /* of the event that is being acted on */
    int event_descriptor;                /* that came with it; -1: none, or taken */

    struct event_base *base;
    struct event *deadline_event;
    struct event *completion_event;
    struct event *reconnect_event;
    struct event *lookup_event;    /* the machine is to hear of look-ups that have begun */
    struct event *tier_event;      /* something has ended there */
    struct event *tier_look_event; /* whether it hangs */
    struct event *idle_event;      /* NULL: it never ends of itself */
    uint64_t idle_since_ms;        /* 0: it is needed */

    struct session_hub *hub;
    const struct session_events *peer_events; /* who hears what peers and the coordinator say */
    const struct session_events *coordinator_events;
    struct session *coordinator;
    bool coordinator_up;
    uint32_t reconnect_ms;
    bool is_joined;         /* as far as has been said */
    uint32_t tries;         /* to connect, since it was last joined */
    uint64_t away_since_ms; /* when that ended, or the first of these */
    struct rare said[DAEMON_SAID];
    struct made_link *made_links; /* connections.c */

    size_t parts_started;
    bool is_started; /* else what it made of an arena is discarded */
    bool is_broken;  /* an arena or machine that cannot be trusted: the loop ends, exit 1 */
};

#endif
