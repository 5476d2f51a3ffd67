/* SPDX-License-Identifier: Apache-2.0 */
/* The fake driver is as strict as it says: what a test of the product leans on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/limits.h"
#include "device/kernels_library.h"
#include "fake_gpu/inside.h"

static void *context;
static void *stream;

static int open_context(void **state)
{
    (void)state;
    fake_gpu_script("");
    return cuInit(0) != 0 || cuDevicePrimaryCtxRetain(&context, 1) != 0 ||
           cuCtxPushCurrent_v2(context) != 0 ||
           cuStreamCreateWithPriority(&stream, DRIVER_STREAM_NON_BLOCKING, 0) != 0;
}

static int close_context(void **state)
{
    (void)state;
    fake_gpu_script("");
    fake_gpu_synchronize(stream);
    int failed = cuStreamDestroy_v2(stream) != 0 || cuCtxPopCurrent_v2(NULL) != 0 ||
                 cuDevicePrimaryCtxRelease_v2(1) != 0;
    struct fake_gpu_counts counts = fake_gpu_counts();
    return failed || counts.allocations + counts.registrations + counts.streams + counts.events +
                             counts.contexts !=
                         0;
}

static uint64_t allocate(size_t bytes)
{
    uint64_t address;
    assert_int_equal(cuMemAlloc_v2(&address, bytes), 0);
    return address;
}

static void times__only_of_events_that_have_one_and_have_been(void **state)
{
    (void)state;
    const struct timespec pause = {0, 1000000};
    uint64_t from = allocate(64), to = allocate(64);
    void *begin, *end, *none;
    uint8_t ones[64], got[64];
    float ms = -1;
    memset(ones, 1, sizeof(ones));
    assert_int_equal(cuEventCreate(&begin, 0), 0);
    assert_int_equal(cuEventCreate(&end, 0), 0);
    assert_int_equal(cuEventCreate(&none, DRIVER_EVENT_NO_TIMING), 0);
    assert_int_equal(cuMemcpyDtoDAsync_v2(to, from, 65, stream), DRIVER_ERR_INVALID);
    assert_int_equal(cuMemcpyDtoDAsync_v2(to, (uint64_t)(uintptr_t)ones, 64, stream),
                     DRIVER_ERR_INVALID);
    assert_int_equal(cuEventElapsedTime(&ms, begin, end), DRIVER_ERR_HANDLE);
    assert_int_equal(cuMemsetD8Async(from, 1, 64, stream), 0);
    assert_int_equal(cuEventRecord(begin, stream), 0);
    fake_gpu_write_later(stream, got, ones, sizeof(got), 20);
    assert_int_equal(cuMemcpyDtoDAsync_v2(to, from, 64, stream), 0);
    assert_int_equal(cuEventRecord(end, stream), 0);
    assert_int_equal(cuEventRecord(none, stream), 0);
    assert_int_equal(cuEventElapsedTime(&ms, begin, end), DRIVER_ERR_NOT_READY);
    while (cuEventQuery(none) == DRIVER_ERR_NOT_READY) {
        nanosleep(&pause, NULL);
    }
    assert_int_equal(cuEventElapsedTime(&ms, begin, none), DRIVER_ERR_HANDLE);
    assert_int_equal(cuEventElapsedTime(&ms, begin, end), 0);
    assert_true(ms >= 20);
    assert_memory_equal((void *)(uintptr_t)to, ones, 64);
    void *events[] = {begin, end, none};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(cuEventDestroy_v2(events[i]), 0);
    }
    assert_int_equal(cuMemFree_v2(from), 0);
    assert_int_equal(cuMemFree_v2(to), 0);
}

static void copies__are_later_and_in_order(void **state)
{
    (void)state;
    uint8_t got[64] = {0}, poison[64], text[64];
    uint64_t memory = allocate(sizeof(got));
    void *trainer = fake_gpu_stream(1), *event;
    memset(poison, FAKE_GPU_POISON, sizeof(poison));
    memset(text, 'x', sizeof(text));
    assert_memory_equal((void *)(uintptr_t)memory, poison, sizeof(poison));
    assert_int_equal(cuEventCreate(&event, DRIVER_EVENT_NO_TIMING), 0);
    fake_gpu_write_later(trainer, (void *)(uintptr_t)memory, text, sizeof(text), 30);
    assert_int_equal(cuEventRecord(event, trainer), 0);
    assert_int_equal(cuEventQuery(event), DRIVER_ERR_NOT_READY);
    assert_int_equal(cuStreamWaitEvent(stream, event, 0), 0);
    assert_int_equal(cuMemcpyDtoHAsync_v2(got, memory, sizeof(got), stream), 0);
    assert_int_equal(got[0], 0);
    fake_gpu_synchronize(stream);
    assert_memory_equal(got, text, sizeof(got));
    assert_int_equal(cuEventDestroy_v2(event), 0);
    assert_int_equal(cuMemFree_v2(memory), 0);
    fake_gpu_stream_end(trainer);
}

static void batches__keep_the_rules_of_the_header(void **state)
{
    (void)state;
    uint8_t got[2][16];
    uint64_t memory = allocate(32);
    uint64_t to[2] = {(uintptr_t)got[0], (uintptr_t)got[1]}, from[2] = {memory, memory + 16};
    size_t bytes[2] = {16, 16}, first[2] = {0, 1};
    struct driver_copy_attributes attributes[2] = {{.order = DRIVER_ORDER_STREAM},
                                                   {.order = DRIVER_ORDER_STREAM}};
    assert_int_equal(cuMemcpyBatchAsync_v2(to, from, bytes, 2, attributes, first, 2, NULL), 1);
    first[0] = 1;
    assert_int_equal(cuMemcpyBatchAsync_v2(to, from, bytes, 2, attributes, first, 1, stream), 1);
    first[0] = 0;
    attributes[0].order = 0;
    assert_int_equal(cuMemcpyBatchAsync_v2(to, from, bytes, 2, attributes, first, 1, stream), 1);
    attributes[0].order = DRIVER_ORDER_STREAM;
    bytes[1] = 17; /* beyond the allocation */
    assert_int_equal(cuMemcpyBatchAsync_v2(to, from, bytes, 2, attributes, first, 1, stream), 1);
    bytes[1] = 16;
    assert_int_equal(cuMemcpyBatchAsync_v2(to, from, bytes, 2, attributes, first, 2, stream), 0);
    fake_gpu_synchronize(stream);
    assert_int_equal(got[1][15], FAKE_GPU_POISON);
    assert_int_equal(fake_gpu_counts().batched, 2);
    assert_int_equal(cuMemFree_v2(memory), 0);
}

static void memory__has_pieces_kinds_and_moves(void **state)
{
    (void)state;
    uint8_t *memory = fake_gpu_allocate(0, 5000, 2000, FAKE_GPU_POOL);
    uint64_t base;
    size_t bytes;
    void *pool = NULL;
    int device = -1;
    assert_int_equal(cuMemGetAddressRange_v2(&base, &bytes, (uintptr_t)memory + 4100), 0);
    assert_int_equal(base, (uintptr_t)memory + 4000);
    assert_int_equal(bytes, 1000);
    assert_int_equal(cuPointerGetAttribute(&pool, DRIVER_POINTER_MEMPOOL, base), 0);
    assert_non_null(pool);
    assert_int_equal(cuPointerGetAttribute(&device, DRIVER_POINTER_DEVICE, base), 0);
    assert_int_equal(device, 0);
    memory[4999] = 7;
    uint8_t *moved = fake_gpu_move(memory);
    assert_int_equal(moved[4999], 7);
    assert_int_equal(cuPointerGetAttribute(&device, DRIVER_POINTER_DEVICE, base), 1);
    assert_int_equal(cuPointerGetAttribute(&device, DRIVER_POINTER_DEVICE, (uintptr_t)&base), 1);
    fake_gpu_free(moved);
}

static void registrations__are_known(void **state)
{
    (void)state;
    void *page = NULL;
    unsigned type = 0;
    assert_int_equal(posix_memalign(&page, 4096, 4096), 0);
    assert_int_equal(cuMemHostRegister_v2((uint8_t *)page + 8, 8, 1), DRIVER_ERR_INVALID);
    assert_int_equal(cuMemHostRegister_v2(page, 4096, 1), 0);
    assert_int_equal(cuMemHostRegister_v2(page, 4096, 1), DRIVER_ERR_REGISTERED);
    assert_int_equal(cuPointerGetAttribute(&type, DRIVER_POINTER_MEMORY_TYPE, (uintptr_t)page), 0);
    assert_int_equal(type, 1);
    assert_int_equal(fake_gpu_counts().registrations, 1);
    assert_int_equal(cuMemHostUnregister(page), 0);
    assert_int_equal(cuMemHostUnregister(page), DRIVER_ERR_NOT_REGISTERED);
    free(page);
}

static void faults__come_by_script(void **state)
{
    (void)state;
    uint8_t got[16];
    uint64_t memory = allocate(sizeof(got)), other;
    fake_gpu_script("flip=2");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cuMemcpyDtoHAsync_v2(got, memory, sizeof(got), stream), 0);
        fake_gpu_synchronize(stream);
        assert_int_equal(got[8], i == 1 ? FAKE_GPU_POISON ^ 0x10 : FAKE_GPU_POISON);
    }
    fake_gpu_script("no_memory,hang=1");
    assert_int_equal(cuMemAlloc_v2(&other, 8), DRIVER_ERR_MEMORY);
    got[0] = 0;
    assert_int_equal(cuMemcpyDtoHAsync_v2(got, memory, sizeof(got), stream), 0);
    const struct timespec some = {0, 20000000};
    nanosleep(&some, NULL);
    assert_int_equal(cuStreamQuery(stream), DRIVER_ERR_NOT_READY);
    fake_gpu_script("sticky=2");
    fake_gpu_synchronize(stream);
    assert_int_equal(got[0], FAKE_GPU_POISON);
    assert_int_equal(cuStreamQuery(stream), 0);
    assert_int_equal(cuStreamQuery(stream), DRIVER_ERR_ILLEGAL_ADDRESS);
    assert_int_equal(cuMemFree_v2(memory), DRIVER_ERR_ILLEGAL_ADDRESS);
    fake_gpu_script("");
    assert_int_equal(cuMemFree_v2(memory), 0);
    fake_gpu_capture(stream, true);
    assert_int_equal(cuEventRecord(NULL, stream), DRIVER_ERR_CAPTURE);
    fake_gpu_capture(stream, false);
}

static void kernels__run_on_the_streams(void **state)
{
    (void)state;
    struct kernels_library kernels;
    char reason[CKPT_REASON_MAX + 1] = "";
    uint64_t from = allocate(1000), to = allocate(1024), table = allocate(64);
    const struct kernels_tensor tensor = {.address = from, .place = 8, .bytes = 1000};
    assert_int_equal(kernels_library_open(NULL, &kernels, reason), CKPT_OK);
    memset((void *)(uintptr_t)to, 1, 1024);
    fake_gpu_write_later(stream, (void *)(uintptr_t)table, &tensor, sizeof(tensor), 20);
    assert_int_equal(
        kernels.kernels_gather((void *)(uintptr_t)table, 1, 0, 1024, (void *)(uintptr_t)to, stream),
        0);
    assert_int_equal(((uint8_t *)(uintptr_t)to)[8], 1);
    fake_gpu_synchronize(stream);
    assert_int_equal(((uint8_t *)(uintptr_t)to)[7], 1);
    assert_int_equal(((uint8_t *)(uintptr_t)to)[8], FAKE_GPU_POISON);
    assert_int_equal(((uint8_t *)(uintptr_t)to)[1007], FAKE_GPU_POISON);
    assert_int_equal(((uint8_t *)(uintptr_t)to)[1008], 1);
    fake_gpu_script("sticky=1");
    assert_int_equal(
        kernels.kernels_gather((void *)(uintptr_t)table, 1, 0, 1024, (void *)(uintptr_t)to, stream),
        DRIVER_ERR_ILLEGAL_ADDRESS);
    fake_gpu_script("");
    kernels_library_close(&kernels);
    assert_int_equal(cuMemFree_v2(from) | cuMemFree_v2(to) | cuMemFree_v2(table), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_context, close_context)
    const struct CMUnitTest tests[] = {
        TEST(times__only_of_events_that_have_one_and_have_been),
        TEST(copies__are_later_and_in_order),
        TEST(batches__keep_the_rules_of_the_header),
        TEST(memory__has_pieces_kinds_and_moves),
        TEST(registrations__are_known),
        TEST(faults__come_by_script),
        TEST(kernels__run_on_the_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
