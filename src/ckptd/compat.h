/* SPDX-License-Identifier: Apache-2.0 */
/* `ckptd --compat KIND ...`: this program becomes another one, which serves a foreign contract
 * through the agent of this node. */
#ifndef CKPT_CKPTD_COMPAT_H
#define CKPT_CKPTD_COMPAT_H

#include <stdbool.h>

/* Whether the command line's first word is --compat. */
bool compat_is_asked(int argc, char **argv);

/* Becomes the program of the kind, which lies beside this one, with the words behind it. Returns,
 * with a line on standard error, an exit code: 2 for a kind that is not known, 1 when its program
 * is not there. */
int compat_become(int argc, char **argv);

#endif
