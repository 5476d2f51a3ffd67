/* SPDX-License-Identifier: Apache-2.0 */
/* What a tensor must be, whether it is to be written or was read. Pure; any thread. */
#ifndef CKPT_SHARD_TENSOR_H
#define CKPT_SHARD_TENSOR_H

#include "shard/shard.h"

#define TENSOR_RESERVED_NAME "__metadata__"

/* A name in a message: quoted where it must be, and cut so that a reason has room for the rest. */
struct tensor_label {
    char text[96];
};
struct tensor_label tensor_label(const char *name);
#define TENSOR_LABEL(name) (tensor_label(name).text)

/* What is wrong with a tensor name, as text for a message; NULL when it is good. A name is a
 * label, never a path: any UTF-8 text is one, the empty one and "../a" too, as in safetensors. */
const char *tensor_name_problem(const char *name);

/* The bytes of a tensor's data, from its type and shape; dimensions is within the limit.
 *
 * RETURN VALUE
 * CKPT_OK and *bytes_out, else *problem_out is text to follow the tensor's name in a message.
 *
 * ERRORS
 * - CKPT_ERR_TOO_LARGE - elements or bits do not fit in 64 bits, or bytes pass SHARD_BYTES_MAX
 * - CKPT_ERR_SIZE - elements of 4 or 6 bits do not fill whole bytes */
enum ckpt_status tensor_measure(const struct shard_tensor *tensor, uint64_t *bytes_out,
                                const char **problem_out);

#endif
