/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/tables.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "ckptctld/tables_checkpoint.h"
#include "ckptctld/tables_troubles.h"
#include "session/session.h"

static json_t *count_nodes(const struct daemon *daemon)
{
    uint64_t joined = 0;
    uint64_t lost = 0;
    uint64_t stopped = 0;
    uint64_t draining = 0;
    uint64_t closed = 0;
    uint64_t bytes = 0;
    uint64_t bytes_free = 0;
    struct coordinator_member_view node;
    for (uint32_t i = 0; i < coordinator_member_count(daemon->machine); i++) {
        if (!coordinator_member_view(daemon->machine, i, &node)) {
            continue;
        }
        draining += node.draining;
        if (!node.joined) {
            lost += !node.stopped;
            stopped += node.stopped;
            continue;
        }
        joined++;
        closed += node.closed != AGENT_OPEN;
        bytes += node.segment_bytes * node.segments;
        bytes_free += node.bytes_free;
    }
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "joined", number(joined), "lost",
                     number(lost), "stopped", number(stopped), "draining", number(draining),
                     "closed", number(closed), "bytes", number(bytes), "bytes_free",
                     number(bytes_free));
}

static json_t *count_checkpoints(const struct daemon *daemon)
{
    uint64_t open = 0;
    uint64_t verifying = 0;
    uint64_t consistent = 0;
    uint64_t quarantined = 0;
    uint64_t degraded = 0;
    struct coordinator_checkpoint_view checkpoint;
    for (uint32_t i = 0; i < coordinator_checkpoint_count(daemon->machine); i++) {
        if (!coordinator_checkpoint_view(daemon->machine, i, &checkpoint)) {
            continue;
        }
        open += checkpoint.state == CHECKPOINT_OPEN;
        verifying += checkpoint.state == CHECKPOINT_VERIFYING;
        consistent += checkpoint.state == CHECKPOINT_CONSISTENT;
        quarantined += checkpoint.state == CHECKPOINT_QUARANTINED;
        degraded += checkpoint.degraded;
    }
    return json_pack("{s:o,s:o,s:o,s:o,s:o}", "open", number(open), "verifying", number(verifying),
                     "consistent", number(consistent), "quarantined", number(quarantined),
                     "degraded", number(degraded));
}

static json_t *sessions(const struct daemon *daemon)
{
    struct session_counters counters = session_hub_counters(daemon->agents);
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "open", number(counters.sessions),
                     "accepted", number(counters.accepted), "refused", number(counters.refused),
                     "broken", number(counters.broken), "unread", number(counters.unread),
                     "frames_received", number(counters.frames_received), "frames_sent",
                     number(counters.frames_sent), "frames_old", number(counters.frames_old),
                     "output_bytes", number(counters.output_bytes));
}

static json_t *events(const struct daemon *daemon)
{
    json_t *counts = json_object();
    for (int i = 0; counts && i < EVENT_COUNT; i++) {
        if (daemon->notes.counts[i] > 0) {
            json_object_set_new(counts, event_name((enum event_id)i),
                                number(daemon->notes.counts[i]));
        }
    }
    return counts;
}

/* How whole the newest consistent checkpoint of each run is: what a restore would give. */
static json_t *count_newest(const struct daemon *daemon, uint64_t *runs_out)
{
    uint64_t degrees[DEGREE_LOST + 1] = {0};
    struct coordinator_run_view run;
    *runs_out = 0;
    for (uint32_t i = 0; i < coordinator_run_count(daemon->machine); i++) {
        if (coordinator_run_view(daemon->machine, i, &run)) {
            degrees[table_run_steps(daemon, i).degree]++;
            (*runs_out)++;
        }
    }
    return json_pack("{s:o,s:o,s:o,s:o,s:o}", "none", number(degrees[DEGREE_NONE]), "consistent",
                     number(degrees[DEGREE_CONSISTENT]), "degraded",
                     number(degrees[DEGREE_DEGRADED]), "at_risk", number(degrees[DEGREE_AT_RISK]),
                     "lost", number(degrees[DEGREE_LOST]));
}

/* null: no agent that is joined has one. */
static json_t *tier(const struct daemon *daemon)
{
    struct coordinator_tier_view view;
    coordinator_tier_view(daemon->machine, &view);
    if (view.agents == 0) {
        return json_null();
    }
    return json_pack("{s:o,s:o,s:b,s:s?,s:s?,s:o,s:o}", "agents", number(view.agents), "orders",
                     number(view.orders), "stopped", (int)view.is_stopped, "status",
                     view.is_stopped ? ckpt_status_name(view.status) : NULL, "reason",
                     view.is_stopped ? view.reason : NULL, "stopped_ms",
                     view.is_stopped ? number(view.since_ms_ago) : json_null(), "retry_in_ms",
                     view.is_stopped ? number(view.retry_in_ms) : json_null());
}

json_t *table_status(const struct daemon *daemon, const struct caller *caller)
{
    uint64_t runs;
    uint64_t uptime_ms = clock_now_ms() - daemon->started_ms;
    json_t *newest = count_newest(daemon, &runs);
    return json_pack(
        "{s:s,s:i,s:i,s:o,s:o,s:b,s:o,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}",
        "version", CKPT_VERSION, "protocol", WIRE_PROTOCOL_VERSION, "pid", (int)getpid(), "epoch",
        number(coordinator_epoch(daemon->machine)), "uptime_ms", number(uptime_ms), "settling",
        table_is_settling(daemon), "now", table_time(clock_wall_ms()), "address", daemon->address,
        "socket", daemon->options.socket, "store", daemon->options.store->name, "state_directory",
        daemon->options.state_directory, "memory_bytes", number(daemon->memory_bytes), "nodes",
        count_nodes(daemon), "runs", number(runs), "checkpoints", count_checkpoints(daemon),
        "newest", newest, "tier", tier(daemon), "sessions", sessions(daemon), "events",
        events(daemon), "troubles", table_troubles(daemon, caller));
}

static json_t *locked(uint32_t told)
{
    return told == ARENA_LOCKED_YES  ? json_true()
           : told == ARENA_LOCKED_NO ? json_false()
                                     : json_null();
}

static const char *closed(uint32_t told)
{
    return told == AGENT_OPEN          ? NULL
           : told == AGENT_CLOSED_SLOW ? "slow transport"
                                       : "for a reason that this coordinator does not know";
}

static const char *state_of(const struct coordinator_member_view *node)
{
    return node->joined ? "joined" : node->stopped ? "stopped" : "lost";
}

static json_t *node_entry(const struct coordinator_member_view *node, uint64_t now_ms)
{
    char incarnation[INCARNATION_HEX_SIZE];
    bool refused = node->refused_status != CKPT_OK;
    incarnation_hex(&node->incarnation, incarnation);
    return json_pack(
        "{s:s,s:s,s:s,s:b,s:s,s:b,s:b,s:s,s:s?,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,"
        "s:s?,s:o,s:o,s:o}",
        "node", node->node, "domain", node->domain, "address", node->address, "joined",
        (int)node->joined, "state", state_of(node), "draining", (int)node->draining, "drained",
        (int)node->drained, "incarnation", incarnation, "closed", closed(node->closed),
        "heard_ms_ago", number(now_ms - node->last_heard_ms), "segments", number(node->segments),
        "segments_free", number(node->segments_free), "segment_bytes", number(node->segment_bytes),
        "locked", locked(node->locked), "bytes_free", number(node->bytes_free), "bytes_taken",
        node->has_bytes ? number(node->bytes_taken) : json_null(), "bytes_held",
        node->has_bytes ? number(node->bytes_held) : json_null(), "copies", number(node->copies),
        "pulls", number(node->pulls), "mismatches", number(node->mismatches), "refusals",
        number(node->refusals), "refused", refused ? ckpt_status_name(node->refused_status) : NULL,
        "refused_ms_ago", refused ? number(node->refused_ms_ago) : json_null(), "rails",
        node->rails != 0 ? number(node->rails) : json_null(), "rails_up",
        node->rails != 0 ? number(node->rails_up) : json_null());
}

json_t *table_nodes(const struct daemon *daemon, uint32_t from)
{
    json_t *nodes = json_array();
    uint64_t now_ms = clock_now_ms();
    uint32_t end = coordinator_member_count(daemon->machine);
    uint32_t i = from;
    struct coordinator_member_view node;
    for (; i < end && i - from < PAGE_ENTRIES; i++) {
        if (coordinator_member_view(daemon->machine, i, &node)) {
            json_array_append_new(nodes, node_entry(&node, now_ms));
        }
    }
    return json_pack("{s:o,s:o}", "nodes", nodes, "next", next_page(i, end));
}

static json_t *run_entry(const struct daemon *daemon, uint32_t index,
                         const struct coordinator_run_view *run)
{
    struct run_steps steps = table_run_steps(daemon, index);
    return json_pack(
        "{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b,s:o,s:o,s:o,s:o}", "run", run->key.name, "uid",
        number(run->key.uid), "attempt", number(run->attempt), "world", number(run->world),
        "latest", run->has_latest ? number(run->latest_step) : json_null(), "latest_persisted",
        run->has_persisted ? number(run->persisted_step) : json_null(), "checkpoints",
        number(run->checkpoints), "linger_left_ms",
        run->lingers ? number(run->linger_left_ms) : json_null(), "requeueable",
        (int)run->requeueable, "newest", table_checkpoint(daemon, steps.newest), "saving",
        table_checkpoint(daemon, steps.saving), "restorable", table_step(daemon, steps.restorable),
        "work_lost_ms", table_age(daemon, steps.restorable));
}

json_t *table_runs(const struct daemon *daemon, const struct caller *caller, uint32_t from)
{
    json_t *runs = json_array();
    uint32_t end = coordinator_run_count(daemon->machine);
    uint32_t i = from;
    struct coordinator_run_view run;
    for (; i < end && json_array_size(runs) < HEAVY_ENTRIES; i++) {
        if (coordinator_run_view(daemon->machine, i, &run) &&
            (caller->privileged || caller->uid == run.key.uid)) {
            json_array_append_new(runs, run_entry(daemon, i, &run));
        }
    }
    return json_pack("{s:o,s:o}", "runs", runs, "next", next_page(i, end));
}
