/* SPDX-License-Identifier: Apache-2.0 */
/* What hooks and users say of jobs: whose word is taken, and what the coordinator hears of it. */
#include "unit/agent/driver.h"

#include <stdio.h>
#include <string.h>

#define ROOT 0u
#define LINK 77u

static struct message about(enum job_verb verb, const char *job, uint32_t uid, uint32_t attempt)
{
    struct message m = {.type = MESSAGE_JOB};
    m.job.verb = verb;
    strcpy(m.job.job, job);
    m.job.run.uid = uid;
    strcpy(m.job.run.name, "llama");
    m.job.attempt = attempt;
    m.job.linger_ms = 1000;
    m.job.requeueable = true;
    return m;
}

/* One hook: connects, says it, hangs up. */
static struct message_job_told tell(struct driver *d, uint32_t uid, struct message m)
{
    driver_event(d, (struct agent_event){.type = AGENT_RANK_UP, .link = LINK, .uid = uid});
    driver_rank_says(d, LINK, m);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_JOB_TOLD);
    assert_non_null(out);
    struct message_job_told told = out->message.job_told;
    struct agent_update kept = d->update;
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = LINK});
    d->update = kept;
    return told;
}

static void a_hook_is_answered_without_a_coordinator(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    struct message_job_told told = tell(d, ROOT, about(JOB_BEGIN, "c/1", ALICE, 1));
    assert_int_equal(told.status, CKPT_OK);
    assert_int_equal(told.verb, JOB_BEGIN);
    assert_string_equal(told.domain, "rack1");
    assert_true(agent_is_needed(d->agent));
    told = tell(d, ALICE, about(JOB_SHOW, "c/1", ALICE, 0));
    assert_int_equal(told.status, CKPT_OK);
    assert_string_equal(told.run.name, "llama");
    assert_int_equal(told.attempt, 1);
}

static void users_speak_of_their_own_jobs_alone(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    assert_int_equal(tell(d, BOB, about(JOB_BEGIN, "c/1", ALICE, 1)).status, CKPT_ERR_DENIED);
    assert_int_equal(tell(d, ROOT, about(JOB_BEGIN, "c/1", ALICE, 1)).status, CKPT_OK);
    static const enum job_verb verbs[] = {JOB_BEGIN, JOB_END, JOB_FINAL};
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        struct message_job_told told = tell(d, BOB, about(verbs[i], "c/1", BOB, 2));
        assert_int_equal(told.status, CKPT_ERR_DENIED);
        assert_int_equal(told.run.name[0], 0);
    }
    /* That there is such a job is nobody else's to know. */
    struct message_job_told there = tell(d, BOB, about(JOB_SHOW, "c/1", BOB, 0));
    struct message_job_told absent = tell(d, BOB, about(JOB_SHOW, "c/2", BOB, 0));
    assert_int_equal(there.status, CKPT_ERR_NOT_FOUND);
    assert_int_equal(absent.status, CKPT_ERR_NOT_FOUND);
    assert_int_equal(strlen(there.reason), strlen(absent.reason));
    assert_int_equal(tell(d, ALICE, about(JOB_END, "c/1", BOB, 1)).status, CKPT_ERR_DENIED);
    assert_int_equal(tell(d, ALICE, about(JOB_SHOW, "c/1", ALICE, 0)).verb, JOB_BEGIN);
}

static void the_coordinator_hears_it_until_it_says_so(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    tell(d, ROOT, about(JOB_BEGIN, "c/1", ALICE, 1));
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_JOB_REPORT);
    assert_non_null(out);
    assert_int_equal(out->message.job.verb, JOB_BEGIN);
    driver_tick(d, d->config.resend_ms);
    assert_int_equal(driver_said_count(d, MESSAGE_JOB_REPORT), 1);
    struct message ack = {.type = MESSAGE_JOB_ACK};
    ack.job_ack.verb = JOB_END; /* of something else */
    strcpy(ack.job_ack.job, "c/1");
    ack.job_ack.attempt = 1;
    driver_coordinator(d, ack);
    driver_tick(d, d->config.resend_ms);
    assert_int_equal(driver_said_count(d, MESSAGE_JOB_REPORT), 1);
    ack.job_ack.verb = JOB_BEGIN;
    driver_coordinator(d, ack);
    driver_tick(d, d->config.resend_ms);
    assert_int_equal(driver_said_count(d, MESSAGE_JOB_REPORT), 0);
    tell(d, ROOT, about(JOB_BEGIN, "c/1", ALICE, 1)); /* a repeat */
    assert_int_equal(driver_said_count(d, MESSAGE_JOB_REPORT), 0);
}

static void ends_keep_their_time_and_late_ones_change_nothing(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    tell(d, ROOT, about(JOB_BEGIN, "c/1", ALICE, 1));
    assert_int_equal(tell(d, ROOT, about(JOB_END, "c/1", ALICE, 1)).verb, JOB_END);
    d->now_ms += 700;
    driver_join(d);
    driver_event(d, (struct agent_event){.type = AGENT_TICK});
    tell(d, ROOT, about(JOB_END, "c/1", ALICE, 1));
    driver_tick(d, d->config.resend_ms);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_JOB_REPORT);
    assert_non_null(out);
    assert_in_range(out->message.job.ended_ms_ago, 700, 700 + 2 * d->config.resend_ms);
    assert_int_equal(tell(d, ROOT, about(JOB_BEGIN, "c/1", ALICE, 1)).verb, JOB_END);
    assert_int_equal(tell(d, ROOT, about(JOB_BEGIN, "c/1", ALICE, 2)).verb, JOB_BEGIN);
    assert_int_equal(tell(d, ROOT, about(JOB_END, "c/1", ALICE, 1)).verb, JOB_BEGIN);
    assert_int_equal(tell(d, ALICE, about(JOB_FINAL, "c/1", ALICE, 0)).verb, JOB_FINAL);
    assert_int_equal(tell(d, ROOT, about(JOB_END, "c/1", ALICE, 2)).verb, JOB_FINAL);
}

static void an_end_without_a_beginning_is_taken(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    assert_int_equal(tell(d, ROOT, about(JOB_END, "c/9", ALICE, 3)).verb, JOB_END);
    struct message unknown = about(JOB_END, "c/8", ALICE, 0);
    unknown.job.run.name[0] = '\0';
    assert_int_equal(tell(d, ROOT, unknown).status, CKPT_ERR_NOT_FOUND);
}

static enum job_verb hook(struct driver *d, enum job_verb verb, uint32_t attempt, uint64_t said_ms)
{
    struct message m = about(verb, "c/1", ALICE, attempt);
    m.job.said_ms = said_ms;
    return tell(d, ROOT, m).verb;
}

/* An Epilog has no number that is right. Hooks come over connections of their own: what an agent
 * that hung finds waiting has no order but that in which it was said. */
static void an_end_is_of_the_beginning_before_it(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    uint64_t base_ms = d->now_ms;
    d->now_ms += 1000;
    assert_int_equal(hook(d, JOB_BEGIN, 1, base_ms + 100), JOB_BEGIN);
    assert_int_equal(hook(d, JOB_BEGIN, 2, base_ms + 300), JOB_BEGIN);
    assert_int_equal(hook(d, JOB_END, 0, base_ms + 200), JOB_BEGIN); /* of the first, late */
    assert_int_equal(hook(d, JOB_END, 0, base_ms + 400), JOB_END);
    assert_int_equal(hook(d, JOB_END, 0, base_ms + 400), JOB_END);
    assert_int_equal(hook(d, JOB_BEGIN, 2, base_ms + 300), JOB_END);
    assert_int_equal(hook(d, JOB_BEGIN, 3, UINT64_MAX), JOB_BEGIN); /* a clock that is none */
    d->now_ms += 1000;
    assert_int_equal(hook(d, JOB_END, 0, base_ms + 2000), JOB_END);
}

/* Its machine's clock is behind the node's from then on, by which hooks speak. */
static void hooks_have_an_order_after_the_agent_stood_still(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    d->now_ms += 5000;
    driver_event(d, (struct agent_event){.type = AGENT_TICK, .late_ms = 5000});
    uint64_t end_ms = d->now_ms;
    d->now_ms += 1000;
    assert_int_equal(hook(d, JOB_BEGIN, 2, end_ms + 700), JOB_BEGIN);
    assert_int_equal(hook(d, JOB_END, 0, end_ms), JOB_BEGIN); /* of the start before, late */
    d->now_ms += 2000;
    assert_int_equal(hook(d, JOB_END, 0, end_ms + 2600), JOB_END);
    /* What it tells is how long ago that was, whether it stood still since or not. */
    d->now_ms += 4000;
    driver_event(d, (struct agent_event){.type = AGENT_TICK, .late_ms = 3000});
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_JOB_REPORT);
    assert_non_null(out);
    assert_int_equal(out->message.job.ended_ms_ago, 400 + 4000);
    assert_int_equal(out->message.job.begun_ms_ago, 300 + 2000 + 4000);
}

static enum job_verb timed_hook(struct driver *d, enum job_verb verb, uint32_t attempt,
                                uint64_t started_s)
{
    struct message m = about(verb, "c/1", ALICE, attempt);
    m.job.started_s = started_s;
    return tell(d, ROOT, m).verb;
}

static void the_schedulers_time_pairs_an_end_with_its_beginning(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    assert_int_equal(timed_hook(d, JOB_BEGIN, 1, 10), JOB_BEGIN);
    assert_int_equal(timed_hook(d, JOB_END, 0, 10), JOB_END);
    assert_int_equal(timed_hook(d, JOB_BEGIN, 2, 20), JOB_BEGIN);
    assert_int_equal(timed_hook(d, JOB_END, 0, 10), JOB_BEGIN); /* twice, and late */
    assert_int_equal(timed_hook(d, JOB_END, 0, 20), JOB_END);
    /* Of a start whose Prolog found no agent. */
    assert_int_equal(timed_hook(d, JOB_END, 0, 30), JOB_END);
    driver_tick(d, d->config.resend_ms);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_JOB_REPORT);
    assert_non_null(out);
    assert_int_equal(out->message.job.started_s, 30);
    assert_int_equal(out->message.job.attempt, 0);
    assert_false(out->message.job.begin_known);
    assert_int_equal(timed_hook(d, JOB_BEGIN, 4, 5), JOB_BEGIN); /* its clock went back */
}

/* Its Prolog was not run, or found nobody. */
static void a_task_that_asks_is_of_a_start_that_has_begun(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    tell(d, ROOT, about(JOB_BEGIN, "c/1", ALICE, 1));
    tell(d, ROOT, about(JOB_END, "c/1", ALICE, 0));
    struct message ask = about(JOB_SHOW, "c/1", ALICE, 1);
    assert_int_equal(tell(d, ALICE, ask).verb, JOB_END);
    ask.job.attempt = 0;
    assert_int_equal(tell(d, ALICE, ask).verb, JOB_END);
    ask.job.attempt = 2;
    strcpy(ask.job.run.name, "what-its-comment-says-is-unknown-to-it");
    struct message_job_told told = tell(d, ALICE, ask);
    assert_int_equal(told.verb, JOB_BEGIN);
    assert_int_equal(told.attempt, 2);
    assert_string_equal(told.run.name, "llama");
}

static void a_beginning_follows_an_end_without_a_number(void **state)
{
    struct driver *d = *state;
    driver_start(d); /* in the middle of a job */
    assert_int_equal(tell(d, ROOT, about(JOB_END, "c/1", ALICE, 0)).verb, JOB_END);
    assert_int_equal(tell(d, ROOT, about(JOB_BEGIN, "c/1", ALICE, 2)).verb, JOB_BEGIN);
}

static void the_table_has_an_end(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    char name[16];
    for (int i = 0; i < CKPT_JOBS_PER_NODE_MAX; i++) {
        snprintf(name, sizeof(name), "c/%d", i);
        assert_int_equal(tell(d, ROOT, about(JOB_BEGIN, name, ALICE, 1)).status, CKPT_OK);
    }
    assert_int_equal(tell(d, ROOT, about(JOB_BEGIN, "c/new", ALICE, 1)).status, CKPT_ERR_FULL);
    assert_int_equal(tell(d, ROOT, about(JOB_END, "c/5", ALICE, 1)).status, CKPT_OK);
    assert_int_equal(tell(d, ROOT, about(JOB_BEGIN, "c/new", ALICE, 1)).status, CKPT_OK);
    assert_int_equal(tell(d, ROOT, about(JOB_SHOW, "c/5", ALICE, 0)).status, CKPT_ERR_NOT_FOUND);
}

static void a_user_cannot_fill_it(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    char name[16];
    int taken = 0;
    for (int i = 0; i < CKPT_JOBS_PER_NODE_MAX; i++) {
        snprintf(name, sizeof(name), "b/%d", i);
        taken +=
            tell(d, BOB, about(i % 2 == 0 ? JOB_BEGIN : JOB_END, name, BOB, 1)).status == CKPT_OK;
    }
    assert_in_range(taken, 1, CKPT_JOBS_PER_NODE_MAX / 4);
    assert_int_equal(tell(d, ROOT, about(JOB_BEGIN, "c/1", BOB, 1)).status, CKPT_OK);
    assert_int_equal(tell(d, ALICE, about(JOB_BEGIN, "c/2", ALICE, 1)).status, CKPT_OK);
}

static void odd_words_are_refused(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    assert_int_equal(tell(d, ROOT, about(JOB_BEGIN, "a//b", ALICE, 1)).status, CKPT_ERR_NAME);
    assert_int_equal(tell(d, ROOT, about(JOB_BEGIN, "c/1", ALICE, 1)).status, CKPT_OK);
    struct message other = about(JOB_BEGIN, "c/1", ALICE, 1);
    strcpy(other.job.run.name, "another");
    assert_int_equal(tell(d, ROOT, other).status, CKPT_ERR_INVALID);
}

/* The attempt that an end is of, as far as the node can tell: what was opened after the hook spoke
 * is of the next start, also when the hook is heard last. */
static void an_end_is_of_what_was_open_when_it_was_said(void **state)
{
    struct driver *d = *state;
    for (uint32_t late = 0; late < 2; late++) {
        driver_start(d);
        d->now_ms += 5000;
        driver_join(d);
        uint64_t opened_ms = d->now_ms += 100;
        driver_rank(d, 5, ALICE, 1);
        d->now_ms += 100;
        struct message end = about(JOB_END, "c/1", ALICE, 0);
        end.job.said_ms = late ? opened_ms - 50 : opened_ms + 50;
        assert_int_equal(tell(d, ROOT, end).status, CKPT_OK);
        const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_JOB_REPORT);
        assert_non_null(out);
        assert_int_equal(out->message.job.ended_ms_ago, late ? 150 : 50);
        assert_int_equal(out->message.job.run_attempt, late ? 0 : 1);
        driver_stop(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_hook_is_answered_without_a_coordinator, driver),
        MACHINE_TEST(users_speak_of_their_own_jobs_alone, driver),
        MACHINE_TEST(the_coordinator_hears_it_until_it_says_so, driver),
        MACHINE_TEST(ends_keep_their_time_and_late_ones_change_nothing, driver),
        MACHINE_TEST(an_end_without_a_beginning_is_taken, driver),
        MACHINE_TEST(an_end_is_of_the_beginning_before_it, driver),
        MACHINE_TEST(hooks_have_an_order_after_the_agent_stood_still, driver),
        MACHINE_TEST(the_schedulers_time_pairs_an_end_with_its_beginning, driver),
        MACHINE_TEST(a_task_that_asks_is_of_a_start_that_has_begun, driver),
        MACHINE_TEST(a_beginning_follows_an_end_without_a_number, driver),
        MACHINE_TEST(the_table_has_an_end, driver),
        MACHINE_TEST(a_user_cannot_fill_it, driver),
        MACHINE_TEST(odd_words_are_refused, driver),
        MACHINE_TEST(an_end_is_of_what_was_open_when_it_was_said, driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
