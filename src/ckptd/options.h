/* SPDX-License-Identifier: Apache-2.0 */
/* What ckptd can be told: the keys of its parts. */
#ifndef CKPT_CKPTD_OPTIONS_H
#define CKPT_CKPTD_OPTIONS_H

#include "config/config.h"

/* Made when it is first asked for, which is the main thread's to do. */
const struct config_program *options_program(void);

/* What the table of keys can't say, before anything is made, so that --check-config says it too.
 * CKPT_ERR_CONFIG, with one line in reason (CKPT_REASON_MAX + 1 bytes). */
enum ckpt_status options_check(const struct config *config, char *reason);

#endif
