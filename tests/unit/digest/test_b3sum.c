/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random bytes of sizes around every boundary of the tree, against b3sum: one shot, chunks in a
 * shuffled order from misaligned copies, and streams of random pieces, with each engine forced.
 * Exits 77 where there is no b3sum. CKPT_TEST_SEED replays a run.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/prng.h"
#include "digest/digest.h"
#include "unit/digest/engines.h"

#define CHUNKS_MAX 18
#define BYTES_MAX (CHUNKS_MAX * CKPT_CHUNK_BYTES)

static struct prng prng;
static uint8_t *input;
static uint8_t *moved; /* holds any chunk at any alignment */
static char path[] = "/tmp/test_digest_b3sum.XXXXXX";

struct sample {
    size_t bytes;
    char hex[DIGEST_HEX_BYTES];
};

static void ask_b3sum(struct sample *sample)
{
    char command[128];
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(input, 1, sample->bytes, file), sample->bytes);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(command, sizeof(command), "b3sum --no-names %s", path);
    file = popen(command, "r");
    assert_non_null(file);
    assert_non_null(fgets(sample->hex, sizeof(sample->hex), file));
    (void)fgetc(file);
    assert_int_equal(pclose(file), 0);
}

static void expect(const struct digest_engine *engine, const char *way, const struct digest *digest,
                   const struct sample *sample)
{
    char hex[DIGEST_HEX_BYTES];

    digest_hex(digest, hex);
    if (strcmp(hex, sample->hex) != 0) {
        fail_msg("%s by engine %s, %zu bytes: %s, b3sum says %s", way, digest_engine_name(engine),
                 sample->bytes, hex, sample->hex);
    }
}

static void check_chunks(const struct digest_engine *engine, const struct sample *sample)
{
    uint64_t count = digest_chunk_count(sample->bytes);
    uint8_t cvs[CHUNKS_MAX * DIGEST_CV_BYTES];
    uint64_t order[CHUNKS_MAX];
    struct digest digest;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t j = prng_below(&prng, i + 1);

        order[i] = order[j];
        order[j] = i;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t index = order[i];
        size_t bytes = digest_chunk_bytes(index, sample->bytes);
        uint8_t *at = moved + prng_below(&prng, 64);

        memcpy(at, input + index * CKPT_CHUNK_BYTES, bytes);
        assert_int_equal(
            digest_chunk(engine, at, bytes, index, sample->bytes, cvs + index * DIGEST_CV_BYTES),
            CKPT_OK);
    }
    assert_int_equal(digest_fold(cvs, count, sample->bytes, &digest), CKPT_OK);
    expect(engine, "chunks", &digest, sample);
}

static void check_stream(const struct digest_engine *engine, const struct sample *sample)
{
    struct digest_stream stream;
    struct digest digest;

    digest_stream_init(&stream, engine);
    for (size_t at = 0; at < sample->bytes;) {
        /* Pieces of every magnitude. */
        size_t piece = 1 + prng_below(&prng, UINT64_C(1) << prng_below(&prng, 23));

        if (piece > sample->bytes - at) {
            piece = sample->bytes - at;
        }
        digest_stream_update(&stream, input + at, piece);
        at += piece;
    }
    digest_stream_final(&stream, &digest);
    expect(engine, "stream", &digest, sample);
}

static void check(const struct digest_engine *engine, void *context)
{
    const struct sample *sample = context;
    struct digest digest;

    digest_bytes(engine, input, sample->bytes, &digest);
    expect(engine, "one shot", &digest, sample);
    check_chunks(engine, sample);
    check_stream(engine, sample);
}

static void compare(size_t bytes)
{
    struct sample sample = {.bytes = bytes};

    assert_true(bytes <= BYTES_MAX);
    ask_b3sum(&sample);
    each_engine(check, &sample);
}

static void compare_around(size_t bytes)
{
    compare(bytes - 1);
    compare(bytes);
    compare(bytes + 1);
    compare(bytes + 1 + prng_below(&prng, 1000));
}

static void b3sum__blocks_and_leaves(void **state)
{
    (void)state;
    compare(0);
    for (size_t bytes = 64; bytes <= 1024; bytes += 192) {
        compare_around(bytes);
    }
    for (size_t leaves = 2; leaves <= 40; leaves++) {
        compare_around(leaves * 1024);
    }
}

static void b3sum__powers_of_two(void **state)
{
    (void)state;
    for (size_t bytes = 64 * CKPT_KIB; bytes <= 16 * CKPT_MIB; bytes *= 2) {
        compare_around(bytes);
    }
}

static void b3sum__chunks(void **state)
{
    (void)state;
    for (size_t chunks = 1; chunks <= 5; chunks++) {
        compare_around(chunks * CKPT_CHUNK_BYTES);
        compare(chunks * CKPT_CHUNK_BYTES + 1024);
        compare(chunks * CKPT_CHUNK_BYTES + 1025);
    }
    compare(3 * CKPT_CHUNK_BYTES + 12345);
    compare_around(7 * CKPT_CHUNK_BYTES);
    compare_around(17 * CKPT_CHUNK_BYTES);
}

static void b3sum__random_sizes(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        compare(prng_below(&prng, UINT64_C(1) << (10 + prng_below(&prng, 14))));
    }
}

static int set_up(void **state)
{
    const char *text = getenv("CKPT_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
    int fd = mkstemp(path);

    (void)state;
    input = malloc(BYTES_MAX);
    moved = malloc(CKPT_CHUNK_BYTES + 64);
    if (fd < 0 || input == NULL || moved == NULL) {
        return -1;
    }
    (void)close(fd);
    printf("CKPT_TEST_SEED=%" PRIu64 "\n", seed);
    prng_seed(&prng, seed);
    for (size_t i = 0; i < BYTES_MAX; i++) {
        input[i] = (uint8_t)prng_next(&prng);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    free(input);
    free(moved);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(b3sum__blocks_and_leaves),
        cmocka_unit_test(b3sum__powers_of_two),
        cmocka_unit_test(b3sum__chunks),
        cmocka_unit_test(b3sum__random_sizes),
    };

    if (system("b3sum --version >/dev/null 2>&1") != 0) {
        printf("skipped: there is no b3sum to compare with\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
