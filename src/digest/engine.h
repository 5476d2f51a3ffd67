/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine is, inside the room: the table of inner loops. */
#ifndef CKPT_DIGEST_ENGINE_H
#define CKPT_DIGEST_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest/blake3.h"
#include "digest/digest.h"
#include "digest/nh.h"
#include "digest/poly1305.h"

struct digest_engine {
    const char *name;
    bool (*supported)(void);

    /* The chaining values of count whole leaves that lie one after the other at data; the first is
     * leaf number leaf_index of its input. None of them is a root. */
    void (*leaves)(const uint8_t *data, size_t count, uint64_t leaf_index, uint8_t *cvs_out);

    /* The chaining values of count parents from 2 * count chaining values. None is a root. cvs_out
     * may be cvs: a result is written after all that lies there was read. */
    void (*parents)(const uint8_t *cvs, size_t count, uint8_t *cvs_out);

    /* Of fingerprints: NH of whole messages of 1 KiB (nh.h). */
    nh_messages *nh;
    poly1305_sixteen *sixteen; /* NULL: the polynomial is taken without vectors */
};

extern const struct digest_engine digest_engine_scalar;
#if defined(__x86_64__)
extern const struct digest_engine digest_engine_sse41;
extern const struct digest_engine digest_engine_avx2;
extern const struct digest_engine digest_engine_avx512;
#elif defined(__aarch64__)
extern const struct digest_engine digest_engine_neon;
#endif

/* The widest engine that this CPU runs. */
const struct digest_engine *digest_engine_widest(void);

#endif
