/* SPDX-License-Identifier: Apache-2.0 */
/* Element types of tensors: those of the safetensors format, all of them. */
#ifndef CKPT_DTYPE_H
#define CKPT_DTYPE_H

#include <ckpt/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, number, text in a safetensors header, bits of one element). The numbers are part of the
 * ABI: they are never reused. 0 is no type, so that a zeroed tensor is refused. */
#define CKPT_DTYPE_TABLE(X)                                                                        \
    X(CKPT_DTYPE_BOOL, 1, "BOOL", 8)                                                               \
    X(CKPT_DTYPE_U8, 2, "U8", 8)                                                                   \
    X(CKPT_DTYPE_I8, 3, "I8", 8)                                                                   \
    X(CKPT_DTYPE_U16, 4, "U16", 16)                                                                \
    X(CKPT_DTYPE_I16, 5, "I16", 16)                                                                \
    X(CKPT_DTYPE_U32, 6, "U32", 32)                                                                \
    X(CKPT_DTYPE_I32, 7, "I32", 32)                                                                \
    X(CKPT_DTYPE_U64, 8, "U64", 64)                                                                \
    X(CKPT_DTYPE_I64, 9, "I64", 64)                                                                \
    X(CKPT_DTYPE_F16, 10, "F16", 16)                                                               \
    X(CKPT_DTYPE_BF16, 11, "BF16", 16)                                                             \
    X(CKPT_DTYPE_F32, 12, "F32", 32)                                                               \
    X(CKPT_DTYPE_F64, 13, "F64", 64)                                                               \
    X(CKPT_DTYPE_C64, 14, "C64", 64)                                                               \
    X(CKPT_DTYPE_F8_E4M3, 15, "F8_E4M3", 8)                                                        \
    X(CKPT_DTYPE_F8_E5M2, 16, "F8_E5M2", 8)                                                        \
    X(CKPT_DTYPE_F8_E8M0, 17, "F8_E8M0", 8)                                                        \
    X(CKPT_DTYPE_F8_E4M3FNUZ, 18, "F8_E4M3FNUZ", 8)                                                \
    X(CKPT_DTYPE_F8_E5M2FNUZ, 19, "F8_E5M2FNUZ", 8)                                                \
    X(CKPT_DTYPE_F6_E2M3, 20, "F6_E2M3", 6)                                                        \
    X(CKPT_DTYPE_F6_E3M2, 21, "F6_E3M2", 6)                                                        \
    X(CKPT_DTYPE_F4, 22, "F4", 4)

enum ckpt_dtype {
#define CKPT_DTYPE_ENUM(name, number, text, bits) name = number,
    CKPT_DTYPE_TABLE(CKPT_DTYPE_ENUM)
#undef CKPT_DTYPE_ENUM
};

/* The name of the type as a safetensors header has it, "BF16"; NULL for a number that is no type.
 * The string lives for ever. Any thread, never blocks. */
CKPT_API const char *ckpt_dtype_name(enum ckpt_dtype dtype);

/* How many bits one element has: 4 to 64; 0 for a number that is no type. Elements of 4 and 6 bits
 * are packed, and a tensor of them fills whole bytes. Any thread, never blocks. */
CKPT_API unsigned ckpt_dtype_bits(enum ckpt_dtype dtype);

/* Finds the type of a name as ckpt_dtype_name gives it (upper case).
 *
 * RETURN VALUE
 * CKPT_OK and *dtype_out, or CKPT_ERR_DTYPE with *dtype_out as it was. Any thread, never blocks. */
CKPT_API enum ckpt_status ckpt_dtype_from_name(const char *name, enum ckpt_dtype *dtype_out);

#ifdef __cplusplus
}
#endif

#endif
