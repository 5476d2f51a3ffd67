/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: completion in zsh. */
#ifndef CKPT_CONFIG_COMPLETE_ZSH_H
#define CKPT_CONFIG_COMPLETE_ZSH_H

#include <stdio.h>

#include "config/config.h"

void complete_print_zsh(const struct config_program *program, FILE *out);

#endif
