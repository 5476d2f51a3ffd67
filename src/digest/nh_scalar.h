/* SPDX-License-Identifier: Apache-2.0 */
/* What no engine does by vectors: the last message of a shard. */
#ifndef CKPT_DIGEST_NH_SCALAR_H
#define CKPT_DIGEST_NH_SCALAR_H

#include "digest/nh.h"

/* The hash of a message of 1 to 1024 bytes, with zeros up to a whole unit. */
void nh_short_message(const uint32_t *words, const uint8_t *data, size_t bytes,
                      uint8_t hash_out[NH_HASH_BYTES]);

#endif
