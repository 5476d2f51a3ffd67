/* SPDX-License-Identifier: Apache-2.0 */
/* What driver_abi.h declares of the driver is what cuda.h has: mostly seen by the compiler. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <cuda.h>

#include "device/driver_abi.h"

#define SAME(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), #theirs)
SAME(DRIVER_ERR_INVALID, CUDA_ERROR_INVALID_VALUE);
SAME(DRIVER_ERR_MEMORY, CUDA_ERROR_OUT_OF_MEMORY);
SAME(DRIVER_ERR_NOT_INITIALIZED, CUDA_ERROR_NOT_INITIALIZED);
SAME(DRIVER_ERR_DEVICE, CUDA_ERROR_INVALID_DEVICE);
SAME(DRIVER_ERR_CONTEXT, CUDA_ERROR_INVALID_CONTEXT);
SAME(DRIVER_ERR_HANDLE, CUDA_ERROR_INVALID_HANDLE);
SAME(DRIVER_ERR_NOT_READY, CUDA_ERROR_NOT_READY);
SAME(DRIVER_ERR_ILLEGAL_ADDRESS, CUDA_ERROR_ILLEGAL_ADDRESS);
SAME(DRIVER_ERR_REGISTERED, CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
SAME(DRIVER_ERR_NOT_REGISTERED, CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
SAME(DRIVER_ERR_NOT_SUPPORTED, CUDA_ERROR_NOT_SUPPORTED);
SAME(DRIVER_ERR_CAPTURE, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
SAME(DRIVER_ERR_CAPTURE_IMPLICIT, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
SAME(DRIVER_POINTER_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_MEMORY_TYPE);
SAME(DRIVER_POINTER_IS_MANAGED, CU_POINTER_ATTRIBUTE_IS_MANAGED);
SAME(DRIVER_POINTER_DEVICE, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL);
SAME(DRIVER_POINTER_MEMPOOL, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE);
SAME(DRIVER_DEVICE_CLOCK, CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
SAME(DRIVER_DEVICE_PROCESSORS, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
SAME(DRIVER_DEVICE_MEMORY_CLOCK, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE);
SAME(DRIVER_DEVICE_MEMORY_BUS, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
SAME(DRIVER_MEMORY_DEVICE, CU_MEMORYTYPE_DEVICE);
SAME(DRIVER_STREAM_NON_BLOCKING, CU_STREAM_NON_BLOCKING);
SAME(DRIVER_EVENT_NO_TIMING, CU_EVENT_DISABLE_TIMING);
SAME(DRIVER_REGISTER_PORTABLE, CU_MEMHOSTREGISTER_PORTABLE);
SAME(DRIVER_REGISTER_READ_ONLY, CU_MEMHOSTREGISTER_READ_ONLY);
SAME(DRIVER_CAPTURE_NONE, CU_STREAM_CAPTURE_STATUS_NONE);
#if CUDA_VERSION >= 12080
SAME(DRIVER_ORDER_STREAM, CU_MEMCPY_SRC_ACCESS_ORDER_STREAM);
SAME(DRIVER_COPY_BESIDE_COMPUTE, CU_MEMCPY_FLAG_PREFER_OVERLAP_WITH_COMPUTE);
SAME(sizeof(struct driver_copy_attributes), sizeof(CUmemcpyAttributes));
SAME(offsetof(struct driver_copy_attributes, source), offsetof(CUmemcpyAttributes, srcLocHint));
SAME(offsetof(struct driver_copy_attributes, target), offsetof(CUmemcpyAttributes, dstLocHint));
SAME(offsetof(struct driver_copy_attributes, flags), offsetof(CUmemcpyAttributes, flags));
#endif
SAME(sizeof(CUdevice), sizeof(int));
SAME(sizeof(CUdeviceptr), sizeof(uint64_t));
SAME(sizeof(CUresult), sizeof(int));

/* Each function is called with what the header says it takes, through a pointer of ours. Where one
 * had another number of arguments, or a name that it has no more, this does not compile. */
#define TEXT_OF(name) #name
#define NAME_OF(name) TEXT_OF(name)
#define CALLED(symbol, ...) (void)sizeof(symbol(__VA_ARGS__))

static void signatures__those_of_the_header(void **state)
{
    (void)state;
    const char *text;
    char *name = NULL;
    float ms = 0;
    void *pointer = NULL;
    size_t bytes = 0;
    int number = 0;
    CUdeviceptr address = 0;
    CUcontext context = NULL;
    CUstream stream = NULL;
    CUevent event = NULL;
    CUstreamCaptureStatus capture;
    CALLED(cuGetErrorString, CUDA_SUCCESS, &text);
    CALLED(cuDeviceGetCount, &number);
    CALLED(cuDeviceGetName, name, number, 0);
    CALLED(cuDeviceGetAttribute, &number, CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 0);
    CALLED(cuDevicePrimaryCtxRetain, &context, 0);
    CALLED(cuDevicePrimaryCtxRelease, 0);
    CALLED(cuCtxPushCurrent, context);
    CALLED(cuCtxPopCurrent, &context);
    CALLED(cuCtxGetStreamPriorityRange, &number, &number);
    CALLED(cuPointerGetAttribute, pointer, CU_POINTER_ATTRIBUTE_CONTEXT, address);
    CALLED(cuMemGetInfo, &bytes, &bytes);
    CALLED(cuMemAlloc, &address, bytes);
    CALLED(cuMemFree, address);
    CALLED(cuMemHostRegister, pointer, bytes, 0U);
    CALLED(cuMemHostUnregister, pointer);
    CALLED(cuMemcpyDtoHAsync, pointer, address, bytes, stream);
    CALLED(cuMemcpyHtoDAsync, address, pointer, bytes, stream);
    CALLED(cuMemcpyDtoDAsync, address, address, bytes, stream);
    CALLED(cuMemsetD8Async, address, (unsigned char)0, bytes, stream);
    CALLED(cuStreamCreateWithPriority, &stream, 0U, 0);
    CALLED(cuStreamDestroy, stream);
    CALLED(cuStreamIsCapturing, stream, &capture);
    CALLED(cuStreamWaitEvent, stream, event, 0U);
    CALLED(cuEventCreate, &event, 0U);
    CALLED(cuEventRecord, event, stream);
    CALLED(cuEventQuery, event);
    CALLED(cuEventElapsedTime, &ms, event, event);
    CALLED(cuEventDestroy, event);
    assert_string_equal(NAME_OF(cuDevicePrimaryCtxRelease), "cuDevicePrimaryCtxRelease_v2");
    assert_string_equal(NAME_OF(cuCtxPushCurrent), "cuCtxPushCurrent_v2");
    assert_string_equal(NAME_OF(cuCtxPopCurrent), "cuCtxPopCurrent_v2");
    assert_string_equal(NAME_OF(cuMemGetInfo), "cuMemGetInfo_v2");
    assert_string_equal(NAME_OF(cuMemAlloc), "cuMemAlloc_v2");
    assert_string_equal(NAME_OF(cuMemFree), "cuMemFree_v2");
    assert_string_equal(NAME_OF(cuMemHostRegister), "cuMemHostRegister_v2");
    assert_string_equal(NAME_OF(cuMemcpyDtoHAsync), "cuMemcpyDtoHAsync_v2");
    assert_string_equal(NAME_OF(cuMemcpyHtoDAsync), "cuMemcpyHtoDAsync_v2");
    assert_string_equal(NAME_OF(cuMemcpyDtoDAsync), "cuMemcpyDtoDAsync_v2");
    assert_string_equal(NAME_OF(cuStreamDestroy), "cuStreamDestroy_v2");
    assert_string_equal(NAME_OF(cuEventDestroy), "cuEventDestroy_v2");
#if CUDA_VERSION >= 13000
    CUmemcpyAttributes attributes;
    CALLED(cuMemcpyBatchAsync, &address, &address, &bytes, bytes, &attributes, &bytes, bytes,
           stream);
    assert_string_equal(NAME_OF(cuMemcpyBatchAsync), DRIVER_BATCH_COPY);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(signatures__those_of_the_header)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
