/* SPDX-License-Identifier: Apache-2.0 */
/* What goes on and on is said once, at once, and then rarely: a minute later, two minutes after
 * that, and so on up to every ten. It is new again when it has been away for as long as it was last
 * kept from being said, and for a minute at least.
 *
 * Pure: time is passed in, milliseconds of any clock that does not go back. */
#ifndef CKPT_BASE_RARE_H
#define CKPT_BASE_RARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RARE_FIRST_MS 60000
#define RARE_LAST_MS 600000

/* One thing that may go on. All zeros: it has not happened. */
struct rare {
    uint64_t key;      /* of a table's entry; 0: unused */
    uint64_t first_ms; /* since when it goes on */
    uint64_t last_ms;  /* when it last happened */
    uint64_t said_ms;
    uint64_t count;    /* how often, since first_ms */
    uint32_t pause_ms; /* from said_ms, until it is said again; 0: never said */
};

/* It happened. True: it is to be said now. */
bool rare_happens(struct rare *rare, uint64_t now_ms);

/* It is over: when it happens again, it is new. Keeps the key. */
void rare_ends(struct rare *rare);

/* Whether it has been away for so long that it is over. */
bool rare_is_over(const struct rare *rare, uint64_t now_ms);

/* The key's entry in a table, taken for it where it has none; key is not 0. NULL: every entry is
 * another's that goes on still, and this one is not to be said, so that a crowd cannot be loud
 * either. */
struct rare *rare_find(struct rare *table, size_t entries, uint64_t key, uint64_t now_ms);

/* A key for a text, beside what it is about: not 0, and never the same for two that a person would
 * tell apart, as far as 64 bits go. */
uint64_t rare_key(uint64_t about, const char *text);

#endif
