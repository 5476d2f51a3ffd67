/* SPDX-License-Identifier: Apache-2.0 */
#include "case_fanout_group.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/reason.h"
#include "digest/digest.h"
#include "fanout/fetch.h"
#include "fanout/state.h"

#define HEADER_BYTES UINT64_C(120)
#define TIMEOUT_MS 600000
#define JOIN_MS 20000
#define STEP 1

struct member {
    const struct group_options *options;
    struct ckpt_fanout *group;
    const uint8_t *id;
    pthread_barrier_t *barrier;
    uint64_t from_ns;
    uint64_t to_ns;
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
};

void group_shard(uint8_t *shard, uint64_t bytes, uint8_t digest_out[32])
{
    char header[HEADER_BYTES + 1];
    const struct digest_engine *engine;
    struct digest digest;
    unsigned long long data = bytes - 8 - HEADER_BYTES;
    int length = snprintf(header, sizeof(header),
                          "{\"state\":{\"dtype\":\"U8\",\"shape\":[%llu],"
                          "\"data_offsets\":[0,%llu]}}",
                          data, data);
    store_le64(shard, HEADER_BYTES);
    memset(shard + 8, ' ', HEADER_BYTES);
    memcpy(shard + 8, header, (size_t)length);
    (void)digest_engine_select(NULL, &engine);
    digest_bytes(engine, shard, (size_t)bytes, &digest);
    memcpy(digest_out, digest.bytes, sizeof(digest.bytes));
}

static enum ckpt_status lend(void *context, uint64_t step, uint32_t rank, uint32_t timeout_ms,
                             struct ckpt_shard *shard_out, char *reason)
{
    const struct member *member = context;
    (void)timeout_ms;
    (void)reason;
    *shard_out = (struct ckpt_shard){.step = step,
                                     .attempt = 1,
                                     .rank = rank,
                                     .world = 1,
                                     .digest_kind = member->options->digest_kind,
                                     .data = member->options->shard,
                                     .bytes = member->options->bytes};
    memcpy(shard_out->digest, member->options->digest, sizeof(shard_out->digest));
    return CKPT_OK;
}

static void take_back(void *context, struct ckpt_shard *shard)
{
    (void)context;
    memset(shard, 0, sizeof(*shard));
}

/* What did not come by the group is no measurement. */
static enum ckpt_status judge(const struct member *member, const struct ckpt_fanout_shard *shard)
{
    const struct group_options *options = member->options;
    if (member->group->rank >= options->senders && shard->way != CKPT_FANOUT_FROM_GROUP) {
        return CKPT_ERR_LINK;
    }
    return shard->bytes == options->bytes &&
                   memcmp(shard->data, options->shard, (size_t)options->bytes) == 0
               ? CKPT_OK
               : CKPT_ERR_DIGEST;
}

static void *work(void *context)
{
    struct member *member = context;
    struct ckpt_fanout_shard shard;
    struct fanout_source source = {member, lend, take_back};
    member->status =
        ckpt_fanout_join(member->group, member->group->rank == 0 ? NULL : member->id, JOIN_MS);
    (void)pthread_barrier_wait(member->barrier);
    if (member->status == CKPT_OK) {
        member->from_ns = clock_now_ns();
        member->status = fetch_shard(member->group, &source, STEP, 0, TIMEOUT_MS, &shard);
        member->to_ns = clock_now_ns();
    }
    reason_set(member->reason, "%s", ckpt_fanout_reason(member->group));
    if (member->status == CKPT_OK) {
        member->status = judge(member, &shard);
        ckpt_fanout_release(member->group, &shard);
    }
    return NULL;
}

static enum ckpt_status open_members(const struct group_options *options, struct member *members,
                                     uint8_t *id, pthread_barrier_t *barrier, char *reason)
{
    for (uint32_t i = 0; i < options->ranks; i++) {
        struct ckpt_fanout_options wanted = {.size = sizeof(wanted),
                                             .rank = i,
                                             .ranks = options->ranks,
                                             .senders = options->senders,
                                             .road = options->road,
                                             .piece_bytes = options->piece_bytes,
                                             .device = (int32_t)i};
        enum ckpt_status status =
            ckpt_fanout_open(&wanted, &members[i].group, reason, CKPT_REASON_MAX + 1);
        if (status != CKPT_OK) {
            return status;
        }
        members[i].group->settings.shape = options->shape;
        members[i].group->pace_bytes_s = options->link_bytes_s;
        members[i].options = options;
        members[i].id = id;
        members[i].barrier = barrier;
    }
    return ckpt_fanout_id(members[0].group, id);
}

static enum ckpt_status run_members(const struct group_options *options, struct member *members,
                                    char *reason)
{
    pthread_t threads[GROUP_RANKS_MAX];
    uint32_t started = 0;
    while (started < options->ranks &&
           pthread_create(&threads[started], NULL, work, &members[started]) == 0) {
        started++;
    }
    if (started < options->ranks) { /* the others wait at a barrier that never opens */
        for (uint32_t i = 0; i < started; i++) {
            (void)pthread_cancel(threads[i]);
            (void)pthread_join(threads[i], NULL);
        }
        return reason_refuse(reason, CKPT_ERR_SYSTEM, "no more threads");
    }
    for (uint32_t i = 0; i < options->ranks; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    return CKPT_OK;
}

enum ckpt_status group_run(const struct group_options *options, double *seconds_out, char *reason)
{
    struct member members[GROUP_RANKS_MAX] = {{NULL}};
    uint8_t id[CKPT_FANOUT_ID_BYTES];
    pthread_barrier_t barrier;
    (void)pthread_barrier_init(&barrier, NULL, options->ranks);
    enum ckpt_status status = open_members(options, members, id, &barrier, reason);
    if (status == CKPT_OK) {
        status = run_members(options, members, reason);
    }
    uint64_t from_ns = UINT64_MAX;
    uint64_t to_ns = 0;
    for (uint32_t i = 0; i < options->ranks; i++) {
        if (status == CKPT_OK && members[i].status != CKPT_OK) {
            status =
                reason_refuse(reason, members[i].status, "rank %u: %.200s", i,
                              members[i].reason[0] != '\0' ? members[i].reason
                                                           : ckpt_status_text(members[i].status));
        }
        from_ns = members[i].from_ns < from_ns ? members[i].from_ns : from_ns;
        to_ns = members[i].to_ns > to_ns ? members[i].to_ns : to_ns;
        ckpt_fanout_close(&members[i].group);
    }
    (void)pthread_barrier_destroy(&barrier);
    *seconds_out = (double)(to_ns - from_ns) / 1e9;
    return status;
}
