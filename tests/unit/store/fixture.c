/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/store/fixture.h"

#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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

char fixture_reason[CKPT_REASON_MAX + 1];

static void answered(void *context)
{
    *(bool *)context = true;
}

enum ckpt_status fixture_ask(struct store *store, struct store_call *call)
{
    struct pollfd waiter = {.fd = store_fd(store), .events = POLLIN};
    bool is_answered = false;
    call->done = answered;
    call->context = &is_answered;
    store_begin(store, call);
    assert_false(is_answered); /* from store_turn() alone */
    while (!is_answered) {
        assert_int_equal(poll(&waiter, 1, 600000), 1);
        store_turn(store);
    }
    memcpy(fixture_reason, call->reason, sizeof(fixture_reason));
    return call->status;
}

enum ckpt_status fixture_open(const struct store_backend *backend, const char *location,
                              struct store_progress *progress, struct store **store_out,
                              char *reason_out)
{
    struct store_call call = {.type = STORE_OPEN};
    struct store *store;
    assert_int_equal(store_make(backend, location, progress, &store), CKPT_OK);
    if (fixture_ask(store, &call) != CKPT_OK) {
        memcpy(reason_out, call.reason, sizeof(call.reason));
        fixture_close(&store);
        return call.status;
    }
    *store_out = store;
    return CKPT_OK;
}

enum ckpt_status fixture_epoch(struct store *store, uint64_t *epoch_out)
{
    struct store_call call = {.type = STORE_EPOCH};
    enum ckpt_status status = fixture_ask(store, &call);
    *epoch_out = call.epoch;
    return status;
}

enum ckpt_status fixture_replay(struct store *store, store_visit *visit, void *context)
{
    struct store_call call = {.type = STORE_REPLAY, .visit = visit, .visit_context = context};
    return fixture_ask(store, &call);
}

enum ckpt_status fixture_commit(struct store *store, const struct store_transaction *transaction)
{
    struct store_call call = {.type = STORE_COMMIT, .transaction = *transaction};
    return fixture_ask(store, &call);
}

void fixture_close(struct store **store)
{
    assert_true(store_close(store, 600000));
}

enum ckpt_status commit(struct store *store, const struct coordinator_record *records,
                        uint32_t count)
{
    struct store_transaction transaction = {
        .records = records, .count = count, .shard_at = made_shard};
    return fixture_commit(store, &transaction);
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
        [RECORD_CLUSTER] = "cluster", [RECORD_DRAINED] = "drained",
        [RECORD_KEY] = "key",         [RECORD_UNDRAINED] = "undrained",
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
    seen.status = fixture_replay(store, see, &seen);
    return seen;
}
