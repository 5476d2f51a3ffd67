/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: devices by their names. */
#ifndef CKPT_TRANSPORT_VERBS_RAILS_H
#define CKPT_TRANSPORT_VERBS_RAILS_H

#include "transport/verbs/verbs.h"

/* Devices by their names. */
enum ckpt_status verbs_devices_check(void);
enum ckpt_status verbs_rails_open(struct verbs *v, const char *names,
                                  const struct transport_options *options);
void verbs_rails_close(struct verbs *v);
/* A bit for each rail that the list names; all bits when it names none of them. */
uint32_t verbs_rails_near(const struct verbs *v, const char *names);

#endif
