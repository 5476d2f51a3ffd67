/* SPDX-License-Identifier: Apache-2.0 */
/* The operands of `import` as the files of ranks 0, 1, ..., each opened and looked at before
 * anything of any is staged, and kept open: what becomes of a name afterwards changes nothing. */
#ifndef CKPT_CKPTCTL_IMPORT_LIST_H
#define CKPT_CKPTCTL_IMPORT_LIST_H

#include <jansson.h>

#include <ckpt/ckpt.h>

#include "ckptctl/import_look.h"

struct import_file {
    char *path;
    struct import_mapping mapping; /* from import_list_check on */
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
 * folder for its index, for the ranks' files that `export --all` has written, or for its only
 * .safetensors file. A complaint says what is wrong with which.
 * import_list_clear frees it, whatever was returned. */
enum exit_code import_list_make(struct import_list *list, char *const *operands, size_t count);

/* Opens and parses each file, and sets mapping, form and reason. Refused by name: what is no
 * regular file or cannot be read; a file without a tensor that its index says it has; and, unless
 * opaque, a damaged one, one that is named .safetensors and is none, and a git-lfs pointer. */
enum exit_code import_list_check(struct import_list *list, bool opaque);

void import_list_clear(struct import_list *list);

#endif
