/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors in device memory against a scripted agent: what is asked for with which descriptor, and
 * what a refusal or silence comes to. A memfd stands in for the dma-buf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "unit/client/fake_agent.h"

#define COUNT 700 /* more than one message names */
#define BYTES 24
#define GAP 40 /* from one tensor to the next in the device's memory */
#define HEAD 512

static struct ckpt_tensor tensors[COUNT];
static struct ckpt_device_tensor places[COUNT];
static char names[COUNT][8];
static void *addresses[COUNT];

static uint8_t value(uint64_t at)
{
    return (uint8_t)(at * 7 + at / 251);
}

static int device_memory(void)
{
    int fd = memfd_create("device", MFD_CLOEXEC);
    for (uint64_t at = 0; at < HEAD + COUNT * GAP; at++) {
        uint8_t byte = value(at);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    }
    return fd;
}

static int make_tensors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "t%zu", i);
        tensors[i] = (struct ckpt_tensor){names[i], CKPT_DTYPE_U8, 1, {BYTES}, NULL, BYTES};
        places[i] = (struct ckpt_device_tensor){.tensor = i, .offset = HEAD + i * GAP};
    }
    return 0;
}

static void answer(struct fake_agent *agent, const struct message_gather *ask,
                   enum ckpt_status status, const char *reason)
{
    struct message message = {.type = MESSAGE_GATHERED};
    message.gathered.step = ask->step;
    message.gathered.slot = ask->slot;
    message.gathered.generation = ask->generation;
    message.gathered.number = ask->number;
    message.gathered.status = status;
    (void)snprintf(message.gathered.reason, sizeof(message.gathered.reason), "%s", reason);
    fake_send(agent, &message, NULL, 0);
}

/* Does what an agent does. Returns the ranges that were named; 0: something is wrong. */
static uint32_t gather(struct fake_agent *agent, uint32_t number)
{
    struct message message;
    uint8_t bytes[BYTES];
    if (!fake_take(agent, MESSAGE_GATHER, &message)) {
        return 0;
    }
    struct message_gather ask = message.gather;
    int fd = fake_descriptor(agent);
    if (fd < 0 || ask.number != number || ask.step != 7 || ask.slot != 0 || ask.generation != 5) {
        fake_wrong(agent, "a gather without its descriptor, or of another slot");
    }
    for (uint32_t i = 0; i < ask.range_count; i++) {
        const struct message_range *range = &ask.ranges[i];
        if (range->bytes != BYTES || pread(fd, bytes, BYTES, (off_t)range->from) != BYTES ||
            pwrite(fake_segment(agent, 0), bytes, BYTES, (off_t)range->to) != BYTES) {
            fake_wrong(agent, "a range that is no tensor");
        }
    }
    (void)close(fd);
    answer(agent, &ask, CKPT_OK, "");
    return ask.range_count;
}

static void gathers(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (connection != 0 || !fake_open_rank(agent) || !fake_grant(agent, 0, 1, 5, NULL)) {
        return;
    }
    if (gather(agent, 1) != CKPT_RANGES_MAX || gather(agent, 2) != COUNT - CKPT_RANGES_MAX) {
        fake_wrong(agent, "other ranges than those of all tensors");
    }
    if (fake_take(agent, MESSAGE_SEAL, &message)) {
        fake_outcome(agent, 7, CKPT_OK, "");
    }
}

static void all_tensors_are_gathered(void **state)
{
    (void)state;
    int fd = device_memory();
    struct fake_agent *agent = fake_agent_start(gathers);
    struct ckpt *ckpt = fake_connect(agent);
    assert_int_equal(ckpt_save_gather(ckpt, 7, fd, places, COUNT), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_save_begin(ckpt, 7, tensors, COUNT, NULL, 0, addresses), CKPT_OK);
    assert_int_equal(ckpt_save_gather(ckpt, 8, fd, places, COUNT), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_save_gather(ckpt, 7, -1, places, COUNT), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_save_gather(ckpt, 7, fd, NULL, COUNT), CKPT_ERR_INVALID);
    struct ckpt_device_tensor wrong[] = {places[0], {.tensor = COUNT}};
    assert_int_equal(ckpt_save_gather(ckpt, 7, fd, wrong, 2), CKPT_ERR_SIZE);
    wrong[1] = (struct ckpt_device_tensor){.tensor = 1, .offset = INT64_MAX - BYTES + 1};
    assert_int_equal(ckpt_save_gather(ckpt, 7, fd, wrong, 2), CKPT_ERR_SIZE);
    assert_int_equal(ckpt_save_gather(ckpt, 7, fd, NULL, 0), CKPT_OK);
    assert_int_equal(ckpt_save_gather(ckpt, 7, fd, places, COUNT), CKPT_OK);
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < BYTES; j++) {
            assert_int_equal(((uint8_t *)addresses[i])[j], value(places[i].offset + j));
        }
    }
    assert_int_equal(ckpt_save_end(ckpt, 7), CKPT_OK);
    assert_int_equal(ckpt_wait(ckpt, 7, 20000), CKPT_OK);
    assert_int_equal(ckpt_save_gather(ckpt, 7, fd, places, COUNT), CKPT_ERR_INVALID);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
    (void)close(fd);
}

static void refuses(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (connection != 0 || !fake_open_rank(agent) || !fake_grant(agent, 0, 1, 5, NULL) ||
        !fake_take(agent, MESSAGE_GATHER, &message)) {
        return;
    }
    (void)close(fake_descriptor(agent));
    answer(agent, &message.gather, CKPT_ERR_UNSUPPORTED, "no such device");
    if (fake_take(agent, MESSAGE_SEAL, &message)) {
        fake_outcome(agent, 7, CKPT_OK, "");
    }
}

/* The save is still the caller's, who copies by the host. */
static void a_refusal_leaves_the_save_begun(void **state)
{
    (void)state;
    int fd = device_memory();
    struct fake_agent *agent = fake_agent_start(refuses);
    struct ckpt *ckpt = fake_connect(agent);
    assert_int_equal(ckpt_save_begin(ckpt, 7, tensors, COUNT, NULL, 0, addresses), CKPT_OK);
    assert_int_equal(ckpt_save_gather(ckpt, 7, fd, places, 3), CKPT_ERR_UNSUPPORTED);
    assert_non_null(strstr(ckpt_reason(ckpt), "no such device"));
    for (size_t i = 0; i < COUNT; i++) {
        memset(addresses[i], 1, BYTES);
    }
    assert_int_equal(ckpt_save_end(ckpt, 7), CKPT_OK);
    assert_int_equal(ckpt_wait(ckpt, 7, 20000), CKPT_OK);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
    (void)close(fd);
}

static void says_nothing(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (connection != 0 || !fake_open_rank(agent) || !fake_grant(agent, 0, 1, 5, NULL) ||
        !fake_take(agent, MESSAGE_GATHER, &message)) {
        return;
    }
    const struct message_gather ask = message.gather;
    (void)close(fake_descriptor(agent));
    if (!fake_take(agent, MESSAGE_ABANDON, &message)) {
        return;
    }
    if (message.seal.slot != 0 || message.seal.generation != 5) {
        fake_wrong(agent, "another slot is given back");
    }
    answer(agent, &ask, CKPT_OK, ""); /* too late: nobody minds */
    if (fake_grant(agent, 1, 1, 6, NULL)) {
        (void)fake_take_end(agent);
    }
}

/* Nobody may write where an agent that is silent may write still: the save is over. */
static void silence_ends_the_save(void **state)
{
    (void)state;
    int fd = device_memory();
    struct fake_agent *agent = fake_agent_start(says_nothing);
    struct ckpt_options options = fake_options(agent);
    struct ckpt *ckpt;
    options.timeout_ms = 300;
    assert_int_equal(ckpt_open(&options, &ckpt), CKPT_OK);
    assert_int_equal(ckpt_save_begin(ckpt, 7, tensors, COUNT, NULL, 0, addresses), CKPT_OK);
    assert_int_equal(ckpt_save_gather(ckpt, 7, fd, places, 3), CKPT_ERR_TIMEOUT);
    assert_int_equal(ckpt_save_end(ckpt, 7), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_save_begin(ckpt, 7, tensors, COUNT, NULL, 0, addresses), CKPT_OK);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
    (void)close(fd);
}

#define LARGE (CKPT_GIB + 4096 + 3)
#define LARGE_SEGMENT (512 * CKPT_MIB)

static void takes_a_large_one(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    uint64_t done = 0;
    struct message opened = {.type = MESSAGE_RANK_OPENED};
    opened.rank_opened.segment_bytes = LARGE_SEGMENT;
    if (connection != 0 || !fake_take(agent, MESSAGE_RANK_OPEN, &message)) {
        return;
    }
    fake_send(agent, &opened, NULL, 0);
    for (uint32_t i = 0; i < 3; i++) {
        if (ftruncate(fake_segment(agent, i), LARGE_SEGMENT) != 0) {
            fake_wrong(agent, "a segment cannot be made larger");
        }
    }
    if (!fake_grant(agent, 0, 3, 5, NULL)) {
        return;
    }
    while (done < LARGE && fake_take(agent, MESSAGE_GATHER, &message)) {
        const struct message_gather ask = message.gather;
        (void)close(fake_descriptor(agent));
        if (ask.range_count != 1 || ask.ranges[0].from != 64 + done ||
            ask.ranges[0].bytes > CKPT_GIB || ask.ranges[0].to % 4096 != 0) {
            fake_wrong(agent, "a part of the large tensor lies elsewhere");
            return;
        }
        done += ask.ranges[0].bytes;
        answer(agent, &ask, CKPT_OK, "");
    }
    if (done != LARGE) {
        fake_wrong(agent, "more than the large tensor was asked for");
    }
    (void)fake_take(agent, MESSAGE_ABANDON, &message);
}

static void a_large_tensor_goes_in_parts(void **state)
{
    (void)state;
    int fd = memfd_create("device", MFD_CLOEXEC);
    struct fake_agent *agent = fake_agent_start(takes_a_large_one);
    struct ckpt *ckpt = fake_connect(agent);
    const struct ckpt_tensor large = {"t", CKPT_DTYPE_U8, 1, {LARGE}, NULL, LARGE};
    const struct ckpt_device_tensor place = {.tensor = 0, .offset = 64};
    assert_int_equal(ckpt_save_begin(ckpt, 7, &large, 1, NULL, 0, addresses), CKPT_OK);
    assert_int_equal(ckpt_save_gather(ckpt, 7, fd, &place, 1), CKPT_OK);
    assert_int_equal(ckpt_save_cancel(ckpt, 7), CKPT_OK);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_tensors_are_gathered),
        cmocka_unit_test(a_refusal_leaves_the_save_begun),
        cmocka_unit_test(silence_ends_the_save),
        cmocka_unit_test(a_large_tensor_goes_in_parts),
    };
    return cmocka_run_group_tests(tests, make_tensors, NULL);
}
