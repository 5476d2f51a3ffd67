/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "wire/frame.h"
#include "wire/message.h"
#include "wire/stream.h"

#define BODY_MAX 300
#define FRAMES 200

static uint8_t sent[FRAMES * (FRAME_HEADER_BYTES + BODY_MAX)];
static size_t sent_bytes;

/* Frame i has i % BODY_MAX bytes of body, and i as its sequence. */
static void make_frames(size_t count)
{
    sent_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t *frame = sent + sent_bytes;
        struct frame_header header = {
            .version = WIRE_PROTOCOL_VERSION,
            .type = 1,
            .body_bytes = (uint32_t)(i % (BODY_MAX + 1)),
            .sequence = i,
        };
        memset(frame + FRAME_HEADER_BYTES, (int)i, header.body_bytes);
        assert_int_equal(frame_encode_header(&header, frame + FRAME_HEADER_BYTES, frame), CKPT_OK);
        sent_bytes += FRAME_HEADER_BYTES + header.body_bytes;
    }
}

/* Takes every whole frame, which must be the next ones of what was sent; returns how many. */
static size_t take(struct wire_stream *stream, size_t first, size_t *taken_bytes)
{
    size_t count = 0;
    for (;;) {
        const uint8_t *frame = (const uint8_t *)"";
        size_t bytes = 1;
        assert_int_equal(wire_stream_next(stream, &frame, &bytes), CKPT_OK);
        if (frame == NULL) {
            assert_int_equal(bytes, 0);
            return count;
        }
        struct frame_header header;
        assert_int_equal(frame_check(frame, bytes, &header, NULL), CKPT_OK);
        assert_true(header.sequence == first + count);
        assert_memory_equal(frame, sent + *taken_bytes, bytes);
        *taken_bytes += bytes;
        count++;
    }
}

/* At most `most` bytes, as a socket would. */
static size_t feed(struct wire_stream *stream, size_t from, size_t most)
{
    uint8_t *space;
    size_t room = wire_stream_space(stream, &space);
    size_t bytes = sent_bytes - from < most ? sent_bytes - from : most;
    bytes = bytes < room ? bytes : room;
    memcpy(space, sent + from, bytes);
    wire_stream_filled(stream, bytes);
    return bytes;
}

static void run_cuts(size_t capacity, size_t (*cut)(struct prng *), struct prng *prng)
{
    static uint8_t buffer[sizeof(sent)];
    struct wire_stream stream;
    wire_stream_init(&stream, buffer, capacity);
    size_t fed = 0;
    size_t taken_bytes = 0;
    size_t frames = 0;
    while (fed < sent_bytes) {
        size_t bytes = feed(&stream, fed, cut(prng));
        assert_true(bytes > 0); /* frames that fit never leave the stream without room */
        fed += bytes;
        frames += take(&stream, frames, &taken_bytes);
    }
    assert_int_equal(frames, FRAMES);
    assert_int_equal(taken_bytes, sent_bytes);
}

static size_t cut_one(struct prng *prng)
{
    (void)prng;
    return 1;
}

static size_t cut_all(struct prng *prng)
{
    (void)prng;
    return SIZE_MAX;
}

static size_t cut_random(struct prng *prng)
{
    return 1 + (size_t)prng_below(prng, 500);
}

static void test_cuts(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 1);
    make_frames(FRAMES);
    run_cuts(FRAME_HEADER_BYTES + BODY_MAX, cut_one, &prng);
    run_cuts(FRAME_HEADER_BYTES + BODY_MAX, cut_all, &prng);
    run_cuts(sizeof(sent), cut_all, &prng);
    for (int i = 0; i < 50; i++) {
        run_cuts(FRAME_HEADER_BYTES + BODY_MAX + (size_t)i, cut_random, &prng);
    }
}

/* Feeds `bytes` bytes of sent and expects the stream to die of status, and to stay dead. */
static void expect_death(size_t capacity, size_t bytes, enum ckpt_status status)
{
    static uint8_t buffer[sizeof(sent)];
    struct wire_stream stream;
    wire_stream_init(&stream, buffer, capacity);
    size_t fed = feed(&stream, 0, bytes);
    assert_int_equal(fed, bytes);
    const uint8_t *frame = buffer;
    size_t frame_bytes = 99;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(wire_stream_next(&stream, &frame, &frame_bytes), status);
        assert_ptr_equal(frame, buffer);
        assert_int_equal(frame_bytes, 99);
        assert_true(stream.reason[0] != '\0');
        uint8_t *space;
        assert_int_equal(wire_stream_space(&stream, &space), 0);
    }
}

static void test_death(void **state)
{
    (void)state;
    make_frames(1);
    sent[3] = 't';
    expect_death(1000, FRAME_VERSION_BYTES, CKPT_ERR_PROTOCOL);
    expect_death(1000, FRAME_HEADER_BYTES, CKPT_ERR_PROTOCOL);
    make_frames(1);
    sent[4] = WIRE_PROTOCOL_VERSION + 1;
    expect_death(1000, FRAME_VERSION_BYTES, CKPT_ERR_VERSION);
    make_frames(1);
    store_le32(sent + 8, CKPT_FRAME_BODY_MAX + 1);
    expect_death(1000, FRAME_HEADER_BYTES, CKPT_ERR_TOO_LARGE);
    /* Within the protocol, above what this side takes. */
    store_le32(sent + 8, 1000 - FRAME_HEADER_BYTES + 1);
    expect_death(1000, FRAME_HEADER_BYTES, CKPT_ERR_TOO_LARGE);
    make_frames(1);
    expect_death(FRAME_HEADER_BYTES - 1, 1, CKPT_ERR_TOO_LARGE);
}

static void test_partial_header_waits(void **state)
{
    (void)state;
    make_frames(1);
    for (size_t bytes = 0; bytes < FRAME_HEADER_BYTES; bytes++) {
        uint8_t buffer[FRAME_HEADER_BYTES];
        struct wire_stream stream;
        wire_stream_init(&stream, buffer, sizeof(buffer));
        assert_int_equal(feed(&stream, 0, bytes), bytes);
        const uint8_t *frame = buffer;
        size_t frame_bytes = 99;
        assert_int_equal(wire_stream_next(&stream, &frame, &frame_bytes), CKPT_OK);
        assert_null(frame);
        assert_int_equal(frame_bytes, 0);
    }
}

static void test_overfilled(void **state)
{
    (void)state;
    uint8_t buffer[64];
    struct wire_stream stream;
    wire_stream_init(&stream, buffer, sizeof(buffer));
    wire_stream_filled(&stream, sizeof(buffer) + 1);
    const uint8_t *frame;
    size_t bytes;
    assert_int_equal(wire_stream_next(&stream, &frame, &bytes), CKPT_ERR_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_death),
        cmocka_unit_test(test_partial_header_waits),
        cmocka_unit_test(test_overfilled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
