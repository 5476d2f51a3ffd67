/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels' library (kernels/kernels.h), looked for when it is wanted and not before: it is
 * there only where a build had nvcc, and of use only where there is a GPU. For the trainer's side
 * and for what measures; no daemon opens it. */
#ifndef CKPT_DEVICE_KERNELS_LIBRARY_H
#define CKPT_DEVICE_KERNELS_LIBRARY_H

#include <ckpt/status.h>

#include "kernels/kernels.h"

/* Its functions, by their names in kernels.h. */
struct kernels_library {
    void *handle;
#define KERNELS_FIELD(result, name, arguments) result(*name) arguments;
    KERNELS_FUNCTIONS(KERNELS_FIELD)
#undef KERNELS_FIELD
};

/*
 * kernels_library_open() opens it, and asks whether the calling thread's current device can run it.
 * Blocks: CUDA may start up. path is a file, or NULL for KERNELS_FILE as the loader finds it.
 * reason (CKPT_REASON_MAX + 1 bytes) gets one line on failure.
 *
 * RETURN VALUE
 * CKPT_OK, and *library_out is to be closed. It is untouched otherwise.
 *
 * ERRORS
 * - CKPT_ERR_CONFIG - there is none, it is of another version, or lacks a function
 * - CKPT_ERR_SYSTEM - the device, or the driver, cannot run it
 */
enum ckpt_status kernels_library_open(const char *path, struct kernels_library *library_out,
                                      char *reason);

/* Closes it; nothing of it may be on a stream. Accepts one that was never opened (zeroed). */
void kernels_library_close(struct kernels_library *library);

#endif
