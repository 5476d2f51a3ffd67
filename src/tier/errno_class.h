/* SPDX-License-Identifier: Apache-2.0 */
/* Which class of tier.h an errno is of. Pure. */
#ifndef CKPT_TIER_ERRNO_CLASS_H
#define CKPT_TIER_ERRNO_CLASS_H

#include "tier/tier.h"

enum ckpt_status errno_class(int error);

/* Writes "what path: the error's text", and returns the class. */
enum ckpt_status errno_refuse(char *reason_out, int error, const char *what, const char *path);

#endif
