/* SPDX-License-Identifier: Apache-2.0 */
/* A copy's digest is judged: by the shard's, and by what the copy said before. */
#ifndef CKPT_COORDINATOR_REPORT_DIGEST_H
#define CKPT_COORDINATOR_REPORT_DIGEST_H

#include "coordinator/state.h"

/* A copy's digest: another one than is known of it, or one that has yet to count, or counts. */
void coordinator_report_digest(struct coordinator *c, struct shard *s, struct copy *copy,
                               const struct message_shard_report *r);

#endif
