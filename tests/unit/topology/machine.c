/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/topology/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

const char *const machine_names[] = {"16intel64-manyVFs",
                                     "24em64t-2n6c2t-pci",
                                     "32em64t-2n8c2t-pci-noio",
                                     "32em64t-2n8c2t-pci-wholeio",
                                     "96em64t-4n4d3ca2co-pci",
                                     "nvidiaDGX2",
                                     "dgx",
                                     "asymmetric",
                                     "clusters",
                                     "virtual-functions",
                                     "guest",
                                     NULL};

struct topology *machine_read(const char *name)
{
    char path[512];
    char reason[256] = "";
    struct topology *topology = NULL;
    snprintf(path, sizeof(path), MACHINES "/%s.xml", name);
    if (topology_read_file(path, &topology, reason, sizeof(reason)) != CKPT_OK) {
        fail_msg("%s", reason);
    }
    return topology;
}

struct topology_end machine_end(const struct topology *topology, const char *name)
{
    const uint32_t counts[] = {[TOPOLOGY_KIND_GPU] = topology->gpu_count,
                               [TOPOLOGY_KIND_PORT] = topology->port_count,
                               [TOPOLOGY_KIND_NUMA] = topology->numa_count};
    struct topology_end end = {.kind = TOPOLOGY_KIND_GPU};
    for (int kind = TOPOLOGY_KIND_GPU; kind <= TOPOLOGY_KIND_NUMA; kind++) {
        end.kind = (enum topology_kind)kind;
        for (end.index = 0; end.index < counts[kind]; end.index++) {
            if (strcmp(topology_end_name(topology, end), name) == 0) {
                return end;
            }
        }
    }
    fail_msg("no %s in the topology", name);
    return end;
}

uint32_t machine_place(const struct topology *topology, const char *busid)
{
    for (uint32_t i = 0; i < topology->place_count; i++) {
        if (strcmp(topology_place_busid(&topology->places[i]).text, busid) == 0) {
            return i;
        }
    }
    fail_msg("no %s in the topology", busid);
    return TOPOLOGY_NONE;
}
