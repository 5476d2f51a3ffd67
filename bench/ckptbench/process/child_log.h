/* SPDX-License-Identifier: Apache-2.0 */
/* What a daemon that was started here says in its log. */
#ifndef CKPTBENCH_CHILD_LOG_H
#define CKPTBENCH_CHILD_LOG_H

#include <stdbool.h>

#include <ckpt/status.h>

#define CHILD_LOG_LINE_BYTES 1024

/* The last whole line of the log that has the text; with "", the last of all. */
bool child_log_find(const char *path, const char *text, char line_out[CHILD_LOG_LINE_BYTES]);

/* What failed, and the log's last line, which should say why. Returns status. */
enum ckpt_status child_log_explain(const char *what, const char *log, enum ckpt_status status,
                                   char *reason);

#endif
