/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ckptctl/degree.h"
#include "ckptctl/document.h"
#include "ckptctl/link.h"
#include "ckptctl/options.h"
#include "ckptctl/table.h"
#include "ckptctl/text.h"
#include "ckptctl/troubles.h"

enum key { KEY_WATCH, KEY_STRICT, KEY_ANY };

static const struct config_key keys[] = {
    [KEY_WATCH] = OPTION_WATCH,
    [KEY_STRICT] = OPTION_STRICT("exit with 4 for anything that is not as asked: lost nodes, older "
                                 "checkpoints short of copies, quarantined ones"),
    [KEY_ANY] = OPTION_ANY("exit with 0 as long as the coordinator answers"),
};

static const struct column columns[] = {
    {.name = "RUN"},
    {.name = "STEP", .right = true},
    {.name = "STATE"},
    {.name = "AGE", .right = true},
    {.name = "LOSES", .right = true},
    {.name = "WAITS FOR"},
};

/* What its newest checkpoint lacks, and what its newest save waits for. */
static void add_waits(struct table *table, const json_t *run)
{
    const json_t *saving = json_object_get(run, "saving");
    const json_t *newest = json_object_get(run, "newest");
    const struct long_text lacks = degree_shortages(newest);
    if (!json_is_object(saving)) {
        table_cell(table, degree_style(newest), "%s", lacks.text[0] ? lacks.text : "-");
        return;
    }
    bool is_open = strcmp(field_text(saving, "state"), "open") == 0;
    table_cell(table, lacks.text[0] ? degree_style(newest) : STYLE_PLAIN,
               "%s%sstep %" PRIu64 ", for %s: %" PRIu64 " of %" PRIu64 " %s; %s", lacks.text,
               lacks.text[0] ? "; " : "", field_number(saving, "step"),
               DURATION_TEXT(saving, "open_ms"),
               field_number(saving, is_open ? "shards_sealed" : "shards_ready"),
               field_number(saving, "world"), is_open ? "ranks sealed" : "shards have their copies",
               SHORTAGES_TEXT(saving));
}

static void add_run(struct table *table, const json_t *run)
{
    const json_t *newest = json_object_get(run, "newest");
    table_cell(table, STYLE_PLAIN, "%s", field_text(run, "run"));
    if (json_is_object(newest)) {
        table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(newest, "step"));
        table_cell(table, degree_style(newest), "%s", STATE_TEXT(newest));
    } else {
        table_cell(table, STYLE_WARN, "none");
        table_cell(table, STYLE_PLAIN, "-");
    }
    bool is_kept = json_is_integer(json_object_get(run, "restorable"));
    table_cell(table, STYLE_PLAIN, "%s", DURATION_TEXT(newest, "age_ms"));
    table_cell(table, is_kept ? STYLE_PLAIN : STYLE_BAD, "%s",
               is_kept ? DURATION_TEXT(run, "work_lost_ms") : "all");
    add_waits(table, run);
}

static void print_runs(const struct ctl *ctl, const json_t *runs, const char *hidden)
{
    size_t i;
    const json_t *run;
    if (!runs) {
        printf("\nruns are not shown: %s\n", hidden);
        return;
    }
    struct table *table = table_make(columns, sizeof(columns) / sizeof(columns[0]));
    json_array_foreach(runs, i, run)
    {
        if (ctl->user == CKPT_UID_ANY || ctl->user == field_number(run, "uid")) {
            add_run(table, run);
        }
    }
    putchar('\n');
    table_print(table, ctl, "no runs");
}

static void print_problem(const struct ctl *ctl, uint64_t count, const char *what,
                          const char *look_with)
{
    if (count > 0) {
        printf("%s%s: %" PRIu64 " (%s)%s\n", ctl->color ? "\033[33m" : "", what, count, look_with,
               ctl->color ? "\033[0m" : "");
    }
}

static void print_nodes(const json_t *nodes)
{
    uint64_t stopped = field_number(nodes, "stopped");
    uint64_t draining = field_number(nodes, "draining");
    printf("nodes        %" PRIu64 " joined, %" PRIu64 " lost", field_number(nodes, "joined"),
           field_number(nodes, "lost"));
    if (stopped > 0) {
        printf(", %" PRIu64 " stopped", stopped);
    }
    if (draining > 0) {
        printf("; %" PRIu64 " to be drained", draining);
    }
    putchar('\n');
}

static void print_tier(const struct ctl *ctl, const json_t *tier)
{
    if (!json_is_object(tier)) {
        return;
    }
    printf("tier         %" PRIu64 " agents write there, %" PRIu64 " orders under way\n",
           field_number(tier, "agents"), field_number(tier, "orders"));
    if (field_true(tier, "stopped")) {
        printf("%sthe tier takes nothing for %s, next try in %s: %s%s\n",
               ctl->color ? "\033[31m" : "", DURATION_TEXT(tier, "stopped_ms"),
               DURATION_TEXT(tier, "retry_in_ms"), field_text(tier, "reason"),
               ctl->color ? "\033[0m" : "");
    }
}

static void print_status(const struct ctl *ctl, const json_t *status)
{
    const json_t *nodes = json_object_get(status, "nodes");
    const json_t *checkpoints = json_object_get(status, "checkpoints");
    uint64_t bytes = field_number(nodes, "bytes");
    uint64_t used = bytes - field_number(nodes, "bytes_free");
    printf("coordinator  ckptctld %s, process %" PRIu64 ", up %s, epoch %" PRIu64 "\n",
           field_text(status, "version"), field_number(status, "pid"),
           AGE_TEXT(field_number(status, "uptime_ms")), field_number(status, "epoch"));
    printf("listens      %s, %s\n", field_text(status, "address"), field_text(status, "socket"));
    printf("records      %s in %s\n", field_text(status, "store"),
           field_text(status, "state_directory"));
    print_nodes(nodes);
    printf("memory       %s of %s used\n", SIZE_TEXT(used), SIZE_TEXT(bytes));
    printf("runs         %" PRIu64 "\n", field_number(status, "runs"));
    printf("checkpoints  %" PRIu64 " consistent, %" PRIu64 " verifying, %" PRIu64 " open\n",
           field_number(checkpoints, "consistent"), field_number(checkpoints, "verifying"),
           field_number(checkpoints, "open"));
    print_tier(ctl, json_object_get(status, "tier"));
    print_problem(ctl, field_number(nodes, "lost"), "lost nodes", "ckptctl nodes --lost");
    print_problem(ctl, field_number(nodes, "closed"),
                  "nodes that take no new shards, as their transport is slow",
                  "their agents' logs: mend, or [transport] allow_slow");
    print_problem(ctl, field_number(checkpoints, "degraded"), "checkpoints short of copies",
                  "ckptctl list RUN, ckptctl show RUN STEP --problems");
    if (field_true(status, "settling")) {
        printf("the coordinator has just started: agents are still telling what they hold\n");
    }
    print_problem(ctl, field_number(checkpoints, "quarantined"),
                  "checkpoints quarantined after failed restores", "ckptctl list RUN");
    print_troubles(ctl, status);
}

static enum exit_code judge(const struct ctl *ctl, const json_t *status)
{
    const json_t *newest = json_object_get(status, "newest");
    const json_t *checkpoints = json_object_get(status, "checkpoints");
    uint64_t wrong = field_number(newest, "degraded") + field_number(newest, "at_risk") +
                     field_number(newest, "lost") +
                     field_number(json_object_get(status, "nodes"), "closed");
    if (option_flag(ctl, KEY_STRICT)) {
        wrong += field_number(json_object_get(status, "nodes"), "lost") +
                 field_number(checkpoints, "degraded") + field_number(checkpoints, "quarantined");
    }
    return wrong > 0 && !option_flag(ctl, KEY_ANY) ? EXIT_SHORT : EXIT_DONE;
}

/* Its runs, too, as far as they may be seen: over TCP a coordinator tells strangers its counts. */
static enum exit_code ask_all(struct ctl *ctl, json_t **status_out, char *hidden_out)
{
    struct message_admin_ask ask = {.verb = ADMIN_STATUS};
    enum ckpt_status result = link_ask(ctl, &ask, status_out, hidden_out);
    if (result != CKPT_OK) {
        return link_complain(result, hidden_out);
    }
    json_t *runs;
    ask.verb = ADMIN_RUNS;
    result = link_ask_pages(ctl, &ask, "runs", &runs, hidden_out);
    if (result == CKPT_OK) {
        json_object_set(*status_out, "each_run", json_object_get(runs, "runs"));
        json_decref(runs);
    } else if (result != CKPT_ERR_DENIED) {
        json_decref(*status_out);
        return link_complain(result, hidden_out);
    }
    return EXIT_DONE;
}

static enum exit_code run(struct ctl *ctl)
{
    char hidden[CKPT_REASON_MAX + 1] = "";
    json_t *status;
    if (!degree_flags(ctl, KEY_STRICT, KEY_ANY)) {
        return EXIT_USAGE;
    }
    enum exit_code code = ask_all(ctl, &status, hidden);
    if (code != EXIT_DONE) {
        return code;
    }
    code = judge(ctl, status);
    if (ctl->json) {
        print_json(status);
    } else {
        print_status(ctl, status);
        print_runs(ctl, json_object_get(status, "each_run"), hidden);
    }
    json_decref(status);
    return code;
}

const struct verb verb_status = {
    .name = "status",
    .operands = "",
    .summary = "is all well, and what does each run wait for",
    .help =
        "Says whether the coordinator answers, what it counts, what is wrong: lost nodes,\n"
        "checkpoints short of copies, quarantined ones, and each thing that keeps saves from\n"
        "becoming consistent (agents that refuse or may not join, saves that wait, and for what);\n"
        "and of each run its newest consistent STEP, how whole that is now (ckptctl list --help\n"
        "says the words), and its AGE. LOSES\n"
        "is the work that would be lost if all its ranks died now: the age of the newest\n"
        "checkpoint of which every shard has a copy. WAITS FOR tells of its newest save that\n"
        "is not consistent yet, or of what the newest consistent one lacks.\n"
        "\n"
        "Exits with 4 when a run's newest consistent checkpoint has fewer copies now than were\n"
        "asked for.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .run = run,
};
