/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the one line of an error. */
#ifndef CKPT_ARENA_EXPLAIN_H
#define CKPT_ARENA_EXPLAIN_H

#include "arena/arena.h"

/* Writes the line: of several sentences, where somebody has to do something. */
void arena_explain(char reason[ARENA_REASON_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Explains errno: "<what>: <text>". ENOSPC and ENOMEM are CKPT_ERR_MEMORY. */
enum ckpt_status arena_explain_errno(char reason[ARENA_REASON_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
