/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of a store: begun from the loop, answered from the loop. The medium here is a door that the
 * test opens and shuts. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/reason.h"
#include "store/medium.h"
#include "store/thread.h"
#include "unit/store/fixture.h"

static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER;
static enum ckpt_status next_status;
static atomic_int arrivals; /* commits at the door */
static int commits;
static int opens;
static int closes;

static enum ckpt_status door_open(const char *location, struct store_progress *progress,
                                  struct medium **medium_out, char *reason_out)
{
    (void)progress;
    if (strcmp(location, "nowhere") == 0) {
        return reason_refuse(reason_out, CKPT_ERR_SYSTEM, "%s is no place", location);
    }
    opens++;
    *medium_out = calloc(1, sizeof(**medium_out));
    return CKPT_OK;
}

static enum ckpt_status door_epoch(struct medium *medium, uint64_t *epoch_out)
{
    (void)medium;
    *epoch_out = 7;
    return CKPT_OK;
}

static enum ckpt_status door_commit(struct medium *medium,
                                    const struct store_transaction *transaction)
{
    (void)transaction;
    arrivals++;
    pthread_mutex_lock(&door);
    pthread_mutex_unlock(&door);
    commits++;
    return next_status == CKPT_OK
               ? CKPT_OK
               : reason_refuse(medium->reason, next_status, "commit %d", commits);
}

static void door_close(struct medium *medium)
{
    closes++;
    free(medium);
}

static const struct medium_kind door_kind = {
    .open = door_open, .epoch = door_epoch, .commit = door_commit, .close = door_close};
static const struct store_backend door_backend = {.name = "door",
                                                  .medium = &door_kind,
                                                  .make = thread_make,
                                                  .begin = thread_begin,
                                                  .close = thread_close};
static struct coordinator_record record = {.type = RECORD_EPOCH, .epoch = 1};
static const struct store_transaction one = {.records = &record, .count = 1};
static struct store *store;
static char reason[CKPT_REASON_MAX + 1];

static int start(void **state)
{
    (void)state;
    next_status = CKPT_OK;
    commits = opens = closes = 0;
    arrivals = 0;
    return fixture_open(&door_backend, "here", NULL, &store, reason) == CKPT_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    fixture_close(&store);
    return 0;
}

static void append(void *context)
{
    struct store_call *call = context;
    size_t used = strlen(reason);
    reason_set(reason + used, "%s", call->type == STORE_COMMIT ? "commit " : "epoch ");
}

static bool is_readable(int wait_ms)
{
    struct pollfd waiter = {.fd = store_fd(store), .events = POLLIN};
    return poll(&waiter, 1, wait_ms) == 1;
}

static void a_call_keeps_nobody_waiting_and_answers_in_order(void **state)
{
    (void)state;
    struct store_call commit = {.type = STORE_COMMIT, .transaction = one, .done = append};
    struct store_call look = {.type = STORE_EPOCH, .done = append};
    commit.context = &commit;
    look.context = &look;
    reason[0] = '\0';
    pthread_mutex_lock(&door);
    store_begin(store, &commit);
    store_begin(store, &look);
    assert_false(is_readable(50));
    store_turn(store); /* too early: nothing to say */
    assert_string_equal(reason, "");
    pthread_mutex_unlock(&door);
    while (strcmp(reason, "commit epoch ") != 0) {
        assert_true(is_readable(20000));
        store_turn(store);
    }
    assert_int_equal(commit.status, CKPT_OK);
    assert_string_equal(commit.reason, "");
    assert_int_equal(look.epoch, 7);
}

static void after_a_failed_sync_it_answers_that_until_it_is_opened_anew(void **state)
{
    (void)state;
    next_status = CKPT_ERR_DISK;
    assert_int_equal(fixture_commit(store, &one), CKPT_ERR_DISK);
    assert_string_equal(fixture_reason, "commit 1");
    next_status = CKPT_OK;
    assert_int_equal(fixture_commit(store, &one), CKPT_ERR_DISK);
    assert_int_equal(commits, 1);
    struct store_call open = {.type = STORE_OPEN};
    assert_int_equal(fixture_ask(store, &open), CKPT_OK);
    assert_int_equal(closes, 1);
    assert_int_equal(opens, 2);
    assert_int_equal(fixture_commit(store, &one), CKPT_OK);
}

static void what_may_pass_is_asked_for_again(void **state)
{
    (void)state;
    next_status = CKPT_ERR_TIMEOUT;
    assert_int_equal(fixture_commit(store, &one), CKPT_ERR_TIMEOUT);
    assert_true(store_may_pass(CKPT_ERR_TIMEOUT));
    next_status = CKPT_OK;
    assert_int_equal(fixture_commit(store, &one), CKPT_OK);
    assert_int_equal(commits, 2);
}

static void one_that_cannot_be_opened_says_why(void **state)
{
    (void)state;
    struct store *none = NULL;
    assert_int_equal(fixture_open(&door_backend, "nowhere", NULL, &none, reason), CKPT_ERR_SYSTEM);
    assert_string_equal(reason, "nowhere is no place");
    assert_null(none);
}

static void never(void *context)
{
    (void)context;
    fail_msg("a closed store answers nobody");
}

static void closing_does_not_wait_for_ever(void **state)
{
    (void)state;
    /* Of a store that is left alone nothing is given back. */
    static struct store *stuck;
    static struct store_call call = {.type = STORE_COMMIT, .done = never};
    static struct store_call later = {.type = STORE_EPOCH, .done = never};
    call.transaction = one;
    assert_int_equal(store_make(&door_backend, "here", NULL, &stuck), CKPT_OK);
    struct store_call open = {.type = STORE_OPEN};
    assert_int_equal(fixture_ask(stuck, &open), CKPT_OK);
    struct store *left = stuck;
    pthread_mutex_lock(&door);
    store_begin(stuck, &call);
    store_begin(stuck, &later);
    while (arrivals == 0) {
        usleep(1000);
    }
    assert_false(store_close(&stuck, 50));
    assert_null(stuck);
    pthread_mutex_unlock(&door);
    stuck = left; /* the door is open again: it ends, and does not begin what waited */
    fixture_close(&stuck);
    assert_int_equal(commits, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_call_keeps_nobody_waiting_and_answers_in_order, start,
                                        stop),
        cmocka_unit_test_setup_teardown(after_a_failed_sync_it_answers_that_until_it_is_opened_anew,
                                        start, stop),
        cmocka_unit_test_setup_teardown(what_may_pass_is_asked_for_again, start, stop),
        cmocka_unit_test_setup_teardown(one_that_cannot_be_opened_says_why, start, stop),
        cmocka_unit_test_setup_teardown(closing_does_not_wait_for_ever, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
