/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the way to a peer, over all rails. */
#ifndef CKPT_TRANSPORT_VERBS_ENDPOINT_H
#define CKPT_TRANSPORT_VERBS_ENDPOINT_H

#include "transport/verbs/verbs.h"

enum ckpt_status verbs_connect(struct transport *t, const uint8_t *address, size_t address_bytes,
                               struct transport_endpoint **endpoint_out);
void verbs_disconnect(struct transport_endpoint *base);
void verbs_endpoint_fail(struct verbs_endpoint *endpoint, enum ckpt_status status);
void verbs_endpoints_tend(struct verbs *v, uint64_t now_ns);
void verbs_endpoint_release(struct transport_endpoint *base);

#endif
