/* SPDX-License-Identifier: Apache-2.0 */
/* NVIDIA's driver, looked for when it is wanted and not before. For the trainer's side alone. */
#ifndef CKPT_DEVICE_DRIVER_H
#define CKPT_DEVICE_DRIVER_H

#include <ckpt/status.h>

#include "device/driver_abi.h"

/* Its functions, by what they do. */
struct driver {
    void *handle;
#define DRIVER_FIELD(field, symbol, arguments) int(*field) arguments;
    DRIVER_FUNCTIONS(DRIVER_FIELD)
#undef DRIVER_FIELD
    driver_batch_copy *batch;       /* NULL: it has none */
    driver_batch_copy_12 *batch_12; /* likewise */
};

/*
 * driver_open() opens the driver that the process has, or one that the loader finds, and starts it.
 * Blocks: the driver takes up to seconds to start. reason (CKPT_REASON_MAX + 1 bytes) gets one line
 * on failure.
 *
 * RETURN VALUE
 * CKPT_OK, and *driver_out is to be closed. It is untouched otherwise.
 *
 * ERRORS
 * - CKPT_ERR_UNSUPPORTED - there is none, or it is older than CUDA 11
 * - CKPT_ERR_SYSTEM - it does not start
 */
enum ckpt_status driver_open(struct driver *driver_out, char *reason);

/* Closes it. Accepts one that was never opened (zeroed). */
void driver_close(struct driver *driver);

/* Writes "GPU: what: text (error)" into reason and returns CKPT_ERR_MEMORY where the device has
 * none left, else CKPT_ERR_SYSTEM. */
enum ckpt_status driver_failed(const struct driver *driver, int error, const char *what,
                               char *reason);

#endif
