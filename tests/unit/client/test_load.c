/* SPDX-License-Identifier: Apache-2.0 */
/* Loads against a scripted agent: the mapping, its tensors, and what a false answer costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/look.h"
#include "shard/shard.h"
#include "unit/client/fake_agent.h"

#define VALUES 1500000 /* more than two segments of floats */

static float values[VALUES];

static void fill(void)
{
    for (uint32_t i = 0; i < VALUES; i++) {
        values[i] = (float)i;
    }
}

/* What a rank saves into segments 0.. is what it loads. */
static void save_then_load(struct fake_agent *agent, uint32_t connection)
{
    struct message_slot_ask slot_ask;
    struct message_load_ask load_ask;
    struct message message;
    if (connection != 0 || !fake_open_rank(agent) || !fake_grant(agent, 0, 3, 5, &slot_ask) ||
        !fake_take(agent, MESSAGE_SEAL, &message) ||
        !fake_load(agent, 0, 40, slot_ask.bytes, &load_ask)) {
        return;
    }
    if (!load_ask.collective || load_ask.load != 1 || load_ask.rank != 1 ||
        load_ask.step != CKPT_STEP_LATEST) {
        fake_wrong(agent, "the collective load asks for something else");
    }
    if (!fake_take(agent, MESSAGE_RELEASE, &message)) {
        return;
    }
    if (message.release.slot != 0 || message.release.generation != 9) {
        fake_wrong(agent, "another slot is released");
    }
    if (!fake_load(agent, 0, 40, slot_ask.bytes, &load_ask)) {
        return;
    }
    if (load_ask.collective || load_ask.rank != 3 || load_ask.step != 40) {
        fake_wrong(agent, "the fetch asks for something else");
    }
    (void)fake_take_end(agent); /* ckpt_close releases by its end */
}

static void check_shard(const struct ckpt_shard *shard, uint32_t rank)
{
    uint8_t digest[32];
    memset(digest, 0xd1, sizeof(digest));
    assert_int_equal(shard->step, 40);
    assert_int_equal(shard->attempt, 2);
    assert_int_equal(shard->rank, rank);
    assert_int_equal(shard->world, 4);
    assert_int_equal(shard->tensor_count, 2);
    assert_memory_equal(shard->digest, digest, sizeof(digest));
    assert_int_equal(shard->digest_kind, rank == 3 ? CKPT_DIGEST_FINGERPRINT : CKPT_DIGEST_BLAKE3);
    struct ckpt_tensor tensor;
    assert_int_equal(ckpt_find(shard, "values", &tensor), CKPT_OK);
    assert_string_equal(tensor.name, "values");
    assert_int_equal(tensor.dtype, CKPT_DTYPE_F32);
    assert_int_equal(tensor.dimensions, 1);
    assert_int_equal(tensor.shape[0], VALUES);
    assert_int_equal(tensor.bytes, sizeof(values));
    assert_memory_equal(tensor.data, values, sizeof(values));
    assert_int_equal(ckpt_find(shard, "value", &tensor), CKPT_ERR_NOT_FOUND);
    assert_int_equal(ckpt_tensor_at(shard, 1, &tensor), CKPT_OK);
    assert_string_equal(tensor.name, "steps");
    assert_int_equal(tensor.dimensions, 0);
    assert_int_equal(ckpt_tensor_at(shard, 2, &tensor), CKPT_ERR_NOT_FOUND);
    float two[2] = {0, 0};
    assert_int_equal(ckpt_read(shard, "values", 4 * 1000, 8, two), CKPT_OK);
    assert_true(two[0] == 1000 && two[1] == 1001);
    assert_int_equal(ckpt_read(shard, "values", sizeof(values) - 4, 8, two), CKPT_ERR_SIZE);
    assert_int_equal(ckpt_read(shard, "values", sizeof(values), 0, NULL), CKPT_OK);
    assert_int_equal(ckpt_read(shard, "values", UINT64_MAX, 2, two), CKPT_ERR_SIZE);
    assert_int_equal(ckpt_read(shard, "none", 0, 1, two), CKPT_ERR_NOT_FOUND);
}

static void test_save_then_load(void **state)
{
    (void)state;
    fill();
    uint8_t steps = 40;
    const struct ckpt_tensor tensors[2] = {
        {"steps", CKPT_DTYPE_U8, 0, {0}, &steps, 1},
        {"values", CKPT_DTYPE_F32, 1, {VALUES}, values, sizeof(values)},
    };
    uint32_t descriptors = open_descriptors();
    struct fake_agent *agent = fake_agent_start(save_then_load);
    struct ckpt *ckpt = fake_connect(agent);
    assert_int_equal(ckpt_save(ckpt, 40, tensors, 2, NULL, 0), CKPT_OK);
    struct ckpt_shard shard;
    assert_int_equal(ckpt_load(ckpt, CKPT_STEP_LATEST, 20000, &shard), CKPT_OK);
    check_shard(&shard, 1);
    ckpt_unload(ckpt, &shard);
    assert_null(shard.data);
    assert_null(shard.private_state);
    ckpt_unload(ckpt, &shard);
    assert_int_equal(ckpt_fetch(ckpt, 40, 3, 20000, &shard), CKPT_OK);
    check_shard(&shard, 3);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
    assert_int_equal(open_descriptors(), descriptors);
}

static void refuse(struct ckpt *ckpt, enum ckpt_status status, enum ckpt_status wanted,
                   const char *words)
{
    if (status != wanted || strstr(ckpt_reason(ckpt), words) == NULL) {
        fail_msg("%s, \"%s\" instead of %s, \"%s\"", ckpt_status_name(status), ckpt_reason(ckpt),
                 ckpt_status_name(wanted), words);
    }
}

/* Each status of a verdict is the call's; loads and fetches are counted apart, failed ones too. */
static const enum ckpt_status verdicts[] = {
    CKPT_ERR_NO_CHECKPOINT, CKPT_ERR_WORLD,   CKPT_ERR_LOST,    CKPT_ERR_NOT_FOUND,
    CKPT_ERR_QUARANTINED,   CKPT_ERR_RETIRED, CKPT_ERR_TIMEOUT, CKPT_ERR_FULL,
};
#define VERDICTS (sizeof(verdicts) / sizeof(*verdicts))

static void refuses(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (connection != 0 || !fake_open_rank(agent)) {
        return;
    }
    for (uint32_t i = 0; i < 2 * VERDICTS; i++) {
        if (!fake_take(agent, MESSAGE_LOAD_ASK, &message)) {
            return;
        }
        uint32_t number = i / 2 + 1;
        if (message.load_ask.load != (i % 2 == 0 ? number : (UINT32_C(0x80000000) | number)) ||
            message.load_ask.collective != (i % 2 == 0)) {
            fake_wrong(agent, "loads are not counted");
        }
        struct message answer = {.type = MESSAGE_LOADED};
        answer.loaded.load = message.load_ask.load;
        answer.loaded.status = verdicts[i / 2];
        memcpy(answer.loaded.reason, "it is so", 9);
        fake_send(agent, &answer, NULL, 0);
    }
    (void)fake_take_end(agent);
}

static void test_verdicts(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(refuses);
    struct ckpt *ckpt = fake_connect(agent);
    struct ckpt_shard shard;
    fake_fill(&shard);
    for (size_t i = 0; i < VERDICTS; i++) {
        refuse(ckpt, ckpt_load(ckpt, 5, 20000, &shard), verdicts[i], "it is so");
        refuse(ckpt, ckpt_fetch(ckpt, 5, 2, 20000, &shard), verdicts[i], "it is so");
        fake_assert_untouched(&shard);
    }
    refuse(ckpt, ckpt_load(ckpt, 5, 20000, NULL), CKPT_ERR_INVALID, "NULL");
    refuse(ckpt, ckpt_fetch(ckpt, 5, 2, 20000, NULL), CKPT_ERR_INVALID, "NULL");
    refuse(ckpt, ckpt_fetch(ckpt, 5, 65536, 20000, &shard), CKPT_ERR_RANK, "65536");
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

/* The agent is lost while it is asked: the next one is asked the same. */
static void is_lost(struct fake_agent *agent, uint32_t connection)
{
    struct message_slot_ask slot_ask;
    struct message_load_ask load_ask;
    struct message message;
    static uint64_t bytes;
    if (!fake_open_rank(agent)) {
        return;
    }
    if (connection == 0) {
        if (fake_grant(agent, 0, 1, 5, &slot_ask) && fake_take(agent, MESSAGE_SEAL, &message)) {
            bytes = slot_ask.bytes;
            (void)fake_take(agent, MESSAGE_LOAD_ASK, &message);
        }
        return;
    }
    if (!fake_load(agent, 0, 40, bytes, &load_ask)) {
        return;
    }
    if (load_ask.load != 1) {
        fake_wrong(agent, "the repeated ask has another number");
    }
    (void)fake_take_end(agent);
}

static void test_asks_again(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(is_lost);
    struct ckpt *ckpt = fake_connect(agent);
    struct ckpt_shard shard;
    assert_int_equal(ckpt_save_bytes(ckpt, 40, "abc", 3), CKPT_OK);
    assert_int_equal(ckpt_load(ckpt, CKPT_STEP_LATEST, 20000, &shard), CKPT_OK);
    struct ckpt_tensor tensor;
    assert_int_equal(ckpt_find(&shard, "bytes", &tensor), CKPT_OK);
    assert_memory_equal(tensor.data, "abc", 3);
    /* Nothing writes to it. */
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    uint32_t writable = 0;
    uint32_t read_only = 0;
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps) != NULL) {
        if (strstr(line, "memfd:segment") != NULL) {
            read_only += strstr(line, " r--s ") != NULL;
            writable += strstr(line, " rw-s ") != NULL;
        }
    }
    (void)fclose(maps);
    assert_int_equal(read_only, 1);
    assert_int_equal(writable, 1); /* the slot of the save, kept for the next */
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

/* A shard that arrives after its call gave up is given back. */
static void loads_late(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (connection != 0 || !fake_open_rank(agent) ||
        !fake_take(agent, MESSAGE_LOAD_ASK, &message)) {
        return;
    }
    struct message_load_ask late = message.load_ask;
    if (!fake_take(agent, MESSAGE_CHECKPOINT_ASK, &message)) {
        return;
    }
    uint64_t question = message.checkpoint_ask.reader;
    struct message answer = fake_loaded(&late, 0, 5, 100);
    fake_send_loaded(agent, &answer, 0, 1);
    if (!fake_take(agent, MESSAGE_RELEASE, &message)) {
        return;
    }
    answer = (struct message){.type = MESSAGE_CHECKPOINT_INFO};
    answer.checkpoint_info.reader = question;
    answer.checkpoint_info.state = CHECKPOINT_CONSISTENT;
    answer.checkpoint_info.step = 5;
    answer.checkpoint_info.attempt = 2;
    answer.checkpoint_info.world = 4;
    answer.checkpoint_info.copies = 3;
    answer.checkpoint_info.bytes = 12345;
    fake_send(agent, &answer, NULL, 0);
    (void)fake_take_end(agent);
}

static void test_late_load_and_info(void **state)
{
    (void)state;
    uint32_t descriptors = open_descriptors();
    struct fake_agent *agent = fake_agent_start(loads_late);
    struct ckpt *ckpt = fake_connect(agent);
    struct ckpt_shard shard;
    struct ckpt_info info;
    fake_fill(&shard);
    refuse(ckpt, ckpt_load(ckpt, 5, 100, &shard), CKPT_ERR_TIMEOUT, "verdict");
    fake_assert_untouched(&shard);
    refuse(ckpt, ckpt_info(ckpt, 5, NULL), CKPT_ERR_INVALID, "NULL");
    assert_int_equal(ckpt_info(ckpt, 5, &info), CKPT_OK);
    assert_int_equal(info.step, 5);
    assert_int_equal(info.attempt, 2);
    assert_int_equal(info.world, 4);
    assert_int_equal(info.copies, 3);
    assert_int_equal(info.bytes, 12345);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
    assert_int_equal(open_descriptors(), descriptors);
}

/* What the coordinator says of a step that is not consistent. */
static const struct {
    enum checkpoint_state state;
    enum ckpt_status status;
    enum ckpt_status wanted;
} infos[] = {
    {CHECKPOINT_NONE, CKPT_ERR_NOT_FOUND, CKPT_ERR_NOT_FOUND},
    {CHECKPOINT_NONE, CKPT_ERR_NO_CHECKPOINT, CKPT_ERR_NO_CHECKPOINT},
    {CHECKPOINT_NONE, CKPT_ERR_NO_COORDINATOR, CKPT_ERR_NO_COORDINATOR},
    {CHECKPOINT_VERIFYING, CKPT_OK, CKPT_ERR_NOT_FOUND},
    {CHECKPOINT_ABORTED, CKPT_OK, CKPT_ERR_ABORTED},
    {CHECKPOINT_RETIRED, CKPT_OK, CKPT_ERR_RETIRED},
    {CHECKPOINT_QUARANTINED, CKPT_ERR_QUARANTINED, CKPT_ERR_QUARANTINED},
    {CHECKPOINT_QUARANTINED, CKPT_OK, CKPT_ERR_QUARANTINED},
};
#define INFOS (sizeof(infos) / sizeof(*infos))

static void informs(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (connection != 0 || !fake_open_rank(agent)) {
        return;
    }
    for (size_t i = 0; i < INFOS; i++) {
        if (!fake_take(agent, MESSAGE_CHECKPOINT_ASK, &message)) {
            return;
        }
        struct message answer = {.type = MESSAGE_CHECKPOINT_INFO};
        answer.checkpoint_info.reader = message.checkpoint_ask.reader;
        answer.checkpoint_info.step = 5;
        answer.checkpoint_info.state = infos[i].state;
        answer.checkpoint_info.status = infos[i].status;
        fake_send(agent, &answer, NULL, 0);
    }
    (void)fake_take_end(agent);
}

static void test_infos(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(informs);
    struct ckpt *ckpt = fake_connect(agent);
    struct ckpt_info info;
    fake_fill(&info);
    for (size_t i = 0; i < INFOS; i++) {
        refuse(ckpt, ckpt_info(ckpt, 5, &info), infos[i].wanted, "checkpoint");
        fake_assert_untouched(&info);
    }
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

/* What the coordinator says of a run, and what import makes of it. */
static const struct {
    struct message_checkpoint_info said;
    enum ckpt_status wanted;
    struct client_run run;
} looks[] = {
    {{.status = CKPT_ERR_NO_CHECKPOINT}, CKPT_OK, {.attempt = 0}},
    {{.status = CKPT_ERR_NO_CHECKPOINT, .run_attempt = 3, .run_live = 2},
     CKPT_OK,
     {.attempt = 3, .live = 2}},
    {{.state = CHECKPOINT_CONSISTENT, .step = 7, .attempt = 2, .run_attempt = 4},
     CKPT_OK,
     {.has_latest = true, .latest = 7, .latest_attempt = 2, .attempt = 4}},
    {{.status = CKPT_ERR_NO_COORDINATOR}, CKPT_ERR_NO_COORDINATOR, {.attempt = 0}},
    {{.status = CKPT_ERR_TIMEOUT}, CKPT_ERR_TIMEOUT, {.attempt = 0}},
};
#define LOOKS (sizeof(looks) / sizeof(*looks))

static void tells_of_runs(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (connection != 0 || !fake_open_rank(agent)) {
        return;
    }
    for (size_t i = 0; i < LOOKS; i++) {
        if (!fake_take(agent, MESSAGE_CHECKPOINT_ASK, &message)) {
            return;
        }
        struct message answer = {.type = MESSAGE_CHECKPOINT_INFO};
        answer.checkpoint_info = looks[i].said;
        answer.checkpoint_info.reader = message.checkpoint_ask.reader;
        fake_send(agent, &answer, NULL, 0);
    }
    (void)fake_take_end(agent);
}

static void test_looks(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(tells_of_runs);
    struct ckpt *ckpt = fake_connect(agent);
    for (size_t i = 0; i < LOOKS; i++) {
        struct client_run run = {.attempt = 99};
        assert_int_equal(client_run_look(ckpt, &run), looks[i].wanted);
        if (looks[i].wanted != CKPT_OK) {
            assert_int_equal(run.attempt, 99);
            continue;
        }
        assert_int_equal(run.has_latest, looks[i].run.has_latest);
        assert_int_equal(run.latest, looks[i].run.latest);
        assert_int_equal(run.latest_attempt, looks[i].run.latest_attempt);
        assert_int_equal(run.attempt, looks[i].run.attempt);
        assert_int_equal(run.live, looks[i].run.live);
    }
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_save_then_load), cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_asks_again),     cmocka_unit_test(test_late_load_and_info),
        cmocka_unit_test(test_infos),          cmocka_unit_test(test_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
