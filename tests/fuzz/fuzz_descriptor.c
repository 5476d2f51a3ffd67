/* SPDX-License-Identifier: Apache-2.0 */
/* Region descriptors and transport addresses: what decodes is within its bytes and encodes to the
 * same bytes; what does not leaves its output alone. The checksum is mended first, or hardly any
 * input would reach what lies behind it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "transport/label.h"
#include "transport/ucx/hosts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_hosts(const struct label *label)
{
    struct hosts hosts;
    struct sockaddr_storage address;
    uint8_t out[HOSTS_BYTES_MAX];

    if (hosts_decode(label->payload, label->payload_bytes, &hosts) != CKPT_OK) {
        return;
    }
    if (hosts_encode(&hosts, out) != label->payload_bytes ||
        memcmp(out, label->payload, label->payload_bytes) != 0 ||
        hosts_choose(&hosts, &hosts, &address) > sizeof(address)) {
        abort();
    }
}

static void check(const uint8_t *bytes, size_t count)
{
    static const enum label_kind kinds[] = {LABEL_REGION, LABEL_ADDRESS};
    static const enum label_backend backends[] = {LABEL_LOOP, LABEL_UCX, LABEL_VERBS};

    for (size_t i = 0; i < 6; i++) {
        struct label label;
        uint8_t *out;
        size_t out_bytes = 0;
        if (label_decode(bytes, count, kinds[i % 2], backends[i / 2], &label) != CKPT_OK) {
            continue;
        }
        if (label.payload < bytes || label.payload + label.payload_bytes != bytes + count) {
            abort();
        }
        out = malloc(count);
        if (label_encode(&label, out, count, &out_bytes) != CKPT_OK || out_bytes != count ||
            memcmp(out, bytes, count) != 0) {
            abort();
        }
        free(out);
        check_hosts(&label);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *mended;

    check(data, size);
    if (size >= LABEL_HEADER_BYTES && size <= CKPT_WORKER_ADDRESS_MAX) {
        /* Of exactly this size, so that the sanitizer sees a read beyond it. */
        mended = malloc(size);
        memcpy(mended, data, size);
        store_le32(mended + 44, crc32c(crc32c(0, data, 44), data + LABEL_HEADER_BYTES,
                                       size - LABEL_HEADER_BYTES));
        check(mended, size);
        free(mended);
    }
    return 0;
}
