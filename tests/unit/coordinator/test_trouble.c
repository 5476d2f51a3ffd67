/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps saves from becoming consistent is in a table while it lasts, and noted rarely. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "unit/coordinator/cluster.h"

#define MINUTE_MS 60000

static struct cluster cluster;

static uint32_t count_notes(enum event_id event)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < cluster.update.note_count; i++) {
        count += cluster.update.notes[i].event == event;
    }
    return count;
}

/* The only trouble of its kind; false: there is none. */
static bool find(enum coordinator_trouble kind, struct coordinator_trouble_view *view_out)
{
    struct coordinator_trouble_view view;
    uint32_t found = 0;
    for (uint32_t i = 0; i < coordinator_trouble_count(cluster.c); i++) {
        if (coordinator_trouble_view(cluster.c, i, &view) && view.kind == kind) {
            *view_out = view;
            found++;
        }
    }
    assert_true(found <= 1);
    return found == 1;
}

static void heartbeat(uint32_t node, uint64_t refusals, enum ckpt_status status, uint64_t ms_ago)
{
    struct message m = {.type = MESSAGE_HEARTBEAT};
    m.heartbeat.segments_free = 16;
    m.heartbeat.inventory_told = true;
    m.heartbeat.refusals = refusals;
    m.heartbeat.refused_status = status;
    m.heartbeat.refused_ms_ago = ms_ago;
    m.heartbeat.refused_run = (struct run_key){.uid = 7, .name = "llama"};
    snprintf(m.heartbeat.refused_reason, sizeof m.heartbeat.refused_reason, "no room");
    cluster_message(&cluster, node, &m);
}

static void an_agent_that_refuses_is_noted_once_and_kept(void **state)
{
    (void)state;
    struct coordinator_trouble_view view;
    struct coordinator_member_view member;
    cluster_start(&cluster, 2);
    cluster_join(&cluster, 0, 1);
    heartbeat(0, 0, CKPT_OK, 0);
    assert_false(find(TROUBLE_AGENT, &view));
    heartbeat(0, 1, CKPT_ERR_FULL, 40);
    assert_int_equal(count_notes(EVENT_agent_refuses), 1);
    assert_non_null(strstr(cluster.update.notes[0].text, "CKPT_ERR_FULL: no room; 1 refusals"));
    for (uint64_t refusals = 2; refusals <= 20; refusals++) {
        cluster.now_ms += 1000;
        heartbeat(0, refusals, CKPT_ERR_FULL, 0);
        assert_int_equal(count_notes(EVENT_agent_refuses), 0);
        heartbeat(0, refusals, CKPT_OK, 0); /* nothing new */
    }
    assert_true(find(TROUBLE_AGENT, &view));
    assert_string_equal(view.node, "n0");
    assert_string_equal(view.run->name, "llama");
    assert_int_equal(view.since_ms_ago, 19000);
    assert_true(coordinator_member_view(cluster.c, 0, &member));
    assert_int_equal(member.refusals, 20);
    assert_int_equal(member.refused_status, CKPT_ERR_FULL);
    /* It is still shown when nobody saves for a while, and not for ever. */
    cluster_tick(&cluster, 30 * MINUTE_MS);
    assert_true(find(TROUBLE_AGENT, &view));
    assert_int_equal(view.last_ms_ago, 30 * MINUTE_MS);
    cluster_tick(&cluster, 30 * MINUTE_MS);
    assert_false(find(TROUBLE_AGENT, &view));
    cluster_stop(&cluster);
}

static void what_an_agent_refused_long_ago_is_no_news(void **state)
{
    (void)state;
    struct coordinator_trouble_view view;
    struct coordinator_member_view member;
    cluster_start(&cluster, 2);
    cluster_tick(&cluster, 100 * MINUTE_MS);
    cluster_join(&cluster, 0, 1);
    heartbeat(0, 9, CKPT_ERR_FULL, 5 * MINUTE_MS);
    assert_false(find(TROUBLE_AGENT, &view));
    assert_true(coordinator_member_view(cluster.c, 0, &member));
    assert_int_equal(member.refusals, 9);
    assert_int_equal(member.refused_ms_ago, 5 * MINUTE_MS);
    cluster_stop(&cluster);
}

static void join_as(uint32_t link, const char *node)
{
    struct message m = {.type = MESSAGE_JOIN};
    m.join.protocol = WIRE_PROTOCOL_VERSION + 1;
    snprintf(m.join.node, sizeof m.join.node, "%s", node);
    cluster_message(&cluster, link, &m);
}

static void who_may_not_join_is_named_until_it_may(void **state)
{
    (void)state;
    struct coordinator_trouble_view view;
    cluster_start(&cluster, 2);
    uint32_t notes = 0;
    for (int i = 0; i < 100; i++) {
        cluster.now_ms += 500;
        join_as(3, "n3");
        notes += count_notes(EVENT_join_denied);
        assert_true(cluster_find(&cluster, 3, MESSAGE_WELCOME)->welcome.status != CKPT_OK);
    }
    assert_int_equal(notes, 1);
    assert_true(find(TROUBLE_JOIN, &view));
    assert_string_equal(view.node, "n3");
    assert_int_equal(view.count, 100);
    cluster_join(&cluster, 3, 1);
    assert_false(find(TROUBLE_JOIN, &view));
    cluster_stop(&cluster);
}

/* A table of bounded size, and a log that a crowd cannot fill. */
static void a_thousand_nodes_that_may_not_join(void **state)
{
    (void)state;
    struct coordinator_trouble_view view;
    uint32_t notes = 0;
    uint32_t shown = 0;
    char name[16];
    cluster_start(&cluster, 2);
    for (int round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < 1000; i++) {
            cluster.now_ms += 2;
            snprintf(name, sizeof name, "x%u", i);
            join_as(i, name);
            notes += count_notes(EVENT_join_denied);
        }
    }
    for (uint32_t i = 0; i < coordinator_trouble_count(cluster.c); i++) {
        shown += coordinator_trouble_view(cluster.c, i, &view);
    }
    assert_int_equal(notes, coordinator_trouble_count(cluster.c));
    assert_int_equal(shown, coordinator_trouble_count(cluster.c));
    cluster_stop(&cluster);
}

/* Both nodes are of one domain: two copies cannot be. The agents are told too, of a state that
 * changes nothing there. */
static void a_save_that_waits_says_for_what_until_it_is_consistent(void **state)
{
    (void)state;
    struct coordinator_trouble_view view;
    uint32_t notes = 0;
    uint32_t told = 0;
    cluster_start(&cluster, 2);
    cluster_join_domain(&cluster, 0, 1, 5);
    cluster_join_domain(&cluster, 1, 2, 5);
    struct message m = cluster_report(1, 10, 0, 1, COPY_SEALED, true, 7);
    cluster_message(&cluster, 0, &m);
    for (int i = 0; i < 16; i++) {
        cluster_pass(&cluster, 500, 2, 0);
        notes += count_notes(EVENT_save_waits);
        told += cluster_count(&cluster, MESSAGE_CHECKPOINT_STATE);
        assert_true(i < 3 || find(TROUBLE_SAVE, &view));
    }
    assert_int_equal(notes, 1);
    assert_int_equal(told, 1);
    assert_int_equal(view.step, 10);
    assert_non_null(strstr(view.text, "1 of 1 ranks sealed"));
    assert_non_null(strstr(view.text, "failure domains"));
    cluster_stop(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agent_that_refuses_is_noted_once_and_kept),
        cmocka_unit_test(what_an_agent_refused_long_ago_is_no_news),
        cmocka_unit_test(who_may_not_join_is_named_until_it_may),
        cmocka_unit_test(a_thousand_nodes_that_may_not_join),
        cmocka_unit_test(a_save_that_waits_says_for_what_until_it_is_consistent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
