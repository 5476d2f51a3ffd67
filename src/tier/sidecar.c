/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/sidecar.h"

#include <inttypes.h>
#include <string.h>

#include "base/reason.h"
#include "tier/row.h"

#define FORMAT "ckptd-shard"
#define VERSION 1

char *sidecar_encode(const struct tier_checkpoint_key *key, const struct tier_shard *shard)
{
    json_t *object = json_pack("{s:s,s:i}", "format", FORMAT, "version", VERSION);
    json_t *row = row_make(shard);
    char *text = NULL;
    if (object != NULL && row != NULL && row_put_key(object, key) &&
        json_object_update(object, row) == 0) {
        text = json_dumps(object, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    }
    json_decref(row);
    json_decref(object);
    return text;
}

enum ckpt_status sidecar_decode(const char *text, size_t bytes,
                                const struct tier_checkpoint_key *key, uint32_t rank,
                                struct tier_shard *shard_out, char *reason_out)
{
    json_t *object;
    uint64_t version;
    struct tier_checkpoint_key found;
    struct tier_shard shard;
    enum ckpt_status status = row_parse("sidecar", text, bytes, &object, reason_out);
    if (status != CKPT_OK) {
        return status;
    }
    const char *format = json_string_value(json_object_get(object, "format"));
    if (format == NULL || strcmp(format, FORMAT) != 0 ||
        !row_number(object, "version", UINT32_MAX, &version)) {
        status = reason_refuse(reason_out, CKPT_ERR_CORRUPT, "sidecar: format is not " FORMAT);
    } else if (version != VERSION) {
        status = reason_refuse(reason_out, CKPT_ERR_VERSION,
                               "sidecar: version %" PRIu64 " is of a later ckptd", version);
    } else if (!row_read_key(object, &found)) {
        status = reason_refuse(reason_out, CKPT_ERR_CORRUPT,
                               "sidecar: uid, run, step or attempt is missing or is none");
    } else {
        status = row_read(object, &shard, reason_out);
    }
    json_decref(object);
    if (status != CKPT_OK) {
        return status;
    }
    if (!run_key_equal(&found.run, &key->run) || found.step != key->step ||
        found.attempt != key->attempt || shard.rank != rank) {
        return reason_refuse(reason_out, CKPT_ERR_CORRUPT,
                             "sidecar: it is of run %s (uid %" PRIu32 ") step %" PRIu64
                             " attempt %" PRIu32 " rank %" PRIu32,
                             found.run.name, found.run.uid, found.step, found.attempt, shard.rank);
    }
    *shard_out = shard;
    return CKPT_OK;
}
