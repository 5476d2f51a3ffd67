/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: whether memory can be registered. */
#ifndef CKPT_TRANSPORT_VERBS_PREFLIGHT_H
#define CKPT_TRANSPORT_VERBS_PREFLIGHT_H

#include "transport/verbs/verbs.h"

/* Whether what is to be registered can be, once the rails are open. */
enum ckpt_status verbs_preflight(const struct verbs *v, const struct transport_options *options);

#endif
