/* SPDX-License-Identifier: Apache-2.0 */
#include "tables.h"

#include <string.h>
#include <unistd.h>

#include "wire/message_codec.h"

/* Entries a page. The largest entry, a shard with COORDINATOR_COPIES_MAX copies, is below 4 KiB of
 * JSON. */
#define PAGE_ENTRIES 1000
_Static_assert(PAGE_ENTRIES * 4096 < MESSAGE_JSON_MAX, "a page fits one frame");

/* Numbers of 64 bits: JSON's are signed here. What is above is a defect to be seen, not a negative
 * size. */
static json_t *number(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static json_t *next_page(uint32_t next, uint32_t end)
{
    return next < end ? number(next) : json_null();
}

const char *table_checkpoint_state(enum checkpoint_state state)
{
    switch (state) {
    case CHECKPOINT_NONE:
        return "none";
    case CHECKPOINT_OPEN:
        return "open";
    case CHECKPOINT_VERIFYING:
        return "verifying";
    case CHECKPOINT_CONSISTENT:
        return "consistent";
    case CHECKPOINT_QUARANTINED:
        return "quarantined";
    case CHECKPOINT_ABORTED:
        return "aborted";
    case CHECKPOINT_RETIRED:
        return "retired";
    }
    return "unknown";
}

static const char *copy_state_name(enum copy_state state)
{
    switch (state) {
    case COPY_NONE:
        return "none";
    case COPY_SEALED:
        return "sealed";
    case COPY_HELD:
        return "held";
    case COPY_VERIFIED:
        return "verified";
    }
    return "unknown";
}

static json_t *count_nodes(const struct daemon *daemon)
{
    uint64_t joined = 0;
    uint64_t lost = 0;
    uint64_t bytes = 0;
    uint64_t bytes_free = 0;
    struct coordinator_member_view node;
    for (uint32_t i = 0; i < coordinator_member_count(daemon->machine); i++) {
        if (!coordinator_member_view(daemon->machine, i, &node)) {
            continue;
        }
        if (!node.joined) {
            lost++;
            continue;
        }
        joined++;
        bytes += node.segment_bytes * node.segments;
        bytes_free += node.segment_bytes * node.segments_free;
    }
    return json_pack("{s:o,s:o,s:o,s:o}", "joined", number(joined), "lost", number(lost), "bytes",
                     number(bytes), "bytes_free", number(bytes_free));
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
        if (daemon->events[i] > 0) {
            json_object_set_new(counts, event_name((enum event_id)i), number(daemon->events[i]));
        }
    }
    return counts;
}

json_t *table_status(const struct daemon *daemon)
{
    uint32_t runs = 0;
    struct coordinator_run_view run;
    for (uint32_t i = 0; i < coordinator_run_count(daemon->machine); i++) {
        runs += coordinator_run_view(daemon->machine, i, &run);
    }
    uint64_t now_ms = daemon_now_ms();
    return json_pack("{s:s,s:i,s:i,s:o,s:o,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o}", "version",
                     CKPT_VERSION, "protocol", WIRE_PROTOCOL_VERSION, "pid", (int)getpid(), "epoch",
                     number(coordinator_epoch(daemon->machine)), "uptime_ms",
                     number(now_ms - daemon->started_ms), "address", daemon->address, "socket",
                     daemon->options.socket, "store", daemon->options.store->name,
                     "state_directory", daemon->options.state_directory, "memory_bytes",
                     number(daemon->memory_bytes), "nodes", count_nodes(daemon), "runs",
                     number(runs), "checkpoints", count_checkpoints(daemon), "sessions",
                     sessions(daemon), "events", events(daemon));
}

static json_t *node_entry(const struct coordinator_member_view *node, uint64_t now_ms)
{
    char incarnation[INCARNATION_HEX_SIZE];
    incarnation_hex(&node->incarnation, incarnation);
    return json_pack(
        "{s:s,s:s,s:s,s:b,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "node", node->node, "domain",
        node->domain, "address", node->address, "joined", (int)node->joined, "incarnation",
        incarnation, "heard_ms_ago", number(now_ms - node->last_heard_ms), "segments",
        number(node->segments), "segments_free", number(node->segments_free), "segment_bytes",
        number(node->segment_bytes), "bytes_taken",
        node->has_bytes ? number(node->bytes_taken) : json_null(), "bytes_held",
        node->has_bytes ? number(node->bytes_held) : json_null(), "copies", number(node->copies),
        "pulls", number(node->pulls), "mismatches", number(node->mismatches));
}

json_t *table_nodes(const struct daemon *daemon, uint32_t from)
{
    json_t *nodes = json_array();
    uint64_t now_ms = daemon_now_ms();
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

static json_t *run_entry(const struct coordinator_run_view *run)
{
    return json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:b}", "run", run->key.name, "uid",
                     number(run->key.uid), "attempt", number(run->attempt), "world",
                     number(run->world), "latest",
                     run->has_latest ? number(run->latest_step) : json_null(), "checkpoints",
                     number(run->checkpoints), "linger_left_ms",
                     run->lingers ? number(run->linger_left_ms) : json_null(), "requeueable",
                     (int)run->requeueable);
}

json_t *table_runs(const struct daemon *daemon, const struct caller *caller, uint32_t from)
{
    json_t *runs = json_array();
    uint32_t end = coordinator_run_count(daemon->machine);
    uint32_t i = from;
    struct coordinator_run_view run;
    for (; i < end && json_array_size(runs) < PAGE_ENTRIES; i++) {
        if (coordinator_run_view(daemon->machine, i, &run) &&
            (caller->privileged || caller->uid == run.key.uid)) {
            json_array_append_new(runs, run_entry(&run));
        }
    }
    return json_pack("{s:o,s:o}", "runs", runs, "next", next_page(i, end));
}

static bool same_run(const struct run_key *a, const struct run_key *b)
{
    return a->uid == b->uid && strcmp(a->name, b->name) == 0;
}

static const char *mark_text(enum checkpoint_mark mark)
{
    return mark == MARK_HEALTHY ? "healthy" : mark == MARK_POISONED ? "poisoned" : "";
}

/* The fields of a checkpoint, to which a page of shards may be added. */
static json_t *checkpoint_entry(const struct coordinator_checkpoint_view *checkpoint)
{
    return json_pack("{s:o,s:o,s:s,s:o,s:o,s:o,s:o,s:o,s:b,s:o,s:s,s:s}", "attempt",
                     number(checkpoint->attempt), "step", number(checkpoint->step), "state",
                     table_checkpoint_state(checkpoint->state), "world", number(checkpoint->world),
                     "copies", number(checkpoint->copies), "bytes", number(checkpoint->bytes),
                     "shards_sealed", number(checkpoint->shards_sealed), "shards_ready",
                     number(checkpoint->shards_ready), "degraded", (int)checkpoint->degraded,
                     "restore_failures", number(checkpoint->restore_failures), "reason",
                     checkpoint->reason, "mark", mark_text(checkpoint->mark));
}

json_t *table_checkpoints(const struct daemon *daemon, const struct run_key *run, uint32_t from)
{
    json_t *checkpoints = json_array();
    uint32_t end = coordinator_checkpoint_count(daemon->machine);
    uint32_t i = from;
    struct coordinator_checkpoint_view checkpoint;
    for (; i < end && json_array_size(checkpoints) < PAGE_ENTRIES; i++) {
        if (coordinator_checkpoint_view(daemon->machine, i, &checkpoint) &&
            same_run(&checkpoint.run, run)) {
            json_array_append_new(checkpoints, checkpoint_entry(&checkpoint));
        }
    }
    return json_pack("{s:s,s:o,s:o,s:o}", "run", run->name, "uid", number(run->uid), "checkpoints",
                     checkpoints, "next", next_page(i, end));
}

bool table_find_checkpoint(const struct daemon *daemon, const struct run_key *run, uint64_t step,
                           uint32_t *index_out)
{
    struct coordinator_checkpoint_view best = {.attempt = 0};
    struct coordinator_checkpoint_view seen;
    bool found = false;
    for (uint32_t i = 0; i < coordinator_checkpoint_count(daemon->machine); i++) {
        if (!coordinator_checkpoint_view(daemon->machine, i, &seen) || !same_run(&seen.run, run)) {
            continue;
        }
        bool wanted =
            step == CKPT_STEP_LATEST ? seen.state == CHECKPOINT_CONSISTENT : seen.step == step;
        if (wanted && (!found || seen.step > best.step ||
                       (seen.step == best.step && seen.attempt > best.attempt))) {
            best = seen;
            found = true;
            *index_out = i;
        }
    }
    return found;
}

static json_t *copy_entry(const struct coordinator_copy_view *copy)
{
    return json_pack("{s:s,s:s,s:s,s:b,s:b,s:b,s:b,s:b,s:o,s:o}", "node", copy->node, "domain",
                     copy->domain, "state", copy_state_name(copy->state), "owner", (int)copy->owner,
                     "pulling", (int)copy->pulling, "verifying", (int)copy->verifying, "cached",
                     (int)copy->cached, "bad", (int)copy->bad, "generation",
                     number(copy->generation), "verified_ms", number(copy->verified_ms));
}

static json_t *shard_entry(const struct coordinator_shard_view *shard)
{
    char hex[DIGEST_HEX_BYTES];
    json_t *copies = json_array();
    for (uint32_t i = 0; i < shard->copy_count; i++) {
        json_array_append_new(copies, copy_entry(&shard->copies[i]));
    }
    digest_hex(&shard->digest, hex);
    return json_pack("{s:o,s:o,s:o,s:o}", "rank", number(shard->rank), "bytes",
                     number(shard->bytes), "digest",
                     shard->has_digest ? json_string(hex) : json_null(), "copies", copies);
}

json_t *table_shards(const struct daemon *daemon, uint32_t index, uint32_t from)
{
    struct coordinator_checkpoint_view checkpoint;
    struct coordinator_shard_view shard;
    if (!coordinator_checkpoint_view(daemon->machine, index, &checkpoint)) {
        return NULL;
    }
    json_t *shards = json_array();
    uint32_t rank = from;
    for (; rank < checkpoint.world && rank - from < PAGE_ENTRIES; rank++) {
        if (coordinator_shard_view(daemon->machine, index, rank, &shard)) {
            json_array_append_new(shards, shard_entry(&shard));
        }
    }
    json_t *document = checkpoint_entry(&checkpoint);
    if (document) {
        json_object_set_new(document, "run", json_string(checkpoint.run.name));
        json_object_set_new(document, "uid", number(checkpoint.run.uid));
        json_object_set_new(document, "now_ms", number(daemon_now_ms()));
        json_object_set_new(document, "next", next_page(rank, checkpoint.world));
        json_object_set(document, "shards", shards);
    }
    json_decref(shards);
    return document;
}
