/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "ckptctl/degree.h"
#include "ckptctl/document.h"
#include "ckptctl/link.h"
#include "ckptctl/options.h"
#include "ckptctl/table.h"
#include "ckptctl/text.h"

enum key { KEY_WATCH };

static const struct config_key keys[] = {[KEY_WATCH] = OPTION_WATCH};

static const struct column columns[] = {
    {.name = "RUN"},
    {.name = "USER"},
    {.name = "ATTEMPT", .right = true},
    {.name = "WORLD", .right = true},
    {.name = "LATEST", .right = true},
    {.name = "STATE"},
    {.name = "AGE", .right = true},
    {.name = "INTERVAL", .right = true},
    {.name = "TOOK", .right = true},
    {.name = "CHECKPOINTS", .right = true},
    {.name = "LINGERS", .right = true},
    {.name = "COMMITTED"},
};

static void add_row(struct table *table, const struct ctl *ctl, const json_t *run)
{
    if (ctl->user != CKPT_UID_ANY && ctl->user != field_number(run, "uid")) {
        return;
    }
    const json_t *latest = json_object_get(run, "latest");
    table_cell(table, STYLE_PLAIN, "%s", field_text(run, "run"));
    table_cell(table, STYLE_PLAIN, "%s", USER_TEXT(field_number(run, "uid")));
    table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(run, "attempt"));
    table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(run, "world"));
    if (json_is_integer(latest)) {
        table_cell(table, STYLE_GOOD, "%" PRIu64, (uint64_t)json_integer_value(latest));
    } else {
        table_cell(table, STYLE_WARN, "none");
    }
    const json_t *newest = json_object_get(run, "newest");
    table_cell(table, degree_style(newest), "%s",
               json_is_object(newest) ? STATE_TEXT(newest) : "-");
    table_cell(table, STYLE_PLAIN, "%s", DURATION_TEXT(newest, "age_ms"));
    table_cell(table, STYLE_PLAIN, "%s", DURATION_TEXT(newest, "interval_ms"));
    table_cell(table, STYLE_PLAIN, "%s", DURATION_TEXT(newest, "took_ms"));
    table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(run, "checkpoints"));
    if (json_is_integer(json_object_get(run, "linger_left_ms"))) {
        table_cell(table, STYLE_PLAIN, "%" PRIu64 " s", field_number(run, "linger_left_ms") / 1000);
    } else {
        table_cell(table, STYLE_PLAIN, "-");
    }
    table_cell(table, STYLE_PLAIN, "%s", TIME_TEXT(newest));
}

static enum exit_code run(struct ctl *ctl)
{
    json_t *document;
    struct message_admin_ask ask = {.verb = ADMIN_RUNS};
    enum exit_code code = link_ask_all(ctl, &ask, "runs", &document);
    if (code != EXIT_DONE) {
        return code;
    }
    table_show(ctl, document, "runs", columns, sizeof(columns) / sizeof(columns[0]), add_row,
               "no runs");
    json_decref(document);
    return EXIT_DONE;
}

const struct verb verb_runs = {
    .name = "runs",
    .operands = "",
    .summary = "training runs, and the newest step of each",
    .help =
        "One line a run. LATEST is its newest consistent step: what a restore would give; STATE "
        "is\n"
        "how whole that is now (ckptctl list --help), AGE how long ago it was committed, INTERVAL\n"
        "how long after the one before it, TOOK since its first rank's seal. LINGERS is how long\n"
        "the run is kept still, after its job has ended. Other users' runs are shown to\n"
        "root and to the user that ckptctld runs as.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .run = run,
};
