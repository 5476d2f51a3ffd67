/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a folder's files: struct tier_backend's load and read. */
#ifndef CKPT_TIER_POSIX_READ_H
#define CKPT_TIER_POSIX_READ_H

#include "tier/backend.h"

enum ckpt_status posix_load(struct tier_medium *medium, const char *name, size_t bytes_max,
                            char **text_out, size_t *bytes_out, char *reason_out);
enum ckpt_status posix_read(struct tier_medium *medium, const char *name, uint64_t offset,
                            void *into, size_t bytes, char *reason_out);

#endif
