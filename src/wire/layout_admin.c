/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of what ckptctl and the coordinator say. */
#include "wire/layout.h"

static const struct wire_field admin_ask_fields[] = {
    FIELD_ENUM(message_admin_ask, AdminAsk, verb, admin_verb, AdminVerb, wire_admin_verb_is_known),
    FIELD_U64(message_admin_ask, AdminAsk, cookie),
    FIELD_RUN_OR_EMPTY(message_admin_ask, AdminAsk, run),
    FIELD_U64(message_admin_ask, AdminAsk, step),
    FIELD_BOOL(message_admin_ask, AdminAsk, newer),
    FIELD_U32(message_admin_ask, AdminAsk, from, UINT32_MAX),
    FIELD_ENUM(message_admin_ask, AdminAsk, mark, checkpoint_mark, CheckpointMark,
               wire_checkpoint_mark_is_known),
    FIELD_NAME_OR_EMPTY(message_admin_ask, AdminAsk, node, CKPT_NODE_NAME_MAX),
    FIELD_BOOL(message_admin_ask, AdminAsk, force),
    FIELD_BOOL(message_admin_ask, AdminAsk, may_page),
    FIELD_BOOL(message_admin_ask, AdminAsk, blake3),
};
WIRE_LAYOUT(admin_ask, message_admin_ask, admin_ask);

static const struct wire_field admin_answer_fields[] = {
    FIELD_U64(message_admin_answer, AdminAnswer, cookie),
    FIELD_STATUS(message_admin_answer, AdminAnswer, status),
    FIELD_REASON(message_admin_answer, AdminAnswer, reason),
    FIELD_JSON(message_admin_answer, AdminAnswer, json, json_bytes, MESSAGE_JSON_MAX),
};
WIRE_LAYOUT(admin_answer, message_admin_answer, admin_answer);
