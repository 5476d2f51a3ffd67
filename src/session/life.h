/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: how a session begins to speak, and how it ends. */
#ifndef CKPT_SESSION_LIFE_H
#define CKPT_SESSION_LIFE_H

#include "session/state.h"

/* Begins to take messages. */
void session_start(struct session *session);

/* Waits for words, for as long as this session may be silent. */
void session_listen_for_words(struct session *session);

/* No more messages; what is queued is written first. */
void session_begin_close(struct session *session, enum ckpt_status status, const char *reason);

/* From the loop only: closes it, calls `closed`, and buries it. */
void session_end(struct session *session, enum ckpt_status status, const char *reason);

/* From a call of the owner: the loop will end it so. */
void session_fail(struct session *session, enum ckpt_status status, const char *reason);

/* Out of the hub's tables and freed, without a word to anybody. */
void session_drop(struct session *session);

/* Frees without a word to anybody. */
void session_free(struct session *session);

#endif
