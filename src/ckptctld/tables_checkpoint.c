/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/tables_checkpoint.h"

#include "base/clock.h"

#define NAMED_MAX 8 /* shards that an entry names; the others are in the checkpoint's own table */

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
    case COPY_ADOPTED:
        return "held";
    case COPY_VERIFIED:
        return "verified";
    }
    return "unknown";
}

static const char *mark_text(enum checkpoint_mark mark)
{
    return mark == MARK_HEALTHY ? "healthy" : mark == MARK_POISONED ? "poisoned" : "";
}

/* What is not known, or is not so, is null. */
static json_t *known(uint64_t value)
{
    return value != 0 ? number(value) : json_null();
}

static json_t *age_of(const struct coordinator_checkpoint_view *checkpoint)
{
    uint64_t now_ms = clock_wall_ms();
    if (checkpoint->wall_ms == 0) {
        return json_null();
    }
    return number(now_ms > checkpoint->wall_ms ? now_ms - checkpoint->wall_ms : 0);
}

static const char *degree_name(enum coordinator_degree degree)
{
    static const char *const names[] = {[DEGREE_CONSISTENT] = "consistent",
                                        [DEGREE_DEGRADED] = "degraded",
                                        [DEGREE_AT_RISK] = "at risk",
                                        [DEGREE_LOST] = "lost"};
    return names[degree];
}

static const char *wait_name(enum coordinator_wait wait)
{
    static const char *const names[] = {
        [WAIT_NOTHING] = "nothing", [WAIT_SEAL] = "seal",     [WAIT_PULL] = "pull",
        [WAIT_DIGEST] = "digest",   [WAIT_RETURN] = "return", [WAIT_DOMAIN] = "domain",
        [WAIT_ROOM] = "room",       [WAIT_SOURCE] = "source", [WAIT_ORDER] = "order"};
    return names[wait];
}

static json_t *home_entry(const struct coordinator_home_view *home)
{
    return json_pack("{s:s,s:b,s:b,s:b,s:b}", "node", home->node, "joined", (int)home->joined,
                     "seen", (int)home->seen, "stopped", (int)home->stopped, "has", (int)home->has);
}

static json_t *homes(const struct coordinator_shard_view *shard)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < shard->home_count; i++) {
        json_array_append_new(list, home_entry(&shard->homes[i]));
    }
    return list;
}

/* The first shards that are short of copies: what each has, where it belongs, and what it waits
 * for. */
static json_t *shortages(const struct daemon *daemon, uint32_t index, uint32_t world)
{
    json_t *list = json_array();
    struct coordinator_wait_view wait;
    for (uint32_t rank = 0; rank < world && json_array_size(list) < NAMED_MAX; rank++) {
        if (!coordinator_wait_view(daemon->machine, index, rank, &wait) ||
            wait.wait == WAIT_NOTHING) {
            continue;
        }
        struct coordinator_shard_view shard = {.copies_now = 0};
        (void)coordinator_shard_view(daemon->machine, index, rank, &shard);
        json_array_append_new(list, json_pack("{s:o,s:o,s:o,s:s,s:s,s:s}", "rank", number(rank),
                                              "copies", number(shard.copies_now), "homes",
                                              homes(&shard), "waits_for", wait_name(wait.wait),
                                              "node", wait.node, "from", wait.from));
    }
    return list;
}

/* How whole it is, and what it lacks. */
static void add_degree(json_t *entry, const struct daemon *daemon, uint32_t index,
                       const struct coordinator_checkpoint_view *checkpoint)
{
    struct coordinator_degree_view degree;
    bool is_over = checkpoint->state == CHECKPOINT_ABORTED;
    bool is_whole = is_over || checkpoint->shards_ready == checkpoint->world;
    (void)coordinator_degree_view(daemon->machine, index, &degree);
    json_object_set_new(entry, "degree",
                        degree.degree != DEGREE_NONE ? json_string(degree_name(degree.degree))
                                                     : json_null());
    json_object_set_new(entry, "copies_now",
                        degree.degree != DEGREE_NONE ? number(degree.copies_fewest) : json_null());
    json_object_set_new(entry, "shards_short", number(degree.shards_short));
    json_object_set_new(entry, "shards_lost", number(degree.shards_lost));
    json_object_set_new(entry, "short",
                        is_whole ? json_array() : shortages(daemon, index, checkpoint->world));
}

static void add_times(json_t *entry, const struct coordinator_checkpoint_view *checkpoint)
{
    json_object_set_new(entry, "committed_at", table_time(checkpoint->wall_ms));
    json_object_set_new(entry, "age_ms", age_of(checkpoint));
    json_object_set_new(entry, "interval_ms", known(checkpoint->interval_ms));
    json_object_set_new(entry, "took_ms", known(checkpoint->took_ms));
    json_object_set_new(entry, "copying_ms", known(checkpoint->copying_ms));
    json_object_set_new(entry, "open_ms", known(checkpoint->open_ms));
}

static json_t *checkpoint_fields(const struct coordinator_checkpoint_view *checkpoint)
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

/* The fields of a checkpoint, to which a page of shards may be added. */
static json_t *checkpoint_entry(const struct daemon *daemon, uint32_t index,
                                const struct coordinator_checkpoint_view *checkpoint)
{
    json_t *entry = checkpoint_fields(checkpoint);
    if (entry) {
        add_degree(entry, daemon, index, checkpoint);
        add_times(entry, checkpoint);
        json_object_set_new(entry, "persisted", json_boolean(checkpoint->persisted));
        json_object_set_new(entry, "persisting", json_boolean(checkpoint->persisting));
        json_object_set_new(entry, "persist_left", number(checkpoint->persist_left));
    }
    return entry;
}

json_t *table_checkpoint(const struct daemon *daemon, uint32_t index)
{
    struct coordinator_checkpoint_view checkpoint;
    return coordinator_checkpoint_view(daemon->machine, index, &checkpoint)
               ? checkpoint_entry(daemon, index, &checkpoint)
               : json_null();
}

json_t *table_step(const struct daemon *daemon, uint32_t index)
{
    struct coordinator_checkpoint_view checkpoint;
    return coordinator_checkpoint_view(daemon->machine, index, &checkpoint)
               ? number(checkpoint.step)
               : json_null();
}

json_t *table_age(const struct daemon *daemon, uint32_t index)
{
    struct coordinator_checkpoint_view checkpoint;
    return coordinator_checkpoint_view(daemon->machine, index, &checkpoint) ? age_of(&checkpoint)
                                                                            : json_null();
}

struct run_steps table_run_steps(const struct daemon *daemon, uint32_t run_index)
{
    struct run_steps steps = {NO_CHECKPOINT, NO_CHECKPOINT, NO_CHECKPOINT, DEGREE_NONE};
    struct coordinator_checkpoint_view checkpoint;
    struct coordinator_degree_view degree;
    uint32_t i = coordinator_run_newest(daemon->machine, run_index);
    for (; coordinator_checkpoint_view(daemon->machine, i, &checkpoint) &&
           steps.restorable == NO_CHECKPOINT;
         i = coordinator_checkpoint_older(daemon->machine, i)) {
        bool is_open =
            checkpoint.state == CHECKPOINT_OPEN || checkpoint.state == CHECKPOINT_VERIFYING;
        if (is_open && steps.saving == NO_CHECKPOINT && steps.newest == NO_CHECKPOINT) {
            steps.saving = i;
        }
        if (checkpoint.state != CHECKPOINT_CONSISTENT ||
            !coordinator_degree_view(daemon->machine, i, &degree)) {
            continue;
        }
        if (steps.newest == NO_CHECKPOINT) {
            steps.newest = i;
            steps.degree = degree.degree;
        }
        steps.restorable = degree.degree != DEGREE_LOST ? i : NO_CHECKPOINT;
    }
    return steps;
}

json_t *table_checkpoints(const struct daemon *daemon, const struct run_key *run, uint32_t from)
{
    json_t *checkpoints = json_array();
    uint32_t end = coordinator_checkpoint_count(daemon->machine);
    uint32_t i = from;
    struct coordinator_checkpoint_view checkpoint;
    for (; i < end && json_array_size(checkpoints) < HEAVY_ENTRIES; i++) {
        if (coordinator_checkpoint_view(daemon->machine, i, &checkpoint) &&
            run_key_equal(&checkpoint.run, run)) {
            json_array_append_new(checkpoints, checkpoint_entry(daemon, i, &checkpoint));
        }
    }
    return json_pack("{s:s,s:o,s:b,s:o,s:o}", "run", run->name, "uid", number(run->uid), "settling",
                     table_is_settling(daemon), "checkpoints", checkpoints, "next",
                     next_page(i, end));
}

bool table_find_checkpoint(const struct daemon *daemon, const struct run_key *run, uint64_t step,
                           uint32_t *index_out)
{
    struct coordinator_checkpoint_view best = {.attempt = 0};
    struct coordinator_checkpoint_view seen;
    bool found = false;
    for (uint32_t i = 0; i < coordinator_checkpoint_count(daemon->machine); i++) {
        if (!coordinator_checkpoint_view(daemon->machine, i, &seen) ||
            !run_key_equal(&seen.run, run)) {
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
    return json_pack(
        "{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "rank", number(shard->rank), "bytes", number(shard->bytes),
        "digest", shard->has_digest ? json_string(hex) : json_null(), "digest_kind",
        shard->has_digest ? json_string(digest_kind_name(shard->digest_kind)) : json_null(),
        "copies", copies, "copies_now", number(shard->copies_now), "homes", homes(shard));
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
    json_t *document = checkpoint_entry(daemon, index, &checkpoint);
    if (document) {
        json_object_set_new(document, "run", json_string(checkpoint.run.name));
        json_object_set_new(document, "uid", number(checkpoint.run.uid));
        json_object_set_new(document, "now_ms", number(clock_now_ms()));
        json_object_set_new(document, "next", next_page(rank, checkpoint.world));
        json_object_set(document, "shards", shards);
    }
    json_decref(shards);
    return document;
}

static json_t *name_entry(const struct coordinator_name_view *name)
{
    char hex[DIGEST_HEX_BYTES];
    digest_hex(&name->name, hex);
    return json_pack("{s:s,s:o,s:o,s:b,s:o}", "node", name->node, "rank", number(name->rank),
                     "generation", number(name->generation), "there", (int)name->is_there, "blake3",
                     name->told ? json_string(hex) : json_null());
}

json_t *table_names(const struct daemon *daemon, uint32_t index, uint32_t from)
{
    struct coordinator_checkpoint_view checkpoint;
    struct coordinator_names_view view;
    struct coordinator_name_view name;
    if (!coordinator_checkpoint_view(daemon->machine, index, &checkpoint) ||
        !coordinator_names_view(daemon->machine, index, &view)) {
        return NULL;
    }
    json_t *names = json_array();
    uint32_t i = from;
    for (; i < view.count && i - from < PAGE_ENTRIES; i++) {
        if (coordinator_name_view(daemon->machine, i, &name)) {
            json_array_append_new(names, name_entry(&name));
        }
    }
    return json_pack("{s:o,s:o,s:o,s:o}", "names", names, "next_rank",
                     next_page(view.next_rank, checkpoint.world), "now_ms", number(clock_now_ms()),
                     "next", next_page(i, view.count));
}
