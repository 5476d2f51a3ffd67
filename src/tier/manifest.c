/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "tier/root.h"
#include "tier/row.h"

#define FORMAT "ckptd-checkpoint"
#define VERSION 1

static const char *const marks[] = {
    [MARK_NONE] = "none",
    [MARK_HEALTHY] = "healthy",
    [MARK_POISONED] = "poisoned",
};

static bool mark_from_name(const char *name, enum checkpoint_mark *mark_out)
{
    for (size_t i = 0; name != NULL && i < sizeof(marks) / sizeof(marks[0]); i++) {
        if (strcmp(name, marks[i]) == 0) {
            *mark_out = (enum checkpoint_mark)i;
            return true;
        }
    }
    return false;
}

static json_t *make_head(const struct tier_manifest *manifest)
{
    char cluster[NONCE_HEX_SIZE];
    nonce_hex(&manifest->cluster, cluster);
    json_t *object = json_pack("{s:s,s:i,s:s,s:s,s:I}", "format", FORMAT, "version", VERSION,
                               "made_by", "ckptd " CKPT_VERSION, "cluster", cluster, "made_ms",
                               (json_int_t)manifest->made_ms);
    json_t *rest = json_pack("{s:I,s:I,s:s,s:o}", "world", (json_int_t)manifest->world, "copies",
                             (json_int_t)manifest->copies, "mark", marks[manifest->mark], "root",
                             row_digest_make(&manifest->root));
    bool made = object != NULL && rest != NULL && row_put_key(object, &manifest->key) &&
                json_object_update(object, rest) == 0;
    json_decref(rest);
    if (!made) {
        json_decref(object);
        return NULL;
    }
    return object;
}

char *manifest_encode(const struct tier_manifest *manifest)
{
    json_t *object = make_head(manifest);
    json_t *shards = json_array();
    bool made = object != NULL && shards != NULL;
    for (uint32_t rank = 0; rank < manifest->world && made; rank++) {
        made = json_array_append_new(shards, row_make(&manifest->shards[rank])) == 0;
    }
    made = made && json_object_set(object, "shards", shards) == 0;
    char *text = made ? json_dumps(object, JSON_INDENT(2) | JSON_ENSURE_ASCII) : NULL;
    json_decref(shards);
    json_decref(object);
    return text;
}

void tier_manifest_free(struct tier_manifest *manifest)
{
    if (manifest != NULL) {
        free(manifest->shards);
        free(manifest);
    }
}

/* Everything but the rows. */
static enum ckpt_status read_head(const json_t *object, struct tier_manifest *manifest,
                                  char *reason_out)
{
    uint64_t version;
    uint64_t world;
    uint64_t copies;
    const char *format = json_string_value(json_object_get(object, "format"));
    const char *made_by = json_string_value(json_object_get(object, "made_by"));
    const char *cluster = json_string_value(json_object_get(object, "cluster"));
    if (format == NULL || strcmp(format, FORMAT) != 0 ||
        !row_number(object, "version", UINT32_MAX, &version)) {
        return reason_refuse(reason_out, CKPT_ERR_CORRUPT, "manifest: format is not " FORMAT);
    }
    if (version != VERSION) {
        return reason_refuse(reason_out, CKPT_ERR_VERSION,
                             "manifest: version %" PRIu64 " is of a later ckptd", version);
    }
    if (!row_read_key(object, &manifest->key)) {
        return reason_refuse(reason_out, CKPT_ERR_CORRUPT,
                             "manifest: uid, run, step or attempt is missing or is none");
    }
    if (!row_number(object, "world", CKPT_WORLD_MAX, &world) || world == 0 ||
        !row_number(object, "copies", CKPT_COPIES_MAX, &copies) ||
        !row_number(object, "made_ms", INT64_MAX, &manifest->made_ms) ||
        !row_digest(object, "root", &manifest->root) || made_by == NULL || cluster == NULL ||
        strlen(cluster) != NONCE_HEX_SIZE - 1 ||
        !mark_from_name(json_string_value(json_object_get(object, "mark")), &manifest->mark)) {
        return reason_refuse(reason_out, CKPT_ERR_CORRUPT,
                             "manifest: world, copies, mark, made_by, made_ms, cluster or root is "
                             "missing or is none");
    }
    manifest->world = (uint32_t)world;
    manifest->copies = (uint32_t)copies;
    /* All zeros, which nonce_from_hex() refuses, is of a cluster that has no id. */
    (void)nonce_from_hex(cluster, &manifest->cluster);
    snprintf(manifest->made_by, sizeof(manifest->made_by), "%s", made_by);
    return CKPT_OK;
}

static enum ckpt_status read_rows(const json_t *object, struct tier_manifest *manifest,
                                  char *reason_out)
{
    struct tier_root root;
    struct digest found;
    const json_t *rows = json_object_get(object, "shards");
    if (json_array_size(rows) != manifest->world) {
        return reason_refuse(reason_out, CKPT_ERR_CORRUPT,
                             "manifest: %zu shards for a world of %" PRIu32, json_array_size(rows),
                             manifest->world);
    }
    manifest->shards = calloc(manifest->world, sizeof(*manifest->shards));
    if (manifest->shards == NULL) {
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory for a manifest");
    }
    tier_root_begin(&root);
    for (uint32_t rank = 0; rank < manifest->world; rank++) {
        struct tier_shard *shard = &manifest->shards[rank];
        enum ckpt_status status = row_read(json_array_get(rows, rank), shard, reason_out);
        if (status != CKPT_OK) {
            return status;
        }
        if (shard->rank != rank) {
            return reason_refuse(reason_out, CKPT_ERR_CORRUPT,
                                 "manifest: rank %" PRIu32 " stands where rank %" PRIu32 " belongs",
                                 shard->rank, rank);
        }
        tier_root_add(&root, rank, shard->bytes, &shard->blake3);
    }
    tier_root_final(&root, &found);
    if (!digest_equal(&found, &manifest->root)) {
        return reason_refuse(reason_out, CKPT_ERR_CORRUPT,
                             "manifest: its shards do not have its root");
    }
    return CKPT_OK;
}

static bool same_checkpoint(const struct tier_checkpoint_key *a,
                            const struct tier_checkpoint_key *b)
{
    return a->step == b->step && a->attempt == b->attempt && run_key_equal(&a->run, &b->run);
}

enum ckpt_status manifest_decode(const char *text, size_t bytes,
                                 const struct tier_checkpoint_key *key,
                                 struct tier_manifest **manifest_out, char *reason_out)
{
    json_t *object;
    enum ckpt_status status = row_parse("manifest", text, bytes, &object, reason_out);
    if (status != CKPT_OK) {
        return status;
    }
    struct tier_manifest *manifest = calloc(1, sizeof(*manifest));
    if (manifest == NULL) {
        json_decref(object);
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory for a manifest");
    }
    status = read_head(object, manifest, reason_out);
    if (status == CKPT_OK && !same_checkpoint(&manifest->key, key)) {
        status = reason_refuse(reason_out, CKPT_ERR_CORRUPT,
                               "manifest: it is of run %s (uid %" PRIu32 ") step %" PRIu64
                               " attempt %" PRIu32,
                               manifest->key.run.name, manifest->key.run.uid, manifest->key.step,
                               manifest->key.attempt);
    }
    if (status == CKPT_OK) {
        status = read_rows(object, manifest, reason_out);
    }
    json_decref(object);
    if (status != CKPT_OK) {
        tier_manifest_free(manifest);
        return status;
    }
    *manifest_out = manifest;
    return CKPT_OK;
}
