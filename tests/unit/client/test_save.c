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
    struct ckpt *ckpt = fake_connect(agent);
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

/* The caller writes the weights, as a device would, and the library the mask. */
static void test_begin_and_end(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(happy);
    struct ckpt *ckpt = fake_connect(agent);
    struct ckpt_metadata metadata = {"format", "pt"};
    struct ckpt_tensor tensors[2] = {two_tensors[0], two_tensors[1]};
    void *addresses[2] = {NULL, NULL};
    tensors[1].data = NULL;
    assert_int_equal(ckpt_save_end(ckpt, 7), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_save_begin(ckpt, 7, tensors, 2, &metadata, 1, NULL), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_save_begin(ckpt, 7, tensors, 2, &metadata, 1, addresses), CKPT_OK);
    assert_int_equal(ckpt_save(ckpt, 8, two_tensors, 2, NULL, 0), CKPT_ERR_BUSY);
    assert_int_equal(ckpt_save_begin(ckpt, 8, tensors, 2, NULL, 0, addresses), CKPT_ERR_BUSY);
    assert_int_equal(ckpt_save_end(ckpt, 8), CKPT_ERR_INVALID);
    assert_memory_equal(addresses[0], mask, sizeof(mask));
    memcpy(addresses[1], weights, sizeof(weights));
    assert_int_equal(ckpt_save_end(ckpt, 7), CKPT_OK);
    assert_int_equal(ckpt_save_end(ckpt, 7), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_wait(ckpt, 7, 20000), CKPT_OK);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

static void cancelled(struct fake_agent *agent, uint32_t connection)
{
    struct message_slot_ask ask;
    struct message message;
    if (connection != 0 || !fake_open_rank(agent) || !fake_grant(agent, 0, 1, 5, &ask) ||
        !fake_take(agent, MESSAGE_ABANDON, &message)) {
        return;
    }
    if (message.seal.step != 7 || message.seal.slot != 0 || message.seal.generation != 5) {
        fake_wrong(agent, "another slot is given back");
    }
    if (fake_grant(agent, 0, 1, 6, &ask)) {
        (void)fake_take_end(agent);
    }
}

/* A cancelled slot goes back, and the step may be begun again. */
static void test_begin_and_cancel(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(cancelled);
    struct ckpt *ckpt = fake_connect(agent);
    void *addresses[2];
    assert_int_equal(ckpt_save_begin(ckpt, 7, two_tensors, 2, NULL, 0, addresses), CKPT_OK);
    assert_int_equal(ckpt_save_cancel(ckpt, 7), CKPT_OK);
    assert_int_equal(ckpt_save_cancel(ckpt, 7), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_save_begin(ckpt, 7, two_tensors, 2, NULL, 0, addresses), CKPT_OK);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

/* Whatever is wrong with the arguments is said before anything is asked of the agent. */
static void opens_only(struct fake_agent *agent, uint32_t connection)
{
    if (connection == 0 && fake_open_rank(agent)) {
        (void)fake_take_end(agent);
    }
}

static void refuse(struct ckpt *ckpt, enum ckpt_status status, enum ckpt_status wanted,
                   const char *words)
{
    if (status != wanted || strstr(ckpt_reason(ckpt), words) == NULL) {
        fail_msg("%s, \"%s\" instead of %s, \"%s\"", ckpt_status_name(status), ckpt_reason(ckpt),
                 ckpt_status_name(wanted), words);
    }
}

static void test_bad_tensors(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(opens_only);
    struct ckpt *ckpt = fake_connect(agent);
    char long_name[4100];
    memset(long_name, 'n', sizeof(long_name));
    long_name[4096] = '\0';
    const struct {
        struct ckpt_tensor tensor;
        enum ckpt_status wanted;
        const char *words;
    } rows[] = {
        {{NULL, CKPT_DTYPE_U8, 1, {3}, mask, 3}, CKPT_ERR_NAME, "tensor 1 has no name"},
        {{"\xc0\x80", CKPT_DTYPE_U8, 1, {3}, mask, 3}, CKPT_ERR_NAME, "tensor 1"},
        {{long_name, CKPT_DTYPE_U8, 1, {3}, mask, 3}, CKPT_ERR_NAME, "tensor 1"},
        {{"__metadata__", CKPT_DTYPE_U8, 1, {3}, mask, 3}, CKPT_ERR_NAME, "__metadata__"},
        {{"mask", CKPT_DTYPE_U8, 1, {3}, mask, 3}, CKPT_ERR_NAME, "mask"},
        {{"a", (enum ckpt_dtype)0, 1, {3}, mask, 3}, CKPT_ERR_DTYPE, "tensor a"},
        {{"a", (enum ckpt_dtype)99, 1, {3}, mask, 3}, CKPT_ERR_DTYPE, "tensor a"},
        {{"a", CKPT_DTYPE_U8, 9, {1, 1, 1, 1, 1, 1, 1, 3}, mask, 3}, CKPT_ERR_SIZE, "tensor a"},
        {{"a", CKPT_DTYPE_U8, 1, {3}, mask, 4}, CKPT_ERR_SIZE, "says 4 bytes"},
        {{"a", CKPT_DTYPE_F32, 1, {3}, mask, 3}, CKPT_ERR_SIZE, "give 12"},
        {{"a", CKPT_DTYPE_U8, 0, {0}, mask, 0}, CKPT_ERR_SIZE, "give 1"},
        {{"a", CKPT_DTYPE_F4, 1, {3}, mask, 1}, CKPT_ERR_SIZE, "tensor a"},
        {{"a", CKPT_DTYPE_U8, 1, {3}, NULL, 3}, CKPT_ERR_INVALID, "no data"},
        {{"a", CKPT_DTYPE_U8, 2, {UINT64_MAX, 2}, mask, 3}, CKPT_ERR_TOO_LARGE, "tensor a"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ckpt_tensor tensors[2] = {two_tensors[0], rows[i].tensor};
        refuse(ckpt, ckpt_save(ckpt, 1, tensors, 2, NULL, 0), rows[i].wanted, rows[i].words);
    }
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

static void test_bad_calls(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(opens_only);
    struct ckpt *ckpt = fake_connect(agent);
    const struct ckpt_metadata twice[2] = {{"k", "1"}, {"k", "2"}};
    const struct ckpt_metadata no_value = {"k", NULL};
    const struct ckpt_metadata not_utf8 = {"k", "\xff"};
    const uint8_t not_a_file[16] = {200};
    refuse(ckpt, ckpt_save(ckpt, CKPT_STEP_LATEST, two_tensors, 2, NULL, 0), CKPT_ERR_STEP,
           "CKPT_STEP_LATEST");
    refuse(ckpt, ckpt_save(ckpt, 1, NULL, 2, NULL, 0), CKPT_ERR_INVALID, "NULL");
    refuse(ckpt, ckpt_save(ckpt, 1, two_tensors, 65537, NULL, 0), CKPT_ERR_TOO_LARGE, "65537");
    refuse(ckpt, ckpt_save(ckpt, 1, two_tensors, 2, NULL, 1), CKPT_ERR_INVALID, "NULL");
    refuse(ckpt, ckpt_save(ckpt, 1, two_tensors, 2, twice, 257), CKPT_ERR_TOO_LARGE, "257");
    refuse(ckpt, ckpt_save(ckpt, 1, two_tensors, 2, twice, 2), CKPT_ERR_INVALID, "k");
    refuse(ckpt, ckpt_save(ckpt, 1, two_tensors, 2, &no_value, 1), CKPT_ERR_INVALID, "NULL");
    refuse(ckpt, ckpt_save(ckpt, 1, two_tensors, 2, &not_utf8, 1), CKPT_ERR_INVALID, "UTF-8");
    refuse(ckpt, ckpt_save_bytes(ckpt, 1, NULL, 1), CKPT_ERR_INVALID, "no data");
    refuse(ckpt, ckpt_save_shard(ckpt, 1, NULL, 100), CKPT_ERR_INVALID, "NULL");
    refuse(ckpt, ckpt_save_shard(ckpt, 1, not_a_file, 7), CKPT_ERR_CORRUPT, "safetensors");
    refuse(ckpt, ckpt_save_shard(ckpt, 1, not_a_file, 16), CKPT_ERR_CORRUPT, "safetensors");
    refuse(ckpt, ckpt_save_shard(ckpt, CKPT_STEP_LATEST, "", 1), CKPT_ERR_STEP, "LATEST");
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

static void test_reader(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(opens_only);
    struct ckpt_options options = fake_options(agent);
    options.reader = true;
    options.world = 0;
    options.rank = 99;
    struct ckpt *ckpt = NULL;
    assert_int_equal(ckpt_open(&options, &ckpt), CKPT_OK);
    refuse(ckpt, ckpt_save(ckpt, 1, two_tensors, 2, NULL, 0), CKPT_ERR_INVALID, "reader");
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

/* Each status that an agent refuses a slot with is the call's, and the next save goes on. */
static const enum ckpt_status refusals[] = {CKPT_ERR_STEP, CKPT_ERR_FULL, CKPT_ERR_TOO_LARGE,
                                            CKPT_ERR_BUSY, CKPT_ERR_ATTEMPT};
#define REFUSALS (sizeof(refusals) / sizeof(*refusals))

static void refuses_slots(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (connection != 0 || !fake_open_rank(agent)) {
        return;
    }
    for (size_t i = 0; i < REFUSALS; i++) {
        if (!fake_take(agent, MESSAGE_SLOT_ASK, &message)) {
            return;
        }
        struct message answer = {.type = MESSAGE_SLOT_GRANTED};
        answer.slot_granted.status = refusals[i];
        answer.slot_granted.step = message.slot_ask.step;
        memcpy(answer.slot_granted.reason, "so it is", 9);
        fake_send(agent, &answer, NULL, 0);
    }
    if (fake_grant(agent, 0, 1, 5, NULL) && fake_take(agent, MESSAGE_SEAL, &message)) {
        (void)fake_take_end(agent);
    }
}

static void test_refused(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(refuses_slots);
    struct ckpt *ckpt = fake_connect(agent);
    for (size_t i = 0; i < REFUSALS; i++) {
        refuse(ckpt, ckpt_save(ckpt, 1, two_tensors, 2, NULL, 0), refusals[i], "so it is");
    }
    assert_int_equal(ckpt_wait(ckpt, 1, 0), CKPT_ERR_NOT_FOUND);
    assert_int_equal(ckpt_save(ckpt, 1, two_tensors, 2, NULL, 0), CKPT_OK);
    refuse(ckpt, ckpt_save(ckpt, 1, two_tensors, 2, NULL, 0), CKPT_ERR_STEP, "not above 1");
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

/* Segments 0 and 1, the same again, 0 renewed, then 2: what is mapped, and where the bytes go. */
#define BIG_BYTES (FAKE_SEGMENT_BYTES + 1000)
static uint8_t big[BIG_BYTES];

static bool save_in(struct fake_agent *agent, uint32_t first, uint32_t count, uint64_t generation,
                    uint8_t value)
{
    struct message_slot_ask ask;
    struct message message;
    if (!fake_grant(agent, first, count, generation, &ask) ||
        !fake_take(agent, MESSAGE_SEAL, &message)) {
        return false;
    }
    uint8_t last = 0;
    fake_segment_read(agent, first + count - 1, (ask.bytes - 1) % FAKE_SEGMENT_BYTES, &last, 1);
    if (last != value) {
        fake_wrong(agent, "the shard is not in the segments that were granted last");
    }
    fake_outcome(agent, ask.step, CKPT_OK, "");
    return true;
}

static void grants_again(struct fake_agent *agent, uint32_t connection)
{
    if (connection != 0 || !fake_open_rank(agent) || !save_in(agent, 0, 2, 5, 1) ||
        !save_in(agent, 0, 2, 6, 2)) {
        return;
    }
    fake_segment_renew(agent, 0);
    fake_segment_renew(agent, 1);
    if (save_in(agent, 0, 2, 7, 3) && save_in(agent, 1, 2, 8, 4) && save_in(agent, 4, 2, 9, 5)) {
        (void)fake_take_end(agent);
    }
}

/* What a watcher has been told: which mappings are there, by generation. */
struct watched {
    struct ckpt_mapping there[16];
    uint32_t count;
    uint32_t made;
};

static void watch(void *context, const struct ckpt_mapping *mapping, bool mapped)
{
    struct watched *watched = context;
    /* There when it is said to come, and still there when it is said to go. */
    (void)*(volatile const uint8_t *)mapping->address;
    (void)*((volatile const uint8_t *)mapping->address + mapping->bytes - 1);
    if (mapped) {
        watched->made++;
        for (uint32_t i = 0; i < watched->count; i++) {
            assert_int_not_equal(watched->there[i].generation, mapping->generation);
        }
        watched->there[watched->count++] = *mapping;
        return;
    }
    for (uint32_t i = 0; i < watched->count; i++) {
        if (watched->there[i].generation == mapping->generation) {
            assert_ptr_equal(watched->there[i].address, mapping->address);
            assert_int_equal(watched->there[i].bytes, mapping->bytes);
            watched->there[i] = watched->there[--watched->count];
            return;
        }
    }
    fail_msg("a mapping goes that never came");
}

static void test_mappings(void **state)
{
    (void)state;
    uint32_t descriptors = open_descriptors();
    struct fake_agent *agent = fake_agent_start(grants_again);
    struct ckpt *ckpt = fake_connect(agent);
    struct watched watched = {0};
    assert_int_equal(ckpt_watch_mappings(NULL, watch, &watched), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_watch_mappings(ckpt, watch, &watched), CKPT_OK);
    static const uint32_t mapped[5] = {2, 2, 2, 2, 4};
    for (uint8_t step = 1; step <= 5; step++) {
        memset(big, step, sizeof(big));
        assert_int_equal(ckpt_save_bytes(ckpt, step, big, sizeof(big)), CKPT_OK);
        assert_int_equal(ckpt_wait(ckpt, step, 20000), CKPT_OK);
        assert_int_equal(mapped_segments(), mapped[step - 1]);
        assert_int_equal(watched.count, mapped[step - 1] / 2);
    }
    assert_true(watched.made >= 4); /* files were renewed under the same numbers */
    /* Who comes late is told of what is there. */
    struct watched late = {0};
    assert_int_equal(ckpt_watch_mappings(ckpt, watch, &late), CKPT_OK);
    assert_int_equal(late.count, watched.count);
    ckpt_close(&ckpt);
    assert_int_equal(late.count, 0);
    assert_int_equal(mapped_segments(), 0);
    fake_agent_stop(&agent);
    assert_int_equal(open_descriptors(), descriptors);
}

/* A whole file goes into the slot byte for byte; a shard may be empty. */
static uint8_t file_copy[8192];
static uint64_t file_bytes;

static void takes_file(struct fake_agent *agent, uint32_t connection)
{
    struct message_slot_ask ask;
    struct message message;
    if (connection != 0 || !fake_open_rank(agent) || !fake_grant(agent, 0, 1, 5, &ask) ||
        !fake_take(agent, MESSAGE_SEAL, &message)) {
        return;
    }
    file_bytes = ask.bytes;
    if (ask.bytes != 4096) {
        fake_wrong(agent, "an empty shard is its header, of 4096 bytes");
        return;
    }
    fake_segment_read(agent, 0, 0, file_copy, ask.bytes);
    fake_outcome(agent, 1, CKPT_OK, "");
    if (!fake_grant(agent, 1, 1, 6, &ask) || !fake_take(agent, MESSAGE_SEAL, &message)) {
        return;
    }
    uint8_t again[8192];
    fake_segment_read(agent, 1, 0, again, ask.bytes);
    if (ask.bytes != file_bytes || memcmp(again, file_copy, file_bytes) != 0) {
        fake_wrong(agent, "the file was not staged as it is");
    }
    fake_outcome(agent, 2, CKPT_OK, "");
    (void)fake_take_end(agent);
}

static void test_whole_file(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(takes_file);
    struct ckpt *ckpt = fake_connect(agent);
    assert_int_equal(ckpt_save(ckpt, 1, NULL, 0, NULL, 0), CKPT_OK);
    assert_int_equal(ckpt_wait(ckpt, 1, 20000), CKPT_OK);
    assert_int_equal(ckpt_save_shard(ckpt, 2, file_copy, file_bytes), CKPT_OK);
    assert_int_equal(ckpt_wait(ckpt, 2, 20000), CKPT_OK);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

/* A save gives up; its slot, granted late, is given back, and the next save gets one although the
 * agent was busy with the first. */
static void grants_late(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (connection != 0 || !fake_open_rank(agent) ||
        !fake_take(agent, MESSAGE_SLOT_ASK, &message)) {
        return;
    }
    struct message_slot_ask first = message.slot_ask;
    if (!fake_take(agent, MESSAGE_SLOT_ASK, &message)) {
        return;
    }
    struct message_slot_ask second = message.slot_ask;
    fake_answer_ask(agent, &first, CKPT_OK, 0, 1, 5);
    fake_answer_ask(agent, &second, CKPT_ERR_BUSY, 0, 0, 0);
    if (!fake_take(agent, MESSAGE_ABANDON, &message)) {
        return;
    }
    if (message.seal.step != first.step || message.seal.slot != 0 || message.seal.generation != 5) {
        fake_wrong(agent, "another slot is abandoned");
    }
    if (fake_grant(agent, 1, 1, 6, NULL) && fake_take(agent, MESSAGE_SEAL, &message)) {
        (void)fake_take_end(agent);
    }
}

static void test_late_grant(void **state)
{
    (void)state;
    uint32_t descriptors = open_descriptors();
    struct fake_agent *agent = fake_agent_start(grants_late);
    struct ckpt_options options = fake_options(agent);
    options.timeout_ms = 300;
    struct ckpt *ckpt = NULL;
    assert_int_equal(ckpt_open(&options, &ckpt), CKPT_OK);
    refuse(ckpt, ckpt_save(ckpt, 1, two_tensors, 2, NULL, 0), CKPT_ERR_NO_AGENT, "no slot");
    assert_int_equal(ckpt_wait(ckpt, 1, 0), CKPT_ERR_NOT_FOUND);
    assert_int_equal(ckpt_save(ckpt, 2, two_tensors, 2, NULL, 0), CKPT_OK);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
    assert_int_equal(open_descriptors(), descriptors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_save_and_wait),    cmocka_unit_test(test_begin_and_end),
        cmocka_unit_test(test_begin_and_cancel), cmocka_unit_test(test_bad_tensors),
        cmocka_unit_test(test_bad_calls),        cmocka_unit_test(test_reader),
        cmocka_unit_test(test_refused),          cmocka_unit_test(test_mappings),
        cmocka_unit_test(test_whole_file),       cmocka_unit_test(test_late_grant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
