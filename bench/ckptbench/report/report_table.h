/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: a report as people read it. */
#ifndef CKPTBENCH_REPORT_TABLE_H
#define CKPTBENCH_REPORT_TABLE_H

#include "report/report_inside.h"

void report_print(const struct report *report, FILE *out);

/* "64KiB", "1.5GiB", "1000B" */
void report_bytes_text(double bytes, char *text_out, size_t size);

#endif
