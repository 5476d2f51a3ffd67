/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors of a loaded shard into a GPU's memory, and proven there. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/reason.h"
#include "client/gpu.h"
#include "client/loaded.h"
#include "digest/fingerprint.h"

#define TRIES 2

/* By place, without those that have no bytes. */
static enum ckpt_status take_targets(struct ckpt *ckpt, const struct ckpt_shard *shard,
                                     const struct ckpt_device_target *targets, size_t count,
                                     struct device_part *parts, size_t *count_out)
{
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        struct ckpt_tensor tensor;
        if (targets[i].name == NULL || ckpt_find(shard, targets[i].name, &tensor) != CKPT_OK) {
            return reason_refuse(ckpt->reason, CKPT_ERR_NOT_FOUND, "the shard has no tensor %s",
                                 targets[i].name == NULL ? "without a name" : targets[i].name);
        }
        if (tensor.bytes != targets[i].bytes) {
            return reason_refuse(ckpt->reason, CKPT_ERR_SIZE,
                                 "tensor %s has %llu bytes, and its target %llu", targets[i].name,
                                 (unsigned long long)tensor.bytes,
                                 (unsigned long long)targets[i].bytes);
        }
        if (!device_has(ckpt->gpu->device, targets[i].address, tensor.bytes)) {
            return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                                 "tensor %s is to lie at %p, where GPU %d has no %llu bytes",
                                 targets[i].name, targets[i].address,
                                 device_ordinal(ckpt->gpu->device),
                                 (unsigned long long)tensor.bytes);
        }
        if (tensor.bytes > 0) {
            parts[taken++] = (struct device_part){
                .place = (uint64_t)((const uint8_t *)tensor.data - (const uint8_t *)shard->data),
                .bytes = tensor.bytes,
                .address = (uint64_t)(uintptr_t)targets[i].address,
                .dtype = (uint32_t)tensor.dtype,
            };
        }
    }
    *count_out = taken;
    return device_parts_sort(parts, taken)
               ? CKPT_OK
               : reason_refuse(ckpt->reason, CKPT_ERR_INVALID, "a tensor has two targets");
}

/* BLAKE3 is what the shard was committed with; a fingerprint's key stays with the daemons, so that
 * one is drawn here. */
static enum ckpt_status choose_key(struct ckpt *ckpt, const struct ckpt_shard *shard,
                                   struct digest_key *key_out)
{
    *key_out = (struct digest_key){.kind = DIGEST_KIND_BLAKE3};
    if (shard->digest_kind != CKPT_DIGEST_FINGERPRINT) {
        return CKPT_OK;
    }
    key_out->kind = DIGEST_KIND_FINGERPRINT;
    if (getrandom(&key_out->secret, sizeof(key_out->secret), 0) != sizeof(key_out->secret)) {
        return reason_refuse(ckpt->reason, CKPT_ERR_SYSTEM, "the kernel has no random numbers");
    }
    return CKPT_OK;
}

/* What the GPU should have: while it copies. */
static enum ckpt_status expect(struct ckpt *ckpt, const struct ckpt_shard *shard,
                               const struct digest_key *key, struct digest *expected_out)
{
    const struct digest_engine *engine;
    struct fingerprint_key made;
    if (key->kind == DIGEST_KIND_BLAKE3) {
        memcpy(expected_out->bytes, shard->digest, sizeof(expected_out->bytes));
        return CKPT_OK;
    }
    if (digest_engine_select(NULL, &engine) != CKPT_OK) {
        return client_poison(ckpt, "no engine digests");
    }
    fingerprint_key_derive(key->secret.bytes, &made);
    fingerprint_bytes(engine, &made, shard->data, shard->bytes, expected_out);
    explicit_bzero(&made, sizeof(made));
    return CKPT_OK;
}

/* Copies once; *equal_out: what is there is what is expected, or cannot be known. */
static enum ckpt_status copy(struct ckpt *ckpt, const struct ckpt_shard *shard,
                             const struct device_job *job, struct digest *expected, bool *known,
                             bool *equal_out)
{
    struct device *device = ckpt->gpu->device;
    struct digest found;
    char reason[CKPT_REASON_MAX + 1];
    struct deadline deadline = client_gpu_deadline(ckpt, shard->bytes);
    enum ckpt_status status = device_begin(device, job, ckpt->reason);
    if (status != CKPT_OK) {
        (void)device_await(device, deadline.at_ns, reason);
        return status;
    }
    if (!*known && device_found(device).has_values) {
        status = expect(ckpt, shard, job->key, expected);
        *known = status == CKPT_OK;
    }
    enum ckpt_status ended = device_await(device, deadline.at_ns, ckpt->reason);
    if (status != CKPT_OK || ended != CKPT_OK) {
        return status != CKPT_OK ? status : ended;
    }
    *equal_out = true;
    if (device_found(device).has_values) {
        status = device_digest(device, &found, ckpt->reason);
        *equal_out = status == CKPT_OK && digest_equal(&found, expected);
    }
    return status;
}

static enum ckpt_status copy_proven(struct ckpt *ckpt, const struct ckpt_shard *shard,
                                    const struct device_job *job)
{
    struct digest expected;
    bool known = false;
    bool equal = false;
    enum ckpt_status status = CKPT_OK;
    for (int i = 0; i < TRIES && status == CKPT_OK && !equal; i++) {
        status = copy(ckpt, shard, job, &expected, &known, &equal);
    }
    if (status == CKPT_OK && !equal) {
        return reason_refuse(ckpt->reason, CKPT_ERR_DIGEST,
                             "the GPU has other bytes than step %llu of rank %u has, also after a "
                             "second copy: the GPU, its PCIe link or this node's memory is bad",
                             (unsigned long long)shard->step, shard->rank);
    }
    return status;
}

static enum ckpt_status load(struct ckpt *ckpt, const struct ckpt_shard *shard,
                             const struct device_part *parts, size_t count, void *stream)
{
    struct loaded *loaded = shard->private_state;
    struct client_gpu *gpu = ckpt->gpu;
    struct digest_key key;
    char reason[CKPT_REASON_MAX + 1];
    enum ckpt_status status = choose_key(ckpt, shard, &key);
    if (status != CKPT_OK) {
        return status;
    }
    const struct device_job job = {
        .to_device = true,
        .host = loaded->loan.view.address,
        .shard_bytes = shard->bytes,
        .parts = parts,
        .count = count,
        .stream = stream,
        .key = &key,
    };
    /* Where memory that is only read is not registered, copies go through the driver's own. */
    bool is_pinned = device_pin(gpu->device, loaded->loan.view.address,
                                loaded->loan.view.mapped_bytes, true, reason) == CKPT_OK;
    status = copy_proven(ckpt, shard, &job);
    if (status == CKPT_OK) {
        client_gpu_report(gpu, "");
        gpu->has_report = true;
    }
    if (is_pinned && device_await(gpu->device, deadline_now_ns(), reason) != CKPT_ERR_TIMEOUT) {
        device_unpin(gpu->device, loaded->loan.view.address);
    }
    explicit_bzero(&key, sizeof(key));
    return status;
}

enum ckpt_status ckpt_load_device(struct ckpt *ckpt, const struct ckpt_shard *shard,
                                  const struct ckpt_device_target *targets, size_t count,
                                  void *stream)
{
    struct client_gpu *gpu;
    size_t taken = 0;
    enum ckpt_status status = client_enter(ckpt);
    if (status != CKPT_OK) {
        return status;
    }
    if (shard == NULL || shard->private_state == NULL || targets == NULL || count == 0) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             "there is no loaded shard, or no targets");
    }
    status = client_gpu_get(ckpt, targets[0].address, &gpu);
    if (status != CKPT_OK) {
        return status;
    }
    struct device_part *parts = malloc(count * sizeof(*parts));
    if (parts == NULL) {
        return reason_refuse(ckpt->reason, CKPT_ERR_MEMORY, "no memory for a table of %zu tensors",
                             count);
    }
    status = take_targets(ckpt, shard, targets, count, parts, &taken);
    if (status == CKPT_OK && taken > 0) {
        status = load(ckpt, shard, parts, taken, stream);
    }
    free(parts);
    return status;
}
