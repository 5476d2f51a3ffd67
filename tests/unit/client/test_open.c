/* SPDX-License-Identifier: Apache-2.0 */
/* ckpt_open: what is refused before anything is asked, what the agent refuses, and no agent. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/client/fake_agent.h"
#include "wire/frame.h"

static void never(struct fake_agent *agent, uint32_t connection)
{
    (void)connection;
    fake_wrong(agent, "bad options reached the agent");
}

/* Opens, which must fail with `wanted` and say `words`; the output stays as it was. */
static void refuse(const struct ckpt_options *options, enum ckpt_status wanted, const char *words)
{
    struct ckpt *ckpt;
    char reason[300] = "";
    fake_fill(&ckpt);
    enum ckpt_status status = ckpt_open_reason(options, &ckpt, reason, sizeof(reason));
    if (status != wanted || strstr(reason, words) == NULL || strchr(reason, '\n') != NULL) {
        fail_msg("%s, \"%s\" instead of %s, \"%s\"", ckpt_status_name(status), reason,
                 ckpt_status_name(wanted), words);
    }
    fake_assert_untouched(&ckpt);
    assert_int_equal(ckpt_open(options, &ckpt), wanted);
    fake_assert_untouched(&ckpt);
}

static void test_bad_options(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(never);
    uint32_t descriptors = open_descriptors();
    struct ckpt_options good = fake_options(agent);
    struct ckpt_options options = good;
    char long_path[200];
    char long_run[200];
    memset(long_path, 'x', sizeof(long_path));
    long_path[sizeof(long_path) - 1] = '\0';
    memcpy(long_run, long_path, sizeof(long_run));
    long_run[128] = '\0';
    refuse(NULL, CKPT_ERR_INVALID, "options");
    options.size = 4;
    refuse(&options, CKPT_ERR_INVALID, "options.size");
    options = good;
    options.world = 0;
    refuse(&options, CKPT_ERR_INVALID, "world is 0");
    options.world = 65537;
    refuse(&options, CKPT_ERR_INVALID, "65537");
    options = good;
    options.rank = 4;
    refuse(&options, CKPT_ERR_RANK, "rank 4 is outside the world of 4");
    options = good;
    options.copies = 5;
    refuse(&options, CKPT_ERR_INVALID, "5 copies");
    options = good;
    options.run = NULL;
    refuse(&options, CKPT_ERR_NAME, "run's name");
    options.run = "";
    refuse(&options, CKPT_ERR_NAME, "run's name");
    options.run = "a b";
    refuse(&options, CKPT_ERR_NAME, "run's name");
    options.run = "../x";
    refuse(&options, CKPT_ERR_NAME, "run's name");
    options.run = long_run;
    refuse(&options, CKPT_ERR_NAME, "run's name");
    options = good;
    options.socket = long_path;
    refuse(&options, CKPT_ERR_INVALID, "socket");
    assert_int_equal(ckpt_open(&good, NULL), CKPT_ERR_INVALID);
    assert_int_equal(open_descriptors(), descriptors);
    fake_agent_stop(&agent);
}

static void test_no_agent(void **state)
{
    (void)state;
    struct ckpt_options options = {
        .size = sizeof(options), .run = "r", .world = 1, .socket = "/tmp/there/is/no/agent.sock"};
    uint32_t descriptors = open_descriptors();
    refuse(&options, CKPT_ERR_NO_AGENT, "/tmp/there/is/no/agent.sock");
    options.socket = NULL;
    assert_int_equal(setenv("CKPT_SOCKET", "/tmp/nor/here.sock", 1), 0);
    refuse(&options, CKPT_ERR_NO_AGENT, "/tmp/nor/here.sock");
    assert_int_equal(unsetenv("CKPT_SOCKET"), 0);
    assert_int_equal(open_descriptors(), descriptors);
}

/* Each status that an agent answers RANK_OPEN with is the call's, with the agent's reason. */
static enum ckpt_status refusal;
static void refuse_rank(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    (void)connection;
    if (!fake_take(agent, MESSAGE_RANK_OPEN, &message)) {
        return;
    }
    if (strcmp(message.rank_open.run, "tests/fake") != 0 || message.rank_open.attempt != 3 ||
        message.rank_open.rank != 1 || message.rank_open.world != 4 ||
        message.rank_open.copies != 2 || message.rank_open.reader) {
        fake_wrong(agent, "RANK_OPEN does not say what the options say");
    }
    struct message answer = {.type = MESSAGE_RANK_OPENED};
    answer.rank_opened.status = refusal;
    (void)snprintf(answer.rank_opened.reason, sizeof(answer.rank_opened.reason), "because");
    fake_send(agent, &answer, NULL, 0);
    (void)fake_take_end(agent);
}

static void test_refused(void **state)
{
    (void)state;
    static const enum ckpt_status all[] = {CKPT_ERR_RANK,    CKPT_ERR_WORLD, CKPT_ERR_ATTEMPT,
                                           CKPT_ERR_VERSION, CKPT_ERR_FULL,  CKPT_ERR_NAME};
    uint32_t descriptors = open_descriptors();
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        refusal = all[i];
        struct fake_agent *agent = fake_agent_start(refuse_rank);
        struct ckpt_options options = fake_options(agent);
        refuse(&options, all[i], "because");
        fake_agent_stop(&agent);
    }
    assert_int_equal(open_descriptors(), descriptors);
}

enum oddity { SILENT, HANGS_UP, GARBAGE, OTHER_VERSION, NO_SEGMENTS, WRONG_TYPE, HALF_A_FRAME };
static enum oddity oddity;

static void be_odd(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    static const char garbage[64] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    (void)connection;
    if (!fake_take(agent, MESSAGE_RANK_OPEN, &message)) {
        return;
    }
    struct message answer = {.type = MESSAGE_RANK_OPENED};
    uint8_t frame[FRAME_HEADER_BYTES];
    struct frame_header header = {.version = 77, .type = MESSAGE_RANK_OPENED};
    switch (oddity) {
    case SILENT:
        break;
    case HANGS_UP:
        return;
    case GARBAGE:
        fake_send_bytes(agent, garbage, sizeof(garbage));
        break;
    case OTHER_VERSION:
        (void)frame_encode_header(&header, NULL, frame);
        fake_send_bytes(agent, frame, sizeof(frame));
        break;
    case NO_SEGMENTS:
        answer.rank_opened.segment_bytes = FAKE_SEGMENT_BYTES + 1;
        fake_send(agent, &answer, NULL, 0);
        break;
    case WRONG_TYPE:
        answer.type = MESSAGE_LEASE;
        fake_send(agent, &answer, NULL, 0);
        break;
    case HALF_A_FRAME:
        header.version = WIRE_PROTOCOL_VERSION;
        header.body_bytes = 0;
        (void)frame_encode_header(&header, NULL, frame);
        fake_send_bytes(agent, frame, sizeof(frame) / 2);
        break;
    }
    (void)fake_take_end(agent);
}

static void test_odd_agents(void **state)
{
    (void)state;
    static const struct {
        enum oddity oddity;
        enum ckpt_status wanted;
        const char *words;
    } rows[] = {
        {SILENT, CKPT_ERR_NO_AGENT, "does not answer"},
        {HANGS_UP, CKPT_ERR_NO_AGENT, "agent"},
        {GARBAGE, CKPT_ERR_PROTOCOL, "not its protocol"},
        {OTHER_VERSION, CKPT_ERR_VERSION, "different versions"},
        {NO_SEGMENTS, CKPT_ERR_PROTOCOL, "segments"},
        {WRONG_TYPE, CKPT_ERR_PROTOCOL, "no agent sends"},
        {HALF_A_FRAME, CKPT_ERR_NO_AGENT, "does not answer"},
    };
    uint32_t descriptors = open_descriptors();
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        oddity = rows[i].oddity;
        struct fake_agent *agent = fake_agent_start(be_odd);
        struct ckpt_options options = fake_options(agent);
        options.timeout_ms = 200;
        refuse(&options, rows[i].wanted, rows[i].words);
        fake_agent_stop(&agent);
    }
    assert_int_equal(open_descriptors(), descriptors);
}

static void open_only(struct fake_agent *agent, uint32_t connection)
{
    (void)connection;
    if (fake_open_rank(agent)) {
        (void)fake_take_end(agent);
    }
}

/* A child of fork() may close and nothing else, and the parent goes on. */
static void test_fork(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(open_only);
    struct ckpt *ckpt = fake_connect(agent);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct ckpt_info info;
        bool good = ckpt_save_bytes(ckpt, 1, "x", 1) == CKPT_ERR_INVALID &&
                    ckpt_wait(ckpt, 1, 0) == CKPT_ERR_INVALID &&
                    ckpt_info(ckpt, 1, &info) == CKPT_ERR_INVALID &&
                    strstr(ckpt_reason(ckpt), "fork") != NULL;
        ckpt_close(&ckpt);
        _exit(good && ckpt == NULL ? 0 : 1);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    assert_int_equal(ckpt_wait(ckpt, 1, 0), CKPT_ERR_NOT_FOUND);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

static atomic_bool connection_ended;

static void open_and_see_the_end(struct fake_agent *agent, uint32_t connection)
{
    open_only(agent, connection);
    atomic_store(&connection_ended, true);
}

/* The agent sees the end of the parent's connection, though a child of it lives on. */
static void test_fork_keeps_no_connection(void **state)
{
    (void)state;
    int lives[2];
    struct fake_agent *agent = fake_agent_start(open_and_see_the_end);
    struct ckpt *ckpt = fake_connect(agent);
    atomic_store(&connection_ended, false);
    assert_int_equal(pipe(lives), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char byte;
        (void)close(lives[1]);
        _exit(read(lives[0], &byte, 1) == 0 ? 0 : 1); /* until the parent lets go */
    }
    (void)close(lives[0]);
    ckpt_close(&ckpt);
    for (uint32_t i = 0; i < 1000 && !atomic_load(&connection_ended); i++) {
        (void)poll(NULL, 0, 10);
    }
    assert_true(atomic_load(&connection_ended));
    fake_agent_stop(&agent);
    (void)close(lives[1]);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

static void test_nulls(void **state)
{
    (void)state;
    struct ckpt *none = NULL;
    struct ckpt_shard shard = {0};
    struct ckpt_tensor tensor;
    struct ckpt_info info;
    fake_fill(&tensor);
    fake_fill(&info);
    ckpt_close(NULL);
    ckpt_close(&none);
    ckpt_unload(NULL, &shard);
    ckpt_unload(NULL, NULL);
    assert_string_equal(ckpt_reason(NULL), "");
    assert_int_equal(ckpt_save(NULL, 1, NULL, 0, NULL, 0), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_save_bytes(NULL, 1, "x", 1), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_save_shard(NULL, 1, "x", 1), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_wait(NULL, 1, 0), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_info(NULL, 1, &info), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_load(NULL, 1, 0, &shard), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_fetch(NULL, 1, 0, 0, &shard), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_find(&shard, "x", &tensor), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_tensor_at(&shard, 0, &tensor), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_read(&shard, "x", 0, 1, &tensor), CKPT_ERR_INVALID);
    fake_assert_untouched(&tensor);
    fake_assert_untouched(&info);
    assert_true(strlen(ckpt_version()) >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_options), cmocka_unit_test(test_no_agent),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_odd_agents),
        cmocka_unit_test(test_fork),        cmocka_unit_test(test_fork_keeps_no_connection),
        cmocka_unit_test(test_nulls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
