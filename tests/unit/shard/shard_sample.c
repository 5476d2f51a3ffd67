/* SPDX-License-Identifier: Apache-2.0 */
/* "shard_sample write FILE" writes a shard of all the types that NumPy has, byte i of the data
 * being i modulo 251; "shard_sample list FILE" prints the tensors of a safetensors file. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shard/shard.h"

static char reason[CKPT_REASON_MAX + 1];

static int write_sample(const char *path)
{
    struct shard_tensor tensors[] = {
        {.name = "flags", .dtype = CKPT_DTYPE_BOOL, .dimensions = 1, .shape = {0}},
        {.name = "a/u8", .dtype = CKPT_DTYPE_U8, .dimensions = 2, .shape = {3, 5}},
        {.name = "b.f32", .dtype = CKPT_DTYPE_F32, .dimensions = 3, .shape = {2, 3, 4}},
        {.name = "c.i64", .dtype = CKPT_DTYPE_I64},
        {.name = "d.f16", .dtype = CKPT_DTYPE_F16, .dimensions = 1, .shape = {7}},
        {.name = "e.u16", .dtype = CKPT_DTYPE_U16, .dimensions = 1, .shape = {9}},
        {.name = "f.empty", .dtype = CKPT_DTYPE_F64, .dimensions = 2, .shape = {0, 4}},
        {.name = "g.f64", .dtype = CKPT_DTYPE_F64, .dimensions = 1, .shape = {2}},
    };
    const size_t count = sizeof(tensors) / sizeof(tensors[0]);
    const struct shard_metadata metadata = {"note", "\"quoted\" \\ z\xc3\xbcrich\n"};
    uint32_t scratch[16];
    struct shard_layout layout;
    if (shard_layout_make(tensors, count, &metadata, 1, scratch, &layout, reason, sizeof(reason)) !=
        CKPT_OK) {
        fprintf(stderr, "%s\n", reason);
        return 1;
    }
    uint8_t *shard = malloc(layout.bytes);
    if (!shard || shard_header_encode(tensors, count, &metadata, 1, &layout, shard) != CKPT_OK) {
        free(shard);
        return 1;
    }
    for (uint64_t i = 0; i < layout.bytes - layout.data_offset; i++) {
        shard[layout.data_offset + i] = (uint8_t)(i % 251);
    }
    FILE *file = fopen(path, "w");
    int failed = !file || fwrite(shard, 1, layout.bytes, file) != layout.bytes;
    if (file) {
        failed |= fclose(file) != 0;
    }
    free(shard);
    return failed;
}

static int list(const char *path)
{
    static uint8_t shard[1 << 20];
    FILE *file = fopen(path, "r");
    struct shard_index *index;
    if (!file) {
        return 1;
    }
    size_t bytes = fread(shard, 1, sizeof(shard), file);
    fclose(file);
    if (shard_index_new(shard, bytes, bytes, &index, reason, sizeof(reason)) != CKPT_OK) {
        fprintf(stderr, "%s\n", reason);
        return 1;
    }
    for (size_t i = 0; i < shard_index_count(index); i++) {
        const struct shard_tensor *tensor = shard_index_at(index, i);
        printf("%s %s", tensor->name, ckpt_dtype_name(tensor->dtype));
        for (uint32_t n = 0; n < tensor->dimensions; n++) {
            printf(" %" PRIu64, tensor->shape[n]);
        }
        printf(" @ %" PRIu64 " + %" PRIu64 "\n", tensor->offset, tensor->bytes);
    }
    shard_index_delete(&index);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        return 2;
    }
    return strcmp(argv[1], "write") == 0 ? write_sample(argv[2]) : list(argv[2]);
}
