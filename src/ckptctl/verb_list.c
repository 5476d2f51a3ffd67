/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "ckptctl/degree.h"
#include "ckptctl/document.h"
#include "ckptctl/link.h"
#include "ckptctl/options.h"
#include "ckptctl/table.h"
#include "ckptctl/text.h"

enum key { KEY_WATCH };

static const struct config_key keys[] = {[KEY_WATCH] = OPTION_WATCH};

static const struct column columns[] = {
    {.name = "STEP", .right = true},
    {.name = "STATE"},
    {.name = "ATTEMPT", .right = true},
    {.name = "WORLD", .right = true},
    {.name = "COPIES", .right = true},
    {.name = "BYTES", .right = true},
    {.name = "SEALED", .right = true},
    {.name = "READY", .right = true},
    {.name = "AGE", .right = true},
    {.name = "INTERVAL", .right = true},
    {.name = "TOOK", .right = true},
    {.name = "COMMITTED"},
    {.name = "NOTE"},
};

/* A person's word, why it is not consistent, and what it lacks. */
static void add_note(struct table *table, const json_t *checkpoint)
{
    const char *mark = field_text(checkpoint, "mark");
    const char *reason = field_text(checkpoint, "reason");
    bool has_reason = reason[0] != '\0' && strcmp(mark, "poisoned") != 0; /* it says the same */
    struct long_text lacks = degree_shortages(checkpoint);
    const char *state = field_text(checkpoint, "state");
    bool is_open = strcmp(state, "open") == 0 || strcmp(state, "verifying") == 0;
    has_reason = has_reason && !is_open; /* what it lacks is said as it is now */
    table_cell(table, degree_style(checkpoint), "%s%s%s%s%s%s", mark[0] != '\0' ? "marked " : "",
               mark, mark[0] != '\0' && (has_reason || lacks.text[0]) ? "; " : "",
               has_reason ? reason : "", has_reason && lacks.text[0] ? "; " : "", lacks.text);
}

static void add_row(struct table *table, const struct ctl *ctl, const json_t *checkpoint)
{
    (void)ctl;
    uint64_t world = field_number(checkpoint, "world");
    table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(checkpoint, "step"));
    table_cell(table, degree_style(checkpoint), "%s", STATE_TEXT(checkpoint));
    table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(checkpoint, "attempt"));
    table_cell(table, STYLE_PLAIN, "%" PRIu64, world);
    table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(checkpoint, "copies"));
    table_cell(table, STYLE_PLAIN, "%s", SIZE_TEXT(field_number(checkpoint, "bytes")));
    table_cell(table, STYLE_PLAIN, "%" PRIu64 "/%" PRIu64,
               field_number(checkpoint, "shards_sealed"), world);
    table_cell(table, STYLE_PLAIN, "%" PRIu64 "/%" PRIu64, field_number(checkpoint, "shards_ready"),
               world);
    table_cell(table, STYLE_PLAIN, "%s", DURATION_TEXT(checkpoint, "age_ms"));
    table_cell(table, STYLE_PLAIN, "%s", DURATION_TEXT(checkpoint, "interval_ms"));
    table_cell(table, STYLE_PLAIN, "%s", DURATION_TEXT(checkpoint, "took_ms"));
    table_cell(table, STYLE_PLAIN, "%s", TIME_TEXT(checkpoint));
    add_note(table, checkpoint);
}

static enum exit_code run(struct ctl *ctl)
{
    json_t *document;
    struct message_admin_ask ask = {.verb = ADMIN_LIST};
    if (!name_run(ctl, ctl->operands[0], &ask)) {
        return EXIT_USAGE;
    }
    enum exit_code code = link_ask_all(ctl, &ask, "checkpoints", &document);
    if (code != EXIT_DONE) {
        return code;
    }
    sort_by(json_object_get(document, "checkpoints"), "step", true);
    table_show(ctl, document, "checkpoints", columns, sizeof(columns) / sizeof(columns[0]), add_row,
               "the run has no checkpoint");
    json_decref(document);
    return EXIT_DONE;
}

const struct verb verb_list = {
    .name = "list",
    .operands = "RUN",
    .summary = "checkpoints of a run",
    .help =
        "The checkpoints of a run, newest first.\n"
        "\n"
        "  open         some ranks have sealed their shard, some have not\n"
        "  verifying    all have; copies are made and digested\n"
        "  consistent   every shard has its copies, equal, in distinct failure domains\n"
        "  degraded N/M was consistent; now some shard has N of the M copies asked for\n"
        "  at risk 1/M  the same, and some shard has one copy left\n"
        "  lost 0/M     the same, and of some shard no copy is known now; NOTE says where it was\n"
        "  quarantined  was consistent; kept, but no longer offered after failed restores\n"
        "  aborted      will never be consistent; NOTE says why\n"
        "\n"
        "SEALED counts shards that their ranks have written, READY those that have all copies\n"
        "now. Only copies of nodes that are joined count. AGE is since the commit, INTERVAL from\n"
        "the commit before it, TOOK from the first rank's seal; - where it is not known.",
    .operands_min = 1,
    .operands_max = 1,
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .run = run,
};
