/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/identity.h"

#include <string.h>

bool agent_shard_is_of(const struct shard_key *shard, const struct run_key *run, uint32_t attempt,
                       uint64_t step)
{
    return shard->step == step && shard->attempt == attempt && run_key_equal(&shard->run, run);
}

bool agent_run_is_valid(const struct run_key *run)
{
    return name_is_valid(run->name, CKPT_RUN_NAME_MAX);
}

bool agent_shard_is_valid(const struct shard_key *shard)
{
    return agent_run_is_valid(&shard->run) && shard->step != CKPT_STEP_LATEST &&
           shard->rank < CKPT_WORLD_MAX;
}

bool agent_text_ends(const char *text, size_t max)
{
    return memchr(text, '\0', max + 1) != NULL;
}

/* FNV-1a; a collision costs a rank its favourite segments, nothing else. */
static uint64_t hash_add(uint64_t hash, const void *from, size_t bytes)
{
    const uint8_t *b = from;
    for (size_t i = 0; i < bytes; i++) {
        hash = (hash ^ b[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

uint64_t agent_rank_tag(const struct run_key *run, uint32_t rank)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    hash = hash_add(hash, run->name, strnlen(run->name, sizeof(run->name)));
    hash = hash_add(hash, &run->uid, sizeof(run->uid));
    return hash_add(hash, &rank, sizeof(rank));
}

struct slot_owner agent_slot_owner(const struct shard_key *shard)
{
    return (struct slot_owner){.uid = shard->run.uid,
                               .tag = agent_rank_tag(&shard->run, shard->rank)};
}

int agent_order_compare(struct order a, struct order b)
{
    if (a.life != b.life) {
        return a.life < b.life ? -1 : 1;
    }
    if (a.number != b.number) {
        return a.number < b.number ? -1 : 1;
    }
    return 0;
}
