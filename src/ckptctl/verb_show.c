/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "link.h"
#include "options.h"
#include "table.h"

enum key { KEY_WATCH };

static const struct config_key keys[] = {[KEY_WATCH] = OPTION_WATCH};

static const struct column columns[] = {
    {.name = "RANK", .right = true},
    {.name = "BYTES", .right = true},
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

static void print_checkpoint(const struct ctl *ctl, const json_t *checkpoint)
{
    struct table *table = table_make(columns, sizeof(columns) / sizeof(columns[0]));
    size_t i;
    const json_t *shard;
    const char *mark = field_text(checkpoint, "mark");
    printf("run %s of %s, attempt %" PRIu64 ", step %" PRIu64 ": %s%s%s%s\n",
           field_text(checkpoint, "run"), USER_TEXT(field_number(checkpoint, "uid")),
           field_number(checkpoint, "attempt"), field_number(checkpoint, "step"),
           field_text(checkpoint, "state"),
           field_true(checkpoint, "degraded") ? ", short of copies now" : "",
           mark[0] != '\0' ? ", marked " : "", mark);
    printf("%" PRIu64 " ranks, %s, %" PRIu64 " copies wanted, %" PRIu64 " shards ready\n\n",
           field_number(checkpoint, "world"), SIZE_TEXT(field_number(checkpoint, "bytes")),
           field_number(checkpoint, "copies"), field_number(checkpoint, "shards_ready"));
    json_array_foreach(json_object_get(checkpoint, "shards"), i, shard)
    {
        char copies[640];
        const char *digest = field_text(shard, "digest");
        enum style style = describe_copies(shard, copies, sizeof(copies));
        table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(shard, "rank"));
        table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(shard, "bytes"));
        table_cell(table, STYLE_PLAIN, "%s", digest[0] ? digest : "-");
        table_cell(table, style, "%s", copies[0] ? copies : "none");
    }
    table_print(table, ctl, "no shard is known");
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
    if (ctl->json) {
        print_json(document);
    } else {
        print_checkpoint(ctl, document);
    }
    json_decref(document);
    return EXIT_DONE;
}

const struct verb verb_show = {
    .name = "show",
    .operands = "RUN [STEP]",
    .summary = "shards of a checkpoint: digests, and who has copies",
    .help =
        "One line a rank. DIGEST is BLAKE3 of the shard: b3sum of the exported file prints the\n"
        "same. COPIES are nodes that hold one that they have digested themselves, unless said\n"
        "otherwise. STEP is a number or \"latest\", which is the default.",
    .operands_min = 1,
    .operands_max = 2,
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .run = run,
};
