/* SPDX-License-Identifier: Apache-2.0 */
/* The bounded outputs of one turn. */
#ifndef CKPT_COORDINATOR_UPDATE_H
#define CKPT_COORDINATOR_UPDATE_H

#include "coordinator/state.h"

/* Writes the line to text (CKPT_REASON_MAX + 1 bytes). */
void say(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Leaves room for a commit in the same turn: its own broadcast and one answer. */
bool update_has_room(const struct coordinator_update *u, uint32_t messages);
/* One more message to the link; the caller fills its body. */
struct message *update_message(struct coordinator *c, struct coordinator_update *u, uint32_t link,
                               enum message_type type);
/* The connection is closed after what was sent before. */
void update_close(struct coordinator_update *u, uint32_t link);
/* One more record, of now; the caller fills what its type says. */
struct coordinator_record *update_record(struct coordinator *c, struct coordinator_update *u,
                                         enum coordinator_record_type type);
/* One more note for people. Never NULL: one that is too many takes the last one's place. */
struct machine_note *update_note(struct coordinator_update *u, enum event_id event);

#endif
