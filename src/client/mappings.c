/* SPDX-License-Identifier: Apache-2.0 */
#include "client/mappings.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; older kernels answer EINVAL */
#endif

#define FAULT_PIECE_BYTES (32 * CKPT_MIB)
#define FAULT_ALIGN_BYTES (2 * CKPT_MIB) /* of the largest pages that are common */

/* The size is looked at each time, as a kept mapping of a file that was cut cannot be written. */
static enum ckpt_status identify(const uint16_t *ids, const struct arena_view_files *files,
                                 struct mapped_segment *segments_out)
{
    for (uint32_t i = 0; i < files->count; i++) {
        struct stat info;
        if (fstat(files->fds[i], &info) != 0) {
            return CKPT_ERR_SYSTEM;
        }
        if (info.st_size < 0 || (uint64_t)info.st_size != files->segment_bytes) {
            return CKPT_ERR_SIZE;
        }
        segments_out[i] = (struct mapped_segment){
            .device = (uint64_t)info.st_dev,
            .inode = (uint64_t)info.st_ino,
            .id = ids[i],
        };
    }
    return CKPT_OK;
}

static bool same(const struct mapped_segment *a, const struct mapped_segment *b)
{
    return a->id == b->id && a->device == b->device && a->inode == b->inode;
}

/* A mapping of more segments serves a shard of its first ones. */
static bool begins_with(const struct mapping *mapping, const struct mapped_segment *segments,
                        const struct arena_view_files *files)
{
    if (mapping->view.address == NULL || mapping->segment_bytes != files->segment_bytes ||
        mapping->part_bytes != files->part_bytes || files->count > mapping->count) {
        return false;
    }
    for (uint32_t i = 0; i < files->count; i++) {
        if (!same(&mapping->segments[i], &segments[i])) {
            return false;
        }
    }
    return true;
}

static bool overlaps(const struct mapping *mapping, const struct mapped_segment *segments,
                     uint32_t count)
{
    for (uint32_t i = 0; i < mapping->count; i++) {
        for (uint32_t j = 0; j < count; j++) {
            if (mapping->segments[i].id == segments[j].id) {
                return true;
            }
        }
    }
    return false;
}

/* A segment that is there twice would let a later tensor overwrite an earlier one. */
static bool repeats(const struct mapped_segment *segments, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (segments[i].id == segments[j].id || (segments[i].inode == segments[j].inode &&
                                                     segments[i].device == segments[j].device)) {
                return true;
            }
        }
    }
    return false;
}

static void tell_one(ckpt_watch *watch, void *context, const struct mapping *mapping, bool mapped)
{
    if (watch != NULL && mapping->view.address != NULL) {
        struct ckpt_mapping told = {
            .address = mapping->view.address,
            .bytes = mapping->view.mapped_bytes,
            .generation = mapping->generation,
        };
        watch(context, &told, mapped);
    }
}

static void tell(const struct mappings *mappings, const struct mapping *mapping, bool mapped)
{
    tell_one(mappings->watch, mappings->watch_context, mapping, mapped);
    tell_one(mappings->pin, mappings->pin_context, mapping, mapped);
}

static void drop(struct mappings *mappings, struct mapping *mapping)
{
    tell(mappings, mapping, false);
    arena_view_unmap(&mapping->view);
    mapping->count = 0;
}

/* Page faults belong here, not into the copy. The agent's files are faulted in already, so this
 * fills page tables. A page that is only read is mapped for writing too, as tmpfs and hugetlbfs
 * track no dirty pages. */
static void fault_in(uint8_t *address, uint64_t bytes)
{
    if (madvise(address, bytes, MADV_POPULATE_WRITE) == 0) {
        return;
    }
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t at = 0; at < bytes; at += page) {
        (void)*(volatile const uint8_t *)(address + at);
    }
}

/* As far as a shard of so many bytes goes. In pieces, as each holds the lock of this process'
 * address space. */
static void fault_in_mapping(struct mapping *mapping, uint64_t bytes, const atomic_bool *is_stopped)
{
    const struct arena_view *view = &mapping->view;
    uint64_t end = (bytes + FAULT_ALIGN_BYTES - 1) / FAULT_ALIGN_BYTES * FAULT_ALIGN_BYTES;
    end = end < view->mapped_bytes ? end : view->mapped_bytes;
    while (mapping->faulted < end &&
           !(is_stopped != NULL && atomic_load_explicit(is_stopped, memory_order_relaxed))) {
        uint64_t left = end - mapping->faulted;
        uint64_t piece = left < FAULT_PIECE_BYTES ? left : FAULT_PIECE_BYTES;
        fault_in(view->address + mapping->faulted, piece);
        mapping->faulted += piece;
    }
}

static struct mapping *choose(struct mappings *mappings)
{
    struct mapping *oldest = &mappings->kept[0];
    for (uint32_t i = 0; i < MAPPINGS_KEPT; i++) {
        struct mapping *mapping = &mappings->kept[i];
        if (mapping->view.address == NULL) {
            return mapping;
        }
        oldest = mapping->used < oldest->used ? mapping : oldest;
    }
    drop(mappings, oldest);
    return oldest;
}

static enum ckpt_status get(struct mappings *mappings, const uint16_t *ids,
                            const struct arena_view_files *files, uint64_t bytes,
                            struct mapping **mapping_out)
{
    struct mapped_segment segments[CKPT_SEGMENTS_PER_SHARD_MAX];
    const uint32_t count = files->count;
    if (count == 0 || count > CKPT_SEGMENTS_PER_SHARD_MAX) {
        return CKPT_ERR_INVALID;
    }
    enum ckpt_status status = identify(ids, files, segments);
    if (status != CKPT_OK) {
        return status;
    }
    for (uint32_t i = 0; i < MAPPINGS_KEPT; i++) {
        struct mapping *mapping = &mappings->kept[i];
        if (begins_with(mapping, segments, files)) {
            mapping->used = ++mappings->clock;
            *mapping_out = mapping;
            return CKPT_OK;
        }
    }
    if (repeats(segments, count)) {
        return CKPT_ERR_INVALID;
    }
    for (uint32_t i = 0; i < MAPPINGS_KEPT; i++) {
        if (overlaps(&mappings->kept[i], segments, count)) {
            drop(mappings, &mappings->kept[i]);
        }
    }
    struct arena_view view;
    status = arena_view_map(files, bytes, true, &view);
    if (status != CKPT_OK) {
        return status;
    }
    (void)madvise(view.address, view.mapped_bytes, MADV_DONTFORK);
    struct mapping *mapping = choose(mappings);
    mapping->view = view;
    mapping->faulted = 0;
    mapping->segment_bytes = files->segment_bytes;
    mapping->part_bytes = files->part_bytes;
    mapping->count = count;
    mapping->used = ++mappings->clock;
    mapping->generation = ++mappings->generation;
    memcpy(mapping->segments, segments, count * sizeof(*segments));
    tell(mappings, mapping, true);
    *mapping_out = mapping;
    return CKPT_OK;
}

enum ckpt_status mappings_get(struct mappings *mappings, const uint16_t *ids,
                              const struct arena_view_files *files, uint64_t bytes,
                              uint8_t **address_out)
{
    struct mapping *mapping;
    enum ckpt_status status = get(mappings, ids, files, bytes, &mapping);
    if (status == CKPT_OK) {
        fault_in_mapping(mapping, bytes, NULL);
        *address_out = mapping->view.address;
    }
    return status;
}

enum ckpt_status mappings_prepare(struct mappings *mappings, const uint16_t *ids,
                                  const struct arena_view_files *files, uint64_t bytes,
                                  const atomic_bool *is_stopped)
{
    struct mapping *mapping;
    enum ckpt_status status = get(mappings, ids, files, bytes, &mapping);
    if (status == CKPT_OK) {
        fault_in_mapping(mapping, bytes, is_stopped);
    }
    return status;
}

void mappings_watch(struct mappings *mappings, ckpt_watch *watch, void *context)
{
    mappings->watch = watch;
    mappings->watch_context = context;
    for (uint32_t i = 0; i < MAPPINGS_KEPT; i++) {
        tell_one(watch, context, &mappings->kept[i], true);
    }
}

void mappings_pin(struct mappings *mappings, ckpt_watch *pin, void *context)
{
    mappings->pin = pin;
    mappings->pin_context = context;
    for (uint32_t i = 0; i < MAPPINGS_KEPT; i++) {
        tell_one(pin, context, &mappings->kept[i], true);
    }
}

void mappings_forget(struct mappings *mappings)
{
    for (uint32_t i = 0; i < MAPPINGS_KEPT; i++) {
        mappings->kept[i].view.address = NULL;
        mappings->kept[i].count = 0;
    }
}

void mappings_clear(struct mappings *mappings)
{
    for (uint32_t i = 0; i < MAPPINGS_KEPT; i++) {
        drop(mappings, &mappings->kept[i]);
    }
}
