/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/distance.h"

#include <assert.h>

static uint32_t depth_of(const struct topology *t, uint32_t place)
{
    uint32_t depth = 0;
    while (t->places[place].parent != TOPOLOGY_NONE) {
        place = t->places[place].parent;
        depth++;
    }
    return depth;
}

/* One step up; counts the bridges that have been passed,
 * which are all but the place one starts at. */
static uint32_t climb(const struct topology *t, uint32_t place, uint32_t start, uint32_t *passed)
{
    *passed += place != start;
    return t->places[place].parent;
}

static enum topology_class distance_over_cpu(const struct topology_locality *a,
                                             const struct topology_locality *b)
{
    return (a->nodes & b->nodes) != 0 ? TOPOLOGY_NODE : TOPOLOGY_SYS;
}

enum topology_class topology_place_distance(const struct topology *topology, uint32_t a, uint32_t b)
{
    assert(a < topology->place_count && b < topology->place_count);
    uint32_t left = a;
    uint32_t right = b;
    uint32_t left_passed = 0;
    uint32_t right_passed = 0;
    uint32_t left_depth = depth_of(topology, a);
    uint32_t right_depth = depth_of(topology, b);
    for (; left_depth > right_depth; left_depth--) {
        left = climb(topology, left, a, &left_passed);
    }
    for (; right_depth > left_depth; right_depth--) {
        right = climb(topology, right, b, &right_passed);
    }
    while (left != right) {
        left = climb(topology, left, a, &left_passed);
        right = climb(topology, right, b, &right_passed);
    }
    /* Both ran out of the forest at the same time: two trees. */
    if (left == TOPOLOGY_NONE) {
        return distance_over_cpu(&topology->places[a].locality, &topology->places[b].locality);
    }
    if (topology->places[left].kind == TOPOLOGY_HOST_BRIDGE) {
        return TOPOLOGY_PHB;
    }
    return left_passed <= 1 && right_passed <= 1 ? TOPOLOGY_PIX : TOPOLOGY_PXB;
}

/* PHB when the memory is behind the host bridge that the device hangs on; NODE when the way is not
 * known, as for a device without PCI. */
static enum topology_class distance_to_memory(const struct topology *t, uint32_t place,
                                              uint32_t numa)
{
    if (!(t->places[place].locality.nodes >> numa & 1)) {
        return TOPOLOGY_SYS;
    }
    return t->places[place].kind == TOPOLOGY_VIRTUAL ? TOPOLOGY_NODE : TOPOLOGY_PHB;
}

static uint32_t place_of(const struct topology *t, struct topology_end end)
{
    assert(end.index < (end.kind == TOPOLOGY_KIND_GPU ? t->gpu_count : t->port_count));
    return end.kind == TOPOLOGY_KIND_GPU ? t->gpus[end.index].place : t->ports[end.index].place;
}

enum topology_class topology_distance(const struct topology *topology, struct topology_end a,
                                      struct topology_end b)
{
    bool a_is_memory = a.kind == TOPOLOGY_KIND_NUMA;
    bool b_is_memory = b.kind == TOPOLOGY_KIND_NUMA;
    assert(!a_is_memory || a.index < topology->numa_count);
    assert(!b_is_memory || b.index < topology->numa_count);
    if (a.kind == b.kind && a.index == b.index) {
        return TOPOLOGY_SELF;
    }
    if (a_is_memory && b_is_memory) {
        return TOPOLOGY_SYS;
    }
    if (a_is_memory) {
        return distance_to_memory(topology, place_of(topology, b), a.index);
    }
    if (b_is_memory) {
        return distance_to_memory(topology, place_of(topology, a), b.index);
    }
    return topology_place_distance(topology, place_of(topology, a), place_of(topology, b));
}

const char *topology_class_name(enum topology_class distance)
{
    static const char *const names[] = {
        [TOPOLOGY_SELF] = "X",  [TOPOLOGY_PIX] = "PIX",   [TOPOLOGY_PXB] = "PXB",
        [TOPOLOGY_PHB] = "PHB", [TOPOLOGY_NODE] = "NODE", [TOPOLOGY_SYS] = "SYS"};
    assert((unsigned)distance < sizeof(names) / sizeof(names[0]));
    return names[distance];
}

const char *topology_class_meaning(enum topology_class distance)
{
    static const char *const meanings[] = {
        [TOPOLOGY_SELF] = "itself",
        [TOPOLOGY_PIX] = "at most one PCI bridge between",
        [TOPOLOGY_PXB] = "several PCI bridges between, no host bridge",
        [TOPOLOGY_PHB] = "a host bridge between",
        [TOPOLOGY_NODE] = "the CPU between, within one NUMA node",
        [TOPOLOGY_SYS] = "across NUMA nodes",
    };
    assert((unsigned)distance < sizeof(meanings) / sizeof(meanings[0]));
    return meanings[distance];
}

const char *topology_end_name(const struct topology *topology, struct topology_end end)
{
    switch (end.kind) {
    case TOPOLOGY_KIND_GPU:
        assert(end.index < topology->gpu_count);
        return topology->gpus[end.index].name;
    case TOPOLOGY_KIND_PORT:
        assert(end.index < topology->port_count);
        return topology->ports[end.index].name;
    case TOPOLOGY_KIND_NUMA:
        break;
    }
    assert(end.index < topology->numa_count);
    return topology->numas[end.index].name;
}

bool topology_same_package(const struct topology *topology, struct topology_end a,
                           struct topology_end b)
{
    uint32_t packages[2];
    const struct topology_end ends[2] = {a, b};
    for (size_t i = 0; i < 2; i++) {
        packages[i] = ends[i].kind == TOPOLOGY_KIND_NUMA
                          ? topology->numas[ends[i].index].package
                          : topology->places[place_of(topology, ends[i])].locality.package;
    }
    return packages[0] != TOPOLOGY_NONE && packages[0] == packages[1];
}
