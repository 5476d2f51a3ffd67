/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting until a save is in the tier: what ends it, and how often the coordinator is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/client/fake_agent.h"

#define STEP 8
#define ATTEMPT 3

static void refuse(struct ckpt *ckpt, enum ckpt_status status, enum ckpt_status wanted,
                   const char *words)
{
    if (status != wanted || strstr(ckpt_reason(ckpt), words) == NULL) {
        fail_msg("%s, \"%s\" instead of %s, \"%s\"", ckpt_status_name(status), ckpt_reason(ckpt),
                 ckpt_status_name(wanted), words);
    }
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool save_is_consistent(struct fake_agent *agent)
{
    struct message message;
    if (!fake_open_rank(agent) || !fake_grant(agent, 0, 1, 5, NULL) ||
        !fake_take(agent, MESSAGE_SEAL, &message)) {
        return false;
    }
    fake_outcome(agent, STEP, CKPT_OK, "");
    return true;
}

static struct ckpt *connect_and_save(struct fake_agent *agent)
{
    struct ckpt *ckpt = fake_connect(agent);
    assert_int_equal(ckpt_save_bytes(ckpt, STEP, "abc", 3), CKPT_OK);
    return ckpt;
}

/* Of a consistent step whose copies are there. */
static void answer(struct fake_agent *agent, const struct message_checkpoint_ask *ask,
                   const struct message_checkpoint_info *said)
{
    struct message message = {.type = MESSAGE_CHECKPOINT_INFO, .checkpoint_info = *said};
    message.checkpoint_info.reader = ask->reader;
    message.checkpoint_info.step = ask->step;
    fake_send(agent, &message, NULL, 0);
}

/* First it is awaited, twice, the second time by an agent that has no coordinator; then this. */
static struct message_checkpoint_info word;

static void says_word(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (connection != 0 || !save_is_consistent(agent)) {
        return;
    }
    const struct message_checkpoint_info said[] = {
        {.attempt = ATTEMPT, .state = CHECKPOINT_CONSISTENT, .tier = CHECKPOINT_TIER_AWAITED},
        {.status = CKPT_ERR_NO_COORDINATOR},
        word,
    };
    uint64_t last = 0;
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        if (!fake_take(agent, MESSAGE_CHECKPOINT_ASK, &message)) {
            return;
        }
        if (!message.checkpoint_ask.own || message.checkpoint_ask.step != STEP ||
            message.checkpoint_ask.reader == last) {
            fake_wrong(agent, "another question");
        }
        last = message.checkpoint_ask.reader;
        answer(agent, &message.checkpoint_ask, &said[i]);
    }
    (void)fake_take_end(agent);
}

static void test_words(void **state)
{
    (void)state;
    static const struct {
        struct message_checkpoint_info said;
        enum ckpt_status wanted;
        const char *words;
    } rows[] = {
        {{.tier = CHECKPOINT_TIER_WHOLE, .state = CHECKPOINT_CONSISTENT}, CKPT_OK, ""},
        {{.tier = CHECKPOINT_TIER_WHOLE, .state = CHECKPOINT_RETIRED, .status = CKPT_ERR_NOT_FOUND},
         CKPT_OK,
         ""},
        {{.tier = CHECKPOINT_TIER_ABSENT, .state = CHECKPOINT_CONSISTENT},
         CKPT_ERR_UNSUPPORTED,
         "no agent that has one"},
        {{.tier = CHECKPOINT_TIER_PASSED, .has_persisted = true, .persisted_step = 77},
         CKPT_ERR_STEP,
         "step 77 is there"},
        {{.tier = CHECKPOINT_TIER_PASSED}, CKPT_ERR_STEP, "nothing of the run is there"},
        {{.tier = CHECKPOINT_TIER_FORGOTTEN, .has_persisted = true, .persisted_step = 77},
         CKPT_ERR_RETIRED,
         "step 77 is the newest in the tier"},
        {{.tier = CHECKPOINT_TIER_AWAITED, .state = CHECKPOINT_QUARANTINED, .reason = "two lost"},
         CKPT_ERR_QUARANTINED,
         "two lost"},
        {{.tier = CHECKPOINT_TIER_UNKNOWN, .state = CHECKPOINT_ABORTED, .reason = "no copy"},
         CKPT_ERR_ABORTED,
         "no copy"},
        {{.tier = CHECKPOINT_TIER_UNKNOWN, .state = CHECKPOINT_CONSISTENT},
         CKPT_ERR_UNSUPPORTED,
         "of before ckpt_wait_persisted"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        word = rows[i].said;
        struct fake_agent *agent = fake_agent_start(says_word);
        struct ckpt *ckpt = connect_and_save(agent);
        enum ckpt_status status = ckpt_wait_persisted(ckpt, STEP, 20000);
        refuse(ckpt, status, rows[i].wanted, rows[i].words);
        if (status == CKPT_OK) { /* remembered: nobody is asked again */
            assert_int_equal(ckpt_wait_persisted(ckpt, STEP, 0), CKPT_OK);
        }
        assert_int_equal(ckpt_wait(ckpt, STEP, 0), CKPT_OK);
        ckpt_close(&ckpt);
        fake_agent_stop(&agent);
    }
}

/* A coordinator that has nothing new to say: how many times it is asked within a time. */
static uint32_t asked;

static void counts(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    const struct message_checkpoint_info said = {.state = CHECKPOINT_CONSISTENT,
                                                 .tier = CHECKPOINT_TIER_AWAITED};
    if (connection != 0 || !save_is_consistent(agent)) {
        return;
    }
    while (fake_take_next(agent, &message)) {
        if (message.type == MESSAGE_CHECKPOINT_ASK && message.checkpoint_ask.own) {
            asked++;
            answer(agent, &message.checkpoint_ask, &said);
        }
    }
}

/* At 0, 50, 150, 350, 750, 1550 ms, or somewhat earlier: a busy machine asks less. Whoever looks
 * all the time asks no more often. */
static void test_is_asked_seldom(void **state)
{
    (void)state;
    for (uint32_t looks = 0; looks < 2; looks++) {
        asked = 0;
        struct fake_agent *agent = fake_agent_start(counts);
        struct ckpt *ckpt = connect_and_save(agent);
        uint64_t ends_ms = now_ms() + 1400;
        while (looks == 1 && now_ms() < ends_ms) {
            refuse(ckpt, ckpt_wait_persisted(ckpt, STEP, 0), CKPT_ERR_TIMEOUT, "ask again");
            (void)usleep(2000);
        }
        if (looks == 0) {
            refuse(ckpt, ckpt_wait_persisted(ckpt, STEP, 1400), CKPT_ERR_TIMEOUT,
                   "not in the tier yet");
        }
        ckpt_close(&ckpt);
        fake_agent_stop(&agent);
        assert_in_range(asked, 2, 6);
    }
}

/* The answer comes while another call reads, or while nobody does: a look finds it all the same. A
 * question that has no answer keeps its number, and the agent is lost in between. */
static void answers_late(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    const struct message_checkpoint_info said = {
        .attempt = ATTEMPT, .state = CHECKPOINT_CONSISTENT, .tier = CHECKPOINT_TIER_WHOLE};
    static uint64_t first;
    if (connection == 0) {
        if (save_is_consistent(agent) && fake_take(agent, MESSAGE_CHECKPOINT_ASK, &message)) {
            first = message.checkpoint_ask.reader;
        }
        return;
    }
    if (!fake_open_rank(agent) || !fake_take(agent, MESSAGE_CHECKPOINT_ASK, &message)) {
        return;
    }
    if (message.checkpoint_ask.reader != first) {
        fake_wrong(agent, "the number of a question without an answer has changed");
    }
    struct message_checkpoint_ask other = message.checkpoint_ask;
    other.reader += 100;
    answer(agent, &other, &(struct message_checkpoint_info){.tier = CHECKPOINT_TIER_ABSENT});
    answer(agent, &message.checkpoint_ask, &said);
    if (fake_grant(agent, 0, 1, 6, NULL)) {
        (void)fake_take(agent, MESSAGE_SEAL, &message);
    }
    (void)fake_take_end(agent);
}

static void test_looks_find_a_late_answer(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(answers_late);
    struct ckpt *ckpt = connect_and_save(agent);
    uint64_t ends_ms = now_ms() + 20000;
    while (ckpt_wait(ckpt, STEP, 0) != CKPT_OK && now_ms() < ends_ms) {
        (void)usleep(1000);
    }
    enum ckpt_status status = CKPT_ERR_TIMEOUT;
    for (uint32_t i = 0; i < 40 && status != CKPT_OK; i++) {
        status = ckpt_wait_persisted(ckpt, STEP, 0);
        (void)usleep(10000);
    }
    assert_int_equal(ckpt_save_bytes(ckpt, STEP + 1, "abc", 3), CKPT_OK);
    assert_int_equal(ckpt_wait_persisted(ckpt, STEP, 0), CKPT_OK);
    assert_string_equal(ckpt_reason(ckpt), "");
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

/* Before it is consistent it is as ckpt_wait. */
static void aborts(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (connection == 0 && fake_open_rank(agent) && fake_grant(agent, 0, 1, 5, NULL) &&
        fake_take(agent, MESSAGE_SEAL, &message)) {
        fake_outcome(agent, STEP, CKPT_ERR_NO_DOMAIN, "one node is not two domains");
        (void)fake_take_end(agent);
    }
}

static void test_never_consistent(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(aborts);
    struct ckpt *ckpt = connect_and_save(agent);
    refuse(ckpt, ckpt_wait_persisted(ckpt, STEP, 20000), CKPT_ERR_NO_DOMAIN, "two domains");
    refuse(ckpt, ckpt_wait_persisted(ckpt, STEP + 1, 20000), CKPT_ERR_NOT_FOUND, "9");
    assert_int_equal(ckpt_wait_persisted(NULL, STEP, 0), CKPT_ERR_INVALID);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_is_asked_seldom),
        cmocka_unit_test(test_looks_find_a_late_answer),
        cmocka_unit_test(test_never_consistent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
