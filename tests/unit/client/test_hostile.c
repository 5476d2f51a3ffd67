/* SPDX-License-Identifier: Apache-2.0 */
/* Agents that die at each message, or answer what no agent should: every call ends with a status,
 * writes no output, leaks nothing, and the next call goes on. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/client/fake_agent.h"
#include "wire/frame.h"

#define SAVE_BYTES (FAKE_SEGMENT_BYTES + 5)
static uint8_t bytes_to_save[SAVE_BYTES];

enum oddity {
    DIES,
    SILENT,
    GARBAGE,
    BIT_FLIP,
    HUGE_FRAME,
    FEWER_FDS,
    NO_FDS,
    MORE_FDS,
    FEWER_SEGMENTS,
    MORE_SEGMENTS,
    OTHER_BYTES,
    SMALL_FILE,
    READ_ONLY_FILE,
    NOT_A_FILE,
    OLD_GENERATION,
    SAME_FILE_TWICE,
    SAME_NUMBER_TWICE,
    OTHER_STEP,
    OTHER_RANK,
    OTHER_WORLD,
    NOT_SAFETENSORS,
    UNKNOWN_TYPE,
};

struct row {
    const char *name;
    enum oddity oddity;
    enum ckpt_status wanted;
};

static const struct row *row;

static void send_raw(struct fake_agent *agent, uint16_t type, uint32_t body_bytes, uint32_t flip)
{
    static const uint8_t body[1U << 20];
    uint8_t frame[FRAME_HEADER_BYTES];
    struct frame_header header = {
        .version = WIRE_PROTOCOL_VERSION, .type = type, .body_bytes = body_bytes, .sequence = 1000};
    memset(header.incarnation.bytes, 7, sizeof(header.incarnation.bytes));
    (void)frame_encode_header(&header, body, frame);
    frame[20] ^= (uint8_t)flip;
    fake_send_bytes(agent, frame, sizeof(frame));
    fake_send_bytes(agent, body, body_bytes);
}

/* True when the oddity was one of frames. */
static bool odd_frame(struct fake_agent *agent)
{
    static const uint8_t garbage[100] = {0xff, 1, 2, 3};
    switch ((int)row->oddity) {
    case DIES:
        return true;
    case SILENT:
        break;
    case GARBAGE:
        fake_send_bytes(agent, garbage, sizeof(garbage));
        break;
    case BIT_FLIP:
        send_raw(agent, MESSAGE_SLOT_GRANTED, 0, 1);
        break;
    case HUGE_FRAME:
        send_raw(agent, MESSAGE_SLOT_GRANTED, 1U << 20, 0);
        break;
    case UNKNOWN_TYPE:
        send_raw(agent, 999, 0, 0);
        break;
    default:
        return false;
    }
    (void)fake_take_end(agent);
    return true;
}

/* Segment 5 is replaced by what the row says. */
static void odd_file(struct fake_agent *agent, int fds[3])
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[1]);
    if (row->oddity == SMALL_FILE && ftruncate(fds[1], 4096) != 0) {
        fake_wrong(agent, "ftruncate");
    } else if (row->oddity == READ_ONLY_FILE) {
        fds[1] = open(path, O_RDONLY | O_CLOEXEC);
    } else if (row->oddity == NOT_A_FILE) {
        fds[1] = open("/dev/null", O_RDWR | O_CLOEXEC);
    }
}

static void send_odd_grant(struct fake_agent *agent, const struct message_slot_ask *ask)
{
    int fds[3] = {fake_segment(agent, 4), fake_segment(agent, 5), fake_segment(agent, 6)};
    uint16_t ids[3] = {4, row->oddity == SAME_NUMBER_TWICE ? 4 : 5, 6};
    uint32_t fd_count = 2;
    int before = fds[1];
    struct message answer = {.type = MESSAGE_SLOT_GRANTED};
    answer.slot_granted.step = ask->step;
    answer.slot_granted.slot = 4;
    answer.slot_granted.generation = row->oddity == OLD_GENERATION ? 5 : 50;
    answer.slot_granted.bytes = ask->bytes;
    answer.slot_granted.segment_count = 2;
    answer.slot_granted.segments = ids;
    if (row->oddity == FEWER_FDS || row->oddity == NO_FDS || row->oddity == MORE_FDS) {
        fd_count = row->oddity == FEWER_FDS ? 1 : row->oddity == NO_FDS ? 0 : 3;
    } else if (row->oddity == FEWER_SEGMENTS) {
        answer.slot_granted.segment_count = fd_count = 1;
    } else if (row->oddity == MORE_SEGMENTS) {
        answer.slot_granted.segment_count = fd_count = 3;
    }
    odd_file(agent, fds);
    if (row->oddity == SAME_FILE_TWICE) {
        fds[1] = before = fds[0];
    }
    fake_send(agent, &answer, fds, fd_count);
    if (fds[1] != before) {
        close(fds[1]);
    }
}

/* The first connection saves once as it should, then the row's way; the second as it should. */
static void grants_oddly(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (!fake_open_rank(agent)) {
        return;
    }
    uint32_t good = connection == 0 ? 1 : 2;
    for (uint32_t i = 0; i < good; i++) {
        if (!fake_grant(agent, 0, 2, 5 + 10 * connection + i, NULL) ||
            !fake_take(agent, MESSAGE_SEAL, &message)) {
            return;
        }
    }
    if (connection == 0) {
        if (!fake_take(agent, MESSAGE_SLOT_ASK, &message)) {
            return;
        }
        struct message_slot_ask ask = message.slot_ask;
        if (odd_frame(agent)) {
            return;
        }
        send_odd_grant(agent, &ask);
        if (row->wanted == CKPT_OK &&
            (!fake_take(agent, MESSAGE_SEAL, &message) || !fake_grant(agent, 0, 2, 100, NULL) ||
             !fake_take(agent, MESSAGE_SEAL, &message) || !fake_grant(agent, 0, 2, 101, NULL) ||
             !fake_take(agent, MESSAGE_SEAL, &message))) {
            return;
        }
    }
    (void)fake_take_end(agent);
}

static void test_grants(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"dies", DIES, CKPT_ERR_NO_AGENT},
        {"silent", SILENT, CKPT_ERR_NO_AGENT},
        {"garbage", GARBAGE, CKPT_ERR_PROTOCOL},
        {"bit flip", BIT_FLIP, CKPT_ERR_PROTOCOL},
        {"huge frame", HUGE_FRAME, CKPT_ERR_PROTOCOL},
        {"unknown type", UNKNOWN_TYPE, CKPT_ERR_PROTOCOL},
        {"fewer descriptors", FEWER_FDS, CKPT_ERR_PROTOCOL},
        {"no descriptors", NO_FDS, CKPT_ERR_PROTOCOL},
        {"more descriptors", MORE_FDS, CKPT_OK},
        {"fewer segments", FEWER_SEGMENTS, CKPT_ERR_PROTOCOL},
        {"more segments", MORE_SEGMENTS, CKPT_ERR_PROTOCOL},
        {"small file", SMALL_FILE, CKPT_ERR_PROTOCOL},
        {"read-only file", READ_ONLY_FILE, CKPT_ERR_PROTOCOL},
        {"not a file", NOT_A_FILE, CKPT_ERR_PROTOCOL},
        {"same file twice", SAME_FILE_TWICE, CKPT_ERR_PROTOCOL},
        {"same number twice", SAME_NUMBER_TWICE, CKPT_ERR_PROTOCOL},
        {"old generation", OLD_GENERATION, CKPT_ERR_PROTOCOL},
    };
    uint32_t descriptors = open_descriptors();
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        row = &rows[i];
        struct fake_agent *agent = fake_agent_start(grants_oddly);
        struct ckpt_options options = fake_options(agent);
        options.timeout_ms = row->oddity == SILENT ? 300 : options.timeout_ms;
        struct ckpt *ckpt = NULL;
        assert_int_equal(ckpt_open(&options, &ckpt), CKPT_OK);
        assert_int_equal(ckpt_save_bytes(ckpt, 1, bytes_to_save, SAVE_BYTES), CKPT_OK);
        enum ckpt_status status = ckpt_save_bytes(ckpt, 2, bytes_to_save, SAVE_BYTES);
        if (status != row->wanted || (status != CKPT_OK && ckpt_reason(ckpt)[0] == '\0')) {
            fail_msg("%s: %s, %s", row->name, ckpt_status_name(status), ckpt_reason(ckpt));
        }
        if (row->oddity != SILENT) {
            /* On the same connection or on a new one, saves go on. */
            assert_int_equal(ckpt_save_bytes(ckpt, 3, bytes_to_save, SAVE_BYTES), CKPT_OK);
            assert_int_equal(ckpt_save_bytes(ckpt, 4, bytes_to_save, SAVE_BYTES), CKPT_OK);
        }
        ckpt_close(&ckpt);
        fake_agent_stop(&agent);
        assert_int_equal(open_descriptors(), descriptors);
        assert_int_equal(mapped_segments(), 0);
    }
}

/* One small shard in segment 0, made by the library itself. */
static uint64_t stage_shard(struct fake_agent *agent)
{
    struct message_slot_ask ask;
    struct message message;
    if (!fake_grant(agent, 0, 1, 5, &ask) || !fake_take(agent, MESSAGE_SEAL, &message)) {
        return 0;
    }
    return ask.bytes;
}

static void send_odd_loaded(struct fake_agent *agent, const struct message_load_ask *ask,
                            uint64_t bytes)
{
    struct message answer = fake_loaded(ask, 0, 40, bytes);
    uint32_t fd_count = 1;
    switch ((int)row->oddity) {
    case NO_FDS:
        fd_count = 0;
        break;
    case MORE_SEGMENTS:
        answer.loaded.segment_count = fd_count = 2;
        break;
    case FEWER_SEGMENTS:
        answer.loaded.segment_count = fd_count = 0;
        break;
    case OTHER_BYTES:
        answer.loaded.bytes = FAKE_SEGMENT_BYTES + 1;
        break;
    case OTHER_STEP:
        answer.loaded.step = 41;
        break;
    case OTHER_RANK:
        answer.loaded.rank = 2;
        break;
    case OTHER_WORLD:
        answer.loaded.world = 5;
        break;
    case NOT_SAFETENSORS:
        fake_segment_write(agent, 0, 0, "\377\377\377\377\377", 5);
        break;
    default:
        fake_wrong(agent, "no such oddity");
    }
    fake_send_loaded(agent, &answer, 0, fd_count);
}

static void loads_oddly(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    uint64_t bytes;
    if (connection > 0 || !fake_open_rank(agent) || (bytes = stage_shard(agent)) == 0 ||
        !fake_take(agent, MESSAGE_LOAD_ASK, &message)) {
        return;
    }
    if (odd_frame(agent)) {
        return;
    }
    struct message_load_ask ask = message.load_ask;
    send_odd_loaded(agent, &ask, bytes);
    if (row->oddity == NOT_SAFETENSORS && fake_take(agent, MESSAGE_RELEASE, &message) &&
        message.release.generation != 9) {
        fake_wrong(agent, "another slot is released");
    }
    (void)fake_take_end(agent);
}

static void test_loads(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"silent", SILENT, CKPT_ERR_TIMEOUT},
        {"garbage", GARBAGE, CKPT_ERR_PROTOCOL},
        {"unknown type", UNKNOWN_TYPE, CKPT_ERR_PROTOCOL},
        {"no descriptors", NO_FDS, CKPT_ERR_PROTOCOL},
        {"fewer segments", FEWER_SEGMENTS, CKPT_ERR_PROTOCOL},
        {"more segments", MORE_SEGMENTS, CKPT_ERR_PROTOCOL},
        {"other bytes", OTHER_BYTES, CKPT_ERR_PROTOCOL},
        {"other step", OTHER_STEP, CKPT_ERR_PROTOCOL},
        {"other rank", OTHER_RANK, CKPT_ERR_PROTOCOL},
        {"other world", OTHER_WORLD, CKPT_ERR_PROTOCOL},
        {"not safetensors", NOT_SAFETENSORS, CKPT_ERR_CORRUPT},
    };
    uint32_t descriptors = open_descriptors();
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        row = &rows[i];
        struct fake_agent *agent = fake_agent_start(loads_oddly);
        struct ckpt *ckpt = fake_connect(agent);
        struct ckpt_shard shard;
        assert_int_equal(ckpt_save_bytes(ckpt, 40, "abc", 3), CKPT_OK);
        fake_fill(&shard);
        enum ckpt_status status = ckpt_load(ckpt, 40, row->oddity == SILENT ? 200 : 20000, &shard);
        if (status != row->wanted || ckpt_reason(ckpt)[0] == '\0') {
            fail_msg("%s: %s, %s", row->name, ckpt_status_name(status), ckpt_reason(ckpt));
        }
        fake_assert_untouched(&shard);
        ckpt_close(&ckpt);
        fake_agent_stop(&agent);
        assert_int_equal(open_descriptors(), descriptors);
        assert_int_equal(mapped_segments(), 0);
    }
}

/* What an agent says of a part that it lends: of rank 3's shard of 100 MiB bytes 2 MiB + 5 and 10
 * more are asked for, of which it lends the third MiB. */
static const struct part_row {
    const char *name;
    uint64_t offset, bytes, shard_bytes;
    bool whole;
    enum ckpt_status wanted;
} part_rows[] = {
    {"right", 2 * CKPT_MIB, CKPT_MIB, 100 * CKPT_MIB, false, CKPT_OK},
    {"to the shard's end", 2 * CKPT_MIB, 100, 2 * CKPT_MIB + 100, false, CKPT_OK},
    {"no chunk's begin", 2 * CKPT_MIB + 1, CKPT_MIB, 100 * CKPT_MIB, false, CKPT_ERR_PROTOCOL},
    {"behind the range", 3 * CKPT_MIB, CKPT_MIB, 100 * CKPT_MIB, false, CKPT_ERR_PROTOCOL},
    {"before the range", CKPT_MIB, CKPT_MIB, 100 * CKPT_MIB, false, CKPT_ERR_PROTOCOL},
    {"less than the range", 2 * CKPT_MIB, 14, 100 * CKPT_MIB, false, CKPT_ERR_PROTOCOL},
    {"beyond the shard", 2 * CKPT_MIB, CKPT_MIB, 3 * CKPT_MIB - 1, false, CKPT_ERR_PROTOCOL},
    {"a shard before it", 2 * CKPT_MIB, CKPT_MIB, 1, false, CKPT_ERR_PROTOCOL},
    {"an end that no number has", 0 - CKPT_MIB, CKPT_MIB, UINT64_MAX, false, CKPT_ERR_PROTOCOL},
    {"an offset in no shard", 2 * CKPT_MIB, CKPT_MIB, 0, false, CKPT_ERR_PROTOCOL},
    {"a whole that is a part", 2 * CKPT_MIB, CKPT_MIB, 100 * CKPT_MIB, true, CKPT_ERR_PROTOCOL},
    {"more than the descriptors", 0, 3 * CKPT_MIB, 100 * CKPT_MIB, false, CKPT_ERR_PROTOCOL},
};
static const struct part_row *part_row;
static bool asks_for_range;

static void lends_oddly(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (connection > 0 || !fake_open_rank(agent) || !fake_take(agent, MESSAGE_LOAD_ASK, &message)) {
        return;
    }
    struct message answer = fake_loaded(&message.load_ask, 0, 40, part_row->bytes);
    answer.loaded.segment_count = 1;
    answer.loaded.range_offset = part_row->offset;
    answer.loaded.shard_bytes = part_row->shard_bytes;
    answer.loaded.whole = part_row->whole;
    fake_segment_write(agent, 0, 5, "0123456789", 10);
    fake_send_loaded(agent, &answer, 0, 1);
    if (part_row->wanted == CKPT_OK && asks_for_range) {
        (void)fake_take(agent, MESSAGE_RELEASE, &message);
    }
    (void)fake_take_end(agent);
}

static void test_parts(void **state)
{
    (void)state;
    uint32_t descriptors = open_descriptors();
    for (size_t i = 0; i < 2 * (sizeof(part_rows) / sizeof(*part_rows)); i++) {
        part_row = &part_rows[i / 2];
        asks_for_range = i % 2 == 0;
        struct fake_agent *agent = fake_agent_start(lends_oddly);
        struct ckpt *ckpt = fake_connect(agent);
        struct ckpt_shard shard;
        struct ckpt_range range;
        char got[10];
        fake_fill(&shard);
        fake_fill(&range);
        fake_fill(&got);
        enum ckpt_status wanted = asks_for_range ? part_row->wanted : CKPT_ERR_PROTOCOL;
        enum ckpt_status status =
            asks_for_range
                ? ckpt_read_range(ckpt, 40, 3, NULL, 2 * CKPT_MIB + 5, 10, got, 20000, &range, NULL)
                : ckpt_fetch(ckpt, 40, 3, 20000, &shard);
        if (status != wanted || (status != CKPT_OK && ckpt_reason(ckpt)[0] == '\0')) {
            fail_msg("%s: %s, %s", part_row->name, ckpt_status_name(status), ckpt_reason(ckpt));
        }
        fake_assert_untouched(&shard);
        if (status == CKPT_OK) {
            assert_memory_equal(got, "0123456789", 10);
            assert_int_equal(range.shard_bytes, part_row->shard_bytes);
        } else {
            fake_assert_untouched(&range);
            fake_assert_untouched(&got);
        }
        ckpt_close(&ckpt);
        fake_agent_stop(&agent);
        assert_int_equal(open_descriptors(), descriptors);
        assert_int_equal(mapped_segments(), 0);
    }
}

/* An agent that never stops talking holds nobody longer than one that is silent. */
static void floods(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (connection > 0 || !fake_open_rank(agent) || !fake_take(agent, MESSAGE_LOAD_ASK, &message)) {
        return;
    }
    for (uint32_t i = 0; i < 200000; i++) {
        fake_outcome(agent, i, CKPT_OK, "");
    }
    (void)fake_take_end(agent);
}

static void test_flood(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(floods);
    struct ckpt *ckpt = fake_connect(agent);
    struct ckpt_shard shard;
    fake_fill(&shard);
    assert_int_equal(ckpt_load(ckpt, CKPT_STEP_LATEST, 20, &shard), CKPT_ERR_TIMEOUT);
    fake_assert_untouched(&shard);
    assert_int_equal(ckpt_wait(ckpt, 1, 0), CKPT_ERR_NOT_FOUND);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

/* Frames of a sequence that was heard before are dropped; those of a new life are not. */
static void repeats_itself(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (connection > 0 || !fake_open_rank(agent) || !fake_grant(agent, 0, 1, 5, NULL) ||
        !fake_take(agent, MESSAGE_SEAL, &message)) {
        return;
    }
    fake_set_sequence(agent, 0);
    fake_outcome(agent, 1, CKPT_ERR_ABORTED, "an old frame");
    fake_set_sequence(agent, 100);
    fake_outcome(agent, 1, CKPT_OK, "");
    (void)fake_take_end(agent);
}

static void test_old_frames(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(repeats_itself);
    struct ckpt *ckpt = fake_connect(agent);
    assert_int_equal(ckpt_save_bytes(ckpt, 1, "abc", 3), CKPT_OK);
    assert_int_equal(ckpt_wait(ckpt, 1, 20000), CKPT_OK);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grants),     cmocka_unit_test(test_loads),
        cmocka_unit_test(test_parts),      cmocka_unit_test(test_flood),
        cmocka_unit_test(test_old_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
