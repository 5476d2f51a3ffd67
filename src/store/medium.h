/* SPDX-License-Identifier: Apache-2.0 */
/* What records are kept in, where reading and writing it blocks: SQLite, memory. */
#ifndef CKPT_STORE_MEDIUM_H
#define CKPT_STORE_MEDIUM_H

#include "store/store.h"

/* The head of every medium's own struct. */
struct medium {
    const struct medium_kind *kind;
    enum ckpt_status failed; /* what the first failed commit returned: never again CKPT_OK */
    char reason[CKPT_REASON_MAX + 1]; /* one line on the last failure */
};

/* Each blocks for as long as the medium does, and answers as the call of its name. */
struct medium_kind {
    enum ckpt_status (*open)(const char *location, struct store_progress *progress,
                             struct medium **medium_out, char *reason_out);
    enum ckpt_status (*epoch)(struct medium *medium, uint64_t *epoch_out);
    enum ckpt_status (*replay)(struct medium *medium, store_visit *visit, void *context);
    enum ckpt_status (*commit)(struct medium *medium, const struct store_transaction *transaction);
    void (*close)(struct medium *medium);
};

/* Where one is, and it itself once it is open. */
struct medium_place {
    const struct medium_kind *kind;
    const char *location;
    struct store_progress *progress;
    struct medium *medium; /* NULL: not open */
};

/* Does the call, and fills in its answer. */
void medium_do(struct medium_place *place, struct store_call *call);
void medium_close(struct medium_place *place);

#endif
