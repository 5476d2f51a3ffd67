/* SPDX-License-Identifier: Apache-2.0 */
/* The rails that a case measures one by one: those that are named, or the ports that the machine's
 * topology shows. */
#ifndef CKPTBENCH_RAIL_LIST_H
#define CKPTBENCH_RAIL_LIST_H

#include "base/limits.h"
#include "config/config.h"
#include "topology/rail.h"

#define RAIL_LIST_MAX 16
#define RAIL_NAME_MAX 80
#define RAIL_SPEC_MAX 512

struct rail_list {
    const char *transport; /* without devices: "verbs", "ucx:tcp" */
    uint32_t count;
    char names[RAIL_LIST_MAX][RAIL_NAME_MAX];
};

/* What to open for some of them: a spec, and devices, or "" for none. */
struct rail_choice {
    char transport[RAIL_SPEC_MAX];
    char devices[RAIL_SPEC_MAX];
};

/* key is a list of names; where it is empty, with verbs, the topology's ports that are up. spec may
 * name devices itself ("verbs:a+b"). The list may be empty. CKPT_ERR_CONFIG and reason
 * (CKPT_REASON_MAX + 1 bytes): a name that the machine does not have, with the nearest. */
enum ckpt_status rail_list_make(const struct config *config, size_t key, const char *spec,
                                const struct topology *topology, struct rail_list *list_out,
                                char *reason);

/* Some of them: indices of names. count 0: whatever the transport takes. */
void rail_list_choose(const struct rail_list *list, const uint32_t *indices, uint32_t count,
                      struct rail_choice *choice_out);
void rail_list_choose_all(const struct rail_list *list, struct rail_choice *choice_out);

#endif
