/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/row.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "shard/scan.h"
#include "tier/name.h"

json_t *row_digest_make(const struct digest *digest)
{
    char hex[DIGEST_HEX_BYTES];
    digest_hex(digest, hex);
    return json_string(hex);
}

/* Takes the value, and frees it where it fails: there was no memory for it, or for its place. */
static bool set(json_t *object, const char *field, json_t *value)
{
    return json_object_set_new(object, field, value) == 0;
}

json_t *row_make(const struct tier_shard *shard)
{
    char id[17];
    json_t *row = json_object();
    snprintf(id, sizeof(id), "%016" PRIx64, shard->proof_id);
    bool made = row != NULL && set(row, "rank", json_integer(shard->rank)) &&
                set(row, "file", json_string(tier_name_shard(shard->rank, shard->encoding).text)) &&
                set(row, "bytes", json_integer((json_int_t)shard->bytes)) &&
                set(row, "blake3", row_digest_make(&shard->blake3)) &&
                set(row, "encoding", json_string(tier_encoding_name(shard->encoding))) &&
                set(row, "stored_bytes", json_integer((json_int_t)shard->stored_bytes)) &&
                set(row, "stored_blake3", row_digest_make(&shard->stored_blake3)) &&
                (!shard->is_proven || (set(row, "proof_id", json_string(id)) &&
                                       set(row, "proof", row_digest_make(&shard->proof))));
    if (!made) {
        json_decref(row);
        return NULL;
    }
    return row;
}

bool row_number(const json_t *object, const char *field, uint64_t most, uint64_t *number_out)
{
    const json_t *value = json_object_get(object, field);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > most) {
        return false;
    }
    *number_out = (uint64_t)json_integer_value(value);
    return true;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *text, uint8_t *out, size_t bytes)
{
    if (text == NULL || strlen(text) != 2 * bytes) {
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        int high = digit(text[2 * i]);
        int low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool row_digest(const json_t *object, const char *field, struct digest *digest_out)
{
    return read_hex(json_string_value(json_object_get(object, field)), digest_out->bytes,
                    sizeof(digest_out->bytes));
}

/* Both of the proof's fields, or neither. */
static bool read_proof(const json_t *object, struct tier_shard *shard)
{
    uint8_t id[8];
    const json_t *text = json_object_get(object, "proof_id");
    shard->is_proven = text != NULL;
    if (!shard->is_proven) {
        return json_object_get(object, "proof") == NULL;
    }
    bool read = read_hex(json_string_value(text), id, sizeof(id));
    for (size_t i = 0; i < sizeof(id) && read; i++) {
        shard->proof_id = shard->proof_id << 8 | id[i];
    }
    return read && row_digest(object, "proof", &shard->proof);
}

enum ckpt_status row_read(const json_t *object, struct tier_shard *shard_out, char *reason_out)
{
    struct tier_shard shard = {0};
    uint64_t rank;
    const char *encoding = json_string_value(json_object_get(object, "encoding"));
    const char *file = json_string_value(json_object_get(object, "file"));
    if (!row_number(object, "rank", CKPT_WORLD_MAX - 1, &rank)) {
        return reason_refuse(reason_out, CKPT_ERR_CORRUPT, "rank is no rank");
    }
    shard.rank = (uint32_t)rank;
    if (encoding == NULL || !tier_encoding_from_name(encoding, &shard.encoding)) {
        return reason_refuse(reason_out, CKPT_ERR_CORRUPT,
                             "rank %" PRIu32 ": the encoding is none that this ckptd knows",
                             shard.rank);
    }
    if (file == NULL || strcmp(file, tier_name_shard(shard.rank, shard.encoding).text) != 0) {
        return reason_refuse(reason_out, CKPT_ERR_CORRUPT, "rank %" PRIu32 ": file is not %s",
                             shard.rank, tier_name_shard(shard.rank, shard.encoding).text);
    }
    if (!row_number(object, "bytes", SHARD_BYTES_MAX, &shard.bytes) ||
        !row_number(object, "stored_bytes", SHARD_BYTES_MAX, &shard.stored_bytes) ||
        !row_digest(object, "blake3", &shard.blake3) ||
        !row_digest(object, "stored_blake3", &shard.stored_blake3) || !read_proof(object, &shard)) {
        return reason_refuse(reason_out, CKPT_ERR_CORRUPT,
                             "rank %" PRIu32 ": a size or digest is missing or is none",
                             shard.rank);
    }
    if (shard.encoding == TIER_ENCODING_NONE &&
        (shard.bytes != shard.stored_bytes || !digest_equal(&shard.blake3, &shard.stored_blake3))) {
        return reason_refuse(reason_out, CKPT_ERR_CORRUPT,
                             "rank %" PRIu32 ": shard and file differ, and it is not encoded",
                             shard.rank);
    }
    *shard_out = shard;
    return CKPT_OK;
}

enum ckpt_status row_parse(const char *what, const char *text, size_t bytes, json_t **object_out,
                           char *reason_out)
{
    const char *problem;
    uint64_t at;
    json_error_t error;
    enum ckpt_status status = scan_json(text, bytes, &problem, &at);
    if (status != CKPT_OK) {
        return reason_refuse(reason_out, CKPT_ERR_CORRUPT, "%s: byte %" PRIu64 ": %s", what, at,
                             problem);
    }
    *object_out = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    if (*object_out == NULL) {
        return reason_refuse(reason_out, CKPT_ERR_CORRUPT, "%s: line %d: %.100s", what, error.line,
                             error.text);
    }
    return CKPT_OK;
}

bool row_put_key(json_t *object, const struct tier_checkpoint_key *key)
{
    return set(object, "uid", json_integer(key->run.uid)) &&
           set(object, "run", json_string(key->run.name)) &&
           set(object, "step", json_integer((json_int_t)key->step)) &&
           set(object, "attempt", json_integer(key->attempt));
}

bool row_read_key(const json_t *object, struct tier_checkpoint_key *key_out)
{
    uint64_t uid;
    uint64_t attempt;
    struct tier_checkpoint_key key = {0};
    const char *run = json_string_value(json_object_get(object, "run"));
    if (run == NULL || !name_is_valid(run, CKPT_RUN_NAME_MAX) ||
        !row_number(object, "uid", UINT32_MAX, &uid) ||
        !row_number(object, "attempt", UINT32_MAX, &attempt) ||
        !row_number(object, "step", INT64_MAX, &key.step)) {
        return false;
    }
    key.run.uid = (uint32_t)uid;
    key.attempt = (uint32_t)attempt;
    snprintf(key.run.name, sizeof(key.run.name), "%s", run);
    *key_out = key;
    return true;
}
