/* SPDX-License-Identifier: Apache-2.0 */
/* Where the coordinator's records are kept: one narrow table, several backends.
 *
 * A store is a log that is always compact. Records are appended in transactions that are all or
 * nothing and, once their commit was answered with CKPT_OK, survive the process, the machine and a
 * power cut as far as the backend says so. At its start a coordinator replays the log, then takes a
 * new epoch by committing a RECORD_EPOCH of the highest + 1, and only then rules.
 *
 * What a record makes void is removed by the transaction that brings it, so that size and replay go
 * with what is there and not with what ever was. store_rules says which record voids which:
 *
 *   EPOCH                         the EPOCH before it
 *   ATTEMPT, WITHDRAWN, VERDICT,
 *   KEY                           the one of its type and run before it
 *   CLUSTER                       the CLUSTER before it
 *   MARK                          the MARK of its checkpoint before it
 *   DRAINED                       the DRAINED of its node before it
 *   UNDRAINED                     DRAINED of its node, and it is not kept
 *   OFFERED                       QUARANTINED of its checkpoint, and it is not kept
 *   RETIRED                       CONSISTENT, QUARANTINED, HOLDERS and MARK of its checkpoint, and
 *                                 it is not kept
 *
 * Everything else stays: a run's fence (its attempt, what was withdrawn, its verdict, its key)
 * outlives all of its checkpoints.
 *
 * Keys of runs are secrets: what a medium writes is for its owner's eyes alone, mode 0600, and no
 * reason names one.
 *
 * Epoch fence: a transaction with a record of an epoch below the store's highest, or with a
 * RECORD_EPOCH that does not raise it, is refused as CKPT_ERR_STALE: another coordinator rules. Any
 * other record's epoch must be one that a RECORD_EPOCH has made known, earlier or in the same
 * transaction.
 *
 * A medium may take milliseconds, and at times half a minute, and some are at the other end of a
 * network. So what is asked of a store is a call: it is begun, and answered later, from the loop. A
 * store is used by that one thread. */
#ifndef CKPT_STORE_STORE_H
#define CKPT_STORE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/coordinator.h"

struct medium_kind;
struct store;

/* Receives one record, and the shards of a RECORD_CONSISTENT; both live until it returns. A status
 * other than CKPT_OK ends the replay, which then returns it. Must not call the store. */
typedef enum ckpt_status store_visit(void *context, const struct coordinator_record *record);

/* Size, digest and holders of a rank's shard in the checkpoint of `record`. */
typedef struct coordinator_record_shard
store_shard_at(const void *context, const struct coordinator_record *record, uint32_t rank);

struct store_transaction {
    const struct coordinator_record *records;
    uint32_t count;
    store_shard_at *shard_at; /* asked for each rank of a RECORD_CONSISTENT whose shards is NULL */
    const void *context;      /* for shard_at */
};

/* What a record of type `later` makes void when it is committed: those of type `earlier` of its run
 * (of no run, where it has none), and, with of_checkpoint, of its attempt and step only. */
struct store_rule {
    enum coordinator_record_type later;
    enum coordinator_record_type earlier;
    bool of_checkpoint;
};
#define STORE_RULES 17
extern const struct store_rule store_rules[STORE_RULES];

/* How far a long open or replay has come, for whoever wants to look from another thread. */
struct store_progress {
    const char *_Atomic what; /* "checking" and so on, a string that lives for ever; NULL: idle */
    atomic_uint_fast64_t done;
    atomic_uint_fast64_t of; /* 0: nobody knows */
};

enum store_call_type {
    /* Opens it for this process alone, anew where it was open. A store of an earlier format is
     * converted, which may take minutes for many millions of records.
     *
     * ERRORS
     * - CKPT_ERR_BUSY - another coordinator has it open; the reason names its process id
     * - CKPT_ERR_TIMEOUT, CKPT_ERR_FULL - store_may_pass()
     * - CKPT_ERR_VERSION - made by a later ckptctld
     * - CKPT_ERR_CORRUPT - not a record store, damaged, or shorter than what was once committed
     * - CKPT_ERR_DISK, CKPT_ERR_SYSTEM - cannot be made, read or locked
     * - CKPT_ERR_MEMORY */
    STORE_OPEN = 1,

    /* The highest epoch; 0 for a new store. CKPT_ERR_DISK, CKPT_ERR_CORRUPT, and what
     * store_may_pass() names. */
    STORE_EPOCH,

    /* Hands every record that still matters to visit, in the order of commitment.
     *
     * ERRORS
     * - CKPT_ERR_CORRUPT - a row is not what was written, or rows are missing; the reason says so.
     *   visit may have seen other rows: what it built must be thrown away.
     * - CKPT_ERR_DISK, CKPT_ERR_MEMORY, what store_may_pass() names, and what visit returns */
    STORE_REPLAY,

    /* Appends all records and removes what they make void, or does nothing. An empty transaction is
     * CKPT_OK and touches nothing. The work is bounded by the records: each voids one or two.
     *
     * ERRORS
     * - CKPT_ERR_STALE - the epoch fence; nothing was written
     * - CKPT_ERR_INVALID - a record's epoch or type is unknown, its world too large; nothing was
     *   written
     * - CKPT_ERR_TIMEOUT, CKPT_ERR_FULL - store_may_pass(): nothing was written
     * - CKPT_ERR_DISK, CKPT_ERR_MEMORY - nothing is known of what was written. This store never
     *   answers CKPT_OK again: the medium may have dropped what a later sync would claim to have
     *   written. Only another STORE_OPEN, which reads what the medium has, may go on. */
    STORE_COMMIT,

    /* The same, of the records by which a coordinator begins to rule. */
    STORE_RULE,
};

/* Its owner's, who keeps it until it is answered. What it points to may be read by another thread
 * until then: visit and shard_at are called there. */
struct store_call {
    enum store_call_type type;
    store_visit *visit;                   /* STORE_REPLAY */
    void *visit_context;                  /* of that */
    struct store_transaction transaction; /* STORE_COMMIT, STORE_RULE */

    /* The answer, from store_turn(). */
    void (*done)(void *context);
    void *context;
    enum ckpt_status status;
    uint64_t epoch;                   /* STORE_EPOCH */
    char reason[CKPT_REASON_MAX + 1]; /* what, where, and what to do; "" for CKPT_OK */

    struct store_call *next; /* the store's */
};

/* What a backend is. Each function is described at the store_ function of its name. */
struct store_backend {
    const char *name;
    const struct medium_kind *medium; /* what it keeps records in, where that blocks */
    enum ckpt_status (*make)(const struct store_backend *backend, const char *location,
                             struct store_progress *progress, struct store **store_out);
    void (*begin)(struct store *store, struct store_call *call);
    bool (*close)(struct store *store, uint32_t wait_ms);
};

/* "sqlite": one database in the directory `location`, made (0700) where it is missing. Durable:
 * WAL, synchronous=FULL; its files are for nobody else (0600), and made so where they were not.
 * docs/formats.md has its tables. */
extern const struct store_backend store_sqlite;

/* "memory": lost at close; for tests and benchmarks. location is not looked at. */
extern const struct store_backend store_memory;

/* The backend of that name, or NULL. */
const struct store_backend *store_backend_by_name(const char *name);

/* Whether a failure says nothing about the records and passes of itself: CKPT_ERR_TIMEOUT (another
 * program, a person's open transaction say, holds a lock on them) and CKPT_ERR_FULL (no room on
 * their file system). Nothing was written; the same call may be made again, for ever. */
bool store_may_pass(enum ckpt_status status);

/* Makes a store that is yet to be opened, and touches no medium. location, and progress, which may
 * be NULL, live as long as it. CKPT_ERR_MEMORY, CKPT_ERR_SYSTEM. */
enum ckpt_status store_make(const struct store_backend *backend, const char *location,
                            struct store_progress *progress, struct store **store_out);

/* Begins a call. Calls are done one after the other, in their order; at most one commit is under
 * way. done is called by store_turn() alone, never from inside this. */
void store_begin(struct store *store, struct store_call *call);

/* Readable when there are answers to be given. */
int store_fd(const struct store *store);

/* Gives them: calls done of each. */
void store_turn(struct store *store);

/* Closes and frees it: no call is begun or answered any more. Waits wait_ms at most for one that is
 * under way. False when that one still is: what it uses must then not be given back, and the
 * process is to end without. Sets *store to NULL; NULL and a pointer to NULL are taken. */
bool store_close(struct store **store, uint32_t wait_ms);

#endif
