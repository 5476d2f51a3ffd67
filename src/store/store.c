/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <assert.h>
#include <string.h>

#include "store/backend.h"
#include "store/direct.h"
#include "store/memory.h"
#include "store/sqlite.h"
#include "store/thread.h"

const struct store_backend store_sqlite = {
    .name = "sqlite",
    .medium = &medium_sqlite,
    .make = thread_make,
    .begin = thread_begin,
    .close = thread_close,
};

const struct store_backend store_memory = {
    .name = "memory",
    .medium = &medium_memory,
    .make = direct_make,
    .begin = direct_begin,
    .close = direct_close,
};

const struct store_backend *store_backend_by_name(const char *name)
{
    static const struct store_backend *const backends[] = {&store_sqlite, &store_memory};
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        if (strcmp(name, backends[i]->name) == 0) {
            return backends[i];
        }
    }
    return NULL;
}

enum ckpt_status store_make(const struct store_backend *backend, const char *location,
                            struct store_progress *progress, struct store **store_out)
{
    return backend->make(backend, location, progress, store_out);
}

static bool commits(const struct store_call *call)
{
    return call->type == STORE_COMMIT || call->type == STORE_RULE;
}

void store_begin(struct store *store, struct store_call *call)
{
    assert(!commits(call) || !store->is_committing);
    store->is_committing = store->is_committing || commits(call);
    store->backend->begin(store, call);
}

int store_fd(const struct store *store)
{
    return store->fd;
}

void store_turn(struct store *store)
{
    struct store_call *call = backend_take(store);
    while (call != NULL) {
        struct store_call *next = call->next;
        store->is_committing = store->is_committing && !commits(call);
        call->done(call->context);
        call = next;
    }
}

bool store_close(struct store **store, uint32_t wait_ms)
{
    if (store == NULL || *store == NULL) {
        return true;
    }
    struct store *old = *store;
    *store = NULL;
    return old->backend->close(old, wait_ms);
}
