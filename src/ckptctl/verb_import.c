/* SPDX-License-Identifier: Apache-2.0 */
/* Files become a checkpoint: each FILE is the shard of one rank, saved as a trainer would. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <ckpt/ckpt.h>

#include "ckptctl/agent.h"
#include "base/clock.h"
#include "ckptctl/document.h"
#include "ckptctl/import_look.h"
#include "ckptctl/pause.h"
#include "ckptctl/text.h"
#include "client/look.h"
#include "ckptctl/import_list.h"
#include "ckptctl/options.h"
#include "ckptctl/progress.h"

#define IDLE_MS 2000

enum key { KEY_OPAQUE, KEY_WAIT, KEY_TIMEOUT, KEY_COPIES, KEY_ATTEMPT };

static const struct config_key keys[] = {
    [KEY_OPAQUE] = OPTION_SWITCH("opaque", "takes what is refused otherwise, as bytes"),
    [KEY_WAIT] = {.name = "wait",
                  .flag = "wait",
                  .letter = 'w',
                  .type = CONFIG_BOOL,
                  .help = "until the checkpoint is consistent"},
    [KEY_TIMEOUT] = OPTION_TIMEOUT("60s", "how long --wait may take"),
    [KEY_COPIES] = {.name = "copies",
                    .flag = "copies",
                    .type = CONFIG_INTEGER,
                    .min = 1,
                    .max = CKPT_COPIES_MAX,
                    .help = "of each shard (default: the agent's)"},
    [KEY_ATTEMPT] = OPTION_ATTEMPT("of the run (default: one above its newest)"),
};

struct import {
    struct ctl *ctl;
    const char *run;
    uint64_t step;
    uint32_t attempt;
    uint32_t world;
    struct import_list list;
    struct ckpt **ranks; /* world contexts, NULL where not yet open */
    uint32_t staged;
    uint64_t bytes; /* of them */
};

/* The attempt to save in: one above the run's newest, so that nothing which an import that was
 * broken off has left is in the way. It would end what ranks that run now can save; so they are
 * asked for first. */
static enum exit_code choose_attempt(struct import *import, const struct client_run *run)
{
    if (run->live > 0) {
        return complain(EXIT_NO,
                        "a job of %s runs (attempt %" PRIu32 ", %" PRIu32
                        " ranks): an import would take the run from it; end it first, or import "
                        "as another run; --attempt=%" PRIu32 " imports all the same",
                        import->run, run->attempt, run->live, run->attempt + 1);
    }
    if (run->has_latest && run->attempt == 0) {
        return complain(EXIT_NO,
                        "the coordinator, which is of another release, does not say whether a job "
                        "of %s runs: name an attempt above %" PRIu32 " by --attempt",
                        import->run, run->latest_attempt);
    }
    import->attempt = run->attempt + 1;
    return EXIT_DONE;
}

static enum exit_code complain_taken(const struct import *import)
{
    return complain(EXIT_NO, "%s has step %" PRIu64 " already; choose a higher step", import->run,
                    import->step);
}

/* Ranks that have just ended, those of an import before this one say, are seen to be gone a moment
 * later. */
static enum ckpt_status look_until_idle(struct ckpt *reader, struct client_run *run_out)
{
    uint64_t end_ms = clock_now_ms() + IDLE_MS;
    for (;;) {
        enum ckpt_status status = client_run_look(reader, run_out);
        if (status != CKPT_OK || run_out->live == 0 || clock_now_ms() >= end_ms) {
            return status;
        }
        pause_ms(IDLE_MS / 20);
    }
}

/* Whether the run takes this step, and in which attempt. */
static enum exit_code look_at_run(struct import *import)
{
    struct ckpt *reader;
    struct client_run run;
    uint32_t asked = (uint32_t)option_number(import->ctl, KEY_ATTEMPT);
    enum exit_code code = agent_open_reader(import->ctl, import->run, &reader);
    if (code != EXIT_DONE) {
        return code;
    }
    enum ckpt_status status =
        asked > 0 ? client_run_look(reader, &run) : look_until_idle(reader, &run);
    if (status != CKPT_OK) {
        code = agent_complain(status, ckpt_reason(reader));
    } else if (run.has_latest && run.latest == import->step) {
        code = complain_taken(import);
    } else if (run.has_latest && run.latest > import->step) {
        code = complain(EXIT_NO, "%s is at step %" PRIu64 " already; choose a higher step",
                        import->run, run.latest);
    } else if (asked > 0 && asked <= run.attempt) {
        code = complain(EXIT_NO,
                        "attempt %" PRIu32 " of %s was begun before; name one above %" PRIu32
                        ", or none",
                        asked, import->run, run.attempt);
    } else if (asked > 0) {
        import->attempt = asked;
    } else {
        code = choose_attempt(import, &run);
    }
    ckpt_close(&reader);
    return code;
}

static enum exit_code open_rank(struct import *import, uint32_t rank)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    struct ckpt_options options = {.size = sizeof(options),
                                   .socket = import->ctl->agent_socket,
                                   .run = import->run,
                                   .attempt = import->attempt,
                                   .rank = rank,
                                   .world = import->world,
                                   .copies = (uint32_t)option_number(import->ctl, KEY_COPIES)};
    enum ckpt_status status =
        ckpt_open_reason(&options, &import->ranks[rank], reason, sizeof(reason));
    return status == CKPT_OK ? EXIT_DONE : agent_complain(status, reason);
}

static enum exit_code complain_changed(const struct import_file *file)
{
    return complain(EXIT_NO, "%s was written to since it was looked at; import it when it is whole",
                    file->path);
}

static enum exit_code save_file(struct import *import, uint32_t rank)
{
    const struct import_file *file = &import->list.files[rank];
    const struct import_mapping *mapping = &file->mapping;
    struct ckpt *ckpt = import->ranks[rank];
    if (!import_is_unchanged(file->path, mapping)) {
        return complain_changed(file);
    }
    import_reads(file->path);
    enum ckpt_status status =
        file->form == IMPORT_SHARD
            ? ckpt_save_shard(ckpt, import->step, mapping->data, mapping->bytes)
            : ckpt_save_bytes(ckpt, import->step, mapping->data, mapping->bytes);
    import->bytes += mapping->bytes;
    if (status == CKPT_OK) {
        import->staged++;
        return import_is_unchanged(file->path, mapping) ? EXIT_DONE : complain_changed(file);
    }
    const char *reason = ckpt_reason(ckpt);
    return complain(status == CKPT_ERR_NO_AGENT ? EXIT_NOBODY : EXIT_NO, "%s: %s", file->path,
                    reason[0] ? reason : ckpt_status_text(status));
}

static enum exit_code await_consistent(struct import *import)
{
    uint64_t end_ms = clock_now_ms() + option_number(import->ctl, KEY_TIMEOUT);
    progress_show(import->ctl, "all staged; copies are made and digested");
    for (uint32_t rank = 0; rank < import->world; rank++) {
        uint64_t now = clock_now_ms();
        uint32_t left_ms = now < end_ms ? (uint32_t)(end_ms - now) : 0;
        enum ckpt_status status = ckpt_wait(import->ranks[rank], import->step, left_ms);
        if (status == CKPT_ERR_STEP) { /* an import before this one was not broken off after all */
            return complain_taken(import);
        }
        if (status != CKPT_OK) {
            return agent_complain(status, ckpt_reason(import->ranks[rank]));
        }
    }
    return EXIT_DONE;
}

/* The files that are kept as opaque bytes, and why: [{file, reason}]. */
static json_t *list_opaque(const struct import *import)
{
    json_t *array = json_array();
    for (uint32_t rank = 0; rank < import->world; rank++) {
        const struct import_file *file = &import->list.files[rank];
        if (file->form != IMPORT_SHARD) {
            json_array_append_new(
                array, json_pack("{s:s,s:s}", "file", file->path, "reason", file->reason));
        }
    }
    return array;
}

static const char *form_text(enum import_form form)
{
    return form == IMPORT_BEYOND ? "safetensors, but beyond what ckptd takes" : "not safetensors";
}

static enum exit_code report(const struct import *import)
{
    const char *state = option_flag(import->ctl, KEY_WAIT) ? "consistent" : "staged";
    json_t *opaque = list_opaque(import);
    if (import->ctl->json) {
        json_t *document =
            json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:o,s:s}", "run", import->run, "step",
                      (json_int_t)import->step, "attempt", (json_int_t)import->attempt, "world",
                      (json_int_t)import->world, "bytes", (json_int_t)import->bytes, "opaque",
                      (json_int_t)json_array_size(opaque), "opaque_files", opaque, "state", state);
        print_json(document);
        json_decref(document);
        return EXIT_DONE;
    }
    printf("step %" PRIu64 " of %s, attempt %" PRIu32 ": %" PRIu32 " ranks, %s, %s\n", import->step,
           import->run, import->attempt, import->world, SIZE_TEXT(import->bytes), state);
    for (uint32_t rank = 0; rank < import->world; rank++) {
        const struct import_file *file = &import->list.files[rank];
        if (file->form != IMPORT_SHARD) {
            printf("%s is %s, and was saved as opaque bytes: %s\n", file->path,
                   form_text(file->form), file->reason);
        }
    }
    json_decref(opaque);
    return EXIT_DONE;
}

/* All ranks have their place before the first byte is staged. */
static enum exit_code stage_all(struct import *import)
{
    enum exit_code code = EXIT_DONE;
    uint64_t bytes = 0;
    for (uint32_t rank = 0; rank < import->world && code == EXIT_DONE; rank++) {
        bytes += import->list.files[rank].mapping.bytes;
        code = open_rank(import, rank);
    }
    for (uint32_t rank = 0; rank < import->world && code == EXIT_DONE; rank++) {
        progress_show(import->ctl, "%" PRIu32 " of %" PRIu32 " ranks staged, %s of %s", rank,
                      import->world, SIZE_TEXT(import->bytes), SIZE_TEXT(bytes));
        code = save_file(import, rank);
    }
    if (code != EXIT_DONE && import->staged > 0) {
        complain(code,
                 "%" PRIu32 " of %" PRIu32 " ranks were staged, and become no checkpoint; the same "
                 "command begins anew",
                 import->staged, import->world);
    }
    return code;
}

static enum exit_code import_all(struct import *import)
{
    enum exit_code code = look_at_run(import);
    if (code == EXIT_DONE) {
        code = stage_all(import);
    }
    if (code == EXIT_DONE && option_flag(import->ctl, KEY_WAIT)) {
        code = await_consistent(import);
    }
    progress_clear();
    return code == EXIT_DONE ? report(import) : code;
}

static enum exit_code import_listed(struct import *import)
{
    import->world = (uint32_t)import->list.count;
    import->ranks = calloc(import->world, sizeof(struct ckpt *));
    if (!import->ranks) {
        return complain(EXIT_NO, "no memory");
    }
    enum exit_code code = import_all(import);
    for (uint32_t rank = 0; rank < import->world; rank++) {
        ckpt_close(&import->ranks[rank]);
    }
    free(import->ranks);
    return code;
}

static enum exit_code run(struct ctl *ctl)
{
    struct import import = {.ctl = ctl, .run = ctl->operands[0]};
    if (!parse_step(ctl->operands[1], &import.step)) {
        return EXIT_USAGE;
    }
    if (import.step == CKPT_STEP_LATEST) {
        return complain(EXIT_USAGE, "import needs the step as a number");
    }
    enum exit_code code = import_list_make(&import.list, ctl->operands + 2, ctl->operand_count - 2);
    if (code == EXIT_DONE) {
        code = import_list_check(&import.list, option_flag(ctl, KEY_OPAQUE));
    }
    if (code == EXIT_DONE) {
        code = import_listed(&import);
    }
    import_list_clear(&import.list);
    return code;
}

const struct verb verb_import = {
    .name = "import",
    .operands = "RUN STEP FILE...",
    .summary = "files become a checkpoint, one rank each",
    .help =
        "Saves FILEs as the ranks 0, 1, ... of one checkpoint, through this node's agent. A\n"
        "safetensors file is kept byte for byte, so that its digest is what b3sum prints of it;\n"
        "any other is kept as opaque bytes, and named. A FILE that ends in\n"
        ".safetensors.index.json stands for the files that it names, in the order of their\n"
        "names, and a folder for its index, for the ranks that `export --all` wrote there, or\n"
        "that lie there in a tier beside their manifest, or for its only .safetensors file.\n"
        "All are opened and parsed before the first is staged: safetensors that are cut\n"
        "short or otherwise damaged, and pointers that git-lfs leaves, are refused. STEP must be\n"
        "above the run's newest. An import that was broken off leaves no checkpoint: the\n"
        "same command begins anew. It is a start of the run, the next one, and\n"
        "refused while ranks of the run are connected, unless --attempt is given.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .operands_min = 3,
    .operands_max = 2 + CKPT_WORLD_MAX,
    .run = run,
};
