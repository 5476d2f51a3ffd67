/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), as in RFC 3720 appendix B.4. It guards
 * frames and slot records against accidents; digests of shards are BLAKE3. Pure; any thread. */
#ifndef CKPT_BASE_CRC32C_H
#define CKPT_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of the bytes that gave crc followed by data; crc is 0 for the first piece. Uses the
 * CRC instruction of SSE4.2 where the processor has it. */
uint32_t crc32c(uint32_t crc, const void *data, size_t bytes);

/* The same number with no special instruction, four bits at a time. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t bytes);

#endif
