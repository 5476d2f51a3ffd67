/* SPDX-License-Identifier: Apache-2.0 */
#include "case_kernels_prove.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <ckpt/dtype.h>

#include "base/limits.h"
#include "base/reason.h"
#include "case_kernels_work.h"
#include "memory/buffer.h"

#define TENSOR_BYTES (UINT64_C(64) << 10) /* so that all alignments are met */
#define FILLED 0xcc                       /* where nothing is to be written */

/* Of one chunk the value is the root, whoever has it: a block of threads, a thread, a leaf. */
static const uint64_t sizes[] = {PROVE_BYTES, 700001, 5000, 777};

struct proof {
    struct kernel_work work;
    const struct fingerprint_key *key;
    const struct digest_engine *engine;
    uint64_t bytes; /* of each buffer */
    uint8_t *shard;
    uint8_t *expected;
    uint8_t *got;
};

void prove_key(const struct fingerprint_key *key, struct kernels_key *key_out)
{
    _Static_assert(sizeof(key->words) == sizeof(key_out->words), "the same words");
    memcpy(key_out->words, key->words, sizeof(key_out->words));
    memcpy(key_out->r, key->poly.powers[0], sizeof(key_out->r));
}

/* What the GPU has there is what is expected. unit names what lies there, of unit_bytes each. */
static enum ckpt_status compare(struct proof *proof, enum kernel_step step, uint64_t address,
                                uint64_t bytes, const char *unit, uint64_t unit_bytes, char *reason)
{
    enum ckpt_status status = gpu_read(proof->work.gpu, proof->got, address, bytes, reason);
    if (status != CKPT_OK || memcmp(proof->got, proof->expected, bytes) == 0) {
        return status;
    }
    uint64_t at = 0;
    while (proof->got[at] == proof->expected[at]) {
        at++;
    }
    return reason_refuse(reason, CKPT_ERR_CORRUPT,
                         "WRONG: %s: %s %" PRIu64 " of %" PRIu64
                         " is not what the host has for a shard of %" PRIu64 " bytes",
                         kernel_step_names[step], unit, at / unit_bytes + 1, bytes / unit_bytes,
                         proof->work.bytes);
}

static enum ckpt_status write_shard(struct proof *proof, char *reason)
{
    return gpu_write(proof->work.gpu, proof->work.shard, proof->shard, proof->work.bytes, reason);
}

static enum ckpt_status fill_tensors(struct proof *proof, char *reason)
{
    return gpu_fill(proof->work.gpu, proof->work.tensors, FILLED, proof->work.tensors_bytes,
                    reason);
}

static enum ckpt_status run(struct proof *proof, enum kernel_step step, char *reason)
{
    return work_run(&proof->work, step, NULL, reason);
}

static enum ckpt_status prove_copy(struct proof *proof, char *reason)
{
    enum ckpt_status status = fill_tensors(proof, reason);
    if (status == CKPT_OK) {
        status = run(proof, STEP_COPY, reason);
    }
    memset(proof->expected, FILLED, proof->work.tensors_bytes);
    memcpy(proof->expected, proof->shard, proof->work.bytes);
    return status != CKPT_OK ? status
                             : compare(proof, STEP_COPY, proof->work.tensors,
                                       proof->work.tensors_bytes, "byte", 1, reason);
}

static enum ckpt_status prove_values(struct proof *proof, enum kernel_step step, char *reason)
{
    uint64_t value_bytes = step == STEP_BLAKE3 ? DIGEST_CV_BYTES : FINGERPRINT_VALUE_BYTES;
    enum ckpt_status status = gpu_fill(proof->work.gpu, proof->work.values, FILLED,
                                       proof->work.chunks * DIGEST_CV_BYTES, reason);
    for (uint64_t i = 0; i < proof->work.chunks && status == CKPT_OK; i++) {
        const uint8_t *data = proof->shard + i * CKPT_CHUNK_BYTES;
        uint8_t *value = proof->expected + i * value_bytes;
        size_t bytes = digest_chunk_bytes(i, proof->work.bytes);
        status = step == STEP_BLAKE3
                     ? digest_chunk(proof->engine, data, bytes, i, proof->work.bytes, value)
                     : fingerprint_chunk(proof->engine, proof->key, data, bytes, value);
    }
    if (status == CKPT_OK) {
        status = run(proof, step, reason);
    }
    return status != CKPT_OK
               ? status
               : compare(proof, step, proof->work.values, proof->work.chunks * value_bytes, "chunk",
                         value_bytes, reason);
}

/* What a plain loop finds in a tensor's bytes. */
static struct kernels_counts count(const struct kernels_tensor *tensor, const uint8_t *data)
{
    struct kernels_counts counts = {0, 0};
    uint64_t size = tensor->dtype == CKPT_DTYPE_F32 ? sizeof(float) : sizeof(uint16_t);
    for (uint64_t at = 0; at + size <= tensor->bytes; at += size) {
        uint32_t bits = 0; /* BF16 is the upper half of a float */
        float number;
        memcpy((uint8_t *)&bits + sizeof(bits) - size, data + at, size);
        memcpy(&number, &bits, sizeof(number));
        counts.nans += isnan(number) ? 1 : 0;
        counts.infinities += isinf(number) ? 1 : 0;
    }
    return counts;
}

static enum ckpt_status clear_counts(struct proof *proof, char *reason)
{
    return gpu_fill(proof->work.gpu, proof->work.counts, 0,
                    proof->work.count * sizeof(struct kernels_counts), reason);
}

static enum ckpt_status compare_counts(struct proof *proof, enum kernel_step step, char *reason)
{
    struct kernels_counts *counts = (struct kernels_counts *)(void *)proof->expected;
    for (uint64_t i = 0; i < proof->work.count; i++) {
        const struct kernels_tensor *tensor = &proof->work.agreeing.tensors[i];
        counts[i] = count(tensor, proof->shard + tensor->place);
    }
    return compare(proof, step, proof->work.counts, proof->work.count * sizeof(*counts),
                   "the count of tensor", sizeof(*counts), reason);
}

static enum ckpt_status prove_counting(struct proof *proof, char *reason)
{
    enum ckpt_status status = clear_counts(proof, reason);
    if (status == CKPT_OK) {
        status = prove_values(proof, STEP_COUNTING, reason);
    }
    return status == CKPT_OK ? compare_counts(proof, STEP_COUNTING, reason) : status;
}

/* The tensors' memory as it is to be, with what lies between them. */
static void draw_tensors(struct proof *proof, const struct work_table *table)
{
    memset(proof->expected, FILLED, proof->work.tensors_bytes);
    for (uint64_t i = 0; i < proof->work.count; i++) {
        const struct kernels_tensor *tensor = &table->tensors[i];
        memcpy(proof->expected + (tensor->address - proof->work.tensors),
               proof->shard + tensor->place, tensor->bytes);
    }
}

static enum ckpt_status prove_scatter(struct proof *proof, enum kernel_step step, char *reason)
{
    const struct work_table *table =
        step == STEP_SCATTER ? &proof->work.agreeing : &proof->work.odd;
    enum ckpt_status status = write_shard(proof, reason);
    if (status == CKPT_OK) {
        status = fill_tensors(proof, reason);
    }
    if (status == CKPT_OK) {
        status = run(proof, step, reason);
    }
    draw_tensors(proof, table);
    return status != CKPT_OK ? status
                             : compare(proof, step, proof->work.tensors, proof->work.tensors_bytes,
                                       "byte", 1, reason);
}

/* From tensors that the host wrote, into a region that had other bytes. */
static enum ckpt_status prove_gather(struct proof *proof, enum kernel_step step, char *reason)
{
    const struct kernel_work *work = &proof->work;
    const struct work_table *table = step == STEP_GATHER ? &work->agreeing : &work->odd;
    draw_tensors(proof, table);
    enum ckpt_status status =
        gpu_write(work->gpu, work->tensors, proof->expected, work->tensors_bytes, reason);
    if (status == CKPT_OK) {
        status = gpu_fill(work->gpu, work->shard, FILLED, work->bytes, reason);
    }
    if (status == CKPT_OK) {
        status = run(proof, step, reason);
    }
    memset(proof->expected, FILLED, work->bytes);
    for (uint64_t i = 0; i < work->count; i++) {
        uint64_t place = table->tensors[i].place;
        memcpy(proof->expected + place, proof->shard + place, table->tensors[i].bytes);
    }
    return status != CKPT_OK ? status
                             : compare(proof, step, work->shard, work->bytes, "byte", 1, reason);
}

/* Of the tensors that the step before has gathered from. */
static enum ckpt_status prove_finite(struct proof *proof, char *reason)
{
    enum ckpt_status status = clear_counts(proof, reason);
    if (status == CKPT_OK) {
        status = run(proof, STEP_FINITE, reason);
    }
    return status == CKPT_OK ? compare_counts(proof, STEP_FINITE, reason) : status;
}

/* The shard's first bytes as values, and before them others here and there. */
static enum ckpt_status prove_changed(struct proof *proof, char *reason)
{
    const struct kernel_work *work = &proof->work;
    uint64_t bytes = work->compared * KERNELS_CV_BYTES;
    uint64_t bits_bytes = (work->compared + 31) / 32 * sizeof(uint32_t);
    memcpy(proof->got, proof->shard, bytes);
    memset(proof->expected, 0, bits_bytes);
    for (uint64_t i = 0; i < work->compared; i += 1 + i % 7) {
        proof->got[i * KERNELS_CV_BYTES + i % KERNELS_CV_BYTES] ^= (uint8_t)(1U << i % 8);
        ((uint32_t *)(void *)proof->expected)[i / 32] |= UINT32_C(1) << i % 32;
    }
    enum ckpt_status status = gpu_write(work->gpu, work->values, proof->shard, bytes, reason);
    if (status == CKPT_OK) {
        status = gpu_write(work->gpu, work->before, proof->got, bytes, reason);
    }
    if (status == CKPT_OK) {
        status = gpu_fill(work->gpu, work->bits, FILLED, bits_bytes, reason);
    }
    if (status == CKPT_OK) {
        status = run(proof, STEP_CHANGED, reason);
    }
    return status != CKPT_OK ? status
                             : compare(proof, STEP_CHANGED, work->bits, bits_bytes, "bits, word",
                                       sizeof(uint32_t), reason);
}

static enum ckpt_status prove_step(struct proof *proof, enum kernel_step step, char *reason)
{
    switch (step) {
    case STEP_COPY:
        return prove_copy(proof, reason);
    case STEP_BLAKE3:
    case STEP_FINGERPRINT:
        return prove_values(proof, step, reason);
    case STEP_COUNTING:
        return prove_counting(proof, reason);
    case STEP_SCATTER:
    case STEP_SCATTER_ODD:
        return prove_scatter(proof, step, reason);
    case STEP_GATHER:
    case STEP_GATHER_ODD:
        return prove_gather(proof, step, reason);
    case STEP_FINITE:
        return prove_finite(proof, reason);
    case STEP_CHANGED:
    case STEP_COUNT:
    default:
        return prove_changed(proof, reason);
    }
}

static enum ckpt_status prepare(struct proof *proof, struct gpu *gpu, uint64_t bytes, char *reason)
{
    struct kernels_key key;
    prove_key(proof->key, &key);
    enum ckpt_status status = work_make(gpu, bytes, TENSOR_BYTES, &key, &proof->work, reason);
    if (status != CKPT_OK) {
        return status;
    }
    (void)digest_engine_select(NULL, &proof->engine); /* the widest: never fails */
    proof->bytes = proof->work.tensors_bytes + PROVE_BYTES;
    proof->shard = buffer_make(proof->bytes);
    proof->expected = buffer_make(proof->bytes);
    proof->got = buffer_make(proof->bytes);
    if (proof->shard == NULL || proof->expected == NULL || proof->got == NULL) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "no memory for what is compared");
    }
    buffer_fill(proof->shard, proof->bytes, 1); /* one BF16 of 256 is not finite */
    return write_shard(proof, reason);
}

static enum ckpt_status prove_size(struct gpu *gpu, const struct fingerprint_key *key,
                                   uint64_t bytes, char *reason)
{
    struct proof proof = {.key = key};
    enum ckpt_status status = prepare(&proof, gpu, bytes, reason);
    for (int step = 0; step < STEP_COUNT && status == CKPT_OK; step++) {
        status = prove_step(&proof, (enum kernel_step)step, reason);
    }
    buffer_free(&proof.shard, proof.bytes);
    buffer_free(&proof.expected, proof.bytes);
    buffer_free(&proof.got, proof.bytes);
    work_close(&proof.work);
    return status;
}

enum ckpt_status prove_kernels(struct gpu *gpu, const struct fingerprint_key *key, char *reason)
{
    enum ckpt_status status = CKPT_OK;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && status == CKPT_OK; i++) {
        status = prove_size(gpu, key, sizes[i], reason);
    }
    return status;
}
