/* SPDX-License-Identifier: Apache-2.0 */
/* What the tables share: the machine's state as JSON documents, for ckptctl. docs/ckptctl.md names
 * every field.
 *
 * A document is a page: it holds entries from `from` on, and "next" is the first that it does not
 * hold, or null. A page is small enough for one frame and for one turn of the loop. */
#ifndef CKPT_CKPTCTLD_TABLE_H
#define CKPT_CKPTCTLD_TABLE_H

#include <jansson.h>

#include "ckptctld/daemon.h"
#include "wire/message_codec.h"

/* Entries a page: of those below 4 KiB of JSON, as a shard with COORDINATOR_COPIES_MAX copies; and
 * of those below 16 KiB, as a checkpoint that names what it lacks, or a run with two of them. */
#define PAGE_ENTRIES 1000
#define HEAVY_ENTRIES 250
_Static_assert(PAGE_ENTRIES * 4096 < MESSAGE_JSON_MAX && HEAVY_ENTRIES * 16384 < MESSAGE_JSON_MAX,
               "a page fits one frame");

/* Who asks: whose runs may be seen. */
struct caller {
    uint32_t uid;
    bool privileged; /* everybody's */
};

/* Numbers of 64 bits: JSON's are signed here. What is above is a defect to be seen, not a negative
 * size. */
static inline json_t *number(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static inline json_t *next_page(uint32_t next, uint32_t end)
{
    return next < end ? number(next) : json_null();
}

/* It has just started: agents are still telling what they hold. */
int table_is_settling(const struct daemon *daemon);

/* RFC 3339, in UTC; null for 0. */
json_t *table_time(uint64_t wall_ms);

#endif
