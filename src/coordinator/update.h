/* SPDX-License-Identifier: Apache-2.0 */
/* The bounded outputs of one turn. */
#ifndef CKPT_COORDINATOR_UPDATE_H
#define CKPT_COORDINATOR_UPDATE_H

#include "coordinator/state.h"

/* What is said from now on goes into the update, which is empty. */
void coordinator_update_begin(struct coordinator *c, struct coordinator_update *update);
/* Leaves room for a commit in the same turn: its own broadcast and one answer. */
bool coordinator_update_has_room(const struct coordinator *c, uint32_t messages);
/* One more message to the link; the caller fills its body. */
struct message *coordinator_update_message(struct coordinator *c, uint32_t link,
                                           enum message_type type);
/* The connection is closed after what was sent before. */
void coordinator_update_close(struct coordinator *c, uint32_t link);
/* One more record, of now; the caller fills what its type says. */
struct coordinator_record *coordinator_update_record(struct coordinator *c,
                                                     enum coordinator_record_type type);

#endif
