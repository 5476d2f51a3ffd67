/* SPDX-License-Identifier: Apache-2.0 */
/* A library that is not the kernels': of another version, without a function, or for a device that
 * has no code in it. */
#include "kernels/kernels.h"

uint32_t kernels_version(void)
{
#ifdef FAKE_VERSION
    return KERNELS_VERSION + 1;
#else
    return KERNELS_VERSION;
#endif
}

#ifdef FAKE_DEVICE
int kernels_ready(void)
{
    return 209;
}

const char *kernels_error_text(int error)
{
    return error == 209 ? "no kernel image" : "?";
}

int kernels_blake3(const void *data, uint64_t bytes, uint64_t first_chunk, uint64_t shard_bytes,
                   void *cvs_out, void *stream)
{
    (void)data, (void)bytes, (void)first_chunk, (void)shard_bytes, (void)cvs_out, (void)stream;
    return 209;
}

int kernels_fingerprint(const struct kernels_key *key, const void *data, uint64_t bytes,
                        void *values_out, const struct kernels_scan *scan, void *stream)
{
    (void)key, (void)data, (void)bytes, (void)values_out, (void)scan, (void)stream;
    return 209;
}

int kernels_gather(const struct kernels_tensor *tensors, uint64_t count, uint64_t place,
                   uint64_t bytes, void *region_out, void *stream)
{
    (void)tensors, (void)count, (void)place, (void)bytes, (void)region_out, (void)stream;
    return 209;
}

int kernels_scatter(const struct kernels_tensor *tensors, uint64_t count, uint64_t place,
                    uint64_t bytes, const void *region, void *stream)
{
    (void)tensors, (void)count, (void)place, (void)bytes, (void)region, (void)stream;
    return 209;
}

int kernels_finite(const struct kernels_tensor *tensors, uint64_t count, uint64_t place,
                   uint64_t bytes, struct kernels_counts *counts, void *stream)
{
    (void)tensors, (void)count, (void)place, (void)bytes, (void)counts, (void)stream;
    return 209;
}

int kernels_changed(const void *values, const void *before, uint32_t value_bytes, uint64_t count,
                    uint32_t *bits_out, void *stream)
{
    (void)values, (void)before, (void)value_bytes, (void)count, (void)bits_out, (void)stream;
    return 209;
}
#endif
