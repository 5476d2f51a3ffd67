/* SPDX-License-Identifier: Apache-2.0 */
/* What lingers after a job's end, for how long, and what memory pressure may take. */
#include "unit/coordinator/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define LINGER_MS 60000

static struct cluster cluster;

static int start(void **state)
{
    (void)state;
    cluster_start_nodes(&cluster, 4);
    cluster_save(&cluster, 1, 10, 2);
    cluster_save(&cluster, 1, 20, 2);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    return 0;
}

static void tell(uint32_t node, enum job_verb verb, uint32_t attempt, bool requeueable)
{
    struct message m = {.type = MESSAGE_JOB_REPORT};
    m.job.verb = verb;
    strcpy(m.job.job, "c/1");
    m.job.run.uid = 1000;
    strcpy(m.job.run.name, "run");
    m.job.attempt = attempt;
    m.job.linger_ms = LINGER_MS;
    m.job.requeueable = requeueable;
    cluster_message(&cluster, node, &m);
    const struct message *ack = cluster_find(&cluster, node, MESSAGE_JOB_ACK);
    assert_non_null(ack);
    assert_int_equal(ack->job_ack.verb, verb);
    assert_int_equal(ack->job_ack.attempt, attempt);
}

/* As an agent's report: how long ago it began (0: nobody told it) and ended. */
static void report(enum job_verb verb, const char *job, uint32_t start, uint64_t begun_ms_ago,
                   uint64_t ended_ms_ago)
{
    struct message m = {.type = MESSAGE_JOB_REPORT};
    m.job.verb = verb;
    strcpy(m.job.job, job);
    m.job.run.uid = 1000;
    strcpy(m.job.run.name, "run");
    m.job.attempt = start;
    m.job.linger_ms = LINGER_MS;
    m.job.requeueable = true;
    m.job.begin_known = begun_ms_ago != 0;
    m.job.begun_ms_ago = begun_ms_ago;
    m.job.ended_ms_ago = ended_ms_ago;
    cluster_message(&cluster, 0, &m);
}

static bool lingers(void)
{
    struct coordinator_run_view view;
    assert_true(coordinator_run_view(cluster.c, 0, &view));
    return view.lingers;
}

/* In steps, so that no lease ends. */
static void pass(uint64_t ms, uint32_t segments_free)
{
    for (uint64_t at = 0; at < ms; at += 500) {
        for (uint32_t node = 0; node < 4; node++) {
            struct message m = {.type = MESSAGE_HEARTBEAT};
            m.heartbeat.segments_free = segments_free;
            cluster_message(&cluster, node, &m);
        }
        cluster_tick(&cluster, 500);
    }
}

static struct coordinator_run_view view(void)
{
    struct coordinator_run_view run;
    for (uint32_t i = 0; i < coordinator_run_count(cluster.c); i++) {
        if (coordinator_run_view(cluster.c, i, &run)) {
            return run;
        }
    }
    fail();
    return run;
}

static void a_run_is_released_when_its_linger_is_over(void **state)
{
    (void)state;
    pass(2 * LINGER_MS, 8);
    assert_int_equal(view().checkpoints, 2); /* nobody spoke of an end */
    tell(0, JOB_END, 1, true);
    assert_true(view().lingers);
    pass(LINGER_MS - 2000, 8);
    assert_int_equal(view().checkpoints, 2);
    tell(1, JOB_END, 1, true); /* its epilog was slow: from here on it counts */
    pass(LINGER_MS - 2000, 8);
    assert_int_equal(view().latest_step, 20);
    pass(4000, 8);
    assert_int_equal(view().checkpoints, 0);
    assert_false(view().has_latest);
    assert_false(view().lingers);
}

static void release_is_recorded_and_told(void **state)
{
    (void)state;
    tell(0, JOB_FINAL, 1, true);
    cluster_tick(&cluster, 250);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 2);
    assert_int_equal(cluster_count(&cluster, MESSAGE_CHECKPOINT_STATE), 2);
    tell(1, JOB_END, 1, true); /* the epilogs come after */
    assert_false(view().lingers);
}

/* Its requeued job runs already when the last epilog of the first speaks. */
static void a_later_attempt_that_loads_lingers_no_longer(void **state)
{
    (void)state;
    tell(0, JOB_FINAL, 1, true);
    cluster_seat(&cluster, 2, 2);
    for (uint32_t rank = 0; rank < 2; rank++) {
        struct message ask = {.type = MESSAGE_LOAD_ASK};
        ask.load_ask.run.uid = 1000;
        strcpy(ask.load_ask.run.name, "run");
        ask.load_ask.attempt = 2;
        ask.load_ask.start = cluster_start_name(2);
        ask.load_ask.seat = cluster_seat_name(2, rank);
        ask.load_ask.asking_rank = ask.load_ask.rank = rank;
        ask.load_ask.world = 2;
        ask.load_ask.step = CKPT_STEP_LATEST;
        ask.load_ask.collective = true;
        ask.load_ask.load = 1;
        cluster_message(&cluster, rank, &ask);
        const struct message *order = cluster_find(&cluster, rank, MESSAGE_VERIFY_ORDER);
        assert_non_null(order);
        struct message m =
            cluster_report(1, 20, rank, 2, COPY_VERIFIED, true, (uint8_t)(20 + rank));
        m.shard_report.order = order->verify_order.order;
        cluster_message(&cluster, rank, &m);
    }
    cluster_tick(&cluster, 250);
    assert_int_equal(cluster_count(&cluster, MESSAGE_LOAD_VERDICT), 2);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 0);
    pass(2 * LINGER_MS, 16);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_CONSISTENT);
    assert_false(view().lingers);
}

static void leave(uint32_t rank)
{
    struct message m = {.type = MESSAGE_SEAT_ASK};
    m.seat_ask.run.uid = 1000;
    strcpy(m.seat_ask.run.name, "run");
    m.seat_ask.rank = rank;
    m.seat_ask.world = 2;
    m.seat_ask.attempt = 1;
    m.seat_ask.start = cluster_start_name(1);
    m.seat_ask.seat = cluster_seat_name(1, rank);
    m.seat_ask.ended = true;
    cluster_message(&cluster, rank, &m);
}

static void a_run_with_ranks_does_not_linger(void **state)
{
    (void)state;
    cluster_seat(&cluster, 1, 2);
    tell(0, JOB_END, 1, false);
    assert_false(view().lingers);
    struct message m = cluster_report(1, 30, 0, 2, COPY_SEALED, true, 30);
    cluster_message(&cluster, 0, &m);
    pass(LINGER_MS + 1000, 1); /* memory is short all the while */
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_CONSISTENT);
    assert_int_equal(cluster_checkpoint(&cluster, 30).state, CHECKPOINT_OPEN); /* save_timeout */
    leave(0);
    leave(1);
    assert_true(view().lingers);
    pass(LINGER_MS - 1000, 16); /* from when they left */
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_CONSISTENT);
    pass(2000, 16);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_NONE);
}

static void late_words_bring_nothing_back(void **state)
{
    (void)state;
    tell(0, JOB_FINAL, 1, true);
    cluster_tick(&cluster, 250);
    assert_int_equal(cluster_records(&cluster, RECORD_WITHDRAWN), 1);
    struct message late = cluster_report(1, 20, 0, 2, COPY_VERIFIED, true, 20);
    cluster_message(&cluster, 0, &late);
    const struct message *ack = cluster_find(&cluster, 0, MESSAGE_SHARD_ACK);
    assert_non_null(ack);
    assert_false(ack->shard_ack.keep);
    assert_int_equal(view().checkpoints, 0);
    cluster_save(&cluster, 2, 20, 2); /* a later attempt begins anew */
    assert_int_equal(view().latest_step, 20);
}

static void a_requeued_job_lingers_no_longer(void **state)
{
    (void)state;
    tell(0, JOB_END, 1, true);
    tell(2, JOB_BEGIN, 1, true); /* repeated by an agent that missed the end */
    assert_true(view().lingers);
    tell(2, JOB_BEGIN, 2, true);
    assert_false(view().lingers);
    tell(1, JOB_END, 1, true); /* the last epilog of the first attempt */
    assert_false(view().lingers);
    pass(2 * LINGER_MS, 8);
    assert_int_equal(view().latest_step, 20);
}

static void what_still_saves_is_kept(void **state)
{
    (void)state;
    tell(3, JOB_END, 1, true); /* an epilog where the job has no rank any more */
    pass(LINGER_MS - 2000, 8);
    cluster_save(&cluster, 1, 30, 2);
    pass(LINGER_MS - 2000, 8);
    assert_int_equal(view().latest_step, 30);
    pass(4000, 8);
    assert_int_equal(view().checkpoints, 0);
}

static void what_is_staged_is_decided_soon_after_the_end(void **state)
{
    (void)state;
    struct message m = cluster_report(1, 30, 0, 2, COPY_VERIFIED, true, 7);
    cluster_message(&cluster, 0, &m);
    pass(30000, 8);
    assert_int_equal(cluster_checkpoint(&cluster, 30).state, CHECKPOINT_OPEN);
    tell(0, JOB_END, 1, true);
    pass(14000, 8);
    assert_int_equal(cluster_checkpoint(&cluster, 30).state, CHECKPOINT_OPEN);
    pass(2000, 8);
    assert_int_equal(cluster_checkpoint(&cluster, 30).state, CHECKPOINT_ABORTED);
    assert_non_null(strstr(cluster_checkpoint(&cluster, 30).reason, "its job has ended"));
    assert_int_equal(view().latest_step, 20);
}

static void pressure_takes_what_is_older(void **state)
{
    (void)state;
    pass(5000, 0);
    assert_int_equal(view().checkpoints, 2); /* it runs */
    tell(0, JOB_END, 1, true);
    pass(5000, 8);
    assert_int_equal(view().checkpoints, 2); /* there is room */
    pass(LINGER_MS - 10000, 0);
    assert_int_equal(view().checkpoints, 1); /* never the last one of a job that can come back */
    assert_int_equal(view().latest_step, 20);
    pass(8000, 0);
    assert_int_equal(view().checkpoints, 0);
}

static void pressure_takes_all_of_what_cannot_come_back(void **state)
{
    (void)state;
    tell(0, JOB_END, 1, false);
    pass(5000, 8);
    assert_int_equal(view().checkpoints, 2);
    pass(2000, 1);
    assert_int_equal(view().checkpoints, 0);
}

static void a_run_that_never_saved_is_only_acknowledged(void **state)
{
    (void)state;
    struct message m = {.type = MESSAGE_JOB_REPORT};
    m.job.verb = JOB_END;
    strcpy(m.job.job, "c/2");
    strcpy(m.job.run.name, "other");
    m.job.attempt = 1;
    cluster_message(&cluster, 0, &m);
    assert_non_null(cluster_find(&cluster, 0, MESSAGE_JOB_ACK));
    assert_int_equal(cluster.update.record_count, 0);
    pass(2000, 8);
    assert_int_equal(view().checkpoints, 2);
}

/* Slurm runs the Epilog of a requeued start under the number of the next: an end has no number, and
 * is of what had begun. */
static void an_end_is_of_what_had_begun(void **state)
{
    (void)state;
    cluster.now_ms += 60000;
    report(JOB_BEGIN, "c/7", 1, 50000, 0);
    assert_false(lingers());
    report(JOB_END, "c/7", 0, 50000, 1000);
    assert_true(lingers());
    report(JOB_BEGIN, "c/7", 2, 500, 0);
    assert_false(lingers());
    report(JOB_END, "c/7", 0, 50000, 1000); /* another node's, late */
    report(JOB_END, "c/7", 1, 50000, 1000);
    assert_false(lingers());
    report(JOB_BEGIN, "c/7", 1, 50000, 0); /* of an agent that missed the end */
    assert_false(lingers());
    report(JOB_END, "c/7", 2, 500, 0);
    assert_true(lingers());
}

/* This coordinator has just begun, and so had the agent when the job ended: nobody knows which
 * start that was. */
static void a_beginning_after_an_end_of_no_number_is_news(void **state)
{
    (void)state;
    cluster.now_ms += 60000;
    report(JOB_END, "c/7", 0, 0, 0); /* it has waited: this was before what begins here */
    assert_true(lingers());
    report(JOB_BEGIN, "c/7", 2, 500, 0);
    assert_false(lingers());
    report(JOB_END, "c/7", 0, 0, 2000); /* another's that was restarted */
    assert_false(lingers());
}

/* An agent that was restarted during a start says that it has ended, and its word waits, while the
 * next one begins elsewhere: by when it comes, it would be the end of that. */
static void an_end_that_has_waited_is_not_of_what_overtook_it(void **state)
{
    (void)state;
    struct coordinator_config config;
    cluster_config(&config, 2);
    cluster.now_ms += 60000;
    report(JOB_BEGIN, "c/7", 1, 50000, 0);
    report(JOB_END, "c/7", 1, 50000, 40);
    report(JOB_BEGIN, "c/7", 2, 3, 0);
    report(JOB_END, "c/7", 0, 0, 3);
    assert_false(lingers());
    cluster.now_ms += config.lease_ms - 100;
    report(JOB_END, "c/7", 0, 0, 3);
    assert_false(lingers());
    /* Whose word has waited for longer had no connection any more. */
    cluster.now_ms += 200;
    report(JOB_END, "c/7", 0, 0, 3);
    assert_true(lingers());
}

/* What a coordinator has of a run when it starts is on record; which of its starts runs is not. */
static void an_end_of_before_this_life_must_say_of_what(void **state)
{
    (void)state;
    struct coordinator_record_shard shard = {.bytes = 4096};
    struct coordinator_record record = {.type = RECORD_CONSISTENT,
                                        .epoch = 4,
                                        .attempt = 2,
                                        .step = 10,
                                        .world = 1,
                                        .copies = 2,
                                        .bytes = 4096,
                                        .run = {.uid = 1000, .name = "run"},
                                        .shards = &shard};
    cluster_stop(&cluster);
    cluster_start_with(&cluster, 2, &record, 1);
    uint64_t started_ms = cluster.now_ms;
    cluster_join(&cluster, 0, 1);
    cluster.now_ms += 2000;
    report(JOB_END, "c/7", 0, 0, cluster.now_ms - started_ms + 1);
    assert_false(lingers()); /* its agent knows no attempt: the next may have begun already */
    struct message m = {.type = MESSAGE_JOB_REPORT};
    m.job.verb = JOB_END;
    strcpy(m.job.job, "c/7");
    m.job.run = record.run;
    m.job.linger_ms = LINGER_MS;
    m.job.requeueable = true;
    m.job.ended_ms_ago = cluster.now_ms - started_ms + 1;
    m.job.run_attempt = 1;
    cluster_message(&cluster, 0, &m);
    assert_false(lingers());
    m.job.run_attempt = 2;
    cluster_message(&cluster, 0, &m);
    assert_true(lingers());
}

static void report_timed(enum job_verb verb, const char *job, uint32_t start, uint64_t started_s)
{
    struct message m = {.type = MESSAGE_JOB_REPORT};
    m.job.verb = verb;
    strcpy(m.job.job, job);
    m.job.run.uid = 1000;
    strcpy(m.job.run.name, "run");
    m.job.attempt = start;
    m.job.linger_ms = LINGER_MS;
    m.job.requeueable = true;
    m.job.started_s = started_s;
    m.job.begin_known = verb == JOB_BEGIN;
    cluster_message(&cluster, 0, &m);
}

static void the_schedulers_time_tells_starts_apart(void **state)
{
    (void)state;
    cluster.now_ms += 60000;
    report_timed(JOB_BEGIN, "c/7", 2, 20);
    report_timed(JOB_END, "c/7", 0, 10); /* the last Epilog of the first, from a restarted agent */
    assert_false(lingers());
    report_timed(JOB_END, "c/6", 0, 5); /* and of the job before it */
    assert_false(lingers());
    report_timed(JOB_END, "c/7", 0, 20);
    assert_true(lingers());
    report_timed(JOB_END, "c/7", 0, 30);   /* of a start of which nobody knows the number */
    report_timed(JOB_BEGIN, "c/7", 3, 30); /* by an agent that missed that end */
    assert_true(lingers());
    report_timed(JOB_BEGIN, "c/7", 4, 15); /* the scheduler's clock went back */
    assert_false(lingers());
}

static void jobs_of_one_run_follow_each_other(void **state)
{
    (void)state;
    cluster.now_ms += 60000;
    report(JOB_BEGIN, "c/8", 1, 1000, 0);
    report(JOB_END, "c/7", 0, 0, 500); /* of the job before it, by an agent that was restarted */
    assert_false(lingers());
    report(JOB_END, "c/7", 0, 50000, 2000); /* of the job before it */
    assert_false(lingers());
    report(JOB_BEGIN, "c/7", 3, 50000, 0);
    report(JOB_END, "c/8", 0, 1000, 100);
    assert_true(lingers());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_end_is_of_what_had_begun, start, stop),
        cmocka_unit_test_setup_teardown(a_beginning_after_an_end_of_no_number_is_news, start, stop),
        cmocka_unit_test_setup_teardown(an_end_that_has_waited_is_not_of_what_overtook_it, start,
                                        stop),
        cmocka_unit_test_setup_teardown(an_end_of_before_this_life_must_say_of_what, start, stop),
        cmocka_unit_test_setup_teardown(the_schedulers_time_tells_starts_apart, start, stop),
        cmocka_unit_test_setup_teardown(jobs_of_one_run_follow_each_other, start, stop),
        cmocka_unit_test_setup_teardown(a_run_is_released_when_its_linger_is_over, start, stop),
        cmocka_unit_test_setup_teardown(release_is_recorded_and_told, start, stop),
        cmocka_unit_test_setup_teardown(a_later_attempt_that_loads_lingers_no_longer, start, stop),
        cmocka_unit_test_setup_teardown(a_run_with_ranks_does_not_linger, start, stop),
        cmocka_unit_test_setup_teardown(late_words_bring_nothing_back, start, stop),
        cmocka_unit_test_setup_teardown(a_requeued_job_lingers_no_longer, start, stop),
        cmocka_unit_test_setup_teardown(what_still_saves_is_kept, start, stop),
        cmocka_unit_test_setup_teardown(what_is_staged_is_decided_soon_after_the_end, start, stop),
        cmocka_unit_test_setup_teardown(pressure_takes_what_is_older, start, stop),
        cmocka_unit_test_setup_teardown(pressure_takes_all_of_what_cannot_come_back, start, stop),
        cmocka_unit_test_setup_teardown(a_run_that_never_saved_is_only_acknowledged, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
