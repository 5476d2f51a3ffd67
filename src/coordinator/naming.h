/* SPDX-License-Identifier: Apache-2.0 */
/* BLAKE3 of the copies of a checkpoint whose run is proven by fingerprints, as a person asks. */
#ifndef CKPT_COORDINATOR_NAMING_H
#define CKPT_COORDINATOR_NAMING_H

#include "coordinator/state.h"

/* Every holder of the shards from this rank on is to digest its memory, now: as many as there is a
 * place for. What was asked before is forgotten; the checkpoint may be the same. CKPT_ERR_BUSY with
 * the reason of the update: another checkpoint's answers are coming in. */
void coordinator_naming_begin(struct coordinator *c, struct checkpoint *k, uint32_t from);
/* Whether the report is an answer, which says nothing of the copy's proof; it is taken. */
bool coordinator_naming_answered(struct coordinator *c, uint32_t member,
                                 const struct message_shard_report *r);
/* Orders go out as there is room, and again where no answer came. */
void coordinator_naming_pump(struct coordinator *c);

#endif
