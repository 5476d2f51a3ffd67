/* SPDX-License-Identifier: Apache-2.0 */
/* The operands of `import` as the files of ranks 0, 1, ..., each looked at before anything of any
 * is staged. */
#ifndef CKPT_CKPTCTL_IMPORT_LIST_H
#define CKPT_CKPTCTL_IMPORT_LIST_H

#include <jansson.h>

#include <ckpt/ckpt.h>

#include "ctl.h"

/* What a file is. */
enum import_form {
    IMPORT_SHARD,   /* safetensors, kept byte for byte */
    IMPORT_BEYOND,  /* safetensors by its own account, with something that ckptd has no room for */
    IMPORT_DAMAGED, /* has a header of safetensors, and other bytes behind it than that says */
    IMPORT_POINTER, /* what git-lfs leaves in place of a file */
    IMPORT_BYTES,   /* anything else */
};

struct import_file {
    char *path;
    uint64_t bytes;
    enum import_form form;
    char reason[CKPT_REASON_MAX + 1]; /* why it is none of ckptd's shards; "" for IMPORT_SHARD */
    const json_t *weights; /* {tensor: file name} of the index that named it; NULL: none */
};

struct import_list {
    struct import_file *files;
    size_t count;
    json_t *indexes; /* what weights points into */
};

/* Fills the list: a file is one rank; a Hugging Face index (NAME.safetensors.index.json) stands for
 * the files it names, in the order of their names, but for those that are operands themselves; a
 * folder for its index or its only .safetensors file. A complaint says what is wrong with which.
 * import_list_clear frees it, whatever was returned. */
enum exit_code import_list_make(struct import_list *list, char *const *operands, size_t count);

/* Opens and parses each file, and sets bytes, form and reason. Refused by name: what is no regular
 * file or cannot be read; a file without a tensor that its index says it has; and, unless opaque,
 * a damaged one, one that is named .safetensors and is none, and a git-lfs pointer. */
enum exit_code import_list_check(struct import_list *list, bool opaque);

void import_list_clear(struct import_list *list);

/* A file's bytes in memory; a complaint when it is no regular file or cannot be read. Never blocks,
 * whatever the path names. */
struct import_mapping {
    const void *data; /* "" for an empty file */
    uint64_t bytes;
};
enum exit_code import_map(const char *path, struct import_mapping *mapping_out);
void import_unmap(struct import_mapping *mapping);

/* What the bytes are; in reason why they are no shard of ckptd's, or "". With weights, the map of
 * an index that named the file so, *missing_out is a tensor that a shard should have and lacks, and
 * NULL where there is none. Reads the header only. */
enum import_form import_look(const struct import_mapping *mapping, const json_t *weights,
                             const char *file, const char **missing_out, char *reason,
                             size_t reason_bytes);

#endif
