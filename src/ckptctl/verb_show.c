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

enum key { KEY_WATCH, KEY_PROBLEMS };

static const struct config_key keys[] = {
    [KEY_WATCH] = OPTION_WATCH,
    [KEY_PROBLEMS] = OPTION_SWITCH("problems", "only shards that have fewer copies than asked for"),
};

static const struct column columns[] = {
    {.name = "RANK", .right = true},
    {.name = "BYTES", .right = true},
    {.name = "KIND"},
    {.name = "DIGEST"},
    {.name = "COPIES"},
};

/* "node0(owner) node1 node2(pulling)" */
static enum style describe_copies(const json_t *shard, char *text_out, size_t size)
{
    enum style style = STYLE_PLAIN;
    size_t used = 0;
    size_t i;
    const json_t *copy;
    text_out[0] = '\0';
    json_array_foreach(json_object_get(shard, "copies"), i, copy)
    {
        const char *state = field_text(copy, "state");
        bool bad = field_true(copy, "bad");
        const char *note = bad                              ? "(BAD)"
                           : field_true(copy, "verifying")  ? "(verifying)"
                           : field_true(copy, "pulling")    ? "(pulling)"
                           : strcmp(state, "verified") != 0 ? state
                           : field_true(copy, "cached")     ? "(cached)"
                           : field_true(copy, "owner")      ? "(owner)"
                                                            : "";
        bool bare = note == state;
        int bytes = snprintf(text_out + used, size - used, "%s%s%s%s%s", i ? " " : "",
                             field_text(copy, "node"), bare ? "(" : "", note, bare ? ")" : "");
        used += bytes > 0 && (size_t)bytes < size - used ? (size_t)bytes : 0;
        style = bad ? STYLE_BAD : style;
    }
    return style;
}

static void print_when(const json_t *checkpoint)
{
    if (!json_is_string(json_object_get(checkpoint, "committed_at"))) {
        return;
    }
    printf("committed   %s, %s ago", TIME_TEXT(checkpoint), DURATION_TEXT(checkpoint, "age_ms"));
    if (json_is_integer(json_object_get(checkpoint, "interval_ms"))) {
        printf("; %s after the one before it", DURATION_TEXT(checkpoint, "interval_ms"));
    }
    if (json_is_integer(json_object_get(checkpoint, "took_ms"))) {
        printf("; took %s from the first rank's seal, %s of it after the last one's",
               DURATION_TEXT(checkpoint, "took_ms"), DURATION_TEXT(checkpoint, "copying_ms"));
    }
    putchar('\n');
}

/* A line for each that "; " divides. */
static void print_lines(const char *what, const char *text)
{
    for (const char *end; (end = strstr(text, "; ")) != NULL; text = end + 2) {
        printf("%-12s%.*s\n", what, (int)(end - text), text);
        what = "";
    }
    printf("%-12s%s\n", what, text);
}

/* What a person asks first. */
static void print_summary(const json_t *checkpoint)
{
    const char *mark = field_text(checkpoint, "mark");
    const char *reason = field_text(checkpoint, "reason");
    uint64_t world = field_number(checkpoint, "world");
    struct long_text lacks = degree_shortages(checkpoint);
    bool is_committed = json_is_string(json_object_get(checkpoint, "degree"));
    printf("run %s of %s, attempt %" PRIu64 ", step %" PRIu64 ": %s%s%s\n",
           field_text(checkpoint, "run"), USER_TEXT(field_number(checkpoint, "uid")),
           field_number(checkpoint, "attempt"), field_number(checkpoint, "step"),
           STATE_TEXT(checkpoint), mark[0] != '\0' ? ", marked " : "", mark);
    print_when(checkpoint);
    printf("holds       %s of %" PRIu64 " ranks, %" PRIu64 " of them sealed\n",
           SIZE_TEXT(field_number(checkpoint, "bytes")), world,
           field_number(checkpoint, "shards_sealed"));
    printf("copies      %" PRIu64 " asked for; %" PRIu64 " of %" PRIu64 " shards have them",
           field_number(checkpoint, "copies"), field_number(checkpoint, "shards_ready"), world);
    if (is_committed) {
        printf(", the one that has fewest has %" PRIu64, field_number(checkpoint, "copies_now"));
    }
    putchar('\n');
    if (field_true(checkpoint, "persisted")) {
        printf("tier        persisted\n");
    } else if (field_true(checkpoint, "persisting")) {
        printf("tier        on its way, %" PRIu64 " shards are not there yet\n",
               field_number(checkpoint, "persist_left"));
    }
    if (lacks.text[0] != '\0') {
        print_lines(is_committed ? "problems" : "waits", lacks.text);
    }
    if (reason[0] != '\0') {
        printf("note        %s\n", reason);
    }
    putchar('\n');
}

static bool is_whole(const json_t *checkpoint, const json_t *shard)
{
    return field_number(shard, "copies_now") >= field_number(checkpoint, "copies");
}

static void keep_problems(json_t *checkpoint)
{
    json_t *shards = json_object_get(checkpoint, "shards");
    for (size_t i = json_array_size(shards); i > 0; i--) {
        if (is_whole(checkpoint, json_array_get(shards, i - 1))) {
            json_array_remove(shards, i - 1);
        }
    }
}

static void print_shards(const struct ctl *ctl, const json_t *checkpoint)
{
    struct table *table = table_make(columns, sizeof(columns) / sizeof(columns[0]));
    size_t i;
    const json_t *shard;
    json_array_foreach(json_object_get(checkpoint, "shards"), i, shard)
    {
        char copies[640];
        const char *digest = field_text(shard, "digest");
        const char *kind = field_text(shard, "digest_kind");
        enum style style = describe_copies(shard, copies, sizeof(copies));
        table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(shard, "rank"));
        table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(shard, "bytes"));
        table_cell(table, STYLE_PLAIN, "%s", kind[0] ? kind : "-");
        table_cell(table, STYLE_PLAIN, "%s", digest[0] ? digest : "-");
        table_cell(table, is_whole(checkpoint, shard) ? style : STYLE_BAD, "%s",
                   copies[0] ? copies : "none");
    }
    table_print(table, ctl,
                option_flag(ctl, KEY_PROBLEMS) ? "every shard that is known has its copies"
                                               : "no shard is known");
}

static enum exit_code run(struct ctl *ctl)
{
    json_t *document;
    struct message_admin_ask ask = {.verb = ADMIN_SHOW, .step = CKPT_STEP_LATEST};
    if (!name_run(ctl, ctl->operands[0], &ask) ||
        (ctl->operand_count > 1 && !parse_step(ctl->operands[1], &ask.step))) {
        return EXIT_USAGE;
    }
    enum exit_code code = link_ask_all(ctl, &ask, "shards", &document);
    if (code != EXIT_DONE) {
        return code;
    }
    if (option_flag(ctl, KEY_PROBLEMS)) {
        keep_problems(document);
    }
    if (ctl->json) {
        print_json(document);
    } else {
        print_summary(document);
        print_shards(ctl, document);
    }
    json_decref(document);
    return EXIT_DONE;
}

const struct verb verb_show = {
    .name = "show",
    .operands = "RUN [STEP]",
    .summary = "shards of a checkpoint: digests, and who has copies",
    .help =
        "What a person asks first: how whole it is now (ckptctl list --help says the words), when\n"
        "it was committed and how long that took, what is wrong by rank and node. Then one line a\n"
        "rank. DIGEST is what its copies were proven equal by, of the KIND beside it: blake3 is\n"
        "what b3sum prints of the exported file, fingerprint is under a key of the run's own.\n"
        "COPIES are nodes that hold one that they have digested themselves, unless said\n"
        "otherwise. STEP is a number or \"latest\", which is the default.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .operands_min = 1,
    .operands_max = 2,
    .run = run,
};
