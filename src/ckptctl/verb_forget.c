/* SPDX-License-Identifier: Apache-2.0 */
/* A run that nobody wants any more: shown first, then asked about. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ckptctl/change.h"
#include "ckptctl/document.h"
#include "ckptctl/link.h"
#include "ckptctl/options.h"
#include "ckptctl/text.h"

enum key { KEY_YES };

static const struct config_key keys[] = {
    [KEY_YES] = OPTION_SWITCH("yes", "does not ask; without a terminal it is needed"),
};

/* What will go: nothing of aborted ones is there any more. */
static json_t *kept_of(const json_t *list)
{
    json_t *kept = json_array();
    size_t i;
    json_t *checkpoint;
    json_array_foreach(json_object_get(list, "checkpoints"), i, checkpoint)
    {
        if (strcmp(field_text(checkpoint, "state"), "aborted") != 0) {
            json_array_append(kept, checkpoint);
        }
    }
    return kept;
}

static uint64_t sum_bytes(const json_t *checkpoints)
{
    uint64_t bytes = 0;
    size_t i;
    const json_t *checkpoint;
    json_array_foreach(checkpoints, i, checkpoint)
    {
        bytes += field_number(checkpoint, "bytes") * field_number(checkpoint, "copies");
    }
    return bytes;
}

static bool agrees(const char *run, const json_t *kept)
{
    char line[16] = "";
    fflush(stdout);
    fprintf(stderr, "run %s has ", run);
    fflush(stderr);
    size_t i;
    const json_t *checkpoint;
    json_array_foreach(kept, i, checkpoint)
    {
        fprintf(stderr, "%sstep %" PRIu64 " (attempt %" PRIu64 ", %s, %s)", i > 0 ? ", " : "",
                field_number(checkpoint, "step"), field_number(checkpoint, "attempt"),
                field_text(checkpoint, "state"), SIZE_TEXT(field_number(checkpoint, "bytes")));
    }
    fprintf(stderr, "%s; %s of memory.\nForget all of it? There is no way back. [y/N] ",
            json_array_size(kept) > 0 ? "" : "no checkpoint", SIZE_TEXT(sum_bytes(kept)));
    return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static enum exit_code may_go_on(struct ctl *ctl, struct message_admin_ask *ask)
{
    if (option_flag(ctl, KEY_YES)) {
        return EXIT_DONE;
    }
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        return complain(EXIT_USAGE, "forget asks before it forgets, and this is no terminal: give "
                                    "--yes");
    }
    json_t *list;
    struct message_admin_ask look = {.verb = ADMIN_LIST, .run = ask->run};
    enum exit_code code = link_ask_all(ctl, &look, "checkpoints", &list);
    if (code != EXIT_DONE) {
        return code;
    }
    json_t *kept = kept_of(list);
    ask->run.uid = (uint32_t)field_number(list, "uid");
    code = agrees(ctl->operands[0], kept) ? EXIT_DONE : complain(EXIT_NO, "nothing was changed");
    json_decref(kept);
    json_decref(list);
    return code;
}

static enum exit_code run(struct ctl *ctl)
{
    char reason[CKPT_REASON_MAX + 1];
    json_t *answer;
    struct message_admin_ask ask = {.verb = ADMIN_RUN_FORGET};
    if (!name_run(ctl, ctl->operands[0], &ask)) {
        return EXIT_USAGE;
    }
    enum exit_code code = may_go_on(ctl, &ask);
    if (code != EXIT_DONE) {
        return code;
    }
    enum ckpt_status status = change_ask(ctl, &ask, &answer, reason);
    if (status != CKPT_OK) {
        return status == CKPT_ERR_BUSY ? complain(EXIT_NO, "run %s: %s", ctl->operands[0], reason)
                                       : link_complain(status, reason);
    }
    if (ctl->json) {
        print_json(answer);
    } else {
        printf("run %s is forgotten: ", ctl->operands[0]);
        change_print_gone(answer);
    }
    json_decref(answer);
    return EXIT_DONE;
}

const struct verb verb_forget = {
    .name = "forget",
    .operands = "RUN",
    .summary = "give up all that a run has",
    .help =
        "Forgets all checkpoints of a run on all nodes, the newest too, as the final end of a\n"
        "scheduler's job does; their memory is free for others. It shows what will go, and asks.\n"
        "Refused while ranks of the run are connected: end them first. What they save later\n"
        "begins a new attempt of the run. Your own runs; root's word goes for everybody's.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
