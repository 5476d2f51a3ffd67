/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/store/files.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

char files_directory[64];
char files_reason[CKPT_REASON_MAX + 1];

char *files_path(const char *file, char path_out[128])
{
    snprintf(path_out, 128, "%s/%s", files_directory, file);
    return path_out;
}

int files_make(void **state)
{
    (void)state;
    snprintf(files_directory, sizeof(files_directory), "/tmp/ckpt_sqlite_XXXXXX");
    files_reason[0] = '\0';
    return mkdtemp(files_directory) ? 0 : -1;
}

int files_clear(void **state)
{
    (void)state;
    static const char *const files[] = {"records.db",   "records.db-wal", "records.db-shm",
                                        "records.mark", "ckptctld.lock",  "records.db.new"};
    char path[128];
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        unlink(files_path(files[i], path));
    }
    return rmdir(files_directory);
}

struct store *files_open(void)
{
    struct store *store = NULL;
    if (fixture_open(&store_sqlite, files_directory, NULL, &store, files_reason) != CKPT_OK) {
        fail_msg("%s", files_reason);
    }
    return store;
}

void files_sql(const char *sql)
{
    char path[128];
    sqlite3 *database;
    assert_int_equal(sqlite3_open(files_path("records.db", path), &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

void files_golden(const char *golden, const char *changes)
{
    char path[128];
    char sql[16384];
    FILE *file = fopen(golden, "r");
    assert_non_null(file);
    size_t bytes = fread(sql, 1, sizeof(sql) - 1, file);
    fclose(file);
    sql[bytes] = '\0';
    files_sql(sql);
    files_sql(changes);
    assert_int_equal(chmod(files_path("records.db", path), 0600), 0);
}
