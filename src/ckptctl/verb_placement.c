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
#include "ckptctl/without.h"

enum key { KEY_WATCH, KEY_WITHOUT };

static const struct config_key keys[] = {
    [KEY_WATCH] = OPTION_WATCH,
    [KEY_WITHOUT] = {.name = "without",
                     .flag = "without",
                     .type = CONFIG_STRING,
                     .placeholder = "NODE",
                     .help = "what each run would have left if that node were gone now"},
};

static const struct column rank_columns[] = {
    {.name = "RANK", .right = true},
    {.name = "BYTES", .right = true},
    {.name = "OWNER"},
    {.name = "HOLDERS"},
};
static const struct column node_columns[] = {
    {.name = "NODE"},
    {.name = "DOMAIN"},
    {.name = "OWNS", .right = true},
    {.name = "HOLDS", .right = true},
    {.name = "BYTES", .right = true},
};

static bool counts(const json_t *copy)
{
    return strcmp(field_text(copy, "state"), "verified") == 0 && !field_true(copy, "cached") &&
           !field_true(copy, "bad");
}

/* "node1@rack2 node3@rack1" of the copies that count. */
static void describe(const json_t *shard, bool owner, char *text_out, size_t size)
{
    size_t used = 0;
    size_t i;
    const json_t *copy;
    text_out[0] = '\0';
    json_array_foreach(json_object_get(shard, "copies"), i, copy)
    {
        if (counts(copy) && field_true(copy, "owner") == owner) {
            int bytes = snprintf(text_out + used, size - used, "%s%s@%s", used ? " " : "",
                                 field_text(copy, "node"), field_text(copy, "domain"));
            used += bytes > 0 && (size_t)bytes < size - used ? (size_t)bytes : 0;
        }
    }
}

static void print_ranks(const struct ctl *ctl, const json_t *document)
{
    struct table *table = table_make(rank_columns, 4);
    size_t i;
    const json_t *shard;
    printf("run %s, step %" PRIu64 ": %s\n\n", field_text(document, "run"),
           field_number(document, "step"), STATE_TEXT(document));
    json_array_foreach(json_object_get(document, "shards"), i, shard)
    {
        char owner[160];
        char holders[960];
        describe(shard, true, owner, sizeof(owner));
        describe(shard, false, holders, sizeof(holders));
        table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(shard, "rank"));
        table_cell(table, STYLE_PLAIN, "%s", SIZE_TEXT(field_number(shard, "bytes")));
        table_cell(table, owner[0] ? STYLE_PLAIN : STYLE_WARN, "%s", owner[0] ? owner : "lost");
        table_cell(table, STYLE_PLAIN, "%s", holders[0] ? holders : "-");
    }
    table_print(table, ctl, "no shard is known");
}

static enum exit_code place_run(struct ctl *ctl, struct message_admin_ask *ask)
{
    json_t *document;
    enum exit_code code = link_ask_all(ctl, ask, "shards", &document);
    if (code != EXIT_DONE) {
        return code;
    }
    if (ctl->json) {
        print_json(document);
    } else {
        print_ranks(ctl, document);
    }
    json_decref(document);
    return EXIT_DONE;
}

static void add(json_t *node, const char *name, uint64_t more)
{
    uint64_t sum = field_number(node, name) + more;
    json_object_set_new(node, name, json_integer((json_int_t)sum));
}

/* Adds the copies of a checkpoint to its nodes' sums, which are kept by the node's name. */
static void add_up(json_t *sums, const json_t *checkpoint)
{
    size_t i;
    size_t j;
    const json_t *shard;
    const json_t *copy;
    json_array_foreach(json_object_get(checkpoint, "shards"), i, shard)
    {
        json_array_foreach(json_object_get(shard, "copies"), j, copy)
        {
            json_t *node = json_object_get(sums, field_text(copy, "node"));
            if (node && counts(copy)) {
                add(node, field_true(copy, "owner") ? "owns" : "holds", 1);
                add(node, "bytes", field_number(shard, "bytes"));
            }
        }
    }
}

/* {"node0": {"node":..., "domain":..., "owns": 0, ...}} */
static json_t *make_sums(const json_t *nodes)
{
    json_t *sums = json_object();
    size_t i;
    const json_t *node;
    json_array_foreach(nodes, i, node)
    {
        const char *name = field_text(node, "node");
        json_object_set_new(sums, name,
                            json_pack("{s:s,s:s,s:b,s:i,s:i,s:i}", "node", name, "domain",
                                      field_text(node, "domain"), "joined",
                                      (int)field_true(node, "joined"), "owns", 0, "holds", 0,
                                      "bytes", 0));
    }
    return sums;
}

static void print_nodes(const struct ctl *ctl, json_t *sums)
{
    json_t *document = json_object();
    json_t *list = json_array();
    const char *name;
    json_t *node;
    json_object_foreach(sums, name, node)
    {
        json_array_append(list, node);
    }
    json_object_set_new(document, "nodes", list);
    if (ctl->json) {
        print_json(document);
    } else {
        struct table *table = table_make(node_columns, 5);
        size_t i;
        json_array_foreach(list, i, node)
        {
            table_cell(table, STYLE_PLAIN, "%s", field_text(node, "node"));
            table_cell(table, STYLE_PLAIN, "%s", field_text(node, "domain"));
            table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(node, "owns"));
            table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(node, "holds"));
            table_cell(table, STYLE_PLAIN, "%s", SIZE_TEXT(field_number(node, "bytes")));
        }
        table_print(table, ctl, "no agent has joined yet");
    }
    json_decref(document);
}

/* Over the newest consistent checkpoint of every run that the caller may see. */
static enum exit_code place_all(struct ctl *ctl)
{
    struct message_admin_ask ask = {.verb = ADMIN_NODES};
    json_t *nodes = NULL;
    json_t *runs = NULL;
    enum exit_code code = link_ask_all(ctl, &ask, "nodes", &nodes);
    ask.verb = ADMIN_RUNS;
    if (code == EXIT_DONE) {
        code = link_ask_all(ctl, &ask, "runs", &runs);
    }
    json_t *sums = make_sums(json_object_get(nodes, "nodes"));
    size_t i;
    const json_t *run;
    json_array_foreach(json_object_get(runs, "runs"), i, run)
    {
        json_t *checkpoint;
        if (code != EXIT_DONE || !json_is_integer(json_object_get(run, "latest"))) {
            continue;
        }
        struct message_admin_ask show = {.verb = ADMIN_PLACEMENT, .step = CKPT_STEP_LATEST};
        show.run.uid = (uint32_t)field_number(run, "uid");
        snprintf(show.run.name, sizeof(show.run.name), "%s", field_text(run, "run"));
        code = link_ask_all(ctl, &show, "shards", &checkpoint);
        if (code == EXIT_DONE) {
            add_up(sums, checkpoint);
            json_decref(checkpoint);
        }
    }
    if (code == EXIT_DONE) {
        print_nodes(ctl, sums);
    }
    json_decref(sums);
    json_decref(runs);
    json_decref(nodes);
    return code;
}

static enum exit_code run(struct ctl *ctl)
{
    struct message_admin_ask ask = {.verb = ADMIN_PLACEMENT, .step = CKPT_STEP_LATEST};
    const char *without = option_text(ctl, KEY_WITHOUT);
    if (without && ctl->operand_count > 0) {
        return complain(EXIT_USAGE, "--without is about every run: name none");
    }
    if (ctl->operand_count == 0) {
        return without ? without_node(ctl, without) : place_all(ctl);
    }
    if (!name_run(ctl, ctl->operands[0], &ask) ||
        (ctl->operand_count > 1 && !parse_step(ctl->operands[1], &ask.step))) {
        return EXIT_USAGE;
    }
    return place_run(ctl, &ask);
}

const struct verb verb_placement = {
    .name = "placement",
    .operands = "[RUN [STEP]]",
    .summary = "which nodes hold what",
    .help =
        "With RUN: for each rank the node that wrote its shard and those that hold copies, as\n"
        "node@domain. Without: for each node how many shards it owns and holds, over the newest\n"
        "consistent checkpoint of every run. With --without: the step that each run would go\n"
        "back to if the node were gone now, and the work that it would lose; exits 4 when a shard\n"
        "lies there alone.",
    .operands_max = 2,
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .run = run,
};
