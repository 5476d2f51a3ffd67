/* SPDX-License-Identifier: Apache-2.0 */
/* Who may join, who is lost, and whose word counts. */
#include "unit/coordinator/cluster.h"

#include <stdio.h>

CLUSTER_OF(2)

static struct message join_of(uint32_t node)
{
    struct message m = {.type = MESSAGE_JOIN};
    m.join.protocol = WIRE_PROTOCOL_VERSION;
    snprintf(m.join.node, sizeof m.join.node, "n%u", node);
    snprintf(m.join.domain, sizeof m.join.domain, "d%u", node);
    snprintf(m.join.address, sizeof m.join.address, "127.0.0.1:%u", 7000 + node);
    m.join.cluster = coordinator_cluster(cluster.c);
    m.join.segment_bytes = 1 << 20;
    m.join.segments = m.join.segments_free = 16;
    m.join.features = WIRE_FEATURES;
    return m;
}

SPOILS(another_protocol, struct message_join, it->protocol++)
SPOILS(no_name, struct message_join, it->node[0] = '\0')
SPOILS(no_domain, struct message_join, it->domain[0] = '\0')
SPOILS(no_address, struct message_join, it->address[0] = '\0')
SPOILS(every_address, struct message_join, strcpy(it->address, "0.0.0.0:7000"))
SPOILS(no_memory, struct message_join, it->segments = 0)
SPOILS(more_free_than_there_is, struct message_join, it->segments_free = it->segments + 1)
SPOILS(another_cluster, struct message_join, it->cluster.bytes[0] ^= 1)
SPOILS(the_name_of_one_that_lives, struct message_join, strcpy(it->node, "n0"))

static const struct refusal {
    const char *name;
    void (*spoil)(struct message_join *it);
    enum ckpt_status status;
} refusals[] = {
    {ROW(another_protocol), CKPT_ERR_VERSION},
    {ROW(no_name), CKPT_ERR_INVALID},
    {ROW(no_domain), CKPT_ERR_INVALID},
    {ROW(no_address), CKPT_ERR_INVALID},
    {ROW(every_address), CKPT_ERR_INVALID},
    {ROW(no_memory), CKPT_ERR_INVALID},
    {ROW(more_free_than_there_is), CKPT_ERR_INVALID},
    {ROW(another_cluster), CKPT_ERR_DENIED},
    {ROW(the_name_of_one_that_lives), CKPT_ERR_BUSY},
};

static void a_refused_join_says_why_and_is_hung_up_on(void **state)
{
    for (size_t i = 0; i < ROWS(refusals); i++) {
        struct message m = join_of(2);
        refusals[i].spoil(&m.join);
        cluster_message(*state, 2, &m);
        const struct message *welcome = cluster_find(*state, 2, MESSAGE_WELCOME);
        ROW_HOLDS(&refusals[i], welcome != NULL);
        ROW_HOLDS(&refusals[i], welcome->welcome.status == refusals[i].status);
        ROW_HOLDS(&refusals[i], welcome->welcome.reason[0] != '\0');
        ROW_HOLDS(&refusals[i], cluster.update.messages[0].close);
        ROW_HOLDS(&refusals[i], coordinator_member_count(cluster.c) == 2);
    }
    struct message m = join_of(2);
    cluster_message(*state, 2, &m);
    assert_int_equal(cluster_find(*state, 2, MESSAGE_WELCOME)->welcome.status, CKPT_OK);
    assert_int_equal(coordinator_member_count(cluster.c), 3);
}

static void who_is_silent_for_a_lease_is_lost_on_record(void **state)
{
    cluster_pass(*state, 2500, 2, 1 << 1);
    assert_int_equal(cluster_records(*state, RECORD_EPOCH), 0);
    cluster_pass(*state, 500, 2, 1 << 1);
    assert_int_equal(cluster_records(*state, RECORD_EPOCH), 1);
    struct coordinator_member_view view;
    assert_true(coordinator_member_view(cluster.c, 1, &view));
    assert_false(view.joined);
    assert_false(view.stopped);
}

static void who_says_goodbye_is_known_to_have_stopped(void **state)
{
    struct message m = {.type = MESSAGE_GOODBYE};
    cluster_message(*state, 1, &m);
    assert_int_equal(cluster_records(*state, RECORD_EPOCH), 1);
    struct coordinator_member_view view;
    assert_true(coordinator_member_view(cluster.c, 1, &view));
    assert_false(view.joined);
    assert_true(view.stopped);
}

static void the_word_of_a_life_before_is_not_heard(void **state)
{
    struct message m = {.type = MESSAGE_HEARTBEAT};
    memset(&m.incarnation, 9, sizeof m.incarnation);
    struct coordinator_event event = {
        .type = COORDINATOR_MESSAGE, .now_ms = cluster.now_ms, .link = 1, .message = &m};
    assert_int_equal(coordinator_advance(cluster.c, &event, &cluster.update), CKPT_OK);
    assert_null(cluster_find(*state, 1, MESSAGE_LEASE));
    assert_int_equal(cluster.update.message_count, 1);
    assert_true(cluster.update.messages[0].close);
}

/* What `ckptctl nodes` shows of a node's rails is the last heartbeat's. */
static void rails_are_as_the_last_heartbeat_says(void **state)
{
    (void)state;
    cluster_join(&cluster, 0, 1);
    for (uint32_t up = 0; up <= 2; up++) {
        struct message beat = {.type = MESSAGE_HEARTBEAT};
        beat.heartbeat.segments_free = 16;
        beat.heartbeat.rails = 2;
        beat.heartbeat.rails_up = up;
        cluster_message(&cluster, 0, &beat);
        struct coordinator_member_view seen;
        assert_true(coordinator_member_view(cluster.c, 0, &seen));
        assert_int_equal(seen.rails, 2);
        assert_int_equal(seen.rails_up, up);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_refused_join_says_why_and_is_hung_up_on, cluster),
        MACHINE_TEST(who_is_silent_for_a_lease_is_lost_on_record, cluster),
        MACHINE_TEST(who_says_goodbye_is_known_to_have_stopped, cluster),
        MACHINE_TEST(the_word_of_a_life_before_is_not_heard, cluster),
        MACHINE_TEST(rails_are_as_the_last_heartbeat_says, cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
