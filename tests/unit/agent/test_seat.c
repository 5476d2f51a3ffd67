/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's place in a start: staged until there is a number, refused, given up, adopted. */
#include <string.h>

#include "unit/agent/driver.h"

static const struct nonce seat = {{5}};

/* A process that insists on attempt, or not (0), opens rank 0 of world 4. */
static void open_rank(struct driver *d, uint32_t link, uint32_t attempt)
{
    driver_event(d, (struct agent_event){.type = AGENT_RANK_UP, .link = link, .uid = ALICE});
    struct message open = {.type = MESSAGE_RANK_OPEN,
                           .rank_open = {.run = "llama", .attempt = attempt, .world = 4}};
    open.rank_open.seat = seat;
    driver_rank_says(d, link, open);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_RANK_OPENED);
    assert_int_equal(out->message.rank_opened.status, CKPT_OK);
}

static void tell(struct driver *d, enum ckpt_status status, uint32_t attempt)
{
    struct message told = {.type = MESSAGE_SEAT_TOLD};
    told.seat_told.run = key_of(ALICE, 1, 0).run;
    told.seat_told.seat = seat;
    told.seat_told.status = status;
    told.seat_told.attempt = attempt;
    told.seat_told.start = (struct nonce){{6}};
    strcpy(told.seat_told.reason, status == CKPT_OK ? "" : "1 of 4 ranks have opened");
    driver_coordinator(d, told);
}

static const struct message_seat_ask *asked(const struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SEAT_ASK);
    return out != NULL ? &out->message.seat_ask : NULL;
}

static const struct message_save_outcome *outcome(const struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_SAVE_OUTCOME);
    return out != NULL ? &out->message.save_outcome : NULL;
}

static void a_save_is_staged_until_the_start_has_its_number(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    open_rank(d, 1, 0);
    assert_int_equal(asked(d)->attempt, 0);
    assert_true(nonce_equal(&asked(d)->seat, &seat));
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    assert_int_equal(driver_slot(d, slot).shard.attempt, 0);
    driver_tick(d, d->config.resend_ms);
    assert_int_equal(driver_said_count(d, MESSAGE_SHARD_REPORT), 0);
    assert_non_null(asked(d)); /* until it is told */
    tell(d, CKPT_ERR_BUSY, 0);
    assert_int_equal(driver_said_count(d, MESSAGE_SHARD_REPORT), 0);
    tell(d, CKPT_OK, 3);
    assert_int_equal(driver_slot(d, slot).shard.attempt, 3);
    assert_int_equal(driver_stored(d, slot)->shard.attempt, 3);
    assert_int_equal(
        driver_said(d, AGENT_TO_RANK, MESSAGE_RANK_SEATED)->message.rank_seated.attempt, 3);
    driver_settle(d);
    driver_tick(d, d->config.resend_ms);
    assert_null(asked(d));
    const struct agent_outgoing *report =
        driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT);
    assert_int_equal(report->message.shard_report.shard.attempt, 3);
}

static void a_rank_without_a_place_is_told_why(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    open_rank(d, 1, 4);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    tell(d, CKPT_ERR_ATTEMPT, 0);
    assert_int_equal(outcome(d)->status, CKPT_ERR_ATTEMPT);
    driver_settle(d);
    assert_int_equal(driver_slot(d, slot).state, SLOT_FREE);
    assert_int_equal(driver_ask(d, 1, 11, SEGMENT)->status, CKPT_ERR_ATTEMPT);
    struct message load = {.type = MESSAGE_LOAD_ASK};
    load.load_ask = (struct message_load_ask){
        .step = CKPT_STEP_LATEST, .collective = true, .load = 1, .world = 4};
    driver_rank_says(d, 1, load);
    assert_int_equal(driver_said(d, AGENT_TO_RANK, MESSAGE_LOADED)->message.loaded.status,
                     CKPT_ERR_ATTEMPT);
}

/* It was granted its slot before the refusal came, and seals it after. */
static void a_rank_that_fills_its_slot_while_it_is_refused_is_told_why(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    open_rank(d, 1, 0);
    const struct message_slot_granted granted = *driver_ask(d, 1, 10, SEGMENT);
    assert_int_equal(granted.status, CKPT_OK);
    tell(d, CKPT_ERR_RANK, 0);
    assert_null(outcome(d)); /* nothing was sealed yet */
    driver_seal(d, 1, 10, granted.slot, granted.generation);
    assert_int_equal(outcome(d)->status, CKPT_ERR_RANK);
    assert_non_null(strstr(outcome(d)->reason, "1 of 4"));
    driver_settle(d);
    assert_int_equal(driver_slot(d, granted.slot).state, SLOT_FREE);
}

static void what_waits_too_long_is_given_up(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    open_rank(d, 1, 0);
    (void)driver_save(d, 1, 10, SEGMENT);
    tell(d, CKPT_ERR_TIMEOUT, 0);
    assert_int_equal(outcome(d)->status, CKPT_ERR_ABORTED);
    assert_non_null(strstr(outcome(d)->reason, "1 of 4"));
    uint32_t slot = driver_save(d, 1, 11, SEGMENT); /* and the rank goes on */
    tell(d, CKPT_OK, 1);
    assert_int_equal(driver_slot(d, slot).shard.attempt, 1);
}

/* Its process and its agent have gone: what it staged asks for itself. */
static void what_is_staged_outlives_its_agent(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    struct slot_record record = {.slot = 2, .state = SLOT_SEALED, .generation = 30};
    record.shard = key_of(ALICE, 10, 0);
    record.shard.attempt = 0;
    record.seat = seat;
    record.world = 4;
    record.copies = 2;
    record.bytes = SEGMENT;
    record.owner = true;
    record.segment_count = 1;
    driver_event(d, (struct agent_event){.type = AGENT_ADOPT, .record = &record});
    driver_event(d, (struct agent_event){.type = AGENT_ADOPT_END});
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    driver_coordinator(d, (struct message){.type = MESSAGE_WELCOME,
                                           .welcome = {.heartbeat_ms = 1000, .lease_ms = 5000}});
    assert_true(asked(d)->ended && asked(d)->staged);
    tell(d, CKPT_OK, 2);
    assert_int_equal(driver_slot(d, 2).shard.attempt, 2);
}

/* A coordinator of before starts had names takes the caller's number, and has none to give. */
static void an_earlier_coordinator_takes_numbers(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    struct message welcome = {.type = MESSAGE_WELCOME, .epoch = EPOCH, .incarnation = life(9)};
    welcome.welcome.heartbeat_ms = 1000;
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_MESSAGE, .message = &welcome});
    open_rank(d, 1, 4);
    assert_null(asked(d));
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    assert_int_equal(driver_slot(d, slot).shard.attempt, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_save_is_staged_until_the_start_has_its_number, driver),
        MACHINE_TEST(a_rank_without_a_place_is_told_why, driver),
        MACHINE_TEST(a_rank_that_fills_its_slot_while_it_is_refused_is_told_why, driver),
        MACHINE_TEST(what_waits_too_long_is_given_up, driver),
        MACHINE_TEST(what_is_staged_outlives_its_agent, driver),
        MACHINE_TEST(an_earlier_coordinator_takes_numbers, driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
