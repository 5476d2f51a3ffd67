/* SPDX-License-Identifier: Apache-2.0 */
/* What every backend must do, run over each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/store/fixture.h"

struct opened {
    struct store *store;
    char directory[64];
};

static int open_backend(void **state, const char *name)
{
    struct opened *opened = calloc(1, sizeof(*opened));
    char reason[CKPT_REASON_MAX + 1];
    snprintf(opened->directory, sizeof(opened->directory), "/tmp/ckpt_store_XXXXXX");
    if (!mkdtemp(opened->directory) || fixture_open(store_backend_by_name(name), opened->directory,
                                                    NULL, &opened->store, reason) != CKPT_OK) {
        free(opened);
        return -1;
    }
    *state = opened;
    return 0;
}

static int open_memory(void **state)
{
    return open_backend(state, "memory");
}

static int open_sqlite(void **state)
{
    return open_backend(state, "sqlite");
}

static int close_backend(void **state)
{
    static const char *const files[] = {"records.db", "records.db-wal", "records.db-shm",
                                        "records.mark", "ckptctld.lock"};
    struct opened *opened = *state;
    fixture_close(&opened->store);
    assert_null(opened->store);
    fixture_close(&opened->store);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", opened->directory, files[i]);
        unlink(path);
    }
    int left = rmdir(opened->directory);
    free(opened);
    return left;
}

static struct store *store_of(void **state)
{
    return ((struct opened *)*state)->store;
}

static void expect_replay(struct store *store, const char *text)
{
    struct seen seen = replay(store);
    assert_int_equal(seen.status, CKPT_OK);
    assert_string_equal(seen.text, text);
}

static void a_new_store_is_empty(void **state)
{
    uint64_t epoch = 99;
    assert_int_equal(fixture_epoch(store_of(state), &epoch), CKPT_OK);
    assert_int_equal(epoch, 0);
    expect_replay(store_of(state), "");
    assert_int_equal(commit(store_of(state), NULL, 0), CKPT_OK);
    expect_replay(store_of(state), "");
}

static void records_come_back_in_order(void **state)
{
    struct coordinator_record first[] = {record_epoch(1)};
    struct coordinator_record second[] = {record_of(RECORD_ATTEMPT, 1, 0),
                                          record_consistent(1, 100, 5),
                                          record_consistent(1, 200, 1),
                                          record_of(RECORD_QUARANTINED, 1, 200),
                                          record_of(RECORD_WITHDRAWN, 1, 300),
                                          record_of(RECORD_VERDICT, 1, 100),
                                          record_of(RECORD_HOLDERS, 1, 100),
                                          record_of(RECORD_MARK, 1, 100),
                                          record_epoch(7)};
    uint64_t epoch = 0;
    assert_int_equal(commit(store_of(state), first, 1), CKPT_OK);
    assert_int_equal(commit(store_of(state), second, 9), CKPT_OK);
    expect_replay(store_of(state), "attempt:3 consistent:100 consistent:200 quarantined:200 "
                                   "withdrawn:300 verdict:100 holders:100 mark:100 epoch:7 ");
    assert_int_equal(fixture_epoch(store_of(state), &epoch), CKPT_OK);
    assert_int_equal(epoch, 7);
}

static void given_shards_are_taken_as_they_are(void **state)
{
    struct coordinator_record records[] = {record_epoch(1), record_consistent(1, 100, 2)};
    struct coordinator_record_shard shards[2];
    for (uint32_t rank = 0; rank < 2; rank++) {
        shards[rank] = made_shard(NULL, &records[1], rank);
    }
    records[1].shards = shards;
    struct store_transaction transaction = {.records = records, .count = 2};
    assert_int_equal(fixture_commit(store_of(state), &transaction), CKPT_OK);
    memset(shards, 0, sizeof(shards));
    expect_replay(store_of(state), "epoch:1 consistent:100 ");
}

static void the_largest_world_fits(void **state)
{
    struct coordinator_record records[] = {record_epoch(1),
                                           record_consistent(1, 100, CKPT_WORLD_MAX)};
    assert_int_equal(commit(store_of(state), records, 2), CKPT_OK);
    expect_replay(store_of(state), "epoch:1 consistent:100 ");
}

static void what_is_retired_is_not_replayed(void **state)
{
    struct coordinator_record before[] = {
        record_epoch(1), record_consistent(1, 100, 2), record_of(RECORD_QUARANTINED, 1, 100),
        record_of(RECORD_HOLDERS, 1, 100), record_of(RECORD_MARK, 1, 100)};
    struct coordinator_record after[] = {record_consistent(1, 200, 2),
                                         record_of(RECORD_RETIRED, 1, 100)};
    assert_int_equal(commit(store_of(state), before, 5), CKPT_OK);
    assert_int_equal(commit(store_of(state), after, 2), CKPT_OK);
    expect_replay(store_of(state), "epoch:1 consistent:200 ");

    /* The same step may become consistent again, after everything newer was retired. */
    struct coordinator_record again[] = {record_consistent(1, 100, 4)};
    assert_int_equal(commit(store_of(state), again, 1), CKPT_OK);
    expect_replay(store_of(state), "epoch:1 consistent:200 consistent:100 ");
}

static void what_is_offered_again_is_no_longer_quarantined(void **state)
{
    struct coordinator_record records[] = {
        record_epoch(1), record_consistent(1, 100, 2), record_of(RECORD_QUARANTINED, 1, 100),
        record_of(RECORD_MARK, 1, 100), record_of(RECORD_HOLDERS, 1, 100)};
    struct coordinator_record after[] = {record_of(RECORD_OFFERED, 1, 100),
                                         record_of(RECORD_MARK, 1, 100),
                                         record_of(RECORD_HOLDERS, 1, 100)};
    assert_int_equal(commit(store_of(state), records, 5), CKPT_OK);
    assert_int_equal(commit(store_of(state), after, 3), CKPT_OK);
    /* One word of a person on a checkpoint; but each rank's copies move by themselves. */
    expect_replay(store_of(state), "epoch:1 consistent:100 holders:100 mark:100 holders:100 ");
}

/* Of what says the same of a run only the last stays, and another run's stays as well. */
static void what_is_made_void_is_gone(void **state)
{
    struct coordinator_record records[] = {
        record_epoch(1),
        record_of(RECORD_ATTEMPT, 1, 0),
        record_of(RECORD_WITHDRAWN, 1, 10),
        record_of(RECORD_VERDICT, 1, 20),
        record_of(RECORD_ATTEMPT, 1, 0),
        record_of(RECORD_VERDICT, 1, 30),
        record_of(RECORD_WITHDRAWN, 1, 40),
        record_of(RECORD_VERDICT, 1, 50),
    };
    records[4].attempt = 7;
    records[7].run.uid = 1001;
    assert_int_equal(commit(store_of(state), records, 4), CKPT_OK);
    expect_replay(store_of(state), "epoch:1 attempt:3 withdrawn:10 verdict:20 ");
    assert_int_equal(commit(store_of(state), records + 4, 4), CKPT_OK);
    expect_replay(store_of(state), "epoch:1 attempt:7 verdict:30 withdrawn:40 verdict:50 ");
}

/* The fence of a run outlives its checkpoints. */
static void fences_outlive_what_they_guard(void **state)
{
    struct coordinator_record records[] = {
        record_epoch(1), record_of(RECORD_ATTEMPT, 1, 0), record_consistent(1, 100, 2),
        record_of(RECORD_WITHDRAWN, 1, 100), record_of(RECORD_RETIRED, 1, 100)};
    assert_int_equal(commit(store_of(state), records, 5), CKPT_OK);
    expect_replay(store_of(state), "epoch:1 attempt:3 withdrawn:100 ");
}

static void retiring_is_exact(void **state)
{
    struct coordinator_record records[] = {record_epoch(1), record_consistent(1, 100, 2)};
    struct coordinator_record others[4];
    for (int i = 0; i < 4; i++) {
        others[i] = record_of(RECORD_RETIRED, 1, 100);
    }
    others[0].run.uid = 1001;
    others[1].attempt = 4;
    others[2].step = 101;
    memcpy(others[3].run.name, "llama2", 7);
    assert_int_equal(commit(store_of(state), records, 2), CKPT_OK);
    assert_int_equal(commit(store_of(state), others, 4), CKPT_OK);
    expect_replay(store_of(state), "epoch:1 consistent:100 ");
}

static void a_lower_epoch_is_fenced_off(void **state)
{
    struct coordinator_record epochs[] = {record_epoch(5)};
    struct coordinator_record stale[] = {record_consistent(5, 100, 1),
                                         record_of(RECORD_ATTEMPT, 4, 0)};
    struct coordinator_record same = record_epoch(5);
    struct coordinator_record unknown = record_of(RECORD_ATTEMPT, 6, 0);
    struct coordinator_record huge = record_epoch((uint64_t)INT64_MAX + 1);
    assert_int_equal(commit(store_of(state), epochs, 1), CKPT_OK);
    assert_int_equal(commit(store_of(state), stale, 2), CKPT_ERR_STALE);
    assert_string_not_equal(fixture_reason, "");
    assert_int_equal(commit(store_of(state), &same, 1), CKPT_ERR_STALE);
    assert_int_equal(commit(store_of(state), &unknown, 1), CKPT_ERR_INVALID);
    assert_int_equal(commit(store_of(state), &huge, 1), CKPT_ERR_INVALID);
    /* Nothing of a refused transaction stays, and the store goes on. */
    expect_replay(store_of(state), "epoch:5 ");
    assert_int_equal(commit(store_of(state), stale, 1), CKPT_OK);
    expect_replay(store_of(state), "epoch:5 consistent:100 ");
}

static void an_unknown_record_is_refused(void **state)
{
    struct coordinator_record records[] = {record_epoch(1), record_of(RECORD_ATTEMPT, 1, 0)};
    records[1].type = (enum coordinator_record_type)(RECORD_LAST + 1);
    assert_int_equal(commit(store_of(state), records, 2), CKPT_ERR_INVALID);
    records[1] = record_consistent(1, 100, CKPT_WORLD_MAX + 1);
    assert_int_equal(commit(store_of(state), records, 2), CKPT_ERR_INVALID);
    expect_replay(store_of(state), "");
}

static enum ckpt_status stop_at_second(void *context, const struct coordinator_record *record)
{
    (void)record;
    int *visits = context;
    return ++*visits == 2 ? CKPT_ERR_FULL : CKPT_OK;
}

static void a_visitor_ends_the_replay(void **state)
{
    struct coordinator_record records[] = {record_epoch(1), record_of(RECORD_ATTEMPT, 1, 0)};
    int visits = 0;
    assert_int_equal(commit(store_of(state), records, 2), CKPT_OK);
    assert_int_equal(fixture_replay(store_of(state), stop_at_second, &visits), CKPT_ERR_FULL);
    assert_int_equal(visits, 2);
    expect_replay(store_of(state), "epoch:1 attempt:3 ");
}

static void unknown_backends_are_none(void **state)
{
    (void)state;
    assert_null(store_backend_by_name("etcd3"));
    assert_ptr_equal(store_backend_by_name("sqlite"), &store_sqlite);
}

#define OVER_EACH(test)                                                                            \
    {#test " (memory)", test, open_memory, close_backend, NULL},                                   \
    {                                                                                              \
#test " (sqlite)", test, open_sqlite, close_backend, NULL                                  \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER_EACH(a_new_store_is_empty),
        OVER_EACH(records_come_back_in_order),
        OVER_EACH(given_shards_are_taken_as_they_are),
        OVER_EACH(the_largest_world_fits),
        OVER_EACH(what_is_retired_is_not_replayed),
        OVER_EACH(retiring_is_exact),
        OVER_EACH(what_is_made_void_is_gone),
        OVER_EACH(what_is_offered_again_is_no_longer_quarantined),
        OVER_EACH(fences_outlive_what_they_guard),
        OVER_EACH(a_lower_epoch_is_fenced_off),
        OVER_EACH(an_unknown_record_is_refused),
        OVER_EACH(a_visitor_ends_the_replay),
        cmocka_unit_test(unknown_backends_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
