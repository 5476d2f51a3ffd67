/* SPDX-License-Identifier: Apache-2.0 */
/* A step's folder as a shard, and back: each file is a tensor of bytes whose name is its path; a
 * folder that has nothing in it is an empty tensor whose name ends in '/'. */
#ifndef CKPT_REPLICATOR_FILES_H
#define CKPT_REPLICATOR_FILES_H

#include <stdint.h>

#include <ckpt/ckpt.h>

#define FILES_DEPTH_MAX 32

/* Saves what lies below `name` in the folder as this step: files are read straight into the agent's
 * memory. Blocks for that.
 *
 * ERRORS (nothing was saved; reason, of CKPT_REASON_MAX + 1 bytes, has a line)
 * - CKPT_ERR_SYSTEM - a file cannot be read, was cut or is gone meanwhile, or is neither a file nor
 *   a folder; deeper than FILES_DEPTH_MAX
 * - CKPT_ERR_MEMORY
 * - those of ckpt_save */
enum ckpt_status files_save(struct ckpt *ckpt, int folder, const char *name, uint64_t step,
                            char *reason);

/* Writes a loaded shard's files into a new folder `name`. What was there is the caller's to have
 * removed. Names that would lead out of it are refused.
 *
 * ERRORS (a part may be there)
 * - CKPT_ERR_CORRUPT - a tensor that is no file's
 * - CKPT_ERR_SYSTEM - the file system */
enum ckpt_status files_restore(const struct ckpt_shard *shard, int folder, const char *name,
                               char *reason);

#endif
