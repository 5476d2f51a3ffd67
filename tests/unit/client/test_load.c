/* SPDX-License-Identifier: Apache-2.0 */
/* Loads against a scripted agent: the mapping, its tensors, and what a false answer costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_save_then_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
