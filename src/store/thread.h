/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of a backend whose medium blocks: the medium has a thread of its own. */
#ifndef CKPT_STORE_THREAD_H
#define CKPT_STORE_THREAD_H

#include "store/store.h"

enum ckpt_status thread_make(const struct store_backend *backend, const char *location,
                             struct store_progress *progress, struct store **store_out);
void thread_begin(struct store *store, struct store_call *call);
bool thread_close(struct store *store, uint32_t wait_ms);

#endif
