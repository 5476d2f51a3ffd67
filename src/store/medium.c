/* SPDX-License-Identifier: Apache-2.0 */
#include "store/medium.h"

#include <assert.h>

#include "base/fault_point.h"
#include "base/reason.h"

static enum ckpt_status reopen(struct medium_place *place, char *reason_out)
{
    medium_close(place);
    enum ckpt_status status =
        place->kind->open(place->location, place->progress, &place->medium, reason_out);
    if (status == CKPT_OK) {
        place->medium->kind = place->kind;
    }
    return status;
}

static enum ckpt_status commit(struct medium *medium, const struct store_transaction *transaction)
{
    if (medium->failed != CKPT_OK) {
        return medium->failed;
    }
    if (transaction->count == 0) {
        return CKPT_OK;
    }
    enum ckpt_status status = medium->kind->commit(medium, transaction);
    if (status != CKPT_OK && status != CKPT_ERR_STALE && status != CKPT_ERR_INVALID &&
        !store_may_pass(status)) {
        medium->failed = status;
    }
    return status;
}

static enum ckpt_status answer(struct medium *medium, struct store_call *call)
{
    enum ckpt_status status = CKPT_ERR_INTERNAL;
    switch (call->type) {
    case STORE_EPOCH:
        return medium->kind->epoch(medium, &call->epoch);
    case STORE_REPLAY:
        return medium->kind->replay(medium, call->visit, call->visit_context);
    case STORE_COMMIT:
        FAULT_POINT(coordinator_before_transaction);
        status = commit(medium, &call->transaction);
        FAULT_POINT(coordinator_after_transaction);
        return status;
    case STORE_RULE:
        return commit(medium, &call->transaction);
    case STORE_OPEN:
        break;
    }
    return status;
}

void medium_do(struct medium_place *place, struct store_call *call)
{
    call->reason[0] = '\0';
    if (call->type == STORE_OPEN) {
        call->status = reopen(place, call->reason);
        return;
    }
    assert(place->medium != NULL);
    call->status = answer(place->medium, call);
    if (call->status != CKPT_OK) {
        reason_set(call->reason, "%s", place->medium->reason);
    }
}

void medium_close(struct medium_place *place)
{
    if (place->medium != NULL) {
        place->kind->close(place->medium);
        place->medium = NULL;
    }
}
