/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_DAEMON_STRANGERS_H
#define CKPT_DAEMON_STRANGERS_H

#include "config/config.h"

/* Says what in the environment is named like ours and is not read: to standard error where a person
 * checks a configuration (CONFIG_CHECK), else to the log. */
void strangers_tell(const struct config_program *program, const struct config *config,
                    enum config_request request, char *const *environment);

#endif
