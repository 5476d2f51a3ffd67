/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: whether a rail is up. */
#ifndef CKPT_TRANSPORT_VERBS_WATCH_H
#define CKPT_TRANSPORT_VERBS_WATCH_H

#include "transport/verbs/verbs.h"

void verbs_rail_check(struct verbs_rail *rail);
void verbs_rails_watch(struct verbs *v, uint64_t now_ns);
struct transport_rails verbs_rails_state(const struct transport *t);

#endif
