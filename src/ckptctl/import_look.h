/* SPDX-License-Identifier: Apache-2.0 */
/* A file is mapped and looked at: is it a shard of ckptd's? */
#ifndef CKPT_CKPTCTL_IMPORT_LOOK_H
#define CKPT_CKPTCTL_IMPORT_LOOK_H

#include <jansson.h>
#include <sys/types.h>
#include <time.h>

#include "ckptctl/ctl.h"

/* What a file is. */
enum import_form {
    IMPORT_SHARD,   /* safetensors, kept byte for byte */
    IMPORT_BEYOND,  /* safetensors by its own account, with something that ckptd has no room for */
    IMPORT_DAMAGED, /* has a header of safetensors, and other bytes behind it than that says */
    IMPORT_POINTER, /* what git-lfs leaves in place of a file */
    IMPORT_BYTES,   /* anything else */
};

/* A file's bytes in memory, and what tells whether they are still those that were looked at. */
struct import_mapping {
    const void *data; /* "" for an empty file */
    uint64_t bytes;
    dev_t device;
    ino_t inode;
    struct timespec changed;
};

/* A complaint when it is no regular file or cannot be read.
 * Never blocks, whatever the path names. */
enum exit_code import_map(const char *path, struct import_mapping *mapping_out);
void import_unmap(struct import_mapping *mapping);

/* Whether the file of that name is another than the one that was mapped, or is it unchanged. False:
 * it was written to since, and what is mapped may be half of one and half of the other. */
bool import_is_unchanged(const char *path, const struct import_mapping *mapping);

/* What import reads from here on: were it cut short by another process, this one would end by
 * SIGBUS, and ends with a complaint that names it. */
void import_reads(const char *path);

/* What the bytes are; in reason why they are no shard of ckptd's, or "". With weights, the map of
 * an index that named the file so, *missing_out is a tensor that a shard should have and lacks, and
 * NULL where there is none. Reads the header only. */
enum import_form import_look(const struct import_mapping *mapping, const json_t *weights,
                             const char *file, const char **missing_out, char *reason,
                             size_t reason_bytes);

#endif
