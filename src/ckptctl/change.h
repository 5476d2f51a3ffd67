/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that change something: asked in as many parts as it takes, and what they did. */
#ifndef CKPT_CKPTCTL_CHANGE_H
#define CKPT_CKPTCTL_CHANGE_H

#include "ctl.h"

/* Asks until all of it is done and on record. The document has "text", and "retired" and "aborted"
 * of all parts: [{"step", "attempt", "bytes"}]. A status and its reason (CKPT_REASON_MAX + 1 bytes)
 * as link_ask; what was done before stays done. */
enum ckpt_status change_ask(struct ctl *ctl, struct message_admin_ask *ask, json_t **document_out,
                            char *reason_out);

/* "step 40 (attempt 1, 2.0 GiB)", and so on, on one line; "nothing" for none. */
void change_print(const json_t *entries);

#endif
