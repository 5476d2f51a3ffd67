/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/sums.h"

#include <stdio.h>
#include <stdlib.h>

#include "tier/name.h"

/* "64 digits  rank-00000.safetensors\n" */
#define LINE_BYTES (DIGEST_HEX_BYTES - 1 + 2 + 64)

char *sums_encode(const struct tier_manifest *manifest)
{
    size_t at = 0;
    size_t size = (size_t)manifest->world * LINE_BYTES + 1;
    char *text = malloc(size);
    for (uint32_t rank = 0; text != NULL && rank < manifest->world; rank++) {
        char hex[DIGEST_HEX_BYTES];
        digest_hex(&manifest->shards[rank].stored_blake3, hex);
        at += (size_t)snprintf(text + at, size - at, "%s  %s\n", hex,
                               tier_name_shard(rank, manifest->shards[rank].encoding).text);
    }
    return text;
}
