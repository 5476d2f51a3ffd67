/* SPDX-License-Identifier: Apache-2.0 */
/* Large files on their way into a folder: struct tier_backend's begin, append, end, discard. */
#ifndef CKPT_TIER_POSIX_WRITE_H
#define CKPT_TIER_POSIX_WRITE_H

#include "tier/backend.h"

enum ckpt_status posix_begin(struct tier_medium *medium, const char *name, uint64_t bytes,
                             struct tier_writer **writer_out, char *reason_out);
enum ckpt_status posix_append(struct tier_writer *writer, const void *data, size_t bytes,
                              bool is_kept, char *reason_out);
enum ckpt_status posix_end(struct tier_writer *writer, char *reason_out);
void posix_discard(struct tier_writer *writer);

#endif
