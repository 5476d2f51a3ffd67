/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "ckptctl/change.h"
#include "ckptctl/document.h"
#include "ckptctl/link.h"
#include "ckptctl/options.h"

enum key { KEY_NEWER };

static const struct config_key keys[] = {
    [KEY_NEWER] = OPTION_SWITCH(
        "newer",
        "retires everything newer than STEP in its place: the next restore of the run gives STEP"),
};

static enum exit_code run(struct ctl *ctl)
{
    char reason[CKPT_REASON_MAX + 1];
    json_t *answer;
    struct message_admin_ask ask = {.verb = ADMIN_RETIRE, .newer = option_flag(ctl, KEY_NEWER)};
    if (!name_run(ctl, ctl->operands[0], &ask) || !parse_step(ctl->operands[1], &ask.step)) {
        return EXIT_USAGE;
    }
    if (ask.step == CKPT_STEP_LATEST) {
        return complain(EXIT_USAGE, "retire needs the step as a number");
    }
    enum ckpt_status status = change_ask(ctl, &ask, &answer, reason);
    if (status != CKPT_OK) {
        return link_complain(status, reason);
    }
    if (ctl->json) {
        print_json(answer);
    } else {
        printf(ask.newer ? "everything newer than step %s is retired: " : "step %s is retired: ",
               ctl->operands[1]);
        change_print_gone(answer);
    }
    json_decref(answer);
    return EXIT_DONE;
}

const struct verb verb_retire = {
    .name = "retire",
    .operands = "RUN STEP",
    .summary = "forget a checkpoint, or go back to one",
    .help = "Forgets a checkpoint on all nodes; its memory is free for the next. There is no way\n"
            "back. The newest consistent checkpoint of a run cannot be retired so.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .operands_min = 2,
    .operands_max = 2,
    .run = run,
};
