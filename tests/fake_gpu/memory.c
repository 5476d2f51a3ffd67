/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: of devices, and the host's that is registered. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fake_gpu/inside.h"

#define PLACES_MAX 256
#define PAGE UINT64_C(4096)
#define ALIGNMENT UINT64_C(256) /* of cuMemAlloc, and no better */

struct place {
    uint64_t begin; /* 0: none */
    uint64_t bytes;
    uint64_t mapped_bytes;
    uint64_t piece_bytes;
    int device;
    enum fake_gpu_kind kind;
};

/* Under fake_lock. */
static struct place allocations[PLACES_MAX];
static struct place registrations[PLACES_MAX];

static struct place *find(struct place *places, uint64_t address)
{
    for (unsigned i = 0; i < PLACES_MAX; i++) {
        if (places[i].begin != 0 && address >= places[i].begin &&
            address - places[i].begin < places[i].bytes) {
            return &places[i];
        }
    }
    return NULL;
}

static struct place *find_free(struct place *places)
{
    for (unsigned i = 0; i < PLACES_MAX; i++) {
        if (places[i].begin == 0) {
            return &places[i];
        }
    }
    return NULL;
}

static uint64_t map(uint64_t bytes, uint64_t *mapped_out)
{
    *mapped_out = (bytes + ALIGNMENT + PAGE - 1) / PAGE * PAGE;
    void *mapped =
        mmap(NULL, *mapped_out, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) {
        return 0;
    }
    memset(mapped, FAKE_GPU_POISON, *mapped_out);
    return (uint64_t)(uintptr_t)mapped + ALIGNMENT;
}

static void unmap(struct place *place)
{
    munmap((void *)(uintptr_t)(place->begin - ALIGNMENT), place->mapped_bytes);
    *place = (struct place){.begin = 0};
}

void *fake_gpu_allocate(int device, size_t bytes, size_t piece_bytes, enum fake_gpu_kind kind)
{
    uint64_t mapped_bytes;
    uint64_t begin = bytes > 0 ? map(bytes, &mapped_bytes) : 0;
    if (begin == 0) {
        return NULL;
    }
    pthread_mutex_lock(&fake_lock);
    struct place *place = find_free(allocations);
    if (place == NULL) {
        abort();
    }
    *place = (struct place){begin, bytes, mapped_bytes, piece_bytes, device, kind};
    fake_counts.allocations++;
    pthread_mutex_unlock(&fake_lock);
    return (void *)(uintptr_t)begin;
}

static bool free_one(uint64_t address)
{
    pthread_mutex_lock(&fake_lock);
    struct place *place = find(allocations, address);
    bool is_right = place != NULL && place->begin == address;
    if (is_right) {
        unmap(place);
        fake_counts.allocations--;
    }
    pthread_mutex_unlock(&fake_lock);
    return is_right;
}

void fake_gpu_free(void *address)
{
    if (!free_one((uint64_t)(uintptr_t)address)) {
        abort();
    }
}

void *fake_gpu_move(void *address)
{
    pthread_mutex_lock(&fake_lock);
    struct place *place = find(allocations, (uint64_t)(uintptr_t)address);
    struct place moved = place != NULL ? *place : (struct place){.begin = 0};
    moved.begin = place != NULL ? map(moved.bytes, &moved.mapped_bytes) : 0;
    if (moved.begin == 0) {
        abort();
    }
    memcpy((void *)(uintptr_t)moved.begin, (void *)(uintptr_t)place->begin, moved.bytes);
    unmap(place);
    *place = moved;
    pthread_mutex_unlock(&fake_lock);
    return (void *)(uintptr_t)moved.begin;
}

int memory_device(uint64_t address, size_t bytes)
{
    pthread_mutex_lock(&fake_lock);
    const struct place *place = find(allocations, address);
    int device =
        place != NULL && bytes <= place->bytes - (address - place->begin) ? place->device : -1;
    pthread_mutex_unlock(&fake_lock);
    return device;
}

int cuMemAlloc_v2(uint64_t *address, size_t bytes)
{
    FAKE_CALL(true);
    if (fault_named("no_memory")) {
        return DRIVER_ERR_MEMORY;
    }
    void *made = fake_gpu_allocate(current_device(), bytes, 0, FAKE_GPU_PLAIN);
    *address = (uint64_t)(uintptr_t)made;
    return made != NULL ? DRIVER_OK : DRIVER_ERR_INVALID;
}

int cuMemGetInfo_v2(size_t *free_bytes, size_t *all_bytes)
{
    FAKE_CALL(true);
    *free_bytes = FAKE_GPU_FREE_BYTES;
    *all_bytes = 2 * (size_t)FAKE_GPU_FREE_BYTES;
    return DRIVER_OK;
}

int cuMemFree_v2(uint64_t address)
{
    FAKE_CALL(true);
    return free_one(address) ? DRIVER_OK : DRIVER_ERR_INVALID;
}

int cuMemGetAddressRange_v2(uint64_t *base, size_t *bytes, uint64_t address)
{
    FAKE_CALL(true);
    pthread_mutex_lock(&fake_lock);
    const struct place *place = find(allocations, address);
    if (place != NULL) {
        uint64_t piece = place->piece_bytes > 0 ? place->piece_bytes : place->bytes;
        uint64_t at = (address - place->begin) / piece * piece;
        *base = place->begin + at;
        *bytes = place->bytes - at < piece ? place->bytes - at : piece;
    }
    pthread_mutex_unlock(&fake_lock);
    return place != NULL ? DRIVER_OK : DRIVER_ERR_INVALID;
}

int cuPointerGetAttribute(void *data, int attribute, uint64_t address)
{
    FAKE_CALL(false);
    pthread_mutex_lock(&fake_lock);
    const struct place *place = find(allocations, address);
    bool is_host = place == NULL && find(registrations, address) != NULL;
    int error = place != NULL || is_host ? DRIVER_OK : DRIVER_ERR_INVALID;
    if (error == DRIVER_OK) {
        switch (attribute) {
        case DRIVER_POINTER_MEMORY_TYPE:
            *(unsigned *)data = is_host ? 1 : DRIVER_MEMORY_DEVICE;
            break;
        case DRIVER_POINTER_DEVICE:
            *(int *)data = is_host ? 0 : place->device;
            break;
        case DRIVER_POINTER_IS_MANAGED:
            *(bool *)data = place != NULL && place->kind == FAKE_GPU_MANAGED;
            break;
        case DRIVER_POINTER_MEMPOOL:
            *(void **)data = place != NULL && place->kind == FAKE_GPU_POOL ? &allocations : NULL;
            break;
        default:
            error = DRIVER_ERR_INVALID;
        }
    }
    pthread_mutex_unlock(&fake_lock);
    return error;
}

int cuMemHostRegister_v2(void *address, size_t bytes, unsigned flags)
{
    FAKE_CALL(true);
    uint64_t begin = (uint64_t)(uintptr_t)address;
    if (fault_named("no_register")) {
        return DRIVER_ERR_NOT_SUPPORTED;
    }
    if (bytes == 0 || begin % PAGE != 0 || flags > 15) {
        return DRIVER_ERR_INVALID;
    }
    pthread_mutex_lock(&fake_lock);
    struct place *place = find_free(registrations);
    int error = find(registrations, begin) != NULL ? DRIVER_ERR_REGISTERED
                : place == NULL                    ? DRIVER_ERR_MEMORY
                                                   : DRIVER_OK;
    if (error == DRIVER_OK) {
        *place = (struct place){.begin = begin, .bytes = bytes};
        fake_counts.registrations++;
    }
    pthread_mutex_unlock(&fake_lock);
    return error;
}

int cuMemHostUnregister(void *address)
{
    FAKE_CALL(true);
    pthread_mutex_lock(&fake_lock);
    struct place *place = find(registrations, (uint64_t)(uintptr_t)address);
    bool is_right = place != NULL && place->begin == (uint64_t)(uintptr_t)address;
    if (is_right) {
        *place = (struct place){.begin = 0};
        fake_counts.registrations--;
    }
    pthread_mutex_unlock(&fake_lock);
    return is_right ? DRIVER_OK : DRIVER_ERR_NOT_REGISTERED;
}
