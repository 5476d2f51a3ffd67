/* SPDX-License-Identifier: Apache-2.0 */
/* A coordinator that did not run for a while: it suspects itself first. */
#include <stdint.h>
#include <string.h>

#include "unit/coordinator/cluster.h"

#define LEASE_MS 3000
#define GRACE_MS 1000

CLUSTER_OF(2)

static void advance(struct coordinator_event event, uint64_t passed_ms)
{
    cluster.now_ms += passed_ms;
    event.now_ms = cluster.now_ms;
    assert_int_equal(coordinator_advance(cluster.c, &event, &cluster.update), CKPT_OK);
}

static bool joined(uint32_t node)
{
    struct coordinator_member_view view;
    assert_true(coordinator_member_view(cluster.c, node, &view));
    return view.joined;
}

static void heartbeat(uint32_t node)
{
    struct message message = {.type = MESSAGE_HEARTBEAT, .heartbeat = {.segments_free = 16}};
    cluster_message(&cluster, node, &message);
}

static void a_stall_is_not_the_agents_silence(void **state)
{
    (void)state;
    advance((struct coordinator_event){.type = COORDINATOR_TICK, .late_ms = 29000}, 29250);
    assert_true(joined(0));
    assert_int_equal(cluster_records(&cluster, RECORD_EPOCH), 0);
    assert_int_equal(cluster.update.note_count, 1);
    assert_int_equal(cluster.update.notes[0].event, EVENT_stalled);
    /* From here on it counts again: 250 ms before, and the rest of the lease after. */
    advance((struct coordinator_event){.type = COORDINATOR_TICK}, LEASE_MS - 251);
    assert_true(joined(0));
    heartbeat(0);
    advance((struct coordinator_event){.type = COORDINATOR_TICK}, 1);
    assert_true(joined(0));
    assert_false(joined(1));
}

/* Whatever event comes first brings the news of the stall. */
static void a_message_may_be_the_first_to_come(void **state)
{
    (void)state;
    struct message message = {.type = MESSAGE_HEARTBEAT, .heartbeat = {.segments_free = 16}};
    memset(&message.incarnation, 1, sizeof message.incarnation);
    advance(
        (struct coordinator_event){
            .type = COORDINATOR_MESSAGE, .link = 0, .message = &message, .late_ms = 10000},
        10250);
    advance((struct coordinator_event){.type = COORDINATOR_TICK}, 0);
    assert_true(joined(0) && joined(1));
}

/* The deadline is told, and members are shown, in the process's time. */
static void time_outside_goes_on(void **state)
{
    (void)state;
    struct coordinator_member_view view;
    advance((struct coordinator_event){.type = COORDINATOR_TICK, .late_ms = 29000}, 29250);
    assert_in_range(cluster.update.deadline_ms, cluster.now_ms + 1, cluster.now_ms + 500);
    heartbeat(0);
    assert_true(coordinator_member_view(cluster.c, 0, &view));
    assert_int_equal(view.last_heard_ms, cluster.now_ms);
    struct coordinator_event back = {.type = COORDINATOR_TICK, .now_ms = cluster.now_ms - 1};
    assert_int_equal(coordinator_advance(cluster.c, &back, &cluster.update), CKPT_ERR_INVALID);
    struct coordinator_event much = {
        .type = COORDINATOR_TICK, .now_ms = cluster.now_ms + 5, .late_ms = 6};
    assert_int_equal(coordinator_advance(cluster.c, &much, &cluster.update), CKPT_ERR_INVALID);
}

static void nobody_is_lost_while_words_lie_unread(void **state)
{
    (void)state;
    struct coordinator_event unread = {.type = COORDINATOR_TICK, .unread = true};
    advance(unread, LEASE_MS - 1);
    assert_false(cluster.update.read_first);
    advance(unread, 1);
    assert_true(cluster.update.read_first);
    assert_true(joined(0) && joined(1));
    heartbeat(1); /* it lay in the socket */
    advance((struct coordinator_event){.type = COORDINATOR_TICK}, 0);
    assert_false(cluster.update.read_first);
    assert_false(joined(0));
    assert_true(joined(1));
}

/* An agent that hung up on a coordinator that did not answer is about to come again. */
static void who_hung_up_in_a_stall_gets_a_whole_lease(void **state)
{
    (void)state;
    advance((struct coordinator_event){.type = COORDINATOR_TICK, .late_ms = 29000}, 31000);
    cluster_disconnect(&cluster, 0);
    advance((struct coordinator_event){.type = COORDINATOR_TICK}, LEASE_MS - 1);
    assert_true(joined(0));
    advance((struct coordinator_event){.type = COORDINATOR_TICK}, 1);
    assert_false(joined(0));
    /* Without a stall it is the grace. */
    cluster_join(&cluster, 0, 1);
    advance((struct coordinator_event){.type = COORDINATOR_TICK}, 0);
    cluster_disconnect(&cluster, 0);
    advance((struct coordinator_event){.type = COORDINATOR_TICK}, GRACE_MS - 1);
    assert_true(joined(0));
    advance((struct coordinator_event){.type = COORDINATOR_TICK}, 1);
    assert_false(joined(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_stall_is_not_the_agents_silence, cluster),
        MACHINE_TEST(a_message_may_be_the_first_to_come, cluster),
        MACHINE_TEST(time_outside_goes_on, cluster),
        MACHINE_TEST(nobody_is_lost_while_words_lie_unread, cluster),
        MACHINE_TEST(who_hung_up_in_a_stall_gets_a_whole_lease, cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
