/* SPDX-License-Identifier: Apache-2.0 */
/* The one line that says why: what went wrong, where, and what to do about it.
 *
 * A line that is longer than its place is cut. Pure: memory and text, nothing else. Any thread. */
#ifndef CKPT_BASE_REASON_H
#define CKPT_BASE_REASON_H

#include <stddef.h>

#include "base/limits.h"
#include <ckpt/status.h>

/* A place of another size than CKPT_REASON_MAX + 1 bytes, for lines with paths or sentences. */
struct reason {
    char *out;
    size_t size;
};

/* Writes the line to reason_out (CKPT_REASON_MAX + 1 bytes), or nowhere when that is NULL. */
void reason_set(char *reason_out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, and returns status: the last line of a function that fails. */
enum ckpt_status reason_refuse(char *reason_out, enum ckpt_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same in a place of any size; a size of 0 is no place. */
enum ckpt_status reason_refuse_in(struct reason reason, enum ckpt_status status, const char *format,
                                  ...) __attribute__((format(printf, 3, 4)));

#endif
