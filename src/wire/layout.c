/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/layout.h"
#include "base/reason.h"

#include <inttypes.h>
#include <string.h>

const struct wire_layout *wire_layout_of(enum message_type type)
{
    switch (type) {
    case MESSAGE_NONE:
        return NULL;
#define LAYOUT(type, noun, ...)                                                                    \
    case type:                                                                                     \
        return &wire_layout_##noun;
        MESSAGE_TYPE_TABLE(LAYOUT, LAYOUT)
#undef LAYOUT
    }
    return NULL;
}

/* These list every value, so that the compiler names the one that was added and forgotten here. */

bool wire_status_is_known(uint32_t value)
{
    switch ((enum ckpt_status)value) {
#define KNOWN(name, number, text) case name:
        CKPT_STATUS_TABLE(KNOWN)
#undef KNOWN
        return true;
    }
    return false;
}

bool wire_checkpoint_state_is_known(uint32_t value)
{
    switch ((enum checkpoint_state)value) {
    case CHECKPOINT_NONE:
    case CHECKPOINT_OPEN:
    case CHECKPOINT_VERIFYING:
    case CHECKPOINT_CONSISTENT:
    case CHECKPOINT_QUARANTINED:
    case CHECKPOINT_ABORTED:
    case CHECKPOINT_RETIRED:
        return true;
    }
    return false;
}

bool wire_checkpoint_tier_is_known(uint32_t value)
{
    switch ((enum checkpoint_tier)value) {
    case CHECKPOINT_TIER_UNKNOWN:
    case CHECKPOINT_TIER_ABSENT:
    case CHECKPOINT_TIER_AWAITED:
    case CHECKPOINT_TIER_WHOLE:
    case CHECKPOINT_TIER_PASSED:
    case CHECKPOINT_TIER_FORGOTTEN:
        return true;
    }
    return false;
}

bool wire_digest_kind_is_known(uint32_t value)
{
    switch ((enum digest_kind)value) {
    case DIGEST_KIND_UNKNOWN:
    case DIGEST_KIND_BLAKE3:
    case DIGEST_KIND_FINGERPRINT:
        return true;
    }
    return false;
}

bool wire_copy_state_is_known(uint32_t value)
{
    switch ((enum copy_state)value) {
    case COPY_NONE:
    case COPY_SEALED:
    case COPY_ADOPTED:
    case COPY_VERIFIED:
        return true;
    }
    return false;
}

bool wire_pull_purpose_is_known(uint32_t value)
{
    switch ((enum pull_purpose)value) {
    case PULL_REPLICATE:
    case PULL_RESTORE:
    case PULL_FETCH:
        return true;
    }
    return false;
}

bool wire_admin_verb_is_known(uint32_t value)
{
    switch ((enum admin_verb)value) {
    case ADMIN_STATUS:
    case ADMIN_NODES:
    case ADMIN_RUNS:
    case ADMIN_LIST:
    case ADMIN_SHOW:
    case ADMIN_VERIFY:
    case ADMIN_RETIRE:
    case ADMIN_PLACEMENT:
    case ADMIN_MARK:
    case ADMIN_NODE_DRAIN:
    case ADMIN_NODE_UNDRAIN:
    case ADMIN_NODE_FORGET:
    case ADMIN_NODE_SHOW:
    case ADMIN_RUN_FORGET:
        return true;
    }
    return false;
}

bool wire_checkpoint_mark_is_known(uint32_t value)
{
    switch ((enum checkpoint_mark)value) {
    case MARK_NONE:
    case MARK_HEALTHY:
    case MARK_POISONED:
        return true;
    }
    return false;
}

bool wire_job_verb_is_known(uint32_t value)
{
    switch ((enum job_verb)value) {
    case JOB_BEGIN:
    case JOB_END:
    case JOB_FINAL:
    case JOB_SHOW:
        return true;
    }
    return false;
}

bool wire_refuse(const struct wire_layout *layout, const struct wire_field *field,
                 struct message_scratch *scratch, const char *what)
{
    reason_set(scratch->reason, "%s.%s %s", layout->name, field->name, what);
    return false;
}

bool wire_number_is_valid(const struct wire_layout *layout, const struct wire_field *field,
                          uint64_t value, struct message_scratch *scratch)
{
    if (value > field->max) {
        reason_set(scratch->reason, "%s.%s is %" PRIu64 ", above %" PRIu64, layout->name,
                   field->name, value, field->max);
        return false;
    }
    if (field->is_known != NULL && !field->is_known((uint32_t)value)) {
        reason_set(scratch->reason, "%s.%s is %" PRIu64 ", which is no known value", layout->name,
                   field->name, value);
        return false;
    }
    return true;
}

bool wire_count_is_valid(const struct wire_layout *layout, const struct wire_field *field,
                         uint64_t count, uint64_t max, struct message_scratch *scratch)
{
    if (count > max) {
        reason_set(scratch->reason, "%s.%s has %" PRIu64 " elements or bytes, above %" PRIu64,
                   layout->name, field->name, count, max);
        return false;
    }
    return true;
}

bool wire_text_is_valid(const struct wire_layout *layout, const struct wire_field *field,
                        const char *text, size_t length, struct message_scratch *scratch)
{
    if (length == 0) {
        return field->may_be_empty || wire_refuse(layout, field, scratch, "is empty");
    }
    if (field->kind == WIRE_NAME && !name_is_valid(text, field->max)) {
        return wire_refuse(layout, field, scratch, "is no valid name");
    }
    return true;
}

void *wire_scratch_take(struct message_scratch *scratch, size_t bytes)
{
    size_t align = _Alignof(max_align_t);
    size_t padding = (size_t)(-(uintptr_t)(scratch->memory + scratch->used)) & (align - 1);
    size_t left = scratch->capacity - scratch->used;
    if (left < padding || left - padding < bytes) {
        scratch->exhausted = true;
        return NULL;
    }
    void *taken = scratch->memory + scratch->used + padding;
    scratch->used += padding + bytes;
    return taken;
}
