/* SPDX-License-Identifier: Apache-2.0 */
#include "device/driver.h"

#include <dlfcn.h>
#include <string.h>

#include "base/limits.h"
#include "base/reason.h"

#define SYMBOL(field, symbol, arguments) {#symbol, offsetof(struct driver, field)},

static const struct {
    const char *name;
    size_t offset;
} symbols[] = {DRIVER_FUNCTIONS(SYMBOL)};

static enum ckpt_status find_functions(struct driver *driver, char *reason)
{
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        void *found = dlsym(driver->handle, symbols[i].name);
        if (found == NULL) {
            return reason_refuse(reason, CKPT_ERR_UNSUPPORTED,
                                 "GPU: the driver's " DRIVER_FILE
                                 " has no %s: it is older than CUDA 11, update it",
                                 symbols[i].name);
        }
        memcpy((uint8_t *)driver + symbols[i].offset, &found, sizeof(found));
    }
    void *batch = dlsym(driver->handle, DRIVER_BATCH_COPY);
    void *batch_12 = dlsym(driver->handle, DRIVER_BATCH_COPY_12);
    memcpy(&driver->batch, &batch, sizeof(batch));
    memcpy(&driver->batch_12, &batch_12, sizeof(batch_12));
    return CKPT_OK;
}

enum ckpt_status driver_open(struct driver *driver_out, char *reason)
{
    struct driver driver = {.handle = dlopen(DRIVER_FILE, RTLD_NOW | RTLD_LOCAL)};
    if (driver.handle == NULL) {
        return reason_refuse(reason, CKPT_ERR_UNSUPPORTED,
                             "GPU: no NVIDIA driver on this machine (%.150s)", dlerror());
    }
    enum ckpt_status status = find_functions(&driver, reason);
    if (status == CKPT_OK) {
        int error = driver.init(0);
        status = error == DRIVER_OK ? CKPT_OK
                                    : driver_failed(&driver, error, "starting the driver", reason);
    }
    if (status != CKPT_OK) {
        driver_close(&driver);
        return status;
    }
    *driver_out = driver;
    return CKPT_OK;
}

void driver_close(struct driver *driver)
{
    if (driver->handle != NULL) {
        dlclose(driver->handle);
    }
    *driver = (struct driver){.handle = NULL};
}

enum ckpt_status driver_failed(const struct driver *driver, int error, const char *what,
                               char *reason)
{
    const char *text = NULL;
    if (driver->error_text(error, &text) != DRIVER_OK || text == NULL) {
        text = "an unknown error";
    }
    reason_set(reason, "GPU: %s: %.100s (%d)", what, text, error);
    return error == DRIVER_ERR_MEMORY ? CKPT_ERR_MEMORY : CKPT_ERR_SYSTEM;
}
