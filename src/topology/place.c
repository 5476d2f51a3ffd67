/* SPDX-License-Identifier: Apache-2.0 */
/* What is read off a topology that is there. */
#include "topology/node_topology.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void topology_delete(struct topology **topology)
{
    struct topology *t = *topology;
    if (t) {
        free(t->numas);
        free(t->places);
        free(t->gpus);
        free(t->ports);
        free(t);
    }
    *topology = NULL;
}

struct topology_busid topology_place_busid(const struct topology_place *place)
{
    struct topology_busid busid = {.text = "-"};
    if (place->kind == TOPOLOGY_BRIDGE || place->kind == TOPOLOGY_PCI) {
        snprintf(busid.text, sizeof(busid.text), "%04x:%02x:%02x.%x", place->domain & 0xffffffffU,
                 place->bus & 0xffU, place->device & 0xffU, place->function & 0xfU);
    }
    return busid;
}

uint32_t topology_place_numa(const struct topology *topology, uint32_t place)
{
    assert(place < topology->place_count);
    uint64_t nodes = topology->places[place].locality.nodes;
    uint32_t first = TOPOLOGY_NONE;
    for (uint32_t i = 0; i < topology->numa_count; i++) {
        if (!(nodes >> i & 1)) {
            continue;
        }
        if (CPU_COUNT(&topology->numas[i].cpus) > 0) {
            return i;
        }
        first = first == TOPOLOGY_NONE ? i : first;
    }
    return first;
}
