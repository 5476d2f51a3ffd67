/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions say, as events of the machine; the neighbours only tell what they are asked. */
#include "unit/daemon/story.h"

#include <event2/event.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/reason.h"
#include "ckptd/connections.h"
#include "ckptd/coordinator.h"
#include "ckptd/hear.h"
#include "ckptd/turn.h"
#include "mover/mover.h"

static struct daemon d;
static int descriptor = -1;    /* that came with the message */
static bool machine_takes_it;  /* in its turn */
static bool was_up, looked_up; /* the connection that ends; the one that is made */
static uint32_t lookups;       /* that the machine is to hear of */

void turn_event(struct daemon *daemon, struct agent_event *event)
{
    static const char *const names[] = {
        [AGENT_COORDINATOR_UP] = "coordinator up",
        [AGENT_COORDINATOR_DOWN] = "coordinator down",
        [AGENT_COORDINATOR_MESSAGE] = "coordinator says",
        [AGENT_PEER_MESSAGE] = "peer says",
        [AGENT_PEER_LOOKUP] = "peer looked up",
        [AGENT_PEER_UP] = "peer up",
        [AGENT_PEER_DOWN] = "peer down",
        [AGENT_RANK_UP] = "rank up",
        [AGENT_RANK_MESSAGE] = "rank says",
        [AGENT_RANK_DOWN] = "rank down",
    };
    assert_ptr_equal(daemon, &d);
    tell("turn %s %u%s%s", names[event->type], event->link, event->address != NULL ? " at " : "",
         event->address != NULL ? event->address : "");
    if (machine_takes_it) {
        close(daemon->event_descriptor);
        daemon->event_descriptor = -1;
    }
}

void daemon_leave(struct daemon *daemon)
{
    (void)daemon;
}

uint32_t session_link(const struct session *session)
{
    (void)session;
    return 5;
}

uint32_t session_uid(const struct session *session)
{
    (void)session;
    return 1000;
}

const char *session_peer(const struct session *session)
{
    (void)session;
    return "n9";
}

int session_take_descriptor(struct session *session)
{
    (void)session;
    return descriptor;
}

enum ckpt_status session_send(struct session *session, const struct message *message,
                              const int *descriptors, uint32_t count)
{
    (void)session;
    (void)descriptors;
    assert_int_equal(count, 0);
    assert_int_equal(message->type, MESSAGE_RANK_OPENED);
    tell("refuse %s: %s", ckpt_status_name(message->rank_opened.status),
         message->rank_opened.reason);
    return CKPT_OK;
}

uint32_t connections_link(const struct daemon *daemon, const struct session *session)
{
    (void)daemon;
    (void)session;
    return 77;
}

bool connections_was_looked_up(const struct daemon *daemon, const struct session *session)
{
    (void)daemon;
    (void)session;
    return looked_up;
}

bool connections_take_lookup(struct daemon *daemon, uint32_t *link_out)
{
    (void)daemon;
    *link_out = 70 + lookups;
    return lookups > 0 && lookups-- > 0;
}

void connections_forget(struct daemon *daemon, uint32_t link)
{
    (void)daemon;
    tell("forget %u", link);
}

void connections_free(struct daemon *daemon)
{
    (void)daemon;
}

bool connections_is_news(struct daemon *daemon, enum event_id event, const char *peer)
{
    (void)daemon;
    (void)event;
    (void)peer;
    return false;
}

void coordinator_is_up(struct daemon *daemon, const struct session *session)
{
    (void)session;
    snprintf(daemon->address, sizeof(daemon->address), "10.0.0.7:7472"); /* found just now */
    tell("is up");
}

void coordinator_has_spoken(struct daemon *daemon)
{
    (void)daemon;
    tell("has spoken");
}

bool coordinator_is_down(struct daemon *daemon, enum ckpt_status status, const char *reason)
{
    (void)daemon;
    tell("is down %s %s", ckpt_status_name(status), reason);
    return was_up;
}

void mover_link_down(struct mover *mover, uint32_t link)
{
    (void)mover;
    tell("mover link down %u", link);
}

static int start(void **state)
{
    char reason[PART_REASON_BYTES];
    (void)state;
    memset(&d, 0, sizeof(d));
    d.base = event_base_new();
    machine_takes_it = was_up = looked_up = false;
    lookups = 0;
    descriptor = -1;
    return part_hear.start(&d, reason) == CKPT_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    part_hear.stop(&d);
    event_base_free(d.base);
    story[0] = '\0';
    return 0;
}

static void a_rank_comes_speaks_and_goes(void **state)
{
    (void)state;
    const struct message message = {.type = MESSAGE_SEAL};
    hear_ranks.opened(NULL, &d);
    hear_ranks.message(NULL, &message, &d);
    hear_ranks.closed(NULL, CKPT_OK, "", &d);
    EXPECT_STORY("turn rank up 5; turn rank says 5; turn rank down 5; ");
}

static void only_a_rank_of_another_version_can_read_a_refusal(void **state)
{
    (void)state;
    hear_ranks.broken(NULL, CKPT_ERR_VERSION, "version 9", &d);
    hear_ranks.broken(NULL, CKPT_ERR_CORRUPT, "no frame", &d);
    EXPECT_STORY("refuse CKPT_ERR_VERSION: version 9; ");
}

static void a_descriptor_that_the_machine_leaves_is_closed(void **state)
{
    (void)state;
    const struct message message = {.type = MESSAGE_GATHER};
    for (int i = 0; i < 2; i++) {
        machine_takes_it = i == 1;
        descriptor = open("/dev/null", O_RDONLY);
        assert_true(descriptor >= 0);
        hear_ranks.message(NULL, &message, &d);
        assert_int_equal(fcntl(descriptor, F_GETFD), -1);
        assert_int_equal(d.event_descriptor, -1);
    }
    EXPECT_STORY("turn rank says 5; turn rank says 5; ");
}

static void a_peer_is_up_for_the_machine_when_it_waited_for_the_resolver(void **state)
{
    (void)state;
    hear_peers.opened(NULL, &d);
    EXPECT_STORY("");
    looked_up = true;
    hear_peers.opened(NULL, &d);
    EXPECT_STORY("turn peer up 77; ");
}

static void of_a_peer_that_goes_the_mover_hears_first(void **state)
{
    (void)state;
    hear_peers.closed(NULL, CKPT_ERR_LINK, "gone", &d);
    EXPECT_STORY("forget 77; mover link down 77; turn peer down 77; ");
}

static void each_lookup_is_a_turn_of_its_own(void **state)
{
    (void)state;
    lookups = 2;
    event_active(d.lookup_event, EV_TIMEOUT, 0);
    event_base_loop(d.base, EVLOOP_NONBLOCK);
    EXPECT_STORY("turn peer looked up 72; turn peer looked up 71; ");
}

static void the_coordinator_hears_the_address_that_was_found(void **state)
{
    (void)state;
    const struct message message = {.type = MESSAGE_LEASE};
    d.coordinator_events->opened(NULL, &d);
    d.coordinator_events->message(NULL, &message, &d);
    EXPECT_STORY("is up; turn coordinator up 0 at 10.0.0.7:7472; "
                 "turn coordinator says 0; has spoken; ");
}

static void one_that_was_never_reached_is_no_news_for_the_machine(void **state)
{
    (void)state;
    d.coordinator_events->closed(NULL, CKPT_ERR_LINK, "refused", &d);
    EXPECT_STORY("is down CKPT_ERR_LINK refused; ");
    was_up = true;
    d.coordinator_events->closed(NULL, CKPT_ERR_LINK, "lost", &d);
    EXPECT_STORY("is down CKPT_ERR_LINK lost; turn coordinator down 0; ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_rank_comes_speaks_and_goes, start, stop),
        cmocka_unit_test_setup_teardown(only_a_rank_of_another_version_can_read_a_refusal, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_descriptor_that_the_machine_leaves_is_closed, start,
                                        stop),
        cmocka_unit_test_setup_teardown(
            a_peer_is_up_for_the_machine_when_it_waited_for_the_resolver, start, stop),
        cmocka_unit_test_setup_teardown(of_a_peer_that_goes_the_mover_hears_first, start, stop),
        cmocka_unit_test_setup_teardown(each_lookup_is_a_turn_of_its_own, start, stop),
        cmocka_unit_test_setup_teardown(the_coordinator_hears_the_address_that_was_found, start,
                                        stop),
        cmocka_unit_test_setup_teardown(one_that_was_never_reached_is_no_news_for_the_machine,
                                        start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
