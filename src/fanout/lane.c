/* SPDX-License-Identifier: Apache-2.0 */
#include "fanout/lane.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

uint32_t lane_block_bytes(const struct fanout_plan *plan, uint64_t block)
{
    uint64_t left = plan->bytes - block * FANOUT_BLOCK_BYTES;
    return (uint32_t)(left < FANOUT_BLOCK_BYTES ? left : FANOUT_BLOCK_BYTES);
}

void lane_queue(struct lane_out *lane, uint64_t block)
{
    lane->queue[lane->count++] = (uint32_t)block;
}

static enum ckpt_status lost_or_later(ssize_t count)
{
    return count < 0 && (errno == EAGAIN || errno == EINTR) ? CKPT_ERR_BUSY : CKPT_ERR_LINK;
}

static enum ckpt_status send_hello(struct lane_out *lane, const struct lane_hello *hello)
{
    const uint8_t *bytes = (const uint8_t *)hello;
    while (lane->hello_sent < sizeof(*hello)) {
        ssize_t count = send(lane->fd, bytes + lane->hello_sent, sizeof(*hello) - lane->hello_sent,
                             MSG_NOSIGNAL);
        if (count <= 0) {
            return lost_or_later(count);
        }
        lane->hello_sent += (size_t)count;
    }
    return CKPT_OK;
}

enum ckpt_status lane_send(struct lane_out *lane, const struct lane_hello *hello,
                           const struct fanout_plan *plan, const uint8_t *data, uint32_t fetch,
                           size_t bytes_max, size_t *sent_out, uint64_t *done_out)
{
    *sent_out = 0;
    enum ckpt_status status = send_hello(lane, hello);
    if (status != CKPT_OK || lane->first == lane->count) {
        return status != CKPT_OK ? status : CKPT_ERR_BUSY;
    }
    uint64_t block = lane->queue[lane->first];
    size_t block_bytes = lane_block_bytes(plan, block);
    lane->frame = (struct lane_frame){block, (uint32_t)block_bytes, fetch};
    size_t head = lane->sent < sizeof(lane->frame) ? sizeof(lane->frame) - lane->sent : 0;
    size_t behind = head > 0 ? 0 : lane->sent - sizeof(lane->frame);
    size_t body = block_bytes - behind;
    struct iovec parts[] = {
        {(uint8_t *)&lane->frame + sizeof(lane->frame) - head, head},
        {(void *)(uintptr_t)(data + block * FANOUT_BLOCK_BYTES + behind),
         body < bytes_max ? body : bytes_max},
    };
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t count = sendmsg(lane->fd, &message, MSG_NOSIGNAL);
    if (count <= 0) {
        return lost_or_later(count);
    }
    *sent_out = (size_t)count;
    lane->sent += (size_t)count;
    if (lane->sent < sizeof(lane->frame) + block_bytes) {
        return CKPT_ERR_BUSY;
    }
    lane->sent = 0;
    lane->first++;
    *done_out = block;
    return CKPT_OK;
}

static bool is_of(const struct lane_frame *frame, const struct fanout_plan *plan, uint32_t fetch)
{
    uint64_t blocks = (plan->bytes + FANOUT_BLOCK_BYTES - 1) / FANOUT_BLOCK_BYTES;
    return frame->fetch == fetch && frame->block < blocks &&
           frame->bytes == lane_block_bytes(plan, frame->block);
}

enum ckpt_status lane_receive(struct lane_in *lane, const struct fanout_plan *plan, uint8_t *data,
                              uint32_t fetch, uint64_t *done_out)
{
    while (lane->got < sizeof(lane->frame)) {
        ssize_t count =
            recv(lane->fd, (uint8_t *)&lane->frame + lane->got, sizeof(lane->frame) - lane->got, 0);
        if (count <= 0) {
            return lost_or_later(count);
        }
        lane->got += (size_t)count;
        if (lane->got == sizeof(lane->frame) && !is_of(&lane->frame, plan, fetch)) {
            return CKPT_ERR_PROTOCOL;
        }
    }
    size_t behind = lane->got - sizeof(lane->frame);
    ssize_t count = recv(lane->fd, data + lane->frame.block * FANOUT_BLOCK_BYTES + behind,
                         lane->frame.bytes - behind, 0);
    if (count <= 0) {
        return lost_or_later(count);
    }
    lane->got += (size_t)count;
    if (lane->got < sizeof(lane->frame) + lane->frame.bytes) {
        return CKPT_ERR_BUSY;
    }
    lane->got = 0;
    *done_out = lane->frame.block;
    return CKPT_OK;
}
