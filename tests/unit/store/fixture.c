/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/store/fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool holders_are_made = true;
bool times_are_made = true;

struct coordinator_record record_of(enum coordinator_record_type type, uint64_t epoch,
                                    uint64_t step)
{
    struct coordinator_record record = {.type = type,
                                        .epoch = epoch,
                                        .run = {.uid = 1000, .name = "llama"},
                                        .attempt = 3,
                                        .step = step};
    return record;
}

struct coordinator_record record_epoch(uint64_t epoch)
{
    struct coordinator_record record = {.type = RECORD_EPOCH, .epoch = epoch};
    return record;
}

struct coordinator_record record_consistent(uint64_t epoch, uint64_t step, uint32_t world)
{
    struct coordinator_record record = record_of(RECORD_CONSISTENT, epoch, step);
    record.world = world;
    record.copies = 2;
    record.bytes = UINT64_C(1) << 63 | world;
    record.wall_ms = times_are_made ? UINT64_C(1700000000000) + step : 0;
    snprintf(record.reason, sizeof(record.reason), "step %" PRIu64, step);
    return record;
}

struct coordinator_record_shard made_shard(const void *context,
                                           const struct coordinator_record *record, uint32_t rank)
{
    (void)context;
    struct coordinator_record_shard shard = {.bytes = UINT64_MAX - rank};
    memset(shard.digest.bytes, (int)(record->step + rank) & 0xff, sizeof(shard.digest.bytes));
    shard.node_count = holders_are_made ? rank % (CKPT_COPIES_MAX + 1) : 0;
    for (uint32_t i = 0; i < shard.node_count; i++) {
        snprintf(shard.nodes[i], sizeof(shard.nodes[i]), "rack-%" PRIu32 ".node", rank / 8 + i);
    }
    return shard;
}

enum ckpt_status commit(struct store *store, const struct coordinator_record *records,
                        uint32_t count)
{
    struct store_transaction transaction = {
        .records = records, .count = count, .shard_at = made_shard};
    return store_commit(store, &transaction);
}

static bool is_as_made(const struct coordinator_record *record)
{
    struct coordinator_record made = record_consistent(record->epoch, record->step, record->world);
    for (uint32_t rank = 0; rank < record->world; rank++) {
        struct coordinator_record_shard shard = made_shard(NULL, record, rank);
        const struct coordinator_record_shard *found = &record->shards[rank];
        bool same = found->bytes == shard.bytes && digest_equal(&found->digest, &shard.digest) &&
                    found->node_count == shard.node_count;
        for (uint32_t i = 0; same && i < shard.node_count; i++) {
            same = strcmp(found->nodes[i], shard.nodes[i]) == 0;
        }
        if (!same) {
            return false;
        }
    }
    return record->bytes == made.bytes && record->copies == made.copies &&
           record->attempt == made.attempt && record->run.uid == made.run.uid &&
           strcmp(record->run.name, made.run.name) == 0 &&
           strcmp(record->reason, made.reason) == 0 && record->wall_ms == made.wall_ms;
}

static enum ckpt_status see(void *context, const struct coordinator_record *record)
{
    static const char *const names[] = {
        [RECORD_EPOCH] = "epoch",     [RECORD_CONSISTENT] = "consistent",
        [RECORD_RETIRED] = "retired", [RECORD_QUARANTINED] = "quarantined",
        [RECORD_ATTEMPT] = "attempt", [RECORD_WITHDRAWN] = "withdrawn",
        [RECORD_VERDICT] = "verdict", [RECORD_HOLDERS] = "holders",
        [RECORD_MARK] = "mark",       [RECORD_OFFERED] = "offered",
        [RECORD_CLUSTER] = "cluster",
    };
    struct seen *seen = context;
    size_t used = strlen(seen->text);
    uint64_t number = record->type == RECORD_EPOCH     ? record->epoch
                      : record->type == RECORD_ATTEMPT ? record->attempt
                                                       : record->step;
    const char *wrong = record->type == RECORD_CONSISTENT && !is_as_made(record) ? "WRONG" : "";
    snprintf(seen->text + used, sizeof(seen->text) - used, "%s:%" PRIu64 "%s ", names[record->type],
             number, wrong);
    return CKPT_OK;
}

struct seen replay(struct store *store)
{
    struct seen seen = {.text = ""};
    seen.status = store_replay(store, see, &seen);
    return seen;
}
