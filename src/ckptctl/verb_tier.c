/* SPDX-License-Identifier: Apache-2.0 */
/* What is in a tier, and whether it is what was put there. Asks no daemon. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckptctl/document.h"
#include "ckptctl/options.h"
#include "ckptctl/progress.h"
#include "ckptctl/table.h"
#include "ckptctl/text.h"
#include "tier/tier.h"

enum key { KEY_ENDPOINT, KEY_REGION };

static const struct config_key keys[] = {
    [KEY_ENDPOINT] = {.name = "endpoint",
                      .flag = "endpoint",
                      .type = CONFIG_STRING,
                      .placeholder = "URL",
                      .help = "of an S3 server that is not AWS', https://HOST:PORT"},
    [KEY_REGION] = {.name = "region",
                    .flag = "region",
                    .type = CONFIG_STRING,
                    .placeholder = "NAME",
                    .help = "of the bucket; else as $AWS_REGION says, or us-east-1"},
};

static const struct column columns[] = {
    {.name = "RUN"},
    {.name = "USER"},
    {.name = "STEP", .right = true},
    {.name = "ATTEMPT", .right = true},
    {.name = "WORLD", .right = true},
    {.name = "BYTES", .right = true},
    {.name = "STATE"},
    {.name = "DIGEST"},
};

static enum exit_code code_of(enum ckpt_status status)
{
    return status == CKPT_ERR_CONFIG ? EXIT_USAGE : EXIT_NO;
}

static enum exit_code open_tier(struct ctl *ctl, struct tier **tier_out)
{
    char reason[CKPT_REASON_MAX + 1];
    struct tier_options options = {.is_reader = true};
    options.endpoint = option_is_set(ctl, KEY_ENDPOINT) ? option_text(ctl, KEY_ENDPOINT) : NULL;
    options.region = option_is_set(ctl, KEY_REGION) ? option_text(ctl, KEY_REGION) : NULL;
    enum ckpt_status status = tier_open(ctl->operands[1], &options, tier_out, reason);
    return status == CKPT_OK ? EXIT_DONE : complain(code_of(status), "%s", reason);
}

/* Checkpoints that a list has named, to be read when it has ended. */
struct listed {
    struct tier_entry *entries;
    size_t count;
    size_t room;
};

static bool keep(void *context, const struct tier_entry *entry)
{
    struct listed *listed = context;
    if (listed->count == listed->room) {
        size_t room = listed->room > 0 ? 2 * listed->room : 64;
        struct tier_entry *grown = realloc(listed->entries, room * sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        listed->entries = grown;
        listed->room = room;
    }
    listed->entries[listed->count++] = *entry;
    return true;
}

static uint64_t bytes_of(const struct tier_manifest *manifest)
{
    uint64_t bytes = 0;
    for (uint32_t rank = 0; rank < manifest->world; rank++) {
        bytes += manifest->shards[rank].bytes;
    }
    return bytes;
}

static json_t *describe(struct tier *tier, const struct tier_entry *entry)
{
    char reason[CKPT_REASON_MAX + 1];
    char root[DIGEST_HEX_BYTES];
    struct tier_manifest *manifest = NULL;
    const struct tier_checkpoint_key *key = &entry->key;
    enum ckpt_status status = CKPT_ERR_NOT_FOUND;
    if (entry->is_whole) {
        status = tier_read_manifest(tier, key, &manifest, reason);
    }
    json_t *row =
        json_pack("{s:s,s:I,s:I,s:I,s:s}", "run", key->run.name, "uid", (json_int_t)key->run.uid,
                  "step", (json_int_t)key->step, "attempt", (json_int_t)key->attempt, "state",
                  status == CKPT_OK              ? "whole"
                  : status == CKPT_ERR_NOT_FOUND ? "unfinished"
                                                 : "damaged");
    if (status == CKPT_OK) {
        digest_hex(&manifest->root, root);
        json_object_set_new(row, "world", json_integer(manifest->world));
        json_object_set_new(row, "bytes", json_integer((json_int_t)bytes_of(manifest)));
        json_object_set_new(row, "made_ms", json_integer((json_int_t)manifest->made_ms));
        json_object_set_new(row, "made_by", json_string(manifest->made_by));
        json_object_set_new(row, "poisoned", json_boolean(manifest->mark == MARK_POISONED));
        json_object_set_new(row, "root", json_string(root));
    } else if (status != CKPT_ERR_NOT_FOUND) {
        json_object_set_new(row, "reason", json_string(reason));
    }
    tier_manifest_free(manifest);
    return row;
}

static void add_row(struct table *table, const struct ctl *ctl, const json_t *row)
{
    const char *state = field_text(row, "state");
    bool is_whole = strcmp(state, "whole") == 0;
    bool is_poisoned = field_true(row, "poisoned");
    enum style style = is_whole && !is_poisoned           ? STYLE_GOOD
                       : strcmp(state, "unfinished") == 0 ? STYLE_FAINT
                                                          : STYLE_BAD;
    (void)ctl;
    table_cell(table, STYLE_PLAIN, "%s", field_text(row, "run"));
    table_cell(table, STYLE_PLAIN, "%s", USER_TEXT(field_number(row, "uid")));
    table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(row, "step"));
    table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(row, "attempt"));
    if (is_whole) {
        table_cell(table, STYLE_PLAIN, "%" PRIu64, field_number(row, "world"));
        table_cell(table, STYLE_PLAIN, "%s", SIZE_TEXT(field_number(row, "bytes")));
    } else {
        table_cell(table, STYLE_FAINT, "-");
        table_cell(table, STYLE_FAINT, "-");
    }
    table_cell(table, style, "%s", is_poisoned ? "poisoned" : state);
    table_cell(table, STYLE_PLAIN, "%.16s", is_whole ? field_text(row, "root") : "-");
}

static enum exit_code list(struct ctl *ctl, struct tier *tier)
{
    char reason[CKPT_REASON_MAX + 1];
    struct listed listed = {0};
    json_t *rows = json_array();
    enum ckpt_status status = tier_list(tier, NULL, keep, &listed, reason);
    for (size_t i = 0; i < listed.count && status == CKPT_OK; i++) {
        json_array_append_new(rows, describe(tier, &listed.entries[i]));
    }
    free(listed.entries);
    json_t *document = json_pack("{s:o}", "checkpoints", rows);
    if (status == CKPT_OK) {
        table_show(ctl, document, "checkpoints", columns, sizeof(columns) / sizeof(columns[0]),
                   add_row, "the tier has no checkpoint");
    }
    json_decref(document);
    return status == CKPT_OK ? EXIT_DONE : complain(code_of(status), "%s", reason);
}

struct faults {
    const struct ctl *ctl;
    json_t *rows;
};

static void show_fault(void *context, const struct tier_fault *fault)
{
    static const char *const names[] = {
        [TIER_FAULT_MISSING] = "missing",       [TIER_FAULT_SIZE] = "size",
        [TIER_FAULT_DIGEST] = "digest",         [TIER_FAULT_MANIFEST] = "manifest",
        [TIER_FAULT_STRANGE] = "strange",       [TIER_FAULT_UNNAMED] = "unnamed",
        [TIER_FAULT_UNFINISHED] = "unfinished",
    };
    const struct faults *faults = context;
    if (faults->ctl->json) {
        json_array_append_new(faults->rows, json_pack("{s:s,s:s,s:s}", "kind", names[fault->kind],
                                                      "path", fault->path, "reason", fault->line));
        return;
    }
    progress_clear();
    printf("%s: %s: %s\n", names[fault->kind], fault->path, fault->line);
}

static enum exit_code fsck(struct ctl *ctl, struct tier *tier)
{
    char reason[CKPT_REASON_MAX + 1];
    struct faults faults = {.ctl = ctl, .rows = json_array()};
    struct tier_fsck_result result;
    progress_show(ctl, "reading %s", ctl->operands[1]);
    enum ckpt_status status = tier_fsck(tier, NULL, show_fault, &faults, &result, reason);
    progress_clear();
    if (status != CKPT_OK) {
        json_decref(faults.rows);
        return complain(code_of(status), "%s", reason);
    }
    if (ctl->json) {
        json_t *document =
            json_pack("{s:I,s:I,s:I,s:I,s:O}", "checkpoints", (json_int_t)result.checkpoints,
                      "files", (json_int_t)result.files, "bytes", (json_int_t)result.bytes, "wrong",
                      (json_int_t)result.faults, "faults", faults.rows);
        print_json(document);
        json_decref(document);
    } else {
        printf("%" PRIu64 " checkpoints, %" PRIu64 " files, %s read: %" PRIu64 " wrong\n",
               result.checkpoints, result.files, SIZE_TEXT(result.bytes), result.faults);
    }
    json_decref(faults.rows);
    return result.faults == 0 ? EXIT_DONE : EXIT_NO;
}

static enum exit_code run(struct ctl *ctl)
{
    struct tier *tier;
    bool is_list = strcmp(ctl->operands[0], "list") == 0;
    if (!is_list && strcmp(ctl->operands[0], "fsck") != 0) {
        return complain(EXIT_USAGE, "tier wants list or fsck, and the tier, not '%s'",
                        ctl->operands[0]);
    }
    enum exit_code code = open_tier(ctl, &tier);
    if (code == EXIT_DONE) {
        code = is_list ? list(ctl, tier) : fsck(ctl, tier);
        tier_close(&tier);
    }
    return code;
}

const struct verb verb_tier = {
    .name = "tier",
    .operands = "list|fsck DIR|s3://BUCKET/PREFIX",
    .summary = "what is in a tier, and whether it is right",
    .help =
        "Looks into a folder or bucket that checkpoints were drained to. Asks no daemon, and\n"
        "changes nothing.\n"
        "\n"
        "  ckptctl tier list /lustre/ckpt\n"
        "  ckptctl tier fsck s3://team/ckpt --endpoint=https://s3.example.org\n"
        "\n"
        "list has a line for each checkpoint: whole, when its manifest is there; unfinished,\n"
        "when it is being drained or was cut off; damaged, when its manifest cannot be read.\n"
        "\n"
        "fsck reads every byte and names each file that is wrong: missing, of another size, not\n"
        "what its BLAKE3 says, strange. It ends with 1 when one is. What has no name or no\n"
        "manifest yet is named and not counted. Nothing is ever deleted.\n"
        "\n"
        "Credentials for S3 come from $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY, or\n"
        "~/.aws/credentials.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .operands_min = 2,
    .operands_max = 2,
    .run = run,
};
