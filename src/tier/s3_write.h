/* SPDX-License-Identifier: Apache-2.0 */
/* Large files on their way into a bucket: struct tier_backend's begin, append, end, discard. */
#ifndef CKPT_TIER_S3_WRITE_H
#define CKPT_TIER_S3_WRITE_H

#include "tier/backend.h"

enum ckpt_status s3_begin_file(struct tier_medium *medium, const char *name, uint64_t bytes,
                               struct tier_writer **writer_out, char *reason_out);
enum ckpt_status s3_append(struct tier_writer *writer, const void *data, size_t bytes, bool is_kept,
                           char *reason_out);
enum ckpt_status s3_end_file(struct tier_writer *writer, char *reason_out);
void s3_discard(struct tier_writer *writer);

#endif
