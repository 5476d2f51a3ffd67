/* SPDX-License-Identifier: Apache-2.0 */
#include "fanout/nccl_library.h"

#include <dlfcn.h>
#include <string.h>

#include "base/reason.h"

#define NCCL_FILE "libnccl.so.2"
#define CUDA_FILE "libcuda.so.1"

#define NCCL_SYMBOL(name, result, arguments) {#name, offsetof(struct nccl_library, name)},

struct symbol {
    const char *name;
    size_t offset;
};

static const struct symbol nccl_symbols[] = {NCCL_FUNCTIONS(NCCL_SYMBOL)};
static const struct symbol cuda_symbols[] = {CUDA_FUNCTIONS(NCCL_SYMBOL)};

static enum ckpt_status open_file(const char *file, void **handle_out, char *reason)
{
    *handle_out = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    if (*handle_out == NULL) {
        *handle_out = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    }
    return *handle_out != NULL
               ? CKPT_OK
               : reason_refuse(reason, CKPT_ERR_UNSUPPORTED,
                               "fan-out: NCCL: not to be opened: %.180s", dlerror());
}

static enum ckpt_status find(struct nccl_library *library, void *handle, const char *file,
                             const struct symbol *symbols, size_t count, char *reason)
{
    for (size_t i = 0; i < count; i++) {
        void *found = dlsym(handle, symbols[i].name);
        if (found == NULL) {
            return reason_refuse(reason, CKPT_ERR_UNSUPPORTED, "fan-out: NCCL: %s has no %s", file,
                                 symbols[i].name);
        }
        memcpy((uint8_t *)library + symbols[i].offset, &found, sizeof(found));
    }
    return CKPT_OK;
}

enum ckpt_status nccl_library_open(struct nccl_library *library_out, char *reason)
{
    struct nccl_library library = {0};
    enum ckpt_status status = open_file(CUDA_FILE, &library.cuda, reason);
    if (status == CKPT_OK) {
        status = find(&library, library.cuda, CUDA_FILE, cuda_symbols,
                      sizeof(cuda_symbols) / sizeof(cuda_symbols[0]), reason);
    }
    if (status == CKPT_OK) {
        status = open_file(NCCL_FILE, &library.nccl, reason);
    }
    if (status == CKPT_OK) {
        status = find(&library, library.nccl, NCCL_FILE, nccl_symbols,
                      sizeof(nccl_symbols) / sizeof(nccl_symbols[0]), reason);
    }
    if (status != CKPT_OK) {
        return status;
    }
    if (library.ncclGetVersion(&library.version) != NCCL_OK || library.version < NCCL_VERSION_MIN) {
        return reason_refuse(reason, CKPT_ERR_UNSUPPORTED,
                             "fan-out: NCCL is of version %d, wanted is 2.27 or later (%d)",
                             library.version, NCCL_VERSION_MIN);
    }
    *library_out = library;
    return CKPT_OK;
}
