/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes: pushed, remembered, and asked for after the agent was lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/client/fake_agent.h"

static bool save_one(struct fake_agent *agent, uint64_t generation)
{
    struct message message;
    return fake_grant(agent, 0, 1, generation, NULL) && fake_take(agent, MESSAGE_SEAL, &message);
}

static void refuse(struct ckpt *ckpt, enum ckpt_status status, enum ckpt_status wanted,
                   const char *words)
{
    if (status != wanted || strstr(ckpt_reason(ckpt), words) == NULL) {
        fail_msg("%s, \"%s\" instead of %s, \"%s\"", ckpt_status_name(status), ckpt_reason(ckpt),
                 ckpt_status_name(wanted), words);
    }
}

/* Three saves; the outcomes come in another order, some twice, one of a step never saved. */
static void tells_late(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (connection != 0 || !fake_open_rank(agent) || !save_one(agent, 5) || !save_one(agent, 6) ||
        !save_one(agent, 7)) {
        return;
    }
    if (!fake_take(agent, MESSAGE_CHECKPOINT_ASK, &message)) {
        return; /* the test has looked, and found nothing */
    }
    fake_outcome(agent, 99, CKPT_ERR_ABORTED, "not ours");
    fake_outcome(agent, 3, CKPT_OK, "");
    fake_outcome(agent, 1, CKPT_ERR_NO_DOMAIN, "one node is not two domains");
    fake_outcome(agent, 1, CKPT_OK, "");
    struct message info = {.type = MESSAGE_CHECKPOINT_INFO};
    info.checkpoint_info.reader = message.checkpoint_ask.reader;
    info.checkpoint_info.status = CKPT_ERR_NO_CHECKPOINT;
    fake_send(agent, &info, NULL, 0);
    (void)fake_take_end(agent);
}

static void test_outcomes(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(tells_late);
    struct ckpt *ckpt = fake_connect(agent);
    struct ckpt_info info;
    for (uint64_t step = 1; step <= 3; step++) {
        assert_int_equal(ckpt_save_bytes(ckpt, step, "abc", 3), CKPT_OK);
    }
    refuse(ckpt, ckpt_wait(ckpt, 1, 0), CKPT_ERR_TIMEOUT, "not consistent yet");
    refuse(ckpt, ckpt_wait(ckpt, 2, 50), CKPT_ERR_TIMEOUT, "not consistent yet");
    refuse(ckpt, ckpt_wait(ckpt, 99, 0), CKPT_ERR_NOT_FOUND, "99");
    fake_fill(&info);
    refuse(ckpt, ckpt_info(ckpt, CKPT_STEP_LATEST, &info), CKPT_ERR_NO_CHECKPOINT, "restore");
    fake_assert_untouched(&info);
    refuse(ckpt, ckpt_wait(ckpt, 1, 0), CKPT_ERR_NO_DOMAIN, "one node is not two domains");
    refuse(ckpt, ckpt_wait(ckpt, 1, 20000), CKPT_ERR_NO_DOMAIN, "step 1 will never");
    assert_int_equal(ckpt_wait(ckpt, 3, 0), CKPT_OK);
    assert_int_equal(ckpt_wait(ckpt, 2, 0), CKPT_ERR_TIMEOUT);
    assert_int_equal(ckpt_wait(ckpt, 99, 0), CKPT_ERR_NOT_FOUND);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

/* More saves than are remembered: the oldest is forgotten, the rest is not. */
static void saves_many(struct fake_agent *agent, uint32_t connection)
{
    if (connection != 0 || !fake_open_rank(agent)) {
        return;
    }
    for (uint64_t step = 1; step <= 65; step++) {
        if (!save_one(agent, step)) {
            return;
        }
        fake_outcome(agent, step, CKPT_OK, "");
    }
    (void)fake_take_end(agent);
}

static void test_remembers_64(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(saves_many);
    struct ckpt *ckpt = fake_connect(agent);
    for (uint64_t step = 1; step <= 65; step++) {
        assert_int_equal(ckpt_save_bytes(ckpt, step, "abc", 3), CKPT_OK);
    }
    assert_int_equal(ckpt_wait(ckpt, 1, 0), CKPT_ERR_NOT_FOUND);
    for (uint64_t step = 65; step >= 2; step--) {
        assert_int_equal(ckpt_wait(ckpt, step, 20000), CKPT_OK);
    }
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

/* The agent is lost after the seal. Its successor knows nothing of the save; the coordinator does:
 * first that it is verifying, then what `ended` says. */
static enum checkpoint_state ended;
static uint32_t ended_attempt;

static void is_lost(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (!fake_open_rank(agent)) {
        return;
    }
    if (connection == 0) {
        (void)save_one(agent, 5);
        return;
    }
    for (uint32_t asked = 0; asked < 2; asked++) {
        if (!fake_take(agent, MESSAGE_CHECKPOINT_ASK, &message)) {
            return;
        }
        struct message answer = {.type = MESSAGE_CHECKPOINT_INFO};
        answer.checkpoint_info.reader = message.checkpoint_ask.reader;
        answer.checkpoint_info.step = message.checkpoint_ask.step;
        answer.checkpoint_info.attempt = asked == 0 ? 3 : ended_attempt;
        answer.checkpoint_info.state = asked == 0 ? CHECKPOINT_VERIFYING : ended;
        answer.checkpoint_info.status = asked == 0 ? CKPT_ERR_NOT_FOUND : CKPT_OK;
        fake_send(agent, &answer, NULL, 0);
    }
    fake_outcome(agent, 8, CKPT_ERR_LOST, "ends the wait of the last row");
    (void)fake_take_end(agent);
}

static void test_asks_after_a_loss(void **state)
{
    (void)state;
    static const struct {
        enum checkpoint_state state;
        uint32_t attempt;
        enum ckpt_status wanted;
    } rows[] = {
        {CHECKPOINT_CONSISTENT, 3, CKPT_OK},
        {CHECKPOINT_ABORTED, 3, CKPT_ERR_ABORTED},
        {CHECKPOINT_RETIRED, 3, CKPT_ERR_RETIRED},
        {CHECKPOINT_QUARANTINED, 3, CKPT_ERR_QUARANTINED},
        {CHECKPOINT_CONSISTENT, 2, CKPT_ERR_LOST}, /* an earlier attempt's step 8 is not ours */
    };
    uint32_t descriptors = open_descriptors();
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        ended = rows[i].state;
        ended_attempt = rows[i].attempt;
        struct fake_agent *agent = fake_agent_start(is_lost);
        struct ckpt *ckpt = fake_connect(agent);
        assert_int_equal(ckpt_save_bytes(ckpt, 8, "abc", 3), CKPT_OK);
        assert_int_equal(ckpt_wait(ckpt, 8, 20000), rows[i].wanted);
        ckpt_close(&ckpt);
        fake_agent_stop(&agent);
    }
    assert_int_equal(open_descriptors(), descriptors);
}

/* The agent is gone for good: the wait ends at its bound, looks end at once. */
static void is_lost_for_good(struct fake_agent *agent, uint32_t connection)
{
    if (connection == 0 && fake_open_rank(agent)) {
        (void)save_one(agent, 5);
        (void)unlink(fake_agent_path(agent));
    }
}

static void test_lost_for_good(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(is_lost_for_good);
    struct ckpt *ckpt = fake_connect(agent);
    assert_int_equal(ckpt_save_bytes(ckpt, 8, "abc", 3), CKPT_OK);
    refuse(ckpt, ckpt_wait(ckpt, 8, 200), CKPT_ERR_NO_AGENT, "start ckptd");
    refuse(ckpt, ckpt_wait(ckpt, 8, 0), CKPT_ERR_NO_AGENT, "start ckptd");
    refuse(ckpt, ckpt_save_bytes(ckpt, 9, "abc", 3), CKPT_ERR_NO_AGENT, "start ckptd");
    assert_int_equal(ckpt_wait(ckpt, 9, 0), CKPT_ERR_NOT_FOUND);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

/* A caller that only ever looks gets a lost agent back too. */
static void comes_back(struct fake_agent *agent, uint32_t connection)
{
    if (!fake_open_rank(agent)) {
        return;
    }
    if (connection == 0) {
        (void)save_one(agent, 5);
        return;
    }
    fake_outcome(agent, 8, CKPT_OK, "");
    struct message message;
    while (fake_take(agent, MESSAGE_CHECKPOINT_ASK, &message)) {
        struct message answer = {.type = MESSAGE_CHECKPOINT_INFO};
        answer.checkpoint_info.reader = message.checkpoint_ask.reader;
        answer.checkpoint_info.status = CKPT_ERR_NO_COORDINATOR;
        fake_send(agent, &answer, NULL, 0);
        break;
    }
    (void)fake_take_end(agent);
}

static void test_looks_get_it_back(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(comes_back);
    struct ckpt *ckpt = fake_connect(agent);
    assert_int_equal(ckpt_save_bytes(ckpt, 8, "abc", 3), CKPT_OK);
    enum ckpt_status status = CKPT_ERR_TIMEOUT;
    for (uint32_t i = 0; i < 2000 && status == CKPT_ERR_TIMEOUT; i++) {
        status = ckpt_wait(ckpt, 8, 0);
        (void)usleep(5000);
    }
    assert_int_equal(status, CKPT_OK);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

/* What did not come in time is said to be the coordinator's absence, where the agent says so; a
 * look asks nobody. */
static void nobody_rules(struct fake_agent *agent, uint32_t connection)
{
    if (connection > 0 || !fake_open_rank(agent)) {
        return;
    }
    fake_has_no_coordinator(agent);
    struct message message;
    if (save_one(agent, 5) && fake_take(agent, MESSAGE_LOAD_ASK, &message)) {
        (void)fake_take(agent, MESSAGE_CHECKPOINT_ASK, &message);
    }
    (void)fake_take_end(agent);
}

static void test_no_coordinator(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(nobody_rules);
    struct ckpt *ckpt = NULL;
    struct ckpt_shard shard;
    struct ckpt_info info;
    struct ckpt_options options = fake_options(agent);
    options.timeout_ms = 1000;
    assert_int_equal(ckpt_open(&options, &ckpt), CKPT_OK);
    assert_int_equal(ckpt_save_bytes(ckpt, 8, "abc", 3), CKPT_OK);
    refuse(ckpt, ckpt_wait(ckpt, 8, 0), CKPT_ERR_TIMEOUT, "not consistent yet");
    refuse(ckpt, ckpt_wait(ckpt, 8, 50), CKPT_ERR_NO_COORDINATOR, "nobody rules");
    refuse(ckpt, ckpt_load(ckpt, 8, 50, &shard), CKPT_ERR_NO_COORDINATOR, "nobody rules");
    refuse(ckpt, ckpt_info(ckpt, 8, &info), CKPT_ERR_NO_COORDINATOR, "nobody rules");
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcomes),          cmocka_unit_test(test_remembers_64),
        cmocka_unit_test(test_asks_after_a_loss), cmocka_unit_test(test_lost_for_good),
        cmocka_unit_test(test_looks_get_it_back), cmocka_unit_test(test_no_coordinator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
