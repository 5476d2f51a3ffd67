/* SPDX-License-Identifier: Apache-2.0 */
/* Names below the tier's folder, and nothing else: no link is followed, and none leads out. */
#ifndef CKPT_TIER_POSIX_PLACE_H
#define CKPT_TIER_POSIX_PLACE_H

#include "tier/backend.h"

struct posix {
    struct tier_medium medium;
    struct tier_options options;
    int folder;     /* the tier's own */
    int incoming;   /* where files are until they have a name; -1 for a reader */
    bool is_direct; /* the file system takes O_DIRECT */
};

/* What a name is until it is given. */
struct posix_temporary {
    char text[64];
};

/* openat2() below the tier's folder; -1 and errno. */
int posix_open(const struct posix *posix, const char *name, int flags);

/* A regular file for reading; -1 and errno, ELOOP for what is a link, EISDIR for what is none. */
int posix_open_file(const struct posix *posix, const char *name, int flags, uint64_t *bytes_out);

/* The folder that a name is in; *leaf_out points into name. With makes it is made. */
int posix_open_parent(const struct posix *posix, const char *name, bool makes,
                      const char **leaf_out);

/* Makes the names above and in the folder of name durable. False and errno. */
bool posix_sync_folders(const struct posix *posix, const char *name);

/* A new file that has no name yet, locked while it is open, so that nobody takes it for one that
 * was left behind; -1 and errno. */
int posix_open_temporary(const struct posix *posix, int flags, struct posix_temporary *name_out);

/* Gives a durable file its name: in the place of one that may be there, or with is_new only where
 * there is none (EEXIST). False and errno; the temporary name is gone in any case. */
bool posix_name(const struct posix *posix, const struct posix_temporary *temporary,
                const char *name, bool is_new);

#endif
