/* SPDX-License-Identifier: Apache-2.0 */
/* What only an S3 server can do to us. Run by s3_server.py, which makes the faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/prng.h"
#include "tier/s3_place.h"
#include "tier/state.h"
#include "unit/tier/fixture.h"

#define LARGE_BYTES (UINT64_C(20) * CKPT_MIB + 12345) /* three parts */

static void make_fault(const char *fault)
{
    FILE *file = fopen(getenv("CKPT_TIER_S3_FAULT"), "w");
    assert_non_null(file);
    fputs(fault, file);
    fclose(file);
}

static uint8_t *large(void)
{
    struct prng prng;
    uint8_t *data = aligned_alloc(4096, (LARGE_BYTES + 4095) & ~UINT64_C(4095));
    prng_seed(&prng, 20);
    for (size_t i = 0; i < LARGE_BYTES / 8; i++) {
        ((uint64_t *)(void *)data)[i] = prng_next(&prng);
    }
    memset(data + LARGE_BYTES / 8 * 8, 7, LARGE_BYTES % 8);
    return data;
}

static enum ckpt_status put_large(struct fixture *fixture, const uint8_t *data)
{
    struct tier_put_result result;
    struct shard_key key = fixture_key(9, 0);
    struct tier_shard_source source = {.data = data, .bytes = LARGE_BYTES};
    return tier_put_shard(fixture->tier, &key, &source, &result, fixture->reason);
}

static void expect_large(struct fixture *fixture, const uint8_t *data)
{
    struct tier_shard shard;
    struct shard_key key = fixture_key(9, 0);
    struct tier_checkpoint_key of = fixture_checkpoint(9);
    uint8_t *found = calloc(1, LARGE_BYTES);
    assert_int_equal(tier_look_shard(fixture->tier, &key, &shard, fixture->reason), CKPT_OK);
    assert_int_equal(
        tier_read_shard(fixture->tier, &of, &shard, 0, found, LARGE_BYTES, fixture->reason),
        CKPT_OK);
    assert_memory_equal(found, data, LARGE_BYTES);
    free(found);
}

static uint32_t uploads(struct fixture *fixture)
{
    struct s3 *s3 = (struct s3 *)fixture->tier->medium;
    uint32_t count = 0;
    s3_question(s3, &s3->request, "GET", NULL);
    s3_query(&s3->request, "prefix", s3->prefix);
    s3_query(&s3->request, "uploads", NULL);
    s3_ask(&s3->server, &s3->request);
    assert_int_equal(s3_judge(&s3->request, fixture->reason), CKPT_OK);
    for (const char *at = s3->request.text.text; (at = strstr(at, "<UploadId>")) != NULL; at++) {
        count++;
    }
    return count;
}

static void a_large_shard_is_joined_from_parts(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *data = large();
    assert_int_equal(put_large(fixture, data), CKPT_OK);
    expect_large(fixture, data);
    assert_int_equal(uploads(fixture), 0);
    free(data);
}

/* Pieces that come in any size, from memory that does not stay. */
static void what_is_not_kept_is_gathered(void **state)
{
    struct fixture *fixture = *state;
    struct tier_medium *medium = fixture->tier->medium;
    struct tier_writer *writer;
    uint8_t *data = large();
    uint8_t *found = malloc(LARGE_BYTES);
    size_t at = 0;
    assert_int_equal(medium->backend->begin(medium, "a/b", LARGE_BYTES, &writer, NULL), CKPT_OK);
    for (size_t bytes = 1; at < LARGE_BYTES; bytes = bytes * 3 + 1) {
        uint8_t piece[65536];
        bytes = bytes > sizeof(piece) ? 5 : bytes;
        bytes = bytes < LARGE_BYTES - at ? bytes : LARGE_BYTES - at;
        bool is_kept = bytes % 2 == 0;
        memcpy(piece, data + at, bytes);
        assert_int_equal(
            medium->backend->append(writer, is_kept ? data + at : piece, bytes, is_kept, NULL),
            CKPT_OK);
        at += bytes;
    }
    assert_int_equal(medium->backend->end(writer, fixture->reason), CKPT_OK);
    assert_int_equal(medium->backend->read(medium, "a/b", 0, found, LARGE_BYTES, NULL), CKPT_OK);
    assert_memory_equal(found, data, LARGE_BYTES);
    free(found);
    free(data);
}

static void what_passes_is_tried_again(void **state)
{
    static const char *const faults[] = {"some", "flip", "cut"};
    struct fixture *fixture = *state;
    uint8_t *data = large();
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        make_fault(faults[i]);
        assert_int_equal(put_large(fixture, data), CKPT_OK);
        fixture_put_checkpoint(fixture, i + 1);
        expect_large(fixture, data);
    }
    make_fault("");
    free(data);
}

static void what_stays_has_a_class(void **state)
{
    struct fixture *fixture = *state;
    struct tier_put_result result;
    struct tier *tier;
    make_fault("full");
    assert_int_equal(fixture_put(fixture, 1, 1, 0, &result), CKPT_ERR_FULL);
    assert_non_null(strstr(fixture->reason, "507"));
    make_fault("slow");
    assert_int_equal(fixture_put(fixture, 1, 1, 0, &result), CKPT_ERR_THROTTLED);
    make_fault("");
    struct tier_options options = {.endpoint = "http://127.0.0.1:1", .timeout_ms = 1000};
    assert_int_equal(tier_open(fixture->place, &options, &tier, fixture->reason), CKPT_ERR_LINK);
    options.endpoint = getenv("CKPT_TIER_S3");
    assert_int_equal(tier_open("s3://nowhere/a", &options, &tier, fixture->reason),
                     CKPT_ERR_NOT_FOUND);
    setenv("AWS_SECRET_ACCESS_KEY", "another/one", 1);
    assert_int_equal(tier_open(fixture->place, &options, &tier, fixture->reason), CKPT_ERR_DENIED);
    assert_null(strstr(fixture->reason, "another/one"));
    setenv("AWS_SECRET_ACCESS_KEY", "a/secret+of=tests", 1);
}

static void a_put_that_fails_leaves_no_upload(void **state)
{
    struct fixture *fixture = *state;
    struct tier_medium *medium = fixture->tier->medium;
    struct tier_writer *writer;
    uint8_t *data = large();
    assert_int_equal(medium->backend->begin(medium, "a/b", LARGE_BYTES, &writer, NULL), CKPT_OK);
    assert_int_equal(medium->backend->append(writer, data, LARGE_BYTES, true, NULL), CKPT_OK);
    assert_int_equal(uploads(fixture), 1);
    medium->backend->discard(writer);
    assert_int_equal(uploads(fixture), 0);
    free(data);
}

static void what_was_left_is_ended(void **state)
{
    struct fixture *fixture = *state;
    struct s3 *s3 = (struct s3 *)fixture->tier->medium;
    s3_question(s3, &s3->request, "POST", "a/b");
    s3_query(&s3->request, "uploads", NULL);
    s3_ask(&s3->server, &s3->request);
    assert_int_equal(s3_judge(&s3->request, fixture->reason), CKPT_OK);
    make_fault("young");
    struct tier *young = fixture_again(fixture, NULL); /* it may be another agent's, under way */
    tier_close(&young);
    make_fault("");
    assert_int_equal(uploads(fixture), 1);
    struct tier_options options = {.endpoint = getenv("CKPT_TIER_S3"), .is_reader = true};
    struct tier *reader = fixture_again(fixture, &options);
    tier_close(&reader);
    assert_int_equal(uploads(fixture), 1);
    options.is_reader = false;
    struct tier *old = fixture_again(fixture, &options);
    tier_close(&old);
    assert_int_equal(uploads(fixture), 0);
}

static void credentials_may_be_in_a_file(void **state)
{
    struct fixture *fixture = *state;
    char path[64] = "/tmp/ckpt_login_XXXXXX";
    struct tier_options options = {.endpoint = getenv("CKPT_TIER_S3")};
    struct tier *tier;
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    fprintf(file,
            "[other]\naws_access_key_id = X\naws_secret_access_key = Y\n# a note\n\n[default]\n"
            "aws_access_key_id = %s\n  aws_secret_access_key=%s  \n",
            getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY"));
    fclose(file);
    char *key = strdup(getenv("AWS_ACCESS_KEY_ID"));
    unsetenv("AWS_ACCESS_KEY_ID");
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    assert_int_equal(tier_open(fixture->place, &options, &tier, fixture->reason), CKPT_OK);
    tier_close(&tier);
    setenv("AWS_PROFILE", "nobody", 1);
    assert_int_equal(tier_open(fixture->place, &options, &tier, fixture->reason), CKPT_ERR_DENIED);
    unsetenv("AWS_PROFILE");
    unsetenv("AWS_SHARED_CREDENTIALS_FILE");
    setenv("AWS_ACCESS_KEY_ID", key, 1);
    free(key);
    remove(path);
}

static void what_is_no_bucket_is_refused(void **state)
{
    static const char *const places[] = {
        "s3:", "s3:/a", "s3://", "s3://ab", "s3://A_B/c", "s3://bucket/../x", "s3://bucket//x"};
    static const char *const endpoints[] = {"ftp://a", "127.0.0.1", "http://a@b", ""};
    struct fixture *fixture = *state;
    struct tier *tier;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        assert_int_equal(tier_open(places[i], NULL, &tier, fixture->reason), CKPT_ERR_CONFIG);
    }
    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
        struct tier_options options = {.endpoint = endpoints[i]};
        assert_int_equal(tier_open("s3://bucket", &options, &tier, fixture->reason),
                         CKPT_ERR_CONFIG);
    }
}

int main(void)
{
    static const struct fixture_test tests[] = {
        {"a_large_shard_is_joined_from_parts", a_large_shard_is_joined_from_parts},
        {"what_is_not_kept_is_gathered", what_is_not_kept_is_gathered},
        {"what_passes_is_tried_again", what_passes_is_tried_again},
        {"what_stays_has_a_class", what_stays_has_a_class},
        {"a_put_that_fails_leaves_no_upload", a_put_that_fails_leaves_no_upload},
        {"what_was_left_is_ended", what_was_left_is_ended},
        {"credentials_may_be_in_a_file", credentials_may_be_in_a_file},
        {"what_is_no_bucket_is_refused", what_is_no_bucket_is_refused},
    };
    return fixture_run("tier_s3", tests, sizeof(tests) / sizeof(tests[0]));
}
