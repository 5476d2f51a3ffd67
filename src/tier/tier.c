/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/tier.h"

#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "tier/memory.h"
#include "tier/state.h"

static const struct tier_backend *const backends[] = {&tier_memory};
#define BACKENDS (sizeof(backends) / sizeof(backends[0]))

/* The backend that text names, and what it is to open. */
static const struct tier_backend *find(const char *text, const char **location_out)
{
    for (size_t i = 0; i < BACKENDS; i++) {
        size_t length = strlen(backends[i]->scheme);
        if (strncmp(text, backends[i]->scheme, length) == 0 && text[length] == ':') {
            *location_out = text + length + 1;
            return backends[i];
        }
    }
    return NULL;
}

enum ckpt_status tier_open(const char *text, const struct tier_options *options,
                           struct tier **tier_out, char *reason_out)
{
    const char *location;
    const struct tier_backend *backend = find(text, &location);
    if (backend == NULL) {
        return reason_refuse(
            reason_out, CKPT_ERR_CONFIG,
            "tier '%.100s' is none of posix:/PATH, s3://BUCKET/PREFIX, memory:", text);
    }
    struct tier *tier = calloc(1, sizeof(*tier));
    if (tier == NULL) {
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory for a tier");
    }
    tier->options = options != NULL ? *options : (struct tier_options){0};
    tier->options.depth = tier->options.depth > 0 ? tier->options.depth : 8;
    tier->options.timeout_ms = tier->options.timeout_ms > 0 ? tier->options.timeout_ms : 30000;
    tier->options.zstd_level = tier->options.zstd_level > 0 ? tier->options.zstd_level : 1;
    atomic_init(&tier->bytes_per_second, tier->options.bytes_per_second);
    (void)digest_engine_select(NULL, &tier->engine); /* which never fails */
    enum ckpt_status status = backend->open(location, &tier->options, &tier->medium, reason_out);
    if (status != CKPT_OK) {
        free(tier);
        return status;
    }
    *tier_out = tier;
    return CKPT_OK;
}

void tier_close(struct tier **tier)
{
    if (tier != NULL && *tier != NULL) {
        (*tier)->medium->backend->close((*tier)->medium);
        free(*tier);
        *tier = NULL;
    }
}

void tier_set_pace(struct tier *tier, uint64_t bytes_per_second)
{
    atomic_store_explicit(&tier->bytes_per_second, bytes_per_second, memory_order_relaxed);
}
