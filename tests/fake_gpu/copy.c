/* SPDX-License-Identifier: Apache-2.0 */
/* Copies, one by one and in batches. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake_gpu/inside.h"

/* So that whoever does not wait for a copy is there before it. */
#define COPY_NS 300000

struct copy {
    uint64_t to, from;
    size_t bytes;
    bool out;
};

struct copies {
    size_t count;
    struct copy list[];
};

static void copy_now(const struct copy *copy)
{
    bool flips = fault_of_copy(copy->out);
    if (!fault_lets_run()) {
        return;
    }
    memcpy((void *)(uintptr_t)copy->to, (const void *)(uintptr_t)copy->from, copy->bytes);
    if (flips && copy->bytes > 0) {
        ((uint8_t *)(uintptr_t)copy->to)[copy->bytes / 2] ^= 0x10;
    }
    fault_ran(true);
}

/* From the last to the first: a batch has no order. */
static void copies_run(void *context)
{
    struct copies *copies = context;
    const struct timespec some = {0, COPY_NS};
    nanosleep(&some, NULL);
    for (size_t i = copies->count; i > 0; i--) {
        copy_now(&copies->list[i - 1]);
    }
    free(copies);
}

static struct copies *copies_make(size_t count)
{
    struct copies *copies = malloc(sizeof(*copies) + count * sizeof(copies->list[0]));
    if (copies == NULL) {
        abort();
    }
    copies->count = count;
    return copies;
}

static int put_one(uint64_t to, uint64_t from, size_t bytes, bool out, void *stream)
{
    struct fake_stream *s = stream_of(stream);
    if (s == NULL || memory_device(out ? from : to, bytes) < 0) {
        return DRIVER_ERR_INVALID;
    }
    if (stream_captures(s)) {
        return DRIVER_ERR_CAPTURE;
    }
    struct copies *copies = copies_make(1);
    copies->list[0] = (struct copy){to, from, bytes, out};
    stream_put(s, copies_run, copies);
    return DRIVER_OK;
}

int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream)
{
    FAKE_CALL(true);
    return put_one((uint64_t)(uintptr_t)to, from, bytes, true, stream);
}

int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *stream)
{
    FAKE_CALL(true);
    return put_one(to, (uint64_t)(uintptr_t)from, bytes, false, stream);
}

static void within_now(void *context)
{
    struct copies *copies = context;
    const struct copy *copy = &copies->list[0];
    const struct timespec some = {0, COPY_NS};
    nanosleep(&some, NULL);
    if (fault_lets_run()) {
        memmove((void *)(uintptr_t)copy->to, (const void *)(uintptr_t)copy->from, copy->bytes);
        fault_ran(false);
    }
    free(copies);
}

/* Neither out nor in: the script counts it as none of its copies. */
int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void *stream)
{
    FAKE_CALL(true);
    struct fake_stream *s = stream_of(stream);
    if (memory_device(to, bytes) < 0 || memory_device(from, bytes) < 0) {
        return DRIVER_ERR_INVALID;
    }
    if (stream_captures(s)) {
        return DRIVER_ERR_CAPTURE;
    }
    struct copies *copies = copies_make(1);
    copies->list[0] = (struct copy){.to = to, .from = from, .bytes = bytes};
    stream_put(s, within_now, copies);
    return DRIVER_OK;
}

static bool are_rules_kept(size_t count, const struct driver_copy_attributes *attributes,
                           const size_t *first_of, size_t attributes_count)
{
    if (count == 0 || attributes_count == 0 || attributes_count > count || first_of[0] != 0) {
        return false;
    }
    for (size_t i = 0; i < attributes_count; i++) {
        if (attributes[i].order < 1 || attributes[i].order > 3 || attributes[i].flags > 1 ||
            first_of[i] >= count || (i > 0 && first_of[i] <= first_of[i - 1])) {
            return false;
        }
    }
    return true;
}

int cuMemcpyBatchAsync_v2(uint64_t *targets, uint64_t *sources, size_t *bytes, size_t count,
                          struct driver_copy_attributes *attributes, size_t *first_of,
                          size_t attributes_count, void *stream)
{
    FAKE_CALL(true);
    if (fault_named("no_batch")) {
        return DRIVER_ERR_NOT_SUPPORTED;
    }
    if (stream == NULL || !are_rules_kept(count, attributes, first_of, attributes_count)) {
        return DRIVER_ERR_INVALID;
    }
    struct copies *copies = copies_make(count);
    for (size_t i = 0; i < count; i++) {
        bool out = memory_device(sources[i], bytes[i]) >= 0;
        if (bytes[i] == 0 || (!out && memory_device(targets[i], bytes[i]) < 0)) {
            free(copies);
            return DRIVER_ERR_INVALID;
        }
        copies->list[i] = (struct copy){targets[i], sources[i], bytes[i], out};
    }
    if (stream_captures(stream)) {
        free(copies);
        return DRIVER_ERR_CAPTURE;
    }
    pthread_mutex_lock(&fake_lock);
    fake_counts.batches++;
    fake_counts.batched += (unsigned)count;
    pthread_mutex_unlock(&fake_lock);
    stream_put(stream, copies_run, copies);
    return DRIVER_OK;
}

static void set_now(void *context)
{
    struct copies *copies = context;
    const struct copy *set = &copies->list[0];
    if (fault_lets_run()) {
        memset((void *)(uintptr_t)set->to, (int)set->from, set->bytes);
        fault_ran(false);
    }
    free(copies);
}

int cuMemsetD8Async(uint64_t address, unsigned char value, size_t bytes, void *stream)
{
    FAKE_CALL(true);
    struct fake_stream *s = stream_of(stream);
    if (memory_device(address, bytes) < 0 || stream_captures(s)) {
        return stream_captures(s) ? DRIVER_ERR_CAPTURE : DRIVER_ERR_INVALID;
    }
    struct copies *copies = copies_make(1);
    copies->list[0] = (struct copy){.to = address, .from = value, .bytes = bytes};
    stream_put(s, set_now, copies);
    return DRIVER_OK;
}
