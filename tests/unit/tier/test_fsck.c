/* SPDX-License-Identifier: Apache-2.0 */
/* Each way in which a tier can be wrong is found and named, over each backend. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/tier/fixture.h"

#define FOLDER(step) "1000-team~llama/step-0000000000000000000" #step "-attempt-0000000001/"

struct found {
    char text[1024]; /* "kind:path " of each */
};

static void keep(void *context, const struct tier_fault *fault)
{
    static const char *const kinds[] = {
        [TIER_FAULT_MISSING] = "missing",       [TIER_FAULT_SIZE] = "size",
        [TIER_FAULT_DIGEST] = "digest",         [TIER_FAULT_MANIFEST] = "manifest",
        [TIER_FAULT_STRANGE] = "strange",       [TIER_FAULT_UNNAMED] = "unnamed",
        [TIER_FAULT_UNFINISHED] = "unfinished",
    };
    struct found *found = context;
    size_t at = strlen(found->text);
    assert_true(fault->line[0] != '\0');
    snprintf(found->text + at, sizeof(found->text) - at, "%s:%s ", kinds[fault->kind], fault->path);
}

static void expect(struct fixture *fixture, uint64_t faults, const char *text)
{
    struct found found = {""};
    struct tier_fsck_result result;
    assert_int_equal(tier_fsck(fixture->tier, NULL, keep, &found, &result, fixture->reason),
                     CKPT_OK);
    assert_string_equal(found.text, text);
    assert_int_equal(result.faults, faults);
}

static void a_good_tier_has_no_fault(void **state)
{
    struct fixture *fixture = *state;
    struct found found = {""};
    struct tier_fsck_result result;
    expect(fixture, 0, "");
    fixture_put_checkpoint(fixture, 1);
    fixture_put_checkpoint(fixture, 2);
    assert_int_equal(tier_fsck(fixture->tier, NULL, keep, &found, &result, fixture->reason),
                     CKPT_OK);
    assert_string_equal(found.text, "");
    assert_int_equal(result.checkpoints, 2);
    assert_int_equal(result.files, 2 * (2 * FIXTURE_WORLD + 2));
    assert_true(result.bytes > 2 * 5 * CKPT_MIB);
}

static void a_changed_shard_is_named(void **state)
{
    struct fixture *fixture = *state;
    uint64_t bytes;
    uint8_t *data = fixture_shard(1, 0, &bytes);
    fixture_put_checkpoint(fixture, 1);
    data[bytes - 1] ^= 1;
    fixture_plant(fixture, FOLDER(1) "rank-00000.safetensors", data, bytes);
    expect(fixture, 1, "digest:" FOLDER(1) "rank-00000.safetensors ");
    fixture_plant(fixture, FOLDER(1) "rank-00000.safetensors", data, bytes - 1);
    expect(fixture, 1, "size:" FOLDER(1) "rank-00000.safetensors ");
    fixture_unplant(fixture, FOLDER(1) "rank-00000.safetensors");
    expect(fixture, 1, "missing:" FOLDER(1) "rank-00000.safetensors ");
    data[bytes - 1] ^= 1;
    fixture_plant(fixture, FOLDER(1) "rank-00000.safetensors", data, bytes);
    expect(fixture, 0, "");
    free(data);
}

/* A whole file of another step: no bit has flipped, and its place is wrong. */
static void a_shard_of_another_step_is_named(void **state)
{
    struct fixture *fixture = *state;
    uint64_t bytes;
    uint8_t *data = fixture_shard(2, 1, &bytes);
    char sidecar[4096];
    struct tier_shard shard;
    struct shard_key key = fixture_key(2, 1);
    fixture_put_checkpoint(fixture, 1);
    fixture_put_checkpoint(fixture, 2);
    fixture_plant(fixture, FOLDER(1) "rank-00001.safetensors", data, bytes);
    expect(fixture, 1, "digest:" FOLDER(1) "rank-00001.safetensors ");
    free(data);

    assert_int_equal(tier_look_shard(fixture->tier, &key, &shard, fixture->reason), CKPT_OK);
    snprintf(sidecar, sizeof(sidecar), "{\"format\":\"ckptd-shard\",\"version\":1}");
    fixture_plant(fixture, FOLDER(1) "rank-00001.json", sidecar, strlen(sidecar));
    expect(fixture, 2,
           "digest:" FOLDER(1) "rank-00001.safetensors manifest:" FOLDER(1) "rank-00001.json ");
}

static void a_sidecar_or_sums_that_is_gone_is_named(void **state)
{
    struct fixture *fixture = *state;
    fixture_put_checkpoint(fixture, 1);
    fixture_unplant(fixture, FOLDER(1) "rank-00002.json");
    fixture_unplant(fixture, FOLDER(1) "B3SUMS");
    expect(fixture, 2, "missing:" FOLDER(1) "B3SUMS missing:" FOLDER(1) "rank-00002.json ");
    fixture_plant(fixture, FOLDER(1) "B3SUMS", "nothing\n", 8);
    expect(fixture, 2, "digest:" FOLDER(1) "B3SUMS missing:" FOLDER(1) "rank-00002.json ");
}

static void a_manifest_that_is_none_is_named(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"format\":\"ckptd-checkpoint\",\"version\":1}",
        "{\"format\":\"ckptd-checkpoint\",\"version\":2}",
    };
    struct fixture *fixture = *state;
    struct tier_checkpoint_key key = fixture_checkpoint(1);
    struct tier_manifest *manifest;
    fixture_put_checkpoint(fixture, 1);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        fixture_plant(fixture, FOLDER(1) "manifest.json", texts[i], strlen(texts[i]));
        expect(fixture, 1, "manifest:" FOLDER(1) "manifest.json ");
        assert_int_not_equal(tier_read_manifest(fixture->tier, &key, &manifest, fixture->reason),
                             CKPT_OK);
    }
    fixture_unplant(fixture, FOLDER(1) "manifest.json");
    expect(fixture, 0, "unfinished:" FOLDER(1) " ");
}

static void what_is_strange_is_named(void **state)
{
    struct fixture *fixture = *state;
    fixture_put_checkpoint(fixture, 1);
    fixture_plant(fixture, FOLDER(1) "rank-00003.safetensors", "x", 1);
    fixture_plant(fixture, FOLDER(1) "rank-1.safetensors", "x", 1);
    fixture_plant(fixture, "1000-team~llama/notes.txt", "x", 1);
    fixture_plant(fixture, "01000-team~llama/a", "x", 1);
    expect(fixture, 4,
           "strange:01000-team~llama "
           "strange:1000-team~llama/notes.txt "
           "strange:" FOLDER(1) "rank-00003.safetensors "
                                "strange:" FOLDER(1) "rank-1.safetensors ");
}

int main(void)
{
    static const struct fixture_test tests[] = {
        {"a_good_tier_has_no_fault", a_good_tier_has_no_fault},
        {"a_changed_shard_is_named", a_changed_shard_is_named},
        {"a_shard_of_another_step_is_named", a_shard_of_another_step_is_named},
        {"a_sidecar_or_sums_that_is_gone_is_named", a_sidecar_or_sums_that_is_gone_is_named},
        {"a_manifest_that_is_none_is_named", a_manifest_that_is_none_is_named},
        {"what_is_strange_is_named", what_is_strange_is_named},
    };
    return fixture_run("tier_fsck", tests, sizeof(tests) / sizeof(tests[0]));
}
