/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the source's side: what serves readers. */
#ifndef CKPT_TRANSPORT_UCX_SOURCE_H
#define CKPT_TRANSPORT_UCX_SOURCE_H

#include "transport/ucx/ucx.h"

enum ckpt_status ucx_source_open(struct ucx *u);
enum ckpt_status ucx_source_listen(struct ucx *u, const char *devices);
bool ucx_source_serve(struct ucx *u);
void ucx_clients_tend(struct ucx *u);
void ucx_source_fail_region(struct ucx *u, const struct ucx_region *region);
bool ucx_source_quiet(const struct ucx *u);
void ucx_source_close(struct ucx *u);

#endif
