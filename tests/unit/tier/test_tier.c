/* SPDX-License-Identifier: Apache-2.0 */
/* What every backend must do, run over each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "unit/tier/fixture.h"

static void read_all(struct fixture *fixture, uint64_t step, const struct tier_shard *shard)
{
    struct tier_checkpoint_key key = fixture_checkpoint(step);
    uint64_t bytes;
    uint8_t *wanted = fixture_shard(step, shard->rank, &bytes);
    uint8_t *found = calloc(1, bytes + 1);
    assert_int_equal(bytes, shard->bytes);
    assert_int_equal(tier_read_shard(fixture->tier, &key, shard, 0, found, bytes, fixture->reason),
                     CKPT_OK);
    assert_memory_equal(found, wanted, bytes);
    uint64_t at = bytes / 3;
    uint64_t some = bytes - at < 4099 ? bytes - at : 4099;
    memset(found, 0, bytes);
    assert_int_equal(tier_read_shard(fixture->tier, &key, shard, at, found, some, fixture->reason),
                     CKPT_OK);
    assert_memory_equal(found, wanted + at, some);
    assert_int_equal(tier_read_shard(fixture->tier, &key, shard, bytes, found, 0, NULL), CKPT_OK);
    assert_int_equal(tier_read_shard(fixture->tier, &key, shard, bytes, found, 1, NULL),
                     CKPT_ERR_SIZE);
    assert_int_equal(tier_read_shard(fixture->tier, &key, shard, UINT64_MAX, found, 2, NULL),
                     CKPT_ERR_SIZE);
    free(found);
    free(wanted);
}

static void what_is_put_comes_back(void **state)
{
    struct fixture *fixture = *state;
    struct tier_checkpoint_key key = fixture_checkpoint(300);
    struct tier_manifest *manifest;
    fixture_put_checkpoint(fixture, 300);
    struct tier *reader = fixture_again(fixture, NULL);
    assert_int_equal(tier_read_manifest(reader, &key, &manifest, fixture->reason), CKPT_OK);
    assert_int_equal(manifest->world, FIXTURE_WORLD);
    assert_int_equal(manifest->copies, 2);
    assert_int_equal(manifest->mark, MARK_NONE);
    assert_int_equal(manifest->cluster.bytes[0], 0xc1);
    assert_string_equal(manifest->made_by, "ckptd " CKPT_VERSION);
    for (uint32_t rank = 0; rank < FIXTURE_WORLD; rank++) {
        read_all(fixture, 300, &manifest->shards[rank]);
    }
    tier_manifest_free(manifest);
    tier_close(&reader);
}

struct seen {
    char text[256];
};

static bool see(void *context, const struct tier_entry *entry)
{
    struct seen *seen = context;
    size_t at = strlen(seen->text);
    snprintf(seen->text + at, sizeof(seen->text) - at, "%u-%s:%u%s ", entry->key.run.uid,
             entry->key.run.name, (unsigned)entry->key.step, entry->is_whole ? "" : "?");
    return true;
}

static void a_folder_without_manifest_is_no_checkpoint(void **state)
{
    struct fixture *fixture = *state;
    struct tier_checkpoint_key key = fixture_checkpoint(200);
    struct tier_put_result result;
    struct tier_manifest *manifest;
    struct seen seen = {""};
    fixture_put_checkpoint(fixture, 100);
    assert_int_equal(fixture_put(fixture, 200, 200, 0, &result), CKPT_OK);
    assert_false(result.is_linked);
    assert_int_equal(tier_read_manifest(fixture->tier, &key, &manifest, fixture->reason),
                     CKPT_ERR_NOT_FOUND);
    assert_int_equal(tier_list(fixture->tier, NULL, see, &seen, fixture->reason), CKPT_OK);
    assert_string_equal(seen.text, "1000-team/llama:100 1000-team/llama:200? ");
    struct run_key other = {.uid = 1001, .name = "team/llama"};
    seen.text[0] = '\0';
    assert_int_equal(tier_list(fixture->tier, &other, see, &seen, fixture->reason), CKPT_OK);
    assert_string_equal(seen.text, "");
}

static void other_bytes_than_committed_get_no_name(void **state)
{
    struct fixture *fixture = *state;
    struct shard_key key = fixture_key(7, 1);
    struct digest wrong = {{1}};
    struct tier_put_result result;
    struct tier_shard shard;
    struct seen seen = {""};
    uint64_t bytes;
    uint8_t *data = fixture_shard(7, 1, &bytes);
    for (int kind = DIGEST_KIND_BLAKE3; kind <= DIGEST_KIND_FINGERPRINT; kind++) {
        struct tier_shard_source source = {
            .data = data, .bytes = bytes, .key.kind = (enum digest_kind)kind, .committed = &wrong};
        assert_int_equal(tier_put_shard(fixture->tier, &key, &source, &result, fixture->reason),
                         CKPT_ERR_DIGEST);
        assert_int_equal(tier_look_shard(fixture->tier, &key, &shard, fixture->reason),
                         CKPT_ERR_NOT_FOUND);
    }
    assert_int_equal(tier_list(fixture->tier, NULL, see, &seen, fixture->reason), CKPT_OK);
    assert_true(seen.text[0] == '\0' || strcmp(seen.text, "1000-team/llama:7? ") == 0);
    free(data);
}

static void the_digest_is_that_of_b3sum(void **state)
{
    struct fixture *fixture = *state;
    struct tier_put_result result;
    struct tier_shard shard;
    struct shard_key key = fixture_key(3, 0);
    char hex[DIGEST_HEX_BYTES];
    struct tier_shard_source source = {.data = "", .bytes = 0};
    assert_int_equal(tier_put_shard(fixture->tier, &key, &source, &result, fixture->reason),
                     CKPT_OK);
    digest_hex(&result.shard.blake3, hex);
    assert_string_equal(hex, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    assert_false(result.shard.is_proven);
    assert_int_equal(tier_look_shard(fixture->tier, &key, &shard, fixture->reason), CKPT_OK);
    assert_true(digest_equal(&shard.blake3, &result.shard.blake3));
    assert_int_equal(shard.bytes, 0);
}

static void a_manifest_is_of_what_was_ordered(void **state)
{
    struct fixture *fixture = *state;
    struct tier_checkpoint_key key = fixture_checkpoint(5);
    struct tier_put_result results[FIXTURE_WORLD] = {0};
    struct tier_manifest *found;
    for (uint32_t rank = 0; rank < FIXTURE_WORLD; rank++) {
        struct tier_manifest early = fixture_manifest(5, results);
        early.world = FIXTURE_WORLD;
        assert_int_equal(tier_put_manifest(fixture->tier, &early, fixture->reason),
                         CKPT_ERR_NOT_FOUND);
        assert_int_equal(fixture_put(fixture, 5, 5, rank, &results[rank]), CKPT_OK);
    }
    struct tier_manifest manifest = fixture_manifest(5, results);
    manifest.root.bytes[0] ^= 1;
    assert_int_equal(tier_put_manifest(fixture->tier, &manifest, fixture->reason), CKPT_ERR_DIGEST);
    assert_int_equal(tier_read_manifest(fixture->tier, &key, &found, fixture->reason),
                     CKPT_ERR_NOT_FOUND);
    manifest.root.bytes[0] ^= 1;
    assert_int_equal(tier_put_manifest(fixture->tier, &manifest, fixture->reason), CKPT_OK);
    assert_int_equal(tier_put_manifest(fixture->tier, &manifest, fixture->reason), CKPT_OK);

    manifest.mark = MARK_POISONED;
    assert_int_equal(tier_put_manifest(fixture->tier, &manifest, fixture->reason), CKPT_OK);
    assert_int_equal(tier_read_manifest(fixture->tier, &key, &found, fixture->reason), CKPT_OK);
    assert_int_equal(found->mark, MARK_POISONED);
    tier_manifest_free(found);
}

/* Two coordinators drain one run: whose manifest is there first keeps it. */
static void a_manifest_of_other_shards_stays(void **state)
{
    struct fixture *fixture = *state;
    struct tier_put_result results[FIXTURE_WORLD] = {0};
    struct tier_checkpoint_key key = fixture_checkpoint(5);
    struct tier_manifest *found;
    fixture_put_checkpoint(fixture, 5);
    for (uint32_t rank = 0; rank < FIXTURE_WORLD; rank++) {
        assert_int_equal(fixture_put(fixture, 5, rank == 2 ? 6 : 5, rank, &results[rank]), CKPT_OK);
    }
    struct tier_manifest manifest = fixture_manifest(5, results);
    assert_int_equal(tier_put_manifest(fixture->tier, &manifest, fixture->reason), CKPT_ERR_DIGEST);
    assert_non_null(strstr(fixture->reason, "already"));
    assert_int_equal(tier_read_manifest(fixture->tier, &key, &found, fixture->reason), CKPT_OK);
    assert_false(digest_equal(&found->root, &manifest.root));
    tier_manifest_free(found);
}

static void what_the_tier_has_is_linked(void **state)
{
    struct fixture *fixture = *state;
    struct tier_put_result result;
    struct tier_manifest *manifest;
    struct tier_put_result results[FIXTURE_WORLD] = {0};
    struct tier_checkpoint_key key = fixture_checkpoint(20);
    fixture_put_checkpoint(fixture, 10);
    for (uint32_t rank = 0; rank < FIXTURE_WORLD; rank++) {
        assert_int_equal(fixture_put(fixture, 20, rank == 1 ? 20 : 10, rank, &results[rank]),
                         CKPT_OK);
        assert_int_equal(results[rank].is_linked, rank != 1);
    }
    struct tier_manifest whole = fixture_manifest(20, results);
    assert_int_equal(tier_put_manifest(fixture->tier, &whole, fixture->reason), CKPT_OK);

    /* The bytes outlive the checkpoint that they were put for. */
    struct tier_checkpoint_key old = fixture_checkpoint(10);
    assert_int_equal(tier_remove_checkpoint(fixture->tier, &old, fixture->reason), CKPT_OK);
    assert_int_equal(tier_read_manifest(fixture->tier, &key, &manifest, fixture->reason), CKPT_OK);
    uint64_t bytes;
    uint8_t *wanted = fixture_shard(10, 0, &bytes);
    uint8_t *found = malloc(bytes);
    assert_int_equal(tier_read_shard(fixture->tier, &key, &manifest->shards[0], 0, found, bytes,
                                     fixture->reason),
                     CKPT_OK);
    assert_memory_equal(found, wanted, bytes);
    free(found);
    free(wanted);
    tier_manifest_free(manifest);

    /* Nothing is linked that another key has proven, or nobody. */
    assert_int_equal(fixture_put(fixture, 30, 20, 1, &result), CKPT_OK);
    assert_true(result.is_linked);
    struct shard_key again = fixture_key(40, 1);
    struct tier_shard_source source = {.key.kind = DIGEST_KIND_BLAKE3};
    uint8_t *data = fixture_shard(20, 1, &source.bytes);
    source.data = data;
    source.committed = &result.shard.blake3;
    assert_int_equal(tier_put_shard(fixture->tier, &again, &source, &result, fixture->reason),
                     CKPT_OK);
    assert_false(result.is_linked);
    free(data);
}

static void what_is_removed_is_gone(void **state)
{
    struct fixture *fixture = *state;
    struct tier_checkpoint_key key = fixture_checkpoint(1);
    struct seen seen = {""};
    fixture_put_checkpoint(fixture, 1);
    fixture_put_checkpoint(fixture, 2);
    assert_int_equal(tier_remove_checkpoint(fixture->tier, &key, fixture->reason), CKPT_OK);
    assert_int_equal(tier_remove_checkpoint(fixture->tier, &key, fixture->reason), CKPT_OK);
    assert_int_equal(tier_list(fixture->tier, NULL, see, &seen, fixture->reason), CKPT_OK);
    assert_string_equal(seen.text, "1000-team/llama:2 ");
}

static void a_call_can_be_called_off(void **state)
{
    struct fixture *fixture = *state;
    struct tier_put_result result;
    struct tier_shard shard;
    struct shard_key key = fixture_key(1, 0);
    fixture->is_called_off = true;
    assert_int_equal(fixture_put(fixture, 1, 1, 0, &result), CKPT_ERR_ABORTED);
    fixture->is_called_off = false;
    assert_int_equal(tier_look_shard(fixture->tier, &key, &shard, fixture->reason),
                     CKPT_ERR_NOT_FOUND);
    assert_int_equal(fixture_put(fixture, 1, 1, 0, &result), CKPT_OK);
}

static void a_pace_is_kept(void **state)
{
    struct fixture *fixture = *state;
    struct tier_put_result result;
    tier_set_pace(fixture->tier, 10 * CKPT_MIB);
    uint64_t since_ms = clock_now_ms();
    assert_int_equal(fixture_put(fixture, 1, 1, 1, &result), CKPT_OK); /* 3 MiB and one block */
    assert_true(clock_now_ms() - since_ms >= 280);
    tier_set_pace(fixture->tier, 0);
}

static void what_has_no_name_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct tier_put_result result;
    struct tier_shard_source source = {.data = "", .bytes = 0};
    struct shard_key bad[] = {fixture_key(1, CKPT_WORLD_MAX), fixture_key(UINT64_MAX, 0),
                              fixture_key(1, 0), fixture_key(1, 0)};
    snprintf(bad[2].run.name, sizeof(bad[2].run.name), "../llama");
    snprintf(bad[3].run.name, sizeof(bad[3].run.name), "a~b");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(tier_put_shard(fixture->tier, &bad[i], &source, &result, fixture->reason),
                         CKPT_ERR_NAME);
    }
}

int main(void)
{
    static const struct fixture_test tests[] = {
        {"what_is_put_comes_back", what_is_put_comes_back},
        {"a_folder_without_manifest_is_no_checkpoint", a_folder_without_manifest_is_no_checkpoint},
        {"other_bytes_than_committed_get_no_name", other_bytes_than_committed_get_no_name},
        {"the_digest_is_that_of_b3sum", the_digest_is_that_of_b3sum},
        {"a_manifest_is_of_what_was_ordered", a_manifest_is_of_what_was_ordered},
        {"a_manifest_of_other_shards_stays", a_manifest_of_other_shards_stays},
        {"what_the_tier_has_is_linked", what_the_tier_has_is_linked},
        {"what_is_removed_is_gone", what_is_removed_is_gone},
        {"a_call_can_be_called_off", a_call_can_be_called_off},
        {"a_pace_is_kept", a_pace_is_kept},
        {"what_has_no_name_is_refused", what_has_no_name_is_refused},
    };
    return fixture_run("tier", tests, sizeof(tests) / sizeof(tests[0]));
}
