/* SPDX-License-Identifier: Apache-2.0 */
/* "unknown key 'foo', did you mean 'food'?" Pure; any thread. */
#ifndef CKPT_BASE_NEAREST_H
#define CKPT_BASE_NEAREST_H

#include <stddef.h>

/* The name that word was most likely meant to be: the fewest insertions, removals, changes and
 * swaps of neighbours away, the first of equals.
 *
 * names has count entries, each a string. Words longer than 63 characters have no neighbour.
 *
 * RETURN VALUE
 * One of names, or NULL when even the nearest differs in more than a third of word (rounded up). */
const char *nearest_name(const char *word, const char *const *names, size_t count);

#endif
