/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/root.h"

#include "base/bytes.h"

void tier_root_begin(struct tier_root *root)
{
    const struct digest_engine *engine = NULL;
    (void)digest_engine_select(NULL, &engine); /* which never fails */
    digest_stream_init(&root->stream, engine);
}

void tier_root_add(struct tier_root *root, uint32_t rank, uint64_t bytes,
                   const struct digest *blake3)
{
    uint8_t row[4 + 8 + DIGEST_CV_BYTES];
    store_le32(row, rank);
    store_le64(row + 4, bytes);
    memcpy(row + 12, blake3->bytes, DIGEST_CV_BYTES);
    digest_stream_update(&root->stream, row, sizeof(row));
}

void tier_root_final(const struct tier_root *root, struct digest *root_out)
{
    digest_stream_final(&root->stream, root_out);
}
