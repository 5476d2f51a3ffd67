/* SPDX-License-Identifier: Apache-2.0 */
/* A shard becomes a file and its sidecar. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault_point.h"
#include "base/reason.h"
#include "tier/earlier.h"
#include "tier/name.h"
#include "tier/pace.h"
#include "tier/pass.h"
#include "tier/sidecar.h"
#include "tier/state.h"

/* One put on its way. */
struct put {
    struct tier *tier;
    const struct tier_backend *backend;
    struct tier_checkpoint_key key;
    struct tier_name folder;
    struct tier_name file;
    const struct tier_shard_source *source;
    struct tier_shard shard; /* as far as it is known */
    char *reason_out;
};

static enum ckpt_status write_sidecar(struct put *put)
{
    struct tier_name name = tier_name_in(&put->folder, tier_name_sidecar(put->shard.rank).text);
    char *text = sidecar_encode(&put->key, &put->shard);
    if (text == NULL) {
        return reason_refuse(put->reason_out, CKPT_ERR_MEMORY, "no memory for a sidecar");
    }
    FAULT_POINT(tier_before_sidecar);
    enum ckpt_status status = put->backend->store(put->tier->medium, name.text, text, strlen(text),
                                                  false, put->reason_out);
    free(text);
    return status;
}

/* The bytes, block by block: begun to be written, then digested while they are. */
static enum ckpt_status write_blocks(struct put *put, struct tier_writer *writer, struct pass *pass)
{
    const uint8_t *data = put->source->data;
    uint64_t left = put->source->bytes;
    do {
        size_t bytes = (size_t)(left < TIER_PUT_BYTES ? left : TIER_PUT_BYTES);
        enum ckpt_status status = pace_wait(put->tier, bytes, put->reason_out);
        if (status == CKPT_OK && bytes > 0) {
            status = put->backend->append(writer, data, bytes, true, put->reason_out);
        }
        if (status != CKPT_OK) {
            return status;
        }
        pass_chunk(pass, data, bytes);
        FAULT_POINT(tier_mid_shard);
        data += bytes;
        left -= bytes;
    } while (left > 0);
    return CKPT_OK;
}

/* Whether what was read is what is on record, and what is to be known of it. */
static enum ckpt_status judge(struct put *put, const struct pass *pass)
{
    struct digest proof;
    struct tier_shard *shard = &put->shard;
    const struct digest *committed = put->source->committed;
    pass_final(pass, &shard->blake3, &proof);
    shard->stored_bytes = shard->bytes;
    shard->stored_blake3 = shard->blake3;
    if (committed == NULL) {
        return CKPT_OK;
    }
    if (!digest_equal(&proof, committed)) {
        return reason_refuse(put->reason_out, CKPT_ERR_DIGEST,
                             "rank %" PRIu32 ": the bytes are not those that were committed",
                             shard->rank);
    }
    shard->proof = proof;
    shard->proof_id = digest_key_id(&put->source->key);
    shard->is_proven = true;
    return CKPT_OK;
}

static enum ckpt_status write_file(struct put *put)
{
    struct pass pass;
    struct tier_writer *writer;
    if (!pass_begin(&pass, put->tier->engine, put->source)) {
        pass_end(&pass);
        return reason_refuse(put->reason_out, CKPT_ERR_MEMORY, "no memory for a shard's values");
    }
    enum ckpt_status status = put->backend->begin(put->tier->medium, put->file.text,
                                                  put->source->bytes, &writer, put->reason_out);
    if (status == CKPT_OK) {
        status = write_blocks(put, writer, &pass);
        if (status == CKPT_OK) {
            status = judge(put, &pass);
        }
        if (status == CKPT_OK) {
            status = put->backend->end(writer, put->reason_out);
        } else {
            put->backend->discard(writer);
        }
    }
    pass_end(&pass);
    return status;
}

enum ckpt_status tier_put_shard(struct tier *tier, const struct shard_key *key,
                                const struct tier_shard_source *source,
                                struct tier_put_result *result_out, char *reason_out)
{
    struct put put = {
        .tier = tier,
        .backend = tier->medium->backend,
        .key = {.run = key->run, .attempt = key->attempt, .step = key->step},
        .source = source,
        .shard = {.rank = key->rank, .bytes = source->bytes},
        .reason_out = reason_out,
    };
    if (key->rank >= CKPT_WORLD_MAX || !tier_name_checkpoint(&put.key, &put.folder)) {
        return reason_refuse(reason_out, CKPT_ERR_NAME,
                             "run, step or rank of a shard is none that a file can have");
    }
    put.shard.encoding = TIER_ENCODING_NONE;
    put.file = tier_name_in(&put.folder, tier_name_shard(key->rank, put.shard.encoding).text);
    bool linked = earlier_link(tier, key, source, &put.shard);
    enum ckpt_status status = linked ? CKPT_OK : write_file(&put);
    if (status == CKPT_OK) {
        status = write_sidecar(&put);
    }
    if (status == CKPT_OK) {
        *result_out = (struct tier_put_result){.shard = put.shard, .is_linked = linked};
    }
    return status;
}
