/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTD_SERVICE_H
#define CKPT_CKPTD_SERVICE_H

#include "daemon/part.h"

/* What was held is adopted, and from then on everybody is served. */
extern struct part part_service;

#endif
