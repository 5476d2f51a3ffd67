/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: ids that outlive their connection. */
#ifndef CKPT_TRANSPORT_VERBS_FAREWELL_H
#define CKPT_TRANSPORT_VERBS_FAREWELL_H

#include "transport/verbs/verbs.h"

/* Destroys an id, at once or when the rail is up again; its queue pair is gone. */
void verbs_id_forget(struct verbs_rail *rail, struct rdma_cm_id *id);
void verbs_farewells_tend(struct verbs *v);
void verbs_farewells_say(struct verbs_rail *rail);
void verbs_farewells_close(struct verbs *v);

#endif
