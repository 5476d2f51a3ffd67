/* SPDX-License-Identifier: Apache-2.0 */
/* What the backends of the store share. */
#ifndef CKPT_STORE_BACKEND_H
#define CKPT_STORE_BACKEND_H

#include "store/store.h"

/* The head of every backend's own struct. */
struct store {
    const struct store_backend *backend;
    enum ckpt_status failed; /* what the first failed commit returned: never again CKPT_OK */
    char reason[CKPT_REASON_MAX + 1];
};

/* Writes the line to reason_out (CKPT_REASON_MAX + 1 bytes) and returns status. */
enum ckpt_status store_refuse(char *reason_out, enum ckpt_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* CKPT_ERR_FULL for an errno that says that there is no room, CKPT_ERR_SYSTEM for others. */
enum ckpt_status store_errno_status(int error);

/* The epoch fence, given the highest epoch that the medium knows: CKPT_OK, CKPT_ERR_STALE or
 * CKPT_ERR_INVALID with a line in reason_out. Pure. */
enum ckpt_status store_fence(uint64_t highest, const struct store_transaction *transaction,
                             char *reason_out);

/* The shard of a rank, from the record or from the transaction's shard_at. */
struct coordinator_record_shard store_shard(const struct store_transaction *transaction,
                                            const struct coordinator_record *record, uint32_t rank);

/* Whether a record is to be found in the store after its transaction. */
bool store_is_kept(const struct coordinator_record *record);

/* Whether `later`, committed after `earlier`, makes it void, as store_rules says. */
bool store_is_void(const struct coordinator_record *earlier,
                   const struct coordinator_record *later);

#endif
