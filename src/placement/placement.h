/* SPDX-License-Identifier: Apache-2.0 */
/* Which agent gets the next copy of a shard. Pure functions of a map of the cluster.
 *
 * The rule: a copy of a shard that lives in failure domain d goes to the next domain after d on the
 * ring of domains that holds no copy yet, and inside it to the member at the owner's own place
 * (modulo the domain's size), or to the next usable one after that. So
 *  - the load is even where the domains are of one size: each member holds for exactly one owner
 *    per copy;
 *  - all shards of an owner go to the same holders, which keeps the number of node pairs whose
 *    common loss loses data small (the argument of copysets: Cidon et al., USENIX ATC 2013);
 *  - a member that is lost keeps its place as a hole: only its own copies move. */
#ifndef CKPT_PLACEMENT_H
#define CKPT_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include <ckpt/status.h>

#define PLACEMENT_NONE UINT32_MAX

struct placement_member {
    bool usable;            /* joined */
    bool closed;            /* it takes no new shards */
    bool last;              /* it is to go: chosen only where nobody else will do, or not at all */
    uint32_t domain;        /* 0..domain_count-1 */
    uint32_t place;         /* its number inside its domain, from 0; for life */
    uint32_t next;          /* the member at the next place of its domain, or PLACEMENT_NONE */
    uint32_t segments_free; /* after what is already ordered; as the next */
    uint64_t part_bytes_free;    /* of segments that parts of are in use */
    uint64_t part_bytes_largest; /* the largest part that these have room for */
};

/* What a shard takes: segments, or where there is room for it a part of one. */
struct placement_room {
    uint32_t segments;
    uint64_t part_bytes; /* 0: no part will do */
};

struct placement_domain {
    uint32_t first; /* the member at place 0 */
    uint32_t size;  /* places, holes included */
};

/* The caller's arrays; nothing is kept. */
struct placement_map {
    uint32_t member_count;
    const struct placement_member *members;
    uint32_t domain_count;
    const struct placement_domain *domains;
    bool takes_last; /* members that are `last` may be chosen */
};

/* Chooses the member for one more copy. origin: the member whose place counts (the owner, or when
 * that is lost, any member that holds a copy). taken: members whose domains hold a copy already
 * (lost ones count too). avoid: members not to be chosen, such as one whose last copy was bad.
 * Returns CKPT_OK and the member; CKPT_ERR_NO_DOMAIN when no usable member that is not closed is in
 * another domain;
 * CKPT_ERR_FULL when there are some, but none has the room or all are to be avoided.
 * Members that are `last` come after all others, or, without takes_last, do not come at all. */
enum ckpt_status placement_choose(const struct placement_map *map, uint32_t origin,
                                  const uint32_t *taken, uint32_t taken_count,
                                  const uint32_t *avoid, uint32_t avoid_count,
                                  const struct placement_room *needed, uint32_t *member_out);

/* What the shard takes is free there, as whole segments or as a part of one. */
bool placement_has_room(const struct placement_member *member, const struct placement_room *needed);

/* How many distinct domains the members are in. */
uint32_t placement_domains(const struct placement_map *map, const uint32_t *members,
                           uint32_t count);

#endif
