/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/inventory.h"

#include "base/bytes.h"

/* The finalizer of SplitMix64: every bit of x changes half of the bits. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t add(uint64_t hash, uint64_t value)
{
    return mix(hash * UINT64_C(0x9e3779b97f4a7c15) + value);
}

/* The run's name by FNV-1a (Fowler, Noll, Vo) of 64 bits. */
uint64_t inventory_shard(const struct shard_key *shard)
{
    uint64_t name = UINT64_C(0xcbf29ce484222325);
    for (const char *p = shard->run.name; *p != '\0'; p++) {
        name = (name ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
    }
    uint64_t hash = add(name, shard->run.uid);
    hash = add(hash, (uint64_t)shard->attempt << 32 | shard->rank);
    return add(hash, shard->step);
}

uint64_t inventory_copy(uint64_t shard, uint64_t generation, enum copy_state state, bool owner,
                        bool cached, const struct digest *digest)
{
    uint64_t hash = add(shard, generation);
    hash = add(hash, (uint64_t)state << 2 | (uint64_t)owner << 1 | (uint64_t)cached);
    return state == COPY_VERIFIED ? add(hash, load_le64(digest->bytes)) : hash;
}

uint64_t inventory_consistent(uint64_t weight)
{
    return mix(weight + 1);
}
