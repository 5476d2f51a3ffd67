/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that change something: asked in as many parts as it takes, and what they did. */
#ifndef CKPT_CKPTCTL_CHANGE_H
#define CKPT_CKPTCTL_CHANGE_H

#include "ckptctl/ctl.h"

/* Asks until all of it is done and on record. The document has "text", and "retired" and "aborted"
 * of all parts: [{"step", "attempt", "bytes"}]. A status and its reason (CKPT_REASON_MAX + 1 bytes)
 * as link_ask; what was done before stays done. */
enum ckpt_status change_ask(struct ctl *ctl, struct message_admin_ask *ask, json_t **document_out,
                            char *reason_out);

/* The end of a line: "step 40 (attempt 1, 2.0 GiB)" of each that was retired, "nothing" for none,
 * and which saves that were under way went with them. */
void change_print_gone(const json_t *answer);

#endif
