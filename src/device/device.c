/* SPDX-License-Identifier: Apache-2.0 */
#include "device/device.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/reason.h"
#include "device/job.h"
#include "device/kernels_library.h"

#define POLL_NS_LEAST 20000
#define POLL_NS_MOST 1000000

static enum ckpt_status driver_refused(struct device *d, int error, const char *what, char *reason)
{
    return driver_failed(&d->driver, error, what, reason);
}

enum ckpt_status device_of(const void *address, int *ordinal_out, char *reason)
{
    struct driver driver = {.handle = NULL};
    unsigned type = 0;
    enum ckpt_status status = driver_open(&driver, reason);
    if (status != CKPT_OK) {
        return status;
    }
    uint64_t at = (uint64_t)(uintptr_t)address;
    int error = driver.pointer_attribute(&type, DRIVER_POINTER_MEMORY_TYPE, at);
    if (error == DRIVER_OK && type == DRIVER_MEMORY_DEVICE) {
        error = driver.pointer_attribute(ordinal_out, DRIVER_POINTER_DEVICE, at);
    } else if (error == DRIVER_OK || error == DRIVER_ERR_INVALID) {
        status = reason_refuse(reason, CKPT_ERR_INVALID, "no GPU has memory at %p", address);
    }
    if (status == CKPT_OK && error != DRIVER_OK) {
        status = driver_failed(&driver, error, "asking whose memory it is", reason);
    }
    driver_close(&driver);
    return status;
}

static enum ckpt_status make_streams(struct device *d, char *reason)
{
    int least = 0, greatest = 0;
    int error = d->driver.priorities(&least, &greatest);
    void **streams[] = {&d->copies, &d->kernels};
    void **events[] = {&d->ready, &d->copied, &d->computed};
    for (size_t i = 0; i < 2 && error == DRIVER_OK; i++) {
        error = d->driver.stream_create(streams[i], DRIVER_STREAM_NON_BLOCKING, least);
    }
    for (size_t i = 0; i < 3 && error == DRIVER_OK; i++) {
        error = d->driver.event_create(events[i], DRIVER_EVENT_NO_TIMING);
    }
    return error == DRIVER_OK ? CKPT_OK : driver_refused(d, error, "making streams", reason);
}

enum ckpt_status device_open(int ordinal, struct device **device_out, char *reason)
{
    struct device *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "no memory for a GPU's streams");
    }
    d->ordinal = ordinal;
    enum ckpt_status status = driver_open(&d->driver, reason);
    if (status == CKPT_OK) {
        int error = d->driver.context_retain(&d->context, ordinal);
        status = error == DRIVER_OK ? CKPT_OK : driver_refused(d, error, "opening it", reason);
    }
    if (status == CKPT_OK && d->driver.context_push(d->context) == DRIVER_OK) {
        status = make_streams(d, reason);
        (void)kernels_library_open(NULL, &d->library, d->no_kernels);
        (void)d->driver.context_pop(NULL);
    }
    if (status != CKPT_OK) {
        device_close(&d);
        return status;
    }
    *device_out = d;
    return CKPT_OK;
}

/* Of a device that is lost each call fails, and nothing is left of what it gave. */
void device_close(struct device **device)
{
    struct device *d = *device;
    if (d == NULL) {
        return;
    }
    if (d->context != NULL) {
        bool is_current = d->driver.context_push(d->context) == DRIVER_OK;
        device_memory_free(&d->memory, &d->driver);
        void *events[] = {d->ready, d->copied, d->computed};
        for (size_t i = 0; i < 3; i++) {
            (void)(events[i] != NULL && d->driver.event_destroy(events[i]) != DRIVER_OK);
        }
        (void)(d->copies != NULL && d->driver.stream_destroy(d->copies) != DRIVER_OK);
        (void)(d->kernels != NULL && d->driver.stream_destroy(d->kernels) != DRIVER_OK);
        kernels_library_close(&d->library);
        if (is_current) {
            (void)d->driver.context_pop(NULL);
        }
        (void)d->driver.context_release(d->ordinal);
    }
    driver_close(&d->driver);
    free(d->parts);
    free(d->scratch);
    free(d);
    *device = NULL;
}

int device_ordinal(const struct device *d)
{
    return d->ordinal;
}

static bool has_byte(const struct device *d, uint64_t at)
{
    unsigned type = 0;
    int ordinal = -1;
    return d->driver.pointer_attribute(&type, DRIVER_POINTER_MEMORY_TYPE, at) == DRIVER_OK &&
           type == DRIVER_MEMORY_DEVICE &&
           d->driver.pointer_attribute(&ordinal, DRIVER_POINTER_DEVICE, at) == DRIVER_OK &&
           ordinal == d->ordinal;
}

bool device_has(const struct device *d, const void *address, uint64_t bytes)
{
    uint64_t at = (uint64_t)(uintptr_t)address;
    return bytes == 0 ||
           (at <= UINT64_MAX - bytes && has_byte(d, at) && has_byte(d, at + bytes - 1));
}

enum ckpt_status device_pin(struct device *d, void *address, uint64_t bytes, bool read_only,
                            char *reason)
{
    unsigned flags = DRIVER_REGISTER_PORTABLE | (read_only ? DRIVER_REGISTER_READ_ONLY : 0);
    int error = d->driver.context_push(d->context);
    if (error == DRIVER_OK) {
        error = d->driver.host_register(address, bytes, flags);
        (void)d->driver.context_pop(NULL);
    }
    if (error == DRIVER_OK || error == DRIVER_ERR_REGISTERED) {
        return CKPT_OK;
    }
    (void)driver_refused(d, error, "registering the slot's memory", reason);
    return CKPT_ERR_UNSUPPORTED;
}

void device_unpin(struct device *d, void *address)
{
    if (d->driver.context_push(d->context) == DRIVER_OK) {
        (void)d->driver.host_unregister(address);
        (void)d->driver.context_pop(NULL);
    }
}

/* The values are for who wants them, the copies go on: why, once. */
static void go_without(struct device *d, const char *why)
{
    d->has_values = false;
    d->packed_bytes = 0;
    reason_set(d->word, "%s", why);
}

static enum ckpt_status check_stream(struct device *d, void *stream, char *reason)
{
    int status = DRIVER_CAPTURE_NONE;
    int error = d->driver.stream_capturing(stream, &status);
    if (error == DRIVER_ERR_CAPTURE_IMPLICIT ||
        (error == DRIVER_OK && status != DRIVER_CAPTURE_NONE)) {
        return reason_refuse(reason, CKPT_ERR_INVALID,
                             "the stream captures a CUDA graph: a save is no part of one, call it "
                             "outside of the capture");
    }
    return error == DRIVER_OK ? CKPT_OK : driver_refused(d, error, "looking at the stream", reason);
}

/* With the context current. What is on the producer's stream comes first. */
static int order_after(struct device *d)
{
    int error = d->driver.event_record(d->ready, d->job.stream);
    if (error == DRIVER_OK) {
        error = d->driver.stream_wait(d->copies, d->ready, 0);
    }
    if (error == DRIVER_OK) {
        error = d->driver.stream_wait(d->kernels, d->ready, 0);
    }
    return error;
}

static int order_before(struct device *d)
{
    int error = d->driver.event_record(d->copied, d->copies);
    if (error == DRIVER_OK) {
        error = d->driver.event_record(d->computed, d->kernels);
    }
    if (error == DRIVER_OK) {
        error = d->driver.stream_wait(d->job.stream, d->copied, 0);
    }
    if (error == DRIVER_OK) {
        error = d->driver.stream_wait(d->job.stream, d->computed, 0);
    }
    return error;
}

/* Values first, for what comes of an error of theirs is known then. */
static int put_all(struct device *d)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    int error = order_after(d);
    d->is_under_way = true;
    if (error == DRIVER_OK && d->has_values && !job_prepare(d, reason)) {
        go_without(d, reason);
    }
    if (error == DRIVER_OK && d->job.to_device) {
        error = job_put_straight(d);
    }
    if (error == DRIVER_OK && d->has_values && !job_put_passes(d, reason)) {
        go_without(d, reason);
        d->straight_bytes = 0;
        error = d->job.to_device ? job_put_straight(d) : DRIVER_OK;
    }
    if (error == DRIVER_OK && !d->job.to_device) {
        error = job_put_straight(d);
    }
    int ordered = order_before(d);
    return error != DRIVER_OK ? error : ordered;
}

static enum ckpt_status take_job(struct device *d, const struct device_job *job, char *reason)
{
    struct device_part *parts = malloc((job->count + 1) * sizeof(*parts));
    if (parts == NULL) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "no memory for a table of %zu tensors",
                             job->count);
    }
    memcpy(parts, job->parts, job->count * sizeof(*parts));
    free(d->parts);
    d->parts = parts;
    d->job = *job;
    d->job.parts = parts;
    d->key = *job->key;
    d->job.key = &d->key;
    d->straight_bytes = 0;
    d->packed_bytes = 0;
    d->word[0] = '\0';
    d->has_values = d->key.kind != DIGEST_KIND_UNKNOWN;
    if (d->has_values && d->library.handle == NULL) {
        go_without(d, d->no_kernels);
    }
    return CKPT_OK;
}

/* Whether it answers nothing any more. */
static bool is_dead(struct device *d)
{
    int error = d->driver.event_query(d->ready);
    return error != DRIVER_OK && error != DRIVER_ERR_NOT_READY;
}

enum ckpt_status device_begin(struct device *d, const struct device_job *job, char *reason)
{
    if (d->is_under_way) {
        return reason_refuse(reason, CKPT_ERR_BUSY, "earlier copies of the GPU have not ended");
    }
    if (d->is_lost) {
        return reason_refuse(reason, CKPT_ERR_SYSTEM,
                             "the GPU is lost to this process since an error of CUDA's: end it");
    }
    int error = d->driver.context_push(d->context);
    if (error != DRIVER_OK) {
        d->is_lost = true;
        return driver_refused(d, error, "making it current", reason);
    }
    enum ckpt_status status = check_stream(d, job->stream, reason);
    if (status == CKPT_OK) {
        status = take_job(d, job, reason);
    }
    if (status == CKPT_OK) {
        error = put_all(d);
        status = error == DRIVER_OK ? CKPT_OK : driver_refused(d, error, "copying tensors", reason);
    }
    d->is_lost = status != CKPT_OK && is_dead(d);
    (void)d->driver.context_pop(NULL);
    return status;
}

/* 0: all of it is done; DRIVER_ERR_NOT_READY; else an error. */
static int look(struct device *d)
{
    int error = d->driver.context_push(d->context);
    if (error != DRIVER_OK) {
        return error;
    }
    error = d->driver.event_query(d->copied);
    int other = d->driver.event_query(d->computed);
    (void)d->driver.context_pop(NULL);
    return error != DRIVER_OK && error != DRIVER_ERR_NOT_READY ? error
           : other != DRIVER_OK                                ? other
                                                               : error;
}

enum ckpt_status device_await(struct device *d, int64_t at_ns, char *reason)
{
    struct timespec pause = {0, POLL_NS_LEAST};
    int error = DRIVER_OK;
    while (d->is_under_way && (error = look(d)) == DRIVER_ERR_NOT_READY) {
        if ((int64_t)clock_now_ns() >= at_ns) {
            return reason_refuse(reason, CKPT_ERR_TIMEOUT,
                                 "the GPU has not ended its copies in time: is it hung?");
        }
        nanosleep(&pause, NULL);
        pause.tv_nsec = pause.tv_nsec * 2 < POLL_NS_MOST ? pause.tv_nsec * 2 : POLL_NS_MOST;
    }
    d->is_under_way = false;
    if (error == DRIVER_OK) {
        return CKPT_OK;
    }
    d->is_lost = true;
    return driver_refused(d, error, "while tensors were copied", reason);
}

struct device_found device_found(const struct device *d)
{
    struct device_found found = {.has_values = d->has_values,
                                 .straight_bytes = d->straight_bytes,
                                 .packed_bytes = d->packed_bytes};
    if (d->has_values && !d->job.to_device) {
        struct device_tables tables = device_memory_host(&d->memory, &d->room);
        for (size_t i = 0; i < d->job.count; i++) {
            found.nans += tables.counts[i].nans;
            found.infinities += tables.counts[i].infinities;
        }
    }
    return found;
}

enum ckpt_status device_digest(const struct device *d, struct digest *digest_out, char *reason)
{
    return job_digest(d, digest_out, reason);
}

const char *device_word(const struct device *d)
{
    return d->word;
}

bool device_is_lost(const struct device *d)
{
    return d->is_lost;
}
