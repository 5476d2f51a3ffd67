/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/parts.h"

#include "ckptctld/admin.h"
#include "ckptctld/commit.h"
#include "ckptctld/doors.h"
#include "ckptctld/life.h"
#include "ckptctld/logging.h"
#include "ckptctld/machine.h"
#include "ckptctld/records.h"
#include "ckptctld/service.h"
#include "ckptctld/tier.h"
#include "ckptctld/turn.h"
#include "ckptctld/waits.h"

struct part *const ckptctld_parts[] = {
    &part_logging, /* where people read what happens */
    &part_turn,    /* the loop, and the machine's deadline */
    &part_life,    /* signals, the service manager */
    &part_waits,   /* for what passes of the store's failures */
    &part_commit,  /* records, before anybody hears of them */
    &part_doors,   /* addresses are bound */
    &part_records, /* from the store to a machine that rules; goes on in the loop */
    &part_admin,   /* what people ask */
    &part_tier,    /* what goes there */
    &part_machine, /* decides; made of the records */
    &part_service, /* everybody is heard */
    NULL,
};
