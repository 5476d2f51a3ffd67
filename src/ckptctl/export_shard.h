/* SPDX-License-Identifier: Apache-2.0 */
/* A shard becomes a file. */
#ifndef CKPT_CKPTCTL_EXPORT_SHARD_H
#define CKPT_CKPTCTL_EXPORT_SHARD_H

#include <ckpt/ckpt.h>

#include "ckptctl/ctl.h"

/* Fetches a rank's shard to this node and writes it to path: beside its place under another name,
 * and moved there only when it is whole, digested again and synced. A complaint says what failed;
 * nothing is left then. EXIT_DONE: shard_out describes it, without its data. */
enum exit_code export_shard(const struct ctl *ctl, struct ckpt *reader, uint64_t step,
                            uint32_t rank, uint32_t timeout_ms, const char *path,
                            struct ckpt_shard *shard_out);

/* Makes a new name durable, as far as its file system can. */
void export_sync_parent(const char *path);

/* A shard's digest as b3sum prints it. */
#define EXPORT_HEX_BYTES 65
void export_hex(const struct ckpt_shard *shard, char hex_out[EXPORT_HEX_BYTES]);

#endif
