/* SPDX-License-Identifier: Apache-2.0 */
#include "device/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "digest/fingerprint.h"

#define AT(address) ((void *)(uintptr_t)(address))

static uint32_t value_bytes(const struct device *d)
{
    return d->key.kind == DIGEST_KIND_BLAKE3 ? KERNELS_CV_BYTES : KERNELS_VALUE_BYTES;
}

/* A kernel's fault, or the driver's, on the way to values. */
static bool fails(const struct device *d, int error, const char *what, char *reason)
{
    if (error == KERNELS_ERR_ARGUMENT) {
        reason_set(reason, "GPU: %s: a kernel refuses what it was given", what);
    } else {
        (void)driver_failed(&d->driver, error, what, reason);
    }
    return false;
}

/* Copies go in one call where the driver has it; else one after the other. */
static int put_copies(struct device *d, uint64_t *targets, uint64_t *sources, size_t *bytes,
                      size_t count)
{
    struct driver_copy_attributes attributes = {.order = DRIVER_ORDER_STREAM,
                                                .flags = DRIVER_COPY_BESIDE_COMPUTE};
    size_t first = 0, failed = 0;
    int error = DRIVER_ERR_NOT_SUPPORTED;
    if (d->driver.batch != NULL) {
        error = d->driver.batch(targets, sources, bytes, count, &attributes, &first, 1, d->copies);
    } else if (d->driver.batch_12 != NULL) {
        error = d->driver.batch_12(targets, sources, bytes, count, &attributes, &first, 1, &failed,
                                   d->copies);
    }
    if (error != DRIVER_ERR_NOT_SUPPORTED) {
        return error;
    }
    error = DRIVER_OK;
    for (size_t i = 0; i < count && error == DRIVER_OK; i++) {
        error = d->job.to_device
                    ? d->driver.copy_in(targets[i], AT(sources[i]), bytes[i], d->copies)
                    : d->driver.copy_out(AT(targets[i]), sources[i], bytes[i], d->copies);
    }
    return error;
}

int job_put_straight(struct device *d)
{
    size_t count = 0;
    if (d->scratch_count < d->job.count) {
        uint64_t *scratch = malloc(3 * d->job.count * sizeof(*scratch));
        if (scratch == NULL) {
            return DRIVER_ERR_MEMORY;
        }
        free(d->scratch);
        d->scratch = scratch;
        d->scratch_count = d->job.count;
    }
    _Static_assert(sizeof(size_t) == sizeof(uint64_t), "sizes are as wide as addresses");
    uint64_t *targets = d->scratch;
    uint64_t *sources = targets + d->job.count;
    size_t *bytes = (size_t *)(sources + d->job.count);
    for (size_t i = 0; i < d->job.count; i++) {
        const struct device_part *part = &d->parts[i];
        uint64_t host = (uint64_t)(uintptr_t)d->job.host + part->place;
        if (d->has_values && device_part_is_small(part)) {
            continue; /* it goes by the window */
        }
        targets[count] = d->job.to_device ? part->address : host;
        sources[count] = d->job.to_device ? host : part->address;
        bytes[count] = part->bytes;
        d->straight_bytes += part->bytes;
        count++;
    }
    return count > 0 ? put_copies(d, targets, sources, bytes, count) : DRIVER_OK;
}

static void fill_tables(struct device *d, const struct device_tables *tables)
{
    d->small_count = 0;
    for (size_t i = 0; i < d->job.count; i++) {
        const struct device_part *part = &d->parts[i];
        tables->parts[i] = (struct kernels_tensor){.address = part->address,
                                                   .place = part->place,
                                                   .bytes = part->bytes,
                                                   .dtype = part->dtype};
        if (device_part_is_small(part)) {
            tables->small[d->small_count++] = tables->parts[i];
        }
    }
}

bool job_prepare(struct device *d, char *reason)
{
    d->room = (struct device_room){.parts = d->job.count,
                                   .chunks = digest_chunk_count(d->job.shard_bytes),
                                   .value_bytes = value_bytes(d)};
    if (device_memory_ensure(&d->memory, &d->driver, &d->room, reason) != CKPT_OK) {
        return false;
    }
    struct device_tables host = device_memory_host(&d->memory, &d->room);
    struct device_tables there = device_memory_device(&d->memory, &d->room);
    fill_tables(d, &host);
    uint64_t bytes = d->job.count * sizeof(struct kernels_tensor);
    uint64_t to = (uint64_t)(uintptr_t)there.parts;
    int error = d->driver.copy_in(to, host.parts, 2 * bytes, d->kernels);
    if (error == DRIVER_OK) {
        error = d->driver.set_bytes((uint64_t)(uintptr_t)there.counts, 0,
                                    d->job.count * sizeof(struct kernels_counts), d->kernels);
    }
    return error == DRIVER_OK || fails(d, error, "handing over tables", reason);
}

static void make_kernels_key(const struct digest_key *key, struct kernels_key *key_out)
{
    struct fingerprint_key made;
    fingerprint_key_derive(key->secret.bytes, &made);
    _Static_assert(sizeof(made.words) == sizeof(key_out->words), "the same words");
    memcpy(key_out->words, made.words, sizeof(made.words));
    memcpy(key_out->r, made.poly.powers[0], sizeof(key_out->r));
    explicit_bzero(&made, sizeof(made));
}

/* What the passes have in common. */
struct going {
    struct passes passes;
    struct device_tables there;
    struct kernels_key key;
};

/* Small parts between the window and the host; those that come in go on to their places. */
static int put_runs(struct device *d, const struct going *going, const struct pass *pass)
{
    struct pass_range run = {0};
    int error = DRIVER_OK;
    bool any = false;
    while (error == DRIVER_OK && passes_run(&going->passes, pass, &run)) {
        uint64_t window = d->memory.window + (run.begin - pass->begin);
        uint8_t *host = d->job.host + run.begin;
        uint64_t bytes = run.end - run.begin;
        error = d->job.to_device ? d->driver.copy_in(window, host, bytes, d->kernels)
                                 : d->driver.copy_out(host, window, bytes, d->kernels);
        d->packed_bytes += bytes;
        any = true;
    }
    if (error == DRIVER_OK && any && d->job.to_device) {
        error =
            d->library.kernels_scatter(going->there.small, d->small_count, pass->begin,
                                       pass->end - pass->begin, AT(d->memory.window), d->kernels);
    }
    return error;
}

/* The window gets every byte of the pass. */
static int put_window(struct device *d, const struct going *going, const struct pass *pass)
{
    struct pass_range gap = {0};
    int error =
        d->library.kernels_gather(going->there.parts, d->job.count, pass->begin,
                                  pass->end - pass->begin, AT(d->memory.window), d->kernels);
    while (error == DRIVER_OK && passes_gap(&going->passes, pass, &gap)) {
        error = d->driver.copy_in(d->memory.window + (gap.begin - pass->begin),
                                  d->job.host + gap.begin, gap.end - gap.begin, d->kernels);
    }
    return error;
}

static int put_values(struct device *d, const struct going *going, const struct pass *pass)
{
    uint64_t chunk = pass->begin / CKPT_CHUNK_BYTES;
    uint64_t bytes = pass->end - pass->begin;
    void *values = going->there.values + chunk * d->room.value_bytes;
    const struct kernels_scan scan = {.tensors = going->there.parts,
                                      .count = d->job.count,
                                      .place = pass->begin,
                                      .counts = going->there.counts};
    if (d->key.kind == DIGEST_KIND_BLAKE3) {
        return d->library.kernels_blake3(AT(d->memory.window), bytes, chunk, d->job.shard_bytes,
                                         values, d->kernels);
    }
    return d->library.kernels_fingerprint(&going->key, AT(d->memory.window), bytes, values,
                                          d->job.to_device ? NULL : &scan, d->kernels);
}

static int put_pass(struct device *d, const struct going *going, const struct pass *pass)
{
    int error = d->job.to_device ? put_runs(d, going, pass) : DRIVER_OK;
    if (error == DRIVER_OK) {
        error = put_window(d, going, pass);
    }
    if (error == DRIVER_OK) {
        error = put_values(d, going, pass);
    }
    if (error == DRIVER_OK && !d->job.to_device) {
        error = put_runs(d, going, pass);
    }
    return error;
}

bool job_put_passes(struct device *d, char *reason)
{
    struct going going = {.passes = {.parts = d->parts,
                                     .count = d->job.count,
                                     .shard_bytes = d->job.shard_bytes,
                                     .window_bytes = d->memory.window_bytes},
                          .there = device_memory_device(&d->memory, &d->room)};
    struct device_tables host = device_memory_host(&d->memory, &d->room);
    struct pass pass;
    int error = DRIVER_OK;
    if (d->key.kind == DIGEST_KIND_FINGERPRINT) {
        make_kernels_key(&d->key, &going.key);
    }
    if (d->job.to_device) {
        error = d->driver.event_record(d->copied, d->copies);
        error = error != DRIVER_OK ? error : d->driver.stream_wait(d->kernels, d->copied, 0);
    }
    while (error == DRIVER_OK && passes_next(&going.passes, &pass)) {
        error = put_pass(d, &going, &pass);
    }
    if (error == DRIVER_OK) {
        error = d->driver.copy_out(host.values, (uint64_t)(uintptr_t)going.there.values,
                                   d->room.chunks * d->room.value_bytes, d->kernels);
    }
    if (error == DRIVER_OK) {
        error = d->driver.copy_out(host.counts, (uint64_t)(uintptr_t)going.there.counts,
                                   d->job.count * sizeof(struct kernels_counts), d->kernels);
    }
    explicit_bzero(&going.key, sizeof(going.key));
    return error == DRIVER_OK || fails(d, error, "computing values", reason);
}

/* Chunks of the host alone, of which no pass has made a value: [from, to). */
static enum ckpt_status fill_host_values(const struct device *d, const struct digest_engine *engine,
                                         const struct fingerprint_key *key, uint8_t *values,
                                         uint64_t from, uint64_t to)
{
    enum ckpt_status status = CKPT_OK;
    for (uint64_t chunk = from; chunk < to && status == CKPT_OK; chunk++) {
        const uint8_t *data = d->job.host + chunk * CKPT_CHUNK_BYTES;
        size_t bytes = (size_t)digest_chunk_bytes(chunk, d->job.shard_bytes);
        uint8_t *value = values + chunk * d->room.value_bytes;
        status = d->key.kind == DIGEST_KIND_BLAKE3
                     ? digest_chunk(engine, data, bytes, chunk, d->job.shard_bytes, value)
                     : fingerprint_chunk(engine, key, data, bytes, value);
    }
    return status;
}

enum ckpt_status job_digest(const struct device *d, struct digest *digest_out, char *reason)
{
    struct passes passes = {.parts = d->parts,
                            .count = d->job.count,
                            .shard_bytes = d->job.shard_bytes,
                            .window_bytes = d->memory.window_bytes};
    uint8_t *values = device_memory_host(&d->memory, &d->room).values;
    const struct digest_engine *engine;
    struct fingerprint_key key;
    struct pass pass;
    uint64_t done = 0;
    enum ckpt_status status = digest_engine_select(NULL, &engine);
    if (d->key.kind == DIGEST_KIND_FINGERPRINT) {
        fingerprint_key_derive(d->key.secret.bytes, &key);
    }
    while (status == CKPT_OK && passes_next(&passes, &pass)) {
        uint64_t begin = pass.begin / CKPT_CHUNK_BYTES;
        status = fill_host_values(d, engine, &key, values, done, begin);
        done = (pass.end + CKPT_CHUNK_BYTES - 1) / CKPT_CHUNK_BYTES;
    }
    if (status == CKPT_OK) {
        status = fill_host_values(d, engine, &key, values, done, d->room.chunks);
    }
    explicit_bzero(&key, sizeof(key));
    if (status == CKPT_OK) {
        status = d->key.kind == DIGEST_KIND_BLAKE3
                     ? digest_fold(values, d->room.chunks, d->job.shard_bytes, digest_out)
                     : fingerprint_fold(values, d->room.chunks, d->job.shard_bytes, digest_out);
    }
    return status == CKPT_OK
               ? CKPT_OK
               : reason_refuse(reason, CKPT_ERR_INTERNAL, "values of a shard's chunks do not fold");
}
