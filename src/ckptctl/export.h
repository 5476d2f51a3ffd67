/* SPDX-License-Identifier: Apache-2.0 */
/* The names of what `export --all` writes, which import takes. */
#ifndef CKPT_CKPTCTL_EXPORT_H
#define CKPT_CKPTCTL_EXPORT_H

/* The files of a folder that `export --all` writes: one a rank, of its number, and their digests as
 * b3sum writes and checks them. import takes such a folder. */
#define RANK_FILE "rank-%u.safetensors"
#define SUMS_FILE "B3SUMS"

#endif
