/* SPDX-License-Identifier: Apache-2.0 */
/* From records on disk to a machine that rules: lock and open the store, replay into the machine,
 * listen, take an epoch above every one that is known, all before anybody is served. It may take
 * its time: an old database is converted, a locked one waited for. Meanwhile the service manager is
 * told that the start goes on.
 *
 * Nothing is written before the whole log was read and found good. */
#ifndef CKPT_CKPTCTLD_RECORDS_H
#define CKPT_CKPTCTLD_RECORDS_H

#include "ckptctld/daemon.h"
#include "daemon/part.h"

/* Begins that way, and ends the process where it does not lead on. */
extern struct part part_records;
enum records_key {
    RECORDS_STATE_DIRECTORY,
    RECORDS_STORE,
    RECORDS_EPOCH_ABOVE,
    RECORDS_CLUSTER,
    RECORDS_KEYS
};

#endif
