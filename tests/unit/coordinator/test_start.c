/* SPDX-License-Identifier: Apache-2.0 */
/* Starts of a run: who is of one, which number it has, and what an earlier one can do no more. */
#include "unit/coordinator/cluster.h"

#include <string.h>

CLUSTER_OF(4)

/* A process, by its number, is rank of world at node; it insists on attempt, or not (0). */
static struct message_seat_ask process(uint8_t number, uint32_t rank, uint32_t world,
                                       uint32_t attempt)
{
    struct message_seat_ask ask = {.rank = rank, .world = world, .attempt = attempt};
    ask.run.uid = 1000;
    strcpy(ask.run.name, "run");
    ask.seat = (struct nonce){{9, number}};
    return ask;
}

static struct message_seat_told ask_at(uint32_t node, const struct message_seat_ask *ask)
{
    struct message m = {.type = MESSAGE_SEAT_ASK, .seat_ask = *ask};
    cluster_message(&cluster, node, &m);
    for (uint32_t i = 0; i < cluster.update.message_count; i++) {
        const struct coordinator_outgoing *out = &cluster.update.messages[i];
        if (out->message.type == MESSAGE_SEAT_TOLD && out->link == node &&
            nonce_equal(&out->message.seat_told.seat, &ask->seat)) {
            return out->message.seat_told;
        }
    }
    fail();
    return (struct message_seat_told){0};
}

static struct message_seat_told open_at(uint32_t node, uint8_t number, uint32_t rank,
                                        uint32_t world, uint32_t attempt)
{
    struct message_seat_ask ask = process(number, rank, world, attempt);
    return ask_at(node, &ask);
}

static void leave(uint32_t node, uint8_t number, uint32_t rank, uint32_t world)
{
    struct message_seat_ask ask = process(number, rank, world, 0);
    ask.ended = true;
    assert_int_equal(ask_at(node, &ask).status, CKPT_OK);
}

static struct message load_of(const struct message_seat_told *told, uint8_t number, uint32_t world)
{
    struct message m = {.type = MESSAGE_LOAD_ASK};
    m.load_ask.run = told->run;
    m.load_ask.attempt = told->attempt;
    m.load_ask.start = told->start;
    m.load_ask.seat = (struct nonce){{9, number}};
    m.load_ask.asking_rank = m.load_ask.rank = told->rank;
    m.load_ask.world = world;
    m.load_ask.step = CKPT_STEP_LATEST;
    m.load_ask.collective = true;
    m.load_ask.load = 1;
    return m;
}

/* Loads, so that something has come of the start. */
static enum ckpt_status load_at(uint32_t node, const struct message_seat_told *told, uint8_t number,
                                uint32_t world)
{
    struct message m = load_of(told, number, world);
    cluster_message(&cluster, node, &m);
    const struct message *verdict = cluster_find(&cluster, node, MESSAGE_LOAD_VERDICT);
    return verdict == NULL ? CKPT_ERR_BUSY : verdict->load_verdict.status;
}

static void a_start_gets_its_number_when_all_are_seated(void **state)
{
    (void)state;
    struct message_seat_told told = open_at(0, 1, 0, 2, 0);
    assert_int_equal(told.status, CKPT_ERR_BUSY);
    assert_non_null(strstr(told.reason, "1 of 2"));
    assert_int_equal(cluster_records(&cluster, RECORD_ATTEMPT), 0);
    told = open_at(1, 2, 1, 2, 0);
    assert_int_equal(told.status, CKPT_OK);
    assert_int_equal(told.attempt, 1);
    assert_int_equal(cluster_records(&cluster, RECORD_ATTEMPT), 1);
    assert_true(cluster.update.again); /* the other is told by itself */
    cluster_tick(&cluster, 0);
    const struct message *first = cluster_find(&cluster, 0, MESSAGE_SEAT_TOLD);
    assert_int_equal(first->seat_told.attempt, 1);
    assert_true(nonce_equal(&first->seat_told.start, &told.start));
    told = open_at(0, 1, 0, 2, 0); /* a repeat */
    assert_int_equal(told.attempt, 1);
    assert_int_equal(cluster_records(&cluster, RECORD_ATTEMPT), 0);
}

static void a_rank_that_comes_back_begins_the_next_start(void **state)
{
    (void)state;
    (void)open_at(0, 1, 0, 2, 0);
    struct message_seat_told first = open_at(1, 2, 1, 2, 0);
    struct message_seat_told zero = open_at(0, 1, 0, 2, 0);
    assert_int_equal(load_at(0, &zero, 1, 2), CKPT_ERR_NO_CHECKPOINT);
    leave(0, 1, 0, 2);
    leave(1, 2, 1, 2);
    assert_int_equal(open_at(0, 3, 0, 2, 0).status, CKPT_ERR_BUSY);
    struct message_seat_told told = open_at(1, 4, 1, 2, 0);
    assert_int_equal(told.attempt, 2);
    assert_false(nonce_equal(&told.start, &first.start));
    /* A zombie of the first: its seat, its load and its save are refused. */
    struct message_seat_ask zombie = process(2, 1, 2, first.attempt);
    zombie.start = first.start;
    zombie.settled = true;
    assert_int_equal(ask_at(2, &zombie).status, CKPT_ERR_ATTEMPT);
    assert_int_equal(load_at(2, &first, 2, 2), CKPT_ERR_ATTEMPT);
    struct message m = cluster_report(1, 10, 1, 2, COPY_SEALED, true, 1);
    cluster_message(&cluster, 2, &m);
    assert_int_equal(cluster_find(&cluster, 2, MESSAGE_SHARD_ACK)->shard_ack.status,
                     CKPT_ERR_ATTEMPT);
}

/* One process from the past never completes a start, and refuses nobody. */
static void a_forming_start_refuses_nobody(void **state)
{
    (void)state;
    (void)open_at(0, 1, 0, 2, 0);
    struct message_seat_told told = open_at(1, 2, 1, 2, 0);
    (void)load_at(1, &told, 2, 2);
    assert_int_equal(open_at(2, 3, 0, 2, 0).status, CKPT_ERR_BUSY);
    cluster_save(&cluster, 1, 10, 2);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
    assert_int_equal(open_at(1, 2, 1, 2, 0).status, CKPT_OK); /* it is where it was */
    /* And when the other comes too, the live ones before are past. */
    assert_int_equal(open_at(3, 4, 1, 2, 0).attempt, 2);
    assert_int_equal(load_at(1, &told, 2, 2), CKPT_ERR_ATTEMPT);
}

/* A process that dies before anything came of its start is replaced in it, while the others wait.
 * */
static void a_place_is_taken_again_before_the_start_has_begun(void **state)
{
    (void)state;
    (void)open_at(0, 1, 0, 2, 0);
    struct message_seat_told first = open_at(1, 2, 1, 2, 0);
    leave(0, 1, 0, 2);
    struct message_seat_told again = open_at(2, 3, 0, 2, 0);
    assert_int_equal(again.status, CKPT_OK);
    assert_int_equal(again.attempt, first.attempt);
    struct message_seat_ask dead = process(1, 0, 2, first.attempt);
    dead.start = first.start;
    dead.settled = true;
    assert_int_equal(ask_at(0, &dead).status, CKPT_ERR_ATTEMPT);
}

/* Also while the others wait in their load: nobody has been told anything. What the dead one has
 * asked for, on another node, does not stand in the way. */
static void a_place_is_taken_again_while_the_others_load(void **state)
{
    (void)state;
    (void)open_at(0, 1, 0, 2, 0);
    (void)open_at(1, 2, 1, 2, 0);
    cluster_save(&cluster, 1, 10, 2);
    leave(0, 1, 0, 2);
    leave(1, 2, 1, 2);
    (void)open_at(0, 3, 0, 2, 0);
    struct message_seat_told waits = open_at(1, 4, 1, 2, 0);
    assert_int_equal(waits.attempt, 2);
    struct message_seat_told dead = open_at(0, 3, 0, 2, 0);
    assert_int_equal(load_at(1, &waits, 4, 2), CKPT_ERR_BUSY);
    assert_int_equal(load_at(0, &dead, 3, 2), CKPT_ERR_BUSY);
    leave(0, 3, 0, 2);
    struct message_seat_told again = open_at(2, 5, 0, 2, 0);
    assert_int_equal(again.status, CKPT_OK);
    assert_int_equal(again.attempt, 2);
    assert_int_equal(load_at(0, &dead, 3, 2), CKPT_ERR_ATTEMPT);
    assert_int_equal(load_at(2, &again, 5, 2), CKPT_ERR_BUSY);
    assert_int_equal(cluster_count(&cluster, MESSAGE_PULL_ORDER), 1); /* to its new node */
}

static uint64_t verify_ordered(uint32_t node)
{
    const struct message *order = cluster_find(&cluster, node, MESSAGE_VERIFY_ORDER);
    assert_non_null(order);
    return order->verify_order.order;
}

static void digested(uint32_t node, uint32_t rank, uint64_t order)
{
    struct message m = cluster_report(1, 10, rank, 2, COPY_VERIFIED, true, (uint8_t)(10 + rank));
    m.shard_report.order = order;
    cluster_message(&cluster, node, &m);
}

/* What was digested for the dead one is of before the new one asked, also on the same node. */
static void who_takes_a_place_has_its_copy_digested_anew(void **state)
{
    (void)state;
    (void)open_at(0, 1, 0, 2, 0);
    (void)open_at(1, 2, 1, 2, 0);
    cluster_save(&cluster, 1, 10, 2);
    leave(0, 1, 0, 2);
    leave(1, 2, 1, 2);
    (void)open_at(0, 3, 0, 2, 0);
    struct message_seat_told other = open_at(1, 4, 1, 2, 0);
    struct message_seat_told dead = open_at(0, 3, 0, 2, 0);
    assert_int_equal(load_at(0, &dead, 3, 2), CKPT_ERR_BUSY);
    digested(0, 0, verify_ordered(0));
    leave(0, 3, 0, 2);
    struct message_seat_told again = open_at(0, 5, 0, 2, 0);
    assert_int_equal(again.attempt, 2);
    assert_int_equal(load_at(1, &other, 4, 2), CKPT_ERR_BUSY);
    digested(1, 1, verify_ordered(1));
    cluster_tick(&cluster, 1);
    assert_int_equal(cluster_count(&cluster, MESSAGE_LOAD_VERDICT), 0);
    assert_int_equal(load_at(0, &again, 5, 2), CKPT_ERR_BUSY);
    digested(0, 0, verify_ordered(0));
    cluster_tick(&cluster, 1);
    assert_int_equal(cluster_count(&cluster, MESSAGE_LOAD_VERDICT), 2);
}

/* Rank 1's node is away when rank 0 comes again: its process may have died too, and all of them be
 * another start; or it is back soon, and waits. */
static void a_place_is_not_taken_again_while_nobody_knows(void **state)
{
    (void)state;
    (void)open_at(0, 1, 0, 2, 0);
    (void)open_at(1, 2, 1, 2, 0);
    leave(0, 1, 0, 2);
    cluster_disconnect(&cluster, 1);
    assert_int_equal(open_at(2, 3, 0, 2, 0).status, CKPT_ERR_BUSY);
    cluster_join(&cluster, 1, 2);
    struct message_seat_told told = open_at(2, 3, 0, 2, 0);
    assert_int_equal(told.status, CKPT_OK);
    assert_int_equal(told.attempt, 1);

    leave(2, 3, 0, 2);
    cluster_disconnect(&cluster, 1);
    assert_int_equal(open_at(2, 4, 0, 2, 0).status, CKPT_ERR_BUSY);
    cluster_tick(&cluster, 1500); /* it is lost */
    assert_int_equal(open_at(2, 4, 0, 2, 0).status, CKPT_ERR_BUSY);
    told = open_at(3, 5, 1, 2, 0);
    assert_int_equal(told.status, CKPT_OK);
    assert_int_equal(told.attempt, 2);
    assert_int_equal(open_at(2, 4, 0, 2, 0).attempt, 2);
}

/* shards_max is 64, and there are as many seats: those of who has gone are had by who comes. */
static void who_has_gone_keeps_nobody_from_a_seat(void **state)
{
    (void)state;
    for (uint8_t rank = 0; rank < 60; rank++) {
        (void)open_at(0, (uint8_t)(rank + 1), rank, 60, 0);
    }
    for (uint8_t rank = 0; rank < 60; rank++) {
        leave(0, (uint8_t)(rank + 1), rank, 60);
    }
    struct message_seat_told told = {0};
    for (uint8_t rank = 0; rank < 10; rank++) {
        struct message_seat_ask ask = process((uint8_t)(rank + 101), rank, 10, 0);
        strcpy(ask.run.name, "other");
        told = ask_at(1, &ask);
    }
    assert_int_equal(told.status, CKPT_OK);
    assert_int_equal(told.attempt, 1);
    /* Its number is used all the same. */
    struct message_seat_ask old = process(1, 0, 60, 1);
    assert_int_not_equal(ask_at(0, &old).status, CKPT_OK);
}

static void nobody_is_told_before_all_are_seated(void **state)
{
    (void)state;
    struct message_seat_told told = open_at(0, 1, 0, 2, 5); /* insists: it has its number at once */
    assert_int_equal(told.status, CKPT_OK);
    assert_int_equal(told.attempt, 5);
    assert_int_equal(load_at(0, &told, 1, 2), CKPT_ERR_BUSY);
    assert_int_equal(open_at(1, 2, 1, 2, 5).attempt, 5);
    assert_int_equal(load_at(0, &told, 1, 2), CKPT_ERR_NO_CHECKPOINT);
}

static void a_used_number_is_refused(void **state)
{
    (void)state;
    struct message_seat_told told = open_at(0, 1, 0, 1, 3);
    assert_int_equal(load_at(0, &told, 1, 1), CKPT_ERR_NO_CHECKPOINT);
    assert_int_equal(open_at(1, 2, 0, 1, 3).status, CKPT_ERR_RANK); /* it lives */
    leave(0, 1, 0, 1);
    struct message_seat_told used = open_at(1, 3, 0, 1, 3);
    assert_int_equal(used.status, CKPT_ERR_ATTEMPT);
    assert_non_null(strstr(used.reason, "attempt 0"));
    assert_int_equal(open_at(1, 4, 0, 1, 2).status, CKPT_ERR_ATTEMPT);
    assert_int_equal(open_at(1, 5, 0, 1, 0).attempt, 4);
    assert_int_equal(open_at(1, 6, 0, 1, 9).attempt, 9);
}

/* Two steps of one Slurm job: another name is another start, though the processes before live. */
static void another_name_is_another_start(void **state)
{
    (void)state;
    struct message_seat_ask ask = process(1, 0, 1, 0);
    ask.name = (struct nonce){{7}};
    struct message_seat_told first = ask_at(0, &ask);
    assert_int_equal(first.attempt, 1);
    ask = process(2, 0, 1, 0);
    ask.name = (struct nonce){{8}};
    assert_int_equal(ask_at(1, &ask).attempt, 2);
    assert_int_equal(load_at(0, &first, 1, 1), CKPT_ERR_ATTEMPT);
}

static void restart_with(uint32_t attempt, const struct nonce *name)
{
    struct coordinator_record record = {.type = RECORD_ATTEMPT, .epoch = 1, .attempt = attempt};
    record.run = process(1, 0, 1, 0).run;
    coordinator_record_name(&record, name);
    struct nonce back = coordinator_record_named(&record);
    assert_true(nonce_equal(&back, name));
    cluster_stop(&cluster);
    cluster_start_with(&cluster, 2, &record, 1);
    for (uint32_t node = 0; node < 4; node++) {
        cluster_join(&cluster, node, (uint8_t)(node + 1));
    }
}

/* The number is on record. The one before it told one rank and not the other: both are of the start
 * still, and nobody else is. */
static void a_coordinator_that_starts_anew_knows_the_start(void **state)
{
    (void)state;
    (void)open_at(0, 1, 0, 2, 0);
    struct message_seat_told told = open_at(1, 2, 1, 2, 0);
    restart_with(1, &told.start);
    struct message_seat_ask ask = process(1, 0, 2, 1);
    ask.start = told.start;
    ask.settled = true;
    assert_int_equal(ask_at(0, &ask).status, CKPT_OK);
    assert_int_equal(open_at(2, 7, 1, 2, 0).status, CKPT_ERR_BUSY); /* another process */
    leave(2, 7, 1, 2);
    struct message_seat_told late = open_at(1, 2, 1, 2, 0);
    assert_int_equal(late.status, CKPT_OK);
    assert_int_equal(late.attempt, 1);
    assert_true(nonce_equal(&late.start, &told.start));

    restart_with(1, &told.start); /* it told nobody */
    assert_int_equal(open_at(0, 1, 0, 2, 0).status, CKPT_ERR_BUSY);
    assert_int_equal(open_at(1, 2, 1, 2, 0).attempt, 1);

    restart_with(1, &told.start); /* and where all processes are new ones, so is the start */
    assert_int_equal(open_at(0, 3, 0, 2, 0).status, CKPT_ERR_BUSY);
    assert_int_equal(open_at(1, 4, 1, 2, 0).attempt, 2);
    assert_int_equal(ask_at(0, &ask).status, CKPT_ERR_ATTEMPT);
}

/* Whether others of an attempt that its caller insists on are still there, the agents tell soon. */
static void a_number_is_not_given_twice_over_a_restart(void **state)
{
    (void)state;
    struct message_seat_told told = open_at(0, 1, 0, 2, 3);
    restart_with(3, &told.start);
    assert_int_equal(open_at(1, 2, 1, 2, 3).status, CKPT_ERR_BUSY);
    assert_int_equal(open_at(0, 1, 0, 2, 3).status, CKPT_OK); /* the one that founded it */
    assert_int_equal(open_at(1, 2, 1, 2, 3).status, CKPT_OK);
    restart_with(3, &told.start);
    struct message beat = {.type = MESSAGE_HEARTBEAT};
    for (uint32_t i = 0; i < 11; i++) {
        cluster_tick(&cluster, 1000);
        for (uint32_t node = 0; node < 4; node++) {
            cluster_message(&cluster, node, &beat);
        }
    }
    assert_int_equal(open_at(1, 5, 1, 2, 3).status, CKPT_ERR_ATTEMPT);
}

/* What was staged before the start was complete is given up when it is not for long. */
static void an_incomplete_start_ends_what_waits_for_it(void **state)
{
    (void)state;
    assert_int_equal(open_at(0, 1, 0, 2, 0).status, CKPT_ERR_BUSY);
    struct message beat = {.type = MESSAGE_HEARTBEAT};
    for (uint32_t i = 0; i < 121; i++) {
        cluster_tick(&cluster, 1000);
        for (uint32_t node = 0; node < 4; node++) {
            cluster_message(&cluster, node, &beat);
        }
    }
    assert_int_equal(open_at(0, 1, 0, 2, 0).status, CKPT_ERR_TIMEOUT);
    assert_int_equal(open_at(1, 2, 1, 2, 0).status, CKPT_OK); /* it is not over */
}

/* The fence of a run outlives its place in the table. */
static void the_fence_outlives_the_run(void **state)
{
    (void)state;
    assert_int_equal(open_at(0, 1, 0, 1, 7).attempt, 7);
    leave(0, 1, 0, 1);
    for (uint8_t i = 0; i < 8; i++) {
        struct message_seat_ask ask = process((uint8_t)(10 + i), 0, 1, 0);
        ask.run.uid = 2000u + i; /* others take all places */
        (void)ask_at(1, &ask);
        ask.ended = true;
        (void)ask_at(1, &ask);
    }
    struct message m = cluster_report(6, 10, 0, 1, COPY_SEALED, true, 1);
    cluster_message(&cluster, 2, &m);
    assert_int_equal(cluster_find(&cluster, 2, MESSAGE_SHARD_ACK)->shard_ack.status,
                     CKPT_ERR_ATTEMPT);
    assert_int_equal(open_at(0, 2, 0, 1, 0).attempt, 8);
}

/* A lost node's ranks have left their places. */
static void a_lost_agents_ranks_have_left(void **state)
{
    (void)state;
    struct message_seat_told told = open_at(0, 1, 0, 1, 4);
    (void)load_at(0, &told, 1, 1);
    assert_int_equal(open_at(1, 2, 0, 1, 4).status, CKPT_ERR_RANK);
    cluster_disconnect(&cluster, 0);
    cluster_tick(&cluster, 1500);
    assert_int_equal(open_at(1, 3, 0, 1, 4).status, CKPT_ERR_ATTEMPT);
    assert_int_equal(open_at(1, 4, 0, 1, 0).attempt, 5);
}

/* A process of before starts had names goes by its number, whoever asked under it before. */
static void who_has_no_name_goes_by_its_number(void **state)
{
    (void)state;
    struct message_seat_ask ask = process(1, 0, 1, 3);
    ask.settled = true;
    struct message_seat_told told = ask_at(0, &ask);
    assert_int_equal(told.status, CKPT_OK);
    assert_int_equal(told.attempt, 3);
    struct message m = load_of(&told, 1, 1);
    m.load_ask.seat = (struct nonce){{0}};
    m.load_ask.start = (struct nonce){{0}};
    cluster_message(&cluster, 1, &m);
    assert_int_equal(cluster_find(&cluster, 1, MESSAGE_LOAD_VERDICT)->load_verdict.status,
                     CKPT_ERR_NO_CHECKPOINT);
}

static void what_is_invalid_is_refused(void **state)
{
    (void)state;
    struct message_seat_ask ask = process(1, 2, 2, 0);
    assert_int_equal(ask_at(0, &ask).status, CKPT_ERR_INVALID);
    ask = process(1, 0, 0, 0);
    assert_int_equal(ask_at(0, &ask).status, CKPT_ERR_INVALID);
    ask = process(1, 0, 2, 0);
    ask.start = (struct nonce){{1}}; /* of a start that has no number */
    assert_int_equal(ask_at(0, &ask).status, CKPT_ERR_INVALID);
    ask = process(1, 0, 2, UINT32_MAX);
    assert_int_equal(ask_at(0, &ask).attempt, UINT32_MAX);
    assert_int_equal(open_at(1, 2, 0, 1, 0).status, CKPT_ERR_BUSY); /* no number is left */
}

static struct message_checkpoint_info look(uint32_t node)
{
    struct message m = {.type = MESSAGE_CHECKPOINT_ASK};
    m.checkpoint_ask.run.uid = 1000;
    strcpy(m.checkpoint_ask.run.name, "run");
    m.checkpoint_ask.step = CKPT_STEP_LATEST;
    cluster_message(&cluster, node, &m);
    const struct message *info = cluster_find(&cluster, node, MESSAGE_CHECKPOINT_INFO);
    assert_non_null(info);
    return info->checkpoint_info;
}

/* Who imports into a run wants to take nothing from a job that runs. */
static void who_asks_hears_of_the_newest_start_and_who_is_there(void **state)
{
    (void)state;
    struct message_checkpoint_info info = look(0);
    assert_int_equal(info.run_attempt, 0);
    assert_int_equal(info.run_live, 0);
    assert_int_equal(open_at(0, 1, 0, 2, 5).attempt, 5);
    assert_int_equal(open_at(1, 2, 1, 2, 5).attempt, 5);
    info = look(2);
    assert_int_equal(info.run_attempt, 5);
    assert_int_equal(info.run_live, 2);
    leave(0, 1, 0, 2);
    assert_int_equal(look(2).run_live, 1);
    leave(1, 2, 1, 2);
    info = look(2);
    assert_int_equal(info.run_attempt, 5);
    assert_int_equal(info.run_live, 0);
}

int main(void)
{
#define TEST(f) MACHINE_TEST(f, cluster)
    const struct CMUnitTest tests[] = {
        TEST(a_start_gets_its_number_when_all_are_seated),
        TEST(a_rank_that_comes_back_begins_the_next_start),
        TEST(a_forming_start_refuses_nobody),
        TEST(a_place_is_taken_again_before_the_start_has_begun),
        TEST(a_place_is_taken_again_while_the_others_load),
        TEST(who_takes_a_place_has_its_copy_digested_anew),
        TEST(a_place_is_not_taken_again_while_nobody_knows),
        TEST(who_has_gone_keeps_nobody_from_a_seat),
        TEST(nobody_is_told_before_all_are_seated),
        TEST(a_used_number_is_refused),
        TEST(another_name_is_another_start),
        TEST(a_coordinator_that_starts_anew_knows_the_start),
        TEST(a_number_is_not_given_twice_over_a_restart),
        TEST(an_incomplete_start_ends_what_waits_for_it),
        TEST(the_fence_outlives_the_run),
        TEST(a_lost_agents_ranks_have_left),
        TEST(who_has_no_name_goes_by_its_number),
        TEST(what_is_invalid_is_refused),
        TEST(who_asks_hears_of_the_newest_start_and_who_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
