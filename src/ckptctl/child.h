/* SPDX-License-Identifier: Apache-2.0 */
/* What may hang is done by a child, which is left behind when its time is over: a process that
 * waits for a mount that is gone cannot even be killed. */
#ifndef CKPT_CKPTCTL_CHILD_H
#define CKPT_CKPTCTL_CHILD_H

#include <stddef.h>
#include <stdint.h>

enum child_end {
    CHILD_DONE,    /* it ended by itself; *code_out is its exit code */
    CHILD_LATE,    /* not in time */
    CHILD_MISSING, /* there is no such program, or no process to be had; errno says why */
};

/* Runs a program; the first bytes of its standard output and error, as text, are output_out's. */
enum child_end child_run(char *const *arguments, uint32_t timeout_ms, char *output_out,
                         size_t output_size, int *code_out);

/* Runs a function, whose result, from 0 to 125, is the code. What it writes to `text` is
 * output_out's. */
typedef int child_work(void *context, char *text, size_t text_size);
enum child_end child_do(child_work *what, void *context, uint32_t timeout_ms, char *output_out,
                        size_t output_size, int *code_out);

#endif
