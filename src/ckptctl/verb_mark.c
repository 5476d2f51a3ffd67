/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "ckptctl/document.h"
#include "ckptctl/link.h"

static bool parse_mark(const char *text, enum checkpoint_mark *mark_out)
{
    static const char *const words[] = {
        [MARK_NONE] = "clear", [MARK_HEALTHY] = "healthy", [MARK_POISONED] = "poisoned"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i]) == 0) {
            *mark_out = (enum checkpoint_mark)i;
            return true;
        }
    }
    complain(EXIT_USAGE, "'%s' is no mark: healthy, poisoned or clear is", text);
    return false;
}

static enum exit_code run(struct ctl *ctl)
{
    char reason[CKPT_REASON_MAX + 1];
    json_t *answer;
    struct message_admin_ask ask = {.verb = ADMIN_MARK};
    if (!name_run(ctl, ctl->operands[0], &ask) || !parse_step(ctl->operands[1], &ask.step) ||
        !parse_mark(ctl->operands[2], &ask.mark)) {
        return EXIT_USAGE;
    }
    enum ckpt_status status = link_ask(ctl, &ask, &answer, reason);
    if (status != CKPT_OK) {
        return link_complain(status, reason);
    }
    if (ctl->json) {
        print_json(answer);
    } else {
        const char *text = field_text(answer, "text");
        printf("step %s is %s\n", ctl->operands[1],
               ask.mark == MARK_POISONED  ? "marked poisoned"
               : ask.mark == MARK_HEALTHY ? "marked healthy"
                                          : "marked no more");
        if (text[0] != '\0') {
            printf("%s\n", text);
        }
    }
    json_decref(answer);
    return EXIT_DONE;
}

const struct verb verb_mark = {
    .name = "mark",
    .operands = "RUN STEP healthy|poisoned|clear",
    .summary = "say what a checkpoint is worth",
    .help = "Puts a word on a consistent checkpoint, on record; list and show print it.\n"
            "\n"
            "  healthy    shown; changes nothing\n"
            "  poisoned   never offered as the newest: the next load of the run gives the newest\n"
            "             older one. It is kept, and can be read by its number\n"
            "  clear      takes the word back. What was poisoned is offered again when every\n"
            "             shard has a good copy, and the run has not gone on without it\n",
    .operands_min = 3,
    .operands_max = 3,
    .run = run,
};
