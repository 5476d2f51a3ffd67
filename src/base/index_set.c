/* SPDX-License-Identifier: Apache-2.0 */
#include "base/index_set.h"

#include <assert.h>

static size_t words_for(size_t bits)
{
    return (bits + 63) / 64;
}

size_t index_set_words(uint32_t size)
{
    size_t total = 0;
    size_t words = size;
    do {
        words = words_for(words);
        total += words;
    } while (words > 1);
    return total;
}

void index_set_init(struct index_set *set, uint32_t size, uint64_t *words)
{
    assert(size > 0 && size <= 1u << 30);
    *set = (struct index_set){.size = size};
    size_t count = size;
    do {
        count = words_for(count);
        set->bits[set->levels++] = words;
        words += count;
    } while (count > 1);
}

void index_set_add(struct index_set *set, uint32_t index)
{
    assert(index < set->size);
    for (uint32_t level = 0; level < set->levels; level++) {
        uint64_t *word = &set->bits[level][index / 64];
        bool was_empty = *word == 0;
        *word |= UINT64_C(1) << index % 64;
        if (!was_empty) {
            return; /* those above know of it */
        }
        index /= 64;
    }
}

void index_set_remove(struct index_set *set, uint32_t index)
{
    assert(index < set->size);
    for (uint32_t level = 0; level < set->levels; level++) {
        uint64_t *word = &set->bits[level][index / 64];
        *word &= ~(UINT64_C(1) << index % 64);
        if (*word != 0) {
            return;
        }
        index /= 64;
    }
}

void index_set_put(struct index_set *set, uint32_t index, bool member)
{
    if (member) {
        index_set_add(set, index);
    } else {
        index_set_remove(set, index);
    }
}

bool index_set_has(const struct index_set *set, uint32_t index)
{
    assert(index < set->size);
    return (set->bits[0][index / 64] >> index % 64 & 1) != 0;
}

/* Up, until a word has something at or behind the place; then down along its lowest. */
uint32_t index_set_from(const struct index_set *set, uint32_t from)
{
    if (from >= set->size) {
        return INDEX_SET_NONE;
    }
    size_t at = from; /* a bit of this level */
    size_t end = set->size;
    for (uint32_t level = 0; level < set->levels && at < end; level++) {
        uint64_t rest = set->bits[level][at / 64] >> at % 64;
        if (rest != 0) {
            at += (size_t)__builtin_ctzll(rest);
            while (level > 0) {
                level--;
                at = at * 64 + (size_t)__builtin_ctzll(set->bits[level][at]);
            }
            return (uint32_t)at;
        }
        at = at / 64 + 1;
        end = words_for(end);
    }
    return INDEX_SET_NONE;
}
