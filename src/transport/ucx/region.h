/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: registered memory. */
#ifndef CKPT_TRANSPORT_UCX_REGION_H
#define CKPT_TRANSPORT_UCX_REGION_H

#include "transport/ucx/ucx.h"

enum ckpt_status ucx_register(struct transport *t, const struct transport_memory *memory,
                              struct transport_region **region_out);
enum ckpt_status ucx_deregister(struct transport_region *base);
enum ckpt_status ucx_export(struct transport_region *base, uint8_t *descriptor_out,
                            size_t *bytes_out);
struct ucx_region *ucx_region_find(struct ucx *u, uint64_t id);
void ucx_regions_close(struct ucx *u);

#endif
