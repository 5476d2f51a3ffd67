/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "ckptctl/options.h"
#include "ckptctl/verbs.h"

static enum exit_code run(struct ctl *ctl)
{
    const struct verb *verb = NULL;
    if (ctl->operand_count > 0) {
        verb = verb_find(ctl->operands[0]);
        if (!verb) {
            return verb_refuse(ctl->operands[0]);
        }
    }
    options_print_help(verb, stdout);
    return EXIT_DONE;
}

const struct verb verb_help = {
    .name = "help",
    .operands = "[VERB]",
    .summary = "the page of a verb, or that of all",
    .help = "Prints what ckptctl VERB --help prints; without VERB, what ckptctl --help prints.",
    .operands_max = 1,
    .run = run,
};
