/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between ckptctl and the coordinator. docs/protocol.md tells when each is sent. */
#ifndef CKPT_WIRE_MESSAGE_ADMIN_H
#define CKPT_WIRE_MESSAGE_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "wire/key.h"
#include "wire/state.h"
#include <ckpt/status.h>

enum admin_verb {
    ADMIN_STATUS = 1,
    ADMIN_NODES,
    ADMIN_RUNS,
    ADMIN_LIST,
    ADMIN_SHOW,
    ADMIN_VERIFY,
    ADMIN_RETIRE,
    ADMIN_PLACEMENT,
    ADMIN_MARK,
    ADMIN_NODE_DRAIN,
    ADMIN_NODE_UNDRAIN,
    ADMIN_NODE_FORGET,
    ADMIN_NODE_SHOW, /* how far a drain is */
    ADMIN_RUN_FORGET,
};

struct message_admin_ask {
    enum admin_verb verb;
    uint64_t cookie;    /* echoed */
    struct run_key run; /* uid: the caller's own; who may see all may name any, or CKPT_UID_ANY */
    uint64_t step;
    bool newer; /* ADMIN_RETIRE: everything newer than step, so that `latest` moves back to it */
    enum checkpoint_mark mark; /* ADMIN_MARK */
    uint32_t from; /* of a long table: the first entry wanted, as "next" of the last answer said */
    char node[CKPT_NODE_NAME_MAX + 1]; /* of the verbs for nodes */
    bool force;    /* ADMIN_NODE_FORGET: also the last that is known to hold something */
    bool may_page; /* what is too much for one turn is done in part, and answered with "more" */
    bool blake3;   /* ADMIN_VERIFY: every holder tells BLAKE3 of its memory, beside the proof, from
                    * the rank `from` on; ADMIN_SHOW: what they told. Not known to a coordinator of
                    * before: its answer does not say "blake3" */
};

/* One JSON document: the coordinator's tables are for people and scripts, not for machines of ours,
 * so they have no schema in the wire format. */
struct message_admin_answer {
    uint64_t cookie;
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
    uint32_t json_bytes;
    const char *json; /* in the decoder's buffer, or the sender's; not NUL-terminated */
};

#endif
