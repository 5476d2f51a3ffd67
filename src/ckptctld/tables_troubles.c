/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/tables_troubles.h"

static const char *kind_name(enum coordinator_trouble kind)
{
    switch (kind) {
    case TROUBLE_JOIN:
        return "join";
    case TROUBLE_AGENT:
        return "agent";
    case TROUBLE_REPORT:
        return "report";
    case TROUBLE_START:
        return "start";
    case TROUBLE_SAVE:
        return "save";
    case TROUBLE_PULL:
        return "pull";
    case TROUBLE_TIER:
        return "tier";
    case TROUBLE_NONE:
        break;
    }
    return "unknown";
}

/* Another user's run is not named, and nor is what is said of it. */
static json_t *trouble_entry(const struct coordinator_trouble_view *view, bool may_see)
{
    bool has_run = view->run->name[0] != '\0' && may_see;
    const char *text = may_see ? view->text : ckpt_status_text(view->status);
    return json_pack(
        "{s:s,s:s,s:o,s:o,s:o,s:s,s:s,s:o,s:o,s:o}", "kind", kind_name(view->kind), "node",
        view->node, "run", has_run ? json_string(view->run->name) : json_null(), "uid",
        has_run ? number(view->run->uid) : json_null(), "step",
        has_run ? number(view->step) : json_null(), "status", ckpt_status_name(view->status),
        "text", text, "count", number(view->count), "since_ms_ago", number(view->since_ms_ago),
        "last_ms_ago", number(view->last_ms_ago));
}

json_t *table_troubles(const struct daemon *daemon, const struct caller *caller)
{
    json_t *troubles = json_array();
    struct coordinator_trouble_view view;
    for (uint32_t i = 0; i < coordinator_trouble_count(daemon->machine); i++) {
        if (coordinator_trouble_view(daemon->machine, i, &view)) {
            bool may_see =
                caller->privileged || view.run->name[0] == '\0' || view.run->uid == caller->uid;
            json_array_append_new(troubles, trouble_entry(&view, may_see));
        }
    }
    return troubles;
}
