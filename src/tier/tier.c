/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/tier.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/reason.h"
#include "tier/memory.h"
#include "tier/posix.h"
#if CKPT_TIER_S3
#include "tier/s3.h"
#endif
#include "tier/state.h"

#define STALE_MS (24 * 3600 * 1000)

static const struct tier_backend *const backends[] = {
    &tier_memory,
    &tier_posix,
#if CKPT_TIER_S3
    &tier_s3,
#endif
};
#define BACKENDS (sizeof(backends) / sizeof(backends[0]))

/* The backend that text names, and what it is to open. */
static const struct tier_backend *find(const char *text, const char **location_out)
{
    if (text[0] == '/') {
        *location_out = text;
        return &tier_posix;
    }
    for (size_t i = 0; i < BACKENDS; i++) {
        size_t length = strlen(backends[i]->scheme);
        if (strncmp(text, backends[i]->scheme, length) == 0 && text[length] == ':') {
            *location_out = text + length + 1;
            return backends[i];
        }
    }
    return NULL;
}

static bool set_defaults(struct tier_options *options)
{
    options->depth = options->depth > 0 ? options->depth : 8;
    options->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : 30000;
    options->stale_ms = options->stale_ms > 0 ? options->stale_ms : STALE_MS;
    struct incarnation *life = &options->incarnation;
    return !incarnation_is_zero(life) ||
           getrandom(life->bytes, sizeof(life->bytes), 0) == (ssize_t)sizeof(life->bytes);
}

enum ckpt_status tier_open(const char *text, const struct tier_options *options,
                           struct tier **tier_out, char *reason_out)
{
    const char *location;
    const struct tier_backend *backend = find(text, &location);
    if (backend == NULL && strncmp(text, "s3:", 3) == 0) {
        return reason_refuse(reason_out, CKPT_ERR_CONFIG,
                             "tier '%.100s': this build has no s3 (it found no libcurl or expat)",
                             text);
    }
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
    if (!set_defaults(&tier->options)) {
        free(tier);
        return reason_refuse(reason_out, CKPT_ERR_SYSTEM, "no random numbers for a name");
    }
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
