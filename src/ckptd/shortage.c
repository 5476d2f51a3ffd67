/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/shortage.h"

#include <stdio.h>

#include "base/log.h"

struct listing {
    char *text;
    size_t size;
    size_t used;
    uint32_t count;
};

static void add(void *context, const struct arena_beside *beside)
{
    struct listing *listing = context;
    const char *use = !beside->is_known ? "unknown" : beside->is_in_use ? "yes" : "no";
    log_event(EVENT_arena_beside, "path=%s bytes=%llu in_use=%s", LOG_QUOTED(beside->path),
              (unsigned long long)beside->bytes, use);
    if (listing->used + 1 >= listing->size) {
        return; /* the log has it */
    }
    const char *lead = listing->count++ == 0 ? "; there too: " : ", ";
    char *end = listing->text + listing->used;
    size_t room = listing->size - listing->used;
    int bytes = beside->is_known
                    ? snprintf(end, room, "%s%s (%.2f GiB, %s)", lead, beside->path,
                               (double)beside->bytes / (double)CKPT_GIB,
                               beside->is_in_use ? "an agent has it" : "used by nobody")
                    : snprintf(end, room, "%s%s (another user's)", lead, beside->path);
    listing->used += bytes < (int)room ? (size_t)bytes : room - 1;
}

void shortage_explain(const struct arena_options *options, char *text, size_t text_size)
{
    struct listing listing = {.text = text, .size = text_size};
    arena_list_beside(options, add, &listing);
}
