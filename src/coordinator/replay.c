/* SPDX-License-Identifier: Apache-2.0 */
/* Durable records back into the tables, before anything else happens. */
#include "coordinator/replay.h"

#include <assert.h>
#include <string.h>

#include "base/reason.h"
#include "coordinator/checkpoint.h"
#include "coordinator/checkpoint_table.h"
#include "coordinator/digest_key.h"
#include "coordinator/drain.h"
#include "coordinator/home.h"
#include "coordinator/run.h"
#include "coordinator/shard.h"

/* "n1 n2": where the copies of one rank's shard have moved to. */
static enum ckpt_status replay_holders(struct coordinator *c, struct checkpoint *k,
                                       const struct coordinator_record *record)
{
    char nodes[CKPT_COPIES_MAX][CKPT_NODE_NAME_MAX + 1] = {{0}};
    uint32_t count = 0;
    struct shard *s = k == NULL || record->bytes >= k->world
                          ? NULL
                          : coordinator_shard_find(c, k, (uint32_t)record->bytes);
    if (s == NULL) {
        return CKPT_ERR_CORRUPT;
    }
    for (const char *at = record->reason; *at != '\0' && count < CKPT_COPIES_MAX; count++) {
        const char *space = strchr(at, ' ');
        size_t length = space != NULL ? (size_t)(space - at) : strlen(at);
        if (length == 0 || length > CKPT_NODE_NAME_MAX) {
            return CKPT_ERR_CORRUPT;
        }
        memcpy(nodes[count], at, length);
        at += length + (at[length] == ' ');
    }
    coordinator_shard_set_homes(c, s, nodes, count);
    return CKPT_OK;
}

/* What was committed is under the key that its record names, whatever else is known: there is room
 * for few runs of all that ever were, and a run's own record may be long past when its commit
 * comes. All that stands is under one. */
static enum ckpt_status replay_key(struct coordinator *c, struct run *run,
                                   const struct digest_key *key)
{
    assert(run->used);
    if (run->first_checkpoint == NONE) {
        coordinator_key_set(c, run, key);
    }
    return coordinator_key_equal(key, &run->digest_key) ? CKPT_OK : CKPT_ERR_CORRUPT;
}

static enum ckpt_status replay_consistent(struct coordinator *c, struct run *run,
                                          const struct coordinator_record *record)
{
    assert(run->used);
    if (record->shards == NULL || record->world < 1 || record->world > CKPT_WORLD_MAX ||
        record->copies < 1 || record->copies > CKPT_COPIES_MAX) {
        return CKPT_ERR_CORRUPT;
    }
    /* A later attempt may have saved again what was quarantined. */
    if (coordinator_checkpoint_find(c, run, record->attempt, record->step) != NULL ||
        (run->has_latest && record->step <= run->latest) ||
        replay_key(c, run, &record->key) != CKPT_OK) {
        return CKPT_ERR_CORRUPT;
    }
    struct checkpoint *k =
        coordinator_checkpoint_add(c, run, record->attempt, record->step, record->world);
    if (k == NULL || c->free_shards < record->world) {
        return CKPT_ERR_FULL;
    }
    coordinator_checkpoint_time_commit(c, run, k, record->wall_ms);
    coordinator_checkpoint_set_state(c, k, CHECKPOINT_CONSISTENT);
    k->copies = record->copies;
    k->bytes = record->bytes;
    for (uint32_t rank = 0; rank < record->world; rank++) {
        struct shard *s = coordinator_shard_add(c, k, rank);
        s->sealed = true;
        s->has_digest = true;
        s->bytes = record->shards[rank].bytes;
        s->digest = record->shards[rank].digest;
        coordinator_shard_set_homes(c, s, record->shards[rank].nodes,
                                    record->shards[rank].node_count);
        if (s->bytes == 0 || record->shards[rank].node_count > CKPT_COPIES_MAX) {
            return CKPT_ERR_CORRUPT;
        }
    }
    k->sealed = k->world;
    coordinator_run_pass_over(c, run, k->attempt, UINT64_MAX);
    coordinator_run_refresh_latest(c, run);
    return CKPT_OK;
}

/* What became of a checkpoint that is on record. */
static enum ckpt_status replay_of_checkpoint(struct coordinator *c, struct run *run,
                                             struct checkpoint *k,
                                             const struct coordinator_record *record)
{
    assert(k != NULL);
    switch ((int)record->type) {
    case RECORD_RETIRED:
        coordinator_checkpoint_remove(c, k);
        break;
    case RECORD_MARK:
        if (record->bytes > MARK_POISONED) {
            return CKPT_ERR_CORRUPT;
        }
        k->mark = (uint8_t)record->bytes;
        return CKPT_OK;
    case RECORD_PERSISTED:
        if (k->persist != PERSIST_NONE || !checkpoint_is_committed(k)) {
            return CKPT_ERR_CORRUPT;
        }
        k->persist = PERSIST_DONE; /* in another life it came there by the way that is drawn */
        return CKPT_OK;
    case RECORD_OFFERED:
        if (k->state != CHECKPOINT_QUARANTINED) {
            return CKPT_ERR_CORRUPT;
        }
        coordinator_checkpoint_set_state(c, k, CHECKPOINT_CONSISTENT);
        k->reason[0] = '\0';
        break;
    case RECORD_QUARANTINED:
        if (k->state != CHECKPOINT_CONSISTENT) {
            return CKPT_ERR_CORRUPT;
        }
        coordinator_checkpoint_set_state(c, k, CHECKPOINT_QUARANTINED);
        reason_set(k->reason, "%s", record->reason);
        break;
    default:
        return CKPT_ERR_CORRUPT;
    }
    coordinator_run_refresh_latest(c, run);
    return CKPT_OK;
}

static enum ckpt_status replay_of_run(struct coordinator *c, struct run *run,
                                      const struct coordinator_record *record)
{
    assert(run->used);
    struct checkpoint *k = coordinator_checkpoint_find(c, run, record->attempt, record->step);
    switch (record->type) {
    case RECORD_EPOCH:
    case RECORD_CLUSTER:
    case RECORD_ATTEMPT:
        return CKPT_OK;
    case RECORD_DRAINED:
    case RECORD_UNDRAINED:
        break;
    case RECORD_KEY:
        return record->key.kind == DIGEST_KIND_UNKNOWN ? CKPT_ERR_CORRUPT
                                                       : replay_key(c, run, &record->key);
    case RECORD_CONSISTENT:
        return replay_consistent(c, run, record);
    case RECORD_WITHDRAWN:
        run->withdrawn_attempt = record->attempt;
        run->withdrawn_step = record->step;
        return CKPT_OK;
    case RECORD_VERDICT:
        run->verdict_attempt = record->attempt;
        run->verdict_load = (uint32_t)record->bytes;
        run->verdict_step = record->step;
        coordinator_run_pass_over(c, run, 0, record->step);
        return CKPT_OK;
    case RECORD_HOLDERS:
        return replay_holders(c, k, record);
    case RECORD_LATEST_PERSISTED:
        run->has_persisted = true;
        run->persisted_attempt = record->attempt;
        run->persisted_step = record->step;
        return CKPT_OK;
    case RECORD_RETIRED:
    case RECORD_MARK:
    case RECORD_PERSISTED:
    case RECORD_OFFERED:
    case RECORD_QUARANTINED:
        return k == NULL ? CKPT_ERR_CORRUPT : replay_of_checkpoint(c, run, k, record);
    }
    return CKPT_ERR_CORRUPT;
}

enum ckpt_status coordinator_on_replay(struct coordinator *c,
                                       const struct coordinator_record *record)
{
    assert(c->replaying);
    if (record->type == RECORD_CLUSTER && record->epoch <= c->epoch) {
        c->cluster = nonce_is_zero(&c->cluster) ? coordinator_record_named(record) : c->cluster;
        return nonce_is_zero(&c->cluster) ? CKPT_ERR_CORRUPT : CKPT_OK;
    }
    if (record->epoch >= c->epoch && record->type != RECORD_EPOCH) {
        return CKPT_ERR_CORRUPT; /* init was not given an epoch above the store's */
    }
    if (record->type == RECORD_EPOCH) {
        return record->epoch <= c->epoch ? CKPT_OK : CKPT_ERR_CORRUPT;
    }
    if (record->type == RECORD_DRAINED) {
        return coordinator_replay_drain(c, record);
    }
    if (!name_is_valid(record->run.name, CKPT_RUN_NAME_MAX)) {
        return CKPT_ERR_CORRUPT;
    }
    struct run *run = coordinator_run_find(c, &record->run);
    run = run != NULL ? run : coordinator_run_add(c, &record->run);
    if (run == NULL) {
        return CKPT_ERR_FULL;
    }
    if (record->attempt > run->attempt) {
        run->attempt = record->attempt;
        run->start_nonce = (struct nonce){{0}};
    }
    if (record->type == RECORD_ATTEMPT && record->attempt == run->attempt) {
        run->start_nonce = coordinator_record_named(record);
    }
    return replay_of_run(c, run, record);
}
