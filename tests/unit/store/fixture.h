/* SPDX-License-Identifier: Apache-2.0 */
/* Records to store, and what a replay gave back. */
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include "store/store.h"

/* The run "llama" of uid 1000, world ranks, digests made of step and rank. */
struct coordinator_record record_epoch(uint64_t epoch);
struct coordinator_record record_consistent(uint64_t epoch, uint64_t step, uint32_t world);
struct coordinator_record record_of(enum coordinator_record_type type, uint64_t epoch,
                                    uint64_t step);

/* Whether made shards have holders: version 1 of the database knew none. */
extern bool holders_are_made;

/* Whether made records have the time of their commit: version 2 knew none. */
extern bool times_are_made;

/* What shard_at of a transaction gives for record_consistent. */
struct coordinator_record_shard made_shard(const void *context,
                                           const struct coordinator_record *record, uint32_t rank);

/* Begins a call and waits for its answer; what it said last stands in fixture_reason. */
enum ckpt_status fixture_ask(struct store *store, struct store_call *call);
extern char fixture_reason[CKPT_REASON_MAX + 1];

/* The calls as functions that block. One whose open fails is closed again. */
enum ckpt_status fixture_open(const struct store_backend *backend, const char *location,
                              struct store_progress *progress, struct store **store_out,
                              char *reason_out);
enum ckpt_status fixture_epoch(struct store *store, uint64_t *epoch_out);
enum ckpt_status fixture_replay(struct store *store, store_visit *visit, void *context);
enum ckpt_status fixture_commit(struct store *store, const struct store_transaction *transaction);
void fixture_close(struct store **store);

/* Commits with made_shard. */
enum ckpt_status commit(struct store *store, const struct coordinator_record *records,
                        uint32_t count);

/* What a replay handed out, in one line: "epoch:1 consistent:100 quarantined:100 attempt:3 ". A
 * consistent record whose shards are not made_shard's is written as "WRONG". */
struct seen {
    enum ckpt_status status;
    char text[4096];
};
struct seen replay(struct store *store);

#endif
