/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/service.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "ckptctld/doors.h"
#include "session/notify.h"

/* For what cluster the tables are: a checkpoint needs a shard a rank, and beside the kept ones one
 * is being made and one is on its way out. The memory is a bound: what is not used is not taken. */
static void tell_size(const struct daemon *daemon)
{
    const struct coordinator_config *k = &daemon->options.machine;
    uint32_t ranks = k->shards_max / (k->keep + 2);
    char size[96];
    if (ranks >= k->agents_max) {
        snprintf(size, sizeof(size), "%" PRIu32 " agents x %" PRIu32 " ranks", k->agents_max,
                 ranks / k->agents_max);
    } else {
        snprintf(size, sizeof(size), "%" PRIu32 " agents, %" PRIu32 " ranks in all", k->agents_max,
                 ranks);
    }
    log_event(EVENT_tables,
              "runs=%" PRIu32 " checkpoints=%" PRIu32 " shards=%" PRIu32 " memory_mib=%zu "
              "text=\"tables for %s, %" PRIu32 " checkpoints kept\"",
              k->runs_max, k->checkpoints_max, k->shards_max, daemon->memory_bytes >> 20, size,
              k->keep);
}

void service_begin(struct daemon *daemon)
{
    enum exit_code code = doors_serve(daemon);
    if (code != EXIT_ENDED) {
        daemon_leave(daemon, code);
        return;
    }
    tell_size(daemon);
    log_event(EVENT_ready, "version=%s address=%s socket=%s epoch=%" PRIu64 " memory_bytes=%zu",
              CKPT_VERSION, daemon->address, LOG_QUOTED(daemon->options.socket),
              coordinator_epoch(daemon->machine), daemon->memory_bytes);
    session_notify("READY=1");
}

/* Nobody is heard while the rest ends. */
static void stop(void *context)
{
    struct daemon *daemon = context;
    daemon->ending = true;
    doors_close(daemon);
}

struct part part_service = {.stop = stop};
