/* SPDX-License-Identifier: Apache-2.0 */
/* What only the durable store does: it survives, it is one process's, and it notices damage. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault_point.h"
#include "store/shard_blob.h"
#include "unit/store/files.h"
#include "unit/store/fixture.h"

/* SQLite's own syncs come through here: counted, and made to fail. */
static int syncs;
static bool syncs_fail;

__attribute__((visibility("default"))) int fdatasync(int fd);
__attribute__((visibility("default"))) int fsync(int fd);

static int sync_or_fail(int fd)
{
    syncs++;
    if (syncs_fail) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return sync_or_fail(fd);
}

int fsync(int fd)
{
    return sync_or_fail(fd);
}

static void expect_refused(enum ckpt_status status, const char *words)
{
    struct store *store = NULL;
    assert_int_equal(fixture_open(&store_sqlite, files_directory, NULL, &store, files_reason),
                     status);
    assert_null(store);
    if (!strstr(files_reason, words)) {
        fail_msg("'%s' is not in '%s'", words, files_reason);
    }
}

static void fill(void)
{
    struct coordinator_record records[] = {record_epoch(1), record_consistent(1, 100, 64),
                                           record_consistent(1, 200, 64)};
    struct store *store = files_open();
    assert_int_equal(commit(store, records, 3), CKPT_OK);
    fixture_close(&store);
}

static int count_rows(void)
{
    char path[128];
    sqlite3 *database;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open(files_path("records.db", path), &database), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(database, "SELECT count(*) FROM record", -1, &statement, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int rows = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return rows;
}

/* Flips one bit of the byte at which `needle` is found in the file. */
static void flip(const char *file, const void *needle, size_t bytes)
{
    char path[128];
    int fd = open(files_path(file, path), O_RDWR);
    struct stat status;
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    char *content = malloc((size_t)status.st_size);
    assert_int_equal(pread(fd, content, (size_t)status.st_size, 0), status.st_size);
    char *found = memmem(content, (size_t)status.st_size, needle, bytes);
    assert_non_null(found);
    *found ^= 1;
    assert_int_equal(pwrite(fd, found, 1, found - content), 1);
    close(fd);
    free(content);
}

static void records_survive_a_close(void **state)
{
    (void)state;
    fill();
    struct store *store = files_open();
    uint64_t epoch;
    assert_string_equal(replay(store).text, "epoch:1 consistent:100 consistent:200 ");
    assert_int_equal(fixture_epoch(store, &epoch), CKPT_OK);
    assert_int_equal(epoch, 1);
    fixture_close(&store);
}

/* Runs body in a process of its own, which ends by SIGKILL to itself. */
static void die_after(void (*body)(struct store *store))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store *store = NULL;
        if (fixture_open(&store_sqlite, files_directory, NULL, &store, files_reason) == CKPT_OK) {
            body(store);
            raise(SIGKILL);
        }
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void commit_two(struct store *store)
{
    struct coordinator_record first[] = {record_epoch(1), record_consistent(1, 100, 64)};
    struct coordinator_record second[] = {record_consistent(1, 200, 64)};
    if (commit(store, first, 2) != CKPT_OK || commit(store, second, 1) != CKPT_OK) {
        _exit(1);
    }
}

static void records_survive_a_kill(void **state)
{
    (void)state;
    die_after(commit_two);
    struct store *store = files_open();
    assert_string_equal(replay(store).text, "epoch:1 consistent:100 consistent:200 ");
    fixture_close(&store);
}

#if CKPT_FAULT_POINTS
static void die_inside_a_commit(struct store *store)
{
    struct coordinator_record first[] = {record_epoch(1), record_consistent(1, 100, 64)};
    struct coordinator_record second[] = {record_consistent(1, 200, 64),
                                          record_of(RECORD_RETIRED, 1, 100)};
    if (commit(store, first, 2) == CKPT_OK &&
        fault_points_arm("coordinator_in_transaction=crash", files_reason, sizeof(files_reason)) ==
            CKPT_OK) {
        commit(store, second, 2);
    }
    _exit(1);
}

static void a_kill_inside_a_commit_leaves_nothing_of_it(void **state)
{
    (void)state;
    die_after(die_inside_a_commit);
    struct store *store = files_open();
    assert_string_equal(replay(store).text, "epoch:1 consistent:100 ");
    fixture_close(&store);
}

static void after_a_failed_commit_none_succeeds(void **state)
{
    (void)state;
    struct coordinator_record records[] = {record_epoch(1), record_epoch(2)};
    struct store *store = files_open();
    assert_int_equal(
        fault_points_arm("coordinator_in_transaction=error@1", files_reason, sizeof(files_reason)),
        CKPT_OK);
    assert_int_equal(commit(store, records, 1), CKPT_ERR_DISK);
    assert_int_equal(commit(store, records, 1), CKPT_ERR_DISK);
    assert_int_equal(fault_points_arm("", files_reason, sizeof(files_reason)), CKPT_OK);
    assert_int_equal(commit(store, records, 1), CKPT_ERR_DISK);
    fixture_close(&store);
    store = files_open();
    assert_string_equal(replay(store).text, "");
    fixture_close(&store);
}
#endif

/* RLIMIT_FSIZE makes write fail as a full disk does, with another number. */
static void a_full_disk_passes(void **state)
{
    (void)state;
    struct coordinator_record epoch = record_epoch(1);
    struct coordinator_record big = record_consistent(1, 100, CKPT_WORLD_MAX);
    struct store *store = files_open();
    assert_int_equal(commit(store, &epoch, 1), CKPT_OK);
    struct rlimit before;
    struct rlimit small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 1 << 20;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum ckpt_status status = commit(store, &big, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, CKPT_ERR_FULL);
    assert_true(store_may_pass(status));
    assert_non_null(strstr(fixture_reason, "records.db"));
    assert_string_equal(replay(store).text, "epoch:1 ");
    assert_int_equal(commit(store, &big, 1), CKPT_OK);
    fixture_close(&store);
    store = files_open();
    assert_string_equal(replay(store).text, "epoch:1 consistent:100 ");
    fixture_close(&store);
}

/* Somebody has a transaction open: at a commit, and at an open. */
static void another_programs_lock_passes(void **state)
{
    (void)state;
    char path[128];
    sqlite3 *other;
    struct coordinator_record epoch = record_epoch(2);
    fill();
    struct store *store = files_open();
    assert_int_equal(sqlite3_open(files_path("records.db", path), &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(commit(store, &epoch, 1), CKPT_ERR_TIMEOUT);
    assert_true(store_may_pass(CKPT_ERR_TIMEOUT));
    assert_non_null(strstr(fixture_reason, "another program"));
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(commit(store, &epoch, 1), CKPT_OK);
    fixture_close(&store);
    sqlite3_exec(other, "PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE", NULL, NULL, NULL);
    expect_refused(CKPT_ERR_TIMEOUT, "another program");
    sqlite3_close(other);
    store = files_open();
    assert_string_equal(replay(store).text, "consistent:100 consistent:200 epoch:2 ");
    fixture_close(&store);
}

static void each_commit_is_synced(void **state)
{
    (void)state;
    struct store *store = files_open();
    for (uint64_t i = 1; i <= 5; i++) {
        struct coordinator_record epoch = record_epoch(i);
        int before = syncs;
        assert_int_equal(commit(store, &epoch, 1), CKPT_OK);
        assert_true(syncs > before);
    }
    fixture_close(&store);
}

/* The kernel may have dropped the pages: a later sync that succeeds would prove nothing. */
static void a_failed_sync_is_never_made_good(void **state)
{
    (void)state;
    struct coordinator_record epochs[] = {record_epoch(1), record_epoch(2), record_epoch(3)};
    struct store *store = files_open();
    assert_int_equal(commit(store, epochs, 1), CKPT_OK);
    syncs_fail = true;
    enum ckpt_status status = commit(store, epochs + 1, 1);
    syncs_fail = false;
    assert_int_equal(status, CKPT_ERR_DISK);
    assert_non_null(strstr(fixture_reason, "records.db"));
    assert_int_equal(commit(store, epochs + 2, 1), CKPT_ERR_DISK);
    fixture_close(&store);
    /* It may be there or not; what was told is. */
    store = files_open();
    uint64_t epoch;
    assert_int_equal(fixture_epoch(store, &epoch), CKPT_OK);
    assert_true(epoch == 1 || epoch == 2);
    fixture_close(&store);
}

static void a_second_process_is_refused(void **state)
{
    (void)state;
    struct store *store = files_open();
    char pid[32];
    snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
    expect_refused(CKPT_ERR_BUSY, pid);
    fixture_close(&store);
    store = files_open();
    fixture_close(&store);
}

static void a_flipped_digest_is_found(void **state)
{
    (void)state;
    fill();
    struct coordinator_record record = record_consistent(1, 200, 64);
    struct coordinator_record_shard shard = made_shard(NULL, &record, 17);
    flip("records.db", shard.digest.bytes, sizeof(shard.digest.bytes));
    struct store *store = files_open();
    struct seen seen = replay(store);
    assert_int_equal(seen.status, CKPT_ERR_CORRUPT);
    assert_non_null(strstr(fixture_reason, "row 3 has damaged shards"));
    fixture_close(&store);
}

static void a_flipped_record_is_found(void **state)
{
    (void)state;
    fill();
    flip("records.db", "step 100", 8);
    struct store *store = files_open();
    assert_int_equal(replay(store).status, CKPT_ERR_CORRUPT);
    assert_non_null(strstr(fixture_reason, "row 2 is damaged"));
    fixture_close(&store);
}

static void changed_and_missing_rows_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        const char *words;
    } changes[] = {
        {"UPDATE record SET step = 101 WHERE id = 2", "row 2 is damaged"},
        {"UPDATE record SET shards_crc = 0 WHERE id = 2", "row 2 is damaged"},
        {"UPDATE record SET id = 4 WHERE id = 3", "row 4 is damaged"},
        {"DELETE FROM record WHERE id = 2", "2 rows are there, 3 must be"},
        {"DELETE FROM shards WHERE record = 3", "row 3 has lost its shards"},
        {"UPDATE shards SET sizes_and_digests = x'' WHERE record = 3", "row 3 has damaged shards"},
        {"UPDATE record SET run = 'llama' || char(0) WHERE id = 2", "row 2 is damaged"},
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        fill();
        files_sql(changes[i].sql);
        struct store *store = files_open();
        assert_int_equal(replay(store).status, CKPT_ERR_CORRUPT);
        if (!strstr(fixture_reason, changes[i].words)) {
            fail_msg("%s: %s", changes[i].sql, fixture_reason);
        }
        fixture_close(&store);
        assert_int_equal(files_clear(NULL), 0);
        assert_int_equal(files_make(NULL), 0);
    }
}

static void a_damaged_extent_is_found(void **state)
{
    (void)state;
    fill();
    files_sql("UPDATE extent SET row_count = 2");
    expect_refused(CKPT_ERR_CORRUPT, "extent is damaged");
    files_sql("DELETE FROM extent");
    expect_refused(CKPT_ERR_CORRUPT, "extent is damaged or missing");
}

static void an_older_database_is_found(void **state)
{
    (void)state;
    fill();
    files_sql("CREATE TABLE kept AS SELECT * FROM extent");
    struct coordinator_record epoch = record_epoch(2);
    struct store *store = files_open();
    assert_int_equal(commit(store, &epoch, 1), CKPT_OK);
    fixture_close(&store);
    files_sql("UPDATE extent SET (last_id, row_count, row_sum, crc) ="
              " (SELECT last_id, row_count, row_sum, crc FROM kept); DROP TABLE kept");
    expect_refused(CKPT_ERR_CORRUPT, "ends at row 3, but row 4 was committed");
}

static void a_damaged_log_is_found(void **state)
{
    (void)state;
    die_after(commit_two);
    flip("records.db-wal", "step 200", 8);
    expect_refused(CKPT_ERR_CORRUPT, "was committed");
}

static void a_damaged_mark_is_found(void **state)
{
    (void)state;
    fill();
    flip("records.mark", "\x03\x00\x00\x00\x00\x00\x00\x00", 8);
    expect_refused(CKPT_ERR_CORRUPT, "records.mark is damaged");
}

static void a_damaged_index_is_found(void **state)
{
    (void)state;
    fill();
    files_sql("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'attempt',"
              " 'world') WHERE name = 'record_subject'");
    expect_refused(CKPT_ERR_CORRUPT, "is damaged");
}

static void other_files_are_refused(void **state)
{
    (void)state;
    char path[128];
    files_sql("CREATE TABLE other (x)");
    expect_refused(CKPT_ERR_CORRUPT, "another program");
    assert_int_equal(unlink(files_path("records.db", path)), 0);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++) {
        fputs("not a database", file);
    }
    fclose(file);
    expect_refused(CKPT_ERR_CORRUPT, "records.db");
    assert_int_equal(unlink(path), 0);
    fill();
    files_sql("PRAGMA user_version = 6");
    expect_refused(CKPT_ERR_VERSION, "schema version 6");
}

static void shards_of_the_version_before_are_taken(void **state)
{
    (void)state;
    struct coordinator_record record = record_consistent(1, 100, 3);
    struct store_transaction transaction = {.shard_at = made_shard};
    struct coordinator_record_shard shards[3];
    size_t bytes;
    uint8_t *blob = shard_blob_encode(&transaction, &record, &bytes);
    assert_non_null(blob);
    assert_true(shard_blob_decode(blob, bytes, 3, shards));
    assert_int_equal(shards[2].node_count, 2);
    assert_string_equal(shards[2].nodes[1], "rack-1.node");
    assert_true(shard_blob_decode(blob, (size_t)3 * 40, 3, shards)); /* without their holders */
    assert_int_equal(shards[2].node_count, 0);
    for (size_t cut = 0; cut < bytes; cut++) { /* nothing between the two is taken */
        assert_true(cut == (size_t)3 * 40 || !shard_blob_decode(blob, cut, 3, shards));
    }
    blob[bytes - 1] = 9; /* a name that is not there */
    assert_false(shard_blob_decode(blob, bytes, 3, shards));
    free(blob);
}

static void a_directory_that_cannot_be_is_refused(void **state)
{
    (void)state;
    struct store *store = NULL;
    assert_int_equal(fixture_open(&store_sqlite, "/proc/ckptctld", NULL, &store, files_reason),
                     CKPT_ERR_SYSTEM);
    assert_non_null(strstr(files_reason, "/proc/ckptctld"));
    assert_int_equal(fixture_open(&store_sqlite, "/dev/null", NULL, &store, files_reason),
                     CKPT_ERR_SYSTEM);
    assert_null(store);
}

static void files_are_private(void **state)
{
    (void)state;
    static const char *const files[] = {"records.db", "records.db-wal", "records.mark",
                                        "ckptctld.lock"};
    struct store *store = files_open();
    struct coordinator_record epoch = record_epoch(1);
    assert_int_equal(commit(store, &epoch, 1), CKPT_OK);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[128];
        struct stat status;
        assert_int_equal(stat(files_path(files[i], path), &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
    fixture_close(&store);
}

/* Dropped rows make room for the next: hundreds of checkpoints of which two are kept. */
static void the_file_does_not_grow_by_what_is_retired(void **state)
{
    (void)state;
    char path[128];
    struct stat early;
    struct stat late;
    struct coordinator_record epoch = record_epoch(1);
    struct store *store = files_open();
    assert_int_equal(commit(store, &epoch, 1), CKPT_OK);
    for (uint64_t step = 1; step <= 300; step++) {
        struct coordinator_record records[] = {record_consistent(1, step, 1024),
                                               record_of(RECORD_VERDICT, 1, step),
                                               record_of(RECORD_RETIRED, 1, step - 2)};
        assert_int_equal(commit(store, records, step > 2 ? 3 : 2), CKPT_OK);
        if (step == 100) {
            assert_int_equal(stat(files_path("records.db", path), &early), 0);
        }
    }
    fixture_close(&store);
    assert_int_equal(stat(files_path("records.db", path), &late), 0);
    assert_true(late.st_size <= early.st_size);
    assert_int_equal(count_rows(), 4);
    store = files_open();
    assert_string_equal(replay(store).text, "epoch:1 consistent:299 consistent:300 verdict:300 ");
    fixture_close(&store);
}

static void make_version_1(const char *changes)
{
    files_golden(GOLDEN_DIR "/records_v1.sql", changes);
}

/* Its rows stay as they are, and have no time; what is committed from now on has. */
static void version_2_is_extended_in_its_place(void **state)
{
    (void)state;
    struct coordinator_record more[] = {record_epoch(3), record_consistent(3, 400, 2)};
    files_golden(GOLDEN_DIR "/records_v2.sql", "");
    times_are_made = false;
    struct store *store = files_open();
    assert_string_equal(replay(store).text,
                        "attempt:3 consistent:200 mark:200 epoch:2 verdict:200 consistent:300 ");
    times_are_made = true;
    assert_int_equal(commit(store, more, 2), CKPT_OK);
    struct coordinator_record retired = record_of(RECORD_RETIRED, 3, 200);
    assert_int_equal(commit(store, &retired, 1), CKPT_OK);
    retired.step = 300;
    assert_int_equal(commit(store, &retired, 1), CKPT_OK);
    fixture_close(&store);
    store = files_open();
    assert_string_equal(replay(store).text, "attempt:3 verdict:200 epoch:3 consistent:400 ");
    fixture_close(&store);
}

static void damage_of_version_2_is_found(void **state)
{
    (void)state;
    files_golden(GOLDEN_DIR "/records_v2.sql", "UPDATE record SET step = 201 WHERE id = 5");
    struct store *store = files_open();
    assert_int_equal(replay(store).status, CKPT_ERR_CORRUPT);
    fixture_close(&store);
}

static void a_changed_time_is_found(void **state)
{
    (void)state;
    fill();
    files_sql("UPDATE record SET wall_ms = wall_ms + 1 WHERE id = 2");
    struct store *store = files_open();
    assert_int_equal(replay(store).status, CKPT_ERR_CORRUPT);
    fixture_close(&store);
}

static void version_1_is_converted(void **state)
{
    (void)state;
    char path[128];
    uint64_t epoch;
    struct coordinator_record more[] = {record_epoch(6), record_of(RECORD_RETIRED, 6, 300)};
    make_version_1("");
    holders_are_made = false;
    times_are_made = false;
    struct store *store = files_open();
    assert_string_equal(replay(store).text, "attempt:3 consistent:300 verdict:200 withdrawn:300 "
                                            "quarantined:300 epoch:5 consistent:200 verdict:200 ");
    assert_int_equal(fixture_epoch(store, &epoch), CKPT_OK);
    assert_int_equal(epoch, 5);
    assert_int_equal(commit(store, more, 2), CKPT_OK);
    fixture_close(&store);
    assert_int_equal(count_rows(), 6);
    assert_int_not_equal(access(files_path("records.db.new", path), F_OK), 0);
    store = files_open();
    assert_string_equal(replay(store).text, "attempt:3 verdict:200 withdrawn:300 consistent:200 "
                                            "verdict:200 epoch:6 ");
    holders_are_made = true;
    times_are_made = true;
    fixture_close(&store);
}

/* What a replay of version 1 refused, its conversion refuses, and leaves everything as it is. */
static void damage_of_version_1_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        const char *words;
    } changes[] = {
        {"UPDATE record SET step = 301 WHERE id = 8", "row 8 is damaged"},
        {"DELETE FROM record WHERE id = 6", "row 6 is missing"},
        {"DELETE FROM shards WHERE record = 8", "row 8 has lost its shards"},
        {"UPDATE shards SET sizes_and_digests = x'' WHERE record = 8", "row 8 has damaged shards"},
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        make_version_1(changes[i].sql);
        expect_refused(CKPT_ERR_CORRUPT, changes[i].words);
        expect_refused(CKPT_ERR_CORRUPT, changes[i].words);
        assert_int_equal(files_clear(NULL), 0);
        assert_int_equal(files_make(NULL), 0);
    }
}

/* One that was being made when its process died is made anew. */
static void a_left_conversion_is_made_anew(void **state)
{
    (void)state;
    char path[128];
    make_version_1("");
    FILE *file = fopen(files_path("records.db.new", path), "w");
    fputs("half of it", file);
    fclose(file);
    struct store *store = files_open();
    assert_int_equal(replay(store).status, CKPT_OK);
    fixture_close(&store);
    assert_int_not_equal(access(path, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OF_FILES(records_survive_a_close),
        OF_FILES(shards_of_the_version_before_are_taken),
        OF_FILES(records_survive_a_kill),
#if CKPT_FAULT_POINTS
        OF_FILES(a_kill_inside_a_commit_leaves_nothing_of_it),
        OF_FILES(after_a_failed_commit_none_succeeds),
#endif
        OF_FILES(a_full_disk_passes),
        OF_FILES(another_programs_lock_passes),
        OF_FILES(each_commit_is_synced),
        OF_FILES(a_failed_sync_is_never_made_good),
        OF_FILES(a_second_process_is_refused),
        OF_FILES(a_flipped_digest_is_found),
        OF_FILES(a_flipped_record_is_found),
        OF_FILES(changed_and_missing_rows_are_found),
        OF_FILES(a_damaged_extent_is_found),
        OF_FILES(an_older_database_is_found),
        OF_FILES(a_damaged_log_is_found),
        OF_FILES(a_damaged_mark_is_found),
        OF_FILES(a_damaged_index_is_found),
        OF_FILES(other_files_are_refused),
        OF_FILES(a_directory_that_cannot_be_is_refused),
        OF_FILES(files_are_private),
        OF_FILES(the_file_does_not_grow_by_what_is_retired),
        OF_FILES(version_2_is_extended_in_its_place),
        OF_FILES(damage_of_version_2_is_found),
        OF_FILES(a_changed_time_is_found),
        OF_FILES(version_1_is_converted),
        OF_FILES(damage_of_version_1_is_found),
        OF_FILES(a_left_conversion_is_made_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
