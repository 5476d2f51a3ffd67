/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated cluster: the two real machines, and everything around them made up.
 *
 * A node is an agent's machine (src/agent) with a memory of tiny segments that outlives the agent's
 * process; a ruler is a coordinator's machine (src/coordinator) over one store that all rulers
 * share; a job is a training run whose ranks save and restore. All of it moves in virtual time, one
 * turn at a time, from one seed. The judges (judge.h) look on. */
#ifndef CKPT_SIM_SIM_H
#define CKPT_SIM_SIM_H

#include <stdio.h>

#include "agent/agent.h"
#include "base/lateness.h"
#include "base/prng.h"
#include "coordinator/coordinator.h"
#include "mix.h"
#include "turns.h"
#include "session/filter.h"

#define SIM_NODES_MAX 8
#define SIM_RULERS_MAX 3
#define SIM_HOSTS_MAX (SIM_NODES_MAX + SIM_RULERS_MAX)
#define SIM_RUNS_MAX 3
#define SIM_WORLD_MAX 8
#define SIM_SEGMENTS_MAX 96
#define SIM_SEGMENT_BYTES_MAX 256
#define SIM_SHARD_SEGMENTS_MAX 4
#define SIM_SHARD_BYTES_MAX (SIM_SEGMENT_BYTES_MAX * SIM_SHARD_SEGMENTS_MAX)
#define SIM_CHUNK_BYTES 64
#define SIM_CHUNKS_MAX (SIM_SHARD_BYTES_MAX / SIM_CHUNK_BYTES)
#define SIM_VALUE_BYTES 16
#define SIM_SENDERS_MAX 128
#define SIM_DESCRIPTOR_BYTES 16
#define SIM_WORKS_MAX 1024
#define SIM_CONFIG_HEARTBEAT_MS 200
#define SIM_CONFIG_LEASE_MS 1000
#define SIM_CONFIG_SETTLE_MS 1500
#define SIM_CONFIG_RESTORE_TIMEOUT_MS 8000
#define SIM_CONFIG_REPAIR_AFTER_MS 1500
/* What passes at most until a coordinator has heard of a process that is back, and what it has. */
#define SIM_HEARD_MS 3000
#define SIM_JOIN_MS 600 /* of which for the first word */

/* Files of segments as some process has them mapped: a renewed segment is another file. */
struct sim_mapping {
    uint32_t node;
    uint32_t wipes; /* of the node, when it was mapped */
    uint32_t count;
    uint16_t segments[SIM_SHARD_SEGMENTS_MAX];
    uint32_t versions[SIM_SHARD_SEGMENTS_MAX];
};

/* A connection; ends[0] made it. An end is void when its host's life is another one. */
enum end_type { END_NODE = 1, END_RULER, END_RANK, END_HOOK };
struct sim_end {
    enum end_type type;
    uint32_t index; /* node, ruler, run * SIM_WORLD_MAX + rank, or run */
    uint32_t life;
    uint32_t link; /* the machine's number for it */
    bool open;
    uint64_t last_arrival_ms; /* sockets keep order and lose nothing: UNIX ones always,
                               * the others when the faults are over */
};
struct sim_link {
    struct sim_end ends[2];
    bool welcomed; /* the coordinator took the JOIN that came on it */
};

/* What arrives somewhere. */
enum parcel_type {
    PARCEL_MESSAGE = 1,
    PARCEL_UP,   /* the connection is made */
    PARCEL_DOWN, /* the other end closed it */
    PARCEL_WORK, /* to the node itself: work ended */
    PARCEL_ADMIN,
    PARCEL_TICK,
};
struct parcel {
    struct parcel *next;
    enum parcel_type type;
    uint32_t link;          /* index into sim.links */
    uint32_t side;          /* of the end that it goes to */
    struct message message; /* its pointers lead into the fields below */
    uint16_t segments[SIM_SHARD_SEGMENTS_MAX];
    struct message_region regions[SIM_SHARD_SEGMENTS_MAX];
    struct message_range range;
    uint8_t values[SIM_CHUNKS_MAX * SIM_VALUE_BYTES];
    uint8_t descriptors[SIM_SHARD_SEGMENTS_MAX][SIM_DESCRIPTOR_BYTES];
    enum agent_attach attach;
    struct sim_mapping attached;
    uint32_t host; /* PARCEL_WORK, PARCEL_ADMIN, PARCEL_TICK: where it goes, in which life */
    uint32_t life;
    uint64_t work;
    enum ckpt_status status;
    struct digest digest;
    uint64_t bytes;
    struct digest device_digest; /* PARCEL_WORK: the second one */
    struct message_admin_ask admin;
};

/* What every simulated process has. */
struct sim_host {
    bool alive;
    bool paused;
    bool busy; /* a coordinator that waits for its store */
    uint32_t life;
    struct incarnation incarnation;
    uint64_t sequence;
    struct session_filter *seen; /* as the daemons drop what is old */
    struct parcel *inbox_first;
    struct parcel *inbox_last;
    bool inbox_turn; /* a TURN_INBOX is queued */
    uint32_t tick;   /* the number of the tick that is armed */
    uint64_t tick_at_ms;
    bool tick_armed;
    struct lateness lateness; /* as the daemons measure it */
    bool crash_in_commit;     /* dies while it waits for its store the next time */
    uint32_t crash_in;        /* dies at the n-th next thing it does to the world; 0: not armed */
    uint32_t again_run;       /* turns in a row that asked for another at once */
    uint32_t down_ms;         /* it starts anew so long after its next death; 0: drawn */
    /* For the judges: when it was last not there, dead or standing still; times between which it
     * was hardly back are one. */
    bool is_away;
    uint64_t away_from_ms;
    uint64_t away_until_ms; /* of the last time that ended */
    uint64_t stood_from_ms; /* the last of them alone */
    uint64_t ran_ms;        /* in all its lives, without times away; up to the last of them */
    uint64_t seen_by_ms[SIM_RULERS_MAX]; /* what each coordinator had run when it came back */
};

struct sim_segment {
    uint32_t version;
    struct room_part at; /* of a part; of 0 bytes: it is not there */
    uint32_t users;      /* bit per uid index: whose bytes or mappings this file has seen */
    uint8_t bytes[SIM_SEGMENT_BYTES_MAX];
};

/* What the judges know of a slot, from watching the memory and not from the agent. */
struct sim_slot {
    bool stored; /* a record is in the arena */
    bool corrupt;
    struct slot_record record;
    uint64_t generation_high; /* ever stored */
    uint64_t generation_used; /* with bytes in it */
    struct shard_key generation_shard;
    /* The last digest that really was computed over it. */
    uint32_t digest_life;
    uint64_t digest_generation;
    uint64_t digest_began_ms;
    uint64_t digest_ended_ms;
    struct digest digest;
    struct digest digest_before; /* the one before it, of the same life and generation, or it */
    struct digest named; /* by BLAKE3, beside digests under another key */
    /* The last of all of it; its times are those in which the agent's process ran. */
    uint32_t whole_life;
    uint64_t whole_generation;
    uint64_t whole_began_ms;
    uint64_t whole_ended_ms;
    struct digest whole;
    /* The last proof of a part that was computed over it: of some of its chunks, or of all that it
     * has where it is a part itself. */
    uint32_t range_life;
    uint64_t range_generation;
    uint64_t range_began_ms;
    uint64_t range_ended_ms;
    uint64_t part_generation; /* in which it has a part of a shard */
    /* With the memory: the values of its chunks, as they were when all were digested. */
    uint64_t values_generation; /* 0: none are kept */
    uint64_t values_key;
    uint32_t values_bytes; /* of the shard */
    uint8_t values[SIM_CHUNKS_MAX * SIM_VALUE_BYTES];
    /* The last fault that changed its bytes. */
    bool touched;
    uint64_t touched_generation;
    uint64_t touched_ms;
    bool dirty; /* bytes or record changed in this turn: in sim.dirty */
};

struct sim_node {
    struct sim_host host;
    char name[CKPT_NODE_NAME_MAX + 1];
    uint32_t domain;
    void *memory;
    size_t memory_bytes;
    struct agent *machine;
    struct agent_config config;
    uint32_t wipes;
    bool drains;           /* somebody asked for it, in this seed */
    bool forgotten;        /* by hand, while it was lost; until it has told what it has */
    uint64_t lost_ms;      /* when it last lost a copy: wiped, or by a damaged record */
    uint64_t full_ms;      /* when it last had no room for another shard, and freed one */
    uint64_t epoch_stored; /* with the memory: what the arena's header keeps; as the next */
    struct nonce cluster_stored;
    struct incarnation heard; /* the coordinator that last said WELCOME to this life */
    struct sim_segment segments[SIM_SEGMENTS_MAX];
    struct sim_segment parts[SIM_SEGMENTS_MAX];
    struct sim_slot slots[SIM_SEGMENTS_MAX];
    uint32_t coordinator_link; /* index into sim.links + 1; 0: none */
    bool coordinator_up;       /* the machine was told */
    uint64_t coordinator_since_ms;
    uint32_t next_link;
    uint64_t epoch_seen; /* the judge's own count */
};

#define SIM_RECORDS_MAX 4096
struct sim_record {
    bool is_void; /* a later one made it so: it is not replayed */
    struct coordinator_record record;
    struct coordinator_record_shard shards[SIM_WORLD_MAX];
};

struct sim_store {
    uint64_t epoch;
    uint32_t count;
    struct sim_record records[SIM_RECORDS_MAX];
};

struct sim_ruler {
    struct sim_host host;
    void *memory;
    size_t memory_bytes;
    struct coordinator *machine;
    uint64_t epoch;
    struct digest_secret secret; /* of the run that begins next */
    struct coordinator_update update;
    uint32_t transaction_count;
    struct sim_record transaction[COORDINATOR_RECORDS_MAX];
    char complaint[512]; /* of the judge, if the transaction becomes durable */
    uint32_t next_link;
};

struct sim_work {
    bool active;
    enum agent_work_type type;
    uint32_t node;
    uint32_t life;
    uint64_t work;
    uint32_t slot;
    uint64_t generation;
    uint64_t key;        /* id of the key that its digest is under */
    uint64_t device_key; /* the same of the second one; 0: there is none */
    uint32_t bytes;
    uint32_t landed;
    uint32_t chunk;
    bool is_range;        /* its digest is of some chunks, and of the values of the others */
    uint32_t shard_bytes; /* of the whole; the next two are offsets where its bytes begin */
    uint32_t from;        /* in its slot */
    uint32_t there_from;  /* read: in the source's */
    uint32_t chunk_first;
    uint8_t values[SIM_CHUNKS_MAX * SIM_VALUE_BYTES];
    bool cancelled;
    uint64_t began_ms;
    uint64_t began_ran_ms;    /* as the agent's process ran */
    struct sim_mapping here;  /* digest and read: the slot's own segments */
    struct sim_mapping there; /* read: the source's */
    uint32_t at;              /* gather: where in the slot its bytes belong */
    uint32_t there_life;
    struct message_persist_order persist; /* of a work for the tier, as the next */
    struct message_manifest_order manifest;
    bool is_told;                        /* it has ended as far as its agent knows, and goes on */
    uint8_t shadow[SIM_SHARD_BYTES_MAX]; /* what was digested: the bytes as they were when read */
};

/* What lies in the tier, which outlives every process. */
#define SIM_TIER_SHARDS_MAX 2048
#define SIM_TIER_MANIFESTS_MAX 512
struct sim_tier_shard {
    bool is_there;
    struct shard_key key;
    uint64_t bytes;
    struct digest name; /* under DIGEST_KEY_ID_BLAKE3: of the bytes as they lie there */
};
struct sim_tier_manifest {
    struct run_key run;
    uint32_t attempt;
    uint64_t step;
    uint32_t world;
    struct digest root;
};
struct sim_tier {
    uint64_t full_until_ms;
    uint64_t hangs_until_ms;
    uint32_t shard_count;
    struct sim_tier_shard shards[SIM_TIER_SHARDS_MAX];
    uint32_t manifest_count;
    struct sim_tier_manifest manifests[SIM_TIER_MANIFESTS_MAX];
};

/* Loads with these numbers are fetches. */
#define SIM_FETCH_FIRST 100000u

enum rank_phase {
    RANK_OFF = 0,
    RANK_CONNECTING,
    RANK_OPENING,
    RANK_LOADING,
    RANK_TRAINING, /* between saves */
    RANK_ASKING,
    RANK_FILLING,
};

#define SIM_MAPS_KEPT 8
struct sim_rank {
    enum rank_phase phase;
    uint32_t process; /* number of this process, as its life */
    uint32_t script;  /* the number of the turn that is armed */
    uint32_t node;
    uint32_t link; /* index into sim.links + 1; 0: none */
    struct incarnation incarnation;
    uint64_t sequence;
    uint32_t attempt; /* of its start; 0: not told yet */
    struct nonce start;
    bool opened;
    bool odd;
    bool takes_parts; /* its libckpt does */

    uint64_t step; /* being saved */
    uint32_t slot;
    uint64_t generation;
    uint32_t bytes;
    uint32_t filled;
    uint64_t device_key;   /* id of the grant's */
    uint32_t gathers;      /* asked for, into this slot */
    uint32_t gather_bytes; /* of the one that is not answered yet; 0: none */
    struct sim_mapping writable;
    uint32_t prepares;                      /* asked for on this connection */
    bool is_prepared;                       /* was told the memory of its next save */
    uint32_t mapped;                        /* counts the next */
    struct sim_mapping maps[SIM_MAPS_KEPT]; /* that this process was told or granted, the last */
    bool orphan;                            /* fills on though its agent is gone */
    bool tampers;                           /* writes again into what it sealed */
    uint32_t tampers_left;

    bool answered;
    enum ckpt_status answer;
    uint64_t answer_step;
    bool holds;    /* a restored mapping */
    bool reads_on; /* the same, and its agent has forgotten the loan */
    uint64_t reads_until_ms;
    struct sim_mapping restored;
    bool tainted; /* a fault has changed a segment of it since it was handed over */
    struct message_loaded loaded;
    uint64_t loaded_ms;
    struct digest handed; /* of its bytes, when it came */
    bool fetches;         /* one is under way */
    uint64_t fetch_asked_ms;
    uint32_t fetch_load;
    uint32_t fetch_rank;
    uint32_t fetch_offset; /* of a range; */
    uint32_t fetch_bytes;  /* 0: the whole is asked for */
};

enum job_phase { JOB_OFF = 0, JOB_LOADING, JOB_TRAINING, JOB_DOWN };

#define SIM_ATTEMPTS_MAX 128
struct sim_job_end {
    bool told;
    bool final;
    uint64_t at_ms;
};
struct sim_job {
    uint32_t run;
    uint32_t user; /* index of the uid */
    struct run_key key;
    enum job_phase phase;
    uint32_t life;     /* counts attempts and in-process reloads: voids turns */
    uint32_t attempt;  /* of this launch; where it is given out, of the last that was told one */
    uint32_t launch;   /* counts them: what the scheduler's hooks say */
    bool is_counted;   /* the coordinator gives out the attempts */
    bool is_seated;    /* and has told some rank of this launch its own */
    bool has_begun;    /* some rank of the attempt has been answered */
    bool has_restored; /* all of them, with a step, which is on record */
    bool is_reused;    /* this launch has the number of one that has restored */
    uint32_t load;
    uint32_t world;
    uint32_t copies;
    bool had_newest; /* a consistent checkpoint, when this load began */
    uint32_t newest_attempt;
    uint64_t newest_step;
    uint32_t failures_in_a_row;
    uint64_t phase_since_ms;
    uint64_t interval_ms;
    uint64_t next_step;
    uint64_t highest_step;
    uint32_t shard_bytes[SIM_WORLD_MAX];
    struct sim_rank ranks[SIM_WORLD_MAX];
    uint64_t outcomes_ok; /* pushed CKPT_OK to some rank */
    uint32_t prepares_ms; /* this launch: before its ranks open the run */
    uint64_t started_ms;  /* this launch: what the scheduler's hooks say in place of seconds */
    bool tells_start_time;
    uint32_t ended_launch; /* the last whose end the hooks have told */
    bool requeueable;      /* what the scheduler's hooks say of it */
    uint64_t linger_ms;
    struct sim_job_end ends[SIM_ATTEMPTS_MAX]; /* attempt i + 1 */
};

/* A fault that ends: adds one to cells of a matrix at its start and takes them back. */
#define SIM_HEALS_MAX 256
struct sim_heal {
    bool active;
    bool clog; /* else cut */
    uint16_t rows[SIM_HOSTS_MAX];
};

struct sim_stats {
    uint64_t seeds;
    uint64_t turns;
    uint64_t advances;
    uint64_t messages;
    uint64_t commits;
    uint64_t restores; /* ranks that got their bytes back */
    uint64_t fetches;
    uint64_t range_proofs;        /* digests of a part of a slot's chunks that ended well */
    uint64_t range_reads;         /* the same of a part that came from another agent */
    uint64_t ranges;              /* that ranks were handed, and did not get a whole shard for */
    uint64_t gathers;             /* that went well */
    uint64_t prepared;            /* saves that were granted what their rank had been told, */
    uint64_t prepared_for_others; /* and those that were not */
    uint64_t persisted;           /* checkpoints that are whole in the tier, on record */
    uint64_t verdicts_bad;        /* collective loads that ended in an error */
    uint64_t converged;           /* seeds whose copies were counted when all was quiet */
    uint64_t live_judged;         /* runs whose restore had to succeed after the faults */
    uint64_t faults[FAULT_KINDS];
    uint64_t excused; /* bytes that differ, by a flip that nothing could have seen yet */
};

struct judge;

struct sim {
    uint64_t seed;
    struct prng prng;
    struct sim_mix mix;
    uint64_t now_ms;
    bool faults_over;
    bool quiet; /* nobody saves any more: what is left is to tidy up */
    uint64_t quiet_since_ms;
    bool ended;
    struct turns turns;

    uint32_t link_count;
    uint32_t link_room;
    struct sim_link *links;
    uint8_t cut[SIM_HOSTS_MAX][SIM_HOSTS_MAX];
    uint8_t clog[SIM_HOSTS_MAX][SIM_HOSTS_MAX];
    struct sim_heal heals[SIM_HEALS_MAX];

    struct sim_node nodes[SIM_NODES_MAX];
    struct sim_ruler rulers[SIM_RULERS_MAX];
    uint32_t front; /* the ruler that new connections reach */
    struct sim_store store;
    struct sim_tier tier;
    struct sim_work works[SIM_WORKS_MAX];
    struct sim_job jobs[SIM_RUNS_MAX];
    uint32_t next_process;
    struct agent_update agent_update;
    bool next_fill_dies;
    uint32_t dirty_count;
    uint32_t dirty[SIM_NODES_MAX * SIM_SEGMENTS_MAX]; /* node * SIM_SEGMENTS_MAX + slot */
    struct judge *judge;

    struct sim_stats stats;
    uint64_t hash; /* of everything that happened, in order */
    FILE *trace;   /* or NULL */
    bool failed;
    char failure[1024];
};

/* Runs one seed to its end or to the first violation; false and sim->failure on a violation. The
 * struct may be used again for another seed. */
bool sim_run(struct sim *sim, uint64_t seed, FILE *trace);

/* Draws. */
uint32_t sim_between(struct sim *sim, uint32_t low, uint32_t high);
bool sim_chance(struct sim *sim, uint32_t ppm);
struct incarnation sim_incarnation(struct sim *sim);

/* Queues a turn in_ms from now. */
void sim_later(struct sim *sim, uint64_t in_ms, enum turn_type type, uint32_t who, uint32_t life,
               uint32_t number, struct parcel *parcel);

/* A line of the trace; nothing when there is none. */
void sim_trace(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds to the hash of the history: equal hashes mean equal histories. */
void sim_hash(struct sim *sim, uint64_t value);

/* A judge's verdict: the first one ends the run. */
void sim_violation(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

void sim_fault(struct sim *sim, enum fault_kind kind);

/* The user's number as the kernel would tell it, of a user index. */
uint32_t sim_uid(uint32_t user);
uint32_t sim_user_of_uid(uint32_t uid);
struct sim_job *sim_job_of(struct sim *sim, const struct run_key *key);

#endif
