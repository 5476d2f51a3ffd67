/* SPDX-License-Identifier: Apache-2.0 */
/* Saves against a scripted agent: what is asked, what lies in the slot, what comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shard/shard.h"
#include "unit/client/fake_agent.h"

static struct ckpt *open_at(struct fake_agent *agent)
{
    struct ckpt_options options = fake_options(agent);
    struct ckpt *ckpt = NULL;
    char reason[256] = "";
    enum ckpt_status status = ckpt_open_reason(&options, &ckpt, reason, sizeof(reason));
    if (status != CKPT_OK) {
        fail_msg("ckpt_open: %s: %s", ckpt_status_name(status), reason);
    }
    return ckpt;
}

static const float weights[6] = {1, 2, 3, 4, 5, 6};
static const uint8_t mask[3] = {1, 0, 1};

static const struct ckpt_tensor two_tensors[2] = {
    {"mask", CKPT_DTYPE_BOOL, 1, {3}, mask, 3},
    {"layer.0/weight", CKPT_DTYPE_F32, 2, {2, 3}, weights, sizeof(weights)},
};

static void check_two_tensors(struct fake_agent *agent, uint64_t bytes)
{
    uint8_t *file = malloc(bytes);
    struct shard_index *index = NULL;
    char reason[256] = "";
    uint64_t header_bytes;
    fake_segment_read(agent, 0, 0, file, bytes);
    if (shard_header_size(file, bytes, &header_bytes) != CKPT_OK ||
        shard_index_new(file, header_bytes, bytes, &index, reason, sizeof(reason)) != CKPT_OK) {
        fake_wrong(agent, reason);
    } else {
        const struct shard_tensor *tensor = shard_index_find(index, "layer.0/weight");
        if (tensor == NULL || memcmp(file + tensor->offset, weights, sizeof(weights)) != 0) {
            fake_wrong(agent, "layer.0/weight differs");
        }
        tensor = shard_index_find(index, "mask");
        if (tensor == NULL || memcmp(file + tensor->offset, mask, sizeof(mask)) != 0) {
            fake_wrong(agent, "mask differs");
        }
        if (shard_index_metadata_count(index) != 1) {
            fake_wrong(agent, "the metadata is not there");
        }
    }
    shard_index_delete(&index);
    free(file);
}

static void happy(struct fake_agent *agent, uint32_t connection)
{
    struct message_slot_ask ask;
    struct message message;
    if (connection != 0 || !fake_open_rank(agent) || !fake_grant(agent, 0, 1, 5, &ask) ||
        !fake_take(agent, MESSAGE_SEAL, &message)) {
        return;
    }
    if (ask.step != 7 || message.seal.step != 7 || message.seal.slot != 0 ||
        message.seal.generation != 5) {
        fake_wrong(agent, "the seal names another slot");
    }
    check_two_tensors(agent, ask.bytes);
    fake_outcome(agent, 7, CKPT_OK, "");
    (void)fake_take_end(agent);
}

static void test_save_and_wait(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(happy);
    struct ckpt *ckpt = open_at(agent);
    struct ckpt_metadata metadata = {"format", "pt"};
    assert_int_equal(ckpt_wait(ckpt, 7, 0), CKPT_ERR_NOT_FOUND);
    assert_int_equal(ckpt_save(ckpt, 7, two_tensors, 2, &metadata, 1), CKPT_OK);
    assert_int_equal(ckpt_wait(ckpt, 7, 20000), CKPT_OK);
    assert_int_equal(ckpt_wait(ckpt, 7, 0), CKPT_OK);
    assert_string_equal(ckpt_reason(ckpt), "");
    ckpt_close(&ckpt);
    assert_null(ckpt);
    fake_agent_stop(&agent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_save_and_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
