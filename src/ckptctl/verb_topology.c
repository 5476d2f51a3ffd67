/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent would choose on this machine, or on a recorded one, and why. Asks nobody. */
#include <stdio.h>
#include <string.h>

#include "ckptctl/document.h"
#include "ckptctl/options.h"
#include "ckptctl/table.h"
#include "topology/matrix.h"
#include "topology/rail.h"

enum key { KEY_XML, KEY_RAILS };

static const struct config_key keys[] = {
    [KEY_XML] = {.name = "xml",
                 .flag = "xml",
                 .type = CONFIG_PATH,
                 .help = "of a machine that `lstopo FILE.xml` recorded"},
    [KEY_RAILS] = {.name = "rails",
                   .flag = "rails",
                   .type = CONFIG_STRING,
                   .placeholder = "MAP",
                   .help = "with an override, \"gpu0=mlx5_0+mlx5_1, numa1=mlx5_2\""},
};

static const struct column columns[] = {
    {.name = "MEMORY"}, {.name = "CLASS"}, {.name = "BEGINS ON"}, {.name = "AND"}, {.name = "WHY"},
};

/* The names of some of the ports, "mlx5_0 mlx5_1"; cut with an ellipsis where they are many. */
struct names {
    char text[256];
};

static struct names name_ports(const struct topology *t, const uint32_t *ports, uint32_t count)
{
    struct names names = {.text = ""};
    if (count == 0) {
        snprintf(names.text, sizeof(names.text), "-");
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t length = strlen(names.text);
        const char *name = t->ports[ports[i]].name;
        if (length + strlen(name) + sizeof(" ...") >= sizeof(names.text)) {
            snprintf(names.text + length, sizeof(names.text) - length, " ...");
            break;
        }
        snprintf(names.text + length, sizeof(names.text) - length, "%s%s", i ? " " : "", name);
    }
    return names;
}

static void add_row(struct table *table, const struct topology *t,
                    const struct topology_rails *rails)
{
    bool none = rails->port_count == 0;
    const uint32_t *others = rails->ports + rails->own_count;
    table_cell(table, STYLE_PLAIN, "%s", topology_end_name(t, rails->memory));
    table_cell(table, none ? STYLE_BAD : STYLE_PLAIN, "%s",
               none ? "-" : topology_class_name(rails->class));
    table_cell(table, STYLE_PLAIN, "%s", name_ports(t, rails->ports, rails->own_count).text);
    table_cell(table, STYLE_PLAIN, "%s",
               name_ports(t, others, rails->port_count - rails->own_count).text);
    table_cell(table, STYLE_FAINT, "%s", rails->why);
}

static void print_text(const struct ctl *ctl, const struct topology *t,
                       const struct topology_rail_map *map)
{
    topology_matrix_print(t, stdout);
    putchar('\n');
    struct table *table = table_make(columns, sizeof(columns) / sizeof(columns[0]));
    for (uint32_t i = 0; i < map->gpu_count; i++) {
        add_row(table, t, &map->gpus[i]);
    }
    for (uint32_t i = 0; i < map->numa_count; i++) {
        add_row(table, t, &map->numas[i]);
    }
    table_print(table, ctl, "");
}

static json_t *numa_or_null(const struct topology *t, uint32_t place)
{
    uint32_t numa = topology_place_numa(t, place);
    return numa == TOPOLOGY_NONE ? json_null() : json_string(t->numas[numa].name);
}

static json_t *busid_or_null(const struct topology *t, uint32_t place)
{
    struct topology_busid busid = topology_place_busid(&t->places[place]);
    return strcmp(busid.text, "-") == 0 ? json_null() : json_string(busid.text);
}

static json_t *describe_parts(const struct topology *t)
{
    json_t *gpus = json_array();
    json_t *ports = json_array();
    json_t *numas = json_array();
    for (uint32_t i = 0; i < t->gpu_count; i++) {
        const struct topology_gpu *gpu = &t->gpus[i];
        json_array_append_new(gpus, json_pack("{s:s,s:o,s:s,s:o}", "name", gpu->name, "busid",
                                              busid_or_null(t, gpu->place), "model", gpu->model,
                                              "numa", numa_or_null(t, gpu->place)));
    }
    for (uint32_t i = 0; i < t->port_count; i++) {
        const struct topology_port *port = &t->ports[i];
        json_array_append_new(
            ports, json_pack("{s:s,s:s,s:I,s:o,s:o,s:b,s:b}", "name", port->name, "device",
                             port->device, "port", (json_int_t)port->number, "busid",
                             busid_or_null(t, port->place), "numa", numa_or_null(t, port->place),
                             "down", port->is_down, "virtual_function", port->is_virtual_function));
    }
    for (uint32_t i = 0; i < t->numa_count; i++) {
        const struct topology_numa *numa = &t->numas[i];
        json_array_append_new(numas, json_pack("{s:s,s:I,s:i}", "name", numa->name, "bytes",
                                               (json_int_t)numa->memory_bytes, "cpus",
                                               CPU_COUNT(&numa->cpus)));
    }
    return json_pack("{s:o,s:o,s:o}", "gpus", gpus, "ports", ports, "numas", numas);
}

/* {"gpu0": {"gpu0": "X", "mlx5_0": "PIX", ...}, ...} */
static json_t *describe_matrix(const struct topology *t)
{
    json_t *matrix = json_object();
    for (uint32_t i = 0; i < topology_matrix_size(t); i++) {
        struct topology_end from = topology_matrix_end(t, i);
        json_t *row = json_object();
        for (uint32_t j = 0; j < topology_matrix_size(t); j++) {
            struct topology_end to = topology_matrix_end(t, j);
            json_object_set_new(row, topology_end_name(t, to),
                                json_string(topology_class_name(topology_distance(t, from, to))));
        }
        json_object_set_new(matrix, topology_end_name(t, from), row);
    }
    return matrix;
}

static json_t *describe_rails(const struct topology *t, const struct topology_rails *rails)
{
    json_t *own = json_array();
    json_t *others = json_array();
    for (uint32_t i = 0; i < rails->port_count; i++) {
        json_array_append_new(i < rails->own_count ? own : others,
                              json_string(t->ports[rails->ports[i]].name));
    }
    return json_pack(
        "{s:s,s:o,s:o,s:o,s:b,s:s}", "memory", topology_end_name(t, rails->memory), "class",
        rails->port_count ? json_string(topology_class_name(rails->class)) : json_null(), "own",
        own, "others", others, "overridden", rails->is_overridden, "why", rails->why);
}

static void print_document(const struct topology *t, const struct topology_rail_map *map)
{
    json_t *document = describe_parts(t);
    json_t *rails = json_array();
    for (uint32_t i = 0; i < map->gpu_count; i++) {
        json_array_append_new(rails, describe_rails(t, &map->gpus[i]));
    }
    for (uint32_t i = 0; i < map->numa_count; i++) {
        json_array_append_new(rails, describe_rails(t, &map->numas[i]));
    }
    json_object_set_new(document, "matrix", describe_matrix(t));
    json_object_set_new(document, "rails", rails);
    print_json(document);
    json_decref(document);
}

static enum exit_code run(struct ctl *ctl)
{
    char reason[CKPT_REASON_MAX + 1];
    const char *xml = option_text(ctl, KEY_XML);
    struct topology *topology = NULL;
    struct topology_rail_map *map = NULL;
    enum ckpt_status status = xml ? topology_read_file(xml, &topology, reason, sizeof(reason))
                                  : topology_read_machine(&topology, reason, sizeof(reason));
    if (status != CKPT_OK) {
        return complain(EXIT_NO, "%s", reason);
    }
    status =
        topology_rails_choose(topology, option_text(ctl, KEY_RAILS), &map, reason, sizeof(reason));
    if (status != CKPT_OK) {
        topology_delete(&topology);
        return complain(status == CKPT_ERR_CONFIG ? EXIT_USAGE : EXIT_NO, "%s", reason);
    }
    if (ctl->json) {
        print_document(topology, map);
    } else {
        print_text(ctl, topology, map);
    }
    enum exit_code code = topology_rail_map_has_any(map) ? EXIT_DONE : EXIT_NO;
    topology_rail_map_delete(&map);
    topology_delete(&topology);
    return code;
}

const struct verb verb_topology = {
    .name = "topology",
    .operands = "",
    .summary = "this machine's GPUs and NICs, and the rails of each memory",
    .help =
        "How far GPUs, NIC ports and NUMA nodes are apart, as `nvidia-smi topo -m` says it, and\n"
        "which ports move the bytes of which memory: all of the nearest class. GPUs that share\n"
        "ports BEGIN ON different ones and use the others as well. Exits 1 when there are no\n"
        "rails. docs/topology.md explains the classes. Asks no coordinator.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .run = run,
};
