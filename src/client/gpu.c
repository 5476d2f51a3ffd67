/* SPDX-License-Identifier: Apache-2.0 */
#include "client/gpu.h"

#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "client/rank.h"

#define MS_PER_GIB 1000 /* of a link a fiftieth as fast as any that GPUs have */

static void pin(void *context, const struct ckpt_mapping *mapping, bool mapped)
{
    struct client_gpu *gpu = context;
    for (size_t i = 0; i < MAPPINGS_KEPT; i++) {
        if (!mapped && gpu->pinned[i].address == mapping->address) {
            device_unpin(gpu->device, mapping->address);
            gpu->pinned[i].address = NULL;
            return;
        }
        if (mapped && gpu->pinned[i].address == NULL) {
            if (device_pin(gpu->device, mapping->address, mapping->bytes, false, gpu->pin_reason) ==
                CKPT_OK) {
                gpu->pinned[i].address = mapping->address;
                gpu->pinned[i].bytes = mapping->bytes;
            }
            return;
        }
    }
}

static void close_gpu(struct ckpt *ckpt)
{
    struct client_gpu *gpu = ckpt->gpu;
    mappings_pin(&ckpt->mappings, NULL, NULL);
    for (size_t i = 0; i < MAPPINGS_KEPT; i++) {
        if (gpu->pinned[i].address != NULL) {
            device_unpin(gpu->device, gpu->pinned[i].address);
            gpu->pinned[i].address = NULL;
        }
    }
    device_close(&gpu->device);
}

static enum ckpt_status is_idle(struct ckpt *ckpt)
{
    if (ckpt->gpu->is_begun) {
        return reason_refuse(ckpt->reason, CKPT_ERR_BUSY,
                             "the GPU's copies of step %llu, which was begun, are under way",
                             (unsigned long long)ckpt->begun_step);
    }
    return client_gpu_settle(ckpt) ? CKPT_OK : CKPT_ERR_BUSY;
}

enum ckpt_status client_gpu_get(struct ckpt *ckpt, const void *address, struct client_gpu **gpu_out)
{
    int ordinal = -1;
    if (ckpt->gpu == NULL) {
        ckpt->gpu = calloc(1, sizeof(*ckpt->gpu));
        if (ckpt->gpu == NULL) {
            return reason_refuse(ckpt->reason, CKPT_ERR_MEMORY, "no memory for a GPU's state");
        }
    }
    struct client_gpu *gpu = ckpt->gpu;
    enum ckpt_status status = is_idle(ckpt);
    if (status == CKPT_OK) {
        status = device_of(address, &ordinal, ckpt->reason);
    }
    if (status == CKPT_OK && gpu->device != NULL && device_ordinal(gpu->device) != ordinal) {
        close_gpu(ckpt);
    }
    if (status == CKPT_OK && gpu->device == NULL) {
        status = device_open(ordinal, &gpu->device, ckpt->reason);
        if (status == CKPT_OK) {
            mappings_pin(&ckpt->mappings, pin, gpu);
        }
    }
    *gpu_out = gpu;
    return status;
}

struct deadline client_gpu_deadline(const struct ckpt *ckpt, uint64_t bytes)
{
    struct deadline deadline = deadline_after_ms(ckpt->timeout_ms);
    deadline.at_ns += (int64_t)(bytes / CKPT_GIB + 1) * MS_PER_GIB * 1000000;
    return deadline;
}

void client_gpu_report(struct client_gpu *gpu, const char *why)
{
    struct device_found found = device_found(gpu->device);
    gpu->report = (struct ckpt_device_report){
        .size = sizeof(gpu->report),
        .is_proven = found.has_values,
        .bytes = found.straight_bytes + found.packed_bytes,
        .packed = found.packed_bytes,
        .nans = found.nans,
        .infinities = found.infinities,
    };
    if (!found.has_values) {
        _Static_assert(sizeof(gpu->report.reason) == CKPT_REASON_MAX + 1, "a reason fits");
        reason_set(gpu->report.reason, "%s", why[0] != '\0' ? why : device_word(gpu->device));
    }
}

enum ckpt_status ckpt_device_report(struct ckpt *ckpt, struct ckpt_device_report *report_out)
{
    enum ckpt_status status = client_enter(ckpt);
    if (status != CKPT_OK) {
        return status;
    }
    if (report_out == NULL || report_out->size != sizeof(*report_out)) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             "a report's size is sizeof(struct ckpt_device_report)");
    }
    if (ckpt->gpu == NULL || !ckpt->gpu->has_report) {
        return reason_refuse(ckpt->reason, CKPT_ERR_NOT_FOUND,
                             "nothing was copied from or to a GPU yet");
    }
    *report_out = ckpt->gpu->report;
    return CKPT_OK;
}

static void become_stuck(struct ckpt *ckpt)
{
    struct client_gpu *gpu = ckpt->gpu;
    gpu->is_begun = false;
    gpu->is_stuck = true;
    gpu->stuck_step = ckpt->begun_step;
    gpu->stuck_link = ckpt->begun_link;
    gpu->stuck = ckpt->begun;
}

enum ckpt_status client_gpu_end(struct ckpt *ckpt)
{
    struct client_gpu *gpu = ckpt->gpu;
    if (gpu == NULL || !gpu->is_begun) {
        return CKPT_OK;
    }
    enum ckpt_status status =
        device_await(gpu->device, client_gpu_deadline(ckpt, ckpt->begun_bytes).at_ns, ckpt->reason);
    if (status == CKPT_ERR_TIMEOUT) {
        ckpt->has_begun = false;
        become_stuck(ckpt);
        return status;
    }
    gpu->is_begun = false;
    if (status == CKPT_OK && device_found(gpu->device).has_values) {
        status = device_digest(gpu->device, &gpu->digest, ckpt->reason);
    }
    if (status != CKPT_OK) {
        return status;
    }
    client_gpu_report(gpu, gpu->why);
    gpu->rides = true;
    gpu->has_report = true;
    return CKPT_OK;
}

bool client_gpu_cancel(struct ckpt *ckpt)
{
    char reason[CKPT_REASON_MAX + 1];
    struct client_gpu *gpu = ckpt->gpu;
    if (gpu == NULL || !gpu->is_begun) {
        return true;
    }
    gpu->is_begun = false;
    if (device_await(gpu->device, deadline_after_ms(ckpt->timeout_ms).at_ns, reason) !=
        CKPT_ERR_TIMEOUT) {
        return true;
    }
    become_stuck(ckpt);
    return false;
}

bool client_gpu_settle(struct ckpt *ckpt)
{
    char reason[CKPT_REASON_MAX + 1];
    struct client_gpu *gpu = ckpt->gpu;
    if (gpu == NULL || !gpu->is_stuck) {
        return true;
    }
    if (device_await(gpu->device, deadline_now_ns(), reason) == CKPT_ERR_TIMEOUT) {
        (void)reason_refuse(ckpt->reason, CKPT_ERR_BUSY,
                            "the GPU's copies of step %llu, which was given up, have not ended: it "
                            "may be hung",
                            (unsigned long long)gpu->stuck_step);
        return false;
    }
    gpu->is_stuck = false;
    if (gpu->stuck_link == ckpt->link.number && ckpt->state == RANK_OPEN) {
        client_abandon(ckpt, gpu->stuck_step, gpu->stuck.slot, gpu->stuck.generation);
    }
    return true;
}

void client_gpu_ride(struct ckpt *ckpt, struct message_seal *seal)
{
    struct client_gpu *gpu = ckpt->gpu;
    if (gpu == NULL || !gpu->rides) {
        return;
    }
    gpu->rides = false;
    seal->device_said = gpu->report.is_proven;
    if (seal->device_said) {
        seal->device_digest = gpu->digest;
    }
    seal->nans = gpu->report.nans;
    seal->infinities = gpu->report.infinities;
    memcpy(seal->device_reason, gpu->report.reason, sizeof(seal->device_reason));
}

/* Of a GPU that is hung nothing can be given back: it all stays as it is until the process ends. */
void client_gpu_close(struct ckpt *ckpt)
{
    char reason[CKPT_REASON_MAX + 1];
    struct client_gpu *gpu = ckpt->gpu;
    if (gpu == NULL) {
        return;
    }
    ckpt->gpu = NULL;
    if (client_is_own_process(ckpt) && gpu->device != NULL) {
        if (device_await(gpu->device, deadline_after_ms(ckpt->timeout_ms).at_ns, reason) ==
            CKPT_ERR_TIMEOUT) {
            mappings_forget(&ckpt->mappings);
            return;
        }
        ckpt->gpu = gpu;
        close_gpu(ckpt);
        ckpt->gpu = NULL;
    }
    free(gpu);
}
