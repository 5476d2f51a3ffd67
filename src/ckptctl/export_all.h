/* SPDX-License-Identifier: Apache-2.0 */
/* All ranks of a checkpoint become the files of one folder. */
#ifndef CKPT_CKPTCTL_EXPORT_ALL_H
#define CKPT_CKPTCTL_EXPORT_ALL_H

#include "ckptctl/ctl.h"

/* export RUN STEP --all DIR: see the verb's help. */
enum exit_code export_all(const struct ctl *ctl, const char *run, uint64_t step,
                          uint32_t timeout_ms, const char *path);

#endif
