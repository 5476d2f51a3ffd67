/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the coordinator. Each ask is answered within ANSWER_MS or fails. */
#ifndef CKPT_CKPTCTL_LINK_H
#define CKPT_CKPTCTL_LINK_H

#include "ckptctl/ctl.h"

#define ANSWER_MS 10000 /* to connect, and for each answer */

/* Asks, connecting first where that has not been done. CKPT_OK and a new document; else the status
 * that the coordinator gave, or CKPT_ERR_NO_COORDINATOR when it does not answer. reason_out
 * (CKPT_REASON_MAX + 1 bytes) gets one line on failure. */
enum ckpt_status link_ask(struct ctl *ctl, const struct message_admin_ask *ask,
                          json_t **document_out, char *reason_out);

/* Asks for all pages of a table and joins them: the document is the first page's, the array
 * `entries` in it has those of all pages. As link_ask. */
enum ckpt_status link_ask_pages(struct ctl *ctl, struct message_admin_ask *ask, const char *entries,
                                json_t **document_out, char *reason_out);

/* The same, but that a failure is complained of; EXIT_DONE for success. */
enum exit_code link_ask_all(struct ctl *ctl, struct message_admin_ask *ask, const char *entries,
                            json_t **document_out);

/* Complains of a failed ask, and gives its exit code. */
enum exit_code link_complain(enum ckpt_status status, const char *reason);

void link_close(struct ctl *ctl);

#endif
