/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/troubles.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ckptctl/document.h"
#include "ckptctl/text.h"

#define LINES_MAX 20

static const char *says(const char *kind)
{
    static const char *const known[][2] = {
        {"join", "may not join"},          {"agent", "refuses"},
        {"report", "is not taken at"},     {"start", "waits for its ranks"},
        {"save", "is not consistent yet"}, {"pull", "cannot copy"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(known[i][0], kind) == 0) {
            return known[i][1];
        }
    }
    return kind;
}

/* "run llama step 5", "node n0", and for what a node holds of a run both. */
static void print_subject(const json_t *trouble)
{
    const char *kind = field_text(trouble, "kind");
    const char *node = field_text(trouble, "node");
    const char *run = field_text(trouble, "run");
    bool is_of_run = run[0] != '\0' && (strcmp(kind, "report") == 0 || node[0] == '\0');
    if (is_of_run) {
        printf("run %s", run);
        if (strcmp(kind, "save") == 0) {
            printf(" step %" PRIu64, field_number(trouble, "step"));
        }
        printf(" %s", says(kind));
    }
    if (node[0] != '\0') {
        printf("%snode %s", is_of_run ? " " : "", node);
    }
    if (!is_of_run) {
        printf("%s%s", node[0] != '\0' ? " " : "a run ", says(kind));
    }
}

void print_troubles(const struct ctl *ctl, const json_t *status)
{
    const json_t *troubles = json_object_get(status, "troubles");
    const json_t *trouble;
    size_t i;
    json_array_foreach(troubles, i, trouble)
    {
        if (i == LINES_MAX) {
            printf("and %zu more: ckptctl status --json, troubles\n",
                   json_array_size(troubles) - LINES_MAX);
            return;
        }
        fputs(ctl->color ? "\033[33m" : "", stdout);
        print_subject(trouble);
        printf(": %s (", field_text(trouble, "text"));
        if (field_number(trouble, "count") > 0) {
            printf("%" PRIu64 " times in ", field_number(trouble, "count"));
        }
        printf("%s, last %s ago)%s\n", AGE_TEXT(field_number(trouble, "since_ms_ago")),
               AGE_TEXT(field_number(trouble, "last_ms_ago")), ctl->color ? "\033[0m" : "");
    }
}
