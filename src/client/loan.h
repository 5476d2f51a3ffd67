/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: memory of a shard that the agent lends. Asked for until there is a verdict,
 * checked, mapped read-only, given back. */
#ifndef CKPT_CLIENT_LOAN_H
#define CKPT_CLIENT_LOAN_H

#include <stdbool.h>
#include <stdint.h>

#include "arena/view.h"
#include "client/context.h"
#include "client/deadline.h"
#include "wire/message.h"

struct client_loan {
    uint64_t step;
    uint32_t attempt;
    uint32_t rank;
    uint32_t world;
    uint64_t shard_bytes;
    struct digest digest;
    uint32_t digest_kind;   /* enum ckpt_digest_kind, never unknown */
    bool is_whole;          /* the agent has proven all of the shard, and lends all of it; false:
                             * nothing but the range that was asked for may be looked at */
    uint64_t offset;        /* in the shard, of the view's first byte */
    struct arena_view view; /* has the range that was asked for, and room around it */
    uint32_t slot;
    uint64_t generation;
    uint32_t link; /* the connection that it was lent over */
};

/* Asks for what is described: a shard, or a part of one. The loan is to be given back.
 *
 * ERRORS
 * Those of ckpt_load(), but CKPT_ERR_CORRUPT: of the bytes nothing is looked at. CKPT_ERR_SIZE: the
 * range is not within the shard. */
enum ckpt_status client_loan_take(struct ckpt *ckpt, const struct message_load_ask *asked,
                                  struct deadline deadline, struct client_loan *loan_out);

/* Unmaps it, and tells the agent where that knows of it still. Keeps the reason. */
void client_loan_return(struct ckpt *ckpt, struct client_loan *loan);

#endif
