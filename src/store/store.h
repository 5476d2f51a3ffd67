/* SPDX-License-Identifier: Apache-2.0 */
/* Where the coordinator's records are kept: one narrow table, several backends.
 *
 * A store is a log. Records are appended in transactions that are all or nothing and, once
 * store_commit has returned CKPT_OK, survive the process, the machine and a power cut as far as the
 * backend says so. At its start a coordinator replays the log, then takes a new epoch by committing
 * a RECORD_EPOCH of store_epoch() + 1, and only then rules.
 *
 * What is retired is forgotten: the rows RECORD_CONSISTENT and RECORD_QUARANTINED of a checkpoint
 * are not replayed after its RECORD_RETIRED, nor is that; its shards' sizes and digests, which are
 * nearly all of the volume, are dropped by the transaction that retires it.
 *
 * Epoch fence: a transaction with a record of an epoch below the store's highest, or with a
 * RECORD_EPOCH that does not raise it, is refused as CKPT_ERR_STALE: another coordinator rules. Any
 * other record's epoch must be one that a RECORD_EPOCH has made known, earlier or in the same
 * transaction.
 *
 * A store is used by one thread at a time. Calls block for as long as the medium does. */
#ifndef CKPT_STORE_STORE_H
#define CKPT_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/coordinator.h"

struct store;

/* Receives one record, and the shards of a RECORD_CONSISTENT; both live until it returns. A status
 * other than CKPT_OK ends the replay, which then returns it. Must not call the store. */
typedef enum ckpt_status store_visit(void *context, const struct coordinator_record *record);

/* Size and digest of a rank's shard in the checkpoint of `record`. */
typedef struct coordinator_record_shard
store_shard_at(const void *context, const struct coordinator_record *record, uint32_t rank);

struct store_transaction {
    const struct coordinator_record *records;
    uint32_t count;
    store_shard_at *shard_at; /* asked for each rank of a RECORD_CONSISTENT whose shards is NULL */
    const void *context;      /* for shard_at */
};

/* What a backend is. Each function is described at the store_ function of its name. */
struct store_backend {
    const char *name;
    enum ckpt_status (*open)(const char *location, struct store **store_out, char *reason_out);
    enum ckpt_status (*epoch)(struct store *store, uint64_t *epoch_out);
    enum ckpt_status (*replay)(struct store *store, store_visit *visit, void *context);
    enum ckpt_status (*commit)(struct store *store, const struct store_transaction *transaction);
    void (*close)(struct store *store);
};

/* "sqlite": one database in the directory `location`, made (0700) where it is missing. Durable:
 * WAL, synchronous=FULL. docs/formats.md has its tables. */
extern const struct store_backend store_sqlite;

/* "memory": lost at close; for tests and benchmarks. location is not looked at. */
extern const struct store_backend store_memory;

/* The backend of that name, or NULL. */
const struct store_backend *store_backend_by_name(const char *name);

/* Opens a store for this process alone. reason_out (CKPT_REASON_MAX + 1 bytes) gets one line on
 * failure: what, where, and what to do.
 *
 * ERRORS
 * - CKPT_ERR_BUSY - another process has it open; the reason names its process id
 * - CKPT_ERR_VERSION - made by a later ckptctld
 * - CKPT_ERR_CORRUPT - not a record store, damaged, or shorter than what was once committed
 * - CKPT_ERR_DISK, CKPT_ERR_SYSTEM - cannot be made, read or locked
 * - CKPT_ERR_MEMORY */
enum ckpt_status store_open(const struct store_backend *backend, const char *location,
                            struct store **store_out, char *reason_out);

/* The highest epoch of the store; 0 for a new one. CKPT_ERR_DISK, CKPT_ERR_CORRUPT. */
enum ckpt_status store_epoch(struct store *store, uint64_t *epoch_out);

/* Hands every record that still matters to visit, in the order of commitment.
 *
 * ERRORS
 * - CKPT_ERR_CORRUPT - a row is not what was written; store_reason() names it. visit may have seen
 *   the rows before it: what it built must be thrown away.
 * - CKPT_ERR_DISK, CKPT_ERR_MEMORY, and what visit returns */
enum ckpt_status store_replay(struct store *store, store_visit *visit, void *context);

/* Appends all records, or none. An empty transaction is CKPT_OK and touches nothing.
 *
 * ERRORS
 * - CKPT_ERR_STALE - the epoch fence; nothing was written
 * - CKPT_ERR_INVALID - a record's epoch or type is unknown, its world too large; nothing was
 * written
 * - CKPT_ERR_DISK, CKPT_ERR_MEMORY - nothing is known of what was written. This store never answers
 *   CKPT_OK again: the medium may have dropped what a later sync would claim to have written. */
enum ckpt_status store_commit(struct store *store, const struct store_transaction *transaction);

/* One line on the last failure of this store, "" when there was none. Lives until the next call. */
const char *store_reason(const struct store *store);

/* Closes it and sets *store to NULL; NULL and a pointer to NULL are taken. */
void store_close(struct store **store);

#endif
