/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rules.h"

#include <assert.h>
#include <inttypes.h>

#include "base/reason.h"

enum ckpt_status store_fence(uint64_t highest, const struct store_transaction *transaction,
                             char *reason_out)
{
    uint64_t known = highest;
    for (uint32_t i = 0; i < transaction->count; i++) {
        const struct coordinator_record *record = &transaction->records[i];
        if (record->type < RECORD_EPOCH || record->type > RECORD_LAST ||
            record->world > CKPT_WORLD_MAX) {
            return reason_refuse(reason_out, CKPT_ERR_INVALID, "record type %d, world %" PRIu32,
                                 (int)record->type, record->world);
        }
        if (record->epoch < highest || (record->type == RECORD_EPOCH && record->epoch <= known)) {
            return reason_refuse(reason_out, CKPT_ERR_STALE,
                                 "epoch %" PRIu64 " is over: the records know epoch %" PRIu64
                                 ", so another coordinator rules",
                                 record->epoch, known);
        }
        if (record->type == RECORD_EPOCH) {
            known = record->epoch;
        }
        /* SQLite's integers are signed. */
        if (record->epoch > known || record->epoch > INT64_MAX) {
            return reason_refuse(reason_out, CKPT_ERR_INVALID,
                                 "epoch %" PRIu64 " was never taken: the highest is %" PRIu64,
                                 record->epoch, known);
        }
    }
    return CKPT_OK;
}

struct coordinator_record_shard store_shard(const struct store_transaction *transaction,
                                            const struct coordinator_record *record, uint32_t rank)
{
    assert(rank < record->world);
    if (record->shards) {
        return record->shards[rank];
    }
    assert(transaction->shard_at);
    return transaction->shard_at(transaction->context, record, rank);
}

const struct store_rule store_rules[STORE_RULES] = {
    {RECORD_EPOCH, RECORD_EPOCH, false},
    {RECORD_ATTEMPT, RECORD_ATTEMPT, false},
    {RECORD_WITHDRAWN, RECORD_WITHDRAWN, false},
    {RECORD_VERDICT, RECORD_VERDICT, false},
    {RECORD_RETIRED, RECORD_CONSISTENT, true},
    {RECORD_RETIRED, RECORD_QUARANTINED, true},
    {RECORD_RETIRED, RECORD_HOLDERS, true},
    {RECORD_RETIRED, RECORD_MARK, true},
    {RECORD_MARK, RECORD_MARK, true},
    {RECORD_OFFERED, RECORD_QUARANTINED, true},
    {RECORD_CLUSTER, RECORD_CLUSTER, false},
    {RECORD_DRAINED, RECORD_DRAINED, false},
    {RECORD_UNDRAINED, RECORD_DRAINED, false},
    {RECORD_KEY, RECORD_KEY, false},
    {RECORD_PERSISTED, RECORD_PERSISTED, true},
    {RECORD_RETIRED, RECORD_PERSISTED, true},
    {RECORD_LATEST_PERSISTED, RECORD_LATEST_PERSISTED, false},
};

bool store_is_kept(const struct coordinator_record *record)
{
    return record->type != RECORD_RETIRED && record->type != RECORD_OFFERED &&
           record->type != RECORD_UNDRAINED;
}

bool store_is_void(const struct coordinator_record *earlier, const struct coordinator_record *later)
{
    for (size_t i = 0; i < STORE_RULES; i++) {
        const struct store_rule *rule = &store_rules[i];
        if (rule->later == later->type && rule->earlier == earlier->type &&
            run_key_equal(&earlier->run, &later->run) &&
            (!rule->of_checkpoint ||
             (earlier->attempt == later->attempt && earlier->step == later->step))) {
            return true;
        }
    }
    return false;
}

bool store_may_pass(enum ckpt_status status)
{
    return status == CKPT_ERR_TIMEOUT || status == CKPT_ERR_FULL;
}
