/* SPDX-License-Identifier: Apache-2.0 */
/* GPU memory by the fake driver of fake_cuda.c, which LD_LIBRARY_PATH puts in front; there need not
 * be a GPU, and none is used. CKPT_TEST_DRIVER says which one is there: good, old or broken; none:
 * the build had no cuda.h. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "device/gpu_memory.h"

#define SEGMENT_BYTES ((UINT64_C(5) << 20) + 12345) /* no whole number of any page */
#define SEGMENTS 3

static uint8_t *pattern(uint32_t segment)
{
    uint8_t *bytes = malloc(SEGMENT_BYTES);
    assert_non_null(bytes);
    for (uint64_t i = 0; i < SEGMENT_BYTES; i++) {
        bytes[i] = (uint8_t)(i * 31 + (i >> 12) + segment * 101);
    }
    return bytes;
}

static void expect_refusal(const char *wrong, uint32_t gpu, enum ckpt_status status,
                           const char *words)
{
    struct gpu_memory *memory = NULL;
    char reason[CKPT_REASON_MAX + 1] = "";
    setenv("FAKE_CUDA", wrong, 1);
    assert_int_equal(gpu_memory_open(gpu, SEGMENT_BYTES, SEGMENTS, &memory, reason), status);
    unsetenv("FAKE_CUDA");
    assert_null(memory);
    if (strstr(reason, words) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", words, reason);
    }
    assert_null(strchr(reason, '\n'));
}

static struct gpu_memory *open_good(void)
{
    struct gpu_memory *memory = NULL;
    char reason[CKPT_REASON_MAX + 1] = "";
    if (gpu_memory_open(1, SEGMENT_BYTES, SEGMENTS, &memory, reason) != CKPT_OK) {
        fail_msg("%s", reason);
    }
    return memory;
}

static void a_dmabuf_has_the_bytes_of_its_segment(void **state)
{
    struct gpu_memory *memory = open_good();
    char reason[CKPT_REASON_MAX + 1] = "";
    int fds[SEGMENTS];
    (void)state;
    assert_string_equal(gpu_memory_model(memory), "Fake GPU of the tests, 1");
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        uint8_t *bytes = pattern(i);
        assert_int_equal(gpu_memory_fill(memory, i, bytes, reason), CKPT_OK);
        assert_int_equal(gpu_memory_export(memory, i, &fds[i], reason), CKPT_OK);
        assert_true((fcntl(fds[i], F_GETFD) & FD_CLOEXEC) != 0);
        free(bytes);
    }
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        uint8_t *bytes = pattern(i);
        struct stat status;
        assert_int_equal(fstat(fds[i], &status), 0);
        assert_true((uint64_t)status.st_size >= SEGMENT_BYTES);
        assert_int_equal(status.st_size % (64 << 10), 0); /* whole pages of the GPU */
        uint8_t *seen = mmap(NULL, SEGMENT_BYTES, PROT_READ, MAP_SHARED, fds[i], 0);
        assert_ptr_not_equal(seen, MAP_FAILED);
        assert_memory_equal(seen, bytes, SEGMENT_BYTES);
        /* The dma-buf is the memory, and no copy of it. */
        bytes[77] ^= 0xff;
        assert_int_equal(gpu_memory_fill(memory, i, bytes, reason), CKPT_OK);
        assert_memory_equal(seen, bytes, SEGMENT_BYTES);
        munmap(seen, SEGMENT_BYTES);
        close(fds[i]);
        free(bytes);
    }
    gpu_memory_close(&memory);
    assert_null(memory);
    gpu_memory_close(&memory);
}

static void what_is_not_there_is_said(void **state)
{
    (void)state;
    expect_refusal("no_gpu", 0, CKPT_ERR_CONFIG, "the driver finds no GPU on this machine");
    expect_refusal("", 2, CKPT_ERR_CONFIG, "there is no GPU 2, the last is 1 (--gpu=N)");
    expect_refusal("no_dmabuf", 0, CKPT_ERR_CONFIG,
                   "GPU 0 (Fake GPU of the tests, 0) exports no dma-bufs");
    expect_refusal("no_memory", 0, CKPT_ERR_MEMORY, "allocating it: out of memory (2)");
    expect_refusal("1", 0, CKPT_ERR_SYSTEM, "starting the driver: an unknown error (802)");
}

static void what_the_driver_refuses_later_is_said(void **state)
{
    struct gpu_memory *memory = open_good();
    char reason[CKPT_REASON_MAX + 1] = "";
    uint8_t *bytes = pattern(0);
    int fd = -7;
    (void)state;
    setenv("FAKE_CUDA", "spoils", 1);
    assert_int_equal(gpu_memory_fill(memory, 0, bytes, reason), CKPT_ERR_CORRUPT);
    assert_non_null(strstr(reason, "other bytes"));
    setenv("FAKE_CUDA", "no_export", 1);
    assert_int_equal(gpu_memory_export(memory, 0, &fd, reason), CKPT_ERR_SYSTEM);
    assert_non_null(strstr(reason, "exporting it as a dma-buf"));
    assert_int_equal(fd, -7);
    unsetenv("FAKE_CUDA");
    gpu_memory_close(&memory);
    free(bytes);
}

static void an_old_driver_is_named(void **state)
{
    (void)state;
    expect_refusal("", 0, CKPT_ERR_CONFIG, "has no cuMemGetHandleForAddressRange: it is older");
}

static void no_driver_is_said(void **state)
{
    (void)state;
    expect_refusal("", 0, CKPT_ERR_CONFIG, "no NVIDIA driver on this machine");
}

static void a_build_without_it_says_so(void **state)
{
    (void)state;
    expect_refusal("", 0, CKPT_ERR_CONFIG, "GPU memory is not built in: no cuda.h");
}

int main(void)
{
    const char *driver = getenv("CKPT_TEST_DRIVER");
    const struct CMUnitTest good[] = {
        cmocka_unit_test(a_dmabuf_has_the_bytes_of_its_segment),
        cmocka_unit_test(what_is_not_there_is_said),
        cmocka_unit_test(what_the_driver_refuses_later_is_said),
    };
    const struct CMUnitTest old[] = {cmocka_unit_test(an_old_driver_is_named)};
    const struct CMUnitTest broken[] = {cmocka_unit_test(no_driver_is_said)};
    const struct CMUnitTest none[] = {cmocka_unit_test(a_build_without_it_says_so)};
    if (driver == NULL) {
        printf("skipped: CKPT_TEST_DRIVER is not set; run by ctest\n");
        return 77;
    }
    if (strcmp(driver, "old") == 0) {
        return cmocka_run_group_tests(old, NULL, NULL);
    }
    if (strcmp(driver, "broken") == 0) {
        return cmocka_run_group_tests(broken, NULL, NULL);
    }
    if (strcmp(driver, "none") == 0) {
        return cmocka_run_group_tests(none, NULL, NULL);
    }
    return cmocka_run_group_tests(good, NULL, NULL);
}
