/* SPDX-License-Identifier: Apache-2.0 */
/* Switches one planted bug on, in the program that was built with them; in the others nothing. */
#ifndef CKPT_SIM_PLANTED_H
#define CKPT_SIM_PLANTED_H

#include <stdbool.h>

void planted_bug_set(int number);
int planted_bug_count(void); /* 0 in a program without */
const char *planted_bug_text(int number);

#endif
