/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors of a GPU through real daemons: copied, proven from the GPU's memory to the holders', and
 * back. The driver is the tests' own, the kernels are real and on the CPU. Every fault ends within
 * its deadline, with a status and a word, and the next save is well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fake_gpu/fake_gpu.h"
#include "integration/client/nodes.h"

#define WAIT_MS 60000
#define TIMEOUT_MS 20000 /* of kernels on a busy CPU */
#define TENSORS 4
#define GPU 0

/* One of the host, two large and one small of the GPU. */
static const uint64_t sizes[TENSORS] = {5000, 1 << 20, 100, 700000};
static const char *const names[TENSORS] = {"host", "weights", "scale", "moments"};
static uint8_t host[5000];
static void *memories[TENSORS];
static void *stream;

static uint8_t byte_of(uint64_t step, size_t tensor, uint64_t i)
{
    return (uint8_t)(step * 31 + tensor * 7 + i * 13 + (i >> 9));
}

static void fill(uint64_t step)
{
    for (size_t t = 0; t < TENSORS; t++) {
        uint8_t *memory = t == 0 ? host : memories[t];
        for (uint64_t i = 0; i < sizes[t]; i++) {
            memory[i] = byte_of(step, t, i);
        }
    }
}

static int start(void **state)
{
    fake_gpu_script("");
    stream = fake_gpu_stream(GPU);
    for (size_t t = 1; t < TENSORS; t++) {
        memories[t] = fake_gpu_allocate(GPU, sizes[t], t == 1 ? 1 << 19 : 0, FAKE_GPU_PLAIN);
    }
    return nodes_start(state);
}

static int stop(void **state)
{
    fake_gpu_script("");
    for (size_t t = 1; t < TENSORS; t++) {
        fake_gpu_free(memories[t]);
    }
    fake_gpu_stream_end(stream);
    return nodes_stop(state);
}

static void expect_nothing_left(void)
{
    struct fake_gpu_counts counts = fake_gpu_counts();
    assert_int_equal(counts.allocations, TENSORS - 1);
    assert_int_equal(counts.registrations, 0);
    assert_int_equal(counts.streams + counts.events + counts.contexts, 0);
}

static void begin(struct ckpt *ckpt, uint64_t step)
{
    struct ckpt_tensor tensors[TENSORS];
    void *addresses[TENSORS];
    for (size_t t = 0; t < TENSORS; t++) {
        tensors[t] = (struct ckpt_tensor){.name = names[t],
                                          .dtype = CKPT_DTYPE_U8,
                                          .dimensions = 1,
                                          .shape = {sizes[t]},
                                          .data = t == 0 ? host : NULL,
                                          .bytes = sizes[t]};
    }
    fill(step);
    if (ckpt_save_begin(ckpt, step, tensors, TENSORS, NULL, 0, addresses) != CKPT_OK) {
        fail_msg("step %u: %s", (unsigned)step, ckpt_reason(ckpt));
    }
}

static enum ckpt_status put(struct ckpt *ckpt, uint64_t step)
{
    const struct ckpt_device_source sources[] = {
        {3, memories[3]}, {1, memories[1]}, {2, memories[2]}};
    return ckpt_save_device(ckpt, step, sources, 3, stream);
}

static void save(struct ckpt *ckpt, uint64_t step)
{
    begin(ckpt, step);
    if (put(ckpt, step) != CKPT_OK || ckpt_save_end(ckpt, step) != CKPT_OK) {
        fail_msg("step %u: %s", (unsigned)step, ckpt_reason(ckpt));
    }
}

static void expect_consistent(struct ckpt *ckpt, uint64_t step)
{
    if (ckpt_wait(ckpt, step, WAIT_MS) != CKPT_OK) {
        fail_msg("step %u: %s", (unsigned)step, ckpt_reason(ckpt));
    }
}

static struct ckpt_device_report report_of(struct ckpt *ckpt)
{
    struct ckpt_device_report report = {.size = sizeof(report)};
    assert_int_equal(ckpt_device_report(ckpt, &report), CKPT_OK);
    return report;
}

static void expect_shard(const struct ckpt_shard *shard, uint64_t step)
{
    for (size_t t = 0; t < TENSORS; t++) {
        struct ckpt_tensor tensor;
        assert_int_equal(ckpt_find(shard, names[t], &tensor), CKPT_OK);
        for (uint64_t i = 0; i < sizes[t]; i++) {
            assert_int_equal(((const uint8_t *)tensor.data)[i], byte_of(step, t, i));
        }
    }
}

static void a_save__is_proven_and_comes_back(void **state)
{
    struct ckpt *ckpt = nodes_open(*state, 0, "proven", 1, TIMEOUT_MS);
    struct ckpt_shard shard;
    struct ckpt_device_target targets[TENSORS - 1];
    for (uint64_t step = 1; step <= 4; step++) {
        save(ckpt, step);
        struct ckpt_device_report report = report_of(ckpt);
        assert_string_equal(report.reason, "");
        assert_true(report.is_proven);
        assert_int_equal(report.bytes, sizes[1] + sizes[2] + sizes[3]);
        assert_int_equal(report.packed, sizes[2]);
        expect_consistent(ckpt, step);
    }
    ckpt_close(&ckpt);
    expect_nothing_left();
    ckpt = nodes_open(*state, 1, "proven", 2, TIMEOUT_MS);
    if (ckpt_load(ckpt, CKPT_STEP_LATEST, WAIT_MS, &shard) != CKPT_OK) {
        fail_msg("%s", ckpt_reason(ckpt));
    }
    expect_shard(&shard, 4);
    for (size_t t = 1; t < TENSORS; t++) {
        memset(memories[t], 0, sizes[t]);
        targets[t - 1] = (struct ckpt_device_target){names[t], memories[t], sizes[t]};
    }
    /* The first copy goes wrong, and is made once more. */
    fake_gpu_script("flip_in=1");
    assert_int_equal(ckpt_load_device(ckpt, &shard, targets, TENSORS - 1, stream), CKPT_OK);
    assert_true(report_of(ckpt).is_proven);
    for (size_t t = 1; t < TENSORS; t++) {
        for (uint64_t i = 0; i < sizes[t]; i++) {
            assert_int_equal(((uint8_t *)memories[t])[i], byte_of(4, t, i));
        }
    }
    fake_gpu_script("flips_in");
    assert_int_equal(ckpt_load_device(ckpt, &shard, targets, TENSORS - 1, stream), CKPT_ERR_DIGEST);
    assert_non_null(strstr(ckpt_reason(ckpt), "second copy"));
    targets[0].bytes--;
    assert_int_equal(ckpt_load_device(ckpt, &shard, targets, TENSORS - 1, stream), CKPT_ERR_SIZE);
    ckpt_unload(ckpt, &shard);
    ckpt_close(&ckpt);
    expect_nothing_left();
}

static void a_flipped_bit__is_refused_by_name(void **state)
{
    struct ckpt *ckpt = nodes_open(*state, 0, "flipped", 1, TIMEOUT_MS);
    save(ckpt, 1);
    expect_consistent(ckpt, 1);
    fake_gpu_script("flip=2");
    save(ckpt, 2);
    fake_gpu_script("");
    assert_int_equal(ckpt_wait(ckpt, 2, WAIT_MS), CKPT_ERR_DIGEST);
    assert_non_null(strstr(ckpt_reason(ckpt), "not those that the GPU had"));
    save(ckpt, 3);
    expect_consistent(ckpt, 3);
    struct ckpt_info info;
    assert_int_equal(ckpt_info(ckpt, CKPT_STEP_LATEST, &info), CKPT_OK);
    assert_int_equal(info.step, 3);
    ckpt_close(&ckpt);
    expect_nothing_left();
}

static void a_kernels_error__goes_over_the_host_and_is_said(void **state)
{
    struct ckpt *ckpt = nodes_open(*state, 0, "unproven", 1, TIMEOUT_MS);
    fake_gpu_script("kernel=2");
    save(ckpt, 1);
    struct ckpt_device_report report = report_of(ckpt);
    assert_false(report.is_proven);
    assert_non_null(strstr(report.reason, "computing values"));
    expect_consistent(ckpt, 1);
    save(ckpt, 2);
    assert_true(report_of(ckpt).is_proven);
    expect_consistent(ckpt, 2);
    ckpt_close(&ckpt);
    expect_nothing_left();
}

static void a_lost_gpu__ends_the_save_and_leaves_the_rest(void **state)
{
    struct ckpt *ckpt = nodes_open(*state, 0, "lost", 1, TIMEOUT_MS);
    save(ckpt, 1);
    expect_consistent(ckpt, 1);
    begin(ckpt, 2);
    fake_gpu_script("sticky_copy=3");
    enum ckpt_status status = put(ckpt, 2);
    if (status == CKPT_OK) {
        status = ckpt_save_end(ckpt, 2);
    } else {
        assert_int_equal(ckpt_save_cancel(ckpt, 2), CKPT_OK);
    }
    assert_int_equal(status, CKPT_ERR_SYSTEM);
    begin(ckpt, 3);
    assert_int_equal(put(ckpt, 3), CKPT_ERR_SYSTEM);
    assert_non_null(strstr(ckpt_reason(ckpt), "GPU"));
    assert_int_equal(ckpt_save_cancel(ckpt, 3), CKPT_OK);
    /* What the host has is saved as ever. */
    assert_int_equal(ckpt_save_bytes(ckpt, 4, host, sizeof(host)), CKPT_OK);
    expect_consistent(ckpt, 4);
    fake_gpu_script(""); /* so that what it had can be given back */
    ckpt_close(&ckpt);
    expect_nothing_left();
}

static void a_hang__ends_in_time_and_keeps_the_slot(void **state)
{
    struct ckpt *ckpt = nodes_open(*state, 0, "hung", 1, 300);
    struct timespec before, after;
    fake_gpu_script("hang=2");
    begin(ckpt, 1);
    assert_int_equal(put(ckpt, 1), CKPT_OK);
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(ckpt_save_end(ckpt, 1), CKPT_ERR_TIMEOUT);
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    assert_in_range(after.tv_sec - before.tv_sec, 1, 10);
    assert_int_equal(ckpt_save_bytes(ckpt, 2, host, sizeof(host)), CKPT_ERR_BUSY);
    assert_non_null(strstr(ckpt_reason(ckpt), "step 1"));
    fake_gpu_script("");
    enum ckpt_status status = CKPT_ERR_BUSY;
    for (int i = 0; i < 100 && status == CKPT_ERR_BUSY; i++) {
        const struct timespec some = {0, 20000000};
        (void)nanosleep(&some, NULL);
        status = ckpt_save_bytes(ckpt, 2, host, sizeof(host));
    }
    assert_int_equal(status, CKPT_OK);
    expect_consistent(ckpt, 2);
    ckpt_close(&ckpt);
    expect_nothing_left();
    ckpt = nodes_open(*state, 0, "hung", 2, TIMEOUT_MS);
    save(ckpt, 3);
    expect_consistent(ckpt, 3);
    ckpt_close(&ckpt);
    expect_nothing_left();
}

static void wrong_calls__have_a_word(void **state)
{
    struct ckpt *ckpt = nodes_open(*state, 0, "wrong", 1, TIMEOUT_MS);
    struct ckpt_device_report report = {.size = sizeof(report)};
    assert_int_equal(ckpt_device_report(ckpt, &report), CKPT_ERR_NOT_FOUND);
    assert_int_equal(put(ckpt, 1), CKPT_ERR_INVALID);
    begin(ckpt, 1);
    fake_gpu_capture(stream, true);
    assert_int_equal(put(ckpt, 1), CKPT_ERR_INVALID);
    assert_non_null(strstr(ckpt_reason(ckpt), "graph"));
    fake_gpu_capture(stream, false);
    /* An allocation that has moved since is not read. */
    void *old = memories[3];
    memories[3] = fake_gpu_move(old);
    const struct ckpt_device_source stale[] = {{1, memories[1]}, {3, old}};
    assert_int_equal(ckpt_save_device(ckpt, 1, stale, 2, stream), CKPT_ERR_INVALID);
    const struct ckpt_device_source twice[] = {{1, memories[1]}, {1, memories[1]}};
    assert_int_equal(ckpt_save_device(ckpt, 1, twice, 2, stream), CKPT_ERR_INVALID);
    assert_int_equal(put(ckpt, 1), CKPT_OK);
    assert_int_equal(put(ckpt, 1), CKPT_ERR_INVALID);
    assert_int_equal(ckpt_save_cancel(ckpt, 1), CKPT_OK);
    /* A part that others copy: all the same, without a proof. */
    begin(ckpt, 2);
    const struct ckpt_device_source some[] = {{1, memories[1]}};
    assert_int_equal(ckpt_save_device(ckpt, 2, some, 1, stream), CKPT_OK);
    assert_int_equal(ckpt_save_end(ckpt, 2), CKPT_OK);
    assert_non_null(strstr(report_of(ckpt).reason, "other means"));
    expect_consistent(ckpt, 2);
    ckpt_close(&ckpt);
    fake_gpu_script("no_register");
    ckpt = nodes_open(*state, 0, "wrong", 2, TIMEOUT_MS);
    begin(ckpt, 3);
    assert_int_equal(put(ckpt, 3), CKPT_ERR_UNSUPPORTED);
    assert_int_equal(ckpt_save_cancel(ckpt, 3), CKPT_OK);
    ckpt_close(&ckpt);
    expect_nothing_left();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(a_save__is_proven_and_comes_back),
        TEST(a_flipped_bit__is_refused_by_name),
        TEST(a_kernels_error__goes_over_the_host_and_is_said),
        TEST(a_lost_gpu__ends_the_save_and_leaves_the_rest),
        TEST(a_hang__ends_in_time_and_keeps_the_slot),
        TEST(wrong_calls__have_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
