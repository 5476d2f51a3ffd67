/* SPDX-License-Identifier: Apache-2.0 */
/* The official vectors, every count of leaves and parents, and fingerprints, by the engines of an
 * arm64 build, in a program that needs no test library for that machine. Run by neon.sh. */
#include <stdio.h>
#include <string.h>

#include "digest/engine.h"
#include "digest/fingerprint.h"
#include "unit/digest/test_vectors.h"

#define INPUT_BYTES 102400
#define COUNT_MAX 40

static uint8_t input[INPUT_BYTES];

static int check_vectors(const struct digest_engine *engine)
{
    int wrong = 0;

    for (size_t i = 0; i < sizeof(test_vectors) / sizeof(test_vectors[0]); i++) {
        struct digest digest;
        char hex[DIGEST_HEX_BYTES];

        digest_bytes(engine, input, test_vectors[i].bytes, &digest);
        digest_hex(&digest, hex);
        if (strcmp(hex, test_vectors[i].hex) != 0) {
            printf("%s: wrong digest of %zu bytes\n", engine->name, test_vectors[i].bytes);
            wrong++;
        }
    }
    return wrong;
}

static int check_counts(const struct digest_engine *engine)
{
    int wrong = 0;

    for (size_t count = 0; count <= COUNT_MAX; count++) {
        uint8_t expected[COUNT_MAX * DIGEST_CV_BYTES];
        uint8_t found[COUNT_MAX * DIGEST_CV_BYTES];
        const uint8_t *data = input + count % 16;
        uint64_t leaf_index = UINT64_C(0xfffffff0) + count;

        digest_engine_scalar.leaves(data, count, leaf_index, expected);
        engine->leaves(data, count, leaf_index, found);
        wrong += memcmp(found, expected, count * DIGEST_CV_BYTES) != 0;
        digest_engine_scalar.parents(data, count, expected);
        engine->parents(data, count, found);
        wrong += memcmp(found, expected, count * DIGEST_CV_BYTES) != 0;
    }
    if (wrong > 0) {
        printf("%s: differs from scalar %d times\n", engine->name, wrong);
    }
    return wrong;
}

static int check_fingerprints(const struct digest_engine *engine)
{
    static const uint8_t secret[FINGERPRINT_SECRET_BYTES] = {1, 2, 3};
    struct fingerprint_key key;
    int wrong = 0;

    fingerprint_key_derive(secret, &key);
    for (size_t bytes = 0; bytes < INPUT_BYTES - 16; bytes += 997) {
        struct digest expected, found;

        fingerprint_bytes(&digest_engine_scalar, &key, input + bytes % 16, bytes, &expected);
        fingerprint_bytes(engine, &key, input + bytes % 16, bytes, &found);
        wrong += !digest_equal(&expected, &found);
    }
    if (wrong > 0) {
        printf("%s: %d fingerprints differ from scalar's\n", engine->name, wrong);
    }
    return wrong;
}

int main(void)
{
    int wrong = digest_engine_by_name("neon") == NULL;

    for (size_t i = 0; i < sizeof(input); i++) {
        input[i] = (uint8_t)(i % 251);
    }
    for (size_t i = 0; i < digest_engine_count(); i++) {
        const struct digest_engine *engine = digest_engine_at(i);

        printf("engine %s\n", engine->name);
        wrong += check_vectors(engine) + check_counts(engine) + check_fingerprints(engine);
    }
    printf("%s\n", wrong == 0 ? "ok" : "FAILED");
    return wrong != 0;
}
