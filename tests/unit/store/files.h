/* SPDX-License-Identifier: Apache-2.0 */
/* A state directory of a test's own, and what it does to the database in it. */
#ifndef CKPT_TESTS_STORE_FILES_H
#define CKPT_TESTS_STORE_FILES_H

#include "unit/store/fixture.h"

extern char files_directory[64];
extern char files_reason[CKPT_REASON_MAX + 1]; /* of the last open */

/* Around each test. */
int files_make(void **state);
int files_clear(void **state);
#define OF_FILES(test) cmocka_unit_test_setup_teardown(test, files_make, files_clear)

char *files_path(const char *file, char path_out[128]);
/* The store there; the test fails when it cannot be opened. */
struct store *files_open(void);
void files_sql(const char *sql);
/* The database that the file of SQL makes, with these changes. */
void files_golden(const char *golden, const char *changes);

#endif
