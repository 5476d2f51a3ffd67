/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTCTLD_LOGGING_H
#define CKPT_CKPTCTLD_LOGGING_H

#include "ckptctld/settings.h"
#include "daemon/part.h"

extern struct part part_logging;
enum logging_key { LOGGING_LEVEL, LOGGING_FORMAT, LOGGING_KEYS };

/* Lines go to standard error, as the options say. */
void logging_begin(const struct options *options);

#endif
