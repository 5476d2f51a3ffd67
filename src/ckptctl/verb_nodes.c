/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "ckptctl/document.h"
#include "ckptctl/link.h"
#include "ckptctl/options.h"
#include "ckptctl/table.h"
#include "ckptctl/text.h"

enum key { KEY_WATCH, KEY_LOST };

static const struct config_key keys[] = {
    [KEY_WATCH] = OPTION_WATCH,
    [KEY_LOST] = OPTION_SWITCH("lost", "only those that are lost"),
};

static const struct column columns[] = {
    {.name = "NODE"},
    {.name = "STATE"},
    {.name = "DOMAIN"},
    {.name = "ADDRESS"},
    {.name = "HEARD", .right = true},
    {.name = "MEMORY", .right = true},
    {.name = "LOCKED"},
    {.name = "TAKEN", .right = true},
    {.name = "HELD", .right = true},
    {.name = "FREE", .right = true},
    {.name = "COPIES", .right = true},
    {.name = "PULLS", .right = true},
    {.name = "RAILS", .right = true},
    {.name = "MISMATCHES", .right = true},
    {.name = "REFUSALS", .right = true},
};

/* joined, stopped or lost; draining, drained or closed in its place, or behind it. */
static void state_cell(struct table *table, const json_t *node)
{
    const char *state = field_text(node, "state");
    const char *drain = field_true(node, "drained")    ? "drained"
                        : field_true(node, "draining") ? "draining"
                        : json_is_string(json_object_get(node, "closed")) ? "closed"
                                                       : "";
    bool joined = field_true(node, "joined");
    bool lost = strcmp(state, "lost") == 0;
    table_cell(table,
               lost                  ? STYLE_BAD
               : !joined || drain[0] ? STYLE_WARN
                                     : STYLE_GOOD,
               "%s%s%s", joined && drain[0] ? "" : state, !joined && drain[0] ? ", " : "", drain);
}

static void add_row(struct table *table, const struct ctl *ctl, const json_t *node)
{
    (void)ctl;
    uint64_t bytes = field_number(node, "segment_bytes");
    uint64_t mismatches = field_number(node, "mismatches");
    table_cell(table, STYLE_PLAIN, "%s", field_text(node, "node"));
    state_cell(table, node);
    table_cell(table, STYLE_PLAIN, "%s", field_text(node, "domain"));
    table_cell(table, STYLE_PLAIN, "%s", field_text(node, "address"));
    table_cell(table, STYLE_PLAIN, "%s", AGE_TEXT(field_number(node, "heard_ms_ago")));
    table_cell(table, STYLE_PLAIN, "%s", SIZE_TEXT(bytes * field_number(node, "segments")));
    const json_t *locked = json_object_get(node, "locked");
    table_cell(table, json_is_false(locked) ? STYLE_WARN : STYLE_PLAIN, "%s",
               json_is_true(locked)    ? "yes"
               : json_is_false(locked) ? "no"
                                       : "-");
    for (size_t i = 0; i < 2; i++) {
        const char *name = i == 0 ? "bytes_taken" : "bytes_held";
        bool known = json_is_integer(json_object_get(node, name));
        table_cell(table, STYLE_PLAIN, "%s", known ? SIZE_TEXT(field_number(node, name)) : "-");
    }
    table_cell(table, STYLE_PLAIN, "%s", SIZE_TEXT(field_number(node, "bytes_free")));
    table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(node, "copies"));
    table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(node, "pulls"));
    uint64_t rails = field_number(node, "rails");
    uint64_t up = field_number(node, "rails_up");
    if (rails == 0) {
        table_cell(table, STYLE_PLAIN, "-");
    } else {
        table_cell(table, up < rails ? STYLE_WARN : STYLE_PLAIN, "%" PRIu64 "/%" PRIu64, up, rails);
    }
    table_cell(table, mismatches ? STYLE_BAD : STYLE_PLAIN, "%" PRIu64, mismatches);
    table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(node, "refusals"));
}

static void keep_lost(json_t *nodes)
{
    for (size_t i = json_array_size(nodes); i > 0; i--) {
        if (strcmp(field_text(json_array_get(nodes, i - 1), "state"), "lost") != 0) {
            json_array_remove(nodes, i - 1);
        }
    }
}

static enum exit_code run(struct ctl *ctl)
{
    bool only_lost = option_flag(ctl, KEY_LOST);
    json_t *document;
    struct message_admin_ask ask = {.verb = ADMIN_NODES};
    enum exit_code code = link_ask_all(ctl, &ask, "nodes", &document);
    if (code != EXIT_DONE) {
        return code;
    }
    if (only_lost) {
        keep_lost(json_object_get(document, "nodes"));
    }
    table_show(ctl, document, "nodes", columns, sizeof(columns) / sizeof(columns[0]), add_row,
               only_lost ? "no node is lost" : "no agent has joined yet");
    json_decref(document);
    return EXIT_DONE;
}

const struct verb verb_nodes = {
    .name = "nodes",
    .operands = "",
    .summary = "agents: alive, lost, free memory, copies",
    .help =
        "One line a node whose agent has joined since the coordinator started. HEARD is how long\n"
        "ago the agent spoke. TAKEN is what shards take of its MEMORY, HELD the bytes that they\n"
        "have, - that an agent of before does not say; LOCKED no means that its memory may be\n"
        "swapped out (LimitMEMLOCK=infinity); COPIES are verified ones in its memory; MISMATCHES\n"
        "counts digests that differed: a node where that grows has bad memory.\n"
        "RAILS, with the transport verbs, are those by which peers can be reached, of all.\n"
        "REFUSALS counts saves and processes that its agent refused since it started: ckptctl\n"
        "status says why.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .run = run,
};
