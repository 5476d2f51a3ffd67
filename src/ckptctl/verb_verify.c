/* SPDX-License-Identifier: Apache-2.0 */
/* Digest all copies again, now: the coordinator orders it, and never tells a node what it should
 * find.
 *
 * What is judged are the copies that were verified when the verb began. Each of them has one of
 * these ends: it was digested after the order and still counts (ok); it was refused, which shows as
 * bad, as gone, or as a new copy being made in its place (differs, when its node's count of
 * mismatches rose; else gone, as with a lost node); or nothing is heard in time. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ckptctl/degree.h"
#include "base/clock.h"
#include "ckptctl/document.h"
#include "ckptctl/link.h"
#include "ckptctl/names.h"
#include "ckptctl/options.h"
#include "ckptctl/pause.h"
#include "ckptctl/progress.h"
#include "ckptctl/table.h"

#define POLL_MS 100

enum key { KEY_TIMEOUT, KEY_ANY, KEY_BLAKE3 };

static const struct config_key keys[] = {
    [KEY_TIMEOUT] = OPTION_TIMEOUT("60s", "how long the digests may take"),
    [KEY_ANY] = OPTION_ANY("exit with 0 as long as every shard has a copy, and all are good"),
    [KEY_BLAKE3] = OPTION_SWITCH("blake3", "print BLAKE3 of every copy, as b3sum of an export"),
};

#define COLUMNS 4 /* and one more with --blake3 */

static const struct column columns[] = {
    {.name = "RANK", .right = true},
    {.name = "NODE"},
    {.name = "DOMAIN"},
    {.name = "RESULT"},
    {.name = "BLAKE3"},
};

static const json_t *find(const json_t *array, const char *name, const char *text)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(array, i, entry)
    {
        if (strcmp(field_text(entry, name), text) == 0) {
            return entry;
        }
    }
    return NULL;
}

static const json_t *find_shard(const json_t *document, uint64_t rank)
{
    const json_t *shards = json_object_get(document, "shards");
    /* In rank order, all of them, in a consistent checkpoint. */
    const json_t *shard = json_array_get(shards, rank);
    if (shard && field_number(shard, "rank") == rank) {
        return shard;
    }
    size_t i;
    json_array_foreach(shards, i, shard)
    {
        if (field_number(shard, "rank") == rank) {
            return shard;
        }
    }
    return NULL;
}

/* The copies to be judged: [{"rank", "node", "domain", "generation", "result": "waiting"}]. */
static json_t *copies_of(const json_t *document)
{
    json_t *copies = json_array();
    size_t i;
    size_t j;
    const json_t *shard;
    const json_t *copy;
    json_array_foreach(json_object_get(document, "shards"), i, shard)
    {
        json_array_foreach(json_object_get(shard, "copies"), j, copy)
        {
            if (strcmp(field_text(copy, "state"), "verified") == 0 && !field_true(copy, "cached") &&
                !field_true(copy, "bad")) {
                json_array_append_new(
                    copies,
                    json_pack("{s:O,s:O,s:O,s:O,s:s}", "rank", json_object_get(shard, "rank"),
                              "node", json_object_get(copy, "node"), "domain",
                              json_object_get(copy, "domain"), "generation",
                              json_object_get(copy, "generation"), "result", "no answer"));
            }
        }
    }
    return copies;
}

/* Whether the node's count of mismatches rose between two tables of nodes. */
static bool mismatched(const json_t *before, const json_t *after, const char *node)
{
    const json_t *was = find(json_object_get(before, "nodes"), "node", node);
    const json_t *is = find(json_object_get(after, "nodes"), "node", node);
    return was && is && field_number(is, "mismatches") > field_number(was, "mismatches");
}

/* Brings the results up to what the documents say; how many are still waiting. */
static size_t judge(json_t *copies, const json_t *shown, uint64_t asked_ms, const json_t *before,
                    const json_t *after)
{
    size_t waiting = 0;
    size_t i;
    json_t *copy;
    json_array_foreach(copies, i, copy)
    {
        const char *node = field_text(copy, "node");
        const json_t *shard = find_shard(shown, field_number(copy, "rank"));
        const json_t *now = find(json_object_get(shard, "copies"), "node", node);
        bool is_there = now && !field_true(now, "bad") &&
                        strcmp(field_text(now, "state"), "verified") == 0 &&
                        field_number(now, "generation") == field_number(copy, "generation");
        const char *result = "no answer";
        if (!is_there) {
            result = mismatched(before, after, node) ? "differs" : "gone";
        } else if (field_number(now, "verified_ms") >= asked_ms) {
            result = "ok";
        } else {
            waiting++;
        }
        json_object_set_new(copy, "result", json_string(result));
    }
    return waiting;
}

static void add_name(const struct ctl *ctl, struct table *table, const json_t *copy)
{
    const char *name = field_text(copy, "blake3");
    if (option_flag(ctl, KEY_BLAKE3)) {
        table_cell(table, STYLE_PLAIN, "%s", name[0] != '\0' ? name : "-");
    }
}

/* A row for each copy that was asked for and is not there, on the node where it belongs; how many
 * those are of the shard. */
static uint64_t add_missing(const struct ctl *ctl, struct table *table, const json_t *document,
                            const json_t *shard)
{
    uint64_t asked = field_number(document, "copies");
    uint64_t now = field_number(shard, "copies_now");
    uint64_t missing = now < asked ? asked - now : 0;
    const json_t *homes = json_object_get(shard, "homes");
    size_t home = 0;
    for (uint64_t i = 0; i < missing; i++) {
        while (field_true(json_array_get(homes, home), "has")) {
            home++;
        }
        const char *node = field_text(json_array_get(homes, home++), "node");
        table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(shard, "rank"));
        table_cell(table, STYLE_PLAIN, "%s", node[0] != '\0' ? node : "-");
        table_cell(table, STYLE_PLAIN, "-");
        table_cell(table, STYLE_BAD, "missing");
        add_name(ctl, table, NULL);
    }
    return missing;
}

static void add_result(const struct ctl *ctl, struct table *table, const json_t *copy, bool ok)
{
    table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(copy, "rank"));
    table_cell(table, STYLE_PLAIN, "%s", field_text(copy, "node"));
    table_cell(table, STYLE_PLAIN, "%s", field_text(copy, "domain"));
    table_cell(table, ok ? STYLE_GOOD : STYLE_BAD, "%s", field_text(copy, "result"));
    add_name(ctl, table, copy);
}

static void print_answer(const struct ctl *ctl, const json_t *document, json_t *copies, bool equal,
                         uint64_t missing)
{
    if (ctl->json) {
        json_t *answer = json_pack(
            "{s:O,s:O,s:O,s:b,s:I,s:I,s:O}", "run", json_object_get(document, "run"), "attempt",
            json_object_get(document, "attempt"), "step", json_object_get(document, "step"),
            "equal", (int)equal, "asked", (json_int_t)json_array_size(copies) + (json_int_t)missing,
            "missing", (json_int_t)missing, "copies", copies);
        print_json(answer);
        fflush(stdout);
        json_decref(answer);
    }
}

static enum exit_code print_results(const struct ctl *ctl, json_t *document, json_t *copies)
{
    enum exit_code code = json_array_size(copies) > 0 ? EXIT_DONE : EXIT_NO;
    size_t good = 0;
    uint64_t missing = 0;
    size_t i;
    const json_t *entry;
    struct table *table = table_make(columns, COLUMNS + option_flag(ctl, KEY_BLAKE3));
    json_array_foreach(copies, i, entry)
    {
        bool ok = strcmp(field_text(entry, "result"), "ok") == 0;
        good += ok;
        code = ok ? code : EXIT_NO;
        add_result(ctl, table, entry, ok);
    }
    json_array_foreach(json_object_get(document, "shards"), i, entry)
    {
        missing += add_missing(ctl, table, document, entry);
    }
    print_answer(ctl, document, copies, code == EXIT_DONE, missing);
    if (ctl->json) {
        table_free(table);
    } else {
        table_print(table, ctl, "the checkpoint has no verified copy");
        printf("\nstep %" PRIu64 ": %zu of %" PRIu64 " copies are what they should be\n",
               field_number(document, "step"), good, json_array_size(copies) + missing);
    }
    return code == EXIT_DONE ? degree_code(document, option_flag(ctl, KEY_ANY)) : code;
}

struct verification {
    struct message_admin_ask show;
    json_t *shown;
    json_t *nodes_before;
    json_t *copies;
    json_t *judged;    /* of these: what is proven again */
    uint64_t asked_ms; /* by the coordinator's clock */
    uint64_t end_ms;
};

/* What they are proven with. */
static bool is_by_blake3(const struct verification *v)
{
    const json_t *first = json_array_get(json_object_get(v->shown, "shards"), 0);
    return strcmp(field_text(first, "digest_kind"), "blake3") == 0;
}

static enum exit_code begin(struct ctl *ctl, struct verification *v)
{
    struct message_admin_ask nodes = {.verb = ADMIN_NODES};
    enum exit_code code = link_ask_all(ctl, &v->show, "shards", &v->shown);
    if (code == EXIT_DONE) {
        code = link_ask_all(ctl, &nodes, "nodes", &v->nodes_before);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    /* From here on this very checkpoint, whatever becomes the latest meanwhile. */
    v->show.step = field_number(v->shown, "step");
    v->show.run.uid = (uint32_t)field_number(v->shown, "uid");
    v->copies = copies_of(v->shown);
    return EXIT_DONE;
}

static enum exit_code ask_all(struct ctl *ctl, struct verification *v)
{
    char reason[CKPT_REASON_MAX + 1];
    json_t *answer;
    struct message_admin_ask verify = v->show;
    v->judged = json_incref(v->copies);
    verify.verb = ADMIN_VERIFY;
    enum ckpt_status status = link_ask(ctl, &verify, &answer, reason);
    if (status != CKPT_OK) {
        return link_complain(status, reason);
    }
    v->asked_ms = field_number(answer, "now_ms");
    json_decref(answer);
    return EXIT_DONE;
}

static enum exit_code await_results(struct ctl *ctl, struct verification *v)
{
    for (;;) {
        json_t *nodes;
        json_t *shown;
        struct message_admin_ask ask = {.verb = ADMIN_NODES};
        /* The shards first: a mismatch is counted before its copy goes. */
        enum exit_code code = link_ask_all(ctl, &v->show, "shards", &shown);
        if (code != EXIT_DONE) {
            return code;
        }
        code = link_ask_all(ctl, &ask, "nodes", &nodes);
        if (code != EXIT_DONE) {
            json_decref(shown);
            return code;
        }
        size_t waiting = judge(v->judged, shown, v->asked_ms, v->nodes_before, nodes);
        json_decref(nodes);
        json_decref(shown);
        if (waiting == 0 || clock_now_ms() >= v->end_ms) {
            progress_clear();
            return EXIT_DONE;
        }
        progress_show(ctl, "%zu of %zu copies digested", json_array_size(v->judged) - waiting,
                      json_array_size(v->judged));
        pause_ms(POLL_MS);
    }
}

/* Of copies that BLAKE3 proves it is the committed digest that the good ones have. */
static void name_good(const struct verification *v)
{
    size_t i;
    json_t *copy;
    json_array_foreach(v->copies, i, copy)
    {
        bool is_good = strcmp(field_text(copy, "result"), "ok") == 0;
        json_t *digest =
            json_object_get(find_shard(v->shown, field_number(copy, "rank")), "digest");
        json_object_set(copy, "blake3", is_good && digest ? digest : json_null());
    }
}

/* Beside the proof. Where two copies of a shard differ, the coordinator has its copies proven
 * again, and those that are wrong are found so. */
static enum exit_code await_names(struct ctl *ctl, struct verification *v)
{
    enum exit_code code = names_await(ctl, &v->show, v->copies, v->end_ms, &v->asked_ms);
    if (code != EXIT_DONE) {
        return code;
    }
    v->judged = names_differing(v->copies);
    code = json_array_size(v->judged) > 0 ? await_results(ctl, v) : EXIT_DONE;
    names_judge(v->judged);
    return code;
}

static enum exit_code await(struct ctl *ctl, struct verification *v)
{
    bool by_name = option_flag(ctl, KEY_BLAKE3);
    if (by_name && !is_by_blake3(v)) {
        return await_names(ctl, v);
    }
    enum exit_code code = ask_all(ctl, v);
    if (code == EXIT_DONE) {
        code = await_results(ctl, v);
    }
    if (by_name) {
        name_good(v);
    }
    return code;
}

static enum exit_code run(struct ctl *ctl)
{
    struct verification v = {.show = {.verb = ADMIN_SHOW, .step = CKPT_STEP_LATEST},
                             .end_ms = clock_now_ms() + option_number(ctl, KEY_TIMEOUT)};
    if (!name_run(ctl, ctl->operands[0], &v.show) ||
        (ctl->operand_count > 1 && !parse_step(ctl->operands[1], &v.show.step))) {
        return EXIT_USAGE;
    }
    enum exit_code code = begin(ctl, &v);
    if (code == EXIT_DONE) {
        code = await(ctl, &v);
    }
    if (code == EXIT_DONE) {
        code = print_results(ctl, v.shown, v.copies);
    }
    json_decref(v.judged);
    json_decref(v.copies);
    json_decref(v.nodes_before);
    json_decref(v.shown);
    return code;
}

const struct verb verb_verify = {
    .name = "verify",
    .operands = "RUN [STEP]",
    .summary = "digest all copies again, now, and compare",
    .help =
        "Every node that holds a copy digests its own memory again. It is not told which digest\n"
        "it should find. Exits 1 when a copy differs, is gone, or was not digested within\n"
        "--timeout; 4 when all are good, and fewer than were asked for. A copy that differs is\n"
        "refused, freed and made anew from a good one by itself.\n"
        "\n"
        "With --blake3 each prints what b3sum prints of its copy. Where copies are proven by\n"
        "fingerprints that is computed beside; copies of one shard whose BLAKE3 differs are\n"
        "proven again.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .operands_min = 1,
    .operands_max = 2,
    .run = run,
};
