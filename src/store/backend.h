/* SPDX-License-Identifier: Apache-2.0 */
/* What backends share: answers on their way to the loop. */
#ifndef CKPT_STORE_BACKEND_H
#define CKPT_STORE_BACKEND_H

#include <pthread.h>

#include "store/store.h"

/* The head of every backend's own struct. */
struct store {
    const struct store_backend *backend;
    bool is_committing; /* the loop's own: one at a time */
    pthread_mutex_t lock;
    int fd; /* counts what is answered */
    struct store_call *answered;
    struct store_call **last_answered;
};

/* CKPT_ERR_SYSTEM: no descriptor. */
enum ckpt_status backend_begin(struct store *store, const struct store_backend *backend);
void backend_end(struct store *store);

/* The call is done; any thread. */
void backend_answer(struct store *store, struct store_call *call);

/* All that are, in their order, for the loop. */
struct store_call *backend_take(struct store *store);

#endif
