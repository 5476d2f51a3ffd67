/* SPDX-License-Identifier: Apache-2.0 */
/* Records on their way: who is paused, what is waited out, and what ends the process. The store is
 * one that answers when the test says so. */
#include "unit/daemon/story.h"

#include <event2/event.h>

#include "ckptctld/commit.h"
#include "ckptctld/waits.h"
#include "session/session.h"

static struct daemon d;
static struct store_call *asked;

void store_begin(struct store *store, struct store_call *call)
{
    (void)store;
    asked = call;
    if (call->type == STORE_COMMIT) {
        tell("commit %u", call->transaction.count);
    } else {
        tell("look");
    }
}

bool store_may_pass(enum ckpt_status status)
{
    return status == CKPT_ERR_TIMEOUT || status == CKPT_ERR_FULL;
}

uint64_t coordinator_epoch(const struct coordinator *machine)
{
    (void)machine;
    return 4;
}

struct coordinator_record_shard coordinator_record_shard(const struct coordinator *machine,
                                                         const struct coordinator_record *record,
                                                         uint32_t rank)
{
    (void)machine;
    (void)record;
    return (struct coordinator_record_shard){.bytes = rank};
}

void session_hub_pause(struct session_hub *hub)
{
    tell("pause %s", hub == d.agents ? "agents" : "local");
}

void session_hub_resume(struct session_hub *hub)
{
    tell("resume %s", hub == d.agents ? "agents" : "local");
}

enum ckpt_status session_send_group(struct session_hub *hub, uint32_t group,
                                    const struct message *message)
{
    (void)hub;
    (void)group;
    tell("lease of epoch %llu", (unsigned long long)message->epoch);
    return CKPT_OK;
}

static void durable(struct daemon *daemon)
{
    (void)daemon;
    tell("durable");
}

static void answer(enum ckpt_status status, uint64_t epoch)
{
    struct store_call *call = asked;
    assert_non_null(call);
    asked = NULL;
    call->status = status;
    call->epoch = epoch;
    call->done(call->context);
}

static int start(void **state)
{
    char reason[PART_REASON_BYTES];
    (void)state;
    memset(&d, 0, sizeof(d));
    asked = NULL;
    d.base = event_base_new();
    d.agents = (struct session_hub *)&d.agents;
    d.local = (struct session_hub *)&d.local;
    d.update.record_count = 3;
    d.options.machine.heartbeat_ms = 20;
    return part_waits.start(&d, reason) == CKPT_OK && part_commit.start(&d, reason) == CKPT_OK ? 0
                                                                                               : -1;
}

static int stop(void **state)
{
    (void)state;
    part_commit.stop(&d);
    part_waits.stop(&d);
    event_base_free(d.base);
    story[0] = '\0';
    return 0;
}

static void nobody_is_heard_until_it_is_durable(void **state)
{
    (void)state;
    commit_begin(&d, durable);
    EXPECT_STORY("pause agents; pause local; commit 3; ");
    assert_true(d.commit.is_under_way);
    answer(CKPT_OK, 0);
    EXPECT_STORY("durable; resume agents; resume local; ");
    assert_false(d.commit.is_under_way);
    assert_int_equal(d.commit.epoch, 4);
}

static void what_passes_is_asked_for_again(void **state)
{
    (void)state;
    commit_begin(&d, durable);
    answer(CKPT_ERR_FULL, 0);
    assert_true(d.commit.is_under_way);
    assert_non_null(strstr(waits_text(&d), "no room"));
    story[0] = '\0';
    while (asked == NULL) {
        assert_int_equal(event_base_loop(d.base, EVLOOP_ONCE), 0);
    }
    assert_non_null(strstr(story, "lease of epoch 0; ")); /* agents hear that it lives meanwhile */
    assert_non_null(strstr(story, "commit 3; "));
    answer(CKPT_OK, 0);
    assert_non_null(strstr(story, "durable; "));
    assert_false(d.ending);
}

static void a_store_that_has_failed_ends_the_process(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum ckpt_status status;
        enum exit_code code;
    } cases[] = {
        {"a failed sync", CKPT_ERR_DISK, EXIT_START},
        {"damage", CKPT_ERR_CORRUPT, EXIT_STORE},
        {"another rules", CKPT_ERR_STALE, EXIT_STALE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        d.ending = false;
        commit_begin(&d, durable);
        story[0] = '\0';
        answer(cases[i].status, 0);
        if (story[0] != '\0' || !d.ending || d.exit_code != cases[i].code) {
            fail_msg("%s: '%s', exit code %d", cases[i].name, story, (int)d.exit_code);
        }
    }
}

static void a_look_ends_it_where_another_rules_and_only_there(void **state)
{
    (void)state;
    commit_look(&d);
    commit_look(&d); /* one at a time */
    EXPECT_STORY("look; ");
    answer(CKPT_OK, 4);
    assert_false(d.ending);
    commit_look(&d); /* not so soon */
    EXPECT_STORY("");
    d.look.next_ms = 0;
    commit_look(&d);
    answer(CKPT_ERR_TIMEOUT, 0); /* locked: the next will tell */
    assert_false(d.ending);
    d.look.next_ms = 0;
    commit_look(&d);
    answer(CKPT_OK, 5);
    assert_true(d.ending);
    assert_int_equal(d.exit_code, EXIT_STALE);
    EXPECT_STORY("look; look; ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_is_heard_until_it_is_durable, start, stop),
        cmocka_unit_test_setup_teardown(what_passes_is_asked_for_again, start, stop),
        cmocka_unit_test_setup_teardown(a_store_that_has_failed_ends_the_process, start, stop),
        cmocka_unit_test_setup_teardown(a_look_ends_it_where_another_rules_and_only_there, start,
                                        stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
