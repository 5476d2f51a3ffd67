/* SPDX-License-Identifier: Apache-2.0 */
#include "device/memory.h"

#include <sys/mman.h>

#include "base/limits.h"
#include "base/reason.h"

#define PAGE_BYTES (64 * CKPT_KIB) /* of any host's: what is registered is whole ones */

/* A training process leaves little: the first that can be had. */
static const uint64_t windows_bytes[] = {32 * CKPT_MIB, 8 * CKPT_MIB, 2 * CKPT_MIB};

static uint64_t round_up(uint64_t bytes, uint64_t to)
{
    return (bytes + to - 1) / to * to;
}

static uint64_t bytes_of(const struct device_room *room)
{
    return 2 * room->parts * sizeof(struct kernels_tensor) +
           room->parts * sizeof(struct kernels_counts) + room->chunks * room->value_bytes;
}

static struct device_tables tables_at(uint8_t *at, const struct device_room *room)
{
    struct device_tables tables;
    tables.values = at; /* first, for they have an alignment to keep */
    at += room->chunks * room->value_bytes;
    tables.parts = (struct kernels_tensor *)(void *)at;
    tables.small = tables.parts + room->parts;
    tables.counts = (struct kernels_counts *)(void *)(tables.small + room->parts);
    return tables;
}

struct device_tables device_memory_host(const struct device_memory *memory,
                                        const struct device_room *room)
{
    return tables_at(memory->desk, room);
}

struct device_tables device_memory_device(const struct device_memory *memory,
                                          const struct device_room *room)
{
    return tables_at((uint8_t *)(uintptr_t)memory->tables, room);
}

static enum ckpt_status make_desk(struct device_memory *memory, const struct driver *driver,
                                  uint64_t bytes, char *reason)
{
    void *made = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "no memory for tables of %llu bytes",
                             (unsigned long long)bytes);
    }
    (void)madvise(made, bytes, MADV_DONTFORK);
    int error = driver->host_register(made, bytes, DRIVER_REGISTER_PORTABLE);
    if (error != DRIVER_OK) {
        munmap(made, bytes);
        return driver_failed(driver, error, "registering the host's memory", reason);
    }
    memory->desk = made;
    memory->desk_bytes = bytes;
    return CKPT_OK;
}

static enum ckpt_status make_window(struct device_memory *memory, const struct driver *driver,
                                    char *reason)
{
    int error = DRIVER_ERR_MEMORY;
    for (size_t i = 0; i < sizeof(windows_bytes) / sizeof(windows_bytes[0]); i++) {
        error = driver->allocate(&memory->window, windows_bytes[i]);
        if (error == DRIVER_OK) {
            memory->window_bytes = windows_bytes[i];
            return CKPT_OK;
        }
    }
    memory->window = 0;
    return driver_failed(driver, error, "allocating a window of 2 to 32 MiB", reason);
}

enum ckpt_status device_memory_ensure(struct device_memory *memory, const struct driver *driver,
                                      const struct device_room *room, char *reason)
{
    uint64_t bytes = round_up(bytes_of(room), PAGE_BYTES);
    if (memory->tables_bytes < bytes || memory->desk_bytes < bytes) {
        device_memory_free(memory, driver);
    }
    enum ckpt_status status =
        memory->desk != NULL ? CKPT_OK : make_desk(memory, driver, bytes, reason);
    if (status == CKPT_OK && memory->tables == 0) {
        int error = driver->allocate(&memory->tables, bytes);
        memory->tables = error == DRIVER_OK ? memory->tables : 0;
        memory->tables_bytes = bytes;
        status = error == DRIVER_OK ? CKPT_OK
                                    : driver_failed(driver, error, "allocating tables", reason);
    }
    if (status == CKPT_OK && memory->window == 0) {
        status = make_window(memory, driver, reason);
    }
    if (status != CKPT_OK) {
        device_memory_free(memory, driver);
    }
    return status;
}

void device_memory_free(struct device_memory *memory, const struct driver *driver)
{
    if (memory->window != 0) {
        (void)driver->release(memory->window);
    }
    if (memory->tables != 0) {
        (void)driver->release(memory->tables);
    }
    if (memory->desk != NULL) {
        (void)driver->host_unregister(memory->desk);
        munmap(memory->desk, memory->desk_bytes);
    }
    *memory = (struct device_memory){.window = 0};
}
