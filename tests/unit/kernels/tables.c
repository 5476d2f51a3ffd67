/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/kernels/tables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <ckpt/dtype.h>

#include "base/bytes.h"
#include "unit/kernels/device_memory.h"

#define TENSORS_MAX 400
#define BEFORE_BYTES 100

static uint32_t draw(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

static const uint32_t dtypes[] = {
    CKPT_DTYPE_F16, CKPT_DTYPE_BF16,    CKPT_DTYPE_F32,     CKPT_DTYPE_F64,
    CKPT_DTYPE_C64, CKPT_DTYPE_F8_E4M3, CKPT_DTYPE_F8_E5M2, CKPT_DTYPE_I32,
};

void table_make(struct table *table, uint64_t place, uint64_t bytes, uint32_t seed, bool odd)
{
    uint64_t at = place - BEFORE_BYTES, used = 0;
    uint64_t longest = bytes / 64 + 40;

    *table = (struct table){.memory_bytes = bytes + TENSORS_MAX * UINT64_C(32) + 4 * longest};
    table->tensors =
        (struct kernels_tensor *)device_memory_take(TENSORS_MAX * sizeof(*table->tensors));
    table->counts =
        (struct kernels_counts *)device_memory_take(TENSORS_MAX * sizeof(*table->counts));
    memset(table->counts, 0, TENSORS_MAX * sizeof(*table->counts));
    table->memory = device_memory_take(table->memory_bytes);
    device_memory_fill(table->memory, table->memory_bytes, seed);
    while (at < place + bytes && table->count < TENSORS_MAX) {
        struct kernels_tensor *tensor = &table->tensors[table->count++];
        unsigned unit = odd ? 1 : 16;
        uint64_t size = draw(&seed, 4) == 0 ? draw(&seed, 40) : draw(&seed, 2 * (uint32_t)longest);

        if (at < place) {
            size += BEFORE_BYTES + 30;
        }
        if (!odd) {
            at = (at + 7) / 8 * 8;
            size = (size + 7) / 8 * 8;
        }
        used += draw(&seed, 3) == 0 ? draw(&seed, 16) : (0 - used + at) % 16; /* or as its place */
        used = draw(&seed, 2) == 0 ? (used + 15) / 16 * 16 : used;
        *tensor = (struct kernels_tensor){
            .address = (uint64_t)(uintptr_t)(table->memory + used),
            .place = at,
            .bytes = size,
            .dtype = dtypes[draw(&seed, sizeof(dtypes) / sizeof(dtypes[0]))],
        };
        table_poison(table->memory + used, size, tensor->dtype, seed);
        used += size;
        at += size + (draw(&seed, 4) == 0 ? unit * draw(&seed, 5) : 0);
    }
    assert(used <= table->memory_bytes && at >= place + bytes);
}

void table_free(struct table *table)
{
    device_memory_give((uint8_t *)table->tensors);
    device_memory_give((uint8_t *)table->counts);
    device_memory_give(table->memory);
}

static unsigned bytes_of(uint32_t dtype)
{
    return dtype == CKPT_DTYPE_C64 ? 4 : ckpt_dtype_bits((enum ckpt_dtype)dtype) / 8;
}

void table_poison(uint8_t *data, uint64_t bytes, uint32_t dtype, uint32_t seed)
{
    /* Infinity, a quiet and a signalling NaN, the largest finite number; of 16 bits and of 64. */
    static const uint64_t f16[] = {0x7c00, 0xfe00, 0x7c01, 0x7bff};
    static const uint64_t f64[] = {0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001,
                                   0x7fefffffffffffff};
    unsigned size = bytes_of(dtype);

    for (uint64_t at = 0; at + size <= bytes; at += size * (1 + draw(&seed, 97))) {
        uint64_t from = f64[draw(&seed, 4)] | (uint64_t)draw(&seed, 2) << 63;

        switch (dtype) {
        case CKPT_DTYPE_F64:
            store_le64(data + at, from);
            break;
        case CKPT_DTYPE_F32:
        case CKPT_DTYPE_C64: {
            double wide;
            float narrow;

            memcpy(&wide, &from, sizeof(wide));
            narrow = (float)wide;
            memcpy(data + at, &narrow, sizeof(narrow));
            break;
        }
        case CKPT_DTYPE_F16:
            store_le16(data + at, (uint16_t)f16[draw(&seed, 4)]);
            break;
        case CKPT_DTYPE_BF16:
            store_le16(data + at, (uint16_t)(0x7f7f + draw(&seed, 3)));
            break;
        default: /* of 8 bits there are enough among any bytes */
            break;
        }
    }
}

/* 2: no number, 1: infinite. */
static int class_of(uint32_t dtype, const uint8_t *at)
{
    uint16_t half = load_le16(at);
    uint32_t bits = load_le16(at);
    double wide;
    float narrow;

    switch (dtype) {
    case CKPT_DTYPE_F64:
        memcpy(&wide, at, sizeof(wide));
        return isnan(wide) ? 2 : isinf(wide) ? 1 : 0;
    case CKPT_DTYPE_F32:
    case CKPT_DTYPE_C64:
        memcpy(&narrow, at, sizeof(narrow));
        return isnan(narrow) ? 2 : isinf(narrow) ? 1 : 0;
    case CKPT_DTYPE_BF16: /* the upper half of a float */
        bits <<= 16;
        memcpy(&narrow, &bits, sizeof(narrow));
        return isnan(narrow) ? 2 : isinf(narrow) ? 1 : 0;
    case CKPT_DTYPE_F16:
        return half / 1024 % 32 != 31 ? 0 : half % 1024 != 0 ? 2 : 1;
    case CKPT_DTYPE_F8_E5M2:
        return *at / 4 % 32 != 31 ? 0 : *at % 4 != 0 ? 2 : 1;
    case CKPT_DTYPE_F8_E4M3:
        return *at % 128 == 127 ? 2 : 0;
    default:
        return 0;
    }
}

struct kernels_counts table_count(uint32_t dtype, const uint8_t *data, uint64_t begin, uint64_t end,
                                  uint64_t limit)
{
    struct kernels_counts counts = {0, 0};
    unsigned size = bytes_of(dtype);

    for (uint64_t at = (begin + size - 1) / size * size; at < end && at + size <= limit;
         at += size) {
        uint8_t element[8] = {0}; /* on its own, so that none is read beyond */
        int class;

        memcpy(element, data + at, size);
        class = class_of(dtype, element);
        counts.nans += class == 2;
        counts.infinities += class == 1;
    }
    return counts;
}
