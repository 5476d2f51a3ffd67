/* SPDX-License-Identifier: Apache-2.0 */
/* Devices, their contexts, and what errors mean. */
#include <stdio.h>

#include "fake_gpu/inside.h"

#define CURRENT_MAX 8
#define DEVICE_NONE 100 /* CUDA_ERROR_NO_DEVICE */
#define VERSION 13000

static int retained[FAKE_GPU_DEVICES]; /* under fake_lock; a context is the address of its count */
static _Thread_local int current[CURRENT_MAX];
static _Thread_local int current_count;

static bool is_device(int device)
{
    return device >= 0 && device < FAKE_GPU_DEVICES;
}

static int device_of(const void *context)
{
    for (int i = 0; i < FAKE_GPU_DEVICES; i++) {
        if (context == &retained[i]) {
            return i;
        }
    }
    return -1;
}

int current_device(void)
{
    return current_count > 0 ? current[current_count - 1] : -1;
}

int cuInit(unsigned flags)
{
    FAKE_CALL(false);
    if (fault_named("no_device")) {
        return DEVICE_NONE;
    }
    return flags == 0 ? DRIVER_OK : DRIVER_ERR_INVALID;
}

int cuDriverGetVersion(int *version)
{
    *version = VERSION;
    return DRIVER_OK;
}

/* As the driver's, it answers even when nothing else does. */
int cuGetErrorString(int error, const char **text)
{
    switch (error) {
    case DRIVER_ERR_MEMORY:
        *text = "out of memory";
        return DRIVER_OK;
    case DRIVER_ERR_ILLEGAL_ADDRESS:
        *text = "an illegal memory access was encountered";
        return DRIVER_OK;
    case DRIVER_ERR_NOT_SUPPORTED:
        *text = "operation not supported";
        return DRIVER_OK;
    default:
        *text = NULL;
        return DRIVER_ERR_INVALID;
    }
}

int cuDeviceGetCount(int *count)
{
    FAKE_CALL(false);
    *count = FAKE_GPU_DEVICES;
    return DRIVER_OK;
}

int cuDeviceGet(int *device, int ordinal)
{
    FAKE_CALL(false);
    *device = ordinal;
    return is_device(ordinal) ? DRIVER_OK : DRIVER_ERR_DEVICE;
}

int cuDeviceGetName(char *name, int bytes, int device)
{
    FAKE_CALL(false);
    if (!is_device(device)) {
        return DRIVER_ERR_DEVICE;
    }
    snprintf(name, (size_t)bytes, "%s of the tests, %d", fault_named("as_gpu") ? "GPU" : "Fake GPU",
             device);
    return DRIVER_OK;
}

/* Those of an H200, and no others are known. */
int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    FAKE_CALL(false);
    if (!is_device(device)) {
        return DRIVER_ERR_DEVICE;
    }
    switch (attribute) {
    case DRIVER_DEVICE_CLOCK:
        *value = 1980000;
        return DRIVER_OK;
    case DRIVER_DEVICE_PROCESSORS:
        *value = 132;
        return DRIVER_OK;
    case DRIVER_DEVICE_MEMORY_CLOCK:
        *value = 3125000;
        return DRIVER_OK;
    case DRIVER_DEVICE_MEMORY_BUS:
        *value = 6144;
        return DRIVER_OK;
    default:
        return DRIVER_ERR_INVALID;
    }
}

int cuDevicePrimaryCtxRetain(void **context, int device)
{
    FAKE_CALL(false);
    if (!is_device(device)) {
        return DRIVER_ERR_DEVICE;
    }
    pthread_mutex_lock(&fake_lock);
    retained[device]++;
    fake_counts.contexts++;
    pthread_mutex_unlock(&fake_lock);
    *context = &retained[device];
    return DRIVER_OK;
}

int cuDevicePrimaryCtxRelease_v2(int device)
{
    FAKE_CALL(false);
    pthread_mutex_lock(&fake_lock);
    bool is_right = is_device(device) && retained[device] > 0;
    if (is_right) {
        retained[device]--;
        fake_counts.contexts--;
    }
    pthread_mutex_unlock(&fake_lock);
    return is_right ? DRIVER_OK : DRIVER_ERR_CONTEXT;
}

int cuCtxPushCurrent_v2(void *context)
{
    FAKE_CALL(false);
    int device = device_of(context);
    if (device < 0 || current_count == CURRENT_MAX) {
        return DRIVER_ERR_CONTEXT;
    }
    current[current_count++] = device;
    return DRIVER_OK;
}

/* Answers though all else has failed: as who pushed must be able to pop. */
int cuCtxPopCurrent_v2(void **context)
{
    if (current_count == 0) {
        return DRIVER_ERR_CONTEXT;
    }
    current_count--;
    if (context != NULL) {
        *context = &retained[current[current_count]];
    }
    return DRIVER_OK;
}

int cuCtxSetCurrent(void *context)
{
    FAKE_CALL(false);
    int device = device_of(context);
    if (device < 0) {
        return DRIVER_ERR_CONTEXT;
    }
    current_count = current_count > 0 ? current_count : 1;
    current[current_count - 1] = device;
    return DRIVER_OK;
}

int cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
    FAKE_CALL(true);
    *least = 0;
    *greatest = -5;
    return DRIVER_OK;
}
