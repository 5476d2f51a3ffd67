/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator process: what its parts share (parts.c lists them). Everything happens in the
 * event loop but what touches the record store, which has a thread of its own. */
#ifndef CKPT_CKPTCTLD_DAEMON_H
#define CKPT_CKPTCTLD_DAEMON_H

#include "base/lateness.h"
#include "base/rare.h"
#include "ckptctld/settings.h"
#include "coordinator/coordinator.h"
#include "daemon/notes.h"
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

struct daemon;
struct event;
struct event_base;
struct session_hub;
struct session_signals;
struct session_watchdog;

#define REFUSED_SAID 32 /* reasons to refuse a connection that may go on at once */
#define GROUP_JOINED 1  /* sessions of agents that were welcomed: COORDINATOR_LINK_ALL */

/* Records on their way to the store. The hubs are paused meanwhile and no event reaches the
 * machine, so the update and the machine, which the store reads, stay as they are. */
struct commit {
    struct store_call call;
    bool is_under_way;
    uint64_t since_ms;
    uint64_t said_ms; /* when it was last said that it is slow; 0: not yet */
    uint64_t epoch;   /* the highest that is on record: what may be said meanwhile */
    void (*durable)(struct daemon *daemon); /* then */
};

/* A look at the store's epoch. */
struct look {
    struct store_call call;
    bool is_under_way;
    uint64_t next_ms;
};

/* From the records on disk to a coordinator that rules. */
struct start {
    struct store_call call;   /* one after the other */
    struct event *told_event; /* whoever waits for the start hears that it goes on */
    uint32_t told;
    uint64_t epoch; /* to be taken */
    struct coordinator_record records[2];
    struct nonce cluster;
    bool is_new; /* that id */
};

/* What may pass of a store's failures is waited out. */
struct waits {
    enum ckpt_status what; /* CKPT_OK: nothing */
    void (*again)(struct daemon *daemon);
    struct event *event;
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
    struct session_signals *signals;
    struct session_watchdog *watchdog;
    struct store *store;
    struct store_progress progress;
    struct event *store_event; /* it has answers */
    struct waits waits;
    struct start start;
    struct commit commit;
    struct look look;
    struct event *patience_event; /* a commit takes long */
    void *memory;
    size_t memory_bytes;
    struct coordinator *machine;
    struct coordinator_update update;
    struct digest_secret secret; /* of the run that begins next; told and logged by nobody */
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
    struct notes notes;
    size_t parts_started;
};

/* Leaves the loop. The first call's code is the one that counts. */
void daemon_leave(struct daemon *daemon, enum exit_code code);

#endif
