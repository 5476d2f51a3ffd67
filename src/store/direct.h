/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of a backend whose medium keeps nobody waiting: a call is done as it is begun, and
 * answered from the loop as any other. */
#ifndef CKPT_STORE_DIRECT_H
#define CKPT_STORE_DIRECT_H

#include "store/store.h"

enum ckpt_status direct_make(const struct store_backend *backend, const char *location,
                             struct store_progress *progress, struct store **store_out);
void direct_begin(struct store *store, struct store_call *call);
bool direct_close(struct store *store, uint32_t wait_ms);

#endif
