/* SPDX-License-Identifier: Apache-2.0 */
/* What a coordinator is given: its settings, and its memory. */
#include <string.h>

#include "base/reason.h"
#include "coordinator/home.h"
#include "coordinator/state.h"

#define STARTS_SPARE 64 /* beyond one of its own and one that forms for each run */
#define FENCES_A_RUN 4
#define FENCES_SPARE 1024

void coordinator_config_default(struct coordinator_config *config_out)
{
    *config_out = (struct coordinator_config){
        .agents_max = 1024,
        .runs_max = 1024,
        .checkpoints_max = 16384,
        .shards_max = 65536,
        .keep = 2,
        .heartbeat_ms = 500,
        .lease_ms = 3000,
        .forget_ms = 24 * 3600 * 1000,
        .disconnect_grace_ms = 1000,
        .save_timeout_ms = 120000,
        .repair_after_ms = 10000,
        .resend_ms = 500,
        .restore_settle_ms = 10000,
        .restore_timeout_ms = 300000,
        .restore_passes = 3,
        .ended_timeout_ms = 15000,
        .pressure_percent = 10,
        .user_share_percent = 75,
        .expire_ms = UINT64_C(7) * 24 * 3600 * 1000,
        .pull_attempts_max = 6,
        .digest = DIGEST_KIND_FINGERPRINT,
        .persist_every = 1,
    };
}

/* All ranks of eight a node that read two shards of others at once. */
#define FETCHES_PER_AGENT 16

static uint32_t power_of_two_above(uint32_t n)
{
    uint32_t p = 16;
    while (p < n) {
        p *= 2;
    }
    return p;
}

static const char *config_fault(const struct coordinator_config *k)
{
    if (k->agents_max < 1 || k->agents_max > CKPT_AGENTS_MAX) {
        return "agents_max must be 1 to 8192";
    }
    if (k->runs_max < 1 || k->runs_max > 65536) {
        return "runs_max must be 1 to 65536";
    }
    if (k->checkpoints_max < 4 || k->checkpoints_max > (1u << 20)) {
        return "checkpoints_max must be 4 to 1048576";
    }
    if (k->shards_max < 16 || k->shards_max > (1u << 26)) {
        return "shards_max must be 16 to 67108864";
    }
    if (k->keep < 1 || k->keep > 64) {
        return "keep must be 1 to 64";
    }
    if (k->heartbeat_ms < 10 || k->lease_ms <= 2 * k->heartbeat_ms) {
        return "heartbeat_ms must be at least 10, lease_ms more than twice heartbeat_ms";
    }
    if (k->forget_ms < k->lease_ms) {
        return "forget_ms must be at least lease_ms";
    }
    if (k->resend_ms < 10 || k->save_timeout_ms < k->resend_ms ||
        k->restore_timeout_ms < k->resend_ms) {
        return "resend_ms must be at least 10 and below save_timeout_ms and restore_timeout_ms";
    }
    if (k->restore_passes < 1 || k->pull_attempts_max < 1 || k->pull_attempts_max > 200) {
        return "restore_passes must be at least 1, pull_attempts_max 1 to 200";
    }
    if (k->ended_timeout_ms < 10 || k->pressure_percent > 100) {
        return "ended_timeout_ms must be at least 10, pressure_percent at most 100";
    }
    if (k->user_share_percent < 1 || k->user_share_percent > 100) {
        return "user_share_percent must be 1 to 100";
    }
    if (k->digest != DIGEST_KIND_FINGERPRINT && k->digest != DIGEST_KIND_BLAKE3) {
        return "digest must be fingerprint or blake3";
    }
    return NULL;
}

/* Hands out pieces of one block; with a NULL block it only counts. */
struct carver {
    char *block;
    size_t used;
};

static void *carve(struct carver *carver, size_t count, size_t size)
{
    size_t at = (carver->used + 63) & ~(size_t)63;
    carver->used = at + count * size;
    return carver->block == NULL ? NULL : carver->block + at;
}

static void carve_set(struct index_set *set, struct carver *carver, uint32_t size)
{
    uint64_t *words = carve(carver, index_set_words(size), sizeof *words);
    if (words != NULL) {
        index_set_init(set, size, words);
    }
}

static void carve_tables(struct coordinator *c, struct carver *carver,
                         const struct coordinator_config *k)
{
    uint32_t links = power_of_two_above(2 * k->agents_max);
    uint32_t runs = power_of_two_above(2 * k->runs_max);
    uint32_t shards = power_of_two_above(k->shards_max);
    uint32_t fetches = power_of_two_above(FETCHES_PER_AGENT * k->agents_max);

    c->members = carve(carver, k->agents_max, sizeof *c->members);
    c->places = carve(carver, k->agents_max, sizeof *c->places);
    c->domains = carve(carver, k->agents_max, sizeof *c->domains);
    c->domain_names = carve(carver, k->agents_max, sizeof *c->domain_names);
    c->domain_last = carve(carver, k->agents_max, sizeof(uint32_t));
    c->domain_open = carve(carver, k->agents_max, sizeof(uint32_t));
    c->domain_next = carve(carver, k->agents_max, sizeof(uint32_t));
    c->domain_buckets = carve(carver, links, sizeof(uint32_t));
    c->node_buckets = carve(carver, links, sizeof(uint32_t));
    c->link_buckets = carve(carver, links, sizeof(uint32_t));
    c->runs = carve(carver, k->runs_max, sizeof *c->runs);
    c->run_buckets = carve(carver, runs, sizeof(uint32_t));
    c->checkpoints = carve(carver, k->checkpoints_max, sizeof *c->checkpoints);
    c->shards = carve(carver, k->shards_max, sizeof *c->shards);
    c->shard_buckets = carve(carver, shards, sizeof(uint32_t));
    c->fetches = carve(carver, fetches, sizeof *c->fetches);
    c->fetch_buckets = carve(carver, fetches, sizeof(uint32_t));
    carve_set(&c->fetches_free, carver, fetches);
    c->persist_orders_max = PERSISTS_PER_AGENT * k->agents_max;
    c->persist_orders = carve(carver, c->persist_orders_max, sizeof *c->persist_orders);
    c->fetches_max = fetches;
    c->fetch_mask = fetches - 1;
    c->homes = carve(carver, (size_t)HOMES_PER_AGENT * k->agents_max, sizeof *c->homes);
    c->home_buckets = carve(carver, links, sizeof(uint32_t));
    carve_set(&c->members_free, carver, k->agents_max);
    carve_set(&c->members_lost, carver, k->agents_max);
    carve_set(&c->domains_free, carver, k->agents_max);
    c->users = carve(carver, k->runs_max, sizeof *c->users);
    c->user_buckets = carve(carver, runs, sizeof(uint32_t));
    c->fence_buckets = carve(carver, runs, sizeof(uint32_t));
    carve_set(&c->users_free, carver, k->runs_max);
    carve_set(&c->runs_free, carver, k->runs_max);
    carve_set(&c->runs_keeping, carver, k->runs_max);
    carve_set(&c->runs_loading, carver, k->runs_max);
    carve_set(&c->runs_ended, carver, k->runs_max);
    carve_set(&c->checkpoints_free, carver, k->checkpoints_max);
    carve_set(&c->checkpoints_open, carver, k->checkpoints_max);
    carve_set(&c->checkpoints_aborted, carver, k->checkpoints_max);
    c->starts_max = 2 * k->runs_max + STARTS_SPARE;
    c->starts = carve(carver, c->starts_max, sizeof *c->starts);
    c->seats = carve(carver, k->shards_max, sizeof *c->seats);
    c->seat_buckets = carve(carver, shards, sizeof(uint32_t));
    c->fences_max = FENCES_A_RUN * k->runs_max + FENCES_SPARE;
    c->fences = carve(carver, c->fences_max, sizeof *c->fences);
    c->names = carve(carver, NAMES_MAX, sizeof *c->names);
    c->link_mask = links - 1;
    c->seat_mask = shards - 1;
    c->run_mask = runs - 1;
    c->shard_mask = shards - 1;
}

size_t coordinator_memory_bytes(const struct coordinator_config *config, char *reason)
{
    const char *fault = config_fault(config);
    if (fault != NULL) {
        reason_set(reason, "%s", fault);
        return 0;
    }
    struct carver carver = {0};
    struct coordinator counted;
    carve(&carver, 1, sizeof counted);
    carve_tables(&counted, &carver, config);
    return carver.used;
}

enum ckpt_status coordinator_init(void *memory, size_t bytes,
                                  const struct coordinator_config *config, uint64_t epoch,
                                  uint64_t seed, struct coordinator **coordinator_out)
{
    char reason[CKPT_REASON_MAX + 1];
    size_t needed = coordinator_memory_bytes(config, reason);
    if (needed == 0) {
        return CKPT_ERR_CONFIG;
    }
    if (memory == NULL || bytes < needed || ((uintptr_t)memory & 63) != 0) {
        return CKPT_ERR_MEMORY;
    }
    struct carver carver = {.block = memory};
    struct coordinator *c = carve(&carver, 1, sizeof *c);
    carve_tables(c, &carver, config);
    c->config = *config;
    c->epoch = epoch;
    c->next_order = 1 + (seed & 0xffff);
    c->next_restore = 1;
    c->replaying = true;
    c->queue_head = c->queue_tail = c->parked = NONE;
    c->fetch_ages[0] = c->fetch_ages[1] = (struct fetch_ages){NONE, NONE};
    memset(c->domain_buckets, 0xff, (c->link_mask + 1) * sizeof(uint32_t));
    memset(c->node_buckets, 0xff, (c->link_mask + 1) * sizeof(uint32_t));
    coordinator_homes_init(c);
    memset(c->link_buckets, 0xff, (c->link_mask + 1) * sizeof(uint32_t));
    memset(c->user_buckets, 0xff, (c->run_mask + 1) * sizeof(uint32_t));
    memset(c->fence_buckets, 0xff, (c->run_mask + 1) * sizeof(uint32_t));
    memset(c->run_buckets, 0xff, (c->run_mask + 1) * sizeof(uint32_t));
    memset(c->fetch_buckets, 0xff, (c->fetch_mask + 1) * sizeof(uint32_t));
    memset(c->seat_buckets, 0xff, (c->seat_mask + 1) * sizeof(uint32_t));
    c->first_free_seat = NONE;
    c->starts_free = c->starts_max;
    memset(c->shard_buckets, 0xff, (c->shard_mask + 1) * sizeof(uint32_t));
    c->first_free_shard = NONE;
    c->free_shards = config->shards_max;
    *coordinator_out = c;
    return CKPT_OK;
}
