/* SPDX-License-Identifier: Apache-2.0 */
/* What ckptctld can be told: the keys of its parts. */
#ifndef CKPT_CKPTCTLD_OPTIONS_H
#define CKPT_CKPTCTLD_OPTIONS_H

#include "ckptctld/settings.h"
#include "config/config.h"

/* Made when it is first asked for, which is the main thread's to do. */
const struct config_program *options_program(void);

/* Reads a loaded configuration, whose strings it keeps pointing to. CKPT_ERR_CONFIG, with a line in
 * reason_out (CKPT_REASON_MAX + 1 bytes), when values contradict each other. */
enum ckpt_status options_read(const struct config *config, struct options *options_out,
                              char *reason_out);

#endif
