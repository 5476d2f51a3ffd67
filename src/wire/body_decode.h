/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: from protobuf-c's struct to ours, by its layout. */
#ifndef CKPT_WIRE_BODY_DECODE_H
#define CKPT_WIRE_BODY_DECODE_H

#include "wire/layout.h"

/* Fills a zeroed body from an unpacked protobuf-c struct. It points into *proto and scratch.
 * Returns CKPT_OK, or CKPT_ERR_PROTOCOL or CKPT_ERR_TOO_LARGE with scratch->reason. */
enum ckpt_status wire_body_decode(const struct wire_layout *layout, const ProtobufCMessage *proto,
                                  struct message_scratch *scratch, void *body);

#endif
