/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the reader's side. */
#ifndef CKPT_TRANSPORT_UCX_READER_H
#define CKPT_TRANSPORT_UCX_READER_H

#include "transport/ucx/ucx.h"

enum ckpt_status ucx_connect(struct transport *t, const uint8_t *address, size_t address_bytes,
                             struct transport_endpoint **endpoint_out);
void ucx_disconnect(struct transport_endpoint *base);
enum ckpt_status ucx_start_read(const struct transport_read_request *request);
void ucx_read_settle(struct ucx *u, struct ucx_read *read, enum ckpt_status status);
enum ckpt_status ucx_reader_open(struct ucx *u);
void ucx_endpoint_fail(struct ucx_endpoint *endpoint, enum ckpt_status status);
void ucx_endpoints_tend(struct ucx *u);
void ucx_endpoint_release(struct transport_endpoint *base);

#endif
