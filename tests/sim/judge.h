/* SPDX-License-Identifier: Apache-2.0 */
/* The judges: they watch the world (memory, store, wires, what ranks get) and say when a promise of
 * docs/design.md section "what must always hold" is broken. They trust nothing that a machine says
 * of itself, except where they ask a coordinator which copies
 * it counted, to hold that against it. */
#ifndef CKPT_SIM_JUDGE_H
#define CKPT_SIM_JUDGE_H

#include "sim.h"

/* A shard as its rank sealed it. Two processes that claim one rank make two variants of a key. */
struct ghost {
    struct ghost *next; /* in its bucket */
    uint32_t run;
    uint32_t attempt;
    uint64_t step;
    uint32_t rank;
    uint32_t node;
    uint32_t wipes;
    uint32_t slot;
    uint64_t generation;
    uint32_t bytes;
    struct digest digest; /* under DIGEST_KEY_ID_BLAKE3 */
    uint8_t values[SIM_CHUNKS_MAX * SIM_VALUE_BYTES];
    bool tainted; /* the owner's memory was changed after the seal: what is committed may be that */
};

/* A durable commit. */
struct commit {
    uint64_t at_ms;
    uint32_t run;
    uint32_t attempt;
    uint64_t step;
    uint32_t world;
    uint32_t copies;
    bool retired;
    bool quarantined;
    uint32_t bytes[SIM_WORLD_MAX];
    struct digest digests[SIM_WORLD_MAX];
};

/* One collective load, as the ranks were answered. */
struct session {
    uint32_t run;
    uint32_t attempt;
    uint32_t load;
    bool answered; /* with a step, or that there is none: the attempt has begun for good */
    bool has_step;
    uint64_t step;
    uint32_t shard_attempt;
    bool verdict_ok; /* said by the ruler of verdict_incarnation */
    bool verdict_bad;
    struct incarnation verdict_by;
    uint64_t verdict_epoch; /* when it was good; it rises when an agent is lost */
};

/* When an order was first seen; it may be sent again and again. */
struct first_sent {
    uint64_t order;
    uint32_t ruler_life;
    uint64_t at_ms;
};

#define ORDERS_KEPT 4096
#define GHOST_BUCKETS 256
#define COMMITS_MAX 1024
#define SESSIONS_MAX 512
/* A copy that was spoilt, and that its agent gave up. */
#define SPOILT_KEPT 64
struct spoilt {
    struct shard_key shard;
    uint32_t node;
    uint64_t at_ms;
};

struct judge {
    struct ghost *ghosts[GHOST_BUCKETS];
    uint32_t commit_count;
    struct commit commits[COMMITS_MAX];
    uint32_t session_count;
    struct session sessions[SESSIONS_MAX];
    struct first_sent orders[ORDERS_KEPT]; /* by number */
    struct spoilt spoilt[SPOILT_KEPT];     /* the last ones, in a ring */
    uint32_t spoilt_count;
    uint64_t latest[SIM_RUNS_MAX]; /* by the store, 0: none */
    /* Which life of which ruler has acknowledged the beginning of which launch. */
    struct {
        uint32_t ruler;
        uint32_t life;
        uint32_t launch;
    } begun[SIM_RUNS_MAX];
    /* By the store: the newest that is persisted. */
    struct {
        bool is_known;
        uint32_t attempt;
        uint64_t step;
    } persisted[SIM_RUNS_MAX];
    bool retire_newer[SIM_RUNS_MAX]; /* an admin asked for it */
    uint64_t retire_newer_than[SIM_RUNS_MAX];
    bool retire_step[SIM_RUNS_MAX];
    /* After the faults. */
    bool must_restore[SIM_RUNS_MAX];
    uint64_t must_restore_step[SIM_RUNS_MAX];
    bool restored[SIM_RUNS_MAX];
    uint32_t saved[SIM_RUNS_MAX]; /* commits of its attempt since then */
};

/* judge_tier.c: what is persisted is. */
void judge_manifest(struct sim *sim, const struct sim_tier_manifest *manifest);
void judge_persisted(struct sim *sim, const struct coordinator_record *record);
/* Whoever asks about a checkpoint hears that it is in the tier only when it is. */
void judge_tier_word(struct sim *sim, const struct message_checkpoint_info *info);
bool judge_has_persisted(struct sim *sim, bool must);

struct judge *judge_new(void);
void judge_delete(struct judge **judge);

/* judge.c: what the judges remember. */
struct ghost *judge_ghost_add(struct sim *sim, const struct sim_job *job, uint32_t rank,
                              uint64_t step);
struct ghost *judge_ghost_find(struct sim *sim, uint32_t run, uint32_t attempt, uint64_t step,
                               uint32_t rank, const struct digest *digest);
bool judge_ghost_is_tainted(struct sim *sim, uint32_t run, uint32_t attempt, uint64_t step,
                            uint32_t rank);
void judge_taint(struct sim *sim, uint32_t node, uint32_t slot, uint64_t generation);
struct commit *judge_commit_find(struct sim *sim, uint32_t run, uint32_t attempt, uint64_t step);
struct commit *judge_newest(struct sim *sim, uint32_t run);
/* Whether this slot's memory now holds these bytes, whatever its agent says of it. */
bool judge_slot_is_intact(struct sim *sim, uint32_t node, uint32_t slot,
                          const struct digest *digest);
/* Whether this digest was computed over this generation in this life: it, or the one before, which
 * the agent may still report while the end of the newer is on its way. */
bool judge_digested(const struct sim_slot *slot, uint32_t life, uint64_t generation,
                    const struct digest *digest);
/* Some slot of the node says that it holds a whole copy. */
bool judge_node_holds(struct sim *sim, const struct commit *commit, uint32_t rank, uint32_t node);
/* Every shard of the commit has an intact copy in some memory. */
bool judge_is_whole(struct sim *sim, const struct commit *commit);
/* The coordinator may not have heard yet of what happened on a node at that time: because it was a
 * moment ago, or because the coordinator itself was not there since. */
bool judge_is_unheard(const struct sim *sim, uint64_t at_ms);
/* That some node has lost its memory, or a copy in it. */
bool judge_is_loss_unheard(const struct sim *sim);
/* The slot's record says that it holds a whole copy, of whatever standing. */
bool judge_holds_copy(const struct sim_slot *slot);
bool judge_is_of(struct sim *sim, const struct sim_slot *slot, const struct commit *commit,
                 uint32_t rank);
/* Changed since its last digest, so that nobody can know. */
bool judge_is_spoilt_unseen(const struct sim_slot *slot);
uint32_t judge_good_domains(struct sim *sim, const struct commit *commit, uint32_t rank,
                            uint32_t except_node, uint32_t except_slot, bool unseen);

/* judge_commit.c: 1, 2, 4, 5, 12. */
void judge_transaction(struct sim *sim, uint32_t ruler);
void judge_durable(struct sim *sim, uint32_t ruler, const struct sim_record *record);

/* judge_latest.c: 7, 8, 11. */
void judge_store_record(struct sim *sim, uint32_t ruler, const struct sim_record *record);
void judge_ruler_message(struct sim *sim, uint32_t ruler, uint32_t node,
                         const struct message *message);
void judge_rank_message(struct sim *sim, uint32_t node, const struct sim_end *to,
                        const struct message *message, const struct sim_mapping *attached);

/* judge_slot.c: 8, 9, 13, 14, 18. */
void judge_slot_freed(struct sim *sim, uint32_t node); /* it is about to be */
void judge_slot_record(struct sim *sim, uint32_t node, const struct slot_record *before,
                       const struct slot_record *after);
void judge_landing(struct sim *sim, const struct sim_work *work);
void judge_rank_write(struct sim *sim, const struct sim_job *job, const struct sim_rank *rank);
void judge_memory(struct sim *sim);

/* judge_scrub.c: 21. After each turn of an agent. */
void judge_scrubbed(struct sim *sim, uint32_t node);

/* judge_room.c: 8. */
void judge_room_taken(struct sim *sim, uint32_t node, const struct slot_record *record,
                      uint32_t id);
void judge_room_message(struct sim *sim, uint32_t node, const struct sim_end *to,
                        const struct message *message);

/* judge_agent.c: 1, 10, 11. */
void judge_agent_turn(struct sim *sim, uint32_t node, const struct agent_event *event,
                      const struct agent_update *update);
void judge_agent_message(struct sim *sim, uint32_t node, const struct message *message);

/* judge_restore.c: 3, 16, 17. */
void judge_verdict(struct sim *sim, uint32_t ruler, uint32_t node, const struct message *message);
void judge_loaded(struct sim *sim, struct sim_job *job, struct sim_rank *rank,
                  const struct message_loaded *loaded, const struct sim_mapping *mapping);
void judge_taint_readers(struct sim *sim, uint32_t node, uint32_t segment);
void judge_held(struct sim *sim, struct sim_job *job, struct sim_rank *rank);

/* judge_absence.c: 22, 23, 25. */
void judge_quarantined(struct sim *sim, const struct commit *commit);
void judge_fell_back(struct sim *sim, const struct sim_job *job, enum ckpt_status status,
                     uint64_t step);
void judge_order(struct sim *sim, uint32_t ruler, uint32_t node,
                 const struct message_pull_order *order);
void judge_members_lost(struct sim *sim, uint32_t ruler);

/* judge_drain.c: 1, 9, 22. */
bool judge_says_safe(struct sim *sim, uint32_t node); /* the coordinator, of a draining one */
void judge_drained(struct sim *sim);
bool judge_is_lent(struct sim *sim, uint32_t node, uint32_t slot); /* on a draining one */
bool judge_is_clear(struct sim *sim, const struct commit *commit, uint32_t rank);

/* judge_key.c: 1, 8, 11. */
void judge_key_told(struct sim *sim, const struct message *message);
/* The digest of a commit, and the commit itself, are under the key that its run has on record. */
bool judge_key_is_the_runs(struct sim *sim, const struct coordinator_record *record,
                           const struct digest *digest);
/* The slot's digest says whether it has the committed bytes. */
bool judge_key_proves(const struct sim_slot *slot, const struct digest *committed);

/* judge_copies.c: 21, 22. */
bool judge_has_converged(struct sim *sim, bool must);

/* judge_liveness.c: 20, 21. */
void judge_faults_over(struct sim *sim);
void judge_restored(struct sim *sim, struct sim_job *job, enum ckpt_status status, uint64_t step);
void judge_end(struct sim *sim);
bool judge_is_content(struct sim *sim); /* nothing more is to come: the seed may end */

#endif
