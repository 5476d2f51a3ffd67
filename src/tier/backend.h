/* SPDX-License-Identifier: Apache-2.0 */
/* What a backend of the tier is: files with names, in folders, durable once they are named.
 *
 * Names are of name.h: components of [A-Za-z0-9._~-] apart by '/', at most two folders deep. A
 * backend knows nothing of what is in the files. Errors are those of tier.h. */
#ifndef CKPT_TIER_BACKEND_H
#define CKPT_TIER_BACKEND_H

#include "tier/tier.h"

enum tier_thing { TIER_FILE, TIER_FOLDER, TIER_OTHER };

/* A thing of a folder: its last component as it is, which need not be one of ours. False ends the
 * list. Must not call the medium. */
typedef bool tier_thing_visit(void *context, const char *name, enum tier_thing thing,
                              uint64_t bytes);

/* The heads of each backend's own structs. */
struct tier_medium {
    const struct tier_backend *backend;
};
struct tier_writer {
    struct tier_medium *medium;
};

struct tier_backend {
    const char *scheme; /* "posix" of "posix:/path" */

    /* location is what follows "scheme:". Removes what was left without a name. */
    enum ckpt_status (*open)(const char *location, const struct tier_options *options,
                             struct tier_medium **medium_out, char *reason_out);
    void (*close)(struct tier_medium *medium);

    /* A file that has no name yet, which will be called name in a folder that is made if need be
     * and will have about so many bytes. */
    enum ckpt_status (*begin)(struct tier_medium *medium, const char *name, uint64_t bytes,
                              struct tier_writer **writer_out, char *reason_out);
    /* More bytes of it. With is_kept they stay as they are until end() or discard(), else until
     * this returns. May return before they are written; a later call tells what went wrong. */
    enum ckpt_status (*append)(struct tier_writer *writer, const void *data, size_t bytes,
                               bool is_kept, char *reason_out);
    /* All of it is durable, then has its name, in the place of one that may be there. Frees the
     * writer; on an error nothing has the name that had it not before. */
    enum ckpt_status (*end)(struct tier_writer *writer, char *reason_out);
    void (*discard)(struct tier_writer *writer);

    /* A small file at once, durable. is_new: CKPT_ERR_STALE where there is one of the name. */
    enum ckpt_status (*store)(struct tier_medium *medium, const char *name, const char *text,
                              size_t bytes, bool is_new, char *reason_out);
    /* A small file whole, with a NUL behind it, for free(). CKPT_ERR_TOO_LARGE: above bytes_max. */
    enum ckpt_status (*load)(struct tier_medium *medium, const char *name, size_t bytes_max,
                             char **text_out, size_t *bytes_out, char *reason_out);
    /* Bytes from an offset; CKPT_ERR_CORRUPT: the file ends before. */
    enum ckpt_status (*read)(struct tier_medium *medium, const char *name, uint64_t offset,
                             void *into, size_t bytes, char *reason_out);
    /* What is in a folder; "" is the tier's own. CKPT_ERR_NOT_FOUND: no such folder. */
    enum ckpt_status (*list)(struct tier_medium *medium, const char *folder,
                             tier_thing_visit *visit, void *context, char *reason_out);
    /* A second name for a file's bytes, in the place of one that may be there. */
    enum ckpt_status (*link)(struct tier_medium *medium, const char *from, const char *to,
                             char *reason_out);
    /* CKPT_OK where it is not there. is_durable: what is removed later is not gone before it. */
    enum ckpt_status (*remove)(struct tier_medium *medium, const char *name, bool is_durable,
                               char *reason_out);
    /* A folder that is empty; CKPT_OK where it is not, or is not there. */
    enum ckpt_status (*remove_folder)(struct tier_medium *medium, const char *folder,
                                      char *reason_out);
};

#endif
