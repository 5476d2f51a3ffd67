/* SPDX-License-Identifier: Apache-2.0 */
#include "digest/key.h"

#include "base/bytes.h"

uint64_t digest_key_id(const struct digest_key *key)
{
    uint8_t id[8];
    uint64_t number;

    if (key->kind != DIGEST_KIND_FINGERPRINT) {
        return DIGEST_KEY_ID_BLAKE3;
    }
    digest_derive("ckptd fingerprint 1: id", key->secret.bytes, id, sizeof(id));
    number = load_le64(id);
    return number == DIGEST_KEY_ID_BLAKE3 ? 1 : number;
}

const char *digest_kind_name(enum digest_kind kind)
{
    switch (kind) {
    case DIGEST_KIND_UNKNOWN:
        break;
    case DIGEST_KIND_BLAKE3:
        return "blake3";
    case DIGEST_KIND_FINGERPRINT:
        return "fingerprint";
    }
    return "unknown";
}
