/* SPDX-License-Identifier: Apache-2.0 */
/* What the slot record decoder accepts is canonical: it encodes to the same bytes, but for the
 * number of an earlier version. The input's last four bytes are replaced by the right checksum when
 * its first bit is set, so that the fuzzer gets past it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arena/record.h"
#include "base/crc32c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VERSION_AT = 4, VERSION_BYTES = 4 };

static void put_crc(uint8_t bytes[ARENA_RECORD_BYTES])
{
    uint32_t crc = crc32c(0, bytes, ARENA_RECORD_BYTES - 4);
    for (size_t i = 0; i < 4; i++) {
        bytes[ARENA_RECORD_BYTES - 4 + i] = (uint8_t)(crc >> 8 * i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct slot_record record;
    uint64_t sequence;
    uint8_t bytes[ARENA_RECORD_BYTES] = {0};
    size_t n = size - 1;
    if ((data[0] & 1) == 0) {
        (void)arena_record_decode(data + 1, n, &record, &sequence);
        return 0;
    }
    memcpy(bytes, data + 1, n < sizeof bytes - 4 ? n : sizeof bytes - 4);
    put_crc(bytes);
    if (arena_record_decode(bytes, sizeof bytes, &record, &sequence) == CKPT_OK) {
        uint8_t again[ARENA_RECORD_BYTES];
        if (arena_record_encode(&record, sequence, again) != CKPT_OK) {
            abort();
        }
        memcpy(again + VERSION_AT, bytes + VERSION_AT, VERSION_BYTES);
        put_crc(again);
        if (memcmp(bytes, again, sizeof bytes) != 0) {
            abort();
        }
    }
    return 0;
}
