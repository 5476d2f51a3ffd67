/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "shard/scan.h"
#include "shard/shard.h"

static char reason[CKPT_REASON_MAX + 1];

/* Decodes a file of this JSON text and data_bytes bytes of data. */
static enum ckpt_status decode(const char *text, uint64_t data_bytes,
                               struct shard_index **index_out)
{
    size_t bytes = strlen(text);
    char *file = malloc(8 + bytes);
    assert_non_null(file);
    store_le64(file, bytes);
    memcpy(file + 8, text, bytes);
    reason[0] = '\0';
    enum ckpt_status status =
        shard_index_new(file, 8 + bytes, 8 + bytes + data_bytes, index_out, reason, sizeof(reason));
    free(file);
    return status;
}

struct refusal {
    const char *text;
    uint64_t data_bytes;
    enum ckpt_status status;
    const char *says;
};

static const struct refusal refusals[] = {
    /* not JSON, or not an object */
    {"", 0, CKPT_ERR_CORRUPT, "byte 8: the header does not start with '{'"},
    {" {}", 0, CKPT_ERR_CORRUPT, "does not start"},
    {"[]", 0, CKPT_ERR_CORRUPT, "does not start"},
    {"{", 0, CKPT_ERR_CORRUPT, "byte 9: the header's JSON does not end"},
    {"{\"a\":\"\\", 0, CKPT_ERR_CORRUPT, "does not end"},
    {"{]", 0, CKPT_ERR_CORRUPT, "not JSON"},
    {"{}{}", 0, CKPT_ERR_CORRUPT, "byte 10: the header's JSON is followed"},
    {"{}\n", 0, CKPT_ERR_CORRUPT, "followed by something other than spaces"},
    {"{'a':1}", 0, CKPT_ERR_CORRUPT, "not JSON"},
    {"{\"\xff\":1}", 0, CKPT_ERR_CORRUPT, "not JSON"},
    {"{\"a\\u0000b\":1}", 0, CKPT_ERR_CORRUPT, "not JSON"},
    {"{\"a\":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}", 0, CKPT_ERR_TOO_LARGE, "nested too deeply"},
    /* not tensors */
    {"{\"a\":1}", 0, CKPT_ERR_CORRUPT, "tensor a is not a JSON object"},
    {"{\"a\":{}}", 0, CKPT_ERR_CORRUPT, "tensor a has no dtype"},
    {"{\"a\":{\"dtype\":7}}", 0, CKPT_ERR_CORRUPT, "no dtype"},
    {"{\"a\":{\"dtype\":\"F128\"}}", 0, CKPT_ERR_DTYPE, "unknown data type F128"},
    {"{\"a\":{\"dtype\":\"U8\"}}", 0, CKPT_ERR_CORRUPT, "no shape"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":{}}}", 0, CKPT_ERR_CORRUPT, "no shape"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[-1]}}", 0, CKPT_ERR_CORRUPT, "dimension 0"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1.0]}}", 0, CKPT_ERR_CORRUPT, "dimension 1"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[99999999999999999999]}}", 0, CKPT_ERR_CORRUPT,
     "not JSON"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1]}}", 0, CKPT_ERR_SIZE, "9 dimensions"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, CKPT_ERR_CORRUPT, "data_offsets"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, CKPT_ERR_CORRUPT,
     "data_offsets"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1, CKPT_ERR_CORRUPT,
     "data_offsets"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[\"0\",1]}}", 1, CKPT_ERR_CORRUPT,
     "data_offsets"},
    /* names */
    {"{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, CKPT_ERR_CORRUPT,
     "not JSON"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
     "\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
     0, CKPT_ERR_CORRUPT, "not JSON: \"duplicate object key"},
    {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
     CKPT_ERR_CORRUPT, "duplicate"},
    /* metadata */
    {"{\"__metadata__\":[]}", 0, CKPT_ERR_CORRUPT, "__metadata__ is not a JSON object"},
    {"{\"__metadata__\":{\"k\":1}}", 0, CKPT_ERR_CORRUPT, "metadata k is not a string"},
    /* sizes */
    {"{}", 1, CKPT_ERR_SIZE, "the tensors end at 0 of the data, the file at 1"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 1, CKPT_ERR_SIZE,
     "tensor a ends at 2 of the data, which ends at 1"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 3, CKPT_ERR_SIZE,
     "end at 2"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,0]}}", 0, CKPT_ERR_SIZE,
     "ends at 0, before it begins at 2"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3, CKPT_ERR_SIZE,
     "tensor a begins at 1 of the data, the one before it ends at 0"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, CKPT_ERR_SIZE,
     "8 bytes by its shape, 4 by its data_offsets"},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, CKPT_ERR_SIZE,
     "whole bytes"},
    {"{\"a\":{\"dtype\":\"F64\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
     CKPT_ERR_TOO_LARGE, "more elements"},
    {"{\"a\":{\"dtype\":\"F64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,0]}}", 0,
     CKPT_ERR_TOO_LARGE, "more elements"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
     3, CKPT_ERR_SIZE, "tensor b begins at 1"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
     2, CKPT_ERR_SIZE, "tensor b begins at 0"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]}}",
     5, CKPT_ERR_SIZE, "tensor b begins at 3"},
};

static void bad_headers_are_refused_with_the_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *r = &refusals[i];
        struct shard_index *index = NULL;
        enum ckpt_status status = decode(r->text, r->data_bytes, &index);
        if (status != r->status || !strstr(reason, r->says) || index) {
            fail_msg("%s: %s '%s'", r->text, ckpt_status_name(status), reason);
        }
    }
}

static void files_of_other_writers_are_read(void **state)
{
    (void)state;
    struct shard_index *index;
    /* Fields and tensors in any order, unknown fields, white space inside, no padding. */
    assert_int_equal(
        decode("{ \"b\" : {\"data_offsets\":[8, 9],\"shape\":[1],\"dtype\":\"U8\",\"x\":[{}]},\n"
               "\"z\":{\"dtype\":\"F32\",\"shape\":[0,5],\"data_offsets\":[8,8]},"
               "\"__metadata__\":{\"format\":\"pt\",\"\":\"\\u00fc\\n\"},"
               "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}   ",
               9, &index),
        CKPT_OK);
    assert_int_equal(shard_index_count(index), 3);
    assert_string_equal(shard_index_at(index, 0)->name, "a");
    assert_string_equal(shard_index_at(index, 1)->name, "z");
    assert_string_equal(shard_index_at(index, 2)->name, "b");
    const struct shard_tensor *z = shard_index_find(index, "z");
    assert_ptr_equal(z, shard_index_at(index, 1));
    assert_int_equal(z->dtype, CKPT_DTYPE_F32);
    assert_int_equal(z->dimensions, 2);
    assert_int_equal(z->shape[1], 5);
    assert_int_equal(z->bytes, 0);
    uint64_t data_offset = shard_index_layout(index).data_offset;
    assert_int_equal(shard_index_find(index, "b")->offset, data_offset + 8);
    assert_int_equal(shard_index_layout(index).bytes, data_offset + 9);
    assert_null(shard_index_find(index, "c"));
    assert_null(shard_index_find(index, ""));
    assert_int_equal(shard_index_metadata_count(index), 2);
    assert_string_equal(shard_index_metadata_at(index, 0).key, "format");
    assert_string_equal(shard_index_metadata_at(index, 1).value, "\xc3\xbc\n");
    shard_index_delete(&index);
    assert_null(index);
    shard_index_delete(&index);
}

static void nothing_is_a_file_of_no_tensors(void **state)
{
    (void)state;
    struct shard_index *index;
    assert_int_equal(decode("{}", 0, &index), CKPT_OK);
    assert_int_equal(shard_index_count(index), 0);
    assert_null(shard_index_find(index, "a"));
    shard_index_delete(&index);
    assert_int_equal(decode("{\"__metadata__\":null}", 0, &index), CKPT_OK);
    assert_int_equal(shard_index_count(index), 0);
    shard_index_delete(&index);
}

static void cut_and_oversized_headers_are_refused(void **state)
{
    (void)state;
    uint8_t file[64];
    uint64_t header_bytes = 99;
    struct shard_index *index = NULL;
    memset(file, ' ', sizeof(file));
    store_le64(file, 16);
    file[8] = '{';
    file[9] = '}';
    assert_int_equal(shard_header_size(file, 24, &header_bytes), CKPT_OK);
    assert_int_equal(header_bytes, 24);
    assert_int_equal(shard_index_new(file, 24, 24, &index, reason, sizeof(reason)), CKPT_OK);
    shard_index_delete(&index);
    for (uint64_t bytes = 0; bytes < 24; bytes++) {
        assert_int_equal(shard_header_size(file, bytes, &header_bytes), CKPT_ERR_CORRUPT);
        assert_int_equal(shard_index_new(file, bytes, bytes, &index, reason, sizeof(reason)),
                         CKPT_ERR_CORRUPT);
        /* The whole file is there, but not that much of it here. */
        assert_int_equal(shard_index_new(file, bytes, 24, &index, reason, sizeof(reason)),
                         CKPT_ERR_CORRUPT);
    }
    store_le64(file, CKPT_SHARD_HEADER_MAX + 1);
    assert_int_equal(shard_header_size(file, UINT64_MAX, &header_bytes), CKPT_ERR_TOO_LARGE);
    store_le64(file, UINT64_MAX);
    assert_int_equal(shard_index_new(file, 64, UINT64_MAX, &index, reason, sizeof(reason)),
                     CKPT_ERR_TOO_LARGE);
    assert_int_equal(header_bytes, 24);
    assert_null(index);
}

static void too_many_values_do_not_reach_the_parser(void **state)
{
    (void)state;
    size_t bytes = SCAN_MARKS_MAX + 100;
    char *text = malloc(bytes + 1);
    struct shard_index *index = NULL;
    assert_non_null(text);
    memset(text, ',', bytes);
    memcpy(text, "{\"a\":[1", 7);
    text[bytes] = '\0';
    assert_int_equal(decode(text, 0, &index), CKPT_ERR_TOO_LARGE);
    assert_non_null(strstr(reason, "too many values"));
    for (size_t i = 7; i + 1 < bytes; i += 2) {
        memcpy(text + i, "[]", 2);
    }
    assert_int_equal(decode(text, 0, &index), CKPT_ERR_CORRUPT);
    free(text);
}

static void too_many_tensors_are_refused(void **state)
{
    (void)state;
    size_t room = (size_t)(CKPT_TENSORS_MAX + 1) * 80;
    char *text = malloc(room);
    struct shard_index *index = NULL;
    assert_non_null(text);
    size_t used = 0;
    for (int i = 0; i <= CKPT_TENSORS_MAX; i++) {
        used +=
            (size_t)snprintf(text + used, room - used,
                             "%c\"t%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                             i == 0 ? '{' : ',', i);
        if (i == CKPT_TENSORS_MAX - 1) {
            memcpy(text + used, "}", 2);
            assert_int_equal(decode(text, 0, &index), CKPT_OK);
            assert_int_equal(shard_index_count(index), CKPT_TENSORS_MAX);
            assert_non_null(shard_index_find(index, "t65535"));
            shard_index_delete(&index);
        }
    }
    memcpy(text + used, "}", 2);
    assert_int_equal(decode(text, 0, &index), CKPT_ERR_TOO_LARGE);
    assert_string_equal(reason, "65537 tensors, at most 65536");
    free(text);
}

/* A random shard; gives how many tensors. */
static size_t make_tensors(struct prng *prng, struct shard_tensor *tensors, char (*names)[32])
{
    size_t count = (size_t)prng_below(prng, 40);
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "l.%d/t-%zu", (int)prng_below(prng, 9), i);
        tensors[i] = (struct shard_tensor){
            .name = names[i],
            .dtype = (enum ckpt_dtype)(1 + prng_below(prng, 22)),
            .dimensions = (uint32_t)prng_below(prng, CKPT_DIMENSIONS_MAX + 1),
        };
        for (uint32_t n = 0; n < tensors[i].dimensions; n++) {
            tensors[i].shape[n] = prng_below(prng, n == 0 ? 100 : 5);
        }
        if (ckpt_dtype_bits(tensors[i].dtype) < 8) {
            memset(tensors[i].shape, 0, sizeof(tensors[i].shape));
            tensors[i].dimensions = 1;
            tensors[i].shape[0] = 4 * prng_below(prng, 100);
        }
    }
    return count;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static struct shard_tensor tensors[40];
    static char names[40][32];
    static uint32_t scratch[128];
    static char header[1 << 16];
    const struct shard_metadata metadata[] = {{"k", "v\n\"\x1f\x7f\xc3\xbc"}, {"", ""}};
    struct prng prng;
    prng_seed(&prng, 7);
    for (int round = 0; round < 500; round++) {
        struct shard_layout layout;
        struct shard_index *index;
        size_t count = make_tensors(&prng, tensors, names);
        size_t pairs = (size_t)prng_below(&prng, 3);
        assert_int_equal(shard_layout_make(tensors, count, metadata, pairs, scratch, &layout,
                                           reason, sizeof(reason)),
                         CKPT_OK);
        assert_true(layout.data_offset <= sizeof(header));
        assert_int_equal(layout.data_offset % CKPT_DATA_ALIGN, 0);
        assert_int_equal(shard_header_encode(tensors, count, metadata, pairs, &layout, header),
                         CKPT_OK);
        assert_int_equal(shard_index_new(header, layout.data_offset, layout.bytes, &index, reason,
                                         sizeof(reason)),
                         CKPT_OK);
        assert_int_equal(shard_index_count(index), count);
        for (size_t i = 0; i < count; i++) {
            const struct shard_tensor *found = shard_index_find(index, tensors[i].name);
            assert_non_null(found);
            assert_int_equal(found->dtype, tensors[i].dtype);
            assert_int_equal(found->dimensions, tensors[i].dimensions);
            assert_memory_equal(found->shape, tensors[i].shape, sizeof(found->shape));
            assert_int_equal(found->offset, tensors[i].offset);
            assert_int_equal(found->bytes, tensors[i].bytes);
            assert_int_equal(found->offset * 8 % ckpt_dtype_bits(found->dtype) == 0 ||
                                 ckpt_dtype_bits(found->dtype) < 8,
                             1);
        }
        assert_int_equal(shard_index_metadata_count(index), pairs);
        for (size_t i = 0; i < pairs; i++) {
            assert_string_equal(shard_index_metadata_at(index, i).key, metadata[i].key);
            assert_string_equal(shard_index_metadata_at(index, i).value, metadata[i].value);
        }
        shard_index_delete(&index);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_headers_are_refused_with_the_reason),
        cmocka_unit_test(files_of_other_writers_are_read),
        cmocka_unit_test(nothing_is_a_file_of_no_tensors),
        cmocka_unit_test(cut_and_oversized_headers_are_refused),
        cmocka_unit_test(too_many_values_do_not_reach_the_parser),
        cmocka_unit_test(too_many_tensors_are_refused),
        cmocka_unit_test(what_is_written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
