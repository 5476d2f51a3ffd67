/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors of a begun save in a GPU's memory: copied by the GPU, and proven from there on. */
#include <stdlib.h>

#include "base/reason.h"
#include "client/gpu.h"
#include "client/save.h"

static enum ckpt_status check(struct ckpt *ckpt, const struct ckpt_device_source *tensors,
                              size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t tensor = tensors[i].tensor;
        if (tensor >= ckpt->begun_tensors) {
            return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                                 "tensor %zu of %zu that were begun", tensor, ckpt->begun_tensors);
        }
        if (!device_has(ckpt->gpu->device, tensors[i].address, ckpt->tensors[tensor].bytes)) {
            return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                                 "tensor %zu is said to lie at %p, where GPU %d has no %llu bytes",
                                 tensor, tensors[i].address, device_ordinal(ckpt->gpu->device),
                                 (unsigned long long)ckpt->tensors[tensor].bytes);
        }
    }
    return CKPT_OK;
}

/* In the order of their places; those without bytes are left out. */
static enum ckpt_status take_parts(struct ckpt *ckpt, const struct ckpt_device_source *tensors,
                                   size_t count, struct device_part *parts, size_t *count_out)
{
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        const struct shard_tensor *tensor = &ckpt->tensors[tensors[i].tensor];
        if (tensor->bytes > 0) {
            parts[taken++] = (struct device_part){
                .place = tensor->offset,
                .bytes = tensor->bytes,
                .address = (uint64_t)(uintptr_t)tensors[i].address,
                .dtype = (uint32_t)tensor->dtype,
            };
        }
    }
    *count_out = taken;
    return device_parts_sort(parts, taken)
               ? CKPT_OK
               : reason_refuse(ckpt->reason, CKPT_ERR_INVALID, "a tensor is there twice");
}

static enum ckpt_status check_pinned(struct ckpt *ckpt)
{
    uint8_t *begin = ckpt->begun.address;
    for (size_t i = 0; i < MAPPINGS_KEPT; i++) {
        uint8_t *address = ckpt->gpu->pinned[i].address;
        if (address != NULL && address <= begin &&
            begin + ckpt->begun_bytes <= address + ckpt->gpu->pinned[i].bytes) {
            return CKPT_OK;
        }
    }
    return reason_refuse(ckpt->reason, CKPT_ERR_UNSUPPORTED, "%s", ckpt->gpu->pin_reason);
}

/* Why the save's bytes cannot be proven from the GPU on; "": they can. */
static const char *unproven(const struct ckpt *ckpt, size_t parts)
{
    if (ckpt->begun.device_key.kind != DIGEST_KIND_FINGERPRINT) {
        return "the agent is of a release that does not prove a GPU's bytes";
    }
    return parts == ckpt->begun_missing ? ""
                                        : "other tensors of the save are copied by other means";
}

static enum ckpt_status start(struct ckpt *ckpt, const struct device_part *parts, size_t count,
                              void *stream)
{
    const struct digest_key none = {.kind = DIGEST_KIND_UNKNOWN};
    struct client_gpu *gpu = ckpt->gpu;
    gpu->why = unproven(ckpt, count);
    const struct device_job job = {
        .host = ckpt->begun.address,
        .shard_bytes = ckpt->begun_bytes,
        .parts = parts,
        .count = count,
        .stream = stream,
        .key = gpu->why[0] != '\0' ? &none : &ckpt->begun.device_key,
    };
    enum ckpt_status status = device_begin(gpu->device, &job, ckpt->reason);
    gpu->is_begun = true;
    if (status != CKPT_OK && client_gpu_cancel(ckpt)) {
        return status; /* the caller may copy by other means */
    }
    ckpt->has_begun = status == CKPT_OK;
    return status;
}

enum ckpt_status ckpt_save_device(struct ckpt *ckpt, uint64_t step,
                                  const struct ckpt_device_source *tensors, size_t count,
                                  void *stream)
{
    struct client_gpu *gpu;
    size_t taken = 0;
    enum ckpt_status status = client_begun_enter(ckpt, step);
    if (status == CKPT_OK) {
        status = client_begun_check(ckpt);
    }
    if (status != CKPT_OK) {
        return status;
    }
    if (tensors == NULL || count == 0 || count > ckpt->begun_tensors) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID, "%zu tensors of %zu that were begun",
                             tensors == NULL ? 0 : count, ckpt->begun_tensors);
    }
    if (ckpt->gpu != NULL && ckpt->gpu->is_begun) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             "ckpt_save_device was called for step %llu already",
                             (unsigned long long)step);
    }
    status = client_gpu_get(ckpt, tensors[0].address, &gpu);
    if (status == CKPT_OK) {
        status = check(ckpt, tensors, count);
    }
    if (status == CKPT_OK) {
        status = check_pinned(ckpt);
    }
    if (status != CKPT_OK) {
        return status;
    }
    struct device_part *parts = malloc(count * sizeof(*parts));
    if (parts == NULL) {
        return reason_refuse(ckpt->reason, CKPT_ERR_MEMORY, "no memory for a table of %zu tensors",
                             count);
    }
    status = take_parts(ckpt, tensors, count, parts, &taken);
    if (status == CKPT_OK && taken > 0) {
        status = start(ckpt, parts, taken, stream);
    }
    free(parts);
    return status;
}
