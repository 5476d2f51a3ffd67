/* SPDX-License-Identifier: Apache-2.0 */
/* What was committed converges to the copies that were asked for: absence is waited out, repair is
 * called off, what is too many is let go, and who needs room gets it. */
#include "unit/coordinator/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define NODES 4

static struct cluster cluster;

static int start(void **state)
{
    (void)state;
    cluster_start_nodes(&cluster, NODES);
    cluster_alive(&cluster, NODES, 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    return 0;
}

/* What node says of its copy of step 10 of rank 0, which n0 owns. */
static void says(uint32_t node, enum copy_state state, uint64_t order)
{
    struct message m = cluster_report(1, 10, 0, 1, state, node == 0, 10);
    m.shard_report.order = order;
    cluster_message(&cluster, node, &m);
}

/* Passes time until a message of the type goes to node; NULL: it does not. */
static const struct message *await(uint32_t node, enum message_type type, uint64_t ms,
                                   uint32_t away)
{
    const struct message *found = NULL;
    for (uint64_t passed = 0; passed < ms && found == NULL; passed += 500) {
        cluster_alive(&cluster, NODES, away);
        cluster_tick(&cluster, 500);
        found = cluster_find(&cluster, node, type);
    }
    return found;
}

static uint32_t counting_copies(void)
{
    struct coordinator_shard_view view;
    uint32_t count = 0;
    assert_true(coordinator_shard_view(cluster.c, 0, 0, &view));
    for (uint32_t i = 0; i < view.copy_count; i++) {
        count += view.copies[i].state == COPY_VERIFIED && !view.copies[i].leaving;
    }
    return count;
}

/* n1 is lost; until repair_after has passed nobody is asked to copy anything. */
static void lose_n1(void)
{
    cluster_disconnect(&cluster, 1);
    assert_null(await(2, MESSAGE_PULL_ORDER, 9000, 1u << 1));
    assert_true(cluster_checkpoint(&cluster, 10).degraded);
}

static void who_comes_back_in_time_costs_nothing(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 1); /* n0 and n1 */
    lose_n1();
    cluster_join(&cluster, 1, 2);
    says(1, COPY_ADOPTED, 0);
    assert_null(await(2, MESSAGE_PULL_ORDER, 20000, 0)); /* it is there, and being digested */
    says(1, COPY_VERIFIED, 0);
    assert_false(cluster_checkpoint(&cluster, 10).degraded);
    assert_null(await(2, MESSAGE_PULL_ORDER, 20000, 0));
}

static void who_has_come_back_empty_is_not_waited_for(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 1);
    cluster_disconnect(&cluster, 1);
    cluster_join(&cluster, 1, 9); /* another life: wiped */
    assert_null(cluster_find(&cluster, 1, MESSAGE_PULL_ORDER));
    struct message told = {.type = MESSAGE_HEARTBEAT};
    told.heartbeat.segments_free = 16;
    told.heartbeat.inventory_told = true;
    memset(&told.incarnation, 9, sizeof told.incarnation);
    struct coordinator_event event = {
        .type = COORDINATOR_MESSAGE, .now_ms = cluster.now_ms, .link = 1, .message = &told};
    assert_int_equal(coordinator_advance(cluster.c, &event, &cluster.update), CKPT_OK);
    assert_int_equal(cluster_count(&cluster, MESSAGE_PULL_ORDER), 1);
}

static void a_repair_under_way_is_called_off(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 1);
    lose_n1();
    const struct message *order = await(2, MESSAGE_PULL_ORDER, 3000, 1u << 1);
    assert_non_null(order);
    uint64_t number = order->pull_order.order;
    cluster_join(&cluster, 1, 2);
    says(1, COPY_VERIFIED, 0);
    const struct message *off = cluster_find(&cluster, 2, MESSAGE_LET_GO);
    assert_non_null(off);
    assert_int_equal(off->let_go.order, number);
    assert_int_equal(off->let_go.generation, 0);
    assert_int_equal(counting_copies(), 2);
    /* It was too late: the copy is made, and is one too many. */
    says(2, COPY_VERIFIED, number);
    off = cluster_find(&cluster, 2, MESSAGE_LET_GO);
    assert_non_null(off);
    assert_int_equal(off->let_go.generation, 10);
    assert_int_equal(counting_copies(), 2);
    assert_int_equal(cluster_records(&cluster, RECORD_HOLDERS), 0); /* where they belong they are */
}

/* Three copies, of n0, n1 and n2: repaired, on record, and then the lost one is back. Returns the
 * order by which n1 is to let its copy go. */
static uint64_t bring_back_too_late(void)
{
    cluster_save(&cluster, 1, 10, 1);
    lose_n1();
    const struct message *order = await(2, MESSAGE_PULL_ORDER, 3000, 1u << 1);
    assert_non_null(order);
    says(2, COPY_VERIFIED, order->pull_order.order);
    assert_int_equal(cluster_records(&cluster, RECORD_HOLDERS), 1);
    assert_string_equal(cluster.update.records[0].reason, "n0 n2");
    cluster_join(&cluster, 1, 2);
    says(1, COPY_VERIFIED, 0);
    const struct message *go = cluster_find(&cluster, 1, MESSAGE_LET_GO);
    assert_non_null(go);
    assert_int_equal(counting_copies(), 2);
    return go->let_go.order;
}

static void the_copy_missed_least_is_let_go(void **state)
{
    (void)state;
    uint64_t order = bring_back_too_late();
    says(1, COPY_VERIFIED, 0); /* said before the order came */
    assert_int_equal(counting_copies(), 2);
    says(1, COPY_NONE, order);
    struct coordinator_shard_view view;
    assert_true(coordinator_shard_view(cluster.c, 0, 0, &view));
    assert_int_equal(view.copy_count, 2);
    cluster_pass(&cluster, 1000, NODES, 0);
    struct message alive = {.type = MESSAGE_HEARTBEAT};
    cluster_message(&cluster, 1, &alive);
    assert_null(cluster_find(&cluster, 1, MESSAGE_LET_GO));
}

static void a_word_that_is_lost_is_said_again(void **state)
{
    (void)state;
    uint64_t order = bring_back_too_late();
    cluster_tick(&cluster, 600);
    struct message alive = {.type = MESSAGE_HEARTBEAT};
    cluster_message(&cluster, 1, &alive);
    const struct message *again = cluster_find(&cluster, 1, MESSAGE_LET_GO);
    assert_non_null(again);
    assert_int_equal(again->let_go.order, order);
}

static void a_copy_in_use_is_kept_and_asked_for_later(void **state)
{
    (void)state;
    uint64_t order = bring_back_too_late();
    says(1, COPY_VERIFIED, order);
    assert_int_equal(counting_copies(), 3 - 1); /* then another one goes: it is in use nowhere */
    const struct message *go = cluster_find(&cluster, 2, MESSAGE_LET_GO);
    assert_non_null(go);
    assert_int_equal(cluster_records(&cluster, RECORD_HOLDERS), 1);
    assert_null(cluster_find(&cluster, 0, MESSAGE_LET_GO)); /* the owner's is the last to go */
}

/* All three are, and after a while one of them is asked for again. */
static void what_is_in_use_everywhere_is_asked_for_later(void **state)
{
    (void)state;
    says(1, COPY_VERIFIED, bring_back_too_late());
    says(2, COPY_VERIFIED, cluster_find(&cluster, 2, MESSAGE_LET_GO)->let_go.order);
    says(0, COPY_VERIFIED, cluster_find(&cluster, 0, MESSAGE_LET_GO)->let_go.order);
    assert_int_equal(counting_copies(), 3);
    bool asked = false;
    for (uint32_t i = 0; i < 12 && !asked; i++) {
        cluster_pass(&cluster, 500, NODES, 0);
        asked = counting_copies() == 2;
    }
    assert_true(asked);
}

static void a_copy_called_back_counts_by_its_answer_alone(void **state)
{
    (void)state;
    bring_back_too_late();
    says(2, COPY_NONE, 0);
    const struct message *order = cluster_find(&cluster, 1, MESSAGE_VERIFY_ORDER);
    assert_non_null(order);
    uint64_t number = order->verify_order.order;
    says(1, COPY_VERIFIED, 0); /* from before it may have freed it */
    assert_true(cluster_checkpoint(&cluster, 10).degraded);
    says(1, COPY_VERIFIED, number);
    assert_false(cluster_checkpoint(&cluster, 10).degraded);
}

static struct coordinator_record consistent(const struct coordinator_record_shard *shard)
{
    struct message report = cluster_report(1, 10, 0, 1, COPY_VERIFIED, true, 10);
    return (struct coordinator_record){.type = RECORD_CONSISTENT,
                                       .epoch = 4,
                                       .run = report.shard_report.shard.run,
                                       .attempt = 1,
                                       .step = 10,
                                       .world = 1,
                                       .copies = 2,
                                       .bytes = 4096,
                                       .shards = shard};
}

static void a_new_coordinator_knows_whom_to_wait_for(void **state)
{
    (void)state;
    struct coordinator_record_shard shard = {.bytes = 4096, .node_count = 2, .nodes = {"n0", "n1"}};
    memset(&shard.digest, 10, sizeof shard.digest);
    struct coordinator_record records[] = {consistent(&shard), consistent(NULL)};
    records[1].type = RECORD_HOLDERS; /* they have moved since */
    records[1].bytes = 0;
    strcpy(records[1].reason, "n0 n3");
    cluster_stop(&cluster);
    cluster_start_with(&cluster, 2, records, 2);
    for (uint32_t node = 0; node < 3; node++) {
        cluster_join(&cluster, node, (uint8_t)(node + 1));
    }
    says(0, COPY_VERIFIED, 0);
    for (uint32_t i = 0; i < 18; i++) { /* restore_settle: n3 may be on its way */
        cluster_alive(&cluster, 3, 0);
        cluster_tick(&cluster, 500);
        assert_int_equal(cluster_count(&cluster, MESSAGE_PULL_ORDER), 0);
    }
    for (uint32_t i = 0; i < 6 && cluster_count(&cluster, MESSAGE_PULL_ORDER) == 0; i++) {
        cluster_alive(&cluster, 3, 0);
        cluster_tick(&cluster, 500);
    }
    assert_int_equal(cluster_count(&cluster, MESSAGE_PULL_ORDER), 1);
}

static void needs(uint32_t node, uint64_t step)
{
    struct message m = {.type = MESSAGE_NEED};
    m.need.shard = cluster_report(1, step, node, 1, COPY_SEALED, true, 1).shard_report.shard;
    m.need.segments = 1;
    cluster_message(&cluster, node, &m);
}

static void a_full_node_gets_what_is_older_and_never_the_newest(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 1);
    cluster_save(&cluster, 1, 20, 1); /* keep = 2: both stay */
    needs(0, 30);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 1);
    assert_int_equal(cluster.update.records[0].step, 10);
    bool loud = false;
    for (uint32_t i = 0; i < cluster.update.note_count; i++) {
        loud = loud || cluster.update.notes[i].event == EVENT_retired_early;
    }
    assert_true(loud);
    cluster_pass(&cluster, 1000, NODES, 0);
    needs(0, 30);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 0);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_CONSISTENT);
}

static void poison(uint64_t step)
{
    struct message_admin_ask ask = {.verb = ADMIN_MARK, .step = step, .mark = MARK_POISONED};
    ask.run = cluster_report(1, step, 0, 1, COPY_SEALED, true, 1).shard_report.shard.run;
    const struct coordinator_event event = {
        .type = COORDINATOR_ADMIN, .now_ms = cluster.now_ms, .admin = &ask};
    assert_int_equal(coordinator_advance(cluster.c, &event, &cluster.update), CKPT_OK);
    assert_int_equal(cluster_checkpoint(&cluster, step).state, CHECKPOINT_QUARANTINED);
}

/* Else a person's word on as many steps as fit would be the end of saving. */
static void what_a_person_poisoned_goes_when_nothing_else_is_left(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 1);
    cluster_save(&cluster, 1, 20, 1);
    poison(20);
    cluster_save(&cluster, 1, 30, 1); /* keep = 2: 10 and 30, and 20 between them */
    needs(0, 40);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 1);
    assert_int_equal(cluster.update.records[0].step, 10);
    cluster_pass(&cluster, 1000, NODES, 0);
    needs(0, 40);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 1);
    assert_int_equal(cluster.update.records[0].step, 20);
    cluster_pass(&cluster, 1000, NODES, 0);
    poison(30); /* the only one: nothing is left that a save could wait for */
    needs(0, 40);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 1);
    assert_int_equal(cluster.update.records[0].step, 30);
}

static void a_pull_that_finds_no_room_makes_some(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 1); /* n0 and n1 */
    cluster_save(&cluster, 1, 20, 1);
    struct message m = cluster_report(1, 30, 0, 1, COPY_SEALED, true, 30);
    cluster_message(&cluster, 0, &m);
    const struct message *order = cluster_find(&cluster, 1, MESSAGE_PULL_ORDER);
    assert_non_null(order);
    struct message failed = {.type = MESSAGE_PULL_FAILED};
    failed.pull_failed.order = order->pull_order.order;
    failed.pull_failed.shard = order->pull_order.shard;
    failed.pull_failed.status = CKPT_ERR_FULL;
    cluster_message(&cluster, 1, &failed);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 1);
    assert_int_equal(cluster.update.records[0].step, 10);
}

/* Returns how many pulls were ordered. */
static uint32_t all_have_free(uint32_t segments)
{
    uint32_t ordered = 0;
    struct message beat = {.type = MESSAGE_HEARTBEAT};
    beat.heartbeat.segments_free = segments;
    beat.heartbeat.inventory_told = true;
    for (uint32_t node = 0; node < NODES; node++) {
        cluster_message(&cluster, node, &beat);
        ordered += cluster_count(&cluster, MESSAGE_PULL_ORDER);
    }
    cluster_tick(&cluster, 500);
    return ordered + cluster_count(&cluster, MESSAGE_PULL_ORDER);
}

static void seals(uint64_t step, uint32_t rank)
{
    struct message m = cluster_report(1, step, rank, 2, COPY_SEALED, true, (uint8_t)(step + rank));
    cluster_message(&cluster, rank, &m);
}

/* Else each waits for the memory of the other until save_timeout, and so do those after them. */
static void of_two_saves_that_wait_for_room_the_first_gets_it(void **state)
{
    (void)state;
    (void)all_have_free(0);
    seals(10, 0);
    seals(20, 0);
    seals(20, 1);
    (void)all_have_free(0);
    seals(30, 0);
    (void)all_have_free(0); /* not all ranks have sealed 10: it may never be whole */
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_ABORTED);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_VERIFYING);
    seals(30, 1);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(all_have_free(0), 0);
    }
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_VERIFYING);
    assert_int_equal(cluster_checkpoint(&cluster, 30).state, CHECKPOINT_ABORTED);
    assert_int_equal(all_have_free(1), 2);
}

static void have_free(uint32_t node, uint32_t segments)
{
    struct message beat = {.type = MESSAGE_HEARTBEAT};
    beat.heartbeat.segments_free = segments;
    beat.heartbeat.inventory_told = true;
    cluster_message(&cluster, node, &beat);
}

/* All else on a node may be newest checkpoints' copies, from when others were away; those never
 * go, so without this its ranks could not save any more beside nodes that are empty. */
static void copies_that_came_together_on_a_full_node_move(void **state)
{
    (void)state;
    cluster_save(&cluster, 1, 10, 1); /* n0 and n1 */
    uint64_t order = 0;
    for (uint32_t i = 0; i < 30 && order == 0; i++) {
        for (uint32_t node = 0; node < NODES; node++) {
            have_free(node, node == 1 ? 0 : 8);
        }
        cluster_tick(&cluster, 500);
        needs(1, 20);
        for (uint32_t node = 2; node < NODES && order == 0; node++) {
            const struct message *pull = cluster_find(&cluster, node, MESSAGE_PULL_ORDER);
            order = pull != NULL ? pull->pull_order.order : 0;
            assert_true(order == 0 || i >= 18); /* repair_after */
            if (order != 0) {
                says(node, COPY_VERIFIED, order);
            }
        }
    }
    assert_int_not_equal(order, 0);
    assert_non_null(cluster_find(&cluster, 1, MESSAGE_LET_GO));
    assert_int_equal(counting_copies(), 2);
}

static void opening_reserves_the_places_of_all_ranks(void **state)
{
    (void)state;
    struct message m = cluster_report(1, 10, 0, 40, COPY_SEALED, true, 1); /* of 64 places */
    cluster_message(&cluster, 0, &m);
    assert_true(cluster_find(&cluster, 0, MESSAGE_SHARD_ACK)->shard_ack.keep);
    struct message other = cluster_report(1, 10, 0, 40, COPY_SEALED, true, 1);
    other.shard_report.shard.run.uid = 2000;
    cluster_message(&cluster, 1, &other);
    const struct message *ack = cluster_find(&cluster, 1, MESSAGE_SHARD_ACK);
    assert_false(ack->shard_ack.keep);
    assert_int_equal(ack->shard_ack.status, CKPT_ERR_FULL);
    for (uint32_t rank = 1; rank < 40; rank++) { /* the first has all of its places */
        m = cluster_report(1, 10, rank, 40, COPY_SEALED, true, 1);
        cluster_message(&cluster, rank % NODES, &m);
        assert_true(cluster_find(&cluster, rank % NODES, MESSAGE_SHARD_ACK)->shard_ack.keep);
    }
}

static void what_a_rank_has_passed_by_ends(void **state)
{
    (void)state;
    struct message m = cluster_report(1, 10, 0, 2, COPY_SEALED, true, 1);
    cluster_message(&cluster, 0, &m);
    m = cluster_report(1, 20, 0, 2, COPY_SEALED, true, 1);
    cluster_message(&cluster, 0, &m); /* the same rank: step 10 has it, and waits for rank 1 */
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_OPEN);
    m = cluster_report(1, 20, 1, 2, COPY_SEALED, true, 2);
    cluster_message(&cluster, 1, &m);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_ABORTED);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_VERIFYING);
}

int main(void)
{
#define OF_CLUSTER(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        OF_CLUSTER(who_comes_back_in_time_costs_nothing),
        OF_CLUSTER(who_has_come_back_empty_is_not_waited_for),
        OF_CLUSTER(a_repair_under_way_is_called_off),
        OF_CLUSTER(the_copy_missed_least_is_let_go),
        OF_CLUSTER(a_word_that_is_lost_is_said_again),
        OF_CLUSTER(a_copy_in_use_is_kept_and_asked_for_later),
        OF_CLUSTER(what_is_in_use_everywhere_is_asked_for_later),
        OF_CLUSTER(a_copy_called_back_counts_by_its_answer_alone),
        OF_CLUSTER(a_new_coordinator_knows_whom_to_wait_for),
        OF_CLUSTER(a_full_node_gets_what_is_older_and_never_the_newest),
        OF_CLUSTER(what_a_person_poisoned_goes_when_nothing_else_is_left),
        OF_CLUSTER(a_pull_that_finds_no_room_makes_some),
        OF_CLUSTER(of_two_saves_that_wait_for_room_the_first_gets_it),
        OF_CLUSTER(copies_that_came_together_on_a_full_node_move),
        OF_CLUSTER(opening_reserves_the_places_of_all_ranks),
        OF_CLUSTER(what_a_rank_has_passed_by_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
