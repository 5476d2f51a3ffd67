/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests and sidecars that anybody may have written. What is accepted must be what is written of
 * it again.
 *
 * The first byte chooses: even, the rest is a manifest; odd, a sidecar. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tier/manifest.h"
#include "tier/sidecar.h"

static char reason[CKPT_REASON_MAX + 1];

static void expect(int condition)
{
    if (!condition) {
        abort();
    }
}

static void try_manifest(const char *text, size_t bytes, const struct tier_checkpoint_key *key)
{
    struct tier_manifest *manifest = NULL;
    struct tier_manifest *again;
    if (manifest_decode(text, bytes, key, &manifest, reason) != CKPT_OK) {
        expect(manifest == NULL && reason[0] != '\0');
        return;
    }
    char *written = manifest_encode(manifest);
    expect(written != NULL);
    expect(manifest_decode(written, strlen(written), key, &again, reason) == CKPT_OK);
    expect(again->world == manifest->world && again->mark == manifest->mark);
    expect(digest_equal(&again->root, &manifest->root));
    tier_manifest_free(again);
    tier_manifest_free(manifest);
    free(written);
}

static void try_sidecar(const char *text, size_t bytes, const struct tier_checkpoint_key *key)
{
    struct tier_shard shard;
    struct tier_shard again;
    if (sidecar_decode(text, bytes, key, 0, &shard, reason) != CKPT_OK) {
        expect(reason[0] != '\0');
        return;
    }
    char *written = sidecar_encode(key, &shard);
    expect(written != NULL);
    expect(sidecar_decode(written, strlen(written), key, 0, &again, reason) == CKPT_OK);
    expect(again.bytes == shard.bytes && digest_equal(&again.blake3, &shard.blake3));
    expect(again.is_proven == shard.is_proven && again.proof_id == shard.proof_id);
    free(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const struct tier_checkpoint_key key = {
        .run = {.uid = 1000, .name = "team/llama"}, .attempt = 1, .step = 1};
    if (bytes < 2) {
        return 0;
    }
    char *text = malloc(bytes);
    memcpy(text, data + 1, bytes - 1);
    text[bytes - 1] = '\0';
    reason[0] = '\0';
    if (data[0] % 2 == 0) {
        try_manifest(text, bytes - 1, &key);
    } else {
        try_sidecar(text, bytes - 1, &key);
    }
    free(text);
    return 0;
}
