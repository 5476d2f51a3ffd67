/* SPDX-License-Identifier: Apache-2.0 */
/* Everything is read, and each file that is wrong is named. Changes nothing. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "tier/name.h"
#include "tier/pace.h"
#include "tier/sums.h"
#include "tier/walk.h"

#define READ_BYTES (4 * CKPT_MIB)

struct fsck {
    struct tier *tier;
    tier_fault_visit *visit;
    void *context;
    struct tier_fsck_result *result;
    uint8_t *buffer; /* READ_BYTES */
    char *reason_out;
};

static void fault(struct fsck *fsck, enum tier_fault_kind kind, const struct tier_name *folder,
                  const char *file, const char *format, ...) __attribute__((format(printf, 5, 6)));

static void fault(struct fsck *fsck, enum tier_fault_kind kind, const struct tier_name *folder,
                  const char *file, const char *format, ...)
{
    char line[CKPT_REASON_MAX + 1];
    char path[2 * TIER_NAME_SIZE];
    struct tier_name shown = tier_name_shown(file);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    snprintf(path, sizeof(path), "%s%s%s", folder->text, folder->text[0] != '\0' ? "/" : "",
             shown.text);
    fsck->result->faults += kind != TIER_FAULT_UNFINISHED && kind != TIER_FAULT_UNNAMED;
    fsck->visit(fsck->context, &(struct tier_fault){.kind = kind, .path = path, .line = line});
}

/* Whether a status is of the file that is looked at, and not of the tier as such. */
static bool is_of_file(enum ckpt_status status)
{
    return status == CKPT_ERR_CORRUPT || status == CKPT_ERR_VERSION ||
           status == CKPT_ERR_TOO_LARGE || status == CKPT_ERR_NOT_FOUND ||
           status == CKPT_ERR_DISK || status == CKPT_ERR_SIZE;
}

/* The BLAKE3 of a file of so many bytes as it lies there. */
static enum ckpt_status prove_file(struct fsck *fsck, const struct tier_name *name, uint64_t bytes,
                                   struct digest *digest_out, char *reason_out)
{
    struct digest_stream stream;
    enum ckpt_status status = CKPT_OK;
    digest_stream_init(&stream, fsck->tier->engine);
    for (uint64_t at = 0; at < bytes && status == CKPT_OK;) {
        size_t part = (size_t)(bytes - at < READ_BYTES ? bytes - at : READ_BYTES);
        status = pace_ask(fsck->tier, reason_out);
        if (status == CKPT_OK) {
            status = fsck->tier->medium->backend->read(fsck->tier->medium, name->text, at,
                                                       fsck->buffer, part, reason_out);
        }
        if (status == CKPT_OK) {
            digest_stream_update(&stream, fsck->buffer, part);
            fsck->result->bytes += part;
        }
        at += part;
    }
    digest_stream_final(&stream, digest_out);
    return status;
}

/* A shard's file against its row. */
static enum ckpt_status judge_shard(struct fsck *fsck, const struct tier_name *folder,
                                    const struct walk *walk, const struct tier_shard *shard)
{
    char reason[CKPT_REASON_MAX + 1];
    struct digest digest;
    struct tier_name file = tier_name_shard(shard->rank, shard->encoding);
    struct tier_name path = tier_name_in(folder, file.text);
    const struct walk_thing *thing = walk_find(walk, file.text);
    if (thing == NULL) {
        fault(fsck, TIER_FAULT_MISSING, folder, file.text, "the manifest's shard is not there");
        return CKPT_OK;
    }
    if (thing->thing != TIER_FILE) {
        return CKPT_OK; /* strange, and named as such */
    }
    if (thing->bytes != shard->stored_bytes) {
        fault(fsck, TIER_FAULT_SIZE, folder, file.text, "%" PRIu64 " bytes, not %" PRIu64,
              thing->bytes, shard->stored_bytes);
        return CKPT_OK;
    }
    enum ckpt_status status = prove_file(fsck, &path, thing->bytes, &digest, reason);
    if (status != CKPT_OK && !is_of_file(status)) {
        return reason_refuse(fsck->reason_out, status, "%s", reason);
    }
    if (status != CKPT_OK) {
        fault(fsck, TIER_FAULT_DIGEST, folder, file.text, "cannot be read: %s", reason);
    } else if (!digest_equal(&digest, &shard->stored_blake3)) {
        char hex[DIGEST_HEX_BYTES];
        digest_hex(&digest, hex);
        fault(fsck, TIER_FAULT_DIGEST, folder, file.text, "its BLAKE3 is %s, not the manifest's",
              hex);
    }
    return CKPT_OK;
}

/* A sidecar against its row. */
static enum ckpt_status judge_sidecar(struct fsck *fsck, const struct tier_name *folder,
                                      const struct tier_checkpoint_key *key,
                                      const struct tier_shard *row)
{
    char reason[CKPT_REASON_MAX + 1];
    struct tier_shard shard;
    struct tier_name file = tier_name_sidecar(row->rank);
    struct shard_key of = {
        .run = key->run, .attempt = key->attempt, .step = key->step, .rank = row->rank};
    enum ckpt_status status = tier_look_shard(fsck->tier, &of, &shard, reason);
    if (status != CKPT_OK && !is_of_file(status)) {
        return reason_refuse(fsck->reason_out, status, "%s", reason);
    }
    if (status == CKPT_ERR_NOT_FOUND) {
        fault(fsck, TIER_FAULT_MISSING, folder, file.text, "the sidecar is not there");
    } else if (status != CKPT_OK) {
        fault(fsck, TIER_FAULT_MANIFEST, folder, file.text, "%s", reason);
    } else if (shard.bytes != row->bytes || !digest_equal(&shard.blake3, &row->blake3)) {
        fault(fsck, TIER_FAULT_MANIFEST, folder, file.text, "it is not what the manifest has");
    }
    return CKPT_OK;
}

static enum ckpt_status judge_sums(struct fsck *fsck, const struct tier_name *folder,
                                   const struct tier_manifest *manifest)
{
    char reason[CKPT_REASON_MAX + 1];
    char *text;
    size_t bytes;
    char *wanted = sums_encode(manifest);
    if (wanted == NULL) {
        return reason_refuse(fsck->reason_out, CKPT_ERR_MEMORY, "no memory for " TIER_SUMS);
    }
    enum ckpt_status status =
        fsck->tier->medium->backend->load(fsck->tier->medium, tier_name_in(folder, TIER_SUMS).text,
                                          strlen(wanted), &text, &bytes, reason);
    if (status == CKPT_ERR_NOT_FOUND) {
        fault(fsck, TIER_FAULT_MISSING, folder, TIER_SUMS, "it is not there");
    } else if (status != CKPT_OK && !is_of_file(status)) {
        free(wanted);
        return reason_refuse(fsck->reason_out, status, "%s", reason);
    } else if (status != CKPT_OK || strcmp(text, wanted) != 0) {
        fault(fsck, TIER_FAULT_DIGEST, folder, TIER_SUMS, "it is not what the manifest has");
    }
    if (status == CKPT_OK) {
        free(text);
    }
    free(wanted);
    return CKPT_OK;
}

/* What of a checkpoint's folder the manifest does not speak of. */
static void judge_things(struct fsck *fsck, const struct tier_name *folder, const struct walk *walk,
                         const struct tier_manifest *manifest)
{
    for (size_t i = 0; i < walk->count; i++) {
        uint32_t rank;
        bool is_sidecar;
        enum tier_encoding encoding;
        const struct walk_thing *thing = &walk->things[i];
        bool is_named =
            strcmp(thing->name, TIER_SUMS) == 0 || strcmp(thing->name, TIER_MANIFEST) == 0;
        bool is_rank = tier_name_read_rank(thing->name, &rank, &is_sidecar, &encoding);
        if (thing->thing != TIER_FILE) {
            fault(fsck, TIER_FAULT_STRANGE, folder, thing->name, "it is no file");
        } else if (!is_named && !is_rank) {
            fault(fsck, TIER_FAULT_STRANGE, folder, thing->name, "no file of ours has this name");
        } else if (is_rank && manifest != NULL &&
                   (rank >= manifest->world ||
                    (!is_sidecar && encoding != manifest->shards[rank].encoding))) {
            fault(fsck, TIER_FAULT_STRANGE, folder, thing->name,
                  "the manifest does not speak of it");
        }
        fsck->result->files++;
    }
}

static enum ckpt_status judge_whole(struct fsck *fsck, const struct tier_name *folder,
                                    const struct walk *walk, const struct tier_manifest *manifest)
{
    enum ckpt_status status = judge_sums(fsck, folder, manifest);
    for (uint32_t rank = 0; rank < manifest->world && status == CKPT_OK; rank++) {
        status = judge_shard(fsck, folder, walk, &manifest->shards[rank]);
        if (status == CKPT_OK) {
            status = judge_sidecar(fsck, folder, &manifest->key, &manifest->shards[rank]);
        }
    }
    return status;
}

static enum ckpt_status judge_checkpoint(struct fsck *fsck, const struct tier_checkpoint_key *key)
{
    char reason[CKPT_REASON_MAX + 1];
    struct walk walk;
    struct tier_name folder;
    struct tier_manifest *manifest = NULL;
    if (!tier_name_checkpoint(key, &folder)) {
        return CKPT_OK; /* its name was read from a list, and is one */
    }
    enum ckpt_status status = walk_begin(fsck->tier, folder.text, &walk, fsck->reason_out);
    if (status != CKPT_OK) {
        walk_end(&walk);
        return status == CKPT_ERR_NOT_FOUND ? CKPT_OK : status;
    }
    fsck->result->checkpoints++;
    status = tier_read_manifest(fsck->tier, key, &manifest, reason);
    judge_things(fsck, &folder, &walk, manifest);
    if (status == CKPT_ERR_NOT_FOUND) {
        fault(fsck, TIER_FAULT_UNFINISHED, &folder, "", "no manifest: it is no checkpoint");
    } else if (is_of_file(status)) {
        fault(fsck, TIER_FAULT_MANIFEST, &folder, TIER_MANIFEST, "%s", reason);
    } else if (status != CKPT_OK) {
        walk_end(&walk);
        return reason_refuse(fsck->reason_out, status, "%s", reason);
    }
    status = manifest != NULL ? judge_whole(fsck, &folder, &walk, manifest) : CKPT_OK;
    tier_manifest_free(manifest);
    walk_end(&walk);
    return status;
}

static enum ckpt_status judge_run(struct fsck *fsck, const struct run_key *run)
{
    struct walk walk;
    struct tier_name folder;
    if (!tier_name_run(run, &folder)) {
        return reason_refuse(fsck->reason_out, CKPT_ERR_NAME, "no folder can have this run's name");
    }
    enum ckpt_status status = walk_begin(fsck->tier, folder.text, &walk, fsck->reason_out);
    for (size_t i = 0; i < walk.count && status == CKPT_OK; i++) {
        struct tier_checkpoint_key key = {.run = *run};
        if (walk.things[i].thing == TIER_FOLDER &&
            tier_name_read_checkpoint(walk.things[i].name, &key)) {
            status = judge_checkpoint(fsck, &key);
        } else {
            fault(fsck, TIER_FAULT_STRANGE, &folder, walk.things[i].name,
                  "no checkpoint of ours has this name");
        }
    }
    walk_end(&walk);
    return status;
}

static enum ckpt_status show_unnamed(struct fsck *fsck)
{
    struct walk walk;
    struct tier_name folder = {TIER_INCOMING};
    enum ckpt_status status = walk_begin(fsck->tier, folder.text, &walk, fsck->reason_out);
    for (size_t i = 0; i < walk.count; i++) {
        fault(fsck, TIER_FAULT_UNNAMED, &folder, walk.things[i].name,
              "a put is under way, or was cut off: a start of ckptd removes it in time");
    }
    walk_end(&walk);
    return status;
}

static enum ckpt_status judge_all(struct fsck *fsck)
{
    struct walk walk;
    struct tier_name top = {""};
    enum ckpt_status status = walk_begin(fsck->tier, "", &walk, fsck->reason_out);
    for (size_t i = 0; i < walk.count && status == CKPT_OK; i++) {
        struct run_key run;
        const struct walk_thing *thing = &walk.things[i];
        if (thing->thing == TIER_FOLDER && tier_name_read_run(thing->name, &run)) {
            status = judge_run(fsck, &run);
        } else if (thing->thing == TIER_FOLDER && strcmp(thing->name, TIER_INCOMING) == 0) {
            status = show_unnamed(fsck);
        } else {
            fault(fsck, TIER_FAULT_STRANGE, &top, thing->name, "no run of ours has this name");
        }
    }
    walk_end(&walk);
    return status;
}

enum ckpt_status tier_fsck(struct tier *tier, const struct run_key *run, tier_fault_visit *visit,
                           void *context, struct tier_fsck_result *result_out, char *reason_out)
{
    struct fsck fsck = {.tier = tier,
                        .visit = visit,
                        .context = context,
                        .result = result_out,
                        .buffer = malloc(READ_BYTES),
                        .reason_out = reason_out};
    *result_out = (struct tier_fsck_result){0};
    if (fsck.buffer == NULL) {
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory to read shards into");
    }
    enum ckpt_status status = run != NULL ? judge_run(&fsck, run) : judge_all(&fsck);
    free(fsck.buffer);
    return status;
}
