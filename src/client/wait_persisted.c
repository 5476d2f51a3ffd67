/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a save is in the tier. The coordinator knows, and is asked: seldom, as all ranks of a run
 * wait for the same moment. */
#include <poll.h>

#include "client/context.h"
#include "base/reason.h"
#include "client/rank.h"
#include "client/saves.h"

#define PAUSE_MS_MIN 50
#define PAUSE_MS_MAX 1000
#define PAUSE_SHARES 16 /* ranks that began together do not go on in one beat */
#define CONNECT_EVERY_MS 50

static bool is_answer(const struct message *message, const void *question)
{
    return message->type == MESSAGE_CHECKPOINT_INFO && *(const uint64_t *)question != 0 &&
           message->checkpoint_info.reader == *(const uint64_t *)question;
}

/* A question that has no answer yet keeps its number: one that comes late is an answer to it, and
 * the agent passes it on once. */
static enum ckpt_status ask(struct ckpt *ckpt, struct save *save, struct deadline deadline)
{
    int64_t now_ns = deadline_now_ns();
    if (now_ns < save->tier_due_ns) {
        return CKPT_OK;
    }
    uint32_t pause_ms = save->tier_pause_ms * 2;
    pause_ms = pause_ms < PAUSE_MS_MIN ? PAUSE_MS_MIN : pause_ms;
    save->tier_pause_ms = pause_ms < PAUSE_MS_MAX ? pause_ms : PAUSE_MS_MAX;
    uint32_t early_ms = save->tier_pause_ms / 4 * (ckpt->rank % PAUSE_SHARES) / PAUSE_SHARES;
    save->tier_due_ns = now_ns + (int64_t)(save->tier_pause_ms - early_ms) * 1000000;
    if (save->tier_question == 0) {
        save->tier_question = ++ckpt->questions;
    }
    struct message message = {.type = MESSAGE_CHECKPOINT_ASK};
    message.checkpoint_ask.step = save->step;
    message.checkpoint_ask.own = true;
    message.checkpoint_ask.reader = save->tier_question;
    return client_send(ckpt, &message, deadline);
}

/* One round: until there is an answer, or it is time to ask again, or the deadline. */
static enum ckpt_status hear(struct ckpt *ckpt, struct save *save, struct deadline deadline)
{
    struct message message;
    enum ckpt_status status = client_rank_ensure(ckpt, deadline);
    if (status != CKPT_OK || save->tier_is_told) {
        return status;
    }
    status = ask(ckpt, save, deadline);
    if (status != CKPT_OK) {
        return status;
    }
    if (save->tier_due_ns < deadline.at_ns) {
        deadline.at_ns = save->tier_due_ns;
    }
    uint64_t question = save->tier_question;
    return client_await(ckpt, is_answer, &question, deadline, &message);
}

/* What is there stays there; anything else may be otherwise when it is asked again. */
static enum ckpt_status end(struct ckpt *ckpt, struct save *save)
{
    save->tier_is_told = save->tier_status == CKPT_OK;
    reason_set(ckpt->reason, "%s", save->tier_status == CKPT_OK ? "" : save->reason);
    return save->tier_status;
}

static enum ckpt_status is_late(struct ckpt *ckpt, const struct save *save, uint32_t timeout_ms)
{
    if (timeout_ms == 0) { /* a look, which takes no time */
        return reason_refuse(ckpt->reason, CKPT_ERR_TIMEOUT,
                             "step %llu is not known to be in the tier yet: ask again",
                             (unsigned long long)save->step);
    }
    return client_timed_out(ckpt, "step %llu is not in the tier yet: ask again",
                            (unsigned long long)save->step);
}

enum ckpt_status ckpt_wait_persisted(struct ckpt *ckpt, uint64_t step, uint32_t timeout_ms)
{
    struct deadline deadline = deadline_after_ms(timeout_ms);
    enum ckpt_status status = ckpt_wait(ckpt, step, timeout_ms);
    if (status != CKPT_OK) {
        return status;
    }
    struct save *save = client_saves_find(ckpt, step);
    for (;;) {
        status = save->tier_is_told ? CKPT_OK : hear(ckpt, save, deadline);
        if (save->tier_is_told) {
            return end(ckpt, save);
        }
        bool again = status == CKPT_OK || status == CKPT_ERR_TIMEOUT || status == CKPT_ERR_NO_AGENT;
        if (!again) {
            return status;
        }
        if (deadline_left_ms(deadline) == 0) {
            return status == CKPT_ERR_NO_AGENT ? status : is_late(ckpt, save, timeout_ms);
        }
        if (status == CKPT_ERR_NO_AGENT) {
            (void)poll(NULL, 0, CONNECT_EVERY_MS);
        }
    }
}
