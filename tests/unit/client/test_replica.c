/* SPDX-License-Identifier: Apache-2.0 */
/* What a rank says of state that it holds alike with others, and which seal it rides with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/client/fake_agent.h"

static const float weights[6] = {1, 2, 3, 4, 5, 6};
static const struct ckpt_tensor tensor = {"w", CKPT_DTYPE_F32, 1, {6}, weights, sizeof(weights)};
static const struct ckpt_replica word = {0, 5, 0x1234567890abcdefu};

/* Step 7 was spoken of; 8 was spoken of and then 9 saved; 10 was not. */
static void listens(struct fake_agent *agent, uint32_t connection)
{
    static const struct {
        uint64_t step;
        bool said;
    } expected[] = {{7, true}, {9, false}, {10, false}};
    struct message message;
    if (connection != 0 || !fake_open_rank(agent)) {
        return;
    }
    for (uint32_t i = 0; i < 3; i++) {
        if (!fake_grant(agent, 0, 1, 5 + i, NULL) || !fake_take(agent, MESSAGE_SEAL, &message)) {
            return;
        }
        const struct message_seal *seal = &message.seal;
        if (seal->step != expected[i].step || seal->replica_said != expected[i].said) {
            fake_wrong(agent, "a seal says of another step what was said");
        }
        if (seal->replica_said && (seal->replica_leader != 0 || seal->replica_part != 5 ||
                                   seal->replica_value != word.value)) {
            fake_wrong(agent, "a seal says something else");
        }
    }
    (void)fake_take_end(agent);
}

static void test_it_rides_with_its_seal(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(listens);
    struct ckpt *ckpt = fake_connect(agent);
    assert_int_equal(ckpt_save_replica(ckpt, 7, &word), CKPT_OK);
    assert_int_equal(ckpt_save(ckpt, 7, &tensor, 1, NULL, 0), CKPT_OK);
    assert_int_equal(ckpt_save_replica(ckpt, 8, &word), CKPT_OK);
    assert_int_equal(ckpt_save(ckpt, 9, &tensor, 1, NULL, 0), CKPT_OK);
    assert_int_equal(ckpt_save(ckpt, 10, &tensor, 1, NULL, 0), CKPT_OK);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

static void only_opens(struct fake_agent *agent, uint32_t connection)
{
    if (connection == 0 && fake_open_rank(agent)) {
        (void)fake_take_end(agent);
    }
}

static void test_bad_words(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(only_opens);
    struct ckpt *ckpt = fake_connect(agent);
    struct ckpt_replica above = word;
    above.leader = 60000;
    assert_int_equal(ckpt_save_replica(NULL, 7, &word), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_save_replica(ckpt, 7, NULL), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_save_replica(ckpt, CKPT_STEP_LATEST, &word), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_save_replica(ckpt, 7, &above), CKPT_ERR_RANK);
    assert_non_null(strstr(ckpt_reason(ckpt), "60000"));
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

/* However the bytes are cut, the value is theirs; the known one is XXH3's own of no bytes. */
static void test_values(void **state)
{
    (void)state;
    enum { BYTES = 100000 };
    uint8_t *bytes = malloc(BYTES);
    for (size_t i = 0; i < BYTES; i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 7);
    }
    const struct ckpt_piece whole = {bytes, BYTES};
    const struct ckpt_piece cut[4] = {
        {bytes, 1}, {NULL, 0}, {bytes + 1, 777}, {bytes + 778, BYTES - 778}};
    uint64_t value = ckpt_replica_value(&whole, 1, 9);
    assert_true(value == ckpt_replica_value(cut, 4, 9));
    assert_true(value != ckpt_replica_value(&whole, 1, 10));
    for (size_t i = 0; i < BYTES; i += 997) {
        bytes[i] ^= 1;
        assert_true(value != ckpt_replica_value(&whole, 1, 9));
        bytes[i] ^= 1;
    }
    assert_true(ckpt_replica_value(NULL, 0, 0) == UINT64_C(0x2d06800538d394c2));
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_rides_with_its_seal),
        cmocka_unit_test(test_bad_words),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
