/* SPDX-License-Identifier: Apache-2.0 */
/* What every medium must do alike with a transaction. Pure; any thread. */
#ifndef CKPT_STORE_RULES_H
#define CKPT_STORE_RULES_H

#include "store/store.h"

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
