/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/table_change.h"

#include "base/clock.h"
#include "ckptctld/tables_checkpoint.h"

static json_t *entry(uint64_t step, uint32_t attempt, uint64_t bytes)
{
    return json_pack("{s:o,s:o,s:o}", "step", number(step), "attempt", number(attempt), "bytes",
                     number(bytes));
}

/* Consistent ones, or quarantined. */
static json_t *retired(const struct coordinator_update *update, const struct run_key *run)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < update->record_count; i++) {
        const struct coordinator_record *record = &update->records[i];
        if (record->type == RECORD_RETIRED && run_key_equal(&record->run, run)) {
            json_array_append_new(list, entry(record->step, record->attempt, record->bytes));
        }
    }
    return list;
}

/* Saves under way. */
static json_t *aborted(const struct coordinator_update *update, const struct run_key *run)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < update->message_count; i++) {
        const struct message *message = &update->messages[i].message;
        if (message->type == MESSAGE_CHECKPOINT_STATE &&
            message->checkpoint_state.state == CHECKPOINT_ABORTED &&
            run_key_equal(&message->checkpoint_state.run, run)) {
            json_array_append_new(
                list, entry(message->checkpoint_state.step, message->checkpoint_state.attempt, 0));
        }
    }
    return list;
}

json_t *table_change(const struct coordinator_update *update, const struct run_key *run)
{
    return json_pack("{s:o,s:s,s:b,s:o,s:o}", "now_ms", number(clock_now_ms()), "text",
                     update->admin_reason, "more", (int)update->admin_more, "retired",
                     retired(update, run), "aborted", aborted(update, run));
}

static json_t *drain_item(const struct coordinator_drain_item *item)
{
    return json_pack("{s:s,s:o,s:o,s:o,s:o,s:b,s:s}", "run", item->run.name, "uid",
                     number(item->run.uid), "attempt", number(item->attempt), "step",
                     number(item->step), "rank", number(item->rank), "stuck", (int)item->stuck,
                     "why", item->why);
}

json_t *table_drain(const struct daemon *daemon, const char *node)
{
    struct coordinator_drain_view view;
    if (!coordinator_drain_view(daemon->machine, node, &view)) {
        return NULL;
    }
    json_t *shards = json_array();
    for (uint32_t i = 0; i < view.item_count; i++) {
        json_array_append_new(shards, drain_item(&view.items[i]));
    }
    return json_pack("{s:s,s:s,s:s,s:b,s:b,s:b,s:o,s:o,s:o,s:o,s:o}", "node", node, "domain",
                     view.domain, "state",
                     view.joined    ? "joined"
                     : view.stopped ? "stopped"
                                    : "lost",
                     "draining", (int)view.draining, "safe", (int)view.safe, "telling",
                     (int)view.telling, "left", number(view.left), "stuck", number(view.stuck),
                     "bytes_left", number(view.bytes), "saving", number(view.saving), "shards",
                     shards);
}
