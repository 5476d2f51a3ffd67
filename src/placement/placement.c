/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/placement.h"

#include <assert.h>

static bool contains(const uint32_t *list, uint32_t count, uint32_t value)
{
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] == value) {
            return true;
        }
    }
    return false;
}

static bool domain_is_taken(const struct placement_map *map, const uint32_t *taken,
                            uint32_t taken_count, uint32_t domain)
{
    for (uint32_t i = 0; i < taken_count; i++) {
        if (map->members[taken[i]].domain == domain) {
            return true;
        }
    }
    return false;
}

/* The member at a place of a domain. Places are dense, so this is at most size steps. */
static uint32_t member_at(const struct placement_map *map, uint32_t domain, uint32_t place)
{
    uint32_t member = map->domains[domain].first;
    while (place > 0) {
        assert(member != PLACEMENT_NONE);
        member = map->members[member].next;
        place--;
    }
    return member;
}

bool placement_has_room(const struct placement_member *member, const struct placement_room *needed)
{
    bool has_part = needed->part_bytes > 0 && needed->part_bytes <= member->part_bytes_free &&
                    needed->part_bytes <= member->part_bytes_largest;
    return has_part || member->segments_free >= needed->segments;
}

/* Among those that are `last`, or among the others. */
static enum ckpt_status choose(const struct placement_map *map, bool last, uint32_t origin,
                               const uint32_t *taken, uint32_t taken_count, const uint32_t *avoid,
                               uint32_t avoid_count, const struct placement_room *needed,
                               uint32_t *member_out)
{
    const struct placement_member *from = &map->members[origin];
    bool seen_usable = false;

    for (uint32_t turn = 1; turn <= map->domain_count; turn++) {
        uint32_t domain = (from->domain + turn) % map->domain_count;
        uint32_t size = map->domains[domain].size;
        if (size == 0 || domain_is_taken(map, taken, taken_count, domain)) {
            continue;
        }
        uint32_t member = member_at(map, domain, from->place % size);
        for (uint32_t i = 0; i < size; i++) {
            const struct placement_member *candidate = &map->members[member];
            if (candidate->usable && !candidate->closed && candidate->last == last) {
                seen_usable = true;
                if (placement_has_room(candidate, needed) &&
                    !contains(avoid, avoid_count, member)) {
                    *member_out = member;
                    return CKPT_OK;
                }
            }
            member =
                candidate->next == PLACEMENT_NONE ? map->domains[domain].first : candidate->next;
        }
    }
    return seen_usable ? CKPT_ERR_FULL : CKPT_ERR_NO_DOMAIN;
}

enum ckpt_status placement_choose(const struct placement_map *map, uint32_t origin,
                                  const uint32_t *taken, uint32_t taken_count,
                                  const uint32_t *avoid, uint32_t avoid_count,
                                  const struct placement_room *needed, uint32_t *member_out)
{
    assert(origin < map->member_count);
    enum ckpt_status status =
        choose(map, false, origin, taken, taken_count, avoid, avoid_count, needed, member_out);
    if (status == CKPT_OK || !map->takes_last) {
        return status;
    }
    enum ckpt_status last =
        choose(map, true, origin, taken, taken_count, avoid, avoid_count, needed, member_out);
    return last == CKPT_ERR_NO_DOMAIN ? status : last;
}

uint32_t placement_domains(const struct placement_map *map, const uint32_t *members, uint32_t count)
{
    uint32_t distinct = 0;
    for (uint32_t i = 0; i < count; i++) {
        distinct += !domain_is_taken(map, members, i, map->members[members[i]].domain);
    }
    return distinct;
}
