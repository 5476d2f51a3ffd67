/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: registered memory, at every rail. */
#ifndef CKPT_TRANSPORT_VERBS_REGION_H
#define CKPT_TRANSPORT_VERBS_REGION_H

#include "transport/verbs/verbs.h"

enum ckpt_status verbs_slots_open(struct verbs *v);
void verbs_slots_close(struct verbs *v);
enum ckpt_status verbs_register(struct transport *t, const struct transport_memory *memory,
                                struct transport_region **region_out);
enum ckpt_status verbs_deregister(struct transport_region *base);
enum ckpt_status verbs_export(struct transport_region *base, uint8_t *descriptor_out,
                              size_t *bytes_out);
void verbs_regions_close(struct verbs *v);
/* Deregisters all memory at one rail, the slots too. */
void verbs_regions_leave(struct verbs_rail *rail);

#endif
