/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: a report as programs read it. */
#ifndef CKPTBENCH_REPORT_FILES_H
#define CKPTBENCH_REPORT_FILES_H

#include "report/report_inside.h"

/* path "-" is standard output. Says on standard error what failed. */
bool report_write_json(const struct report *report, const char *path);
bool report_write_csv(const struct report *report, const char *path);

#endif
