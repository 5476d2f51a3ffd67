/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/matrix.h"

#include <assert.h>
#include <inttypes.h>

#include "base/limits.h"

enum { COLUMN = 6 };

uint32_t topology_matrix_size(const struct topology *topology)
{
    return topology->gpu_count + topology->port_count + topology->numa_count;
}

struct topology_end topology_matrix_end(const struct topology *topology, uint32_t row)
{
    assert(row < topology_matrix_size(topology));
    if (row < topology->gpu_count) {
        return (struct topology_end){.kind = TOPOLOGY_KIND_GPU, .index = row};
    }
    row -= topology->gpu_count;
    if (row < topology->port_count) {
        return (struct topology_end){.kind = TOPOLOGY_KIND_PORT, .index = row};
    }
    return (struct topology_end){.kind = TOPOLOGY_KIND_NUMA, .index = row - topology->port_count};
}

struct heading {
    char text[24];
};

static struct heading heading_of(const struct topology *t, struct topology_end end)
{
    static const char *const kinds[] = {
        [TOPOLOGY_KIND_GPU] = "GPU", [TOPOLOGY_KIND_PORT] = "NIC", [TOPOLOGY_KIND_NUMA] = "NUMA"};
    struct heading heading;
    uint32_t number = end.kind == TOPOLOGY_KIND_NUMA ? t->numas[end.index].os_index : end.index;
    snprintf(heading.text, sizeof(heading.text), "%s%" PRIu32, kinds[end.kind], number);
    return heading;
}

/* The NUMA node of a device, as a word. */
static struct heading node_of(const struct topology *t, uint32_t place)
{
    struct heading node = {.text = "NUMA node unknown"};
    uint32_t numa = topology_place_numa(t, place);
    if (numa != TOPOLOGY_NONE) {
        snprintf(node.text, sizeof(node.text), "numa%" PRIu32, t->numas[numa].os_index);
    }
    return node;
}

static void print_legend(const struct topology *t, FILE *file)
{
    for (uint32_t i = 0; i < t->gpu_count; i++) {
        const struct topology_gpu *gpu = &t->gpus[i];
        const struct topology_place *place = &t->places[gpu->place];
        fprintf(file, "  GPU%" PRIu32 ": %s, %s%s%s\n", i, topology_place_busid(place).text,
                node_of(t, gpu->place).text, gpu->model[0] ? ", " : "", gpu->model);
    }
    for (uint32_t i = 0; i < t->port_count; i++) {
        const struct topology_port *port = &t->ports[i];
        const struct topology_place *place = &t->places[port->place];
        fprintf(file, "  NIC%" PRIu32 ": %s, %s, %s%s%s\n", i, port->name,
                place->kind == TOPOLOGY_VIRTUAL ? "no PCI" : topology_place_busid(place).text,
                node_of(t, port->place).text, port->is_virtual_function ? ", virtual function" : "",
                port->is_down ? ", down" : "");
    }
    for (uint32_t i = 0; i < t->numa_count; i++) {
        const struct topology_numa *numa = &t->numas[i];
        fprintf(file, "  NUMA%" PRIu32 ": %" PRIu64 " MiB, %d CPUs\n", numa->os_index,
                numa->memory_bytes / CKPT_MIB, CPU_COUNT(&numa->cpus));
    }
}

void topology_matrix_print(const struct topology *topology, FILE *file)
{
    uint32_t size = topology_matrix_size(topology);
    fprintf(file, "%-*s", COLUMN + 1, "");
    for (uint32_t i = 0; i < size; i++) {
        struct heading heading = heading_of(topology, topology_matrix_end(topology, i));
        fprintf(file, i + 1 < size ? "%-*s" : "%.*s\n", i + 1 < size ? COLUMN : 24, heading.text);
    }
    for (uint32_t i = 0; i < size; i++) {
        struct topology_end row = topology_matrix_end(topology, i);
        fprintf(file, "%-*s", COLUMN + 1, heading_of(topology, row).text);
        for (uint32_t j = 0; j < size; j++) {
            const char *name = topology_class_name(
                topology_distance(topology, row, topology_matrix_end(topology, j)));
            fprintf(file, j + 1 < size ? "%-*s" : "%.*s\n", j + 1 < size ? COLUMN : 24, name);
        }
    }
    fputc('\n', file);
    print_legend(topology, file);
}
