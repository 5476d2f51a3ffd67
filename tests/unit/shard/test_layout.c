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
#include "shard/shard.h"

static uint32_t scratch[8 * CKPT_TENSORS_MAX];
static char reason[CKPT_REASON_MAX + 1];

static struct shard_tensor tensor(const char *name, enum ckpt_dtype dtype, uint64_t elements)
{
    return (struct shard_tensor){
        .name = name, .dtype = dtype, .dimensions = 1, .shape = {elements}};
}

static enum ckpt_status lay_out(struct shard_tensor *tensors, size_t count,
                                struct shard_layout *layout_out)
{
    return shard_layout_make(tensors, count, NULL, 0, scratch, layout_out, reason, sizeof(reason));
}

static void expect_refusal(struct shard_tensor one, enum ckpt_status status, const char *text)
{
    struct shard_layout layout = {1, 2};
    assert_int_equal(lay_out(&one, 1, &layout), status);
    if (!strstr(reason, text)) {
        fail_msg("'%s' does not say '%s'", reason, text);
    }
    assert_true(layout.data_offset == 1 && layout.bytes == 2);
}

/* A header byte by byte: the format on disk must not change without notice. */
static void the_golden_file_is_reproduced(void **state)
{
    (void)state;
    struct shard_tensor tensors[] = {
        tensor("flags", CKPT_DTYPE_BOOL, 3),
        {.name = "model.layers.0.weight",
         .dtype = CKPT_DTYPE_BF16,
         .dimensions = 2,
         .shape = {2, 3}},
        {.name = "step", .dtype = CKPT_DTYPE_I64},
        tensor("empty", CKPT_DTYPE_F32, 0),
        tensor("optimizer/m", CKPT_DTYPE_F32, 2),
    };
    const struct shard_metadata metadata[] = {{"format", "pt"},
                                              {"note", "a \"b\"\\\n\x01\xc3\xbc"}};
    struct shard_layout layout;
    assert_int_equal(
        shard_layout_make(tensors, 5, metadata, 2, scratch, &layout, reason, sizeof(reason)),
        CKPT_OK);
    assert_int_equal(layout.data_offset, 4096);
    assert_int_equal(layout.bytes, 4096 + 8 + 8 + 12 + 3);
    static char made[4096 + 31];
    assert_int_equal(shard_header_encode(tensors, 5, metadata, 2, &layout, made), CKPT_OK);
    for (int i = 0; i < 31; i++) {
        made[4096 + i] = (char)(0x40 + i);
    }
    if (getenv("CKPT_WRITE_GOLDEN")) {
        FILE *out = fopen(GOLDEN_FILE, "w");
        assert_non_null(out);
        fwrite(made, 1, sizeof(made), out);
        fclose(out);
    }
    static char golden[sizeof(made) + 1];
    FILE *file = fopen(GOLDEN_FILE, "r");
    assert_non_null(file);
    assert_int_equal(fread(golden, 1, sizeof(golden), file), sizeof(made));
    fclose(file);
    assert_memory_equal(made, golden, sizeof(made));
}

static void data_is_by_falling_element_size(void **state)
{
    (void)state;
    struct shard_tensor tensors[] = {
        tensor("a", CKPT_DTYPE_F4, 6),  tensor("b", CKPT_DTYPE_U8, 5),
        tensor("c", CKPT_DTYPE_F16, 3), tensor("d", CKPT_DTYPE_F6_E2M3, 4),
        tensor("e", CKPT_DTYPE_F64, 1), tensor("f", CKPT_DTYPE_F32, 1),
        tensor("g", CKPT_DTYPE_I16, 1),
    };
    static const uint64_t offsets[] = {28, 20, 12, 25, 0, 8, 18};
    struct shard_layout layout;
    assert_int_equal(lay_out(tensors, 7, &layout), CKPT_OK);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(tensors[i].offset, 4096 + offsets[i]);
    }
    assert_int_equal(layout.bytes, 4096 + 31);
}

static void scalars_empties_and_nothing_are_shards(void **state)
{
    (void)state;
    struct shard_tensor tensors[] = {{.name = "s", .dtype = CKPT_DTYPE_F32},
                                     tensor("none", CKPT_DTYPE_F32, 0)};
    struct shard_layout layout;
    char header[4096];
    assert_int_equal(lay_out(tensors, 2, &layout), CKPT_OK);
    assert_int_equal(tensors[0].bytes, 4);
    assert_int_equal(tensors[1].bytes, 0);
    assert_int_equal(layout.bytes, 4100);
    assert_int_equal(lay_out(NULL, 0, &layout), CKPT_OK);
    assert_int_equal(layout.bytes, 4096);
    assert_int_equal(shard_header_encode(NULL, 0, NULL, 0, &layout, header), CKPT_OK);
    assert_int_equal(load_le64(header), 4088);
    assert_memory_equal(header + 8, "{}      ", 8);
}

static void opaque_bytes_are_one_tensor(void **state)
{
    (void)state;
    struct shard_tensor one = shard_tensor_opaque(SHARD_OPAQUE_NAME, 1000);
    struct shard_layout layout;
    assert_int_equal(lay_out(&one, 1, &layout), CKPT_OK);
    assert_int_equal(one.bytes, 1000);
    assert_int_equal(layout.bytes, 5096);
}

static void bad_names_are_refused(void **state)
{
    (void)state;
    char name[4100];
    memset(name, 'n', sizeof(name));
    name[4096] = '\0';
    expect_refusal(tensor(name, CKPT_DTYPE_U8, 1), CKPT_ERR_NAME, "longer than 4095");
    name[4095] = '\0';
    struct shard_tensor longest = tensor(name, CKPT_DTYPE_U8, 1);
    struct shard_layout layout;
    assert_int_equal(lay_out(&longest, 1, &layout), CKPT_OK);
    expect_refusal(tensor("a\xff", CKPT_DTYPE_U8, 1), CKPT_ERR_NAME, "is not UTF-8 text");
    expect_refusal(tensor(NULL, CKPT_DTYPE_U8, 1), CKPT_ERR_NAME, "has no name");
    expect_refusal(tensor("__metadata__", CKPT_DTYPE_U8, 1), CKPT_ERR_NAME, "reserved");
}

/* What PyTorch and safetensors take for a name, and a reader finds again. */
static void any_text_is_a_name(void **state)
{
    (void)state;
    static const char *const names[] = {"",
                                        "a b",
                                        "a//b",
                                        "/a",
                                        "a/",
                                        ".",
                                        "..",
                                        "../a",
                                        "bert/kernel:0",
                                        "<u>",
                                        "\"\\",
                                        "\x01\n\t",
                                        "\xe6\xa8\xa1\xe5\x9e\x8b",
                                        "\xf0\x9f\x94\xa5"};
    enum { COUNT = sizeof(names) / sizeof(names[0]) };
    struct shard_tensor tensors[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        tensors[i] = tensor(names[i], CKPT_DTYPE_U8, 1);
        tensors[i].shape[0] = i;
    }
    struct shard_layout layout;
    assert_int_equal(lay_out(tensors, COUNT, &layout), CKPT_OK);
    uint8_t *header = malloc(layout.data_offset);
    assert_non_null(header);
    assert_int_equal(shard_header_encode(tensors, COUNT, NULL, 0, &layout, header), CKPT_OK);
    struct shard_index *index = NULL;
    char why[256] = "";
    assert_int_equal(
        shard_index_new(header, layout.data_offset, layout.bytes, &index, why, sizeof(why)),
        CKPT_OK);
    for (size_t i = 0; i < COUNT; i++) {
        const struct shard_tensor *found = shard_index_find(index, names[i]);
        assert_non_null(found);
        assert_int_equal(found->bytes, i);
    }
    shard_index_delete(&index);
    free(header);
}

static void a_name_twice_is_refused(void **state)
{
    (void)state;
    struct shard_tensor tensors[] = {tensor("a", CKPT_DTYPE_U8, 1), tensor("b", CKPT_DTYPE_U8, 1),
                                     tensor("c", CKPT_DTYPE_U8, 1), tensor("b", CKPT_DTYPE_F32, 1)};
    struct shard_layout layout;
    assert_int_equal(lay_out(tensors, 4, &layout), CKPT_ERR_NAME);
    assert_string_equal(reason, "tensors 1 and 3 are both named b");
}

static void bad_types_and_sizes_are_refused(void **state)
{
    (void)state;
    struct shard_tensor many = {.name = "a", .dtype = CKPT_DTYPE_U8, .dimensions = 9};
    struct shard_tensor huge = {
        .name = "a", .dtype = CKPT_DTYPE_U8, .dimensions = 2, .shape = {UINT64_MAX, 2}};
    struct shard_tensor zero = {
        .name = "a", .dtype = CKPT_DTYPE_U8, .dimensions = 3, .shape = {UINT64_MAX, 2, 0}};
    expect_refusal(tensor("a", (enum ckpt_dtype)0, 1), CKPT_ERR_DTYPE, "0 is no data type");
    expect_refusal(tensor("a", (enum ckpt_dtype)99, 1), CKPT_ERR_DTYPE, "99 is no data type");
    expect_refusal(many, CKPT_ERR_SIZE, "9 dimensions, at most 8");
    expect_refusal(huge, CKPT_ERR_TOO_LARGE, "more elements");
    expect_refusal(zero, CKPT_ERR_TOO_LARGE, "more elements");
    expect_refusal(tensor("a", CKPT_DTYPE_F64, UINT64_MAX / 64 + 1), CKPT_ERR_TOO_LARGE,
                   "more elements");
    expect_refusal(tensor("a", CKPT_DTYPE_F4, 3), CKPT_ERR_SIZE, "whole bytes");
    struct shard_tensor sum[3];
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"x", "y", "z"};
        sum[i] = tensor(names[i], CKPT_DTYPE_U8, UINT64_C(1) << 60);
    }
    struct shard_layout layout;
    assert_int_equal(lay_out(sum, 3, &layout), CKPT_OK);
    sum[0].shape[0] = sum[1].shape[0] = sum[2].shape[0] = UINT64_C(1) << 60;
    sum[0].dtype = CKPT_DTYPE_F32;
    sum[0].shape[0] = UINT64_C(3) << 56;
    assert_int_equal(lay_out(sum, 3, &layout), CKPT_OK);
    sum[0].shape[0] = UINT64_C(1) << 58;
    sum[1].shape[0] = (UINT64_C(1) << 61) - 1;
    assert_int_equal(lay_out(sum, 3, &layout), CKPT_OK);
    sum[2].shape[0]++;
    assert_int_equal(lay_out(sum, 3, &layout), CKPT_OK);
    sum[2].shape[0]++;
    assert_int_equal(lay_out(sum, 3, &layout), CKPT_ERR_TOO_LARGE);
}

static void bad_metadata_is_refused(void **state)
{
    (void)state;
    struct shard_layout layout;
    const struct shard_metadata twice[] = {{"k", "1"}, {"l", "2"}, {"k", "3"}};
    const struct shard_metadata latin = {"k", "z\xfcrich"};
    const struct shard_metadata latin_key = {"z\xfcrich", "k"};
    const struct shard_metadata no_value = {"k", NULL};
    struct {
        const struct shard_metadata *metadata;
        size_t count;
        const char *text;
    } cases[] = {
        {twice, 3, "metadata k is given twice"},
        {&latin, 1, "metadata k: the value is not UTF-8"},
        {&latin_key, 1, "metadata 0: the key is not UTF-8"},
        {&no_value, 1, "the value is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(shard_layout_make(NULL, 0, cases[i].metadata, cases[i].count, scratch,
                                           &layout, reason, sizeof(reason)),
                         CKPT_ERR_INVALID);
        assert_non_null(strstr(reason, cases[i].text));
    }
}

static void counts_and_the_header_are_bounded(void **state)
{
    (void)state;
    struct shard_layout layout;
    struct shard_metadata metadata[SHARD_METADATA_MAX + 1] = {{NULL, NULL}};
    struct shard_tensor *tensors = calloc(CKPT_TENSORS_MAX + 1, sizeof(*tensors));
    char(*names)[8] = calloc(CKPT_TENSORS_MAX + 1, sizeof(*names));
    assert_non_null(tensors);
    assert_non_null(names);
    for (int i = 0; i <= CKPT_TENSORS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "t%d", i);
        tensors[i] = tensor(names[i], CKPT_DTYPE_BF16, 1);
    }
    assert_true(shard_scratch_count(CKPT_TENSORS_MAX) <= 8 * CKPT_TENSORS_MAX);
    assert_int_equal(lay_out(tensors, CKPT_TENSORS_MAX, &layout), CKPT_OK);
    assert_int_equal(lay_out(tensors, CKPT_TENSORS_MAX + 1, &layout), CKPT_ERR_TOO_LARGE);
    assert_int_equal(shard_layout_make(NULL, 0, metadata, SHARD_METADATA_MAX + 1, scratch, &layout,
                                       reason, sizeof(reason)),
                     CKPT_ERR_TOO_LARGE);
    /* A value whose escapes alone pass the limit. */
    size_t bytes = CKPT_SHARD_HEADER_MAX / 6 + 1;
    char *value = malloc(bytes + 1);
    assert_non_null(value);
    memset(value, '\x1f', bytes);
    value[bytes] = '\0';
    metadata[0] = (struct shard_metadata){"k", value};
    assert_int_equal(
        shard_layout_make(NULL, 0, metadata, 1, scratch, &layout, reason, sizeof(reason)),
        CKPT_ERR_TOO_LARGE);
    free(value);
    free(names);
    free(tensors);
}

static void the_encoder_never_writes_past_its_layout(void **state)
{
    (void)state;
    char header[4096 + 64];
    struct shard_layout layout;
    struct shard_tensor one = tensor("a", CKPT_DTYPE_U8, 1);
    assert_int_equal(lay_out(&one, 1, &layout), CKPT_OK);
    char value[5000];
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    const struct shard_metadata more = {"k", value};
    memset(header, '#', sizeof(header));
    assert_int_equal(shard_header_encode(&one, 1, &more, 1, &layout, header), CKPT_ERR_SIZE);
    for (size_t i = layout.data_offset; i < sizeof(header); i++) {
        assert_int_equal(header[i], '#');
    }
    layout.data_offset = 7;
    assert_int_equal(shard_header_encode(&one, 1, NULL, 0, &layout, header), CKPT_ERR_SIZE);
}

static void a_header_that_just_fits_takes_no_page_more(void **state)
{
    (void)state;
    /* {"__metadata__":{"k":"..."}} and the length are 35 bytes without the value. */
    static char value[4096];
    static char header[8192];
    struct shard_layout layout;
    const struct shard_metadata metadata = {"k", value};
    for (size_t bytes = 4055; bytes < 4065; bytes++) {
        memset(value, 'v', bytes);
        value[bytes] = '\0';
        assert_int_equal(
            shard_layout_make(NULL, 0, &metadata, 1, scratch, &layout, reason, sizeof(reason)),
            CKPT_OK);
        size_t text = 8 + strlen("{\"__metadata__\":{\"k\":\"\"}}") + bytes;
        assert_int_equal(layout.data_offset, text <= 4096 ? 4096 : 8192);
        assert_int_equal(shard_header_encode(NULL, 0, &metadata, 1, &layout, header), CKPT_OK);
        assert_int_equal(header[text - 1], '}');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_file_is_reproduced),
        cmocka_unit_test(data_is_by_falling_element_size),
        cmocka_unit_test(scalars_empties_and_nothing_are_shards),
        cmocka_unit_test(opaque_bytes_are_one_tensor),
        cmocka_unit_test(bad_names_are_refused),
        cmocka_unit_test(any_text_is_a_name),
        cmocka_unit_test(a_name_twice_is_refused),
        cmocka_unit_test(bad_types_and_sizes_are_refused),
        cmocka_unit_test(bad_metadata_is_refused),
        cmocka_unit_test(counts_and_the_header_are_bounded),
        cmocka_unit_test(the_encoder_never_writes_past_its_layout),
        cmocka_unit_test(a_header_that_just_fits_takes_no_page_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
