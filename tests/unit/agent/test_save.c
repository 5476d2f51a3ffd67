/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's way to a sealed, digested shard, and every refusal on it. */
#include "unit/agent/story.h"

#include <string.h>

static void a_save_from_the_ask_to_its_outcome(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 2);
    driver_story(
        d,
        "> process 1 asks for a slot: step 10, 2001 bytes\n"
        "< store slot 0 FILLING gen 1\n"
        "< process 1: slot_granted step 10 slot 0 gen 1 status 0, writable\n"
        "> process 1 asks for a slot: step 10, 2001 bytes\n"
        "< process 1: slot_granted step 10 slot 0 gen 1 status 0, writable\n"
        "> process 1 seals step 10: slot 0 gen 1\n"
        "< store slot 0 SEALED gen 1\n"
        "< digest slot 0, 2001 bytes\n"
        "< coordinator: shard_report 1000:llama/1 step 10 rank 2 gen 1 SEALED order 0 owner 0000\n"
        "> process 1 seals step 10: slot 0 gen 1\n"
        "> the work of slot 0 ends, digest 9\n"
        "< store slot 0 VERIFIED gen 1\n"
        "< coordinator: shard_report 1000:llama/1 step 10 rank 2 gen 1 VERIFIED order 0 owner "
        "0909\n"
        "> coordinator knows of slot 0\n"
        "> step 10 is consistent\n"
        "< process 1: save_outcome step 10 status 0\n"
        "> step 10 is consistent\n");
}

static void a_save_passes_through_its_states(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 2);
    const struct message_slot_granted *granted = driver_ask(d, 1, 10, 2 * SEGMENT + 1);
    assert_int_equal(granted->status, CKPT_OK);
    assert_int_equal(granted->segment_count, 3);
    assert_int_equal(granted->bytes, 2 * SEGMENT + 1);
    uint32_t slot = granted->slot;
    uint64_t generation = granted->generation;
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_SLOT_GRANTED);
    assert_int_equal(out->attach, ATTACH_WRITABLE);
    assert_int_equal(out->attach_slot, slot);
    const struct slot_record *record = driver_stored(d, slot);
    assert_int_equal(record->state, SLOT_FILLING);
    assert_int_equal(record->generation, generation);
    assert_int_equal(record->segment_count, 3);
    assert_true(record->owner);
    assert_int_equal(record->copies, 2);
    assert_int_equal(agent_segments_free(d->agent), 5);
    assert_int_equal(driver_said_count(d, MESSAGE_SHARD_REPORT), 0);

    driver_seal(d, 1, 10, slot, generation);
    assert_int_equal(driver_stored(d, slot)->state, SLOT_SEALED);
    const struct agent_outgoing *report =
        driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT);
    assert_int_equal(report->message.shard_report.state, COPY_SEALED);
    assert_true(report->message.shard_report.owner);
    assert_int_equal(report->message.shard_report.world, 4);
    const struct agent_work *work = driver_works(d, AGENT_WORK_DIGEST);
    assert_int_equal(work->slot, slot);
    assert_int_equal(work->generation, generation);
    assert_int_equal(work->bytes, 2 * SEGMENT + 1);

    driver_work(d, work->work, CKPT_OK, 9);
    assert_int_equal(driver_stored(d, slot)->state, SLOT_VERIFIED);
    assert_true(driver_stored(d, slot)->has_digest);
    report = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT);
    assert_int_equal(report->message.shard_report.state, COPY_VERIFIED);
    struct digest digest = digest_of(9);
    assert_memory_equal(&report->message.shard_report.digest, &digest, sizeof(digest));

    driver_checkpoint(d, 10, CHECKPOINT_CONSISTENT);
    const struct agent_outgoing *outcome = driver_said(d, AGENT_TO_RANK, MESSAGE_SAVE_OUTCOME);
    assert_int_equal(outcome->message.save_outcome.status, CKPT_OK);
    assert_int_equal(outcome->message.save_outcome.step, 10);
    driver_checkpoint(d, 10, CHECKPOINT_CONSISTENT);
    assert_null(driver_said(d, AGENT_TO_RANK, MESSAGE_SAVE_OUTCOME));
}

static void repeats_change_nothing(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    struct message_slot_granted first = *driver_ask(d, 1, 10, SEGMENT);
    const struct message_slot_granted *second = driver_ask(d, 1, 10, SEGMENT);
    assert_int_equal(second->status, CKPT_OK);
    assert_int_equal(second->slot, first.slot);
    assert_int_equal(second->generation, first.generation);
    assert_int_equal(d->update.record_count, 0);
    driver_seal(d, 1, 10, first.slot, first.generation);
    driver_seal(d, 1, 10, first.slot, first.generation);
    assert_true(driver_silent(d));
    struct message open = {.type = MESSAGE_RANK_OPEN,
                           .rank_open = {.run = "llama", .attempt = 1, .rank = 0, .world = 4}};
    open.rank_open.seat = (struct nonce){{1, 0, (uint8_t)ALICE}};
    open.rank_open.start = (struct nonce){{2}};
    driver_rank_says(d, 1, open);
    assert_int_equal(driver_said(d, AGENT_TO_RANK, MESSAGE_RANK_OPENED)->message.rank_opened.status,
                     CKPT_OK);
    open.rank_open.rank = 1;
    driver_rank_says(d, 1, open);
    assert_int_equal(driver_said(d, AGENT_TO_RANK, MESSAGE_RANK_OPENED)->message.rank_opened.status,
                     CKPT_ERR_INVALID);
}

static void expect_open(struct driver *d, uint32_t link, uint32_t uid, struct message_rank_open ask,
                        enum ckpt_status status)
{
    driver_event(d, (struct agent_event){.type = AGENT_RANK_UP, .link = link, .uid = uid});
    struct message open = {.type = MESSAGE_RANK_OPEN, .rank_open = ask};
    driver_rank_says(d, link, open);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_RANK_OPENED);
    assert_non_null(out);
    assert_int_equal(out->message.rank_opened.status, status);
    assert_true(status == CKPT_OK || out->message.rank_opened.reason[0] != '\0');
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = link});
}

static void opens_are_refused(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    struct message_rank_open good = {.run = "llama", .attempt = 1, .rank = 1, .world = 4};
    struct message_rank_open ask = good;
    expect_open(d, 2, ALICE, ask, CKPT_OK);
    ask.rank = 0;
    expect_open(d, 3, ALICE, ask, CKPT_ERR_RANK);
    expect_open(d, 4, BOB, ask, CKPT_OK); /* another user's run of that name is another run */
    ask.rank = 4;
    expect_open(d, 5, ALICE, ask, CKPT_ERR_RANK);
    ask = good;
    ask.world = 5;
    expect_open(d, 6, ALICE, ask, CKPT_ERR_WORLD);
    ask.world = 0;
    expect_open(d, 7, ALICE, ask, CKPT_ERR_INVALID);
    ask.world = CKPT_WORLD_MAX + 1;
    expect_open(d, 8, ALICE, ask, CKPT_ERR_INVALID);
    ask = good;
    ask.copies = CKPT_COPIES_MAX + 1;
    expect_open(d, 9, ALICE, ask, CKPT_ERR_INVALID);
    ask = good;
    strcpy(ask.run, "../etc");
    expect_open(d, 10, ALICE, ask, CKPT_ERR_NAME);
    memset(ask.run, 'x', sizeof(ask.run)); /* no end */
    expect_open(d, 11, ALICE, ask, CKPT_ERR_NAME);
    ask = good;
    ask.attempt = 3;
    expect_open(d, 12, ALICE, ask, CKPT_OK);
    ask.attempt = 2;
    expect_open(d, 13, ALICE, ask, CKPT_ERR_ATTEMPT);
    ask.reader = true; /* takes part in nothing */
    expect_open(d, 14, ALICE, ask, CKPT_OK);
}

static void expect_turned_away(struct driver *d, uint32_t link, uint32_t uid)
{
    driver_event(d, (struct agent_event){.type = AGENT_RANK_UP, .link = link, .uid = uid});
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_RANK_OPENED);
    assert_non_null(out);
    assert_int_equal(out->message.rank_opened.status, CKPT_ERR_FULL);
    assert_true(out->close);
}

static void too_many_processes_are_turned_away(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    for (uint32_t i = 0; i < 4; i++) {
        driver_rank(d, i + 1, ALICE, i);
    }
    expect_turned_away(d, 9, ALICE);
    driver_ask(d, 9, 1, 1);
    assert_true(driver_silent(d));
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 2});
    driver_rank(d, 10, ALICE, 1);
}

/* ranks_max is 4: two seats more are for other users, and four for root. A connection takes one
 * whether it says who it is or not. */
static void no_user_takes_anothers_seat(void **state)
{
    struct driver *d = *state;
    const uint32_t carol = BOB + 1, root = 0;
    driver_start(d);
    for (uint32_t link = 1; link <= 4; link++) {
        driver_event(d, (struct agent_event){.type = AGENT_RANK_UP, .link = link, .uid = ALICE});
        assert_true(driver_silent(d));
    }
    expect_turned_away(d, 5, ALICE);
    driver_rank(d, 6, BOB, 0);
    expect_turned_away(d, 7, BOB);
    driver_rank(d, 8, carol, 0);
    expect_turned_away(d, 9, carol + 1);
    for (uint32_t rank = 0; rank < 4; rank++) {
        driver_rank(d, 10 + rank, root, rank);
    }
    expect_turned_away(d, 20, root);
}

/* Of eight segments one user's processes fill six at once: what is filled nobody can take back. */
static void one_user_does_not_fill_a_node(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    driver_rank(d, 2, ALICE, 1);
    driver_rank(d, 3, ALICE, 2);
    driver_rank(d, 4, BOB, 0);
    assert_int_equal(driver_ask(d, 1, 10, 3 * SEGMENT)->status, CKPT_OK);
    assert_int_equal(driver_ask(d, 2, 10, 3 * SEGMENT)->status, CKPT_OK);
    const struct message_slot_granted *granted = driver_ask(d, 3, 10, SEGMENT);
    assert_int_equal(granted->status, CKPT_ERR_FULL);
    assert_non_null(strstr(granted->reason, "fill 75% of the memory of node n1"));
    assert_int_equal(driver_ask(d, 4, 10, 2 * SEGMENT)->status, CKPT_OK);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    assert_null(driver_ask(d, 3, 10, SEGMENT)); /* granted when the memory is renewed */
    assert_non_null(driver_works(d, AGENT_WORK_RENEW));
}

/* One shard alone may have all of it. */
static void one_shard_may_fill_a_node(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    assert_int_equal(driver_ask(d, 1, 10, 8 * SEGMENT)->status, CKPT_OK);
}

static void asks_are_refused(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    assert_int_equal(driver_ask(d, 1, CKPT_STEP_LATEST, 1)->status, CKPT_ERR_STEP);
    assert_int_equal(driver_ask(d, 1, 5, 0)->status, CKPT_ERR_SIZE);
    assert_int_equal(driver_ask(d, 1, 5, 8 * SEGMENT + 1)->status, CKPT_ERR_TOO_LARGE);
    assert_int_equal(driver_ask(d, 1, 5, UINT64_MAX)->status, CKPT_ERR_TOO_LARGE);
    assert_int_equal(agent_segments_free(d->agent), 8);
    assert_int_equal(d->update.record_count, 0);
    uint32_t slot = driver_save(d, 1, 5, 6 * SEGMENT);
    assert_int_equal(driver_ask(d, 1, 5, SEGMENT)->status, CKPT_ERR_STEP);
    assert_int_equal(driver_ask(d, 1, 4, SEGMENT)->status, CKPT_ERR_STEP);
    const struct message_slot_granted *full = driver_ask(d, 1, 6, 3 * SEGMENT);
    assert_int_equal(full->status, CKPT_ERR_FULL);
    assert_non_null(strstr(full->reason, "2 of 8 segments"));
    assert_non_null(strstr(full->reason, "3 are needed"));
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    assert_int_equal(driver_ask(d, 1, 6, 2 * SEGMENT)->status, CKPT_OK);
    assert_int_equal(driver_ask(d, 1, 7, SEGMENT)->status, CKPT_ERR_BUSY);
    assert_int_equal(driver_ask(d, 1, 6, SEGMENT)->status, CKPT_ERR_BUSY);

    /* A reader saves nothing, and nobody speaks before opening. */
    driver_event(d, (struct agent_event){.type = AGENT_RANK_UP, .link = 2, .uid = BOB});
    driver_ask(d, 2, 1, 1);
    assert_true(driver_said(d, AGENT_TO_RANK, MESSAGE_NONE)->close);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_UP, .link = 3, .uid = BOB});
    struct message open = {.type = MESSAGE_RANK_OPEN,
                           .rank_open = {.run = "llama", .reader = true}};
    driver_rank_says(d, 3, open);
    assert_int_equal(driver_ask(d, 3, 1, 1)->status, CKPT_ERR_INVALID);
    struct message odd = {.type = MESSAGE_WELCOME};
    driver_rank_says(d, 3, odd);
    assert_true(driver_said(d, AGENT_TO_RANK, MESSAGE_NONE)->close);
}

static void steps_of_the_run_are_known(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    driver_checkpoint(d, 20, CHECKPOINT_CONSISTENT);
    assert_int_equal(driver_ask(d, 1, 20, SEGMENT)->status, CKPT_ERR_STEP);
    driver_checkpoint(d, 15, CHECKPOINT_CONSISTENT); /* late news does not move it back */
    assert_int_equal(driver_ask(d, 1, 20, SEGMENT)->status, CKPT_ERR_STEP);
    driver_checkpoint(d, 20, CHECKPOINT_RETIRED); /* by retire --newer */
    assert_int_equal(driver_ask(d, 1, 20, SEGMENT)->status, CKPT_OK);

    /* A later attempt ends this one's saves. */
    driver_event(d, (struct agent_event){.type = AGENT_RANK_UP, .link = 2, .uid = ALICE});
    struct message open = {.type = MESSAGE_RANK_OPEN,
                           .rank_open = {.run = "llama", .attempt = 2, .rank = 0, .world = 2}};
    driver_rank_says(d, 2, open);
    driver_event(d, (struct agent_event){.type = AGENT_TICK});
    driver_rank(d, 3, BOB, 0);
    assert_int_equal(driver_ask(d, 3, 1, SEGMENT)->status, CKPT_OK);
    struct message abandon = {.type = MESSAGE_ABANDON,
                              .abandon = {20, 0, driver_slot(d, 0).generation}};
    driver_rank_says(d, 1, abandon);
    assert_int_equal(driver_ask(d, 1, 30, SEGMENT)->status, CKPT_ERR_ATTEMPT);
}

static void seals_are_refused(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    driver_rank(d, 2, BOB, 0);
    struct message_slot_granted granted = *driver_ask(d, 1, 10, SEGMENT);
    const struct {
        uint32_t link;
        uint64_t step;
        uint32_t slot;
        uint64_t generation;
        enum ckpt_status status;
    } wrong[] = {
        {1, 10, granted.slot, granted.generation + 1, CKPT_ERR_STALE},
        {1, 11, granted.slot, granted.generation, CKPT_ERR_STALE},
        {1, 10, granted.slot + 1, granted.generation, CKPT_ERR_STALE},
        {1, 10, 8, granted.generation, CKPT_ERR_INVALID},
        {1, 10, UINT32_MAX, granted.generation, CKPT_ERR_INVALID},
        {2, 10, granted.slot, granted.generation, CKPT_ERR_STALE}, /* another user's */
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        driver_seal(d, wrong[i].link, wrong[i].step, wrong[i].slot, wrong[i].generation);
        const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_SAVE_OUTCOME);
        assert_non_null(out);
        assert_int_equal(out->link, wrong[i].link);
        assert_int_equal(out->message.save_outcome.status, wrong[i].status);
        assert_true(out->message.save_outcome.reason[0] != '\0');
        assert_int_equal(d->update.record_count + d->update.work_count, 0);
        assert_int_equal(driver_slot(d, granted.slot).state, SLOT_FILLING);
        struct message abandon = {.type = MESSAGE_ABANDON,
                                  .abandon = {wrong[i].step, wrong[i].slot, wrong[i].generation}};
        driver_rank_says(d, wrong[i].link, abandon);
        assert_true(driver_silent(d));
    }
    driver_seal(d, 1, 10, granted.slot, granted.generation);
    assert_int_equal(driver_slot(d, granted.slot).state, SLOT_SEALED);
}

static void abandoned_and_orphaned_slots_are_freed(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    struct message_slot_granted granted = *driver_ask(d, 1, 10, 4 * SEGMENT);
    struct message abandon = {.type = MESSAGE_ABANDON,
                              .abandon = {10, granted.slot, granted.generation}};
    driver_rank_says(d, 1, abandon);
    assert_int_equal(driver_stored(d, granted.slot)->state, SLOT_FREE);
    assert_int_equal(driver_stored(d, granted.slot)->segment_count, 0);
    assert_int_equal(agent_segments_free(d->agent), 8);
    const struct message_slot_granted *again = driver_ask(d, 1, 10, 4 * SEGMENT);
    assert_int_equal(again->status, CKPT_OK); /* it was never saved */
    assert_true(again->generation > granted.generation);
    uint32_t slot = again->slot;
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    assert_int_equal(driver_slot(d, slot).state, SLOT_FREE);
    driver_rank(d, 2, ALICE, 0);
    slot = driver_save(d, 2, 10, SEGMENT);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 2});
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED); /* sealed ones live on */
}

static void a_rank_gets_its_segments_of_two_saves_ago(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    driver_rank(d, 2, ALICE, 1);
    uint16_t had[2][2];
    for (uint64_t step = 1; step <= 6; step++) {
        const struct message_slot_granted *granted = driver_ask(d, 1, step, 2 * SEGMENT);
        assert_int_equal(granted->status, CKPT_OK);
        if (step > 2) {
            assert_memory_equal(granted->segments, had[step % 2], sizeof(had[0]));
        }
        memcpy(had[step % 2], granted->segments, sizeof(had[0]));
        driver_seal(d, 1, step, granted->slot, granted->generation);
        driver_work(d, driver_works(d, AGENT_WORK_DIGEST)->work, CKPT_OK, (uint8_t)step);
        driver_save(d, 2, step, 2 * SEGMENT);
        driver_checkpoint(d, step, CHECKPOINT_CONSISTENT);
        if (step > 1) {
            driver_checkpoint(d, step - 1, CHECKPOINT_RETIRED);
        }
    }
}

static void memory_passes_to_another_user_renewed(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    driver_rank(d, 2, BOB, 0);
    driver_save(d, 1, 1, 8 * SEGMENT);
    driver_checkpoint(d, 1, CHECKPOINT_ABORTED);
    assert_int_equal(agent_segments_free(d->agent), 8);
    assert_null(driver_ask(d, 2, 1, 2 * SEGMENT));
    const struct agent_work *renew = driver_works(d, AGENT_WORK_RENEW);
    assert_non_null(renew);
    uint64_t work = renew->work;
    uint32_t slot = renew->slot;
    assert_int_equal(driver_stored(d, slot)->state, SLOT_DIRTY);
    assert_null(driver_ask(d, 2, 1, 2 * SEGMENT)); /* a repeat waits too */
    assert_true(driver_silent(d));
    driver_work(d, work, CKPT_OK, 0);
    assert_int_equal(driver_stored(d, slot)->state, SLOT_FILLING);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_SLOT_GRANTED);
    assert_int_equal(out->link, 2);
    assert_int_equal(out->message.slot_granted.status, CKPT_OK);
    driver_work(d, work, CKPT_OK, 0);
    assert_true(driver_silent(d)); /* a stale completion */
    driver_seal(d, 2, 1, slot, out->message.slot_granted.generation);

    /* A renewal that fails grants nothing, and the memory stays unfit for anyone. */
    driver_rank(d, 3, BOB, 1);
    assert_null(driver_ask(d, 3, 1, 2 * SEGMENT));
    driver_work(d, driver_works(d, AGENT_WORK_RENEW)->work, CKPT_ERR_MEMORY, 0);
    out = driver_said(d, AGENT_TO_RANK, MESSAGE_SLOT_GRANTED);
    assert_int_equal(out->message.slot_granted.status, CKPT_ERR_SYSTEM);
    assert_non_null(driver_noted(d, EVENT_renew_failed));
    assert_null(driver_ask(d, 1, 2, 6 * SEGMENT)); /* not even to its earlier user as it is */
    assert_non_null(driver_works(d, AGENT_WORK_RENEW));

    /* Gone before the renewal ends: freed when it ends. */
    work = driver_works(d, AGENT_WORK_RENEW)->work;
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    assert_int_equal(agent_segments_free(d->agent), 0);
    driver_work(d, work, CKPT_OK, 0);
    assert_int_equal(agent_segments_free(d->agent), 6);
}

/* Its copying threads do not look at the socket. */
static void memory_of_a_lost_writer_is_renewed(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    driver_rank(d, 2, ALICE, 1);
    assert_non_null(driver_ask(d, 1, 1, 5 * SEGMENT));
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    assert_int_equal(agent_segments_free(d->agent), 8);
    (void)driver_save(d, 2, 1, 3 * SEGMENT); /* what nobody had is there at once */
    assert_null(driver_ask(d, 2, 2, 3 * SEGMENT));
    driver_work(d, driver_works(d, AGENT_WORK_RENEW)->work, CKPT_OK, 0);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_SLOT_GRANTED);
    assert_int_equal(out->message.slot_granted.status, CKPT_OK);
}

static void a_slot_given_up_while_filled_waits_for_its_writer(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    struct message_slot_granted granted = *driver_ask(d, 1, 5, 3 * SEGMENT);
    driver_checkpoint(d, 5, CHECKPOINT_ABORTED);
    assert_int_equal(driver_slot(d, granted.slot).state, SLOT_FILLING);
    assert_true(driver_slot(d, granted.slot).doomed);
    assert_int_equal(agent_segments_free(d->agent), 5);
    driver_seal(d, 1, 5, granted.slot, granted.generation);
    assert_int_equal(driver_slot(d, granted.slot).state, SLOT_FREE);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_SAVE_OUTCOME);
    assert_int_equal(out->message.save_outcome.status, CKPT_ERR_ABORTED);
    assert_int_equal(driver_said_count(d, MESSAGE_SHARD_REPORT), 0); /* it was never reported */
}

static void a_process_that_comes_back_hears_the_outcome(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    driver_save(d, 1, 5, SEGMENT);
    driver_save(d, 1, 6, SEGMENT);
    driver_checkpoint(d, 5, CHECKPOINT_CONSISTENT);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    driver_event(d, (struct agent_event){.type = AGENT_RANK_UP, .link = 2, .uid = ALICE});
    struct message open = {.type = MESSAGE_RANK_OPEN,
                           .rank_open = {.run = "llama", .attempt = 1, .rank = 0, .world = 4}};
    open.rank_open.seat = (struct nonce){{1, 0, (uint8_t)ALICE}};
    open.rank_open.start = (struct nonce){{2}};
    driver_rank_says(d, 2, open);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_SAVE_OUTCOME);
    assert_int_equal(out->message.save_outcome.step, 5);
    assert_int_equal(driver_ask(d, 2, 6, SEGMENT)->status, CKPT_ERR_STEP);
    driver_checkpoint(d, 6, CHECKPOINT_ABORTED);
    out = driver_said(d, AGENT_TO_RANK, MESSAGE_SAVE_OUTCOME);
    assert_int_equal(out->message.save_outcome.step, 6);
    assert_int_equal(out->message.save_outcome.status, CKPT_ERR_ABORTED);
}

/* The others' checkpoint of that step says nothing about a rank that says another world. */
static void a_rank_of_another_world_hears_nothing_of_a_commit(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    struct message committed = {.type = MESSAGE_CHECKPOINT_STATE,
                                .checkpoint_state = {.run = key_of(ALICE, 10, 0).run,
                                                     .attempt = 1,
                                                     .step = 10,
                                                     .world = 5,
                                                     .state = CHECKPOINT_CONSISTENT}};
    driver_coordinator(d, committed);
    assert_null(driver_said(d, AGENT_TO_RANK, MESSAGE_SAVE_OUTCOME));
    committed.checkpoint_state.state = CHECKPOINT_RETIRED;
    driver_coordinator(d, committed);
    assert_null(driver_said(d, AGENT_TO_RANK, MESSAGE_SAVE_OUTCOME));
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    driver_ack(d, slot, false, CHECKPOINT_CONSISTENT);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_SAVE_OUTCOME);
    assert_int_not_equal(out->message.save_outcome.status, CKPT_OK);

    driver_save(d, 1, 20, SEGMENT);
    committed.checkpoint_state.step = 20;
    committed.checkpoint_state.world = 0; /* an older coordinator does not say it */
    committed.checkpoint_state.state = CHECKPOINT_CONSISTENT;
    driver_coordinator(d, committed);
    out = driver_said(d, AGENT_TO_RANK, MESSAGE_SAVE_OUTCOME);
    assert_int_equal(out->message.save_outcome.status, CKPT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_save_from_the_ask_to_its_outcome, driver),
        MACHINE_TEST(a_save_passes_through_its_states, driver),
        MACHINE_TEST(repeats_change_nothing, driver),
        MACHINE_TEST(opens_are_refused, driver),
        MACHINE_TEST(too_many_processes_are_turned_away, driver),
        MACHINE_TEST(no_user_takes_anothers_seat, driver),
        MACHINE_TEST(one_user_does_not_fill_a_node, driver),
        MACHINE_TEST(one_shard_may_fill_a_node, driver),
        MACHINE_TEST(asks_are_refused, driver),
        MACHINE_TEST(steps_of_the_run_are_known, driver),
        MACHINE_TEST(seals_are_refused, driver),
        MACHINE_TEST(abandoned_and_orphaned_slots_are_freed, driver),
        MACHINE_TEST(a_rank_gets_its_segments_of_two_saves_ago, driver),
        MACHINE_TEST(memory_passes_to_another_user_renewed, driver),
        MACHINE_TEST(memory_of_a_lost_writer_is_renewed, driver),
        MACHINE_TEST(a_slot_given_up_while_filled_waits_for_its_writer, driver),
        MACHINE_TEST(a_process_that_comes_back_hears_the_outcome, driver),
        MACHINE_TEST(a_rank_of_another_world_hears_nothing_of_a_commit, driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
