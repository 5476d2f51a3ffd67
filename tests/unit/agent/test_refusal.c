/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused on a node is counted, told to the coordinator, and noted rarely. */
#include "unit/agent/driver.h"

#include <string.h>

static const struct message_heartbeat *heartbeat(struct driver *d)
{
    for (int i = 0; i < 20; i++) {
        driver_tick(d, 250);
        const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_HEARTBEAT);
        if (out != NULL) {
            return &out->message.heartbeat;
        }
    }
    fail_msg("no heartbeat in 5 s");
    return NULL;
}

static void refused_saves_are_told_and_noted_once(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    assert_int_equal(heartbeat(d)->refusals, 0);
    assert_int_equal(driver_ask(d, 1, 10, 9 * SEGMENT)->status, CKPT_ERR_TOO_LARGE);
    assert_non_null(strstr(driver_noted(d, EVENT_save_refused)->text, "give its ckptd more"));
    for (int i = 0; i < 10; i++) {
        driver_tick(d, 100);
        assert_int_equal(driver_ask(d, 1, 10, 9 * SEGMENT)->status, CKPT_ERR_TOO_LARGE);
        assert_null(driver_noted(d, EVENT_save_refused));
    }
    /* Another cause is another line. */
    assert_int_equal(driver_ask(d, 1, CKPT_STEP_LATEST, SEGMENT)->status, CKPT_ERR_STEP);
    assert_non_null(driver_noted(d, EVENT_save_refused));
    const struct message_heartbeat *told = heartbeat(d);
    assert_int_equal(told->refusals, 12);
    assert_int_equal(told->refused_status, CKPT_ERR_STEP);
    assert_string_equal(told->refused_run.name, "llama");
    assert_int_equal(told->refused_run.uid, ALICE);
    assert_non_null(strstr(told->refused_reason, "names the newest step"));
    /* The words are told once, the number always; and all of it to the next coordinator. */
    told = heartbeat(d);
    assert_int_equal(told->refusals, 12);
    assert_int_equal(told->refused_status, CKPT_OK);
    assert_string_equal(told->refused_reason, "");
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
    driver_join(d);
    told = heartbeat(d);
    assert_int_equal(told->refusals, 12);
    assert_int_equal(told->refused_status, CKPT_ERR_STEP);
    assert_true(told->refused_ms_ago > 0);
}

static void a_closed_agent_takes_no_save_and_says_so_as_it_joins(void **state)
{
    struct driver *d = *state;
    driver_config(d);
    d->config.closed = AGENT_CLOSED_SLOW;
    driver_start(d);
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    assert_int_equal(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_JOIN)->message.join.closed,
                     AGENT_CLOSED_SLOW);
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    assert_int_equal(driver_ask(d, 1, 10, SEGMENT)->status, CKPT_ERR_CONFIG);
    assert_non_null(strstr(driver_noted(d, EVENT_save_refused)->text, "takes no new shards"));
    assert_int_equal(heartbeat(d)->refused_status, CKPT_ERR_CONFIG);
}

static void a_process_that_is_not_let_in_counts(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_UP, .link = 1, .uid = ALICE});
    struct message open = {.type = MESSAGE_RANK_OPEN};
    strcpy(open.rank_open.run, "llama");
    open.rank_open.rank = 4;
    open.rank_open.world = 4;
    driver_rank_says(d, 1, open);
    assert_non_null(strstr(driver_noted(d, EVENT_open_refused)->text, "outside the world"));
    assert_int_equal(heartbeat(d)->refusals, 1);
}

static void a_save_that_waits_is_noted_where_its_rank_is(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    (void)driver_save(d, 1, 10, SEGMENT);
    struct message waits = {.type = MESSAGE_CHECKPOINT_STATE};
    waits.checkpoint_state = (struct message_checkpoint_state){
        .run = {ALICE, "llama"},
        .attempt = 1,
        .step = 10,
        .world = 4,
        .state = CHECKPOINT_OPEN,
        .status = CKPT_ERR_NO_DOMAIN,
        .reason = "too few failure domains",
    };
    driver_coordinator(d, waits);
    assert_string_equal(driver_noted(d, EVENT_save_waits)->text, "too few failure domains");
    waits.checkpoint_state.step = 11; /* none of this node's */
    driver_coordinator(d, waits);
    assert_null(driver_noted(d, EVENT_save_waits));
}

static void a_refused_join_is_said_ever_more_rarely(void **state)
{
    struct driver *d = *state;
    uint32_t notes = 0;
    driver_start(d);
    struct message no = {.type = MESSAGE_WELCOME,
                         .welcome = {.status = CKPT_ERR_FULL, .reason = "agents_max nodes"}};
    for (int second = 0; second <= 600; second++) {
        driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
        driver_coordinator(d, no);
        notes += driver_noted(d, EVENT_join_refused) != NULL;
        assert_int_equal(agent_join_status(d->agent), CKPT_ERR_FULL);
        driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
        driver_tick(d, 1000);
    }
    assert_int_equal(notes, 4); /* at 0, 1, 3 and 7 minutes */
    no.welcome.status = CKPT_ERR_VERSION;
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    driver_coordinator(d, no);
    assert_non_null(driver_noted(d, EVENT_join_refused));
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
    driver_join(d);
    assert_int_equal(agent_join_status(d->agent), CKPT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(refused_saves_are_told_and_noted_once, driver),
        MACHINE_TEST(a_closed_agent_takes_no_save_and_says_so_as_it_joins, driver),
        MACHINE_TEST(a_process_that_is_not_let_in_counts, driver),
        MACHINE_TEST(a_save_that_waits_is_noted_where_its_rank_is, driver),
        MACHINE_TEST(a_refused_join_is_said_ever_more_rarely, driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
