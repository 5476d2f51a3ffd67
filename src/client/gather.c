/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors of a begun save in device memory: the agent reads them, by the descriptor of their
 * dma-buf. */
#include "client/context.h"
#include "base/reason.h"
#include "client/rank.h"
#include "client/save.h"

/* Of one ask, so that each is answered within the time-out: a slow device reads 1 GB/s. */
#define GATHER_BYTES_MAX CKPT_GIB

struct batch {
    struct message_range ranges[CKPT_RANGES_MAX];
    uint32_t count;
    uint64_t bytes;
};

static bool is_gathered(const struct message *message, const void *asked)
{
    const struct message_gather *ask = asked;
    const struct message_gathered *gathered = &message->gathered;
    return message->type == MESSAGE_GATHERED && gathered->slot == ask->slot &&
           gathered->generation == ask->generation && gathered->number == ask->number;
}

static enum ckpt_status ask(struct ckpt *ckpt, const struct batch *batch, int dmabuf_fd)
{
    struct deadline deadline = deadline_after_ms(ckpt->timeout_ms);
    struct message answer;
    struct message message = {.type = MESSAGE_GATHER};
    struct message_gather *gather = &message.gather;
    gather->step = ckpt->begun_step;
    gather->slot = ckpt->begun.slot;
    gather->generation = ckpt->begun.generation;
    gather->number = ++ckpt->begun_gathers;
    gather->range_count = batch->count;
    gather->ranges = batch->ranges;
    const struct message_gather asked = *gather;
    enum ckpt_status status = client_send_with(ckpt, &message, dmabuf_fd, deadline);
    if (status == CKPT_OK) {
        status = client_await(ckpt, is_gathered, &asked, deadline, &answer);
    }
    if (status != CKPT_OK) {
        client_begun_give_up(ckpt); /* the agent may write into the slot still */
        return status;
    }
    if (answer.gathered.status != CKPT_OK) {
        return client_refused(ckpt, "the agent could not read the device's memory",
                              answer.gathered.status, answer.gathered.reason);
    }
    return CKPT_OK;
}

static enum ckpt_status check(struct ckpt *ckpt, int dmabuf_fd,
                              const struct ckpt_device_tensor *tensors, size_t count)
{
    if (dmabuf_fd < 0 || (tensors == NULL && count > 0)) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             "there is no dma-buf %d, or no tensors at NULL", dmabuf_fd);
    }
    for (size_t i = 0; i < count; i++) {
        size_t tensor = tensors[i].tensor;
        if (tensor >= ckpt->begun_tensors) {
            return reason_refuse(ckpt->reason, CKPT_ERR_SIZE, "tensor %zu of %zu that were begun",
                                 tensor, ckpt->begun_tensors);
        }
        if (tensors[i].offset > INT64_MAX - ckpt->tensors[tensor].bytes) {
            return reason_refuse(ckpt->reason, CKPT_ERR_SIZE,
                                 "tensor %zu lies at %llu of a dma-buf", tensor,
                                 (unsigned long long)tensors[i].offset);
        }
    }
    return CKPT_OK;
}

/* Adds what fits of a tensor from *done on. */
static void add(struct batch *batch, const struct shard_tensor *tensor, uint64_t from,
                uint64_t *done)
{
    uint64_t bytes = tensor->bytes - *done;
    uint64_t room = GATHER_BYTES_MAX - batch->bytes;
    bytes = bytes < room ? bytes : room;
    if (bytes > 0) {
        batch->ranges[batch->count++] =
            (struct message_range){from + *done, tensor->offset + *done, bytes};
        batch->bytes += bytes;
        *done += bytes;
    }
}

enum ckpt_status ckpt_save_gather(struct ckpt *ckpt, uint64_t step, int dmabuf_fd,
                                  const struct ckpt_device_tensor *tensors, size_t count)
{
    enum ckpt_status status = client_begun_enter(ckpt, step);
    if (status == CKPT_OK) {
        status = client_begun_check(ckpt);
    }
    if (status == CKPT_OK) {
        status = check(ckpt, dmabuf_fd, tensors, count);
    }
    struct batch batch = {.count = 0};
    for (size_t i = 0; i < count && status == CKPT_OK; i++) {
        const struct shard_tensor *tensor = &ckpt->tensors[tensors[i].tensor];
        uint64_t done = 0;
        while (done < tensor->bytes && status == CKPT_OK) {
            add(&batch, tensor, tensors[i].offset, &done);
            if (batch.count == CKPT_RANGES_MAX || batch.bytes == GATHER_BYTES_MAX) {
                status = ask(ckpt, &batch, dmabuf_fd);
                batch.count = 0;
                batch.bytes = 0;
            }
        }
    }
    return status == CKPT_OK && batch.count > 0 ? ask(ckpt, &batch, dmabuf_fd) : status;
}
