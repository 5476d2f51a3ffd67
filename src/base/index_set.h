/* SPDX-License-Identifier: Apache-2.0 */
/* A set of small numbers that gives its lowest members fast: a tree of bits, 64 to a node.
 *
 * It is the free list, the list of what is open, the list of what is due: adding, removing and
 * finding the next member cost the same few steps however large the table is, and members come in
 * order, so that a table fills from its low end and the pages above stay untouched. Pure; the
 * memory is the caller's. */
#ifndef CKPT_BASE_INDEX_SET_H
#define CKPT_BASE_INDEX_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INDEX_SET_LEVELS 5 /* 64^5: numbers up to 2^30 */
#define INDEX_SET_NONE UINT32_MAX

struct index_set {
    uint32_t size; /* members are 0..size-1 */
    uint32_t levels;
    uint64_t *bits[INDEX_SET_LEVELS]; /* [0]: a bit a member; above: a bit a word that is not 0 */
};

/* How many words index_set_init needs for numbers below size (1 to 2^30). */
size_t index_set_words(uint32_t size);

/* Makes an empty set. words: index_set_words(size) of them, zeroed by the caller, kept by it. */
void index_set_init(struct index_set *set, uint32_t size, uint64_t *words);

/* Adding a member and removing what is none change nothing. index must be below size. */
void index_set_add(struct index_set *set, uint32_t index);
void index_set_remove(struct index_set *set, uint32_t index);
void index_set_put(struct index_set *set, uint32_t index, bool member);
bool index_set_has(const struct index_set *set, uint32_t index);

/* The lowest member that is not below from; INDEX_SET_NONE when there is none. */
uint32_t index_set_from(const struct index_set *set, uint32_t from);

#endif
