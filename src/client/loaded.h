/* SPDX-License-Identifier: Apache-2.0 */
/* What a struct ckpt_shard points to: one shard that is mapped. */
#ifndef CKPT_CLIENT_LOADED_H
#define CKPT_CLIENT_LOADED_H

#include "client/loan.h"
#include "shard/shard.h"

struct loaded {
    struct loaded *next;
    struct client_loan loan;
    struct shard_index *index;
};

#endif
