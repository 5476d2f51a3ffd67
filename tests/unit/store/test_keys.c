/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of runs in the durable store: they come back, damage is found, nobody else reads them, and a
 * database of before there were any is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/store/files.h"

static struct digest_key key_of(enum digest_kind kind, uint8_t first)
{
    return (struct digest_key){.kind = kind, .secret = {{first, 0, 0xff}}};
}

/* Records of a key and under one, and what they say when they come back. */
struct keys {
    uint32_t count;
    struct digest_key keys[8];
};

static enum ckpt_status take_key(void *context, const struct coordinator_record *record)
{
    struct keys *keys = context;
    if (keys->count < 8 && (record->type == RECORD_KEY || record->type == RECORD_CONSISTENT)) {
        keys->keys[keys->count++] = record->key;
    }
    return CKPT_OK;
}

static struct keys replay_keys(struct store *store)
{
    struct keys keys = {0};
    assert_int_equal(fixture_replay(store, take_key, &keys), CKPT_OK);
    return keys;
}

/* Its rows stay as they are, and have no key; what comes from now on has. */
static void version_3_is_extended_in_its_place(void **state)
{
    (void)state;
    struct coordinator_record more[] = {record_epoch(4), record_of(RECORD_KEY, 4, 0)};
    more[1].key = key_of(DIGEST_KIND_FINGERPRINT, 7);
    files_golden(GOLDEN_DIR "/records_v3.sql", "");
    struct store *store = files_open();
    struct keys keys = replay_keys(store);
    assert_int_equal(keys.count, 3);
    for (uint32_t i = 0; i < keys.count; i++) {
        assert_int_equal(keys.keys[i].kind, DIGEST_KIND_UNKNOWN);
    }
    assert_int_equal(commit(store, more, 2), CKPT_OK);
    fixture_close(&store);
    store = files_open();
    keys = replay_keys(store);
    assert_int_equal(keys.count, 4);
    assert_memory_equal(&keys.keys[3], &more[1].key, sizeof(keys.keys[3]));
    fixture_close(&store);
}

static void damage_of_version_3_is_found(void **state)
{
    (void)state;
    files_golden(GOLDEN_DIR "/records_v3.sql", "UPDATE record SET step = 201 WHERE id = 5");
    struct store *store = files_open();
    assert_int_equal(replay(store).status, CKPT_ERR_CORRUPT);
    fixture_close(&store);
}

/* A key of each kind, and a commit under each. */
static void fill_keys(void)
{
    struct coordinator_record records[] = {
        record_epoch(1), record_of(RECORD_KEY, 1, 0), record_consistent(1, 100, 1),
        record_of(RECORD_KEY, 1, 0), record_consistent(1, 200, 1)};
    struct store *store = files_open();
    records[1].key = records[2].key = key_of(DIGEST_KIND_FINGERPRINT, 1);
    records[3].key = key_of(DIGEST_KIND_BLAKE3, 0);
    records[3].key.secret = (struct digest_secret){{0}};
    records[3].run.uid++;
    records[4].key = records[3].key;
    assert_int_equal(commit(store, records, 5), CKPT_OK);
    fixture_close(&store);
}

static void keys_come_back_as_they_were(void **state)
{
    (void)state;
    fill_keys();
    struct store *store = files_open();
    struct keys keys = replay_keys(store);
    struct digest_key first = key_of(DIGEST_KIND_FINGERPRINT, 1);
    struct digest_key plain = {.kind = DIGEST_KIND_BLAKE3};
    assert_int_equal(keys.count, 4);
    assert_memory_equal(&keys.keys[0], &first, sizeof(first));
    assert_memory_equal(&keys.keys[1], &first, sizeof(first));
    assert_memory_equal(&keys.keys[2], &plain, sizeof(plain));
    assert_memory_equal(&keys.keys[3], &plain, sizeof(plain));
    struct coordinator_record later = record_of(RECORD_KEY, 1, 0);
    later.key = key_of(DIGEST_KIND_FINGERPRINT, 2);
    assert_int_equal(commit(store, &later, 1), CKPT_OK);
    keys = replay_keys(store);
    assert_int_equal(keys.count, 4); /* it stands in the place of the first of its run */
    assert_memory_equal(&keys.keys[3], &later.key, sizeof(later.key));
    fixture_close(&store);
}

static void a_damaged_key_is_found(void **state)
{
    (void)state;
    static const char *const damages[] = {
        "UPDATE record SET digest_key = x'' WHERE id = 2",
        "UPDATE record SET digest_key = x'' WHERE id = 3",
        "UPDATE record SET digest_key = x'01' WHERE id = 2",
        "UPDATE record SET digest_key = x'03' WHERE id = 4",
        "UPDATE record SET digest_key = (SELECT digest_key FROM record WHERE id = 2) WHERE id = 5",
        "UPDATE record SET digest_key = substr(digest_key, 1, 32) WHERE id = 2",
    };
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        (void)files_clear(NULL);
        assert_int_equal(mkdir(files_directory, 0700), 0);
        fill_keys();
        files_sql(damages[i]);
        struct store *store = files_open();
        if (replay(store).status != CKPT_ERR_CORRUPT) {
            fail_msg("not found: %s", damages[i]);
        }
        fixture_close(&store);
    }
}

/* A backup that was brought back, or a person, made them readable; the log is one that a process
 * which was killed has left. */
static void nobody_else_can_read_the_keys(void **state)
{
    (void)state;
    static const char *const files[] = {"records.db", "records.db-wal", "records.db-shm"};
    static const char *const kept[] = {NULL, "kept-wal", "kept-shm"};
    char path[128];
    char other[128];
    fill_keys();
    struct store *store = files_open();
    for (size_t i = 1; i < 3; i++) {
        assert_int_equal(link(files_path(files[i], path), files_path(kept[i], other)), 0);
    }
    fixture_close(&store);
    for (size_t i = 1; i < 3; i++) {
        assert_int_equal(rename(files_path(kept[i], other), files_path(files[i], path)), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(chmod(files_path(files[i], path), 0644), 0);
    }
    store = files_open();
    for (size_t i = 0; i < 3; i++) {
        struct stat found;
        assert_int_equal(stat(files_path(files[i], path), &found), 0);
        assert_int_equal(found.st_mode & 0777, 0600);
    }
    fixture_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OF_FILES(version_3_is_extended_in_its_place), OF_FILES(damage_of_version_3_is_found),
        OF_FILES(keys_come_back_as_they_were),        OF_FILES(a_damaged_key_is_found),
        OF_FILES(nobody_else_can_read_the_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
