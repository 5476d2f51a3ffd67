/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/verbs/gid.h"

#include "transport/verbs/card.h"

bool verbs_gid_choose(const struct ibv_gid_entry *entries, size_t count, uint8_t port,
                      struct ibv_gid_entry *entry_out)
{
    bool found = false;

    for (size_t i = 0; i < count; i++) {
        const struct ibv_gid_entry *entry = &entries[i];
        if (entry->port_num != port || entry->gid_type != IBV_GID_TYPE_ROCE_V2 ||
            entry->ndev_ifindex == 0 || !card_is_routable(entry->gid.raw)) {
            continue;
        }
        if (!found || (card_is_ipv4(entry->gid.raw) && !card_is_ipv4(entry_out->gid.raw))) {
            *entry_out = *entry;
            found = true;
        }
    }
    return found;
}
