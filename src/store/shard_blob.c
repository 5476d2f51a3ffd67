/* SPDX-License-Identifier: Apache-2.0 */
#include "store/shard_blob.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "store/rules.h"

#define SHARD_BYTES (8 + CKPT_DIGEST_BYTES)
#define NAMES_MAX UINT16_MAX /* more nodes than a cluster has; those beyond are left out */
#define NAME_NONE UINT32_MAX

/* The names so far, each once, and a table of them by hash. */
struct names {
    uint32_t count;
    uint32_t bucket_mask;
    uint32_t *buckets;
    uint8_t *to; /* where the next one is written: its length and its bytes */
    const uint8_t **text;
};

/* FNV-1a (Fowler, Noll, Vo). */
static uint32_t hash(const char *name)
{
    uint32_t h = 2166136261u;
    for (; *name != '\0'; name++) {
        h = (h ^ (uint8_t)*name) * 16777619u;
    }
    return h;
}

static uint32_t name_index(struct names *names, const char *name)
{
    size_t length = strlen(name);
    uint32_t at = hash(name) & names->bucket_mask;
    for (; names->buckets[at] != NAME_NONE; at = (at + 1) & names->bucket_mask) {
        const uint8_t *text = names->text[names->buckets[at]];
        if (text[0] == length && memcmp(text + 1, name, length) == 0) {
            return names->buckets[at];
        }
    }
    if (names->count == NAMES_MAX) {
        return NAME_NONE;
    }
    names->buckets[at] = names->count;
    names->text[names->count] = names->to;
    *names->to = (uint8_t)length;
    memcpy(names->to + 1, name, length);
    names->to += 1 + length;
    return names->count++;
}

static bool names_begin(struct names *names, uint32_t world, uint8_t *to)
{
    uint32_t buckets = 16;
    while (buckets < 2 * world * CKPT_COPIES_MAX) {
        buckets *= 2;
    }
    *names = (struct names){.bucket_mask = buckets - 1, .to = to};
    names->buckets = malloc(buckets * sizeof(*names->buckets));
    names->text = malloc(((size_t)world * CKPT_COPIES_MAX + 1) * sizeof(*names->text));
    if (names->buckets) {
        memset(names->buckets, 0xff, buckets * sizeof(*names->buckets));
    }
    return names->buckets && names->text;
}

/* Every rank's holders as numbers of names; the names go to the table. */
static size_t put_holders(struct names *names, const struct coordinator_record_shard *shard,
                          uint8_t *to)
{
    size_t used = 1;
    to[0] = 0;
    for (uint32_t i = 0; i < shard->node_count && i < CKPT_COPIES_MAX; i++) {
        uint32_t index = name_index(names, shard->nodes[i]);
        if (index != NAME_NONE) {
            store_le16(to + used, (uint16_t)index);
            used += 2;
            to[0]++;
        }
    }
    return used;
}

uint8_t *shard_blob_encode(const struct store_transaction *transaction,
                           const struct coordinator_record *record, size_t *bytes_out)
{
    size_t digests = (size_t)record->world * SHARD_BYTES;
    size_t holders_max = (size_t)record->world * (1 + 2 * CKPT_COPIES_MAX);
    size_t names_max = (size_t)record->world * CKPT_COPIES_MAX * (1 + CKPT_NODE_NAME_MAX);
    uint8_t *blob = malloc(digests + 2 + names_max + holders_max);
    uint8_t *holders = malloc(holders_max + 1);
    struct names names = {0};
    size_t used = 0;
    bool made = blob && holders && names_begin(&names, record->world, blob + digests + 2);
    for (uint32_t rank = 0; made && rank < record->world; rank++) {
        struct coordinator_record_shard shard = store_shard(transaction, record, rank);
        store_le64(blob + (size_t)rank * SHARD_BYTES, shard.bytes);
        memcpy(blob + (size_t)rank * SHARD_BYTES + 8, shard.digest.bytes, CKPT_DIGEST_BYTES);
        used += put_holders(&names, &shard, holders + used);
    }
    if (made) {
        store_le16(blob + digests, (uint16_t)names.count);
        memcpy(names.to, holders, used);
        *bytes_out = (size_t)(names.to - blob) + used;
    } else {
        free(blob);
        blob = NULL;
    }
    free(names.buckets);
    free(names.text);
    free(holders);
    return blob;
}

/* Where the holders begin, behind the names; NULL: the names are not whole. */
static const uint8_t *read_names(const uint8_t *from, const uint8_t *end, const uint8_t **text,
                                 uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (from == end || from[0] == 0 || from[0] > CKPT_NODE_NAME_MAX ||
            from[0] >= (size_t)(end - from) || memchr(from + 1, '\0', from[0]) != NULL) {
            return NULL;
        }
        text[i] = from;
        from += 1 + from[0];
    }
    return from;
}

static const uint8_t *read_holders(const uint8_t *from, const uint8_t *end,
                                   const uint8_t *const *text, uint32_t names,
                                   struct coordinator_record_shard *shard)
{
    if (from == end || from[0] > CKPT_COPIES_MAX || 2 * (size_t)from[0] >= (size_t)(end - from)) {
        return NULL;
    }
    shard->node_count = from[0];
    for (uint32_t i = 0; i < shard->node_count; i++) {
        uint32_t index = load_le16(from + 1 + (size_t)2 * i);
        if (index >= names) {
            return NULL;
        }
        memset(shard->nodes[i], 0, sizeof(shard->nodes[i]));
        memcpy(shard->nodes[i], text[index] + 1, text[index][0]);
    }
    return from + 1 + 2 * (size_t)shard->node_count;
}

static bool decode_holders(const uint8_t *from, const uint8_t *end, uint32_t world,
                           struct coordinator_record_shard *shards)
{
    if (end - from < 2) {
        return false;
    }
    uint32_t count = load_le16(from);
    const uint8_t **text = malloc((count + 1) * sizeof(*text));
    from = text ? read_names(from + 2, end, text, count) : NULL;
    for (uint32_t rank = 0; from && rank < world; rank++) {
        from = read_holders(from, end, text, count, &shards[rank]);
    }
    free(text);
    return from == end;
}

bool shard_blob_decode(const uint8_t *blob, size_t bytes, uint32_t world,
                       struct coordinator_record_shard *shards_out)
{
    size_t digests = (size_t)world * SHARD_BYTES;
    if (bytes < digests) {
        return false;
    }
    for (uint32_t rank = 0; rank < world; rank++) {
        const uint8_t *from = blob + (size_t)rank * SHARD_BYTES;
        shards_out[rank].bytes = load_le64(from);
        memcpy(shards_out[rank].digest.bytes, from + 8, CKPT_DIGEST_BYTES);
        shards_out[rank].node_count = 0;
    }
    return bytes == digests || /* of schema version 1 */
           decode_holders(blob + digests, blob + bytes, world, shards_out);
}
