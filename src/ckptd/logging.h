/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTD_LOGGING_H
#define CKPT_CKPTD_LOGGING_H

#include "daemon/part.h"

extern struct part part_logging;
enum logging_key { LOGGING_LEVEL, LOGGING_KEYS };

/* Lines go to standard error, from the configured level on. */
void logging_begin(const struct config *config);

#endif
