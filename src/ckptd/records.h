/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTD_RECORDS_H
#define CKPT_CKPTD_RECORDS_H

#include "ckptd/daemon.h"

/* Stores a slot record of the machine in the arena's index. Errors as arena_record_store(). */
enum ckpt_status records_store(struct daemon *d, const struct slot_record *record);

#endif
