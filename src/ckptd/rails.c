/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/rails.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "topology/rail.h"

/* TCP, not shared memory: agents are on different nodes. */
#define FALLBACK "ucx:tcp"

static bool is_spec(const char *spec, const char *name)
{
    size_t length = strlen(name);
    return strncmp(spec, name, length) == 0 && (spec[length] == '\0' || spec[length] == ':');
}

static bool wants_rails(const struct rails_wish *wish)
{
    return is_spec(wish->spec, "auto") || is_spec(wish->spec, "verbs");
}

/* The ports that the configuration names, or NULL: the spec's own, or a list without '='. */
static const char *named_ports(const struct rails_wish *wish)
{
    const char *colon = strchr(wish->spec, ':');
    if (colon != NULL) {
        return colon + 1;
    }
    if (wish->devices != NULL) {
        return wish->devices;
    }
    bool is_list = strcmp(wish->rails, "auto") != 0 && strchr(wish->rails, '=') == NULL;
    return is_list ? wish->rails : NULL;
}

/* Appends a port that is not there yet. What does not fit is left out: the transport takes fewer
 * rails than fit. */
static void add_port(char list[RAILS_TEXT_MAX + 1], const char *port)
{
    size_t length = strlen(port);
    for (const char *at = list; *at != '\0';) {
        size_t word = strcspn(at, "+");
        if (word == length && memcmp(at, port, length) == 0) {
            return;
        }
        at += word + (at[word] == '+');
    }
    size_t used = strlen(list);
    if (used + length + 1 <= RAILS_TEXT_MAX) {
        snprintf(list + used, RAILS_TEXT_MAX + 1 - used, "%s%s", used == 0 ? "" : "+", port);
    }
}

static void take_spec(const struct rails_wish *wish, const char *ports, struct rails *rails)
{
    if (ports != NULL && *ports != '\0') {
        snprintf(rails->spec, sizeof rails->spec, "verbs:%s", ports);
    } else {
        snprintf(rails->spec, sizeof rails->spec, "verbs");
    }
    rails->fallback = is_spec(wish->spec, "auto") ? FALLBACK : NULL;
}

/* Nearer than the other side of the machine. */
static bool is_near(const struct topology_rails *row)
{
    return row->port_count > 0 && (row->is_overridden || row->class < TOPOLOGY_SYS);
}

/* The processors of NUMA nodes, unless they are all there are: then there is nothing to bind. */
static void unite_cpus(const struct topology *topology, uint64_t numas, cpu_set_t *cpus)
{
    uint64_t all =
        topology->numa_count == 64 ? UINT64_MAX : (UINT64_C(1) << topology->numa_count) - 1;
    CPU_ZERO(cpus);
    for (uint32_t i = 0; i < topology->numa_count && numas != all; i++) {
        if ((numas >> i & 1) != 0) {
            CPU_OR(cpus, cpus, &topology->numas[i].cpus);
        }
    }
}

static void bind_memory(const struct topology *topology, const struct topology_rail_map *map,
                        const struct rails_wish *wish, struct rails *rails)
{
    uint64_t numas = 0;
    for (uint32_t i = 0; i < map->numa_count; i++) {
        int os_index = (int)topology->numas[i].os_index;
        bool wanted = wish->arena_count == 0 && map->numa_count > 1 && is_near(&map->numas[i]) &&
                      topology->numas[i].memory_bytes > 0;
        for (uint32_t k = 0; k < wish->arena_count; k++) {
            wanted |= wish->arena_nodes[k] == os_index;
        }
        if (wanted) {
            rails->arena_nodes[rails->arena_count++] = os_index;
            numas |= UINT64_C(1) << i;
        }
    }
    unite_cpus(topology, numas, &rails->digest_cpus);
}

static void bind_mover(const struct topology *topology, const struct topology_rail_map *map,
                       struct rails *rails)
{
    uint64_t numas = 0;
    for (uint32_t i = 0; i < map->numa_count; i++) {
        for (uint32_t k = 0; k < map->numas[i].port_count; k++) {
            const struct topology_port *port = &topology->ports[map->numas[i].ports[k]];
            uint32_t numa = topology_place_numa(topology, port->place);
            numas |= numa == TOPOLOGY_NONE ? 0 : UINT64_C(1) << numa;
        }
    }
    unite_cpus(topology, numas, &rails->mover_cpus);
}

enum ckpt_status rails_choose_on(const struct topology *topology, const struct rails_wish *wish,
                                 struct rails *rails_out, char *reason)
{
    struct rails rails = {0};
    struct topology_rail_map *map = NULL;
    const char *ports = named_ports(wish);
    char chosen[RAILS_TEXT_MAX + 1] = "";
    bool is_map = strchr(wish->rails, '=') != NULL;
    enum ckpt_status status = topology_rails_choose(topology, is_map ? wish->rails : NULL, &map,
                                                    reason, CKPT_REASON_MAX + 1);
    if (status != CKPT_OK) {
        return status;
    }
    for (uint32_t i = 0; i < map->numa_count; i++) {
        const struct topology_rails *row = &map->numas[i];
        struct rails_node *node = &rails.nodes[rails.node_count++];
        node->os_index = (int)topology->numas[i].os_index;
        for (uint32_t k = 0; k < row->port_count; k++) {
            add_port(chosen, topology->ports[row->ports[k]].name);
            if (is_near(row)) {
                add_port(node->ports, topology->ports[row->ports[k]].name);
            }
        }
    }
    rails.lenient = ports == NULL && !is_map;
    take_spec(wish, ports != NULL ? ports : chosen, &rails);
    bind_memory(topology, map, wish, &rails);
    bind_mover(topology, map, &rails);
    topology_rail_map_delete(&map);
    *rails_out = rails;
    return CKPT_OK;
}

static void log_choice(const struct rails *rails)
{
    for (uint32_t i = 0; i < rails->node_count; i++) {
        log_event(EVENT_rails, "memory=numa%d ports=%s", rails->nodes[i].os_index,
                  rails->nodes[i].ports[0] != '\0' ? rails->nodes[i].ports : "none");
    }
    log_event(EVENT_rails_chosen, "spec=%s fallback=%s arena_nodes=%u mover_cpus=%d digest_cpus=%d",
              rails->spec, rails->fallback != NULL ? rails->fallback : "none", rails->arena_count,
              CPU_COUNT(&rails->mover_cpus), CPU_COUNT(&rails->digest_cpus));
}

enum ckpt_status rails_choose(const struct rails_wish *wish, struct rails *rails_out, char *reason)
{
    if (!wants_rails(wish)) {
        if (strcmp(wish->rails, "auto") != 0) {
            snprintf(reason, CKPT_REASON_MAX + 1,
                     "[transport] rails is \"%.60s\", and spec is %.60s: rails are for the specs "
                     "verbs and auto; [transport] devices limits the others",
                     wish->rails, wish->spec);
            return CKPT_ERR_CONFIG;
        }
        memset(rails_out, 0, sizeof *rails_out);
        snprintf(rails_out->spec, sizeof rails_out->spec, "%s", wish->spec);
        return CKPT_OK;
    }
    struct topology *topology = NULL;
    enum ckpt_status status = topology_read_machine(&topology, reason, CKPT_REASON_MAX + 1);
    if (status == CKPT_OK) {
        status = rails_choose_on(topology, wish, rails_out, reason);
        topology_delete(&topology);
    } else if (strchr(wish->rails, '=') == NULL) {
        log_event(EVENT_no_topology, "reason=%s", LOG_QUOTED(reason));
        memset(rails_out, 0, sizeof *rails_out);
        take_spec(wish, named_ports(wish), rails_out);
        status = CKPT_OK;
    }
    if (status == CKPT_OK) {
        log_choice(rails_out);
    }
    return status;
}
