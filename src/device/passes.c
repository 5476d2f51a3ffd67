/* SPDX-License-Identifier: Apache-2.0 */
#include "device/passes.h"

#include <stdlib.h>

static int by_place(const void *a, const void *b)
{
    const struct device_part *left = a, *right = b;
    return left->place < right->place ? -1 : left->place > right->place;
}

bool device_parts_sort(struct device_part *parts, size_t count)
{
    qsort(parts, count, sizeof(*parts), by_place);
    for (size_t i = 1; i < count; i++) {
        if (parts[i].place == parts[i - 1].place) {
            return false;
        }
    }
    return true;
}

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t end_of(const struct device_part *part)
{
    return part->place + part->bytes;
}

/* The end of the chunk that has the byte before. */
static uint64_t chunks_end(const struct passes *passes, uint64_t end)
{
    uint64_t up = (end + CKPT_CHUNK_BYTES - 1) / CKPT_CHUNK_BYTES * CKPT_CHUNK_BYTES;
    return lower(up, passes->shard_bytes);
}

bool passes_next(struct passes *passes, struct pass *pass_out)
{
    while (passes->part < passes->count && end_of(&passes->parts[passes->part]) <= passes->at) {
        passes->part++;
    }
    if (passes->part == passes->count) {
        return false;
    }
    const struct device_part *first = &passes->parts[passes->part];
    uint64_t begin = first->place > passes->at ? first->place : passes->at;
    begin -= begin % CKPT_CHUNK_BYTES;
    uint64_t end = chunks_end(passes, end_of(first));
    for (size_t i = passes->part + 1; i < passes->count && end - begin < passes->window_bytes;
         i++) {
        if (passes->parts[i].place >= end) {
            break;
        }
        end = chunks_end(passes, end_of(&passes->parts[i]));
    }
    end = lower(end, begin + passes->window_bytes);
    *pass_out = (struct pass){begin, end, passes->part};
    passes->at = end;
    return true;
}

/* Where to look on: behind the last range. */
static uint64_t look_from(const struct pass *pass, struct pass_range *range)
{
    if (range->end <= pass->begin) {
        range->part = pass->part;
        return pass->begin;
    }
    return range->end;
}

bool passes_gap(const struct passes *passes, const struct pass *pass, struct pass_range *gap)
{
    uint64_t at = look_from(pass, gap);
    for (; gap->part < passes->count && passes->parts[gap->part].place <= at; gap->part++) {
        uint64_t end = end_of(&passes->parts[gap->part]);
        at = end > at ? end : at;
    }
    gap->begin = at;
    gap->end =
        gap->part < passes->count ? lower(passes->parts[gap->part].place, pass->end) : pass->end;
    return at < gap->end;
}

bool passes_run(const struct passes *passes, const struct pass *pass, struct pass_range *run)
{
    uint64_t at = look_from(pass, run);
    const struct device_part *parts = passes->parts;
    size_t i = run->part;
    while (i < passes->count && (!device_part_is_small(&parts[i]) || end_of(&parts[i]) <= at)) {
        i++;
    }
    run->part = i;
    if (i == passes->count || at >= pass->end || parts[i].place >= pass->end) {
        return false;
    }
    run->begin = parts[i].place > at ? parts[i].place : at;
    for (run->end = run->begin; i < passes->count && device_part_is_small(&parts[i]) &&
                                parts[i].place <= run->end && run->end < pass->end;
         i++) {
        run->end = end_of(&parts[i]);
        run->part = i;
    }
    run->end = lower(run->end, pass->end);
    return true;
}
