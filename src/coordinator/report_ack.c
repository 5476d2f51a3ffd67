/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent hears of its report. */
#include "coordinator/report_ack.h"

#include <assert.h>
#include <string.h>

#include "base/reason.h"
#include "coordinator/digest_key.h"
#include "coordinator/note.h"
#include "coordinator/trouble.h"
#include "coordinator/update.h"

static struct message_shard_ack *answer(struct coordinator *c, uint32_t member,
                                        const struct message_shard_report *r,
                                        enum checkpoint_state checkpoint, enum ckpt_status status,
                                        const char *reason)
{
    assert(member < c->member_count);
    struct message *m = coordinator_update_message(c, c->members[member].link, MESSAGE_SHARD_ACK);
    m->shard_ack.shard = r->shard;
    m->shard_ack.generation = r->generation;
    m->shard_ack.state = r->state;
    m->shard_ack.checkpoint = checkpoint;
    m->shard_ack.keep = status == CKPT_OK;
    m->shard_ack.status = status;
    reason_set(m->shard_ack.reason, "%s", reason);
    return &m->shard_ack;
}

void coordinator_report_ack(struct coordinator *c, uint32_t member,
                            const struct message_shard_report *r, const struct checkpoint *k,
                            enum ckpt_status status, const char *reason)
{
    assert(k == NULL || k->used);
    struct message_shard_ack *ack =
        answer(c, member, r, k == NULL ? CHECKPOINT_NONE : (enum checkpoint_state)k->state, status,
               reason);
    if (k == NULL || status != CKPT_OK) {
        return;
    }
    const struct run *run = &c->runs[k->run];
    if (r->state != COPY_VERIFIED || !coordinator_key_is_of(c, run, r)) {
        ack->key = *coordinator_key_told(c, run);
    }
}

void coordinator_report_refuse(struct coordinator *c, uint32_t member,
                               const struct message_shard_report *r,
                               enum checkpoint_state checkpoint, enum ckpt_status status,
                               const char *reason)
{
    assert(member < c->member_count);
    struct trouble what = {
        .kind = TROUBLE_REPORT, .status = status, .has_rank = true, .shard = r->shard};
    strcpy(what.node, c->members[member].node);
    if (status == CKPT_ERR_RETIRED || status == CKPT_ERR_ABORTED || r->state == COPY_NONE) {
        /* What is over is let go, and nobody need look. */
        coordinator_note(c, EVENT_report_outdated, about_copy(what.node, &what.shard), "%s",
                         reason);
    } else {
        (void)coordinator_trouble_happens(c, EVENT_report_refused, &what, "%s", reason);
    }
    (void)answer(c, member, r, checkpoint, status, reason);
}
