/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that passes over a shard need: on the device a window, tables and what is counted; on
 * the host a place for the tables and the results, which the driver has registered, so that its
 * copies wait for nobody. Grows when it must and stays. The device's context is current. */
#ifndef CKPT_DEVICE_MEMORY_H
#define CKPT_DEVICE_MEMORY_H

#include "device/driver.h"
#include "kernels/kernels.h"

/* What it is for. */
struct device_room {
    size_t parts; /* of the shard in the device's memory */
    uint64_t chunks;
    uint32_t value_bytes; /* of a chunk */
};

/* One image on either side. */
struct device_tables {
    struct kernels_tensor *parts;  /* all of them */
    struct kernels_tensor *small;  /* those below PASSES_STRAIGHT_BYTES */
    struct kernels_counts *counts; /* one for each part */
    uint8_t *values;               /* one for each chunk of the shard */
};

struct device_memory {
    uint64_t window; /* on the device, of window_bytes: whole chunks */
    uint64_t window_bytes;
    uint64_t tables; /* on the device, of tables_bytes */
    uint64_t tables_bytes;
    void *desk; /* on the host, the same */
    uint64_t desk_bytes;
};

/* Makes or keeps what there is to be. Nothing of the device may be under way.
 *
 * ERRORS
 * - CKPT_ERR_MEMORY - the device, or this process, has none left
 * - CKPT_ERR_SYSTEM - the driver refuses */
enum ckpt_status device_memory_ensure(struct device_memory *memory, const struct driver *driver,
                                      const struct device_room *room, char *reason);

/* Where tables for that room lie: on the host, and with the device's address. */
struct device_tables device_memory_host(const struct device_memory *memory,
                                        const struct device_room *room);
struct device_tables device_memory_device(const struct device_memory *memory,
                                          const struct device_room *room);

/* Gives all back. */
void device_memory_free(struct device_memory *memory, const struct driver *driver);

#endif
