/* SPDX-License-Identifier: Apache-2.0 */
/* fingerprint_main SECRET < BYTES: prints the key's id, the value of each chunk and the
 * fingerprint, by each engine that this CPU runs, for who computes them in another way. SECRET is
 * 64 digits. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "digest/fingerprint.h"
#include "digest/key.h"

#define BYTES_MAX (4 * CKPT_CHUNK_BYTES)

static void print_hex(const uint8_t *bytes, size_t count)
{
    char hex[2 * DIGEST_CV_BYTES + 1];

    hex_encode(bytes, count, hex);
    printf(" %s", hex);
}

static void by_engine(const struct digest_engine *engine, const struct fingerprint_key *key,
                      uint64_t id, const uint8_t *data, size_t bytes)
{
    uint64_t count = digest_chunk_count(bytes);
    struct digest fingerprint;

    printf("%s %016" PRIx64, digest_engine_name(engine), id);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t value[FINGERPRINT_VALUE_BYTES];

        if (fingerprint_chunk(engine, key, data + i * CKPT_CHUNK_BYTES,
                              (size_t)digest_chunk_bytes(i, bytes), value) != CKPT_OK) {
            abort();
        }
        print_hex(value, sizeof(value));
    }
    fingerprint_bytes(engine, key, data, bytes, &fingerprint);
    print_hex(fingerprint.bytes, sizeof(fingerprint.bytes));
    printf("\n");
}

int main(int argc, char **argv)
{
    struct digest_key id_of = {.kind = DIGEST_KIND_FINGERPRINT};
    uint8_t *secret = id_of.secret.bytes;
    uint8_t *data = malloc(BYTES_MAX);
    struct fingerprint_key key;
    size_t bytes;

    if (argc != 2 || strlen(argv[1]) != 2 * sizeof(id_of.secret) || data == NULL) {
        fprintf(stderr, "usage: fingerprint_main SECRET < BYTES\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof(id_of.secret); i++) {
        char digits[3] = {argv[1][2 * i], argv[1][2 * i + 1], '\0'};

        secret[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    bytes = fread(data, 1, BYTES_MAX, stdin);
    fingerprint_key_derive(secret, &key);
    for (size_t i = 0; i < digest_engine_count(); i++) {
        if (digest_engine_supported(digest_engine_at(i))) {
            by_engine(digest_engine_at(i), &key, digest_key_id(&id_of), data, bytes);
        }
    }
    free(data);
    return 0;
}
