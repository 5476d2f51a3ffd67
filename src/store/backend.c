/* SPDX-License-Identifier: Apache-2.0 */
#include "store/backend.h"

#include <sys/eventfd.h>
#include <unistd.h>

enum ckpt_status backend_begin(struct store *store, const struct store_backend *backend)
{
    store->backend = backend;
    store->last_answered = &store->answered;
    store->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (store->fd < 0) {
        return CKPT_ERR_SYSTEM;
    }
    pthread_mutex_init(&store->lock, NULL);
    return CKPT_OK;
}

void backend_end(struct store *store)
{
    pthread_mutex_destroy(&store->lock);
    close(store->fd);
}

void backend_answer(struct store *store, struct store_call *call)
{
    const uint64_t one = 1;
    call->next = NULL;
    pthread_mutex_lock(&store->lock);
    *store->last_answered = call;
    store->last_answered = &call->next;
    pthread_mutex_unlock(&store->lock);
    (void)!write(store->fd, &one, sizeof(one)); /* it fails only where it need not be told */
}

struct store_call *backend_take(struct store *store)
{
    uint64_t count;
    (void)!read(store->fd, &count, sizeof(count));
    pthread_mutex_lock(&store->lock);
    struct store_call *first = store->answered;
    store->answered = NULL;
    store->last_answered = &store->answered;
    pthread_mutex_unlock(&store->lock);
    return first;
}
