/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's machine: decides what is consistent. Event in, update out.
 *
 * Pure: no clock, no I/O, no allocation after coordinator_init, no globals, no threads. The daemon
 * around it (src/ckptctld) owns the socket, the store and the time; tests/sim runs the same code in
 * virtual time. docs/protocol.md tells each exchange; here are the rules the machine keeps:
 *
 *  - Commit rule: a checkpoint is CONSISTENT when every rank 0..world-1 has at least `copies`
 *    copies, each reported COPY_VERIFIED by its own agent in that agent's current incarnation with
 *    one and the same digest and size, in pairwise distinct failure domains. The reference digest
 *    of an uncommitted shard is the owner's first report; a copy never reports two digests for one
 *    generation: one that does is bad.
 *  - A commit, and what it retires, is one update: the daemon persists it before it sends anything.
 *  - `latest` is the newest consistent, unquarantined step of a run and never moves back, but for
 *    ADMIN_RETIRE with `newer` and for a quarantine, both recorded.
 *  - The first word of a later attempt voids every uncommitted checkpoint of the earlier ones.
 *  - One restore session per (start, load) gives all ranks one verdict, and none before all ranks
 *    of the world are seated in one start. An attempt is the number of one start, and of no other.
 *  - A run's copies are proven under one key from its first word to its last commit: the key is on
 *    record before any agent is told of it, and a digest under another one is unknown, never
 *    different.
 *  - Only who has joined is heard, and only an agent of this cluster, joined, can end its rule. */
#ifndef CKPT_COORDINATOR_H
#define CKPT_COORDINATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest/key.h"
#include "wire/message.h"
#include "wire/note.h"

struct coordinator;

struct coordinator_config {
    uint32_t agents_max;
    uint32_t runs_max;
    uint32_t checkpoints_max;     /* of all runs, open, consistent and not yet forgotten */
    uint32_t shards_max;          /* of all checkpoints */
    uint32_t keep;                /* consistent checkpoints kept per run, >= 1; newest first */
    uint32_t heartbeat_ms;        /* how often an agent says that it lives */
    uint32_t lease_ms;            /* an agent silent for so long is lost; > 2 * heartbeat_ms */
    uint32_t forget_ms;           /* a lost agent's name leaves the tables after so long */
    uint32_t disconnect_grace_ms; /* an agent whose connection closed is lost after so long */
    uint32_t save_timeout_ms;     /* an open checkpoint without progress for so long is aborted */
    uint32_t repair_after_ms;     /* a lost agent's copies are made again after so long */
    uint32_t resend_ms;           /* an order without an answer for so long is sent again */
    uint32_t restore_settle_ms;   /* a restore waits so long for copies still being digested or for
                                   * agents still joining, before a copy counts as lost */
    uint32_t restore_timeout_ms;  /* all ranks of an attempt must have asked and be ready in this */
    uint32_t restore_passes;      /* K: passes over all sources before quarantine */
    uint32_t ended_timeout_ms;    /* instead of save_timeout_ms once the run's job has ended */
    uint32_t pressure_percent;    /* of a node's segments: with less free, runs whose job has ended
                                   * give up what they may; 0: never */
    uint32_t user_share_percent;  /* of runs, checkpoints and shards that one user may take by
                                   * himself; of what is left he may have half. 1 to 100 */
    uint64_t expire_ms;           /* a run that nobody saves, loads or reads for so long keeps its
                                   * newest consistent checkpoint alone; 0: never */
    bool expire_last;             /* and not that one either */
    uint32_t pull_attempts_max;   /* failed pulls and digest mismatches of one uncommitted shard
                                   * before its checkpoint is aborted */
    enum digest_kind digest;      /* that runs begin with: fingerprint or BLAKE3 */
    uint64_t persist_every;       /* of each stretch of so many steps the first checkpoint that is
                                   * consistent goes to the tier; 0: none for its step's sake */
    uint64_t persist_max_age_ms;  /* one goes there when the last one did so long ago; 0: none */
    bool invariant_full;          /* every turn checks the whole tables, not what it touched and
                                   * a few entries in turn; for simulators and tests */
};

/* Sensible values for everything; the tables suit 1,000 agents of 8 ranks with 5 checkpoints. */
void coordinator_config_default(struct coordinator_config *config_out);

/* Bytes of memory that coordinator_init needs for this config; 0 when a value is out of range, with
 * the reason in reason (CKPT_REASON_MAX + 1 bytes). Linear in each *_max. */
size_t coordinator_memory_bytes(const struct coordinator_config *config, char *reason);

/* Makes a coordinator in memory (aligned to 64, zeroed by the caller, kept by the caller).
 * epoch is the one this life rules in: the store's highest + 1, already durable. seed is for
 * tie-breaking only; nothing of safety rests on it. */
enum ckpt_status coordinator_init(void *memory, size_t bytes,
                                  const struct coordinator_config *config, uint64_t epoch,
                                  uint64_t seed, struct coordinator **coordinator_out);

enum coordinator_event_type {
    COORDINATOR_TICK = 1,  /* the deadline passed, or update.again was set */
    COORDINATOR_CONNECTED, /* a connection was accepted: nothing is known of it before its JOIN */
    COORDINATOR_MESSAGE,   /* from connection `link` */
    COORDINATOR_DISCONNECTED, /* connection `link` closed */
    COORDINATOR_REPLAY,       /* one durable record, at start, before any other event */
    COORDINATOR_REPLAY_END,   /* no more of them: agents may be heard */
    COORDINATOR_ADMIN,        /* a mutating admin verb, already authorised by the daemon */
};

/* What a record of the store says. Only facts that agents cannot report are durable. */
enum coordinator_record_type {
    RECORD_EPOCH = 1,  /* membership changed */
    RECORD_CONSISTENT, /* a commit: the checkpoint, and each shard's size and digest */
    RECORD_RETIRED,
    RECORD_QUARANTINED,
    RECORD_ATTEMPT,   /* a run's attempt rose; the name of its start is in step and bytes */
    RECORD_WITHDRAWN, /* by command: what up to attempt and step is not consistent never will be */
    RECORD_VERDICT,   /* the ranks of a load of this attempt go back to step */
    RECORD_HOLDERS,   /* since the commit the copies of one rank's shard have moved */
    RECORD_MARK,      /* a person's word on a checkpoint */
    RECORD_OFFERED,   /* its quarantine, the machine's own, was lifted */
    RECORD_CLUSTER,   /* the cluster's id, in step and bytes; of no run, and the first of its kind
                       * stands for good */
    RECORD_DRAINED,   /* by command: a node takes no new copies. Its name stands where a run's
                       * does, of user 0, and its domain in reason */
    RECORD_UNDRAINED, /* it does again, or is forgotten */
    RECORD_KEY,       /* what a run's copies are proven with; without one: BLAKE3 */
    RECORD_PERSISTED, /* a commit is whole in the tier; the root of its manifest, in hexadecimal,
                       * is in reason */
    RECORD_LATEST_PERSISTED, /* which of the run's is the newest that is: it outlives the commit */
};
#define RECORD_LAST RECORD_LATEST_PERSISTED

/* One rank's shard of a commit, and which nodes held it then. */
struct coordinator_record_shard {
    uint64_t bytes;
    struct digest digest;
    uint32_t node_count; /* 0: not known (a record of an earlier version) */
    char nodes[CKPT_COPIES_MAX][CKPT_NODE_NAME_MAX + 1];
};

/* In an update: shards is NULL, ask coordinator_record_shard() for each rank, before the next
 * coordinator_advance. In a replay: shards holds world entries in rank order. */
struct coordinator_record {
    enum coordinator_record_type type;
    uint64_t epoch; /* the store refuses the whole transaction when it knows a higher one */
    struct run_key run;
    uint32_t attempt;
    uint64_t step;
    uint32_t world;
    uint32_t copies;
    uint64_t bytes;   /* of all shards; of a verdict: the number of its load; of holders: the rank;
                       * of a mark: enum checkpoint_mark */
    uint64_t wall_ms; /* of a commit: the calendar's time of it; 0: not known (a record of an
                       * earlier version) */
    const struct coordinator_record_shard *shards;
    char reason[CKPT_REASON_MAX + 1]; /* of holders: the nodes' names, a space between two */
    struct digest_key key; /* of a key; of a commit: that its digests are under. Of unknown kind in
                            * a record of an earlier version, which means BLAKE3 */
};

/* The 128 bits of a name in a record of an attempt or of a cluster. */
void coordinator_record_name(struct coordinator_record *record, const struct nonce *name);
struct nonce coordinator_record_named(const struct coordinator_record *record);

struct coordinator_event {
    enum coordinator_event_type type;
    uint64_t now_ms; /* monotonic; never goes back */
    /* Milliseconds since 1970 by the calendar, which jumps; 0: not known. A commit's is put on
     * record, to be shown; nothing is decided by it. */
    uint64_t wall_ms;
    /* By how much later than the deadline that was asked for the process comes with this event,
     * because it did not run, or waited for its disk (base/lateness.h). For so long it heard
     * nobody: every lease and time-out is put off by as much. */
    uint64_t late_ms;
    /* COORDINATOR_TICK: words that have arrived may still lie unread in a socket. Nobody is called
     * lost in such a turn; update.read_first says when the process must read and tick again. */
    bool unread;
    uint32_t link; /* the daemon's number of a connection; never reused in one life */
    /* COORDINATOR_MESSAGE, where runs begin with fingerprints: 32 fresh random bytes, a run's that
     * may begin in this turn. update.secret_used: not fresh any more. */
    const struct digest_secret *secret;
    const struct message *message;           /* COORDINATOR_MESSAGE */
    const struct coordinator_record *record; /* COORDINATOR_REPLAY */
    const struct message_admin_ask *admin;   /* COORDINATOR_ADMIN */
};

#define COORDINATOR_COPIES_MAX 6 /* of one shard, known at once: wanted, extra and refused ones */
#define COORDINATOR_RECORDS_MAX 16
#define COORDINATOR_MESSAGES_MAX 64
#define COORDINATOR_NOTES_MAX 16
#define COORDINATOR_LINK_ALL UINT32_MAX /* every joined agent */

struct coordinator_outgoing {
    uint32_t link; /* or COORDINATOR_LINK_ALL */
    bool close;    /* close the connection after sending (or, with type MESSAGE_NONE, at once) */
    struct message message; /* epoch is set; incarnation and sequence are the daemon's to fill */
};

struct coordinator_update {
    uint32_t record_count;
    struct coordinator_record records[COORDINATOR_RECORDS_MAX];
    uint32_t message_count;
    struct coordinator_outgoing messages[COORDINATOR_MESSAGES_MAX];
    uint32_t note_count;
    uint32_t notes_lost; /* that did not fit */
    struct machine_note notes[COORDINATOR_NOTES_MAX];
    uint64_t deadline_ms; /* advance with COORDINATOR_TICK no later than this */
    bool again;           /* more is waiting to go out: advance with COORDINATOR_TICK at once */
    bool read_first;      /* somebody's lease is over: accept who waits, read what has arrived from
                           * anybody, then advance with a COORDINATOR_TICK that is not `unread` */
    bool step_down;       /* another coordinator rules: end, send nothing more */
    bool secret_used;     /* the event's secret is a run's key: draw another for the next event */
    /* ADMIN: how the verb ended. */
    enum ckpt_status admin_status;
    bool admin_more; /* well, so far: what it is asked for was too much for one turn; ask again */
    char admin_reason[CKPT_REASON_MAX + 1];
};

/* Reads *event, changes *c, fills *update_out with what the daemon must now do, in this order:
 *  1. persist update->records in one transaction; where the store answers CKPT_ERR_STALE or fails,
 *     the daemon ends without sending anything: another coordinator rules, or nothing can be
 *     promised;
 *  2. send update->messages;
 *  3. log the notes;
 *  4. arm update->deadline_ms.
 *
 * Never blocks, allocates, reads a clock or does I/O. One turn's work is bounded: what does not fit
 * stays queued in the state and `again` is set. Messages that are malformed, stale or unexpected
 * change nothing. Returns CKPT_OK, or CKPT_ERR_INVALID (now_ms went back; late_ms is more than has
 * passed; an event type unknown; a secret is missing) with *c and the outputs unchanged. */
enum ckpt_status coordinator_advance(struct coordinator *c, const struct coordinator_event *event,
                                     struct coordinator_update *update_out);

/* Size, digest and holders of a rank's shard in the checkpoint of a RECORD_CONSISTENT of the last
 * update. */
struct coordinator_record_shard coordinator_record_shard(const struct coordinator *c,
                                                         const struct coordinator_record *record,
                                                         uint32_t rank);

/* Read-only views, for tables and the simulator's judges. Indexes run from 0 to the count; entries
 * that are not in use are skipped by the functions returning false. */
struct coordinator_member_view {
    const char *node;
    const char *domain;
    const char *address;
    bool joined;
    bool stopped;  /* not joined, as it said goodbye; else it was lost */
    bool draining; /* it takes no new copies */
    bool drained;  /* and nothing is kept there alone */
    struct incarnation incarnation;
    uint64_t last_heard_ms;
    uint32_t segments;
    uint32_t segments_free;
    uint64_t segment_bytes;
    uint32_t locked;      /* enum arena_locked */
    uint32_t closed;      /* enum agent_closed */
    uint64_t bytes_free;  /* in segments and parts of them, after what is already ordered */
    bool has_bytes;       /* its agent says the next two */
    uint64_t bytes_taken; /* of its memory, by shards */
    uint32_t rails;       /* of its transport; 0: none to tell of */
    uint32_t rails_up;
    uint64_t bytes_held; /* that these shards have */
    uint32_t copies;     /* verified, in its memory */
    uint32_t pulls;
    uint32_t mismatches;             /* digests of its copies that differed */
    uint64_t refusals;               /* of saves and processes, since its agent started */
    enum ckpt_status refused_status; /* of the last */
    uint64_t refused_ms_ago;
};

/* Why saves do not become consistent: docs/operating.md has them all. */
enum coordinator_trouble {
    TROUBLE_NONE = 0,
    TROUBLE_JOIN,   /* an agent may not join */
    TROUBLE_AGENT,  /* an agent refuses saves, or processes */
    TROUBLE_REPORT, /* what an agent holds is not taken: full tables, another world or attempt */
    TROUBLE_START,  /* not all ranks of a start are there */
    TROUBLE_SAVE,   /* a save does not come nearer to being consistent */
    TROUBLE_PULL,   /* an agent cannot read copies */
    TROUBLE_TIER,   /* nothing goes to the tier, or not by an agent: saves do without */
};

struct coordinator_trouble_view {
    enum coordinator_trouble kind;
    const char *node;          /* "": none */
    const struct run_key *run; /* name empty: none */
    uint64_t step;
    enum ckpt_status status;
    const char *text;
    uint64_t count;        /* how often, since then; 0: it lasts, and is not counted */
    uint64_t since_ms_ago; /* for how long it goes on */
    uint64_t last_ms_ago;
};

struct coordinator_run_view {
    struct run_key key;
    uint32_t attempt;
    uint32_t world;
    bool has_latest;
    uint64_t latest_step;
    bool has_persisted; /* the next two: the newest that is whole in the tier */
    uint32_t persisted_attempt;
    uint64_t persisted_step;
    uint32_t checkpoints;
    bool lingers;            /* its job has ended */
    uint64_t linger_left_ms; /* until it is released */
    bool requeueable;
};

struct coordinator_checkpoint_view {
    struct run_key run;
    uint32_t attempt;
    uint64_t step;
    uint32_t world;
    uint32_t copies;
    uint64_t bytes;
    enum checkpoint_state state;
    uint32_t shards_sealed; /* announced by their owners */
    uint32_t shards_ready;  /* with the required copies in distinct domains, now */
    bool degraded;          /* consistent, but some shard is short of copies or domains now */
    uint32_t restore_failures;
    enum checkpoint_mark mark;
    const char *reason;
    uint64_t wall_ms;      /* when it was committed; 0: not yet, or not known */
    uint32_t interval_ms;  /* since the commit of the step before it; here and below 0: not known */
    uint32_t took_ms;      /* from the first rank's seal to the commit */
    uint32_t copying_ms;   /* of that, from the last rank's seal on */
    uint64_t open_ms;      /* since the first rank's seal, of one that is not committed */
    bool persisted;        /* it is whole in the tier, on record */
    bool persisting;       /* it is on its way there */
    uint32_t persist_left; /* shards of it that are not there yet */
};

/* Where what is consistent goes. */
struct coordinator_tier_view {
    uint32_t agents; /* joined, that can take shards there */
    uint32_t orders; /* to them, without an answer */
    bool is_stopped; /* it is full, or does not go on, as what follows says */
    enum ckpt_status status;
    const char *reason;
    uint64_t since_ms_ago;
    uint64_t retry_in_ms;
};

/* How whole a committed checkpoint is now. A shard's copies are counted as the commit rule counts
 * them: good ones of joined nodes, in distinct failure domains. */
enum coordinator_degree {
    DEGREE_NONE = 0,   /* it is not committed */
    DEGREE_CONSISTENT, /* every shard has as many as were asked for */
    DEGREE_DEGRADED,   /* some shard has fewer, and each has two at least */
    DEGREE_AT_RISK,    /* more were asked for, and some shard has one */
    DEGREE_LOST,       /* of some shard none is known now */
};

struct coordinator_degree_view {
    enum coordinator_degree degree;
    uint32_t copies_fewest; /* of the shard that has fewest */
    uint32_t shards_short;  /* with fewer than were asked for */
    uint32_t shards_lost;   /* of these, with none */
};

/* What a shard that is short of copies waits for. */
enum coordinator_wait {
    WAIT_NOTHING = 0,
    WAIT_SEAL,   /* its rank, on `node`, has not sealed it */
    WAIT_PULL,   /* `node` copies it from `from` */
    WAIT_DIGEST, /* `node` digests its copy */
    WAIT_RETURN, /* `node` has a copy and is away, or has not told all that it holds yet */
    WAIT_DOMAIN, /* too few failure domains are joined for the copies asked for */
    WAIT_ROOM,   /* no agent in another failure domain has room */
    WAIT_SOURCE, /* every node on which a copy belongs has told what it holds, and none is good */
    WAIT_ORDER,  /* it is about to be ordered */
};

struct coordinator_wait_view {
    enum coordinator_wait wait;
    const char *node; /* "": none, or not known */
    const char *from;
};

/* Where a copy of what was committed belongs. */
struct coordinator_home_view {
    const char *node;
    bool joined;
    bool seen;    /* it has joined in this life of the coordinator */
    bool stopped; /* not joined, as it said goodbye */
    bool has;     /* a copy that counts */
};

struct coordinator_copy_view {
    const char *node;
    const char *domain;
    enum copy_state state;
    bool pulling;
    bool verifying; /* ordered to digest it again, no answer yet */
    bool leaving;   /* one too many: ordered to be let go, no answer yet; does not count */
    bool owner;
    bool cached;
    bool bad; /* its digest differed; being freed, or freed */
    uint64_t generation;
    uint64_t verified_ms; /* when its last good digest was reported; 0: never */
};

struct coordinator_shard_view {
    uint32_t rank;
    uint64_t bytes;
    bool has_digest;
    struct digest digest; /* the reference: the owner's, or the committed one */
    enum digest_kind digest_kind;
    uint32_t copies_now; /* as the commit rule counts them */
    uint32_t copy_count;
    struct coordinator_copy_view copies[COORDINATOR_COPIES_MAX];
    uint32_t home_count; /* of a committed one; 0: not on record */
    struct coordinator_home_view homes[CKPT_COPIES_MAX];
};

/* A shard that has too few copies apart from the nodes that drain. */
struct coordinator_drain_item {
    struct run_key run;
    uint32_t attempt;
    uint64_t step;
    uint32_t rank;
    bool stuck; /* nothing is under way for it, nor can be as things are */
    const char *why;
};

#define COORDINATOR_DRAIN_ITEMS 16

struct coordinator_drain_view {
    const char *domain;
    bool joined;
    bool stopped;
    bool draining;
    bool safe;       /* nothing is kept there alone: what is committed has all the copies that it
                     * should have apart from the nodes that drain */
    bool telling;    /* it has not said yet all that it holds */
    uint32_t left;   /* shards that have too few */
    uint32_t stuck;  /* of these */
    uint64_t bytes;  /* of these shards */
    uint32_t saving; /* of checkpoints that are not consistent yet, with a copy there */
    uint32_t item_count;
    struct coordinator_drain_item items[COORDINATOR_DRAIN_ITEMS]; /* the stuck ones first */
};

uint64_t coordinator_epoch(const struct coordinator *c);

/* Zero when no RECORD_CLUSTER was replayed: the daemon makes one, commits it and replays it, before
 * COORDINATOR_REPLAY_END. */
struct nonce coordinator_cluster(const struct coordinator *c);

uint32_t coordinator_member_count(const struct coordinator *c);
bool coordinator_member_view(const struct coordinator *c, uint32_t index,
                             struct coordinator_member_view *view_out);
uint32_t coordinator_trouble_count(const struct coordinator *c);
bool coordinator_trouble_view(const struct coordinator *c, uint32_t index,
                              struct coordinator_trouble_view *view_out);

/* False: no such node is known, as a member or as one to which copies belong. */
bool coordinator_drain_view(const struct coordinator *c, const char *node,
                            struct coordinator_drain_view *view_out);

void coordinator_tier_view(const struct coordinator *c, struct coordinator_tier_view *view_out);

uint32_t coordinator_run_count(const struct coordinator *c);
bool coordinator_run_view(const struct coordinator *c, uint32_t index,
                          struct coordinator_run_view *view_out);

/* The checkpoints of a run, newest first: the first one's index, and the one's behind another;
 * UINT32_MAX ends them. */
uint32_t coordinator_run_newest(const struct coordinator *c, uint32_t index);
uint32_t coordinator_checkpoint_older(const struct coordinator *c, uint32_t checkpoint_index);

uint32_t coordinator_checkpoint_count(const struct coordinator *c);
bool coordinator_checkpoint_view(const struct coordinator *c, uint32_t index,
                                 struct coordinator_checkpoint_view *view_out);
bool coordinator_shard_view(const struct coordinator *c, uint32_t checkpoint_index, uint32_t rank,
                            struct coordinator_shard_view *view_out);

/* Copies whose BLAKE3 a person asked for, beside their proof by the run's key. */
struct coordinator_names_view {
    uint32_t count;     /* of coordinator_name_view() */
    uint32_t next_rank; /* the first that was not asked for; the world: all were */
};

struct coordinator_name_view {
    const char *node;
    uint32_t rank;
    uint64_t generation;
    bool is_there; /* the copy that was asked for; false: it is gone, or was refused */
    bool told;
    struct digest name; /* BLAKE3 of its memory, since it was asked for */
};

/* False: nobody asked for names of this checkpoint, or this coordinator was started since. */
bool coordinator_names_view(const struct coordinator *c, uint32_t checkpoint_index,
                            struct coordinator_names_view *view_out);
bool coordinator_name_view(const struct coordinator *c, uint32_t index,
                           struct coordinator_name_view *view_out);

/* For people: each walks over the shards of a checkpoint that is not whole. False: there is no such
 * checkpoint, or rank. */
bool coordinator_degree_view(const struct coordinator *c, uint32_t checkpoint_index,
                             struct coordinator_degree_view *view_out);
bool coordinator_wait_view(const struct coordinator *c, uint32_t checkpoint_index, uint32_t rank,
                           struct coordinator_wait_view *view_out);

#endif
