/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs: to add one, write its file, and name it here, in verbs.c and in room.cmake. */
#ifndef CKPT_CKPTCTL_VERBS_H
#define CKPT_CKPTCTL_VERBS_H

#include "ckptctl/ctl.h"

extern const struct verb verb_doctor, verb_export, verb_forget, verb_help, verb_import, verb_job,
    verb_list, verb_mark, verb_node, verb_nodes, verb_placement, verb_plan, verb_retire, verb_runs,
    verb_show, verb_slurm, verb_status, verb_tier, verb_topology, verb_verify, verb_wait;

/* All of them, in the order of the help page, and how many. */
extern const struct verb *const verbs[];
extern const size_t verb_count;

/* NULL: no verb has this name. */
const struct verb *verb_find(const char *name);

/* Complains that no verb has this name, with the nearest that one has. */
enum exit_code verb_refuse(const char *name);

#endif
