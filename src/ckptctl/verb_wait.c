/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ckptctl/degree.h"
#include "base/clock.h"
#include "ckptctl/document.h"
#include "ckptctl/link.h"
#include "ckptctl/options.h"
#include "ckptctl/pause.h"
#include "ckptctl/text.h"

#define POLL_MS 100

enum key { KEY_TIMEOUT, KEY_STRICT, KEY_ANY };

static const struct config_key keys[] = {
    [KEY_TIMEOUT] = OPTION_TIMEOUT("10min", "how long it may take"),
    [KEY_STRICT] = OPTION_STRICT("wait on until every shard has all its copies now"),
    [KEY_ANY] = OPTION_ANY("exit with 0 as long as every shard has a copy now"),
};

enum progress { PROGRESS_WAITING, PROGRESS_DONE, PROGRESS_NEVER };

/* What a list of checkpoints, newest first, says of the step; `best` gets the entry that it says it
 * of. */
static enum progress judge(const json_t *document, uint64_t step, const json_t **best_out)
{
    enum progress progress = PROGRESS_WAITING;
    size_t i;
    const json_t *checkpoint;
    *best_out = NULL;
    json_array_foreach(json_object_get(document, "checkpoints"), i, checkpoint)
    {
        const char *state = field_text(checkpoint, "state");
        bool consistent = strcmp(state, "consistent") == 0;
        bool wanted = step == CKPT_STEP_LATEST || field_number(checkpoint, "step") == step;
        if (wanted && consistent) {
            *best_out = checkpoint;
            return PROGRESS_DONE;
        }
        if (wanted && step != CKPT_STEP_LATEST &&
            (strcmp(state, "aborted") == 0 || strcmp(state, "quarantined") == 0)) {
            *best_out = checkpoint;
            progress = PROGRESS_NEVER;
        }
        if (!*best_out && consistent && field_number(checkpoint, "step") > step) {
            *best_out = checkpoint;
            progress = PROGRESS_NEVER;
        }
    }
    return progress;
}

static enum exit_code report(const struct ctl *ctl, const json_t *checkpoint)
{
    bool is_short = degree_is_short(checkpoint);
    if (ctl->json) {
        print_json(checkpoint);
    } else {
        printf("step %" PRIu64 " is %s: %" PRIu64 " ranks, %s, %" PRIu64,
               field_number(checkpoint, "step"),
               field_text(checkpoint, is_short ? "degree" : "state"),
               field_number(checkpoint, "world"), SIZE_TEXT(field_number(checkpoint, "bytes")),
               field_number(checkpoint, "copies_now"));
        if (is_short) {
            printf(" of %" PRIu64 " copies; %s\n", field_number(checkpoint, "copies"),
                   SHORTAGES_TEXT(checkpoint));
        } else {
            printf(" copies\n");
        }
    }
    return degree_code(checkpoint, option_flag(ctl, KEY_ANY));
}

static enum exit_code report_never(const json_t *checkpoint, uint64_t step)
{
    uint64_t seen = field_number(checkpoint, "step");
    if (seen != step) {
        return complain(EXIT_NO,
                        "step %" PRIu64 " is not there, and never will be: step %" PRIu64
                        " is consistent already",
                        step, seen);
    }
    return complain(EXIT_NO, "step %" PRIu64 " is %s: %s", step, field_text(checkpoint, "state"),
                    field_text(checkpoint, "reason"));
}

/* Whether it is told now that the step is consistent. A coordinator that has just started does not
 * know yet what copies there are. */
static bool may_report(const struct ctl *ctl, const json_t *document, const json_t *checkpoint)
{
    return !degree_is_short(checkpoint) ||
           (!option_flag(ctl, KEY_STRICT) && !field_true(document, "settling"));
}

static enum exit_code run(struct ctl *ctl)
{
    struct message_admin_ask ask = {.verb = ADMIN_LIST};
    uint64_t step = CKPT_STEP_LATEST;
    uint32_t limit_ms = (uint32_t)option_number(ctl, KEY_TIMEOUT);
    if (!degree_flags(ctl, KEY_STRICT, KEY_ANY) || !name_run(ctl, ctl->operands[0], &ask) ||
        (ctl->operand_count > 1 && !parse_step(ctl->operands[1], &step))) {
        return EXIT_USAGE;
    }
    uint64_t end_ms = clock_now_ms() + limit_ms;
    for (;;) {
        char reason[CKPT_REASON_MAX + 1];
        const json_t *best = NULL;
        json_t *document = NULL;
        enum progress progress = PROGRESS_WAITING;
        enum ckpt_status status = link_ask_pages(ctl, &ask, "checkpoints", &document, reason);
        /* A run begins with its first save; a coordinator that restarts comes back. */
        if (status != CKPT_OK && status != CKPT_ERR_NOT_FOUND &&
            status != CKPT_ERR_NO_COORDINATOR) {
            return link_complain(status, reason);
        }
        if (status == CKPT_OK) {
            sort_by(json_object_get(document, "checkpoints"), "step", true);
            progress = judge(document, step, &best);
        }
        bool is_late = clock_now_ms() >= end_ms;
        if (progress == PROGRESS_DONE && !is_late && !may_report(ctl, document, best)) {
            progress = PROGRESS_WAITING;
        }
        enum exit_code code = EXIT_NO;
        if (progress == PROGRESS_DONE) {
            code = report(ctl, best);
        } else if (progress == PROGRESS_NEVER) {
            code = report_never(best, step);
        } else if (is_late && status == CKPT_ERR_NO_COORDINATOR) {
            code = link_complain(status, reason);
        } else if (is_late) {
            code = complain(EXIT_NO, "not consistent after %s: ckptctl list %s says how far it is",
                            AGE_TEXT(limit_ms), ctl->operands[0]);
        }
        json_decref(document);
        if (progress != PROGRESS_WAITING || is_late) {
            return code;
        }
        pause_ms(POLL_MS);
    }
}

const struct verb verb_wait = {
    .name = "wait",
    .operands = "RUN [STEP]",
    .summary = "until a checkpoint is consistent",
    .help = "Waits until STEP is consistent; without STEP, until the run has any consistent\n"
            "checkpoint, and tells of the newest. Says how many copies there are now, and exits\n"
            "with 4 when they are fewer than were asked for. Exits 1 when it was aborted, when a\n"
            "newer one is consistent already and the step is gone, or after --timeout.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .operands_min = 1,
    .operands_max = 2,
    .run = run,
};
