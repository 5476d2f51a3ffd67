/* SPDX-License-Identifier: Apache-2.0 */
/* Which engines this build has and which of them this CPU runs. */
#include "digest/engine.h"

#include <string.h>

static const struct digest_engine *const engines[] = {
    &digest_engine_scalar,
#if defined(__x86_64__)
    &digest_engine_sse41,
    &digest_engine_avx2,
    &digest_engine_avx512,
#elif defined(__aarch64__)
    &digest_engine_neon,
#endif
};

size_t digest_engine_count(void)
{
    return sizeof(engines) / sizeof(engines[0]);
}

const struct digest_engine *digest_engine_at(size_t i)
{
    return i < digest_engine_count() ? engines[i] : NULL;
}

const char *digest_engine_name(const struct digest_engine *engine)
{
    return engine->name;
}

const struct digest_engine *digest_engine_by_name(const char *name)
{
    for (size_t i = 0; i < digest_engine_count(); i++) {
        if (strcmp(engines[i]->name, name) == 0) {
            return engines[i];
        }
    }
    return NULL;
}

bool digest_engine_supported(const struct digest_engine *engine)
{
    return engine->supported();
}

const struct digest_engine *digest_engine_widest(void)
{
    size_t i = digest_engine_count() - 1;

    while (!engines[i]->supported()) {
        i--; /* ends at the first, which runs everywhere */
    }
    return engines[i];
}

enum ckpt_status digest_engine_select(const char *name, const struct digest_engine **engine_out)
{
    const struct digest_engine *engine =
        name == NULL ? digest_engine_widest() : digest_engine_by_name(name);

    if (engine == NULL) {
        return CKPT_ERR_NOT_FOUND;
    }
    if (!engine->supported()) {
        return CKPT_ERR_CONFIG;
    }
    *engine_out = engine;
    return CKPT_OK;
}
