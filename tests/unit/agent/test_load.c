/* SPDX-License-Identifier: Apache-2.0 */
/* Loads, fetches and questions of ranks: asked on, handed out, released. */
#include "unit/agent/story.h"

#include <string.h>

static void start(struct driver *d)
{
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 3);
}

static void ask(struct driver *d, uint32_t link, bool collective, uint32_t load, uint64_t step,
                uint32_t rank)
{
    struct message message = {.type = MESSAGE_LOAD_ASK,
                              .load_ask = {.run = {BOB, "of-another"}, /* never believed */
                                           .attempt = 99,
                                           .asking_rank = 77,
                                           .step = step,
                                           .rank = rank,
                                           .collective = collective,
                                           .load = load}};
    driver_rank_says(d, link, message);
}

static const struct message_load_ask *asked(const struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_LOAD_ASK);
    return out != NULL ? &out->message.load_ask : NULL;
}

static const struct message_loaded *loaded(const struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_LOADED);
    if (out == NULL) {
        return NULL;
    }
    assert_int_equal(out->attach == ATTACH_READ_ONLY, out->message.loaded.status == CKPT_OK);
    return &out->message.loaded;
}

static struct message verdict(const struct message_load_ask *load_ask, uint64_t step,
                              enum ckpt_status status)
{
    struct message message = {.type = MESSAGE_LOAD_VERDICT};
    message.load_verdict.run = load_ask->run;
    message.load_verdict.attempt = load_ask->attempt;
    message.load_verdict.start = load_ask->start;
    message.load_verdict.asking_rank = load_ask->asking_rank;
    message.load_verdict.collective = load_ask->collective;
    message.load_verdict.load = load_ask->load;
    message.load_verdict.reader = load_ask->reader;
    message.load_verdict.status = status;
    message.load_verdict.shard = key_of(ALICE, step, load_ask->rank);
    return message;
}

static void lease(struct driver *d)
{
    struct message message = {.type = MESSAGE_LEASE};
    driver_coordinator(d, message);
}

static void release(struct driver *d, uint32_t link, uint32_t slot, uint64_t generation)
{
    struct message message = {.type = MESSAGE_RELEASE, .release = {slot, generation}};
    driver_rank_says(d, link, message);
}

static void a_rank_that_saves_no_longer_waits_for_its_load(void **state)
{
    struct driver *d = *state;
    start(d);
    ask(d, 1, true, 1, CKPT_STEP_LATEST, 3);
    assert_non_null(asked(d));
    driver_tick(d, 600);
    assert_non_null(asked(d)); /* it is asked again and again */
    (void)driver_save(d, 1, 50, 1000);
    lease(d);
    driver_tick(d, 600);
    assert_null(asked(d));
    ask(d, 1, true, 2, CKPT_STEP_LATEST, 3);
    assert_non_null(asked(d));
}

static void a_load_from_the_ask_to_its_release(void **state)
{
    struct driver *d = *state;
    start(d);
    driver_story(
        d, "> process 1 asks for load 1: step 10\n"
           "< coordinator: load_ask 1000:llama/1 rank 3 of 4 load 1 collective\n"
           "> order 1: pull step 10 rank 3, 1000 bytes, from n2\n"
           "< store slot 0 PULLING gen 1\n"
           "< connect n2:7000\n"
           "< n2: offer_ask 1000:llama/1 step 10 rank 3 gen 50\n"
           "> n2 offers slot 5 gen 50, 1000 bytes\n"
           "< read slot 0, 1000 bytes\n"
           "> the work of slot 0 ends, digest 7\n"
           "< n2: offer_done slot 5 gen 50\n"
           "> n2 agrees to the end\n"
           "< store slot 0 VERIFIED gen 1\n"
           "< coordinator: shard_report 1000:llama/1 step 10 rank 3 gen 1 VERIFIED order 1 0707\n"
           "> coordinator knows of slot 0\n"
           "> verdict: load 1 is step 10\n"
           "< process 1: loaded load 1 status 0 attempt 1 step 10 rank 3 slot 0, read-only\n"
           "> process 1 releases slot 0 gen 1\n"
           "> process 1 releases slot 0 gen 1\n");
}

static void a_load_is_handed_out_on_a_verdict(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_pull(d, 10, 3, 2 * SEGMENT);
    ask(d, 1, true, 1, CKPT_STEP_LATEST, 0);
    assert_int_equal(asked(d)->run.uid, ALICE);
    assert_string_equal(asked(d)->run.name, "llama");
    assert_int_equal(asked(d)->attempt, 1);
    assert_int_equal(asked(d)->asking_rank, 3);
    assert_int_equal(asked(d)->rank, 3);
    assert_int_equal(asked(d)->world, 4);
    struct message_load_ask first = *asked(d);
    assert_null(loaded(d));
    ask(d, 1, true, 1, CKPT_STEP_LATEST, 0); /* a repeat waits with the first */
    assert_true(driver_silent(d));
    driver_tick(d, d->config.resend_ms);
    assert_int_equal(asked(d)->reader, first.reader);
    struct message ok = verdict(&first, 10, CKPT_OK);
    driver_coordinator(d, ok);
    assert_int_equal(loaded(d)->status, CKPT_OK);
    assert_int_equal(loaded(d)->slot, slot);
    assert_int_equal(loaded(d)->step, 10);
    assert_int_equal(loaded(d)->rank, 3);
    assert_int_equal(loaded(d)->world, 4);
    assert_int_equal(loaded(d)->bytes, 2 * SEGMENT);
    assert_int_equal(loaded(d)->segment_count, 2);
    struct digest digest = digest_of(10);
    assert_memory_equal(&loaded(d)->digest, &digest, sizeof(digest));
    uint64_t generation = loaded(d)->generation;
    driver_coordinator(d, ok);
    assert_true(driver_silent(d));
    ask(d, 1, true, 1, CKPT_STEP_LATEST, 0); /* the answer was lost */
    assert_int_equal(loaded(d)->slot, slot);
    assert_int_equal(driver_slot(d, slot).pins, 1);

    driver_checkpoint(d, 10, CHECKPOINT_RETIRED);
    assert_int_equal(driver_slot(d, slot).state, SLOT_DIRTY); /* mapped: not freed */
    release(d, 1, slot, generation + 1);
    release(d, 1, slot + 1, generation);
    release(d, 1, UINT32_MAX, generation);
    assert_int_equal(driver_slot(d, slot).pins, 1);
    driver_rank(d, 2, BOB, 0);
    release(d, 2, slot, generation);
    assert_int_equal(driver_slot(d, slot).pins, 1);
    release(d, 1, slot, generation);
    assert_int_equal(driver_slot(d, slot).state, SLOT_FREE);
    release(d, 1, slot, generation);
    assert_true(driver_silent(d));
}

SPOILS(of_another_user, struct message_load_verdict, it->run.uid = BOB)
SPOILS(of_another_attempt, struct message_load_verdict, it->attempt = 2)
SPOILS(for_another_rank, struct message_load_verdict, it->asking_rank = 2)
SPOILS(for_a_fetch, struct message_load_verdict, it->collective = false, it->reader = 0)
SPOILS(for_another_load, struct message_load_verdict, it->load = 2)
SPOILS(of_a_shard_held_but_not_asked_for, struct message_load_verdict, it->shard.rank = 2)
SPOILS(of_another_users_shard, struct message_load_verdict, it->shard.run.uid = BOB)
SPOILS(of_another_step, struct message_load_verdict, it->shard.step = 9)
SPOILS(with_a_reason_without_end, struct message_load_verdict,
       memset(it->reason, 'x', sizeof(it->reason)))
SPOILS(of_a_run_without_end, struct message_load_verdict,
       memset(it->run.name, 'x', sizeof(it->run.name)))
static const struct {
    const char *name;
    void (*spoil)(struct message_load_verdict *it);
} astray[] = {
    {ROW(of_another_user)},           {ROW(of_another_attempt)},
    {ROW(for_another_rank)},          {ROW(for_a_fetch)},
    {ROW(for_another_load)},          {ROW(of_a_shard_held_but_not_asked_for)},
    {ROW(of_another_users_shard)},    {ROW(of_another_step)},
    {ROW(with_a_reason_without_end)}, {ROW(of_a_run_without_end)},
};

static void verdicts_are_checked(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_pull(d, 10, 3, SEGMENT);
    driver_pull(d, 10, 2, SEGMENT);
    ask(d, 1, true, 1, 10, 0);
    struct message_load_ask load_ask = *asked(d);
    for (size_t i = 0; i < ROWS(astray); i++) {
        struct message wrong = verdict(&load_ask, 10, CKPT_OK);
        astray[i].spoil(&wrong.load_verdict);
        driver_coordinator(d, wrong);
        ROW_HOLDS(&astray[i], loaded(d) == NULL);
    }
    assert_int_equal(driver_slot(d, slot).pins, 0);
    driver_coordinator(d, verdict(&load_ask, 10, CKPT_OK));
    assert_int_equal(loaded(d)->status, CKPT_OK);
}

static void a_copy_that_vanished_is_asked_for_again(void **state)
{
    struct driver *d = *state;
    start(d);
    ask(d, 1, true, 1, CKPT_STEP_LATEST, 0);
    struct message_load_ask load_ask = *asked(d);
    driver_coordinator(d, verdict(&load_ask, 10, CKPT_OK)); /* not here */
    assert_null(loaded(d));
    driver_tick(d, d->config.resend_ms);
    assert_non_null(asked(d));
    driver_pull(d, 10, 3, SEGMENT);
    driver_coordinator(d, verdict(&load_ask, 10, CKPT_OK));
    assert_int_equal(loaded(d)->status, CKPT_OK);
}

static void failures_and_time_outs_reach_the_rank(void **state)
{
    struct driver *d = *state;
    start(d);
    ask(d, 1, true, 1, CKPT_STEP_LATEST, 0);
    struct message_load_ask load_ask = *asked(d);
    struct message no = verdict(&load_ask, 0, CKPT_ERR_NO_CHECKPOINT);
    strcpy(no.load_verdict.reason, "nothing yet");
    driver_coordinator(d, no);
    assert_int_equal(loaded(d)->status, CKPT_ERR_NO_CHECKPOINT);
    assert_string_equal(loaded(d)->reason, "nothing yet");
    ask(d, 1, true, 2, CKPT_STEP_LATEST, 0);
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
    driver_tick(d, d->config.load_timeout_ms / 2);
    assert_null(asked(d));
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    struct message welcome = {.type = MESSAGE_WELCOME, .welcome = {.heartbeat_ms = 1000}};
    driver_coordinator(d, welcome);
    assert_int_equal(asked(d)->load, 2); /* asked of the one that is back */
    driver_tick(d, d->config.load_timeout_ms / 2);
    assert_int_equal(loaded(d)->status, CKPT_ERR_TIMEOUT);
    assert_int_equal(loaded(d)->load, 2);
    driver_tick(d, d->config.resend_ms);
    assert_null(asked(d));
}

static void asks_are_refused(void **state)
{
    struct driver *d = *state;
    start(d);
    ask(d, 1, false, 1, 10, CKPT_WORLD_MAX);
    assert_int_equal(loaded(d)->status, CKPT_ERR_RANK);
    ask(d, 1, false, 1, 10, 0);
    ask(d, 1, false, 1, 11, 0);
    assert_int_equal(loaded(d)->status, CKPT_ERR_INVALID);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_UP, .link = 2, .uid = ALICE});
    struct message open = {.type = MESSAGE_RANK_OPEN,
                           .rank_open = {.run = "llama", .reader = true}};
    driver_rank_says(d, 2, open);
    ask(d, 2, true, 1, 10, 0);
    assert_int_equal(loaded(d)->status, CKPT_ERR_INVALID);
    for (uint32_t load = 1; load <= 64; load++) {
        ask(d, 2, false, load, 10, load);
        assert_null(loaded(d));
    }
    ask(d, 2, false, 65, 10, 0);
    assert_int_equal(loaded(d)->status, CKPT_ERR_FULL);
    ask(d, 1, false, 2, 10, 0); /* nobody else is crowded out */
    assert_null(loaded(d));
}

static uint32_t pull_ordered(struct driver *d, struct message order)
{
    driver_coordinator(d, order);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_PEER, MESSAGE_OFFER_ASK);
    uint32_t peer = out->link;
    struct message offer = {.type = MESSAGE_OFFER,
                            .offer = {.pull = out->message.offer_ask.pull,
                                      .generation = order.pull_order.source_generation,
                                      .bytes = SEGMENT,
                                      .segment_bytes = SEGMENT,
                                      .region_count = 1}};
    driver_peer(d, peer, offer);
    driver_work(d, driver_works(d, AGENT_WORK_READ)->work, CKPT_OK, 1);
    struct message closed = {.type = MESSAGE_OFFER_CLOSED,
                             .offer_closed = {offer.offer.pull, CKPT_OK}};
    driver_peer(d, peer, closed);
    return driver_find(d, &order.pull_order.shard);
}

static uint32_t fetch(struct driver *d, uint32_t link, uint64_t step, uint32_t rank)
{
    ask(d, link, false, (uint32_t)step * 10 + rank, step, rank);
    struct message_load_ask load_ask = *asked(d);
    struct message order = driver_order(d, step, rank, SEGMENT);
    order.pull_order.purpose = PULL_FETCH;
    uint32_t slot = pull_ordered(d, order);
    driver_coordinator(d, verdict(&load_ask, step, CKPT_OK));
    return slot;
}

static void a_cached_copy_goes_with_its_last_reader(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = fetch(d, 1, 10, 2);
    assert_int_equal(loaded(d)->status, CKPT_OK);
    uint64_t generation = loaded(d)->generation;
    ask(d, 1, false, 500, 10, 2);
    driver_coordinator(d, verdict(asked(d), 10, CKPT_OK));
    assert_int_equal(driver_slot(d, slot).pins, 2);
    release(d, 1, slot, generation);
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    release(d, 1, slot, generation);
    assert_int_equal(driver_slot(d, slot).state, SLOT_FREE);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT);
    assert_int_equal(out->message.shard_report.state, COPY_NONE);
    slot = fetch(d, 1, 11, 2);
    assert_int_equal(driver_slot(d, slot).pins, 1);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    assert_int_equal(driver_slot(d, slot).state, SLOT_FREE);
}

static void a_cached_copy_without_a_reader_expires(void **state)
{
    struct driver *d = *state;
    start(d);
    struct message order = driver_order(d, 10, 2, SEGMENT);
    order.pull_order.purpose = PULL_FETCH;
    uint32_t slot = pull_ordered(d, order);
    assert_true(driver_slot(d, slot).cached);
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
    driver_tick(d, d->config.load_timeout_ms - 1);
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    assert_int_equal(d->update.deadline_ms, d->now_ms + 1);
    driver_tick(d, 1);
    assert_int_equal(driver_slot(d, slot).state, SLOT_FREE);
}

static void a_rank_that_dies_lets_go(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_pull(d, 10, 3, SEGMENT);
    ask(d, 1, true, 1, 10, 0);
    driver_coordinator(d, verdict(asked(d), 10, CKPT_OK));
    assert_int_equal(driver_slot(d, slot).pins, 1);
    ask(d, 1, true, 2, 10, 0);
    struct message_load_ask second = *asked(d);
    driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = 1});
    assert_int_equal(driver_slot(d, slot).pins, 0);
    driver_coordinator(d, verdict(&second, 10, CKPT_OK));
    assert_int_equal(driver_slot(d, slot).pins, 0);
    driver_tick(d, d->config.resend_ms);
    assert_null(asked(d));
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);

    /* It may read on: where only the connection broke, its process has the memory mapped. */
    driver_checkpoint(d, 10, CHECKPOINT_RETIRED);
    assert_int_equal(driver_slot(d, slot).state, SLOT_FREE);
    driver_rank(d, 2, ALICE, 3);
    assert_null(driver_ask(d, 2, 20, 8 * SEGMENT));
    assert_non_null(driver_works(d, AGENT_WORK_RENEW));
}

static void a_damaged_copy_is_not_handed_out(void **state)
{
    struct driver *d = *state;
    start(d);
    uint32_t slot = driver_pull(d, 10, 3, SEGMENT);
    ask(d, 1, true, 1, 10, 0);
    struct message_load_ask load_ask = *asked(d);
    struct message order = {.type = MESSAGE_VERIFY_ORDER};
    order.verify_order.order = 100;
    order.verify_order.shard = key_of(ALICE, 10, 3);
    order.verify_order.generation = driver_slot(d, slot).generation;
    driver_coordinator(d, order);
    uint64_t work = driver_works(d, AGENT_WORK_DIGEST)->work;
    driver_coordinator(d, verdict(&load_ask, 10, CKPT_OK)); /* of what was known before */
    assert_null(loaded(d));
    driver_work(d, work, CKPT_OK, 0xbb);
    driver_coordinator(d, verdict(&load_ask, 10, CKPT_OK));
    assert_null(loaded(d));
    assert_int_equal(driver_slot(d, slot).pins, 0);
}

static const struct message_checkpoint_info *info(const struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_CHECKPOINT_INFO);
    return out != NULL ? &out->message.checkpoint_info : NULL;
}

static void questions_are_passed_on_and_back(void **state)
{
    struct driver *d = *state;
    start(d);
    struct message question = {
        .type = MESSAGE_CHECKPOINT_ASK,
        .checkpoint_ask = {.run = {BOB, "of-another"}, .step = 10, .reader = 5}};
    driver_rank_says(d, 1, question);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_CHECKPOINT_ASK);
    struct message_checkpoint_ask passed = out->message.checkpoint_ask;
    assert_int_equal(passed.run.uid, ALICE);
    assert_string_equal(passed.run.name, "llama");
    driver_rank_says(d, 1, question);
    assert_true(driver_silent(d));
    driver_tick(d, d->config.resend_ms);
    assert_non_null(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_CHECKPOINT_ASK));
    struct message answer = {.type = MESSAGE_CHECKPOINT_INFO,
                             .checkpoint_info = {.run = passed.run,
                                                 .reader = passed.reader + 1,
                                                 .step = 10,
                                                 .world = 4,
                                                 .state = CHECKPOINT_CONSISTENT,
                                                 .tier = CHECKPOINT_TIER_PASSED,
                                                 .has_persisted = true,
                                                 .persisted_attempt = 3,
                                                 .persisted_step = 20}};
    driver_coordinator(d, answer);
    assert_null(info(d));
    answer.checkpoint_info.reader = passed.reader;
    answer.checkpoint_info.run.uid = BOB;
    driver_coordinator(d, answer);
    assert_null(info(d));
    answer.checkpoint_info.run.uid = ALICE;
    driver_coordinator(d, answer);
    assert_int_equal(info(d)->reader, 5);
    assert_int_equal(info(d)->world, 4);
    assert_int_equal(info(d)->tier, CHECKPOINT_TIER_PASSED);
    assert_true(info(d)->has_persisted);
    assert_int_equal(info(d)->persisted_attempt, 3);
    assert_int_equal(info(d)->persisted_step, 20);
    driver_coordinator(d, answer);
    assert_null(info(d));
    driver_rank_says(d, 1, question);
    for (uint32_t passed_ms = 0; passed_ms < d->config.load_timeout_ms; passed_ms += 1000) {
        assert_null(info(d));
        lease(d);
        driver_tick(d, 1000);
    }
    assert_int_equal(info(d)->status, CKPT_ERR_TIMEOUT);
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
    driver_rank_says(d, 1, question);
    assert_int_equal(info(d)->status, CKPT_ERR_NO_COORDINATOR);
    assert_int_equal(info(d)->reader, 5);
}

/* A load whose coordinator went away: no rank is blamed, and it is said since when. */
static void a_wait_without_a_coordinator_says_so(void **state)
{
    struct driver *d = *state;
    start(d);
    lease(d);
    ask(d, 1, true, 1, CKPT_STEP_LATEST, 0);
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
    driver_tick(d, 12000);
    driver_tick(d, d->config.load_timeout_ms);
    assert_int_equal(loaded(d)->status, CKPT_ERR_NO_COORDINATOR);
    assert_non_null(strstr(loaded(d)->reason, "no coordinator answers the agent of node "));
    assert_non_null(strstr(loaded(d)->reason, " s now"));
    assert_null(strstr(loaded(d)->reason, "rank"));
}

/* What a rank asks whose own time is over is answered at once, and passed on to nobody. */
static void whether_there_is_one_is_known_here(void **state)
{
    struct driver *d = *state;
    start(d);
    struct message question = {.type = MESSAGE_CHECKPOINT_ASK};
    question.checkpoint_ask.reader = 5;
    question.checkpoint_ask.here = true;
    lease(d);
    driver_rank_says(d, 1, question);
    assert_null(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_CHECKPOINT_ASK));
    assert_int_equal(info(d)->status, CKPT_ERR_NOT_FOUND);
    assert_int_equal(info(d)->reader, 5);
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
    driver_rank_says(d, 1, question);
    assert_int_equal(info(d)->status, CKPT_ERR_NO_COORDINATOR);
}

/* A process whose time ends hears what its load waited for, and where that is. */
static void a_load_that_waits_says_for_what(void **state)
{
    struct driver *d = *state;
    start(d);
    struct message patient = {
        .type = MESSAGE_LOAD_ASK,
        .load_ask = {
            .step = CKPT_STEP_LATEST, .rank = 3, .collective = true, .load = 1, .wait_ms = 2000}};
    driver_rank_says(d, 1, patient);
    const struct message_load_ask *load_ask = asked(d);
    assert_non_null(load_ask);
    struct message waits = {.type = MESSAGE_LOAD_WAITS,
                            .load_waits = {.run = load_ask->run,
                                           .attempt = load_ask->attempt,
                                           .start = load_ask->start,
                                           .asking_rank = load_ask->asking_rank,
                                           .collective = true,
                                           .load = 1,
                                           .reason = "away, on node n7"}};
    driver_coordinator(d, waits);
    assert_null(loaded(d));
    driver_tick(d, 1799);
    assert_null(loaded(d));
    driver_tick(d, 1); /* a tenth before its own time ends: the answer must reach it */
    assert_non_null(loaded(d));
    assert_int_equal(loaded(d)->status, CKPT_ERR_LOST);
    assert_string_equal(loaded(d)->reason, "away, on node n7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_load_that_waits_says_for_what, driver),
        MACHINE_TEST(a_rank_that_saves_no_longer_waits_for_its_load, driver),
        MACHINE_TEST(a_load_from_the_ask_to_its_release, driver),
        MACHINE_TEST(a_load_is_handed_out_on_a_verdict, driver),
        MACHINE_TEST(verdicts_are_checked, driver),
        MACHINE_TEST(a_copy_that_vanished_is_asked_for_again, driver),
        MACHINE_TEST(failures_and_time_outs_reach_the_rank, driver),
        MACHINE_TEST(asks_are_refused, driver),
        MACHINE_TEST(a_cached_copy_goes_with_its_last_reader, driver),
        MACHINE_TEST(a_cached_copy_without_a_reader_expires, driver),
        MACHINE_TEST(a_rank_that_dies_lets_go, driver),
        MACHINE_TEST(a_damaged_copy_is_not_handed_out, driver),
        MACHINE_TEST(questions_are_passed_on_and_back, driver),
        MACHINE_TEST(a_wait_without_a_coordinator_says_so, driver),
        MACHINE_TEST(whether_there_is_one_is_known_here, driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
