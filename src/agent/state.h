/* SPDX-License-Identifier: Apache-2.0 */
/* The agent machine's state, private to this room: plain tables in the memory given to agent_init.
 *
 * Handlers change tables and may put a few outputs into the update at once; everything that may be
 * many (frees, records, works, reports, outcomes, asks) is left as a mark in the tables, and the
 * *_pump functions turn marks into outputs for as long as there is room. What finds no room keeps
 * its mark, and `again` is set. */
#ifndef CKPT_AGENT_STATE_H
#define CKPT_AGENT_STATE_H

#include "agent/agent.h"
#include "base/limits.h"
#include "base/rare.h"
#include "wire/machine.h"

#define AGENT_NEVER UINT64_MAX
#define AGENT_SAVES_KEPT 64         /* outcomes that a rank may still hear of, as it may ask */
#define AGENT_SEATS_KEPT 4          /* of processes: for root and the agent's user, the hooks' */
#define AGENT_SEATS_SHARE 75        /* percent of the others that one user may take by himself */
#define AGENT_FILLING_SHARE 75      /* percent of the segments that one user may fill at once */
#define AGENT_PREPARED_SHARE 75     /* percent of the memory that one user's ranks may be told of */
#define AGENT_LOADS_PER_RANK 64     /* shards that one process may hold or ask for at once */
#define AGENT_DIGESTS_MAX 8         /* under way at once */
#define AGENT_ADOPTED_DIGESTS_MAX 4 /* of those, for what was found after a restart */
#define AGENT_INVENTORY_PER_HEARTBEAT 8
#define AGENT_REFUSALS_SAID 16 /* kinds of them that go on at once */
#define AGENT_TABLE_SLOTS 512  /* tables of what is under way have no more entries for slots */
#define AGENT_PERSISTS_MAX 8   /* orders for the tier that are under way, or may come again */
#define AGENT_IDLE_PEERS 8     /* connections kept beyond those in use */

/* Orders are numbered by one life of a coordinator; those of a later life are the newer ones. */
struct order {
    uint64_t life;
    uint64_t number;
};

struct segment {
    uint32_t slot;       /* NONE: free */
    uint16_t place;      /* in its slot, or in its last one */
    bool used;           /* someone's bytes may be in it */
    bool unknown;        /* whose they are is not known: renewed before its next use */
    uint32_t uid;        /* whose */
    uint64_t tag;        /* run and rank of the last use, hashed */
    uint64_t generation; /* of the last use, or of what it was prepared for */
    bool awaited;        /* a rank that is here, by its tag, has it mapped or was told to: its saves
                          * come there first, and others take what is left before */
    /* Of a segment; with a part in use it is in no slot itself. */
    uint32_t first_part; /* NONE: it has none */
    uint32_t parts_used;
};

/* A part of a segment, in use or kept for the next one: part.c. */
struct part {
    struct segment is;   /* as of a segment */
    struct room_part at; /* of 0 bytes: there is none of this number */
    uint32_t next;       /* of its segment's, by offset */
};

/* A rank, by what its memory is known again. */
struct slot_owner {
    uint32_t uid;
    uint64_t tag;
};

struct slot {
    enum slot_state state;
    bool doomed; /* to be freed when nothing holds it */
    bool owner;
    bool cached;
    bool has_digest;
    bool record_pending;
    bool renew_wanted;
    bool digest_wanted;
    bool cancel_wanted;
    bool in_doubt; /* a process that left without a word may have the memory mapped still */
    bool prepares; /* no shard's: its memory is renewed for a save to come, and then free */
    uint64_t generation;
    uint64_t generation_checked; /* by the invariants */
    struct shard_key shard;      /* attempt 0: its start has no number yet */
    struct nonce seat;           /* of the process that wrote it, where this node's did */
    struct nonce name;           /* of its start, by the launcher */
    uint32_t insisted;           /* the attempt that it insisted on */
    uint32_t world;
    uint32_t copies;
    uint64_t bytes;
    uint64_t shard_bytes; /* of a part of a shard, for one reader, which is a copy to nobody and
                           * stays SLOT_PULLING: that the whole has; 0: the slot is of it all */
    uint64_t chunk_first; /* the shard's, at which that part begins */
    struct digest digest; /* the first of this generation under its key, as in the record */
    struct digest found;  /* the latest */
    uint64_t digest_key;  /* id of the key that both are under */
    uint32_t segment_count;
    uint16_t *segments;
    uint32_t offers;   /* entries of the offer table */
    uint32_t loans;    /* loads that ranks have mapped */
    uint32_t persists; /* works that read it for the tier */
    uint64_t work;     /* under way, 0: none */
    enum agent_work_type work_type;
    uint64_t work_key; /* id of the key that its digest is under; also of the last work */
    bool work_names;   /* the digest under way is for `name_asked` */
    bool work_proves;  /* the digest under way is of a part, for a load */
    uint64_t work_began_ms;
    uint64_t proven_ms;      /* when the last digest that says what it is began */
    bool work_scrubs;        /* the digest under way is a scrub */
    bool scrub_cancelled;    /* and told to end */
    bool work_serves_verify; /* the digest under way began after the verify order came */
    bool verify_pending;
    struct order verify;
    /* BLAKE3 of what lies here, asked for beside the proof by another key: verify_order.c. */
    struct order name_asked;
    bool name_pending; /* to be begun */
    bool name_known;
    bool name_due; /* to be told */
    struct digest name_digest;
    enum checkpoint_state checkpoint; /* as the coordinator last said */
    uint64_t unread_since_ms;         /* cached: without a reader since */
    /* An owner's, in this life of the agent: what its rank said with the seal. */
    bool replica_said;
    uint32_t replica_leader;
    uint32_t replica_part;
    uint64_t replica_value;
    bool device_said; /* and is not compared yet */
    struct digest device_digest;
    /* The report. */
    bool acked;
    bool untold;       /* not acknowledged since the coordinator welcomed this agent */
    bool none_pending; /* the copy is gone and COPY_NONE is not acknowledged */
    uint64_t report_due_ms;
    uint64_t report_order;
};

struct run {
    bool used;
    struct run_key key;
    uint32_t attempt;    /* the highest heard of */
    uint64_t attempt_ms; /* and when, by the node's clock */
    bool has_latest;
    uint64_t latest; /* the newest consistent step heard of in this life */
    uint64_t used_ms;
    struct digest_key digest_key; /* as last told; of an unknown kind: it was not */
    uint64_t digest_key_id;
};

enum save_state {
    SAVE_UNUSED = 0,
    SAVE_SEALED, /* its outcome is awaited */
    SAVE_ENDED,  /* its process is to hear of it */
    SAVE_SENT,
};

struct save {
    enum save_state state;
    uint64_t step;
    uint32_t slot;
    uint64_t generation;
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
};

/* A rank's ask for a slot that finds no room, and waits for some. */
struct room_wait {
    bool used;
    uint64_t step;
    uint64_t bytes;
    uint64_t ends_ms;
    uint64_t due_ms; /* when the coordinator hears of it again */
};

/* A rank's ask for the memory of a save to come; one at a time. */
struct prepare {
    bool used;
    bool waits; /* was looked at, and needs a renewal that cannot begin */
    uint32_t number;
    uint64_t bytes;
    uint64_t after;
    uint64_t order;      /* of its coming */
    uint32_t slot;       /* in which the memory is renewed; NONE: it is not, or not yet */
    uint64_t generation; /* of that */
};

/* A process's place in a start of its run: seat.c. */
struct seat {
    bool used;
    bool ended;    /* the process has gone */
    bool settled;  /* attempt and start are known */
    bool refused;  /* it has no place: status and reason say why */
    bool answered; /* the coordinator knows what is so now, and has said all it has to say */
    struct run_key run;
    uint32_t rank;
    uint32_t world;
    uint32_t attempt; /* of the start; before that what the process insists on, or 0 */
    struct nonce start;
    struct nonce seat;
    struct nonce name;
    enum ckpt_status status; /* of the last answer */
    char reason[CKPT_REASON_MAX + 1];
    uint64_t due_ms;
};

/* A rank's question about a checkpoint; one at a time. */
struct query {
    bool used;
    bool own; /* about one of its own start */
    uint64_t step;
    uint64_t reader;      /* ours */
    uint64_t rank_reader; /* the rank's, given back */
    uint64_t asked_ms;
    uint64_t due_ms;
};

struct rank_session {
    bool used;
    bool open;
    uint32_t link;
    uint32_t uid;
    struct message_rank_open asked; /* to know a repeat */
    struct run_key run;
    uint32_t attempt; /* of its start; 0: not known yet, or a reader */
    uint32_t seat;    /* NONE: a reader's */
    bool seat_sent;   /* the process knows of its place */
    uint32_t rank;
    uint32_t world;
    uint32_t copies;
    bool reader;
    bool has_step;
    uint64_t last_step;             /* sealed */
    uint32_t loads;                 /* in use, of its part of the table */
    uint32_t filling;               /* the slot that it writes, or that is being renewed for it */
    uint32_t gather_number;         /* of the last gather into that slot; 0: none yet */
    enum ckpt_status gather_status; /* how it ended */
    struct save saves[AGENT_SAVES_KEPT];
    uint32_t save_next;
    struct query query;
    struct prepare prepare;
    struct room_wait room;
    char waits[CKPT_REASON_MAX + 1]; /* what its load waits for, as the coordinator last said */
};

/* What a scheduler's hook, or a user, said of a job. */
struct agent_job {
    bool used;
    bool acked; /* by the coordinator, as it is now */
    enum job_verb verb;
    char name[CKPT_JOB_NAME_MAX + 1];
    struct run_key run;
    uint32_t attempt;
    uint64_t started_s; /* by the scheduler's word; 0: it did not say */
    uint64_t said_ms;   /* by the node's clock: the hook whose word this is; 0: it did not say */
    uint64_t linger_ms;
    bool requeueable;
    bool begin_known;     /* it was told here when it began */
    uint32_t run_attempt; /* of the run, when it ended; 0: not known */
    uint64_t begun_ms;    /* by the node's clock, as ended_ms */
    uint64_t ended_ms;
    uint64_t due_ms; /* when it is told again */
};

enum load_state {
    LOAD_UNUSED = 0,
    LOAD_ASKING,   /* repeated to the coordinator */
    LOAD_PROVING,  /* the chunks of its range are digested here: range.c */
    LOAD_FETCHING, /* they come from another agent */
    LOAD_LOANED,   /* the rank has the descriptors */
};

struct load {
    enum load_state state;
    uint32_t session;
    bool collective;
    uint32_t load;
    uint32_t rank;
    uint64_t step;
    uint64_t reader;
    uint64_t ends_ms;
    uint64_t due_ms;
    uint32_t slot; /* lent, also while its range is proven */
    uint64_t generation;
    uint64_t range_offset;     /* of the shard, that the rank asks for */
    uint64_t range_bytes;      /* 0: the whole shard */
    bool is_whole;             /* the whole is proven for it, also where a range was asked for */
    struct digest digest;      /* that the commit has, which the range is proven against */
    uint64_t work;             /* PROVING; 0: not begun */
    uint64_t pull;             /* FETCHING: by its number; 0: it has ended */
    bool source_failed;        /* that is why */
    uint32_t range_pass;       /* how often a further source was asked for */
    uint32_t failures;         /* of sources */
    uint32_t sources;          /* that there are, as was said last */
    struct incarnation source; /* the last one */
};

enum pull_state {
    PULL_UNUSED = 0,
    PULL_QUEUED,
    PULL_RENEWING, /* its slot's segments are being renewed */
    PULL_ASKING,   /* connecting, or waiting for the offer */
    PULL_READING,
    PULL_CLOSING, /* all bytes are here; was the source's slot still the same? */
};

enum pull_source_kind {
    PULL_FROM_AGENT = 1, /* a peer offers its slot, and says at the end whether it lasted */
};

/* Where the bytes of a pull come from: as its order says, and how far it has been reached. */
struct pull_source {
    enum pull_source_kind kind;
    char node[CKPT_NODE_NAME_MAX + 1];
    char address[CKPT_ADDRESS_MAX + 1];
    struct incarnation incarnation;
    uint64_t generation;
    uint32_t peer; /* NONE: there is no connection yet */
    uint32_t slot; /* there, as offered */
    bool offered;
};

struct pull {
    enum pull_state state;
    uint64_t number;
    uint64_t life; /* of the order's coordinator */
    struct message_pull_order order;
    uint32_t load; /* whose range it is of; NONE: of the whole shard, as was ordered */
    uint32_t slot;
    uint64_t generation;
    struct pull_source source;
    struct digest digest;
    uint64_t digest_key; /* id of the key that it is under */
    uint64_t since_ms;   /* in this state */
    uint64_t due_ms;
};

/* A pull that failed: told again when its order is repeated, rather than tried again. */
struct failure {
    bool used;
    bool sent;
    uint64_t life;
    struct message_pull_failed failed;
};

enum persist_state {
    PERSIST_UNUSED = 0,
    PERSIST_WANTED,  /* its work is to be begun */
    PERSIST_WORKING, /* under way */
    PERSIST_ENDED,   /* told, and told again when it is asked for again */
};

/* An order for the tier. */
struct persist {
    enum persist_state state;
    bool is_manifest; /* manifest counts, and no slot; else shard */
    bool is_due;      /* ENDED: it is to be told */
    uint64_t life;    /* of the order's coordinator */
    uint64_t work;
    uint32_t slot;
    uint64_t generation;
    uint64_t ended_ms;
    struct message_persist_order shard;
    struct message_manifest_order manifest;
    struct message_persist_told told;
};

struct peer {
    bool used;
    bool suspect; /* does not answer: closed with its last pull */
    uint32_t link;
    uint32_t pulls;
    uint64_t idle_since_ms;
    uint64_t lookup_until_ms; /* its name is looked up: no silence is its own before that; 0: not */
    char address[CKPT_ADDRESS_MAX + 1];
};

enum offer_state {
    OFFER_UNUSED = 0,
    OFFER_PINNED, /* the slot is not freed */
};

/* A peer's read of a slot of ours. */
struct offer {
    enum offer_state state;
    uint32_t link;
    uint64_t pull;
    uint32_t slot;
    uint64_t generation;
    uint64_t heard_ms;
};

enum link_state {
    LINK_DOWN = 0,
    LINK_JOINING, /* connected; no WELCOME yet, or not of the life that speaks now */
    LINK_JOINED,
};

struct coordinator_link {
    enum link_state state;
    struct incarnation incarnation; /* whose words are taken: it has said WELCOME for this
                                     * cluster */
    uint64_t life;                  /* counts the incarnations heard */
    uint64_t join_due_ms;
    uint64_t heartbeat_due_ms;
    uint64_t heard_ms;
    uint32_t heartbeat_ms;
    uint32_t lease_ms; /* 0: not told */
    uint32_t features; /* WIRE_FEATURE_* */
    uint32_t inventory_next;
    bool settled;             /* it knew our copies as they were at the last heartbeat */
    uint32_t unsettled;       /* heartbeats in a row after which it did not */
    bool room_came_back;      /* and the coordinator has not been told */
    enum ckpt_status refused; /* this node, as it was last said; CKPT_OK: it was not */
    struct rare refused_said; /* so, or that it is another cluster's */
    uint64_t away_ms;         /* when the last one to have joined went away, or the agent began */
};

/* Of processes and of saves, since the start. */
struct refusals {
    uint64_t count;
    uint64_t sent; /* the coordinator knows of so many */
    uint64_t last_ms;
    enum ckpt_status status; /* this and what follows: of the last */
    struct run_key run;      /* name empty: of no run */
    char reason[CKPT_REASON_MAX + 1];
    struct rare said[AGENT_REFUSALS_SAID];
};

struct agent {
    struct agent_config config;
    struct incarnation incarnation;
    struct nonce cluster; /* zero: of none yet */
    uint64_t now_ms;      /* of this machine's clock, which runs while its process does */
    uint64_t stalled_ms;  /* by how much it is behind the process's */
    uint32_t rails;       /* as the last event said; the next too */
    uint32_t rails_up;
    bool started;
    bool keys_are_told; /* by the coordinator that was heard last */
    uint64_t epoch;
    bool adopting;
    bool found_records;
    bool is_marked; /* the memory has a record: who adopts it trusts no free segment of it */
    uint64_t generation_last;
    uint64_t work_last;
    uint64_t pull_last;
    uint64_t reader_last;
    uint64_t prepare_last;
    uint64_t scrub_after_ms; /* no scrub begins before */
    uint32_t link_last;
    uint32_t failure_next;
    uint32_t segments_free; /* with no part in use */
    uint32_t parts_high;    /* those behind it are none */
    uint32_t slots_high;    /* those behind it are free, and have nothing to say */
    uint32_t run_count, session_count, seat_count, load_count, pull_count, failure_count,
        peer_count, offer_count;
    struct coordinator_link coordinator;
    struct refusals refusals;
    struct agent_update *update; /* of the call under way */
    struct segment *segments;
    struct part *parts;
    struct slot *slots;
    uint16_t *slot_segments;
    uint16_t *scratch;  /* as many as segments */
    uint16_t *prepared; /* of the answer to a prepare in the update under way; as many */
    struct run *runs;
    struct rank_session *sessions;
    struct seat *seats;
    struct load *loads;
    struct pull *pulls;
    struct failure *failures;
    struct peer *peers;
    struct offer *offers;
    struct persist persists[AGENT_PERSISTS_MAX];
    struct agent_job *jobs; /* CKPT_JOBS_PER_NODE_MAX */
};

#endif
