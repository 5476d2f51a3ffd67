/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's tables. Private to src/coordinator.
 *
 * Everything is in arrays carved from one block at init and linked by index; NONE ends a list.
 *
 *   run 1 --- n checkpoint 1 --- world shard 1 --- few copy n --- 1 member
 *
 * A shard that needs a decision is in the attention queue, once; one that must wait (no room, no
 * domain, a pull that just failed) is parked until the next tick. */
#ifndef CKPT_COORDINATOR_STATE_H
#define CKPT_COORDINATOR_STATE_H

#include "base/index_set.h"
#include "base/rare.h"
#include "coordinator/coordinator.h"
#include "placement/placement.h"
#include "wire/machine.h"

enum order_kind {
    ORDER_NONE = 0,
    ORDER_PULL,   /* state is COPY_NONE until the report comes */
    ORDER_VERIFY, /* state is COPY_VERIFIED, COPY_ADOPTED, or COPY_SEALED for an owner */
    ORDER_LET_GO, /* state is COPY_VERIFIED, and it does not count any more */
};

enum source_kind {
    SOURCE_NONE = 0,
    SOURCE_COPY, /* a member's copy: its slot, as long as that has this generation */
};

/* Where a pull reads from. */
struct source {
    uint64_t generation;
    uint32_t member;
    uint8_t kind; /* enum source_kind */
};

/* One member's copy of one shard. In use when member != NONE. Its number is
 * shard * COORDINATOR_COPIES_MAX + its place among the shard's. */
struct copy {
    uint32_t member;
    uint32_t next; /* in the member's list, a copy's number; as previous */
    uint32_t previous;
    uint8_t state;           /* enum copy_state */
    uint8_t purpose;         /* enum pull_purpose of a pull */
    uint8_t source_failures; /* pulls from it that failed */
    uint8_t order_kind : 2;  /* enum order_kind */
    bool owner : 1;
    bool cached : 1;
    bool called_back : 1; /* after it was to be let go: only the answer to that counts */
    bool bad : 1;         /* its digest differed or its pull failed: chosen again only when nothing
                           * else is left */
    bool has_digest : 1;
    bool leaves : 1; /* its node is full of newest copies: it is let go when another node has it */
    struct source source; /* of a pull */
    uint64_t generation;
    uint64_t order;
    uint64_t ordered_ms;
    uint64_t verified_ms;
    uint64_t weight;      /* in its member's inventory */
    uint64_t kept_ms;     /* when its agent last kept it, in use, though it was one too many */
    struct digest digest; /* the first it reported for this generation */
};

enum load_state { LOAD_NONE = 0, LOAD_ASKED, LOAD_READY, LOAD_ANSWERED };

/* A node that held a shard when it was committed, or that its copies have moved to since. */
struct home {
    char node[CKPT_NODE_NAME_MAX + 1];
    uint32_t shards; /* that refer to it */
    uint32_t member; /* NONE: not joined */
    uint32_t next;   /* of its bucket, or of the free ones */
    bool seen;       /* it has joined in this life */
    uint64_t away_since_ms;
};

#define HOMES_PER_AGENT 2
#define PERSISTS_PER_AGENT 2 /* at once: one is written while the next is read */

struct shard {
    uint32_t checkpoint;
    uint32_t rank;
    uint32_t next_in_bucket;
    uint32_t next_in_checkpoint;
    uint32_t next_in_queue; /* of the queue, or of the parked */
    uint32_t previous_in_queue;
    bool used;
    bool queued;
    bool parked;
    bool sealed; /* its owner announced it, or it was committed */
    bool ready;  /* has the copies it needs */
    bool verify_wanted;
    bool has_digest;
    bool replica_said; /* with its owner's report: see replica.c */
    uint8_t failures;
    uint8_t load_state; /* of the load load_restore; LOAD_NONE for any other */
    uint32_t load_restore;
    uint32_t load_member;
    uint64_t load_order;
    uint64_t weight; /* of its name in the weights of its copies */
    uint64_t bytes;
    bool persist_ordered;            /* an agent is to take it to the tier */
    bool persisted;                  /* it is durable there, as an agent told in this life */
    struct digest name;              /* BLAKE3 of it then */
    struct digest digest;            /* the reference */
    uint32_t homes[CKPT_COPIES_MAX]; /* of a committed one; NONE: no more, or not known */
    uint32_t replica_leader;
    uint32_t replica_part;
    uint64_t replica_value;
    struct copy copies[COORDINATOR_COPIES_MAX];
};

enum persist_state {
    PERSIST_NONE = 0, /* it is not to be in the tier, or not yet */
    PERSIST_SHARDS,   /* shards are on their way there */
    PERSIST_MANIFEST, /* all are durable, and the manifest is on its way */
    PERSIST_DONE,     /* it is whole there, and that is on record */
};

/* What an agent was told to take to the tier, and has not answered. */
struct persist_order {
    uint64_t order; /* 0: the place is free */
    uint32_t member;
    uint32_t checkpoint;
    uint32_t shard; /* NONE: the manifest */
    uint64_t ordered_ms;
};

struct checkpoint {
    bool used;
    bool counted;  /* in its user's holdings */
    uint8_t state; /* enum checkpoint_state */
    uint32_t run;
    uint32_t next_in_run;
    uint32_t attempt;
    uint64_t step;
    uint32_t world;
    uint32_t copies;
    uint32_t first_shard;
    uint32_t shards; /* in the table */
    uint32_t sealed;
    uint32_t ready;
    uint32_t reserved; /* places in the shard table for ranks that have not reported yet */
    uint32_t restore_failures;
    bool in_shares;   /* a rank said what others hold alike: see replica.c */
    bool makes_do;    /* open: copies on nodes that drain count after all; see drain.c */
    uint8_t mark;     /* enum checkpoint_mark */
    bool passed_over; /* quarantined, and the run has gone on without it: never the newest again */
    bool is_timed;    /* its ranks sealed it in this life of the coordinator */
    uint8_t persist;  /* enum persist_state */
    uint32_t persist_left;    /* shards that are not durable in the tier */
    uint32_t persist_next;    /* the shard where the look for another one goes on */
    uint32_t persist_tries;   /* that failed, one after the other, of the whole */
    uint64_t persist_due_ms;  /* not before, after such a try */
    uint64_t persist_from_ms; /* when it was begun */
    uint64_t persist_last_ms; /* when a shard last became durable */
    uint64_t bytes;
    uint64_t progress_ms;
    uint64_t opened_ms;      /* when its first rank had sealed it */
    uint64_t sealed_ms;      /* when its last had */
    uint64_t wall_ms;        /* of its commit; 0: not known, as for what follows */
    uint32_t interval_ms;    /* since the commit before it */
    uint32_t took_ms;        /* from opened_ms to the commit */
    uint32_t copying_ms;     /* from sealed_ms to the commit */
    enum ckpt_status status; /* of an aborted one, or why a copy cannot be made now */
    char reason[CKPT_REASON_MAX + 1];
};

enum restore_state { RESTORE_NONE = 0, RESTORE_CHOOSING, RESTORE_PULLING, RESTORE_ENDED };

/* One collective load of one attempt. */
struct restore {
    uint8_t state;
    uint32_t id; /* unique in this life */
    uint32_t attempt;
    uint32_t load;
    uint32_t world;
    uint64_t step_wanted;
    uint64_t below; /* candidates are below this step: those above were tried */
    bool tried;     /* below is set */
    bool decided;   /* the verdict is on record: no other step */
    uint64_t started_ms;
    uint64_t asked_ms;  /* when a rank last asked, or all were told */
    uint64_t settle_ms; /* until when a missing copy may still turn up */
    uint64_t pass_ms;   /* when the last failed pass was */
    uint32_t passes;
    uint32_t checkpoint; /* PULLING, or ENDED well */
    uint32_t ready;
    bool told; /* some rank may have heard that all is well */
    bool verdicts_due;
    uint32_t verdict_rank; /* where sending them goes on */
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
    char waits[CKPT_REASON_MAX + 1]; /* for which copies, of nodes that are away; "": for none */
};

/* The end of a run's last job, as agents told it. */
struct run_job {
    char name[CKPT_JOB_NAME_MAX + 1];
    uint32_t start;     /* which start of the job; 0: nobody said */
    uint64_t started_s; /* when it began, by the scheduler's word; 0: it does not say */
    bool begin_known;   /* some agent knows when it began: begun_ms */
    bool ended;
    bool requeueable;
    uint32_t attempt; /* of the run, when the end was told */
    uint64_t begun_ms;
    uint64_t ended_ms;
    uint64_t linger_ms;
};

/* The ranks that were started together: start.c. */
struct start {
    bool used;
    bool is_recalled; /* it has its number from the records: who was in it is told by agents */
    uint32_t run;
    uint32_t next_in_run;
    uint32_t attempt;   /* 0: forming */
    struct nonce nonce; /* its own name; zero: forming, or of before starts had names */
    struct nonce name;  /* the launcher's; zero: none */
    uint32_t world;     /* 0: not told yet */
    uint32_t first_seat;
    uint32_t seats;
    uint32_t live;     /* of these, whose process is connected */
    uint32_t telling;  /* the seat that is told next that the start is complete */
    uint64_t since_ms; /* the last rank that was new */
};

enum seat_state {
    SEAT_FREE = 0, /* of no start */
    SEAT_EMPTY,    /* nobody has come yet, or its process has gone */
    SEAT_TAKEN,
};

/* A process's place in a start. */
struct seat {
    uint32_t start;
    uint32_t rank;
    struct nonce nonce; /* of the process */
    uint32_t member;    /* whose it is; NONE where it is not taken */
    uint8_t state;      /* enum seat_state */
    bool staged;        /* it has left saves that wait for the number */
    uint32_t next_in_bucket;
    uint32_t next_in_start;
};

/* Of a run that was put out of the table: fence.c. */
struct fence {
    uint64_t number; /* rises: the lowest was put out first */
    uint64_t name;   /* hashed */
    uint32_t uid;
    uint32_t attempt;
    struct nonce start;
    uint32_t withdrawn_attempt;
    uint64_t withdrawn_step;
    struct digest_key key;
    uint32_t next_in_bucket;
};

/* What one user, or all together, have in the tables. */
struct holdings {
    uint32_t uid;
    uint32_t next_in_bucket;
    uint64_t runs;
    uint64_t checkpoints;
    uint64_t shards;
};

struct run {
    bool used;
    struct run_key key;
    uint32_t user; /* in users */
    uint32_t next_in_bucket;
    uint32_t attempt;
    struct nonce start_nonce; /* of the start that has this attempt; zero: not known */
    uint64_t attempt_ms;      /* when it rose, in this life of the coordinator; 0: before that */
    struct digest_key digest_key; /* that its copies are proven with: digest_key.c */
    uint64_t digest_key_id;       /* of that */
    bool begun;                   /* it has restored or saved something */
    bool chosen;                  /* a load has settled on a step; nobody was told yet */
    uint32_t first_start;         /* newest first */
    uint32_t start;               /* the one that has the attempt; NONE: not in the table yet */
    uint32_t world;
    bool has_latest;
    uint64_t latest;
    uint32_t withdrawn_attempt; /* what came up to this attempt and step stays retired, though late
                                 * reports speak of it */
    uint64_t withdrawn_step;
    uint32_t verdict_attempt; /* the last verdict on record, 0: none */
    uint32_t verdict_load;
    uint64_t verdict_step;
    bool has_persisted; /* the next two, on record: the newest that is whole in the tier */
    uint32_t persisted_attempt;
    uint64_t persisted_step;
    uint64_t persisted_ms;     /* when, in this life of the coordinator; 0: before it */
    uint32_t persisting;       /* the checkpoint that is on its way there; NONE */
    uint32_t first_checkpoint; /* newest step first */
    uint64_t touched_ms;
    uint32_t diverged_attempt; /* whose ranks were found to differ; 0: none. See replica.c */
    uint64_t diverged_step;
    uint64_t active_ms; /* the last commit, load or seat; 0: none in this life of the coordinator */
    struct restore restore;
    struct run_job job;
};

enum member_state { MEMBER_FREE = 0, MEMBER_JOINED, MEMBER_LOST };

struct member {
    uint8_t state;
    bool connected;
    bool stopped;  /* it said goodbye */
    bool draining; /* see drain.c */
    bool drained;  /* as was last seen; in a joined one */
    char node[CKPT_NODE_NAME_MAX + 1];
    char address[CKPT_ADDRESS_MAX + 1];
    struct incarnation incarnation;
    bool is_of_cluster; /* its memory is of this cluster, as its JOIN said */
    uint32_t link;
    uint32_t next_in_bucket, next_in_name_bucket; /* of links, and of names */
    bool inventory_told;                          /* all that it holds, since it joined */
    uint32_t features;                            /* WIRE_FEATURE_* */
    uint32_t locked;                              /* enum arena_locked, as its JOIN said */
    uint32_t closed;                              /* enum agent_closed, the same */
    uint64_t joined_ms;
    uint64_t heard_ms;
    uint64_t lease_until_ms;
    uint64_t segment_bytes, page_bytes; /* as struct room_kind has them */
    uint32_t segments;
    uint32_t first_copy;
    uint32_t copies_verified;
    uint64_t relieved_ms;    /* when something was last given up for room on it; 0: never */
    uint64_t short_since_ms; /* nobody has had room to give it, from then to short_ms */
    uint64_t short_ms;
    uint32_t orders; /* to it, of any kind, without an answer */
    uint32_t pulls, mismatches;
    bool has_tier;          /* it can take shards to the tier */
    uint32_t persists;      /* orders to it to do so, without an answer */
    uint32_t tier_failures; /* of such, one after the other */
    uint64_t tier_due_ms;   /* it is asked for no more before */
    uint32_t fetches;       /* that wait */
    uint64_t leased_ms;     /* when it was last answered */
    bool settled;           /* as it was last told */
    uint64_t inventory;     /* the sum of its copies' weights: wire/inventory.h */
    bool has_bytes;         /* it says what its shards take and have */
    uint64_t bytes_taken, bytes_held;
    uint32_t rails, rails_up; /* of its transport; 0: none to tell of */
    uint64_t refusals;        /* as it last said; the next two: of the last */
    enum ckpt_status refused_status;
    uint64_t refused_ms;
};

/* Fetches in the order of their last asks. */
struct fetch_ages {
    uint32_t oldest, newest;
};

/* A reader's ask for a shard. */
struct fetch {
    uint32_t shard;
    uint32_t member;
    uint64_t weight;  /* the shard's, as its place may be another's by now */
    uint32_t *bucket; /* by shard and member */
    uint32_t next_in_bucket;
    uint32_t older; /* by asked_ms */
    uint32_t newer;
    uint64_t asked_ms;
    bool told;     /* it has had its answer, and may ask once more */
    bool digested; /* since the ask, in this generation */
    uint64_t generation;
    struct message_load_ask ask;
};

#define TROUBLES_MAX 128

/* One reason for which saves do not become consistent; a node and a run may be empty. */
struct trouble {
    uint8_t kind; /* enum coordinator_trouble */
    bool has_rank;
    char node[CKPT_NODE_NAME_MAX + 1];
    struct shard_key shard;
    enum ckpt_status status;
    struct rare said;
    char text[CKPT_REASON_MAX + 1];
};

/* A copy whose BLAKE3 was asked for beside its proof: naming.c. */
struct named_copy {
    uint32_t shard;
    uint32_t member;
    uint64_t weight; /* the shard's, as its place may be another's by now */
    uint64_t generation;
    bool told;
    struct digest name;
};

#define NAMES_MAX 4096

struct naming {
    bool used;
    uint32_t checkpoint; /* this and the next two: of whose copies */
    uint32_t attempt;
    uint64_t step;
    uint32_t next_rank;   /* the first that there was no place for; the world: none */
    uint32_t count;       /* of the names in use */
    uint64_t first_order; /* theirs follow one another */
    uint32_t sent;        /* as far as the orders of this round have gone out */
    uint64_t round_ms;    /* when it began */
    uint64_t heard_ms;    /* the last answer, or the ask */
};

#define TOUCHED_MAX 16 /* a turn that changes more has the rest checked in turn */

/* The tier as a whole, when it is full or does not go on. */
struct tier {
    bool is_stopped;
    uint32_t failures; /* one after the other */
    uint64_t since_ms;
    uint64_t due_ms; /* when it is tried again, with one order */
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
};

struct coordinator {
    struct coordinator_config config;
    struct coordinator_update *update;  /* of the turn under way; NULL between two */
    const struct digest_secret *secret; /* of the turn under way, for a run that begins */
    struct nonce cluster;               /* zero before it was made */
    uint64_t epoch;
    uint64_t now_ms;        /* of this machine's clock, which runs while its process does */
    uint64_t wall_ms;       /* the calendar's, of the event: shown, never compared */
    uint64_t stalled_ms;    /* by how much it is behind the process's */
    uint64_t stall_over_ms; /* when the last stall ended; 0: none yet */
    uint64_t started_ms;
    bool replaying;
    bool started;
    bool has_keys; /* some run has had a fingerprint's */
    uint64_t next_order;
    uint32_t next_restore;
    uint64_t parked_ms; /* when the parked were last looked at */
    uint64_t tick_ms;   /* when the next round is due, however many messages come before it */

    struct member *members;
    struct placement_member *places; /* beside members, for placement */
    struct placement_domain *domains;
    char (*domain_names)[CKPT_DOMAIN_NAME_MAX + 1];
    uint32_t member_count;         /* no member was ever above */
    struct index_set members_free; /* below member_count */
    struct index_set members_lost;
    struct index_set domains_free; /* below domain_count */
    uint32_t domain_count;
    uint32_t *domain_last;    /* each domain's member that came last */
    uint32_t *domain_open;    /* its members that may be chosen, take shards, and do not drain */
    uint32_t domains_open;    /* domains with such a member */
    uint32_t drains;          /* joined members that drain */
    bool drains_stir;         /* which copies count may have changed in this turn */
    bool drains_short;        /* the others have no room for what drains take from a node */
    uint64_t drains_short_ms; /* since when */
    uint32_t *domain_next;    /* of the names' buckets */
    uint32_t *domain_buckets; /* by name; these two have as many buckets as the links */
    uint32_t *node_buckets;
    uint32_t *link_buckets;
    uint32_t link_mask;

    uint64_t lease_check_ms; /* no lease ends before */

    struct trouble troubles[TROUBLES_MAX];
    uint64_t troubles_left_out; /* for which there was no place */

    struct home *homes;
    uint32_t *home_buckets; /* as many as the links */
    uint32_t first_free_home;

    struct run *runs;
    uint32_t runs_high;            /* no run was ever above: scans end here */
    struct index_set runs_free;    /* below runs_high */
    struct index_set runs_keeping; /* retention may have something to do */
    struct index_set runs_loading; /* the load waits for something, or has verdicts to send */
    struct index_set runs_ended;   /* the job has ended: they linger */
    uint32_t expire_next;          /* the run where the next look for expired ones goes on */
    uint32_t relief_next;          /* the member where the next look for short memory begins */
    uint32_t *run_buckets;
    uint32_t run_mask;

    struct start *starts;
    uint32_t starts_max;
    uint32_t starts_free;
    uint32_t starts_telling;
    struct seat *seats; /* as many as shards: who saves has a shard */
    uint32_t seats_high;
    uint32_t first_free_seat; /* below seats_high */
    uint32_t *seat_buckets;
    uint32_t seat_mask;
    struct fence *fences;
    uint32_t fences_max;
    uint32_t fences_high;
    uint32_t *fence_buckets; /* by uid and name; as many as the runs' */
    uint64_t fence_last;

    struct checkpoint *checkpoints;
    uint32_t checkpoints_high;
    uint32_t checkpoints_used;
    struct holdings held;   /* of all */
    struct holdings *users; /* of each who has a run */
    uint32_t users_high;
    struct index_set users_free;       /* below users_high */
    uint32_t *user_buckets;            /* as many as the runs' */
    struct index_set checkpoints_free; /* below checkpoints_high */
    struct index_set checkpoints_open;
    struct index_set checkpoints_aborted;
    uint32_t touched[TOUCHED_MAX]; /* checkpoints that this turn changed */
    uint32_t touched_count;
    uint32_t sample_next; /* the checkpoint that the next turn's sample begins with */
    uint32_t sample_member;

    struct shard *shards;
    uint32_t shards_high; /* no shard was ever above */
    uint32_t *shard_buckets;
    uint32_t shard_mask;
    uint32_t first_free_shard; /* below shards_high */
    uint32_t free_shards;
    uint32_t reserved_shards; /* of those, for ranks of open checkpoints */

    uint32_t queue_head;
    uint32_t queue_tail;
    uint32_t parked;

    struct tier tier;
    struct persist_order *persist_orders;
    uint32_t persist_orders_max;
    uint32_t persist_orders_high; /* no place was ever taken above */
    uint32_t persist_order_count;
    uint32_t persist_run; /* where the next round begins */

    struct fetch *fetches;
    uint32_t fetches_max;
    uint32_t fetches_high;
    uint32_t fetch_count;
    struct fetch_ages fetch_ages[2]; /* of those that wait, of those that were told */
    struct index_set fetches_free;   /* below fetches_high */
    uint32_t *fetch_buckets;
    uint32_t fetch_mask;

    struct naming naming;
    struct named_copy *names;
};

static inline uint32_t run_index(const struct coordinator *c, const struct run *run)
{
    return (uint32_t)(run - c->runs);
}

static inline uint32_t checkpoint_index(const struct coordinator *c, const struct checkpoint *k)
{
    return (uint32_t)(k - c->checkpoints);
}

static inline uint32_t shard_index(const struct coordinator *c, const struct shard *s)
{
    return (uint32_t)(s - c->shards);
}

static inline uint32_t start_index(const struct coordinator *c, const struct start *start)
{
    return (uint32_t)(start - c->starts);
}

/* It may still become consistent. */
static inline bool checkpoint_is_open(const struct checkpoint *k)
{
    return k->state == CHECKPOINT_OPEN || k->state == CHECKPOINT_VERIFYING;
}

/* It became consistent, and is on record. */
static inline bool checkpoint_is_committed(const struct checkpoint *k)
{
    return k->state == CHECKPOINT_CONSISTENT || k->state == CHECKPOINT_QUARANTINED;
}

/* It is one of the shard's, and in use. */
static inline bool copy_is_of(const struct shard *s, const struct copy *copy)
{
    return copy >= s->copies && copy < s->copies + COORDINATOR_COPIES_MAX && copy->member != NONE;
}

static inline bool source_is_at(const struct source *source, uint32_t member)
{
    return source->kind == SOURCE_COPY && source->member == member;
}

/* Counts toward the commit rule, and may be read by others. */
static inline bool copy_is_good(const struct shard *s, const struct copy *copy)
{
    return copy->member != NONE && copy->state == COPY_VERIFIED && !copy->cached && !copy->bad &&
           copy->order_kind != ORDER_LET_GO && s->has_digest &&
           digest_equal(&copy->digest, &s->digest);
}

#endif
