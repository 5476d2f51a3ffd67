/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/verbs.h"

#include <string.h>

#include "base/nearest.h"

const struct verb *const verbs[] = {
    &verb_status, &verb_nodes,  &verb_runs,   &verb_list,   &verb_show,     &verb_placement,
    &verb_wait,   &verb_verify, &verb_retire, &verb_mark,   &verb_node,     &verb_forget,
    &verb_export, &verb_import, &verb_tier,   &verb_doctor, &verb_topology, &verb_plan,
    &verb_job,    &verb_slurm,  &verb_help,
};

#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))
const size_t verb_count = VERB_COUNT;

const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(name, verbs[i]->name) == 0) {
            return verbs[i];
        }
    }
    return NULL;
}

enum exit_code verb_refuse(const char *name)
{
    const char *names[VERB_COUNT];
    for (size_t i = 0; i < VERB_COUNT; i++) {
        names[i] = verbs[i]->name;
    }
    const char *nearest = nearest_name(name, names, VERB_COUNT);
    return complain(EXIT_USAGE,
                    nearest ? "unknown verb '%s'; did you mean %s?"
                            : "unknown verb '%s'; ckptctl --help lists them",
                    name, nearest);
}
