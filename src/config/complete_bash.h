/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: completion in bash. */
#ifndef CKPT_CONFIG_COMPLETE_BASH_H
#define CKPT_CONFIG_COMPLETE_BASH_H

#include <stdio.h>

#include "config/config.h"

void complete_print_bash(const struct config_program *program, FILE *out);

#endif
