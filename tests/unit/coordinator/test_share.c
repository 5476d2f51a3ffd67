/* SPDX-License-Identifier: Apache-2.0 */
/* What one user may have of the tables, and what nobody uses any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/share.h"
#include "unit/coordinator/cluster.h"

#define GREEDY 1000
#define OTHER 1001
#define WEEK_MS (UINT64_C(7) * 24 * 3600 * 1000)

static struct cluster cluster;
static const struct coordinator_record_shard some_shard = {.bytes = 4096};

static struct coordinator_record consistent(uint32_t uid, const char *run, uint64_t step)
{
    struct coordinator_record record = {.type = RECORD_CONSISTENT,
                                        .epoch = 1,
                                        .run = {.uid = uid},
                                        .attempt = 1,
                                        .step = step,
                                        .world = 1,
                                        .copies = 1,
                                        .bytes = 4096,
                                        .shards = &some_shard};
    snprintf(record.run.name, sizeof(record.run.name), "%s", run);
    return record;
}

/* An owner's first word of a save. What the coordinator answered. */
static enum ckpt_status save(uint32_t uid, const char *run, uint64_t step, uint32_t world)
{
    struct message m = cluster_report(1, step, 0, world, COPY_SEALED, true, 7);
    m.shard_report.shard.run.uid = uid;
    snprintf(m.shard_report.shard.run.name, sizeof(m.shard_report.shard.run.name), "%s", run);
    cluster_message(&cluster, 0, &m);
    const struct message *ack = cluster_find(&cluster, 0, MESSAGE_SHARD_ACK);
    assert_non_null(ack);
    return ack->shard_ack.status;
}

static void load(uint32_t uid, const char *run)
{
    struct message m = {.type = MESSAGE_LOAD_ASK};
    m.load_ask = (struct message_load_ask){.run = {.uid = uid},
                                           .attempt = 1,
                                           .world = 1,
                                           .step = CKPT_STEP_LATEST,
                                           .collective = true,
                                           .start = cluster_start_name(1),
                                           .seat = cluster_seat_name(1, 0),
                                           .load = 1};
    snprintf(m.load_ask.run.name, sizeof(m.load_ask.run.name), "%s", run);
    cluster_message(&cluster, 0, &m);
}

static uint32_t runs_of(uint32_t uid)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < coordinator_run_count(cluster.c); i++) {
        struct coordinator_run_view run;
        count += coordinator_run_view(cluster.c, i, &run) && run.key.uid == uid;
    }
    return count;
}

static void a_share_leaves_room_for_one_more(void **state)
{
    (void)state;
    assert_true(share_allows(100, 0, 0, 75, 75));
    assert_false(share_allows(100, 0, 0, 76, 75));
    assert_false(share_allows(100, 75, 75, 1, 75));
    assert_true(share_allows(100, 75, 0, 13, 75));
    assert_false(share_allows(100, 75, 0, 14, 75));
    assert_true(share_allows(1, 0, 0, 1, 75));
    assert_false(share_allows(1, 1, 0, 1, 75));
    assert_true(share_allows(UINT64_MAX / 200, 0, 0, 1, 100));
    assert_false(share_allows(10, 0, 0, UINT64_MAX, 75));
    uint64_t used = 75; /* one greedy user after the other */
    for (uint32_t user = 0; user < 4; user++) {
        uint64_t mine = 0;
        while (share_allows(100, used, mine, 1, 75)) {
            mine++;
            used++;
        }
        assert_true(mine > 0 && used < 100);
    }
}

/* runs_max is 4: three of them one user may have. */
static void a_user_with_many_runs_leaves_one_for_others(void **state)
{
    (void)state;
    struct coordinator_record records[3] = {consistent(GREEDY, "a", 1), consistent(GREEDY, "b", 1),
                                            consistent(GREEDY, "c", 1)};
    cluster_start_with(&cluster, 2, records, 3);
    cluster_join(&cluster, 0, 1);
    assert_int_equal(save(GREEDY, "d", 1, 1), CKPT_ERR_FULL);
    assert_int_equal(save(OTHER, "mine", 1, 1), CKPT_OK);
    assert_int_equal(save(GREEDY, "a", 2, 1), CKPT_OK);
    assert_int_equal(save(0, "roots", 1, 1), CKPT_ERR_FULL); /* there is no room for anybody */
    assert_int_equal(runs_of(GREEDY), 3);
    cluster_stop(&cluster);
}

/* However many users come, one run each: runs_max is 16, and one of them is root's. */
static void no_number_of_users_keeps_root_out(void **state)
{
    (void)state;
    struct coordinator_config config;
    cluster_config(&config, 2);
    config.runs_max = 16;
    config.checkpoints_max = 100;
    config.shards_max = 100;
    cluster_start_config(&cluster, config, NULL, 0);
    cluster_join(&cluster, 0, 1);
    for (uint32_t user = 0; user < 15; user++) {
        assert_int_equal(save(GREEDY + user, "a", 1, 1), CKPT_OK);
    }
    assert_int_equal(save(GREEDY + 15, "a", 1, 1), CKPT_ERR_FULL);
    assert_int_equal(save(0, "roots", 1, 1), CKPT_OK);
    cluster_stop(&cluster);
}

/* checkpoints_max is 8: 6 of them one user may have. What is below the newest goes: his own first,
 * then his who has more. */
static void who_finds_no_place_gets_what_is_older(void **state)
{
    (void)state;
    struct coordinator_record records[6] = {consistent(GREEDY, "a", 1), consistent(GREEDY, "a", 2),
                                            consistent(GREEDY, "b", 1), consistent(GREEDY, "b", 2),
                                            consistent(OTHER, "c", 1),  consistent(OTHER, "c", 2)};
    struct coordinator_config config;
    cluster_config(&config, 2);
    config.runs_max = 100;
    config.checkpoints_max = 8;
    config.shards_max = 100;
    cluster_start_config(&cluster, config, records, 6);
    cluster_join(&cluster, 0, 1);
    assert_int_equal(save(OTHER, "c", 3, 1), CKPT_OK);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 1);
    assert_string_equal(cluster.update.records[0].run.name, "c");
    assert_int_equal(save(GREEDY, "a", 3, 1), CKPT_OK);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 1);
    assert_string_equal(cluster.update.records[0].run.name, "a");
    assert_int_equal(cluster.update.records[0].step, 1);
    assert_int_equal(save(OTHER + 1, "d", 1, 1), CKPT_OK); /* 7 of 8 */
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 0);
    assert_int_equal(save(0, "roots", 1, 1), CKPT_OK);
    assert_int_equal(save(OTHER + 2, "e", 1, 1), CKPT_OK);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 1);
    assert_string_equal(cluster.update.records[0].run.name, "b");
    assert_int_equal(cluster.update.records[0].step, 1);
    cluster_stop(&cluster);
}

/* Names alone, without a checkpoint, push out only his own. */
static void a_user_with_many_names_pushes_out_his_own(void **state)
{
    (void)state;
    cluster_start(&cluster, 2);
    cluster_join(&cluster, 0, 1);
    load(OTHER, "mine");
    for (uint32_t i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof(name), "name%u", i);
        load(GREEDY, name);
        cluster_tick(&cluster, 10);
    }
    assert_int_equal(runs_of(OTHER), 1);
    assert_int_equal(runs_of(GREEDY), 2);
    cluster_stop(&cluster);
}

/* A start takes what the records hold, whatever the shares are by now. */
static void records_are_under_no_share(void **state)
{
    (void)state;
    struct coordinator_record records[4] = {consistent(GREEDY, "a", 1), consistent(GREEDY, "b", 1),
                                            consistent(GREEDY, "c", 1), consistent(GREEDY, "d", 1)};
    cluster_start_with(&cluster, 2, records, 4);
    assert_int_equal(runs_of(GREEDY), 4);
    cluster_stop(&cluster);
}

/* shards_max is 64: 48 of them one user may have, and half of the rest who comes then. */
static void a_user_with_many_shards_leaves_some_for_others(void **state)
{
    (void)state;
    cluster_start(&cluster, 2);
    cluster_join(&cluster, 0, 1);
    for (uint64_t step = 1; step <= 3; step++) {
        assert_int_equal(save(GREEDY, "a", step, 16), CKPT_OK);
    }
    assert_int_equal(save(GREEDY, "a", 4, 16), CKPT_ERR_FULL);
    assert_int_equal(save(OTHER, "mine", 1, 9), CKPT_ERR_FULL);
    assert_int_equal(save(OTHER, "mine", 1, 8), CKPT_OK);
    cluster_stop(&cluster);
}

/* A node has 16 segments: what many runs of one user hold takes 12 of them and no more. */
static void a_user_with_many_runs_leaves_room_on_a_node(void **state)
{
    (void)state;
    struct coordinator_config config;
    cluster_config(&config, 2);
    config.runs_max = 100;
    config.checkpoints_max = 100;
    config.shards_max = 100;
    cluster_start_config(&cluster, config, NULL, 0);
    cluster_join(&cluster, 0, 1);
    char name[16];
    for (uint32_t i = 0; i < 12; i++) {
        snprintf(name, sizeof(name), "run%u", i);
        assert_int_equal(save(GREEDY, name, 1, 1), CKPT_OK);
    }
    assert_int_equal(save(GREEDY, "one-more", 1, 1), CKPT_ERR_FULL);
    assert_int_equal(save(GREEDY, "run0", 2, 1), CKPT_OK);
    assert_int_equal(save(OTHER, "mine", 1, 1), CKPT_OK);
    assert_int_equal(save(0, "roots", 1, 1), CKPT_OK);
    cluster_stop(&cluster);
}

static struct coordinator_record old[3];

static void start_with_old_checkpoints(bool last)
{
    struct coordinator_config config;
    cluster_config(&config, 3);
    config.expire_last = last;
    old[0] = consistent(GREEDY, "a", 10);
    old[1] = consistent(GREEDY, "a", 20);
    old[2] = consistent(OTHER, "b", 10);
    cluster_start_config(&cluster, config, old, 3);
}

static bool is_noted(enum event_id event)
{
    for (uint32_t i = 0; i < cluster.update.note_count; i++) {
        if (cluster.update.notes[i].event == event) {
            return true;
        }
    }
    return false;
}

static void what_nobody_uses_expires_but_for_the_newest(void **state)
{
    (void)state;
    start_with_old_checkpoints(false);
    cluster_tick(&cluster, WEEK_MS - 1000);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 0);
    cluster_tick(&cluster, 1000);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 1);
    assert_int_equal(cluster.update.records[0].step, 10);
    assert_true(is_noted(EVENT_run_expired));
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_CONSISTENT);
    cluster_tick(&cluster, WEEK_MS);
    assert_int_equal(cluster.update.record_count, 0);
    assert_false(is_noted(EVENT_run_expired));
    cluster_stop(&cluster);
}

static void the_newest_expires_where_the_site_says_so(void **state)
{
    (void)state;
    start_with_old_checkpoints(true);
    cluster_tick(&cluster, WEEK_MS);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 3);
    assert_int_equal(coordinator_checkpoint_count(cluster.c) > 0 &&
                         cluster_checkpoint(&cluster, 20).state == CHECKPOINT_CONSISTENT,
                     0);
    cluster_stop(&cluster);
}

/* A load, a read or a save puts it off for the whole time. */
static void what_is_used_does_not_expire(void **state)
{
    (void)state;
    start_with_old_checkpoints(true);
    cluster_join(&cluster, 0, 1);
    cluster_tick(&cluster, WEEK_MS - 2000);
    cluster_join(&cluster, 0, 1);
    load(GREEDY, "a");
    cluster_tick(&cluster, WEEK_MS - 2000);
    cluster_join(&cluster, 0, 1);
    struct message m = {.type = MESSAGE_LOAD_ASK};
    m.load_ask = (struct message_load_ask){
        .run = {.uid = GREEDY, .name = "a"}, .step = CKPT_STEP_LATEST, .load = 1, .reader = 1};
    cluster_message(&cluster, 0, &m);
    cluster_tick(&cluster, WEEK_MS - 2000);
    assert_int_equal(cluster_checkpoint(&cluster, 20).state, CHECKPOINT_CONSISTENT);
    cluster_tick(&cluster, 2000);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 2);
    cluster_stop(&cluster);
}

/* As long as a rank is connected, its run is no forgotten one. */
static void a_run_with_ranks_does_not_expire(void **state)
{
    (void)state;
    struct coordinator_config config;
    struct coordinator_record record = consistent(GREEDY, "run", 10);
    cluster_config(&config, 3);
    config.expire_ms = 5000;
    config.expire_last = true;
    cluster_start_config(&cluster, config, &record, 1);
    cluster_join(&cluster, 0, 1);
    cluster_seat(&cluster, 2, 1);
    cluster_pass(&cluster, 20000, 1, 0);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
    cluster_disconnect(&cluster, 0);
    cluster_tick(&cluster, 4000);
    cluster_tick(&cluster, 5000);
    assert_int_equal(cluster_records(&cluster, RECORD_RETIRED), 1);
    cluster_stop(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_share_leaves_room_for_one_more),
        cmocka_unit_test(a_user_with_many_runs_leaves_one_for_others),
        cmocka_unit_test(no_number_of_users_keeps_root_out),
        cmocka_unit_test(who_finds_no_place_gets_what_is_older),
        cmocka_unit_test(a_user_with_many_names_pushes_out_his_own),
        cmocka_unit_test(records_are_under_no_share),
        cmocka_unit_test(a_user_with_many_shards_leaves_some_for_others),
        cmocka_unit_test(a_user_with_many_runs_leaves_room_on_a_node),
        cmocka_unit_test(what_nobody_uses_expires_but_for_the_newest),
        cmocka_unit_test(the_newest_expires_where_the_site_says_so),
        cmocka_unit_test(what_is_used_does_not_expire),
        cmocka_unit_test(a_run_with_ranks_does_not_expire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
