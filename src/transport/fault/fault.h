/* SPDX-License-Identifier: Apache-2.0 */
/* A transport around another, that makes errors by a plan. */
#ifndef CKPT_TRANSPORT_FAULT_FAULT_H
#define CKPT_TRANSPORT_FAULT_FAULT_H

#include "transport/fault/plan.h"

/* Wraps inner, which belongs to the new transport when this succeeds,
 * and to the caller when not. */
enum ckpt_status fault_wrap(struct transport *inner, const struct fault_plan *plan,
                            const struct transport_options *options,
                            struct transport **transport_out);

#endif
