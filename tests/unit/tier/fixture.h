/* SPDX-License-Identifier: Apache-2.0 */
/* A tier of each backend, and shards to put into it. */
#ifndef TESTS_UNIT_TIER_FIXTURE_H
#define TESTS_UNIT_TIER_FIXTURE_H

#include "tier/tier.h"

#define FIXTURE_WORLD 3

struct fixture {
    struct tier *tier;
    char place[128]; /* what tier_open() takes */
    char folder[64]; /* of a backend that has one, else "" */
    bool is_called_off;
    uint32_t notices;
    char reason[CKPT_REASON_MAX + 1];
};

/* Setups for cmocka, one for each backend that this machine has, and what ends each of them. */
struct fixture_backend {
    const char *name;
    int (*setup)(void **state);
};
extern const struct fixture_backend fixture_backends[];
extern const size_t fixture_backend_count;
int fixture_end(void **state);

/* Runs each test over each backend; what main() returns. */
struct fixture_test {
    const char *name;
    void (*run)(void **state);
};
int fixture_run(const char *group, const struct fixture_test *tests, size_t count);

/* Another tier on the same place. */
struct tier *fixture_again(struct fixture *fixture, const struct tier_options *options);

/* The run "team/llama" of uid 1000. */
struct tier_checkpoint_key fixture_checkpoint(uint64_t step);
struct shard_key fixture_key(uint64_t step, uint32_t rank);

/* The bytes of a rank's shard at a step, in pages; for free(). Sizes are such that each way of
 * ending a file is there: rank 0 has 2 MiB, rank 1 odd bytes, others few. */
uint8_t *fixture_shard(uint64_t step, uint32_t rank, uint64_t *bytes_out);

/* Puts the shard that has the bytes of from_step; committed as they are. */
enum ckpt_status fixture_put(struct fixture *fixture, uint64_t step, uint64_t from_step,
                             uint32_t rank, struct tier_put_result *result_out);

/* Puts all ranks' shards, and the manifest. */
void fixture_put_checkpoint(struct fixture *fixture, uint64_t step);
struct tier_manifest fixture_manifest(uint64_t step, const struct tier_put_result *results);

/* Puts a file of any name and content there, as nobody should. */
void fixture_plant(struct fixture *fixture, const char *name, const void *data, size_t bytes);
void fixture_unplant(struct fixture *fixture, const char *name);

#endif
