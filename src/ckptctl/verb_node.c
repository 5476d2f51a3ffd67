/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a node out of service, and forgets one that is gone.
 *
 * A drain is the coordinator's: it goes on whether this program waits for it or not. What is stuck
 * may become free by itself, when a newer checkpoint retires an older one; so that is only the last
 * word when nothing has changed for a while. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ckptctl/change.h"
#include "base/clock.h"
#include "ckptctl/document.h"
#include "ckptctl/link.h"
#include "ckptctl/options.h"
#include "ckptctl/pause.h"
#include "ckptctl/progress.h"
#include "ckptctl/text.h"

#define POLL_MS 250
#define STUCK_MS 15000

enum key { KEY_CANCEL, KEY_FORCE, KEY_NO_WAIT, KEY_TIMEOUT };

static const struct config_key keys[] = {
    [KEY_CANCEL] = OPTION_SWITCH("cancel", "drain: ends it, as node undrain does"),
    [KEY_FORCE] = OPTION_SWITCH(
        "force", "forget: also the last node that is known to hold a shard; loads go on naming it"),
    [KEY_NO_WAIT] = OPTION_SWITCH("no-wait", "drain: says how far it is, and ends"),
    [KEY_TIMEOUT] = OPTION_TIMEOUT("10min", "drain: how long to wait until the node may go"),
};

static enum exit_code look(struct ctl *ctl, const struct message_admin_ask *of, json_t **shown_out)
{
    char reason[CKPT_REASON_MAX + 1];
    struct message_admin_ask ask = *of;
    ask.verb = ADMIN_NODE_SHOW;
    enum ckpt_status status = link_ask(ctl, &ask, shown_out, reason);
    return status == CKPT_OK ? EXIT_DONE : link_complain(status, reason);
}

/* "run a step 40 rank 3 is being copied", a line each. */
static void print_shards(const json_t *shown)
{
    const json_t *shards = json_object_get(shown, "shards");
    uint64_t left = field_number(shown, "left");
    size_t i;
    const json_t *shard;
    json_array_foreach(shards, i, shard)
    {
        printf("  run %s step %" PRIu64 " rank %" PRIu64 " %s\n", field_text(shard, "run"),
               field_number(shard, "step"), field_number(shard, "rank"), field_text(shard, "why"));
    }
    if (left > json_array_size(shards)) {
        printf("  and %" PRIu64 " more\n", left - json_array_size(shards));
    }
}

static void print_drain(const struct ctl *ctl, const json_t *shown, const char *verdict)
{
    const char *node = field_text(shown, "node");
    if (ctl->json) {
        print_json(shown);
    } else if (field_true(shown, "safe")) {
        printf("%s may go: nothing is kept there alone\n", node);
    } else if (field_true(shown, "telling")) {
        printf("%s %s: its agent has not said yet all that it holds\n", node, verdict);
    } else {
        printf("%s %s: %" PRIu64 " shards (%s) have too few copies on other nodes\n", node, verdict,
               field_number(shown, "left"), SIZE_TEXT(field_number(shown, "bytes_left")));
        print_shards(shown);
    }
}

static void show_progress(const struct ctl *ctl, const json_t *shown, uint64_t at_first)
{
    if (field_true(shown, "telling")) {
        progress_show(ctl, "%s has not said yet all that it holds", field_text(shown, "node"));
        return;
    }
    uint64_t left = field_number(shown, "left");
    progress_show(ctl, "%" PRIu64 " of %" PRIu64 " shards copied elsewhere, %s to go",
                  at_first > left ? at_first - left : 0, at_first,
                  SIZE_TEXT(field_number(shown, "bytes_left")));
}

struct patience {
    uint64_t left;
    uint64_t since_ms; /* nothing has changed */
};

/* All that is left is stuck, and has been for long. */
static bool is_hopeless(const json_t *shown, struct patience *patience)
{
    uint64_t left = field_number(shown, "left");
    if (left != patience->left || field_number(shown, "stuck") < left) {
        *patience = (struct patience){.left = left, .since_ms = clock_now_ms()};
    }
    return left > 0 && clock_now_ms() >= patience->since_ms + STUCK_MS;
}

static enum exit_code await_drain(struct ctl *ctl, const struct message_admin_ask *ask)
{
    uint64_t end_ms = clock_now_ms() + option_number(ctl, KEY_TIMEOUT);
    struct patience patience = {.left = 0, .since_ms = clock_now_ms()};
    uint64_t at_first = 0;
    for (;;) {
        json_t *shown;
        enum exit_code code = look(ctl, ask, &shown);
        if (code != EXIT_DONE) {
            return code;
        }
        uint64_t left = field_number(shown, "left");
        bool is_safe = field_true(shown, "safe");
        bool hopeless = is_hopeless(shown, &patience);
        bool over = clock_now_ms() >= end_ms || option_flag(ctl, KEY_NO_WAIT);
        at_first = left > at_first ? left : at_first;
        if (is_safe || hopeless || over || !field_true(shown, "draining")) {
            progress_clear();
            print_drain(ctl, shown, hopeless ? "cannot go" : "may not go yet");
            json_decref(shown);
            return is_safe ? EXIT_DONE : EXIT_NO;
        }
        show_progress(ctl, shown, at_first);
        json_decref(shown);
        pause_ms(POLL_MS);
    }
}

static enum exit_code change(struct ctl *ctl, struct message_admin_ask *ask, const char *done)
{
    char reason[CKPT_REASON_MAX + 1];
    json_t *answer;
    enum ckpt_status status = change_ask(ctl, ask, &answer, reason);
    if (status == CKPT_ERR_LOST) {
        json_t *shown;
        complain(EXIT_NO, "%s, or forget it all the same with --force", reason);
        if (look(ctl, ask, &shown) == EXIT_DONE) {
            print_shards(shown);
            json_decref(shown);
        }
        return EXIT_NO;
    }
    if (status != CKPT_OK) {
        return link_complain(status, reason);
    }
    const char *text = field_text(answer, "text");
    if (ctl->json && done) {
        print_json(answer);
    } else if (done && text[0] == '\0') {
        printf("node %s %s\n", ctl->operands[1], done);
    } else if (!ctl->json && text[0] != '\0') {
        printf("%s\n", text);
    }
    json_decref(answer);
    return EXIT_DONE;
}

static enum exit_code drain(struct ctl *ctl, struct message_admin_ask *ask)
{
    ask->verb = ADMIN_NODE_DRAIN;
    enum exit_code code = change(ctl, ask, NULL);
    return code == EXIT_DONE ? await_drain(ctl, ask) : code;
}

static enum exit_code run(struct ctl *ctl)
{
    struct message_admin_ask ask = {.force = option_flag(ctl, KEY_FORCE)};
    const char *word = ctl->operands[0];
    const char *node = ctl->operands[1];
    bool drains = strcmp(word, "drain") == 0;
    bool forgets = strcmp(word, "forget") == 0;
    if (!drains && !forgets && strcmp(word, "undrain") != 0) {
        return complain(EXIT_USAGE, "node %s: drain, undrain or forget is wanted", word);
    }
    if (!name_is_valid(node, CKPT_NODE_NAME_MAX)) {
        return complain(EXIT_USAGE, "'%s' is no name of a node: 1 to %d of A-Z a-z 0-9 . _ / -",
                        node, CKPT_NODE_NAME_MAX);
    }
    if ((ask.force && !forgets) ||
        ((option_flag(ctl, KEY_CANCEL) || option_flag(ctl, KEY_NO_WAIT)) && !drains)) {
        return complain(EXIT_USAGE, "--cancel and --no-wait go with drain, --force with "
                                    "forget");
    }
    snprintf(ask.node, sizeof(ask.node), "%s", node);
    if (drains && !option_flag(ctl, KEY_CANCEL)) {
        return drain(ctl, &ask);
    }
    ask.verb = forgets ? ADMIN_NODE_FORGET : ADMIN_NODE_UNDRAIN;
    return change(ctl, &ask, forgets ? "is forgotten" : "takes copies again");
}

const struct verb verb_node = {
    .name = "node",
    .operands = "drain|undrain|forget NODE",
    .summary = "take a node out of service, or forget one that is gone",
    .help =
        "  drain NODE     it takes no new copies, and what is kept there is made anew elsewhere;\n"
        "                 waits, and says when nothing is kept there alone: then it may go. Ranks\n"
        "                 that run there go on saving. It stays so, whatever starts anew, until\n"
        "                 undrain or forget\n"
        "  undrain NODE   it takes copies again; so does drain --cancel\n"
        "  forget NODE    one that is not joined leaves the list, and nobody waits for its copies\n"
        "                 where there are others. Refused while it is the last that is known to\n"
        "                 hold a shard of a consistent checkpoint\n"
        "\n"
        "Drain exits 0 when the node may go, 1 when it cannot (no room, or too few failure\n"
        "domains: it names runs, steps and ranks) or not in time. For root, and the user that\n"
        "ckptctld runs as.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .operands_min = 2,
    .operands_max = 2,
    .run = run,
};
