/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "ckptctld/daemon.h"

static void log_note(const struct machine_note *note)
{
    char run[LOG_QUOTED_SIZE + 32] = "";
    char shard[96] = "";
    char node[CKPT_NODE_NAME_MAX + 16] = "";
    char text[LOG_QUOTED_SIZE + 16] = "";
    if (note->run.name[0]) {
        snprintf(run, sizeof(run), " run=%s uid=%" PRIu32, LOG_QUOTED(note->run.name),
                 note->run.uid);
    }
    if (note->has_shard) {
        snprintf(shard, sizeof(shard), " attempt=%" PRIu32 " step=%" PRIu64 " rank=%" PRIu32,
                 note->attempt, note->step, note->rank);
    } else if (note->run.name[0]) {
        snprintf(shard, sizeof(shard), " attempt=%" PRIu32 " step=%" PRIu64, note->attempt,
                 note->step);
    }
    if (note->node[0]) {
        snprintf(node, sizeof(node), " node=%s", note->node);
    }
    if (note->text[0]) {
        snprintf(text, sizeof(text), " text=%s", LOG_QUOTED(note->text));
    }
    log_event(note->event, "source=machine%s%s%s%s", run, shard, node, text);
}

void notes_log(struct daemon *daemon, const struct coordinator_update *update)
{
    for (uint32_t i = 0; i < update->note_count; i++) {
        daemon->events[update->notes[i].event]++;
        log_note(&update->notes[i]);
    }
    if (update->notes_lost > 0) {
        daemon->events[EVENT_notes_lost]++;
        log_event(EVENT_notes_lost, "count=%" PRIu32, update->notes_lost);
    }
}
