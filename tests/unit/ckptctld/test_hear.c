/* SPDX-License-Identifier: Apache-2.0 */
/* What comes in at the two doors, as events of the machine and asks of people. */
#include "unit/daemon/story.h"

#include "base/log.h"
#include "ckptctld/admin.h"
#include "ckptctld/hear.h"
#include "ckptctld/turn.h"

static struct daemon d;
static uint32_t lines; /* of the log */

void turn_event(struct daemon *daemon, struct coordinator_event *event,
                void (*after_turn)(struct daemon *daemon))
{
    static const char *const names[] = {[COORDINATOR_CONNECTED] = "connected",
                                        [COORDINATOR_MESSAGE] = "message",
                                        [COORDINATOR_DISCONNECTED] = "disconnected"};
    assert_ptr_equal(daemon, &d);
    assert_null(after_turn);
    tell("turn %s %u", names[event->type], event->link);
}

void admin_answer(struct daemon *daemon, struct session *session, const struct message *message)
{
    (void)daemon;
    (void)session;
    tell("answer %d", (int)message->admin_ask.verb);
}

uint32_t session_link(const struct session *session)
{
    (void)session;
    return 5;
}

const char *session_peer(const struct session *session)
{
    (void)session;
    return "10.0.0.9:1";
}

void session_close(struct session *session)
{
    (void)session;
    tell("close");
}

enum ckpt_status session_send(struct session *session, const struct message *message,
                              const int *descriptors, uint32_t count)
{
    (void)session;
    (void)descriptors;
    (void)count;
    tell("welcome %s: %s", ckpt_status_name(message->welcome.status), message->welcome.reason);
    return CKPT_OK;
}

static void count_line(enum log_level level, const char *line, size_t line_bytes, void *context)
{
    (void)level;
    (void)line;
    (void)line_bytes;
    (void)context;
    lines++;
}

static int start(void **state)
{
    (void)state;
    memset(&d, 0, sizeof(d));
    lines = 0;
    log_set_sink(count_line, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    story[0] = '\0';
    log_set_sink(NULL, NULL);
    return 0;
}

static void an_agent_comes_speaks_and_goes(void **state)
{
    (void)state;
    const struct message join = {.type = MESSAGE_JOIN};
    hear_agents.opened(NULL, &d);
    hear_agents.message(NULL, &join, &d);
    hear_agents.closed(NULL, CKPT_ERR_LINK, "gone", &d);
    EXPECT_STORY("turn connected 5; turn message 5; turn disconnected 5; ");
}

static void people_are_answered_at_both_doors(void **state)
{
    (void)state;
    const struct message ask = {.type = MESSAGE_ADMIN_ASK, .admin_ask.verb = ADMIN_STATUS};
    hear_agents.message(NULL, &ask, &d);
    hear_local.message(NULL, &ask, &d);
    char expected[64];
    snprintf(expected, sizeof(expected), "answer %d; answer %d; ", ADMIN_STATUS, ADMIN_STATUS);
    EXPECT_STORY(expected);
}

static void no_agent_comes_in_by_the_local_door(void **state)
{
    (void)state;
    const struct message join = {.type = MESSAGE_JOIN};
    hear_local.opened(NULL, &d);
    hear_local.message(NULL, &join, &d);
    hear_local.closed(NULL, CKPT_OK, "", &d);
    EXPECT_STORY("close; ");
}

static void nothing_is_heard_while_it_ends(void **state)
{
    (void)state;
    const struct message ask = {.type = MESSAGE_ADMIN_ASK};
    d.ending = true;
    hear_agents.message(NULL, &ask, &d);
    hear_local.message(NULL, &ask, &d);
    EXPECT_STORY("");
}

/* Each is told why; the log has it once. */
static void who_speaks_otherwise_is_refused_and_said_rarely(void **state)
{
    (void)state;
    hear_agents.broken(NULL, CKPT_ERR_VERSION, "version 9", &d);
    hear_agents.broken(NULL, CKPT_ERR_VERSION, "version 9", &d);
    EXPECT_STORY("welcome CKPT_ERR_VERSION: version 9; welcome CKPT_ERR_VERSION: version 9; ");
    assert_int_equal(lines, 1);
    hear_agents.broken(NULL, CKPT_ERR_CORRUPT, "no frame", &d);
    assert_int_equal(lines, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_agent_comes_speaks_and_goes, start, stop),
        cmocka_unit_test_setup_teardown(people_are_answered_at_both_doors, start, stop),
        cmocka_unit_test_setup_teardown(no_agent_comes_in_by_the_local_door, start, stop),
        cmocka_unit_test_setup_teardown(nothing_is_heard_while_it_ends, start, stop),
        cmocka_unit_test_setup_teardown(who_speaks_otherwise_is_refused_and_said_rarely, start,
                                        stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
