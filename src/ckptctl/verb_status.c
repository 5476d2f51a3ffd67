/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "link.h"
#include "options.h"
#include "table.h"

enum key { KEY_WATCH };

static const struct config_key keys[] = {[KEY_WATCH] = OPTION_WATCH};

static void print_problem(const struct ctl *ctl, uint64_t count, const char *what,
                          const char *look_with)
{
    if (count > 0) {
        printf("%s%s: %" PRIu64 " (%s)%s\n", ctl->color ? "\033[33m" : "", what, count, look_with,
               ctl->color ? "\033[0m" : "");
    }
}

static void print_status(const struct ctl *ctl, const json_t *status)
{
    const json_t *nodes = json_object_get(status, "nodes");
    const json_t *checkpoints = json_object_get(status, "checkpoints");
    uint64_t bytes = field_number(nodes, "bytes");
    uint64_t used = bytes - field_number(nodes, "bytes_free");
    printf("coordinator  ckptctld %s, process %" PRIu64 ", up %s, epoch %" PRIu64 "\n",
           field_text(status, "version"), field_number(status, "pid"),
           AGE_TEXT(field_number(status, "uptime_ms")), field_number(status, "epoch"));
    printf("listens      %s, %s\n", field_text(status, "address"), field_text(status, "socket"));
    printf("records      %s in %s\n", field_text(status, "store"),
           field_text(status, "state_directory"));
    printf("nodes        %" PRIu64 " joined, %" PRIu64 " lost\n", field_number(nodes, "joined"),
           field_number(nodes, "lost"));
    printf("memory       %s of %s used\n", SIZE_TEXT(used), SIZE_TEXT(bytes));
    printf("runs         %" PRIu64 "\n", field_number(status, "runs"));
    printf("checkpoints  %" PRIu64 " consistent, %" PRIu64 " verifying, %" PRIu64 " open\n",
           field_number(checkpoints, "consistent"), field_number(checkpoints, "verifying"),
           field_number(checkpoints, "open"));
    print_problem(ctl, field_number(nodes, "lost"), "lost nodes", "ckptctl nodes");
    print_problem(ctl, field_number(checkpoints, "degraded"), "checkpoints short of copies",
                  "ckptctl runs, ckptctl list RUN");
    print_problem(ctl, field_number(checkpoints, "quarantined"),
                  "checkpoints quarantined after failed restores", "ckptctl list RUN");
}

static enum exit_code run(struct ctl *ctl)
{
    char reason[CKPT_REASON_MAX + 1];
    json_t *status;
    struct message_admin_ask ask = {.verb = ADMIN_STATUS};
    enum ckpt_status result = link_ask(ctl, &ask, &status, reason);
    if (result != CKPT_OK) {
        return link_complain(result, reason);
    }
    if (ctl->json) {
        print_json(status);
    } else {
        print_status(ctl, status);
    }
    json_decref(status);
    return EXIT_DONE;
}

const struct verb verb_status = {
    .name = "status",
    .operands = "",
    .summary = "is the coordinator well, and what does it know",
    .help = "Says whether the coordinator answers, what it counts, and what is wrong: lost nodes,\n"
            "checkpoints short of copies, quarantined ones.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .run = run,
};
