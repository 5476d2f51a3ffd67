/* SPDX-License-Identifier: Apache-2.0 */
#include "store/direct.h"

#include <stdlib.h>

#include "store/backend.h"
#include "store/medium.h"

struct direct {
    struct store store;
    struct medium_place place;
};

enum ckpt_status direct_make(const struct store_backend *backend, const char *location,
                             struct store_progress *progress, struct store **store_out)
{
    struct direct *direct = calloc(1, sizeof(*direct));
    if (direct == NULL) {
        return CKPT_ERR_MEMORY;
    }
    direct->place =
        (struct medium_place){.kind = backend->medium, .location = location, .progress = progress};
    enum ckpt_status status = backend_begin(&direct->store, backend);
    if (status != CKPT_OK) {
        free(direct);
        return status;
    }
    *store_out = &direct->store;
    return CKPT_OK;
}

void direct_begin(struct store *store, struct store_call *call)
{
    medium_do(&((struct direct *)store)->place, call);
    backend_answer(store, call);
}

bool direct_close(struct store *store, uint32_t wait_ms)
{
    struct direct *direct = (struct direct *)store;
    (void)wait_ms;
    medium_close(&direct->place);
    backend_end(store);
    free(direct);
    return true;
}
