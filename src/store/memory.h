/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_STORE_MEMORY_H
#define CKPT_STORE_MEMORY_H

#include "store/medium.h"

/* Forgets at close: an array of records. */
extern const struct medium_kind medium_memory;

#endif
