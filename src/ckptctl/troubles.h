/* SPDX-License-Identifier: Apache-2.0 */
/* Why saves do not become consistent, a line each. */
#ifndef CKPT_CKPTCTL_TROUBLES_H
#define CKPT_CKPTCTL_TROUBLES_H

#include <jansson.h>

#include "ckptctl/ctl.h"

/* Those of a status document, the first twenty. */
void print_troubles(const struct ctl *ctl, const json_t *status);

#endif
