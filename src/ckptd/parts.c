/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/parts.h"

#include "ckptd/coordinator.h"
#include "ckptd/doors.h"
#include "ckptd/finished.h"
#include "ckptd/hear.h"
#include "ckptd/identity.h"
#include "ckptd/life.h"
#include "ckptd/logging.h"
#include "ckptd/machine.h"
#include "ckptd/memory.h"
#include "ckptd/service.h"
#include "ckptd/tier.h"
#include "ckptd/transport.h"
#include "ckptd/turn.h"
#include "ckptd/workers.h"

struct part *const ckptd_parts[] = {
    &part_logging,     /* where people read what happens */
    &part_identity,    /* node, domain, this life's number */
    &part_rails,       /* which transport, over which ports */
    &part_engine,      /* the digest's */
    &part_turn,        /* the loop, and the machine's deadline */
    &part_finished,    /* what the threads have done */
    &part_coordinator, /* the connection to it */
    &part_hear,        /* what sessions say */
    &part_doors,       /* addresses are bound */
    &part_transport,   /* the mover's thread */
    &part_memory,      /* the arena */
    &part_digester,    /* the digest threads */
    &part_mover,       /* the arena is registered */
    &part_quiet,       /* threads stand back while ranks copy */
    &part_tier,        /* where shards are taken to */
    &part_machine,     /* decides */
    &part_service,     /* everybody is heard */
    &part_life,        /* until nobody needs it */
    NULL,
};
