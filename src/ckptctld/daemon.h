/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator process: what its parts share. Everything happens in the event loop but what
 * touches the record store, which has a thread of its own.
 *
 *   main.c     start and end
 *   options.c  what it is told
 *   start.c    store, machine and replay, before it listens
 *   loop.c     an event into the machine, its update out
 *   commit.c   records to the store, before anybody hears of them
 *   keeper.c   the store's thread
 *   peers.c    what sessions say
 *   admin.c    what ckptctl asks: who may, and mutations
 *   tables.c, tables_checkpoint.c   the answers as JSON
 *   table_change.c  those to changes, and how far a drain is
 *   notes.c    what a person sees in the log */
#ifndef CKPT_CKPTCTLD_DAEMON_H
#define CKPT_CKPTCTLD_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/lateness.h"
#include "base/rare.h"
#include "coordinator/coordinator.h"
#include "ckptctld/keeper.h"
#include "ckptctld/options.h"
#include "session/session.h"
#include "store/store.h"

/* Exit codes; the help page and docs/ckptctld.md say the same. */
enum exit_code {
    EXIT_ENDED = 0,  /* told to, by SIGTERM or SIGINT */
    EXIT_START = 1,  /* could not start or go on: an address in use, no memory, the state directory
                      * taken, a sync that failed. Started again, it may do better */
    EXIT_CONFIG = 2, /* the configuration is wrong */
    EXIT_STORE = 3,  /* the records are damaged, or of a later version: a person must look */
    EXIT_STALE = 4,  /* another coordinator rules */
};

#define REFUSED_SAID 32 /* reasons to refuse a connection that may go on at once */
#define GROUP_JOINED 1  /* sessions of agents that were welcomed: COORDINATOR_LINK_ALL */

/* Records on their way to the store. The hubs are paused meanwhile and no event reaches the
 * machine, so the update and the machine, which the store reads, stay as they are. */
struct commit {
    struct keeper_task task;
    bool is_under_way;
    uint64_t since_ms;
    uint64_t said_ms; /* when it was last said that it is slow; 0: not yet */
    uint64_t epoch;   /* the highest that is on record: what may be said meanwhile */
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
};

/* A look at the store's epoch. */
struct look {
    struct keeper_task task;
    bool is_under_way;
    uint64_t next_ms;
    enum ckpt_status status;
    uint64_t epoch;
    char reason[CKPT_REASON_MAX + 1];
};

struct start {
    struct keeper_task task;  /* opens the store and replays it */
    struct keeper_task rule;  /* takes an epoch */
    struct event *told_event; /* whoever waits for the start hears that it goes on */
    uint32_t told;
    enum exit_code code;
    uint64_t epoch;
};

/* Who asked for a change, and waits for its record. */
struct asked_change {
    struct session_hub *hub;
    uint32_t link;
    uint32_t uid;
    struct message_admin_ask ask;
};

struct daemon {
    struct options options;
    struct event_base *base;
    struct session_hub *agents; /* TCP: agents, and as far as allowed ckptctl */
    struct session_hub *local;  /* the UNIX socket: ckptctl */
    char address[CKPT_ADDRESS_MAX + 1];
    struct keeper *keeper;
    struct store *store; /* of the keeper's tasks alone */
    struct store_progress progress;
    _Atomic int store_waits_for; /* the status that a task is waiting out; CKPT_OK: none */
    struct start start;
    struct commit commit;
    struct look look;
    struct event *patience_event; /* a commit takes long */
    void *memory;
    size_t memory_bytes;
    struct coordinator *machine;
    struct coordinator_update update;
    struct event *deadline_event;
    struct lateness lateness;
    uint64_t armed_ms; /* what deadline_event waits for; UINT64_MAX: nothing */
    uint64_t started_ms;
    bool read_first; /* the machine wants all read before it judges who is lost */
    void (*after_turn)(struct daemon *daemon); /* once its update is out */
    struct asked_change change;
    bool ending; /* no event may reach the machine any more */
    enum exit_code exit_code;
    struct rare refused[REFUSED_SAID];
    uint64_t events[EVENT_COUNT]; /* how often the machine noted each */
};

/* Monotonic milliseconds. */
uint64_t daemon_now_ms(void);

/* The calendar's, since 1970: for what people are shown. */
uint64_t daemon_wall_ms(void);

/* Less than this is no stall but the way of a busy machine. */
#define LATE_SLACK_MS 50

/* Leaves the loop. The first call's code is the one that counts. */
void daemon_end(struct daemon *daemon, enum exit_code code);

/* Has the store opened, the machine made and the records replayed into it, on the keeper's thread;
 * then listens, and only then has a new epoch taken, so that a start that fails leaves the records
 * as they were; and then calls daemon_serve; or ends the process, with what went wrong logged. A
 * store that is locked by another program, or has no room, is waited for. CKPT_ERR_MEMORY,
 * CKPT_ERR_SYSTEM. */
enum ckpt_status daemon_start(struct daemon *daemon);

/* Gives back what was taken; ends the process at once where the disk does not let go of it. */
void daemon_stop(struct daemon *daemon);

/* Serves, and says so; or ends the process. */
void daemon_serve(struct daemon *daemon);

/* Takes an event through the machine and does what the update says: at once, or, where there are
 * records, when they are durable. Then after_turn is called, unless it is NULL, with the update as
 * it was. Not to be called while a commit is under way. */
void loop_advance(struct daemon *daemon, struct coordinator_event *event,
                  void (*after_turn)(struct daemon *daemon));

/* The update's records are durable: does the rest. */
void loop_go_on(struct daemon *daemon);

/* The deadline's event. */
enum ckpt_status loop_open(struct daemon *daemon);
void loop_close(struct daemon *daemon);

/* Hands the update's records to the store; loop_go_on when they are durable, the end of the process
 * where that fails. */
void commit_begin(struct daemon *daemon);

/* Looks now and then whether another coordinator rules, which ends the process. */
void commit_look(struct daemon *daemon);

enum ckpt_status commit_open(struct daemon *daemon);
void commit_close(struct daemon *daemon);

/* From a task: whether a store's failure is waited out, and the call is to be made again. */
bool store_waits(struct keeper *keeper, struct daemon *daemon, enum ckpt_status status);

/* What a task is waiting for, for a person. */
const char *store_waits_text(const struct daemon *daemon);

/* With what a process ends whose store has failed. */
enum exit_code store_exit_code(enum ckpt_status status);

/* Both doors, in steps: their addresses are taken before anything else is; who connects waits, from
 * before the epoch rises on; and is heard. EXIT_ENDED for success; what went wrong is logged. */
enum exit_code peers_bind(struct daemon *daemon);
enum exit_code peers_listen(struct daemon *daemon);
enum exit_code peers_serve(struct daemon *daemon);
void peers_close(struct daemon *daemon);

/* Answers MESSAGE_ADMIN_ASK. */
void admin_answer(struct daemon *daemon, struct session *session, const struct message *message);

void notes_log(struct daemon *daemon, const struct coordinator_update *update);

#endif
