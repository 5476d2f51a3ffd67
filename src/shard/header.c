/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the header of a shard. This is on the save path: one pass, no allocation. */
#include "shard/header.h"

#include <string.h>

#include "base/bytes.h"
#include "shard/shard.h"

struct text {
    char *out; /* NULL: count only */
    uint64_t size;
    uint64_t used; /* goes on counting past size */
};

static void put(struct text *text, const char *from, size_t bytes)
{
    if (text->out && text->used <= text->size && bytes <= text->size - text->used) {
        memcpy(text->out + text->used, from, bytes);
    }
    text->used += bytes;
}

static void put_literal(struct text *text, const char *literal)
{
    put(text, literal, strlen(literal));
}

static void put_number(struct text *text, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(text, digits + at, sizeof(digits) - at);
}

/* A JSON string. UTF-8 goes through as it is. */
static void put_string(struct text *text, const char *string)
{
    static const char hex[] = "0123456789abcdef";
    put_literal(text, "\"");
    for (;;) {
        size_t plain = 0;
        while ((unsigned char)string[plain] >= 0x20 && string[plain] != '"' &&
               string[plain] != '\\') {
            plain++;
        }
        put(text, string, plain);
        unsigned char special = (unsigned char)string[plain];
        if (special == '\0') {
            break;
        }
        if (special == '"' || special == '\\') {
            put_literal(text, "\\");
            put(text, string + plain, 1);
        } else {
            char escaped[] = {'\\', 'u', '0', '0', hex[special >> 4], hex[special & 15]};
            put(text, escaped, sizeof(escaped));
        }
        string += plain + 1;
    }
    put_literal(text, "\"");
}

static void put_metadata(struct text *text, const struct shard_metadata *metadata, size_t count)
{
    put_literal(text, "\"__metadata__\":{");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            put_literal(text, ",");
        }
        put_string(text, metadata[i].key);
        put_literal(text, ":");
        put_string(text, metadata[i].value);
    }
    put_literal(text, "}");
}

static void put_tensor(struct text *text, const struct shard_tensor *tensor, uint64_t data_offset)
{
    put_string(text, tensor->name);
    put_literal(text, ":{\"dtype\":\"");
    put_literal(text, ckpt_dtype_name(tensor->dtype));
    put_literal(text, "\",\"shape\":[");
    for (uint32_t i = 0; i < tensor->dimensions; i++) {
        if (i > 0) {
            put_literal(text, ",");
        }
        put_number(text, tensor->shape[i]);
    }
    put_literal(text, "],\"data_offsets\":[");
    put_number(text, tensor->offset - data_offset);
    put_literal(text, ",");
    put_number(text, tensor->offset - data_offset + tensor->bytes);
    put_literal(text, "]}");
}

uint64_t json_text_put(const struct shard_tensor *tensors, size_t tensor_count,
                       const struct shard_metadata *metadata, size_t metadata_count,
                       uint64_t data_offset, char *text_out, uint64_t text_size)
{
    struct text text = {.out = text_out, .size = text_size};
    put_literal(&text, "{");
    if (metadata_count > 0) {
        put_metadata(&text, metadata, metadata_count);
    }
    for (size_t i = 0; i < tensor_count; i++) {
        if (i > 0 || metadata_count > 0) {
            put_literal(&text, ",");
        }
        put_tensor(&text, &tensors[i], data_offset);
    }
    put_literal(&text, "}");
    return text.used;
}

enum ckpt_status shard_header_encode(const struct shard_tensor *tensors, size_t tensor_count,
                                     const struct shard_metadata *metadata, size_t metadata_count,
                                     const struct shard_layout *layout, void *header_out)
{
    uint8_t *header = header_out;
    if (layout->data_offset < 8) {
        return CKPT_ERR_SIZE;
    }
    uint64_t text_size = layout->data_offset - 8;
    store_le64(header, text_size);
    uint64_t used = json_text_put(tensors, tensor_count, metadata, metadata_count,
                                  layout->data_offset, (char *)header + 8, text_size);
    if (used > text_size) {
        return CKPT_ERR_SIZE;
    }
    memset(header + 8 + used, ' ', text_size - used);
    return CKPT_OK;
}
