/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/tier/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ftw.h>

#include <cmocka.h>

#include "base/prng.h"
#include "digest/fingerprint.h"
#include "tier/root.h"
#include "tier/state.h"

static bool proceed(void *context)
{
    return !((struct fixture *)context)->is_called_off;
}

static void notice(void *context, const char *line)
{
    assert_true(line[0] != '\0');
    ((struct fixture *)context)->notices++;
}

static struct tier_options options_of(struct fixture *fixture)
{
    return (struct tier_options){.endpoint = getenv("CKPT_TIER_S3"),
                                 .incarnation.bytes = {0x11},
                                 .timeout_ms = 5000,
                                 .proceed = proceed,
                                 .notice = notice,
                                 .context = fixture};
}

struct tier *fixture_again(struct fixture *fixture, const struct tier_options *options)
{
    struct tier *tier;
    struct tier_options own = options != NULL ? *options : options_of(fixture);
    if (tier_open(fixture->place, &own, &tier, fixture->reason) != CKPT_OK) {
        fail_msg("%s", fixture->reason);
    }
    return tier;
}

static int begin(void **state, struct fixture *fixture)
{
    *state = fixture;
    fixture->tier = fixture_again(fixture, NULL);
    return 0;
}

static int setup_memory(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    snprintf(fixture->place, sizeof(fixture->place), "memory:of-%d", (int)getpid());
    return begin(state, fixture);
}

static int setup_posix(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    const char *under = getenv("TMPDIR");
    snprintf(fixture->folder, sizeof(fixture->folder), "%.40s/ckpt_tier_XXXXXX",
             under != NULL ? under : "/tmp");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->place, sizeof(fixture->place), "posix:%s", fixture->folder);
    return begin(state, fixture);
}

static int setup_s3(void **state)
{
    static uint32_t number;
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    snprintf(fixture->place, sizeof(fixture->place), "s3://tier/of/test-%d-%u", (int)getpid(),
             (unsigned)number++);
    return begin(state, fixture);
}

const struct fixture_backend fixture_backends[] = {
    {"memory", setup_memory}, {"posix", setup_posix}, {"s3", setup_s3}};
const size_t fixture_backend_count = sizeof(fixture_backends) / sizeof(fixture_backends[0]);

static int remove_one(const char *path, const struct stat *what, int type, struct FTW *at)
{
    (void)what;
    (void)type;
    (void)at;
    return remove(path);
}

int fixture_end(void **state)
{
    struct fixture *fixture = *state;
    tier_close(&fixture->tier);
    if (fixture->folder[0] != '\0') {
        nftw(fixture->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
    free(fixture);
    return 0;
}

int fixture_run(const char *group, const struct fixture_test *tests, size_t count)
{
    int failed = 0;
    bool has_s3 = getenv("CKPT_TIER_S3") != NULL; /* s3_server.py runs it once more, for s3 alone */
    for (size_t backend = 0; backend < fixture_backend_count; backend++) {
        if (has_s3 != (strcmp(fixture_backends[backend].name, "s3") == 0)) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            char name[128];
            snprintf(name, sizeof(name), "%s (%s)", tests[i].name, fixture_backends[backend].name);
            const struct CMUnitTest one[] = {{.name = name,
                                              .test_func = tests[i].run,
                                              .setup_func = fixture_backends[backend].setup,
                                              .teardown_func = fixture_end}};
            failed += _cmocka_run_group_tests(group, one, 1, NULL, NULL);
        }
    }
    return failed;
}

struct tier_checkpoint_key fixture_checkpoint(uint64_t step)
{
    return (struct tier_checkpoint_key){
        .run = {.uid = 1000, .name = "team/llama"}, .attempt = 1, .step = step};
}

struct shard_key fixture_key(uint64_t step, uint32_t rank)
{
    struct tier_checkpoint_key of = fixture_checkpoint(step);
    return (struct shard_key){.run = of.run, .attempt = of.attempt, .step = step, .rank = rank};
}

uint8_t *fixture_shard(uint64_t step, uint32_t rank, uint64_t *bytes_out)
{
    struct prng prng;
    uint64_t bytes = rank == 0 ? 2 * CKPT_MIB : rank == 1 ? 3 * CKPT_MIB + 4097 : 5 * rank;
    uint8_t *data = aligned_alloc(4096, (bytes + 4096) & ~UINT64_C(4095));
    prng_seed(&prng, step * 1000 + rank);
    for (uint64_t i = 0; i < bytes; i++) {
        data[i] = (uint8_t)prng_next(&prng);
    }
    *bytes_out = bytes;
    return data;
}

enum ckpt_status fixture_put(struct fixture *fixture, uint64_t step, uint64_t from_step,
                             uint32_t rank, struct tier_put_result *result_out)
{
    const struct digest_engine *engine;
    struct digest committed;
    struct fingerprint_key *key = malloc(sizeof(*key));
    struct tier_shard_source source = {.key.kind = DIGEST_KIND_FINGERPRINT};
    struct shard_key of = fixture_key(step, rank);
    uint8_t *data = fixture_shard(from_step, rank, &source.bytes);
    memset(source.key.secret.bytes, 0x5a, sizeof(source.key.secret.bytes));
    fingerprint_key_derive(source.key.secret.bytes, key);
    assert_int_equal(digest_engine_select(NULL, &engine), CKPT_OK);
    fingerprint_bytes(engine, key, data, source.bytes, &committed);
    source.data = data;
    source.committed = &committed;
    enum ckpt_status status =
        tier_put_shard(fixture->tier, &of, &source, result_out, fixture->reason);
    free(key);
    free(data);
    return status;
}

struct tier_manifest fixture_manifest(uint64_t step, const struct tier_put_result *results)
{
    struct tier_root root;
    struct tier_manifest manifest = {.key = fixture_checkpoint(step),
                                     .world = FIXTURE_WORLD,
                                     .copies = 2,
                                     .cluster.bytes = {0xc1}};
    tier_root_begin(&root);
    for (uint32_t rank = 0; rank < FIXTURE_WORLD; rank++) {
        tier_root_add(&root, rank, results[rank].shard.bytes, &results[rank].shard.blake3);
    }
    tier_root_final(&root, &manifest.root);
    return manifest;
}

void fixture_put_checkpoint(struct fixture *fixture, uint64_t step)
{
    struct tier_put_result results[FIXTURE_WORLD];
    for (uint32_t rank = 0; rank < FIXTURE_WORLD; rank++) {
        if (fixture_put(fixture, step, step, rank, &results[rank]) != CKPT_OK) {
            fail_msg("rank %u: %s", rank, fixture->reason);
        }
    }
    struct tier_manifest manifest = fixture_manifest(step, results);
    if (tier_put_manifest(fixture->tier, &manifest, fixture->reason) != CKPT_OK) {
        fail_msg("%s", fixture->reason);
    }
}

void fixture_plant(struct fixture *fixture, const char *name, const void *data, size_t bytes)
{
    struct tier_medium *medium = fixture->tier->medium;
    if (medium->backend->store(medium, name, data, bytes, false, fixture->reason) != CKPT_OK) {
        fail_msg("%s", fixture->reason);
    }
}

void fixture_unplant(struct fixture *fixture, const char *name)
{
    struct tier_medium *medium = fixture->tier->medium;
    if (medium->backend->remove(medium, name, true, fixture->reason) != CKPT_OK) {
        fail_msg("%s", fixture->reason);
    }
}
