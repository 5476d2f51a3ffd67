/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/rail.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology/override.h"

/* How near a port is: its class, and within SYS whether it is at the same socket. */
static uint32_t farness(const struct topology *t, struct topology_end memory, uint32_t port)
{
    struct topology_end end = {.kind = TOPOLOGY_KIND_PORT, .index = port};
    enum topology_class class = topology_distance(t, memory, end);
    bool is_across = class == TOPOLOGY_SYS && !topology_same_package(t, memory, end);
    return 2 * (uint32_t) class + (is_across ? 1 : 0);
}

/* A virtual function shares the port of its device, and a software device that of a NIC: they are
 * used where there is nothing better. */
enum grade { GRADE_PHYSICAL, GRADE_VIRTUAL_FUNCTION, GRADE_SOFTWARE, GRADE_NONE };

static enum grade grade_of(const struct topology *t, uint32_t port)
{
    if (t->places[t->ports[port].place].kind == TOPOLOGY_VIRTUAL) {
        return GRADE_SOFTWARE;
    }
    return t->ports[port].is_virtual_function ? GRADE_VIRTUAL_FUNCTION : GRADE_PHYSICAL;
}

static enum grade best_grade(const struct topology *t)
{
    enum grade best = GRADE_NONE;
    for (uint32_t i = 0; i < t->port_count; i++) {
        enum grade grade = grade_of(t, i);
        best = !t->ports[i].is_down && grade < best ? grade : best;
    }
    return best;
}

static bool is_usable(const struct topology *t, uint32_t port, enum grade grade)
{
    return !t->ports[port].is_down && grade_of(t, port) == grade;
}

/* All usable ports of the best class, in the topology's order. */
static void choose_ports(const struct topology *t, enum grade grade, struct topology_rails *rails)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < t->port_count; i++) {
        assert(rails->ports != NULL);
        if (!is_usable(t, i, grade)) {
            continue;
        }
        uint32_t far = farness(t, rails->memory, i);
        if (far < best) {
            best = far;
            rails->port_count = 0;
        }
        if (far == best) {
            rails->ports[rails->port_count++] = i;
        }
    }
    rails->own_count = rails->port_count;
}

static bool reaches(const struct topology_rails *rails, uint32_t port)
{
    for (uint32_t i = 0; i < rails->port_count; i++) {
        if (rails->ports[i] == port) {
            return true;
        }
    }
    return false;
}

/* Puts a port behind the ones that are already the memory's own; the order of the rest stays. */
static void make_own(struct topology_rails *rails, uint32_t port)
{
    uint32_t at = rails->own_count;
    while (rails->ports[at] != port) {
        at++;
        assert(at < rails->port_count);
    }
    memmove(&rails->ports[rails->own_count + 1], &rails->ports[rails->own_count],
            (at - rails->own_count) * sizeof(*rails->ports));
    rails->ports[rails->own_count++] = port;
}

/* Each port to the GPU that reaches it and has fewest; of those to the one with the least choice,
 * of those to the first. */
static void deal_ports(const struct topology *t, struct topology_rail_map *map, uint32_t *owners)
{
    for (uint32_t port = 0; port < t->port_count; port++) {
        struct topology_rails *taker = NULL;
        for (uint32_t i = 0; i < map->gpu_count; i++) {
            struct topology_rails *gpu = &map->gpus[i];
            if (gpu->is_overridden || !reaches(gpu, port)) {
                continue;
            }
            if (!taker || gpu->own_count < taker->own_count ||
                (gpu->own_count == taker->own_count && gpu->port_count < taker->port_count)) {
                taker = gpu;
            }
        }
        if (taker) {
            make_own(taker, port);
            owners[port]++;
        }
    }
}

/* A GPU that went without begins where fewest others do. */
static void share_ports(struct topology_rail_map *map, uint32_t *owners)
{
    for (uint32_t i = 0; i < map->gpu_count; i++) {
        struct topology_rails *gpu = &map->gpus[i];
        if (gpu->is_overridden || gpu->own_count > 0 || gpu->port_count == 0) {
            continue;
        }
        uint32_t least = gpu->ports[0];
        for (uint32_t j = 1; j < gpu->port_count; j++) {
            least = owners[gpu->ports[j]] < owners[least] ? gpu->ports[j] : least;
        }
        make_own(gpu, least);
        owners[least]++;
    }
}

static void say(struct topology_rails *rails, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends to why; what does not fit is cut. */
static void say(struct topology_rails *rails, const char *format, ...)
{
    size_t length = strlen(rails->why);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(rails->why + length, sizeof(rails->why) - length, format, arguments);
    va_end(arguments);
}

static void explain_none(const struct topology *t, struct topology_rails *rails)
{
    if (t->place_count == 0) {
        say(rails, "no rails: the topology has no I/O devices");
    } else if (t->port_count == 0) {
        say(rails, "no rails: no RDMA device among the I/O devices");
    } else {
        say(rails, "no rails: all %" PRIu32 " ports are down", t->port_count);
    }
}

static void explain_override(const struct topology *t, struct topology_rails *rails)
{
    say(rails, "as the override says");
    for (uint32_t i = 0; i < rails->port_count; i++) {
        const struct topology_port *port = &t->ports[rails->ports[i]];
        if (port->is_down || port->is_virtual_function) {
            say(rails, "; %s is %s", port->name, port->is_down ? "down" : "a virtual function");
        }
    }
}

static void explain_others(const struct topology *t, const struct topology_rail_map *map,
                           struct topology_rails *rails)
{
    const char *separator = "; shared with ";
    for (uint32_t i = 0; i < map->gpu_count; i++) {
        const struct topology_rails *gpu = &map->gpus[i];
        bool shares = false;
        for (uint32_t j = 0; gpu != rails && j < rails->port_count; j++) {
            shares = shares || reaches(gpu, rails->ports[j]);
        }
        if (shares) {
            say(rails, "%s%s", separator, t->gpus[i].name);
            separator = ", ";
        }
    }
}

static void explain_choice(const struct topology *t, const struct topology_rail_map *map,
                           enum grade grade, struct topology_rails *rails)
{
    uint32_t usable = 0;
    for (uint32_t i = 0; i < t->port_count; i++) {
        usable += is_usable(t, i, grade);
    }
    say(rails, "%s; %" PRIu32 " of %" PRIu32 " usable ports", topology_class_meaning(rails->class),
        rails->port_count, usable);
    bool unknown = rails->memory.kind == TOPOLOGY_KIND_GPU &&
                   t->places[t->gpus[rails->memory.index].place].locality.nodes == 0;
    for (uint32_t i = 0; i < rails->port_count && !unknown; i++) {
        unknown = t->places[t->ports[rails->ports[i]].place].locality.nodes == 0;
    }
    if (unknown && rails->class == TOPOLOGY_SYS) {
        say(rails, ", for the kernel does not say which NUMA node is near (numa_node -1)");
    } else if (farness(t, rails->memory, rails->ports[0]) == 2 * TOPOLOGY_SYS) {
        say(rails, ", at the same socket");
    }
    if (rails->memory.kind == TOPOLOGY_KIND_GPU) {
        explain_others(t, map, rails);
    }
}

static void explain(const struct topology *t, const struct topology_rail_map *map, enum grade grade,
                    struct topology_rails *rails)
{
    rails->class = TOPOLOGY_SELF;
    for (uint32_t i = 0; i < rails->port_count; i++) {
        struct topology_end port = {.kind = TOPOLOGY_KIND_PORT, .index = rails->ports[i]};
        enum topology_class class = topology_distance(t, rails->memory, port);
        rails->class = class > rails->class ? class : rails->class;
    }
    if (rails->is_overridden) {
        explain_override(t, rails);
    } else if (rails->port_count == 0) {
        rails->class = TOPOLOGY_SYS;
        explain_none(t, rails);
    } else {
        explain_choice(t, map, grade, rails);
    }
}

static struct topology_rail_map *make_map(const struct topology *t)
{
    struct topology_rail_map *map = calloc(1, sizeof(*map));
    if (!map) {
        return NULL;
    }
    size_t memories = (size_t)t->gpu_count + t->numa_count;
    map->gpu_count = t->gpu_count;
    map->numa_count = t->numa_count;
    map->gpus = calloc((size_t)t->gpu_count + 1, sizeof(*map->gpus));
    map->numas = calloc((size_t)t->numa_count + 1, sizeof(*map->numas));
    map->ports = calloc(memories * t->port_count + 1, sizeof(*map->ports));
    if (!map->gpus || !map->numas || !map->ports) {
        topology_rail_map_delete(&map);
        return NULL;
    }
    for (uint32_t i = 0; i < memories; i++) {
        bool is_gpu = i < t->gpu_count;
        uint32_t index = is_gpu ? i : i - t->gpu_count;
        struct topology_rails *rails = is_gpu ? &map->gpus[index] : &map->numas[index];
        rails->memory.kind = is_gpu ? TOPOLOGY_KIND_GPU : TOPOLOGY_KIND_NUMA;
        rails->memory.index = index;
        rails->ports = map->ports + (size_t)i * t->port_count;
    }
    return map;
}

static void choose(const struct topology *t, struct topology_rail_map *map, uint32_t *owners)
{
    enum grade grade = best_grade(t);
    for (uint32_t i = 0; i < map->gpu_count; i++) {
        if (!map->gpus[i].is_overridden) {
            choose_ports(t, grade, &map->gpus[i]);
            map->gpus[i].own_count = 0;
        }
    }
    for (uint32_t i = 0; i < map->numa_count; i++) {
        if (!map->numas[i].is_overridden) {
            choose_ports(t, grade, &map->numas[i]);
        }
    }
    deal_ports(t, map, owners);
    share_ports(map, owners);
    for (uint32_t i = 0; i < map->gpu_count; i++) {
        explain(t, map, grade, &map->gpus[i]);
    }
    for (uint32_t i = 0; i < map->numa_count; i++) {
        explain(t, map, grade, &map->numas[i]);
    }
}

enum ckpt_status topology_rails_choose(const struct topology *topology, const char *override,
                                       struct topology_rail_map **map_out, char *reason_out,
                                       size_t reason_size)
{
    struct reason reason = {reason_out, reason_size};
    enum ckpt_status status;
    struct topology_rail_map *map = make_map(topology);
    uint32_t *owners = calloc((size_t)topology->port_count + 1, sizeof(*owners));
    if (!map || !owners) {
        status = reason_refuse_in(reason, CKPT_ERR_MEMORY, "out of memory");
        goto delete_map;
    }
    status = override ? topology_override_apply(topology, override, map, reason) : CKPT_OK;
    if (status != CKPT_OK) {
        goto delete_map;
    }
    choose(topology, map, owners);
    free(owners);
    *map_out = map;
    return CKPT_OK;
delete_map:
    assert(status != CKPT_OK);
    free(owners);
    topology_rail_map_delete(&map);
    return status;
}

void topology_rail_map_delete(struct topology_rail_map **map)
{
    if (*map) {
        free((*map)->gpus);
        free((*map)->numas);
        free((*map)->ports);
        free(*map);
    }
    *map = NULL;
}

bool topology_rail_map_has_any(const struct topology_rail_map *map)
{
    for (uint32_t i = 0; i < map->gpu_count; i++) {
        if (map->gpus[i].port_count > 0) {
            return true;
        }
    }
    for (uint32_t i = 0; i < map->numa_count; i++) {
        if (map->numas[i].port_count > 0) {
            return true;
        }
    }
    return false;
}
