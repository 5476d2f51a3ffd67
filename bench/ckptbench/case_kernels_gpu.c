/* SPDX-License-Identifier: Apache-2.0 */
#include "case_kernels_gpu.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/reason.h"

#define STAND_IN "Fake GPU" /* how the name of tests/fake_gpu begins */
#define HANG_NS (UINT64_C(60) * 1000000000)
#define POLL_NS 50000

enum ckpt_status gpu_judge(const struct gpu *gpu, int error, const char *what, char *reason)
{
    return error == DRIVER_OK ? CKPT_OK : driver_failed(&gpu->driver, error, what, reason);
}

static enum ckpt_status find(struct gpu *gpu, int ordinal, char *reason)
{
    int count = 0;
    int error = gpu->driver.device_count(&count);
    if (error == DRIVER_OK && ordinal >= count) {
        return reason_refuse(reason, CKPT_ERR_CONFIG, "GPU: there is no GPU %d, the last is %d",
                             ordinal, count - 1);
    }
    gpu->ordinal = ordinal;
    if (error == DRIVER_OK) {
        error = gpu->driver.device_name(gpu->model, GPU_MODEL_MAX, ordinal);
    }
    gpu->is_stand_in = strncmp(gpu->model, STAND_IN, strlen(STAND_IN)) == 0;
    return gpu_judge(gpu, error, "looking at it", reason);
}

/* 0 where the driver does not tell. */
static double attribute(const struct gpu *gpu, int which)
{
    int value = 0;
    int error = gpu->driver.device_attribute(&value, which, gpu->ordinal);
    return error == DRIVER_OK && value > 0 ? value : 0;
}

/* Clocks are told in kHz; memory moves its bus' width twice a cycle. */
static void look(struct gpu *gpu)
{
    gpu->processors = attribute(gpu, DRIVER_DEVICE_PROCESSORS);
    gpu->clock_hz = attribute(gpu, DRIVER_DEVICE_CLOCK) * 1e3;
    gpu->memory_bytes_s = attribute(gpu, DRIVER_DEVICE_MEMORY_CLOCK) * 1e3 * 2 *
                          attribute(gpu, DRIVER_DEVICE_MEMORY_BUS) / 8;
}

static enum ckpt_status make_current(struct gpu *gpu, char *reason)
{
    void *context = NULL;
    int error = gpu->driver.context_retain(&context, gpu->ordinal);
    if (error == DRIVER_OK) {
        gpu->context = context;
        error = gpu->driver.context_push(context);
    }
    return gpu_judge(gpu, error, "opening it", reason);
}

static enum ckpt_status make_stream(struct gpu *gpu, char *reason)
{
    size_t free_bytes = 0;
    size_t all_bytes = 0;
    int error = gpu->driver.room(&free_bytes, &all_bytes);
    gpu->free_bytes = free_bytes;
    if (error == DRIVER_OK) {
        error = gpu->driver.stream_create(&gpu->stream, DRIVER_STREAM_NON_BLOCKING, 0);
    }
    if (error == DRIVER_OK) {
        error = gpu->driver.event_create(&gpu->begin, 0);
    }
    if (error == DRIVER_OK) {
        error = gpu->driver.event_create(&gpu->end, 0);
    }
    return gpu_judge(gpu, error, "making a stream", reason);
}

enum ckpt_status gpu_open(int ordinal, struct gpu *gpu, char *reason)
{
    if (driver_open(&gpu->driver, reason) != CKPT_OK) {
        return CKPT_ERR_CONFIG;
    }
    enum ckpt_status status = find(gpu, ordinal, reason);
    if (status == CKPT_OK) {
        look(gpu);
        status = make_current(gpu, reason);
    }
    if (status == CKPT_OK && kernels_library_open(NULL, &gpu->library, reason) != CKPT_OK) {
        status = CKPT_ERR_CONFIG;
    }
    return status == CKPT_OK ? make_stream(gpu, reason) : status;
}

/* What is on the stream may be the library's code. Where it does not end, or the device answers
 * nothing any more, nothing is given back: the process' end frees all. */
void gpu_close(struct gpu *gpu)
{
    char unread[CKPT_REASON_MAX + 1];
    if (gpu->end != NULL && gpu_await(gpu, "closing it", unread) != CKPT_OK) {
        return;
    }
    (void)(gpu->begin != NULL && gpu->driver.event_destroy(gpu->begin) != DRIVER_OK);
    (void)(gpu->end != NULL && gpu->driver.event_destroy(gpu->end) != DRIVER_OK);
    (void)(gpu->stream != NULL && gpu->driver.stream_destroy(gpu->stream) != DRIVER_OK);
    kernels_library_close(&gpu->library);
    if (gpu->context != NULL) {
        (void)gpu->driver.context_pop(NULL);
        (void)gpu->driver.context_release(gpu->ordinal);
    }
    driver_close(&gpu->driver);
}

enum ckpt_status gpu_await(struct gpu *gpu, const char *what, char *reason)
{
    const struct timespec pause = {0, POLL_NS};
    uint64_t until_ns = clock_now_ns() + HANG_NS;
    if (gpu->is_hung) {
        return CKPT_ERR_TIMEOUT;
    }
    int error = gpu->driver.event_record(gpu->end, gpu->stream);
    while (error == DRIVER_OK &&
           (error = gpu->driver.event_query(gpu->end)) == DRIVER_ERR_NOT_READY) {
        if (clock_now_ns() >= until_ns) {
            gpu->is_hung = true;
            return reason_refuse(reason, CKPT_ERR_TIMEOUT, "GPU: %s: no end of it after a minute",
                                 what);
        }
        error = DRIVER_OK;
        nanosleep(&pause, NULL);
    }
    return gpu_judge(gpu, error, what, reason);
}

static enum ckpt_status wait_after(struct gpu *gpu, int error, const char *what, char *reason)
{
    enum ckpt_status status = gpu_judge(gpu, error, what, reason);
    return status == CKPT_OK ? gpu_await(gpu, what, reason) : status;
}

enum ckpt_status gpu_write(struct gpu *gpu, uint64_t to, const void *from, uint64_t bytes,
                           char *reason)
{
    int error = gpu->driver.copy_in(to, from, bytes, gpu->stream);
    return wait_after(gpu, error, "copying to it", reason);
}

enum ckpt_status gpu_read(struct gpu *gpu, void *to, uint64_t from, uint64_t bytes, char *reason)
{
    int error = gpu->driver.copy_out(to, from, bytes, gpu->stream);
    return wait_after(gpu, error, "copying from it", reason);
}

enum ckpt_status gpu_fill(struct gpu *gpu, uint64_t address, uint8_t byte, uint64_t bytes,
                          char *reason)
{
    int error = gpu->driver.set_bytes(address, byte, bytes, gpu->stream);
    return wait_after(gpu, error, "filling its memory", reason);
}
