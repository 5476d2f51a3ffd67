/* SPDX-License-Identifier: Apache-2.0 */
/* An old cluster starts as fast as a young one. With CKPT_SOAK=1: ten million past checkpoints, and
 * times; else as many as a test has time for, and sizes alone. */
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "unit/store/fixture.h"

#define KEPT 2
#define START_S_MAX 3
#define CONVERT_S_MAX 60 /* what the unit allows without being told that it goes on */

static char directory[64];
static char reason[CKPT_REASON_MAX + 1];

static bool is_soak(void)
{
    const char *soak = getenv("CKPT_SOAK");
    return soak && strcmp(soak, "1") == 0;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static char *path_of(const char *file, char path_out[128])
{
    snprintf(path_out, 128, "%s/%s", directory, file);
    return path_out;
}

static int make(void **state)
{
    (void)state;
    snprintf(directory, sizeof(directory), "/tmp/ckpt_age_XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int clear(void **state)
{
    (void)state;
    static const char *const files[] = {"records.db", "records.db-wal", "records.db-shm",
                                        "records.mark", "ckptctld.lock"};
    char path[128];
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        unlink(path_of(files[i], path));
    }
    return rmdir(directory);
}

/* The checksum of a row, as docs/formats.md says it. */
static uint32_t row_crc(uint64_t id, uint64_t type, uint64_t epoch, uint64_t uid, uint64_t step,
                        uint64_t world, uint64_t bytes, uint32_t shards_crc, const char *run)
{
    const uint64_t numbers[] = {id, type, epoch, uid, type == 1 ? 0 : 1, step, world, world, bytes};
    uint8_t fixed[8 * 9 + 4];
    for (size_t i = 0; i < 9; i++) {
        store_le64(fixed + 8 * i, numbers[i]);
    }
    store_le32(fixed + 72, shards_crc);
    uint32_t crc = crc32c(0, fixed, sizeof(fixed));
    crc = crc32c(crc, run, strlen(run) + 1);
    return crc32c(crc, "", 1);
}

struct old {
    sqlite3 *database;
    sqlite3_stmt *insert;
    sqlite3_stmt *shards;
    uint64_t rows;
};

static void add(struct old *old, uint64_t type, uint64_t step, uint32_t shards_crc)
{
    uint64_t world = type == 2 ? 1 : 0;
    const char *run = type == 1 ? "" : "llama";
    uint64_t uid = type == 1 ? 0 : 1000;
    uint64_t id = ++old->rows;
    const uint64_t values[] = {id, type, 1, uid, 0, type == 1 ? 0 : 1, step, world, world, world};
    for (int i = 0; i < 10; i++) {
        sqlite3_bind_int64(old->insert, i + 1, (sqlite3_int64)values[i]);
    }
    sqlite3_bind_text(old->insert, 5, run, -1, SQLITE_STATIC);
    sqlite3_bind_text(old->insert, 11, "", -1, SQLITE_STATIC);
    sqlite3_bind_int64(old->insert, 12, shards_crc);
    sqlite3_bind_int64(old->insert, 13,
                       row_crc(id, type, 1, uid, step, world, world, shards_crc, run));
    assert_int_equal(sqlite3_step(old->insert), SQLITE_DONE);
    sqlite3_reset(old->insert);
}

/* A database of version 1 of a run that has saved `count` times. */
static void make_old(uint64_t count)
{
    char path[128];
    char sql[16384];
    struct old old = {0};
    uint8_t blob[40] = {1};
    FILE *file = fopen(GOLDEN_DIR "/records_v1.sql", "r");
    assert_non_null(file);
    sql[fread(sql, 1, sizeof(sql) - 1, file)] = '\0';
    fclose(file);
    assert_int_equal(sqlite3_open(path_of("records.db", path), &old.database), SQLITE_OK);
    sqlite3_exec(old.database, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL,
                 NULL);
    assert_int_equal(sqlite3_exec(old.database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_exec(old.database, "DELETE FROM record; DELETE FROM shards; BEGIN", NULL, NULL, NULL);
    sqlite3_prepare_v2(old.database, "INSERT INTO record VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", -1,
                       &old.insert, NULL);
    sqlite3_prepare_v2(old.database, "INSERT INTO shards VALUES (?,?)", -1, &old.shards, NULL);
    add(&old, 1, 0, 0);
    for (uint64_t step = 1; step <= count; step++) {
        add(&old, 2, step, crc32c(0, blob, sizeof(blob)));
        if (step > count - KEPT) {
            sqlite3_bind_int64(old.shards, 1, (sqlite3_int64)old.rows);
            sqlite3_bind_blob(old.shards, 2, blob, sizeof(blob), SQLITE_STATIC);
            assert_int_equal(sqlite3_step(old.shards), SQLITE_DONE);
            sqlite3_reset(old.shards);
        }
        if (step > KEPT) {
            add(&old, 3, step - KEPT, 0);
        }
    }
    sqlite3_finalize(old.insert);
    sqlite3_finalize(old.shards);
    assert_int_equal(sqlite3_exec(old.database, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(old.database), SQLITE_OK);
    chmod(path, 0600);
}

static enum ckpt_status count_record(void *context, const struct coordinator_record *record)
{
    (void)record;
    ++*(uint32_t *)context;
    return CKPT_OK;
}

/* Opens and replays: in seconds. */
static double start(uint32_t *records_out)
{
    struct store *store = NULL;
    double begin = now_s();
    if (fixture_open(&store_sqlite, directory, NULL, &store, reason) != CKPT_OK) {
        fail_msg("%s", reason);
    }
    *records_out = 0;
    assert_int_equal(fixture_replay(store, count_record, records_out), CKPT_OK);
    double took = now_s() - begin;
    fixture_close(&store);
    return took;
}

static void an_old_database_starts_soon(void **state)
{
    (void)state;
    char path[128];
    struct stat status;
    uint32_t records;
    uint64_t count = is_soak() ? 10000000 : 20000;
    make_old(count);
    assert_int_equal(stat(path_of("records.db", path), &status), 0);
    double size_mib = (double)status.st_size / (1 << 20);
    double first = start(&records);
    assert_int_equal(records, 1 + KEPT);
    double second = start(&records);
    assert_int_equal(records, 1 + KEPT);
    assert_int_equal(stat(path, &status), 0);
    printf("%llu past checkpoints, %.0f MiB: first start %.2f s, then %.3f s and %lld KiB\n",
           (unsigned long long)count, size_mib, first, second, (long long)status.st_size >> 10);
    assert_true(status.st_size < 256 << 10);
    if (is_soak()) {
        assert_true(first < CONVERT_S_MAX);
        assert_true(second < START_S_MAX);
    }
}

/* Years of saves, restores and restarts of this version: what is replayed stays what is there. */
static void a_young_one_grows_no_older(void **state)
{
    (void)state;
    uint32_t records;
    struct store *store = NULL;
    struct coordinator_record first[] = {record_epoch(1), record_of(RECORD_ATTEMPT, 1, 0)};
    assert_int_equal(fixture_open(&store_sqlite, directory, NULL, &store, reason), CKPT_OK);
    assert_int_equal(commit(store, first, 2), CKPT_OK);
    for (uint64_t batch = 0; batch < 100; batch++) {
        struct coordinator_record many[400];
        for (uint64_t i = 0; i < 100; i++) {
            uint64_t step = batch * 100 + i + 1;
            many[4 * i] = record_epoch(step + 1);
            many[4 * i + 1] = record_consistent(step + 1, step, 4);
            many[4 * i + 2] = record_of(RECORD_VERDICT, step + 1, step);
            many[4 * i + 3] = record_of(RECORD_RETIRED, step + 1, step > KEPT ? step - KEPT : 0);
        }
        assert_int_equal(commit(store, many, 400), CKPT_OK);
    }
    fixture_close(&store);
    (void)start(&records);
    assert_int_equal(records, 1 + 1 + 1 + KEPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_old_database_starts_soon, make, clear),
        cmocka_unit_test_setup_teardown(a_young_one_grows_no_older, make, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
