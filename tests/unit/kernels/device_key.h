/* SPDX-License-Identifier: Apache-2.0 */
/* A key of fingerprints, for the host and for the kernels. Tests alone. */
#ifndef CKPT_TESTS_DEVICE_KEY_H
#define CKPT_TESTS_DEVICE_KEY_H

#include <string.h>

#include "digest/fingerprint.h"
#include "kernels/kernels.h"
#include "unit/kernels/cpu_run.h"
#include "unit/kernels/device_memory.h"

static inline void device_key_make(uint32_t seed, struct fingerprint_key *key_out,
                                   struct kernels_key *device_out)
{
    uint8_t secret[FINGERPRINT_SECRET_BYTES];

    device_memory_fill(secret, sizeof(secret), seed);
    fingerprint_key_derive(secret, key_out);
    _Static_assert(sizeof(key_out->words) == sizeof(device_out->words), "the same words");
    memcpy(device_out->words, key_out->words, sizeof(key_out->words));
    memcpy(device_out->r, key_out->poly.powers[0], sizeof(device_out->r));
}

#endif
