/* SPDX-License-Identifier: Apache-2.0 */
/* What each run would have left if a node were gone now. */
#ifndef CKPT_CKPTCTL_WITHOUT_H
#define CKPT_CKPTCTL_WITHOUT_H

#include "ckptctl/ctl.h"

/* Prints a row a run that the caller may see, the one that would lose most first: how whole its
 * newest consistent checkpoint is now and would be, which step it would go back to, and how much
 * work would be lost. EXIT_SHORT when a run would lose more than it does now; EXIT_NO for a node
 * that is not known. */
enum exit_code without_node(struct ctl *ctl, const char *node);

#endif
