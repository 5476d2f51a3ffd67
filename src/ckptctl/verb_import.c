/* SPDX-License-Identifier: Apache-2.0 */
/* Files become a checkpoint: each FILE is the shard of one rank, saved as a trainer would. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <ckpt/ckpt.h>

#include "agent.h"
#include "import_list.h"
#include "options.h"
#include "table.h"

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
    [KEY_ATTEMPT] = OPTION_ATTEMPT("of the run (default: that of its newest checkpoint, or 1)"),
};

struct import {
    struct ctl *ctl;
    const char *run;
    uint64_t step;
    uint32_t attempt;
    uint32_t world;
    struct import_list list;
    struct ckpt **ranks; /* world contexts, NULL where not yet open */
    uint64_t bytes;
};

/* The attempt to save in. A new number would void what a running job has not finished; so the
 * newest checkpoint's is taken, where its world is ours. */
static enum exit_code choose_attempt(struct import *import)
{
    struct ckpt *reader;
    struct ckpt_info info;
    import->attempt = (uint32_t)option_number(import->ctl, KEY_ATTEMPT);
    if (import->attempt > 0) {
        return EXIT_DONE;
    }
    enum exit_code code = agent_open_reader(import->ctl, import->run, &reader);
    if (code != EXIT_DONE) {
        return code;
    }
    enum ckpt_status status = ckpt_info(reader, CKPT_STEP_LATEST, &info);
    if (status == CKPT_OK) {
        import->attempt = info.world == import->world ? info.attempt : info.attempt + 1;
    } else if (status == CKPT_ERR_NO_CHECKPOINT || status == CKPT_ERR_NOT_FOUND) {
        import->attempt = 1;
    } else {
        code = agent_complain(status, ckpt_reason(reader));
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

static enum exit_code save_file(struct import *import, uint32_t rank)
{
    const struct import_file *file = &import->list.files[rank];
    struct ckpt *ckpt = import->ranks[rank];
    struct import_mapping mapping;
    enum exit_code code = import_map(file->path, &mapping);
    if (code != EXIT_DONE) {
        return code;
    }
    /* Checked anew: the file may have changed since it was looked at. */
    enum ckpt_status status =
        file->form == IMPORT_SHARD
            ? ckpt_save_shard(ckpt, import->step, mapping.data, mapping.bytes)
            : ckpt_save_bytes(ckpt, import->step, mapping.data, mapping.bytes);
    import->bytes += mapping.bytes;
    import_unmap(&mapping);
    if (status == CKPT_OK) {
        return EXIT_DONE;
    }
    const char *reason = ckpt_reason(ckpt);
    return complain(status == CKPT_ERR_NO_AGENT ? EXIT_NOBODY : EXIT_NO, "%s: %s", file->path,
                    reason[0] ? reason : ckpt_status_text(status));
}

static enum exit_code await_consistent(struct import *import)
{
    uint64_t end_ms = now_ms() + option_number(import->ctl, KEY_TIMEOUT);
    for (uint32_t rank = 0; rank < import->world; rank++) {
        uint64_t now = now_ms();
        uint32_t left_ms = now < end_ms ? (uint32_t)(end_ms - now) : 0;
        enum ckpt_status status = ckpt_wait(import->ranks[rank], import->step, left_ms);
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

static enum exit_code import_all(struct import *import)
{
    enum exit_code code = choose_attempt(import);
    for (uint32_t rank = 0; rank < import->world && code == EXIT_DONE; rank++) {
        code = open_rank(import, rank);
        if (code == EXIT_DONE) {
            code = save_file(import, rank);
        }
    }
    if (code == EXIT_DONE && option_flag(import->ctl, KEY_WAIT)) {
        code = await_consistent(import);
    }
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
        "names, and a folder for its index or its only .safetensors file. All are opened and\n"
        "parsed before the first is staged: safetensors that are cut short or otherwise damaged,\n"
        "and pointers that git-lfs leaves, are refused. What was saved by a job whose attempt is "
        "still running\n"
        "is not touched, unless --attempt names a later one.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .operands_min = 3,
    .operands_max = 2 + CKPT_WORLD_MAX,
    .run = run,
};
