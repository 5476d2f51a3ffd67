/* SPDX-License-Identifier: Apache-2.0 */
/* How a save ended. The agent pushes it; after a lost connection the coordinator is asked too, as
 * the agent that knew may be gone. */
#include <poll.h>

#include "client/context.h"
#include "base/reason.h"
#include "client/rank.h"
#include "client/saves.h"

/* How often the coordinator is asked, and a lost agent looked for. */
#define ASK_EVERY_MS 250
#define CONNECT_EVERY_MS 50

struct asked {
    uint64_t step;
    uint64_t question;
};

static bool is_answer(const struct message *message, const void *asked_pointer)
{
    const struct asked *asked = asked_pointer;
    return (message->type == MESSAGE_SAVE_OUTCOME && message->save_outcome.step == asked->step) ||
           (message->type == MESSAGE_CHECKPOINT_INFO && asked->question != 0 &&
            message->checkpoint_info.reader == asked->question);
}

/* What is said of a step may be about another start's: then it says nothing. */
static void take_info(struct ckpt *ckpt, uint64_t step, const struct message_checkpoint_info *info)
{
    uint32_t own = ckpt->attempt != 0 ? ckpt->attempt : ckpt->insisted;
    if (info->step != step || (info->attempt != 0 && own != 0 && info->attempt != own)) {
        return;
    }
    switch (info->state) {
    case CHECKPOINT_CONSISTENT:
        client_saves_end(ckpt, step, CKPT_OK, "");
        return;
    case CHECKPOINT_QUARANTINED:
        client_saves_end(ckpt, step, CKPT_ERR_QUARANTINED, info->reason);
        return;
    case CHECKPOINT_ABORTED:
        client_saves_end(ckpt, step, info->outcome != CKPT_OK ? info->outcome : CKPT_ERR_ABORTED,
                         info->reason);
        return;
    case CHECKPOINT_RETIRED:
        client_saves_end(ckpt, step, info->outcome != CKPT_OK ? info->outcome : CKPT_ERR_RETIRED,
                         info->reason);
        return;
    case CHECKPOINT_NONE:
    case CHECKPOINT_OPEN:
    case CHECKPOINT_VERIFYING:
        return;
    }
}

/* Asks about a step that was sealed on an earlier connection, now and then. The number of the
 * question, 0 when none was asked. */
static uint64_t ask(struct ckpt *ckpt, struct save *save, struct deadline deadline)
{
    int64_t now_ns = deadline_now_ns();
    if (save->link == ckpt->link.number ||
        now_ns < save->asked_ns + (int64_t)ASK_EVERY_MS * 1000000) {
        return 0;
    }
    struct message message = {.type = MESSAGE_CHECKPOINT_ASK};
    message.checkpoint_ask.step = save->step;
    message.checkpoint_ask.own = true;
    message.checkpoint_ask.reader = ++ckpt->questions;
    save->asked_ns = now_ns;
    return client_send(ckpt, &message, deadline) == CKPT_OK ? ckpt->questions : 0;
}

/* One round: until the step has ended, or it is time to ask again, or the deadline. */
static enum ckpt_status hear(struct ckpt *ckpt, struct save *save, struct deadline deadline)
{
    struct message message;
    enum ckpt_status status = client_rank_ensure(ckpt, deadline);
    if (status != CKPT_OK || save->ended) {
        return status;
    }
    struct asked asked = {.step = save->step, .question = ask(ckpt, save, deadline)};
    if (save->link != ckpt->link.number) {
        deadline = deadline_within_ms(deadline, ASK_EVERY_MS);
    }
    status = client_await(ckpt, is_answer, &asked, deadline, &message);
    if (status == CKPT_OK && message.type == MESSAGE_CHECKPOINT_INFO) {
        take_info(ckpt, save->step, &message.checkpoint_info);
    }
    return status;
}

static enum ckpt_status outcome(struct ckpt *ckpt, const struct save *save)
{
    if (save->status == CKPT_OK) {
        ckpt->reason[0] = '\0';
        return CKPT_OK;
    }
    return reason_refuse(ckpt->reason, save->status, "step %llu will never be consistent: %s",
                         (unsigned long long)save->step,
                         save->reason[0] != '\0' ? save->reason : ckpt_status_text(save->status));
}

enum ckpt_status ckpt_wait(struct ckpt *ckpt, uint64_t step, uint32_t timeout_ms)
{
    enum ckpt_status status = client_enter(ckpt);
    if (status != CKPT_OK) {
        return status;
    }
    struct deadline deadline = deadline_after_ms(timeout_ms);
    struct save *save = client_saves_find(ckpt, step);
    if (save == NULL) {
        return reason_refuse(ckpt->reason, CKPT_ERR_NOT_FOUND,
                             "step %llu is none of the last %d that this context saved",
                             (unsigned long long)step, CLIENT_SAVES_KEPT);
    }
    for (;;) {
        status = save->ended ? CKPT_OK : hear(ckpt, save, deadline);
        if (save->ended) {
            return outcome(ckpt, save);
        }
        bool again = status == CKPT_OK || status == CKPT_ERR_TIMEOUT || status == CKPT_ERR_NO_AGENT;
        if (!again) {
            return status;
        }
        if (deadline_left_ms(deadline) == 0) {
            break;
        }
        if (status == CKPT_ERR_NO_AGENT) {
            (void)poll(NULL, 0, CONNECT_EVERY_MS);
        }
    }
    if (status == CKPT_ERR_NO_AGENT && !(timeout_ms == 0 && ckpt->state == RANK_OPENING)) {
        return status;
    }
    if (timeout_ms == 0) { /* a look, which takes no time */
        return reason_refuse(ckpt->reason, CKPT_ERR_TIMEOUT,
                             "step %llu is not consistent yet: ask again",
                             (unsigned long long)step);
    }
    return client_timed_out(ckpt, "step %llu is not consistent yet: ask again",
                            (unsigned long long)step);
}
