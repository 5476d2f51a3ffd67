/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: from a struct to protobuf-c's, by its layout. */
#ifndef CKPT_WIRE_BODY_ENCODE_H
#define CKPT_WIRE_BODY_ENCODE_H

#include "wire/layout.h"

/* Makes the protobuf-c struct of a body. It points into *body and scratch. Returns CKPT_OK, or
 * CKPT_ERR_INVALID with scratch->reason, or CKPT_ERR_INTERNAL when scratch is too small. */
enum ckpt_status wire_body_encode(const struct wire_layout *layout, const void *body,
                                  struct message_scratch *scratch, ProtobufCMessage **proto_out);

#endif
