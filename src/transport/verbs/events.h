/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: what the kernel says. */
#ifndef CKPT_TRANSPORT_VERBS_EVENTS_H
#define CKPT_TRANSPORT_VERBS_EVENTS_H

#include "transport/verbs/verbs.h"

/* What the kernel says about connections, ports and queue pairs. */
void verbs_look(struct verbs *v);

#endif
