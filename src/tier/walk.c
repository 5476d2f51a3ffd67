/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/walk.h"

#include <stdlib.h>
#include <string.h>

#include "base/reason.h"

static bool keep(void *context, const char *name, enum tier_thing thing, uint64_t bytes)
{
    struct walk *walk = context;
    if (walk->count == walk->room) {
        size_t room = walk->room > 0 ? 2 * walk->room : 64;
        struct walk_thing *grown = realloc(walk->things, room * sizeof(*grown));
        walk->is_short = grown == NULL;
        if (grown == NULL) {
            return false;
        }
        walk->things = grown;
        walk->room = room;
    }
    struct walk_thing one = {.name = strdup(name), .thing = thing, .bytes = bytes};
    walk->is_short = one.name == NULL;
    if (one.name != NULL) {
        walk->things[walk->count++] = one;
    }
    return one.name != NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct walk_thing *)a)->name, ((const struct walk_thing *)b)->name);
}

enum ckpt_status walk_begin(struct tier *tier, const char *folder, struct walk *walk,
                            char *reason_out)
{
    *walk = (struct walk){0};
    enum ckpt_status status =
        tier->medium->backend->list(tier->medium, folder, keep, walk, reason_out);
    if (status == CKPT_OK && walk->is_short) {
        status = reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory for a folder's names");
    }
    if (walk->count > 0) {
        qsort(walk->things, walk->count, sizeof(*walk->things), by_name);
    }
    return status;
}

void walk_end(struct walk *walk)
{
    for (size_t i = 0; i < walk->count; i++) {
        free(walk->things[i].name);
    }
    free(walk->things);
    *walk = (struct walk){0};
}

const struct walk_thing *walk_find(const struct walk *walk, const char *name)
{
    struct walk_thing key = {.name = (char *)(uintptr_t)name};
    return walk->count == 0 ? NULL : bsearch(&key, walk->things, walk->count, sizeof(key), by_name);
}
