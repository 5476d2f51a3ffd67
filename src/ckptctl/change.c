/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/change.h"

#include <inttypes.h>
#include <stdio.h>

#include "ckptctl/document.h"
#include "ckptctl/link.h"
#include "ckptctl/text.h"

static void add_entries(json_t *all, json_t *part, const char *name)
{
    json_array_extend(json_object_get(all, name), json_object_get(part, name));
}

enum ckpt_status change_ask(struct ctl *ctl, struct message_admin_ask *ask, json_t **document_out,
                            char *reason_out)
{
    json_t *all = NULL;
    ask->may_page = true;
    for (;;) {
        json_t *part;
        enum ckpt_status status = link_ask(ctl, ask, &part, reason_out);
        if (status != CKPT_OK) {
            json_decref(all);
            return status;
        }
        bool has_more = field_true(part, "more");
        if (!all) {
            all = part;
        } else {
            add_entries(all, part, "retired");
            add_entries(all, part, "aborted");
            json_object_set(all, "text", json_object_get(part, "text"));
            json_decref(part);
        }
        if (!has_more) {
            json_object_del(all, "more");
            *document_out = all;
            return CKPT_OK;
        }
    }
}

static void print_entries(const json_t *entries)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(entries, i, entry)
    {
        uint64_t bytes = field_number(entry, "bytes");
        printf("%sstep %" PRIu64 " (attempt %" PRIu64 "%s%s)", i > 0 ? ", " : "",
               field_number(entry, "step"), field_number(entry, "attempt"), bytes > 0 ? ", " : "",
               bytes > 0 ? SIZE_TEXT(bytes) : "");
    }
    if (json_array_size(entries) == 0) {
        printf("nothing");
    }
}

void change_print_gone(const json_t *answer)
{
    const json_t *aborted = json_object_get(answer, "aborted");
    print_entries(json_object_get(answer, "retired"));
    if (json_array_size(aborted) > 0) {
        printf("; saves that were under way: ");
        print_entries(aborted);
    }
    putchar('\n');
}
