/* SPDX-License-Identifier: Apache-2.0 */
#include "client/context.h"
#include "base/reason.h"
#include "client/look.h"
#include "client/rank.h"

static bool is_answer(const struct message *message, const void *question)
{
    return message->type == MESSAGE_CHECKPOINT_INFO &&
           message->checkpoint_info.reader == *(const uint64_t *)question;
}

static enum ckpt_status status_of_state(enum checkpoint_state state)
{
    switch (state) {
    case CHECKPOINT_CONSISTENT:
        return CKPT_OK;
    case CHECKPOINT_QUARANTINED:
        return CKPT_ERR_QUARANTINED;
    case CHECKPOINT_ABORTED:
        return CKPT_ERR_ABORTED;
    case CHECKPOINT_RETIRED:
        return CKPT_ERR_RETIRED;
    case CHECKPOINT_NONE:
    case CHECKPOINT_OPEN:
    case CHECKPOINT_VERIFYING:
        break;
    }
    return CKPT_ERR_NOT_FOUND;
}

uint32_t ckpt_attempt(struct ckpt *ckpt)
{
    if (client_enter(ckpt) != CKPT_OK || ckpt->reader) {
        return 0;
    }
    if (ckpt->attempt == 0 && ckpt->state == RANK_OPEN) {
        /* It may have come since the last call. */
        (void)client_rank_ensure(ckpt, deadline_after_ms(0));
        ckpt->reason[0] = '\0';
    }
    return ckpt->attempt;
}

/* The deadline is the context's own. */
static enum ckpt_status ask(struct ckpt *ckpt, uint64_t step,
                            struct message_checkpoint_info *info_out)
{
    struct deadline deadline = deadline_after_ms(ckpt->timeout_ms);
    uint64_t question = ++ckpt->questions;
    struct message message = {.type = MESSAGE_CHECKPOINT_ASK};
    message.checkpoint_ask.step = step;
    message.checkpoint_ask.reader = question;
    enum ckpt_status status = client_rank_ensure(ckpt, deadline);
    if (status == CKPT_OK) {
        status = client_send(ckpt, &message, deadline);
    }
    if (status == CKPT_OK) {
        status = client_await(ckpt, is_answer, &question, deadline, &message);
    }
    if (status == CKPT_OK) {
        *info_out = message.checkpoint_info;
    } else if (status == CKPT_ERR_TIMEOUT) {
        return client_timed_out(ckpt, "the coordinator has not answered in %u ms",
                                ckpt->timeout_ms);
    }
    return status;
}

enum ckpt_status client_run_look(struct ckpt *ckpt, struct client_run *run_out)
{
    struct message_checkpoint_info info;
    enum ckpt_status status = client_enter(ckpt);
    if (status == CKPT_OK) {
        status = ask(ckpt, CKPT_STEP_LATEST, &info);
    }
    if (status != CKPT_OK) {
        return status;
    }
    bool has_latest = info.state == CHECKPOINT_CONSISTENT;
    if (!has_latest && info.status != CKPT_ERR_NO_CHECKPOINT && info.status != CKPT_ERR_NOT_FOUND &&
        info.status != CKPT_ERR_QUARANTINED) {
        return client_refused(ckpt, "no answer about the run", info.status, info.reason);
    }
    *run_out = (struct client_run){
        .has_latest = has_latest,
        .latest = info.step,
        .latest_attempt = info.attempt,
        .attempt = info.run_attempt,
        .live = info.run_live,
    };
    return CKPT_OK;
}

enum ckpt_status ckpt_info(struct ckpt *ckpt, uint64_t step, struct ckpt_info *info_out)
{
    struct message_checkpoint_info info;
    enum ckpt_status status = client_enter(ckpt);
    if (status != CKPT_OK) {
        return status;
    }
    if (info_out == NULL) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             "ckpt_info has nowhere to write: info_out is NULL");
    }
    status = ask(ckpt, step, &info);
    if (status != CKPT_OK) {
        return status;
    }
    status = info.status != CKPT_OK ? info.status : status_of_state(info.state);
    if (status != CKPT_OK) {
        return client_refused(ckpt, "no checkpoint to tell of", status, info.reason);
    }
    if (step != CKPT_STEP_LATEST && info.step != step) {
        return client_break(ckpt, "an answer about a step that was not asked for");
    }
    *info_out = (struct ckpt_info){
        .step = info.step,
        .attempt = info.attempt,
        .world = info.world,
        .copies = info.copies,
        .bytes = info.bytes,
    };
    return CKPT_OK;
}
