/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the configuration file. */
#ifndef CKPT_CONFIG_FILE_H
#define CKPT_CONFIG_FILE_H

#include "config/settings.h"

/* Sets all that the file says; a missing file is an error only when must_exist. */
enum ckpt_status file_read(struct config *config, const char *path, bool must_exist,
                           struct reason reason);

#endif
