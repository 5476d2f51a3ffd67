/* SPDX-License-Identifier: Apache-2.0 */
#include "shard/tensor.h"

#include <stdbool.h>
#include <string.h>

#include "base/log.h"
#include "shard/utf8.h"

struct shard_tensor shard_tensor_opaque(const char *name, uint64_t bytes)
{
    return (struct shard_tensor){
        .name = name, .dtype = CKPT_DTYPE_U8, .dimensions = 1, .shape = {bytes}, .bytes = bytes};
}

struct tensor_label tensor_label(const char *name)
{
    struct tensor_label label;
    log_quote(name, label.text, sizeof(label.text));
    return label;
}

const char *tensor_name_problem(const char *name)
{
    if (strcmp(name, TENSOR_RESERVED_NAME) == 0) {
        return "is reserved by the safetensors format";
    }
    if (strnlen(name, CKPT_TENSOR_NAME_MAX + 1) > CKPT_TENSOR_NAME_MAX) {
        return "is longer than 4095 bytes";
    }
    return utf8_is_valid(name) ? NULL : "is not UTF-8 text";
}

_Static_assert(CKPT_TENSOR_NAME_MAX == 4095, "the text of tensor_name_problem says so");

enum ckpt_status tensor_measure(const struct shard_tensor *tensor, uint64_t *bytes_out,
                                const char **problem_out)
{
    /* A dimension of 0 makes the others harmless, but the official reader multiplies from left to
     * right and refuses an overflow before the 0: what it would not open is not written. */
    uint64_t elements = 1;
    uint64_t bits;
    bool overflow = false;
    for (uint32_t i = 0; i < tensor->dimensions; i++) {
        overflow |= __builtin_mul_overflow(elements, tensor->shape[i], &elements);
    }
    overflow |= __builtin_mul_overflow(elements, (uint64_t)ckpt_dtype_bits(tensor->dtype), &bits);
    if (overflow || bits / 8 > SHARD_BYTES_MAX) {
        *problem_out = "has more elements than a shard can hold";
        return CKPT_ERR_TOO_LARGE;
    }
    if (bits % 8 != 0) {
        *problem_out = "has packed elements that do not fill whole bytes";
        return CKPT_ERR_SIZE;
    }
    *bytes_out = bits / 8;
    return CKPT_OK;
}
