/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/without.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ckptctl/degree.h"
#include "ckptctl/document.h"
#include "ckptctl/link.h"
#include "ckptctl/table.h"

static const struct column columns[] = {
    {.name = "RUN"},
    {.name = "STEP", .right = true},
    {.name = "STATE"},
    {.name = "WITHOUT"},
    {.name = "ALONE", .right = true},
    {.name = "GOES BACK TO", .right = true},
    {.name = "LOSES", .right = true},
};

/* Good copies on nodes that are there, and of these on the one that goes. */
static void count(const json_t *shard, const char *node, uint64_t *copies_out, uint64_t *there_out)
{
    size_t i;
    const json_t *copy;
    *copies_out = 0;
    *there_out = 0;
    json_array_foreach(json_object_get(shard, "copies"), i, copy)
    {
        if (strcmp(field_text(copy, "state"), "verified") == 0 && !field_true(copy, "cached") &&
            !field_true(copy, "bad")) {
            (*copies_out)++;
            *there_out += strcmp(field_text(copy, "node"), node) == 0;
        }
    }
}

/* Of the checkpoint's shard that would have fewest copies: how many; and how many shards would have
 * none that have one now. */
static uint64_t fewest(const json_t *checkpoint, const char *node, uint64_t *alone_out)
{
    uint64_t least = UINT64_MAX;
    size_t i;
    const json_t *shard;
    *alone_out = 0;
    json_array_foreach(json_object_get(checkpoint, "shards"), i, shard)
    {
        uint64_t copies;
        uint64_t there;
        count(shard, node, &copies, &there);
        least = copies - there < least ? copies - there : least;
        *alone_out += copies > 0 && copies == there;
    }
    return least == UINT64_MAX ? 0 : least;
}

static enum exit_code show(struct ctl *ctl, const struct message_admin_ask *run, uint64_t step,
                           json_t **shown_out)
{
    struct message_admin_ask ask = {.verb = ADMIN_PLACEMENT, .step = step, .run = run->run};
    return link_ask_all(ctl, &ask, "shards", shown_out);
}

static bool is_offered(const json_t *checkpoint)
{
    return strcmp(field_text(checkpoint, "state"), "consistent") == 0 &&
           strcmp(field_text(checkpoint, "mark"), "poisoned") != 0;
}

static void describe(json_t *row, const json_t *checkpoint, uint64_t left, uint64_t alone)
{
    char text[64];
    uint64_t copies = field_number(checkpoint, "copies");
    const char *degree = left >= copies ? "consistent"
                         : left == 0    ? "lost"
                         : left == 1    ? "at risk"
                                        : "degraded";
    snprintf(text, sizeof(text), left >= copies ? "%s" : "%s %" PRIu64 "/%" PRIu64, degree, left,
             copies);
    json_object_set_new(row, "step", json_integer((json_int_t)field_number(checkpoint, "step")));
    json_object_set_new(row, "state", json_string(STATE_TEXT(checkpoint)));
    json_object_set_new(row, "without", json_string(text));
    json_object_set_new(row, "copies_without", json_integer((json_int_t)left));
    json_object_set_new(row, "shards_alone", json_integer((json_int_t)alone));
}

/* From the newest consistent checkpoint on: the first that would still be whole enough to load. */
static enum exit_code judge(struct ctl *ctl, const struct message_admin_ask *run, const char *node,
                            json_t *row)
{
    json_t *list;
    struct message_admin_ask ask = {.verb = ADMIN_LIST, .run = run->run};
    enum exit_code code = link_ask_all(ctl, &ask, "checkpoints", &list);
    if (code != EXIT_DONE) {
        return code;
    }
    sort_by(json_object_get(list, "checkpoints"), "step", true);
    bool is_newest = true;
    bool is_found = false;
    size_t i;
    const json_t *checkpoint;
    json_array_foreach(json_object_get(list, "checkpoints"), i, checkpoint)
    {
        json_t *shown;
        uint64_t alone;
        if (code != EXIT_DONE || is_found || !is_offered(checkpoint)) {
            continue;
        }
        code = show(ctl, run, field_number(checkpoint, "step"), &shown);
        if (code != EXIT_DONE) {
            continue;
        }
        uint64_t left = fewest(shown, node, &alone);
        if (is_newest) {
            describe(row, checkpoint, left, alone);
        }
        is_newest = false;
        is_found = left > 0;
        if (is_found) {
            json_object_set(row, "goes_back_to", json_object_get(checkpoint, "step"));
            json_object_set(row, "loses_ms", json_object_get(checkpoint, "age_ms"));
        }
        json_decref(shown);
    }
    json_decref(list);
    return code;
}

static void print_rows(const struct ctl *ctl, const json_t *rows)
{
    struct table *table = table_make(columns, sizeof(columns) / sizeof(columns[0]));
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        bool survives = json_is_integer(json_object_get(row, "goes_back_to"));
        enum style style = !survives                               ? STYLE_BAD
                           : field_number(row, "shards_alone") > 0 ? STYLE_WARN
                                                                   : STYLE_PLAIN;
        table_cell(table, STYLE_PLAIN, "%s", field_text(row, "run"));
        table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(row, "step"));
        table_cell(table, STYLE_PLAIN, "%s", field_text(row, "state"));
        table_cell(table, style, "%s", field_text(row, "without"));
        table_cell(table, style, "%" PRIu64, field_number(row, "shards_alone"));
        if (survives) {
            table_cell(table, style, "%" PRIu64, field_number(row, "goes_back_to"));
            table_cell(table, style, "%s", DURATION_TEXT(row, "loses_ms"));
        } else {
            table_cell(table, style, "nothing");
            table_cell(table, style, "all");
        }
    }
    table_print(table, ctl, "no run has a consistent checkpoint");
}

/* What would lose all first, then by the work lost. */
static void sort_by_loss(json_t *rows)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        bool survives = json_is_integer(json_object_get(row, "goes_back_to"));
        json_int_t loss = survives ? (json_int_t)field_number(row, "loses_ms") : INT64_MAX;
        json_object_set_new(row, "order", json_integer(loss));
    }
    sort_by(rows, "order", true);
    json_array_foreach(rows, i, row)
    {
        json_object_del(row, "order");
    }
}

static bool knows(struct ctl *ctl, const char *node, enum exit_code *code_out)
{
    json_t *nodes;
    struct message_admin_ask ask = {.verb = ADMIN_NODES};
    bool found = false;
    size_t i;
    const json_t *one;
    *code_out = link_ask_all(ctl, &ask, "nodes", &nodes);
    if (*code_out != EXIT_DONE) {
        return false;
    }
    json_array_foreach(json_object_get(nodes, "nodes"), i, one)
    {
        found = found || strcmp(field_text(one, "node"), node) == 0;
    }
    json_decref(nodes);
    if (!found) {
        *code_out = complain(EXIT_NO, "no node %s is known: ckptctl nodes lists them", node);
    }
    return found;
}

enum exit_code without_node(struct ctl *ctl, const char *node)
{
    json_t *runs;
    enum exit_code code;
    struct message_admin_ask ask = {.verb = ADMIN_RUNS};
    if (!knows(ctl, node, &code)) {
        return code;
    }
    code = link_ask_all(ctl, &ask, "runs", &runs);
    if (code != EXIT_DONE) {
        return code;
    }
    json_t *rows = json_array();
    bool loses = false;
    size_t i;
    const json_t *run;
    json_array_foreach(json_object_get(runs, "runs"), i, run)
    {
        if (code == EXIT_DONE && json_is_integer(json_object_get(run, "latest"))) {
            struct message_admin_ask of = {.verb = ADMIN_LIST};
            json_t *row = json_pack("{s:s,s:O}", "run", field_text(run, "run"), "uid",
                                    json_object_get(run, "uid"));
            of.run.uid = (uint32_t)field_number(run, "uid");
            snprintf(of.run.name, sizeof(of.run.name), "%s", field_text(run, "run"));
            code = judge(ctl, &of, node, row);
            loses = loses || field_number(row, "shards_alone") > 0;
            json_array_append_new(rows, row);
        }
    }
    json_decref(runs);
    sort_by_loss(rows);
    if (code == EXIT_DONE && ctl->json) {
        json_t *document = json_pack("{s:s,s:O}", "node", node, "runs", rows);
        print_json(document);
        json_decref(document);
    } else if (code == EXIT_DONE) {
        print_rows(ctl, rows);
    }
    json_decref(rows);
    return code == EXIT_DONE && loses ? EXIT_SHORT : code;
}
