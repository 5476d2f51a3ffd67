/* SPDX-License-Identifier: Apache-2.0 */
/* One value over what agents told of all shards that they took to the tier. */
#include "coordinator/persist_root.h"

#include <assert.h>

#include "base/bytes.h"
#include "coordinator/shard.h"

void coordinator_persist_root(const struct coordinator *c, const struct checkpoint *k,
                              struct digest *root_out)
{
    assert(k->used && k->shards == k->world);
    struct digest_stream stream;
    digest_stream_init(&stream, digest_engine_plain());
    for (uint32_t rank = 0; rank < k->world; rank++) {
        const struct shard *s = coordinator_shard_find(c, k, rank);
        uint8_t sizes[4 + 8];
        assert(s != NULL);
        store_le32(sizes, rank);
        store_le64(sizes + 4, s->bytes);
        digest_stream_update(&stream, sizes, sizeof sizes);
        digest_stream_update(&stream, s->name.bytes, sizeof s->name.bytes);
    }
    digest_stream_final(&stream, root_out);
}
