/* SPDX-License-Identifier: Apache-2.0 */
/* A save from end to end through messages;
 * and the same with the coordinator dying at every place. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "integration/ckptctld/cluster.h"

static void join_both(struct cluster *cluster, struct agent_player players[2], uint8_t life)
{
    player_join(&players[0], cluster, 0, life);
    player_join(&players[1], cluster, 1, life);
}

static void leave_both(struct agent_player players[2])
{
    player_leave(&players[0]);
    player_leave(&players[1]);
}

static void expect_consistent(struct agent_player *player, uint64_t step)
{
    struct message_checkpoint_info info = player_ask(player, step);
    assert_int_equal(info.status, CKPT_OK);
    assert_int_equal(info.state, CHECKPOINT_CONSISTENT);
    assert_int_equal(info.world, 2);
    assert_int_equal(info.copies, 2);
    assert_int_equal(info.bytes, 2000001);
    if (step != CKPT_STEP_LATEST) {
        assert_int_equal(info.step, step);
    }
}

static void a_save_becomes_consistent(void **state)
{
    struct cluster *cluster = *state;
    struct agent_player players[2];
    cluster_start(cluster, NULL, NULL);
    join_both(cluster, players, 1);
    assert_int_equal(player_ask(&players[0], CKPT_STEP_LATEST).status, CKPT_ERR_NO_CHECKPOINT);
    assert_true(players_save(players, 100, NULL));
    expect_consistent(&players[0], 100);
    expect_consistent(&players[1], CKPT_STEP_LATEST);
    assert_true(process_logged(&cluster->coordinator, "event=commit"));
    leave_both(players);
    cluster_stop(cluster);
}

static void what_is_consistent_outlives_a_kill(void **state)
{
    struct cluster *cluster = *state;
    struct agent_player players[2];
    cluster_start(cluster, NULL, NULL);
    join_both(cluster, players, 1);
    for (uint64_t step = 100; step <= 500; step += 100) {
        assert_true(players_save(players, step, NULL));
    }
    uint64_t epoch = players[0].peer.epoch;
    process_signal(&cluster->coordinator, SIGKILL);
    assert_int_equal(process_wait(&cluster->coordinator), 128 + SIGKILL);
    leave_both(players);
    cluster_start(cluster, NULL, NULL);
    join_both(cluster, players, 1);
    assert_true(players[0].peer.epoch > epoch);
    expect_consistent(&players[0], CKPT_STEP_LATEST);
    expect_consistent(&players[0], 500);
    expect_consistent(&players[0], 400);
    assert_int_equal(player_ask(&players[0], 300).status, CKPT_ERR_NOT_FOUND);
    assert_true(players_save(players, 600, NULL));
    leave_both(players);
    cluster_stop(cluster);
}

static void a_silent_agent_is_lost(void **state)
{
    struct cluster *cluster = *state;
    struct agent_player players[2];
    cluster_start(cluster, NULL, NULL);
    join_both(cluster, players, 1);
    assert_true(players_save(players, 100, NULL));
    uint64_t epoch = players[0].peer.epoch;
    player_leave(&players[1]);
    process_await(&cluster->coordinator, "event=agent_lost", 0, NULL, 0);
    struct message heartbeat = {.type = MESSAGE_HEARTBEAT};
    assert_true(peer_send(&players[0].peer, &heartbeat));
    assert_non_null(peer_await(&players[0].peer, MESSAGE_LEASE));
    assert_true(players[0].peer.epoch > epoch);
    player_leave(&players[0]);
    cluster_stop(cluster);
}

#if CKPT_FAULT_POINTS
#define SAVES 3

/* Saves until the armed coordinator dies, or SAVES times; *told_out is the last step of which
 * anybody was told that it is consistent: that must hold whatever happens. */
static bool save_until_death(struct cluster *cluster, uint64_t *told_out)
{
    struct agent_player players[2];
    bool alive = true;
    *told_out = 0;
    join_both(cluster, players, 1);
    for (uint64_t step = 1; step <= SAVES && alive; step++) {
        bool told;
        alive = players_save(players, step, &told);
        *told_out = told ? step : *told_out;
    }
    leave_both(players);
    return alive;
}

/* What was told holds in the next life, and a save works there. */
static void expect_kept(struct cluster *cluster, uint64_t told)
{
    struct agent_player players[2];
    cluster_start(cluster, NULL, NULL);
    join_both(cluster, players, 1);
    if (told > 0) {
        struct message_checkpoint_info info = player_ask(&players[0], CKPT_STEP_LATEST);
        assert_int_equal(info.status, CKPT_OK);
        assert_true(info.step >= told);
    }
    assert_true(players_save(players, 10, NULL));
    leave_both(players);
    cluster_stop(cluster);
}

/* Whether an armed coordinator became ready; it may die before. */
static bool became_ready(struct cluster *cluster)
{
    char line[1024];
    siginfo_t ended = {.si_pid = 0};
    while (!process_logged(&cluster->coordinator, "event=ready")) {
        waitid(P_PID, (id_t)cluster->coordinator.pid, &ended, WEXITED | WNOHANG | WNOWAIT);
        if (ended.si_pid != 0) {
            return false;
        }
    }
    process_await(&cluster->coordinator, "event=ready", 0, line, sizeof(line));
    assert_int_equal(sscanf(strstr(line, "address="), "address=%127s", cluster->address), 1);
    return true;
}

/* One life with the fault armed, and one after it. Whether the first one died. */
static bool dies_and_keeps(const char *fault)
{
    void *made;
    uint64_t told = 0;
    assert_int_equal(cluster_make(&made), 0);
    struct cluster *cluster = made;
    cluster_launch(cluster, NULL, fault);
    bool survived = became_ready(cluster) && save_until_death(cluster, &told);
    if (survived) {
        process_kill(&cluster->coordinator);
    } else {
        assert_int_equal(process_wait(&cluster->coordinator), 128 + SIGKILL);
    }
    expect_kept(cluster, told);
    cluster_clear(&made);
    return !survived;
}

/* Crashes at the n-th pass of a point, for n = 1 and up, until a whole life passes without. */
static void walk(const char *point)
{
    for (int pass = 1; pass < 60; pass++) {
        char fault[128];
        snprintf(fault, sizeof(fault), "%s=crash@%d", point, pass);
        if (!dies_and_keeps(fault)) {
            assert_true(pass > 1);
            return;
        }
    }
    fail_msg("%s: dies for ever", point);
}

static void it_may_die_before_a_transaction(void **state)
{
    (void)state;
    walk("coordinator_before_transaction");
}

static void it_may_die_inside_a_transaction(void **state)
{
    (void)state;
    walk("coordinator_in_transaction");
}

static void it_may_die_after_a_transaction(void **state)
{
    (void)state;
    walk("coordinator_after_transaction");
}

static void it_may_die_after_the_replay(void **state)
{
    (void)state;
    walk("coordinator_after_replay");
}

/* There are many messages: some of the passes, behind the two that say welcome. */
static void it_may_die_between_messages(void **state)
{
    (void)state;
    int deaths = 0;
    for (int pass = 3; pass <= 33; pass += 3) {
        char fault[128];
        snprintf(fault, sizeof(fault), "coordinator_between_messages=crash@%d", pass);
        deaths += dies_and_keeps(fault);
    }
    assert_true(deaths >= 5);
}

/* Where the store fails nothing is promised: no message of that turn goes out, and the process
 * ends. */
static void a_failed_store_ends_it(void **state)
{
    struct cluster *cluster = *state;
    struct agent_player players[2];
    cluster_start(cluster, NULL, "coordinator_in_transaction=error@3");
    join_both(cluster, players, 1);
    bool told;
    assert_false(players_save(players, 100, &told));
    assert_false(told);
    assert_int_equal(process_wait(&cluster->coordinator), 1); /* which is started again */
    assert_true(process_logged(&cluster->coordinator, "event=store_failed"));
    leave_both(players);
    cluster_start(cluster, NULL, NULL);
    join_both(cluster, players, 1);
    assert_int_equal(player_ask(&players[0], CKPT_STEP_LATEST).status, CKPT_ERR_NO_CHECKPOINT);
    leave_both(players);
    cluster_stop(cluster);
}
#endif

int main(void)
{
#define WITH_CLUSTER(test) cmocka_unit_test_setup_teardown(test, cluster_make, cluster_clear)
    const struct CMUnitTest tests[] = {
        WITH_CLUSTER(a_save_becomes_consistent),
        WITH_CLUSTER(what_is_consistent_outlives_a_kill),
        WITH_CLUSTER(a_silent_agent_is_lost),
#if CKPT_FAULT_POINTS
        cmocka_unit_test(it_may_die_before_a_transaction),
        cmocka_unit_test(it_may_die_inside_a_transaction),
        cmocka_unit_test(it_may_die_after_a_transaction),
        cmocka_unit_test(it_may_die_after_the_replay),
        cmocka_unit_test(it_may_die_between_messages),
        WITH_CLUSTER(a_failed_store_ends_it),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
