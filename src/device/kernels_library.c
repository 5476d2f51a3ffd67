/* SPDX-License-Identifier: Apache-2.0 */
#include "device/kernels_library.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "base/limits.h"
#include "base/reason.h"

#define SYMBOL(result, name, arguments) {#name, offsetof(struct kernels_library, name)},

static const struct {
    const char *name;
    size_t offset;
} symbols[] = {KERNELS_FUNCTIONS(SYMBOL)};

/* The version is asked for before anything else is looked up: of another one the rest may lack. */
static enum ckpt_status find_functions(struct kernels_library *library, const char *file,
                                       char *reason)
{
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        void *found = dlsym(library->handle, symbols[i].name);

        if (found == NULL) {
            return reason_refuse(reason, CKPT_ERR_CONFIG, "kernels: %.150s has no %s", file,
                                 symbols[i].name);
        }
        memcpy((uint8_t *)library + symbols[i].offset, &found, sizeof(found));
        if (i == 0 && library->kernels_version() != KERNELS_VERSION) {
            return reason_refuse(reason, CKPT_ERR_CONFIG,
                                 "kernels: %.150s is of version %u, wanted is %u: install those "
                                 "that came with this libckpt",
                                 file, library->kernels_version(), KERNELS_VERSION);
        }
    }
    return CKPT_OK;
}

enum ckpt_status kernels_library_open(const char *path, struct kernels_library *library_out,
                                      char *reason)
{
    const char *file = path != NULL ? path : KERNELS_FILE;
    struct kernels_library library = {.handle = dlopen(file, RTLD_NOW | RTLD_LOCAL)};
    enum ckpt_status status;
    int error;

    if (library.handle == NULL) {
        return reason_refuse(reason, CKPT_ERR_CONFIG,
                             "kernels: not to be opened (%.160s): they are built where nvcc is",
                             dlerror());
    }
    status = find_functions(&library, file, reason);
    if (status != CKPT_OK) {
        goto close_library;
    }
    error = library.kernels_ready();
    if (error != 0) {
        status = reason_refuse(reason, CKPT_ERR_SYSTEM, "kernels: CUDA: %.150s (%d)",
                               library.kernels_error_text(error), error);
        goto close_library;
    }
    *library_out = library;
    return CKPT_OK;

close_library:
    kernels_library_close(&library);
    return status;
}

void kernels_library_close(struct kernels_library *library)
{
    if (library->handle != NULL) {
        dlclose(library->handle);
    }
    *library = (struct kernels_library){0};
}
