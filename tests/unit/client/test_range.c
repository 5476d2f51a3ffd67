/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of shards against a scripted agent that proves what was asked for and nothing else: all
 * other bytes of the memory that it lends are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "unit/client/fake_agent.h"
#include "wire/message_codec.h"

#define CHUNK CKPT_CHUNK_BYTES
#define VALUES 1500000 /* more than two segments of floats */
#define ROOM (FAKE_SEGMENTS * FAKE_SEGMENT_BYTES)
#define STEP 40
#define ASKS_MAX 32

/* How the agent is, and what it heard. */
static enum digest_kind kind;
static atomic_bool lends_parts;
static atomic_bool proves_whole; /* and says so */
static uint8_t digests[2];       /* of the first so many asks, and of those after */
static uint32_t first_asks;
static uint64_t shard_bytes;
static uint8_t image[ROOM];
static struct message_load_ask asks[ASKS_MAX];
static uint32_t ask_count;
static uint32_t segments;

static float values[VALUES];

static bool stage(struct fake_agent *agent)
{
    struct message message;
    if (!fake_take(agent, MESSAGE_SLOT_ASK, &message)) {
        return false;
    }
    struct message_slot_ask ask = message.slot_ask;
    shard_bytes = ask.bytes;
    segments = (uint32_t)((ask.bytes + FAKE_SEGMENT_BYTES - 1) / FAKE_SEGMENT_BYTES);
    fake_answer_ask(agent, &ask, CKPT_OK, 0, segments, 5);
    if (!fake_take(agent, MESSAGE_SEAL, &message)) {
        return false;
    }
    for (uint32_t i = 0; i < segments; i++) {
        fake_segment_read(agent, i, 0, image + i * FAKE_SEGMENT_BYTES, FAKE_SEGMENT_BYTES);
    }
    return true;
}

/* What lies from `first` on of the shard is lent. */
static void put(struct fake_agent *agent, const uint8_t *from, uint64_t begin, uint64_t end,
                uint64_t first)
{
    for (uint64_t at = begin; at < end;) {
        uint64_t place = at - first;
        uint64_t left = FAKE_SEGMENT_BYTES - place % FAKE_SEGMENT_BYTES;
        uint64_t now = end - at < left ? end - at : left;
        fake_segment_write(agent, (uint32_t)(place / FAKE_SEGMENT_BYTES),
                           place % FAKE_SEGMENT_BYTES, from + at, now);
        at += now;
    }
}

static void set_part(struct message_loaded *loaded, const struct message_load_ask *ask)
{
    uint64_t end = ask->range_offset + ask->range_bytes;
    uint64_t last = (end + CHUNK - 1) / CHUNK * CHUNK;
    loaded->range_offset = ask->range_offset / CHUNK * CHUNK;
    loaded->shard_bytes = shard_bytes;
    loaded->bytes = (last < shard_bytes ? last : shard_bytes) - loaded->range_offset;
    loaded->segment_count =
        (uint32_t)((loaded->bytes + FAKE_SEGMENT_BYTES - 1) / FAKE_SEGMENT_BYTES);
}

static void answer(struct fake_agent *agent, const struct message_load_ask *ask)
{
    static const uint8_t wrong[ROOM] = {0};
    bool is_whole = proves_whole || kind != DIGEST_KIND_FINGERPRINT;
    struct message message =
        fake_loaded(ask, 0, ask->step == CKPT_STEP_LATEST ? STEP : ask->step, shard_bytes);
    message.loaded.digest_kind = kind;
    message.loaded.whole = proves_whole;
    memset(message.loaded.digest.bytes, digests[ask_count > first_asks],
           sizeof(message.loaded.digest.bytes));
    uint64_t end = ask->range_offset + ask->range_bytes;
    if (!is_whole && end > shard_bytes) {
        message = (struct message){.type = MESSAGE_LOADED};
        message.loaded.load = ask->load;
        message.loaded.status = CKPT_ERR_SIZE;
        memcpy(message.loaded.reason, "it is not so long", 18);
        fake_send(agent, &message, NULL, 0);
        return;
    }
    put(agent, wrong, 0, segments * FAKE_SEGMENT_BYTES, 0);
    put(agent, image, is_whole ? 0 : ask->range_offset, is_whole ? shard_bytes : end,
        lends_parts ? ask->range_offset / CHUNK * CHUNK : 0);
    if (lends_parts) {
        set_part(&message.loaded, ask);
    }
    fake_send_loaded(agent, &message, 0, message.loaded.segment_count);
}

/* Each loan is given back before the next is asked for. */
static void serves(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    uint32_t lent = 0;
    if (connection != 0 || !fake_open_rank(agent) || !stage(agent)) {
        return;
    }
    while (fake_take_next(agent, &message)) {
        if (message.type == MESSAGE_RELEASE && lent == 1) {
            lent = 0;
        } else if (message.type == MESSAGE_LOAD_ASK && lent == 0 && ask_count < ASKS_MAX) {
            struct message_load_ask ask = message.load_ask;
            asks[ask_count++] = ask;
            answer(agent, &ask);
            lent = kind == DIGEST_KIND_FINGERPRINT && !proves_whole &&
                           ask.range_offset + ask.range_bytes > shard_bytes
                       ? 0
                       : 1;
        } else {
            fake_wrong(agent, message_type_name(message.type));
        }
    }
    if (lent != 0) {
        fake_wrong(agent, "a loan was not given back");
    }
}

static struct fake_agent *agent;
static struct ckpt *ckpt;

static void begin(const struct ckpt_tensor *tensors, size_t count)
{
    kind = DIGEST_KIND_FINGERPRINT;
    lends_parts = false;
    proves_whole = false;
    digests[0] = digests[1] = 0xd1;
    first_asks = ASKS_MAX;
    ask_count = 0;
    agent = fake_agent_start(serves);
    ckpt = fake_connect(agent);
    assert_int_equal(ckpt_save(ckpt, STEP, tensors, count, NULL, 0), CKPT_OK);
}

static void end(uint32_t asks_wanted)
{
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
    assert_int_equal(ask_count, asks_wanted);
    assert_int_equal(mapped_segments(), 0);
    for (uint32_t i = 0; i < ask_count; i++) {
        assert_false(asks[i].collective);
        assert_int_equal(asks[i].rank, 2);
        assert_true(asks[i].range_bytes > 0);
        assert_int_equal(asks[i].load, (UINT32_C(0x80000000) | (i + 1)));
    }
}

static void begin_with_values(void)
{
    static uint8_t steps = STEP;
    for (uint32_t i = 0; i < VALUES; i++) {
        values[i] = (float)i;
    }
    const struct ckpt_tensor tensors[2] = {
        {"steps", CKPT_DTYPE_U8, 0, {0}, &steps, 1},
        {"values", CKPT_DTYPE_F32, 1, {VALUES}, values, sizeof(values)},
    };
    begin(tensors, 2);
}

static void read_values(uint64_t step, uint32_t from, uint32_t count)
{
    static float got[VALUES];
    struct ckpt_range range;
    memset(got, 0xff, sizeof(got));
    enum ckpt_status status =
        ckpt_read_range(ckpt, step, 2, "values", 4UL * from, 4UL * count, got, 20000, &range, NULL);
    if (status != CKPT_OK) {
        fail_msg("%s: %s", ckpt_status_name(status), ckpt_reason(ckpt));
    }
    assert_memory_equal(got, values + from, 4UL * count);
    if (count < VALUES) {
        assert_true(got[count] != got[count]); /* nothing is written behind what was asked for */
    }
    assert_int_equal(range.step, step == CKPT_STEP_LATEST ? STEP : step);
    assert_int_equal(range.attempt, 2);
    assert_int_equal(range.digest[31], digests[ask_count > first_asks]);
    assert_int_equal(range.world, 4);
    assert_int_equal(range.shard_bytes, shard_bytes);
    assert_int_equal(range.digest_kind, kind);
    assert_int_equal(range.is_whole, proves_whole || kind == DIGEST_KIND_BLAKE3);
}

/* The header once, then what is asked for and no more. */
static void test_ranges(void **state)
{
    (void)state;
    begin_with_values();
    read_values(STEP, 1000, 300000);
    read_values(STEP, VALUES - 1, 1);
    read_values(STEP, 0, VALUES);
    end(4);
    assert_int_equal(asks[0].range_offset, 0);
    assert_int_equal(asks[0].range_bytes, CHUNK);
    assert_int_equal(asks[1].range_bytes, 4 * 300000);
    assert_int_equal(asks[2].range_bytes, 4);
    assert_int_equal(asks[3].range_bytes, sizeof(values));
    assert_int_equal(asks[1].range_offset, asks[3].range_offset + 4000);
    assert_int_equal(asks[2].range_offset, asks[3].range_offset + 4UL * (VALUES - 1));
}

/* Which step the newest is, is asked for each time; the index serves its number. */
static void test_latest(void **state)
{
    (void)state;
    begin_with_values();
    read_values(CKPT_STEP_LATEST, 5, 5);
    read_values(STEP, 6, 5);
    read_values(CKPT_STEP_LATEST, 7, 5);
    end(5);
    assert_true(asks[0].step == CKPT_STEP_LATEST && asks[3].step == CKPT_STEP_LATEST);
    assert_true(asks[1].step == STEP && asks[2].step == STEP && asks[4].step == STEP);
}

/* Bytes of the file itself need no header. */
static void test_file(void **state)
{
    (void)state;
    static uint8_t got[CHUNK];
    struct ckpt_range range;
    begin_with_values();
    assert_int_equal(
        ckpt_read_range(ckpt, CKPT_STEP_LATEST, 2, NULL, 7, sizeof(got), got, 20000, &range, NULL),
        CKPT_OK);
    assert_memory_equal(got, image + 7, sizeof(got));
    assert_int_equal(range.step, STEP);
    assert_int_equal(
        ckpt_read_range(ckpt, STEP, 2, NULL, shard_bytes - 1, 1, got, 20000, NULL, NULL), CKPT_OK);
    assert_int_equal(got[0], image[shard_bytes - 1]);
    fake_fill(&range);
    assert_int_equal(
        ckpt_read_range(ckpt, STEP, 2, NULL, shard_bytes - 1, 2, got, 20000, &range, NULL),
        CKPT_ERR_SIZE);
    fake_assert_untouched(&range);
    end(3);
}

/* Of which shard it would be, without a byte of it. */
static void test_nothing(void **state)
{
    (void)state;
    struct ckpt_range range;
    begin_with_values();
    assert_int_equal(ckpt_read_range(ckpt, STEP, 2, NULL, 0, 0, NULL, 20000, &range, NULL),
                     CKPT_OK);
    assert_int_equal(range.shard_bytes, shard_bytes);
    assert_int_equal(
        ckpt_read_range(ckpt, STEP, 2, "values", sizeof(values), 0, NULL, 20000, NULL, NULL),
        CKPT_OK);
    assert_int_equal(
        ckpt_read_range(ckpt, STEP, 2, "values", sizeof(values) + 1, 0, NULL, 20000, NULL, NULL),
        CKPT_ERR_SIZE);
    end(3);
}

/* A shard that is smaller than a chunk says so, and its header is asked for by its size. */
static void test_small(void **state)
{
    (void)state;
    uint8_t got = 0;
    uint8_t bytes[3] = {1, 2, 3};
    const struct ckpt_tensor tensor = {"b", CKPT_DTYPE_U8, 1, {3}, bytes, 3};
    begin(&tensor, 1);
    assert_int_equal(ckpt_read_range(ckpt, STEP, 2, "b", 1, 1, &got, 20000, NULL, NULL), CKPT_OK);
    assert_int_equal(got, 2);
    end(4);
    assert_int_equal(asks[1].range_bytes, 8);
    assert_int_equal(asks[2].range_bytes, shard_bytes - 3);
    assert_int_equal(asks[3].range_offset, shard_bytes - 2);
}

#define NAMES 20000

/* A header of more than a chunk. */
static void test_long_header(void **state)
{
    (void)state;
    static char names[NAMES][32];
    static uint32_t numbers[NAMES];
    static struct ckpt_tensor tensors[NAMES];
    uint32_t got = 0;
    for (uint32_t i = 0; i < NAMES; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%024u", i);
        numbers[i] = i;
        tensors[i] = (struct ckpt_tensor){names[i], CKPT_DTYPE_U32, 0, {0}, &numbers[i], 4};
    }
    begin(tensors, NAMES);
    assert_int_equal(ckpt_read_range(ckpt, STEP, 2, names[19999], 0, 4, &got, 20000, NULL, NULL),
                     CKPT_OK);
    assert_int_equal(got, 19999);
    assert_int_equal(ckpt_read_range(ckpt, STEP, 2, names[77], 0, 4, &got, 20000, NULL, NULL),
                     CKPT_OK);
    assert_int_equal(got, 77);
    end(4);
    assert_int_equal(asks[0].range_bytes, CHUNK);
    assert_int_equal(asks[1].range_bytes, shard_bytes - sizeof(numbers));
    assert_true(asks[1].range_bytes > CHUNK);
}

/* Who proves the whole is asked once for what lies in it. */
static void test_whole(void **state)
{
    (void)state;
    begin_with_values();
    proves_whole = true;
    read_values(STEP, 5, 5);
    read_values(STEP, 7, 5);
    end(2);
    begin_with_values();
    kind = DIGEST_KIND_BLAKE3;
    read_values(STEP, 5, 5);
    end(1);
}

/* What was proven whole is the caller's, who reads on in it; of a part there is nothing to have. */
static void test_whole_is_had(void **state)
{
    (void)state;
    uint32_t descriptors = open_descriptors();
    for (uint32_t i = 0; i < 2; i++) {
        const char *name = i == 0 ? "values" : NULL;
        struct ckpt_shard whole;
        float two[2] = {0, 0};
        begin_with_values();
        fake_fill(&whole);
        assert_int_equal(ckpt_read_range(ckpt, STEP, 2, name, 0, 8, two, 20000, NULL, &whole),
                         CKPT_OK);
        assert_null(whole.private_state);
        assert_null(whole.data);
        proves_whole = true;
        assert_int_equal(ckpt_read_range(ckpt, STEP, 2, name, 0, 8, two, 20000, NULL, &whole),
                         CKPT_OK);
        assert_int_equal(whole.rank, 2);
        assert_int_equal(whole.bytes, shard_bytes);
        assert_int_equal(ckpt_read(&whole, "values", 4000, 8, two), CKPT_OK);
        assert_true(two[0] == 1000 && two[1] == 1001);
        ckpt_unload(ckpt, &whole);
        end(i == 0 ? 3 : 2);
    }
    assert_int_equal(open_descriptors(), descriptors);
}

/* The step has been saved anew, by another start or with other bytes: the index of before is not
 * used for it. */
static void test_changed(void **state)
{
    (void)state;
    begin_with_values();
    first_asks = 3; /* header, range, range: and another shard from there on */
    digests[1] = 0xd2;
    read_values(STEP, 1, 5);
    read_values(STEP, 2, 5);
    read_values(STEP, 3, 5);
    read_values(STEP, 4, 5);
    end(7);
    assert_int_equal(asks[4].range_bytes, CHUNK);
    assert_int_equal(asks[6].range_bytes, 20);
}

/* What a kept index does not have is looked for in the shard as it is now. */
static void test_refused(void **state)
{
    (void)state;
    float two[2];
    begin_with_values();
    read_values(STEP, 1, 5);
    assert_int_equal(ckpt_read_range(ckpt, STEP, 2, "value", 0, 4, two, 20000, NULL, NULL),
                     CKPT_ERR_NOT_FOUND);
    assert_non_null(strstr(ckpt_reason(ckpt), "no tensor value"));
    assert_int_equal(
        ckpt_read_range(ckpt, STEP, 2, "values", sizeof(values) - 4, 8, two, 20000, NULL, NULL),
        CKPT_ERR_SIZE);
    assert_int_equal(
        ckpt_read_range(ckpt, STEP, 2, "values", UINT64_MAX, 2, two, 20000, NULL, NULL),
        CKPT_ERR_SIZE);
    assert_int_equal(ckpt_read_range(ckpt, STEP, 2, "values", 0, 4, NULL, 20000, NULL, NULL),
                     CKPT_ERR_INVALID);
    assert_int_equal(ckpt_read_range(ckpt, STEP, 65536, "values", 0, 4, two, 20000, NULL, NULL),
                     CKPT_ERR_RANK);
    end(5);
}

/* No file of safetensors, by its first bytes or by what follows them. */
static void test_corrupt(void **state)
{
    (void)state;
    float one;
    begin_with_values();
    read_values(STEP, 1, 5); /* the agent has its image by now */
    memset(image, 0xff, 8);
    assert_int_equal(
        ckpt_read_range(ckpt, CKPT_STEP_LATEST, 2, "values", 0, 4, &one, 20000, NULL, NULL),
        CKPT_ERR_CORRUPT);
    memset(image, 0, 8);
    image[0] = 16;
    assert_int_equal(
        ckpt_read_range(ckpt, CKPT_STEP_LATEST, 2, "values", 0, 4, &one, 20000, NULL, NULL),
        CKPT_ERR_CORRUPT);
    end(4);
}

/* A reduced slot: the agent lends the chunks that the range touches, and no other memory. */
static void test_parts(void **state)
{
    (void)state;
    begin_with_values();
    lends_parts = true;
    read_values(STEP, 1000, 300000);
    read_values(STEP, VALUES - 1, 1);
    read_values(STEP, 0, VALUES);
    read_values(CKPT_STEP_LATEST, 300000, 1000000);
    end(6);
}

/* More shards than are kept: the one that was not used for longest goes. */
static void test_many(void **state)
{
    (void)state;
    begin_with_values();
    for (uint64_t step = STEP; step < STEP + 8; step++) {
        read_values(step, 1, 5);
    }
    read_values(STEP, 2, 5);     /* kept, and used last from now on */
    read_values(STEP + 8, 1, 5); /* in the place of STEP + 1 */
    read_values(STEP, 3, 5);
    read_values(STEP + 1, 3, 5);
    end(16 + 1 + 2 + 1 + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),       cmocka_unit_test(test_latest),
        cmocka_unit_test(test_file),         cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_small),        cmocka_unit_test(test_long_header),
        cmocka_unit_test(test_whole),        cmocka_unit_test(test_changed),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_corrupt),
        cmocka_unit_test(test_many),         cmocka_unit_test(test_parts),
        cmocka_unit_test(test_whole_is_had),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
