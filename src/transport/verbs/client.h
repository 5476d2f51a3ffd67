/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the source's end of connections. */
#ifndef CKPT_TRANSPORT_VERBS_CLIENT_H
#define CKPT_TRANSPORT_VERBS_CLIENT_H

#include "transport/verbs/verbs.h"

/* The source's end. */
void verbs_client_ask(struct verbs_rail *rail, struct rdma_cm_id *id,
                      const struct rdma_cm_event *event);
void verbs_clients_tend(struct verbs *v);
void verbs_clients_fail(struct verbs *v);
/* Those of one rail. */
void verbs_clients_leave(struct verbs_rail *rail);

#endif
