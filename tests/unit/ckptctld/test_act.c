/* SPDX-License-Identifier: Apache-2.0 */
/* What an update says beyond its records, carried out over sessions that only tell what they do. */
#include "unit/daemon/story.h"

#include <event2/event.h>

#include "ckptctld/act.h"
#include "session/session.h"
#include "wire/message_codec.h"

static struct daemon d;
static bool has_session;

enum ckpt_status session_send_group(struct session_hub *hub, uint32_t group,
                                    const struct message *message)
{
    (void)hub;
    tell("all of %u: %s", group, message_type_name(message->type));
    return CKPT_OK;
}

struct session *session_find(const struct session_hub *hub, uint32_t link)
{
    (void)hub;
    (void)link;
    return has_session ? (struct session *)&d : NULL;
}

enum ckpt_status session_send(struct session *session, const struct message *message,
                              const int *descriptors, uint32_t count)
{
    (void)session;
    (void)descriptors;
    (void)count;
    tell("one: %s", message_type_name(message->type));
    return CKPT_OK;
}

void session_set_group(struct session *session, uint32_t group)
{
    (void)session;
    tell("group %u", group);
}

void session_vouch(struct session *session)
{
    (void)session;
    tell("vouch");
}

void session_close(struct session *session)
{
    (void)session;
    tell("close");
}

void session_hub_flush(struct session_hub *hub)
{
    (void)hub;
}

static int start(void **state)
{
    (void)state;
    memset(&d, 0, sizeof(d));
    d.base = event_base_new();
    d.agents = (struct session_hub *)&d;
    has_session = true;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    event_base_free(d.base);
    story[0] = '\0';
    return 0;
}

static struct coordinator_outgoing *add(uint32_t link, enum message_type type)
{
    struct coordinator_outgoing *outgoing = &d.update.messages[d.update.message_count++];
    outgoing->link = link;
    outgoing->message.type = type;
    return outgoing;
}

static void who_is_welcome_is_of_the_group_from_then_on(void **state)
{
    (void)state;
    add(5, MESSAGE_WELCOME)->message.welcome.status = CKPT_OK;
    add(COORDINATOR_LINK_ALL, MESSAGE_LEASE);
    act_on_update(&d);
    EXPECT_STORY("group 1; vouch; one: welcome; all of 1: lease; ");
}

static void who_is_refused_is_told_and_closed(void **state)
{
    (void)state;
    struct coordinator_outgoing *outgoing = add(5, MESSAGE_WELCOME);
    outgoing->message.welcome.status = CKPT_ERR_STALE;
    outgoing->close = true;
    act_on_update(&d);
    EXPECT_STORY("one: welcome; group 0; close; ");
}

static void who_is_gone_is_told_nothing(void **state)
{
    (void)state;
    has_session = false;
    add(5, MESSAGE_LEASE);
    act_on_update(&d);
    EXPECT_STORY("");
}

static void before_the_doors_are_open_nobody_hears(void **state)
{
    (void)state;
    d.agents = NULL;
    add(COORDINATOR_LINK_ALL, MESSAGE_LEASE);
    d.update.note_count = 1;
    d.update.notes[0].event = EVENT_agent_joined;
    act_on_update(&d);
    EXPECT_STORY("");
    assert_int_equal(d.notes.counts[EVENT_agent_joined], 1);
}

static void one_that_steps_down_only_notes_it(void **state)
{
    (void)state;
    add(COORDINATOR_LINK_ALL, MESSAGE_LEASE);
    d.update.step_down = true;
    d.update.note_count = 1;
    d.update.notes[0].event = EVENT_agent_joined;
    act_on_update(&d);
    EXPECT_STORY("");
    assert_int_equal(d.notes.counts[EVENT_agent_joined], 1);
    assert_true(d.ending);
    assert_int_equal(d.exit_code, EXIT_STALE);
    daemon_leave(&d, EXIT_ENDED); /* the first code counts */
    assert_int_equal(d.exit_code, EXIT_STALE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_is_welcome_is_of_the_group_from_then_on, start, stop),
        cmocka_unit_test_setup_teardown(who_is_refused_is_told_and_closed, start, stop),
        cmocka_unit_test_setup_teardown(who_is_gone_is_told_nothing, start, stop),
        cmocka_unit_test_setup_teardown(before_the_doors_are_open_nobody_hears, start, stop),
        cmocka_unit_test_setup_teardown(one_that_steps_down_only_notes_it, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
