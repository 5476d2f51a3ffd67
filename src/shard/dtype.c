/* SPDX-License-Identifier: Apache-2.0 */
#include <ckpt/dtype.h>

#include <stddef.h>
#include <string.h>

const char *ckpt_dtype_name(enum ckpt_dtype dtype)
{
    switch (dtype) {
#define DTYPE_NAME(name, number, text, bits)                                                       \
    case name:                                                                                     \
        return text;
        CKPT_DTYPE_TABLE(DTYPE_NAME)
#undef DTYPE_NAME
    }
    return NULL;
}

unsigned ckpt_dtype_bits(enum ckpt_dtype dtype)
{
    switch (dtype) {
#define DTYPE_BITS(name, number, text, bits)                                                       \
    case name:                                                                                     \
        return bits;
        CKPT_DTYPE_TABLE(DTYPE_BITS)
#undef DTYPE_BITS
    }
    return 0;
}

enum ckpt_status ckpt_dtype_from_name(const char *name, enum ckpt_dtype *dtype_out)
{
#define DTYPE_MATCH(value, number, text, bits)                                                     \
    if (strcmp(name, text) == 0) {                                                                 \
        *dtype_out = value;                                                                        \
        return CKPT_OK;                                                                            \
    }
    CKPT_DTYPE_TABLE(DTYPE_MATCH)
#undef DTYPE_MATCH
    return CKPT_ERR_DTYPE;
}
