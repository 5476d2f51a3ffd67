/* SPDX-License-Identifier: Apache-2.0 */
/* The process around the agent's machine.
 *
 * One thread, the loop, runs the machine and all sockets. The mover's thread owns the transport,
 * the digester's threads digest; they hear of work through their own queues and answer through the
 * completions. The machine never waits for them, and they never see the machine. */
#ifndef CKPT_CKPTD_DAEMON_H
#define CKPT_CKPTD_DAEMON_H

#include "agent/agent.h"
#include "arena/arena.h"
#include "base/lateness.h"
#include "base/rare.h"
#include "config/config.h"
#include "mover/completions.h"
#include "mover/digester.h"
#include "mover/mover.h"
#include "ckptd/quiet.h"
#include "ckptd/rails.h"
#include "session/session.h"

struct event;
struct event_base;

#define DAEMON_SAID 64 /* things that may go on at once, of connections */

/* A connection that the machine asked for: its number there, and its session here. */
struct made_link {
    struct made_link *next;
    uint32_t link;
    struct session *session;
    bool is_looked_up;     /* its peer's name is, or was when it began */
    bool lookup_is_unsaid; /* and the machine does not know yet */
};

struct daemon {
    const struct config *config;
    struct incarnation incarnation;
    char node[CKPT_NODE_NAME_MAX + 1];
    char domain[CKPT_DOMAIN_NAME_MAX + 1];
    char address[CKPT_ADDRESS_MAX + 1]; /* that others are told */
    bool address_is_found; /* by the connection to the coordinator: listen is every address */
    char port[8];          /* of address then */

    struct rails rails;
    struct arena *arena;
    const struct digest_engine *engine;
    struct completions *completions;
    struct digester *digester;
    struct mover *mover;
    struct quiet *quiet;

    void *machine_memory;
    struct agent *machine;
    struct agent_update *update;
    struct lateness lateness;
    const struct message *event_message; /* of the event that is being acted on */
    int event_descriptor;                /* that came with it; -1: none, or taken */

    struct event_base *base;
    struct event *deadline_event;
    struct event *completion_event;
    struct event *reconnect_event;
    struct event *lookup_event; /* the machine is to hear of look-ups that have begun */
    struct event *idle_event;   /* NULL: it never ends of itself */
    uint64_t idle_since_ms;     /* 0: it is needed */
    struct session_hub *hub;
    struct session *coordinator;
    bool coordinator_up;
    uint32_t reconnect_ms;
    bool is_joined;         /* as far as has been said */
    uint32_t tries;         /* to connect, since it was last joined */
    uint64_t away_since_ms; /* when that ended, or the first of these */
    struct rare said[DAEMON_SAID];
    struct made_link *made_links;
    bool is_started; /* else what it made of an arena is discarded */
    bool is_broken;  /* an arena or machine that cannot be trusted: the loop ends, exit 1 */
};

/* daemon.c: making and ending everything, and one turn of the machine. */
#define DAEMON_REASON_BYTES 1024 /* for who starts it: may be several sentences */
enum ckpt_status daemon_start(struct daemon *d, const struct config *config,
                              char reason[DAEMON_REASON_BYTES]);
int daemon_run(struct daemon *d);
void daemon_end(struct daemon *d);

/* Ends the loop, in order: the coordinator hears that this agent stops. */
void daemon_leave(struct daemon *d);
uint64_t daemon_now_ms(void);
void daemon_event(struct daemon *d, struct agent_event *event);

/* act.c: does what an update says. */
void act_on_update(struct daemon *d, const struct agent_update *update);
void act_on_completions(struct daemon *d);

/* links.c: the sessions with ranks, peers and the coordinator. */
enum ckpt_status links_bind(struct daemon *d, char *reason); /* nobody is served yet */
uint32_t links_sessions_max(const struct config *config);    /* that may come in at once */
void links_connect_coordinator(struct daemon *d);
void links_say_lookups(struct daemon *d);
void links_connect_peer(struct daemon *d, uint32_t link, const char *address);
void links_close_peer(struct daemon *d, uint32_t link);
struct session *links_find(struct daemon *d, enum agent_target target, uint32_t link);
void links_free(struct daemon *d);

/* life.c: where this node stands, who waits for the start, and when nobody needs it any more. */
enum ckpt_status life_derive(struct config *config, char *reason); /* node and domain */
void life_tell_starter(const struct config *config, const char *line);
enum ckpt_status life_watch_idle(struct daemon *d);
void life_watch_stop(void); /* until the loop watches the signals */
bool life_is_stopped(void); /* by one that came before that; any thread */

/* records.c: slot records between the machine and the arena. */
enum ckpt_status records_store(struct daemon *d, const struct slot_record *record);
void records_adopt(struct daemon *d);

#endif
