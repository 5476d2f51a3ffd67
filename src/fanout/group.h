/* SPDX-License-Identifier: Apache-2.0 */
/* How a group begins and ends. */
#ifndef CKPT_FANOUT_GROUP_H
#define CKPT_FANOUT_GROUP_H

#include "fanout/state.h"

/* What ckpt_fanout_open, _id, _join do, for arguments that have been looked at. */
enum ckpt_status group_open(const struct ckpt_fanout_options *options,
                            struct ckpt_fanout **group_out, char *reason);
void group_id(const struct ckpt_fanout *group, uint8_t id_out[CKPT_FANOUT_ID_BYTES]);
enum ckpt_status group_join(struct ckpt_fanout *group, const uint8_t *id, uint32_t timeout_ms);

/* Ends its connections and threads; what it has lent must have been given back. */
void group_close(struct ckpt_fanout *group);

#endif
