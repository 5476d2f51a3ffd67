/* SPDX-License-Identifier: Apache-2.0 */
/* Two passes over the I/O objects: the first numbers them (the number goes into hwloc's userdata),
 * the second, now that every parent has a number, fills them in. */
#include "topology/gather.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "topology/device.h"

struct gathering {
    hwloc_topology_t hwloc;
    struct topology *topology;
    uint32_t port_room;
    uint64_t cpu_nodes; /* the NUMA nodes that have CPUs */
    struct reason reason;
};

static enum ckpt_status refuse(const struct gathering *g, enum ckpt_status status, const char *what)
{
    return reason_refuse_in(g->reason, status, "%s", what);
}

static uint32_t place_of(hwloc_obj_t object)
{
    return object->userdata ? (uint32_t)((uintptr_t)object->userdata - 1) : TOPOLOGY_NONE;
}

static uint32_t package_of(hwloc_obj_t object)
{
    while (object && object->type != HWLOC_OBJ_PACKAGE) {
        object = object->parent;
    }
    return object ? object->logical_index : TOPOLOGY_NONE;
}

/* The parent whose cpuset the device's locality is. hwloc hangs what has numa_node -1 below the
 * root, which is everywhere: with more than one node that has CPUs that tells us nothing. */
static struct topology_locality locality_of(const struct gathering *g, hwloc_obj_t object)
{
    struct topology_locality locality = {.nodes = 0, .package = TOPOLOGY_NONE};
    hwloc_obj_t near = hwloc_get_non_io_ancestor_obj(g->hwloc, object);
    for (uint32_t i = 0; near && i < g->topology->numa_count; i++) {
        hwloc_obj_t node = hwloc_get_obj_by_type(g->hwloc, HWLOC_OBJ_NUMANODE, i);
        if (hwloc_bitmap_isset(near->nodeset, node->os_index)) {
            locality.nodes |= UINT64_C(1) << i;
        }
    }
    bool several = (g->cpu_nodes & (g->cpu_nodes - 1)) != 0;
    if (several && (locality.nodes & g->cpu_nodes) == g->cpu_nodes) {
        locality.nodes = 0;
    } else {
        locality.package = package_of(near);
    }
    return locality;
}

static enum ckpt_status gather_numas(struct gathering *g)
{
    struct topology *t = g->topology;
    int count = hwloc_get_nbobjs_by_type(g->hwloc, HWLOC_OBJ_NUMANODE);
    hwloc_const_cpuset_t allowed = hwloc_topology_get_allowed_cpuset(g->hwloc);
    if (count <= 0) {
        return refuse(g, CKPT_ERR_CORRUPT, "the topology has no NUMA node");
    }
    if (count > CKPT_NUMA_NODES_MAX) {
        return refuse(g, CKPT_ERR_TOO_LARGE, "the topology has more than 64 NUMA nodes");
    }
    t->numas = calloc((size_t)count, sizeof(*t->numas));
    if (!t->numas) {
        return refuse(g, CKPT_ERR_MEMORY, "out of memory");
    }
    t->numa_count = (uint32_t)count;
    for (uint32_t i = 0; i < t->numa_count; i++) {
        hwloc_obj_t node = hwloc_get_obj_by_type(g->hwloc, HWLOC_OBJ_NUMANODE, i);
        struct topology_numa *numa = &t->numas[i];
        numa->os_index = node->os_index;
        snprintf(numa->name, sizeof(numa->name), "numa%" PRIu32, numa->os_index);
        numa->package = package_of(node);
        numa->memory_bytes = node->attr->numanode.local_memory;
        CPU_ZERO(&numa->cpus);
        for (int cpu = hwloc_bitmap_first(node->cpuset); cpu >= 0 && cpu < CPU_SETSIZE;
             cpu = hwloc_bitmap_next(node->cpuset, cpu)) {
            if (hwloc_bitmap_isset(allowed, (unsigned)cpu)) {
                CPU_SET((unsigned)cpu, &numa->cpus);
            }
        }
        if (!hwloc_bitmap_iszero(node->cpuset)) {
            g->cpu_nodes |= UINT64_C(1) << i;
        }
    }
    return CKPT_OK;
}

static uint32_t number(hwloc_obj_t object, uint32_t next)
{
    object->userdata = (void *)((uintptr_t)next + 1);
    return next + 1;
}

static enum ckpt_status number_places(struct gathering *g)
{
    struct topology *t = g->topology;
    uint32_t count = 0;
    uint32_t virtual_count = 0;
    hwloc_obj_t object = NULL;
    while ((object = hwloc_get_next_bridge(g->hwloc, object)) && count <= CKPT_IO_DEVICES_MAX) {
        count = number(object, count);
    }
    object = NULL;
    while ((object = hwloc_get_next_pcidev(g->hwloc, object)) && count <= CKPT_IO_DEVICES_MAX) {
        count = number(object, count);
    }
    object = NULL;
    while ((object = hwloc_get_next_osdev(g->hwloc, object))) {
        virtual_count++;
    }
    if (count > CKPT_IO_DEVICES_MAX || virtual_count > CKPT_IO_DEVICES_MAX) {
        return refuse(g, CKPT_ERR_TOO_LARGE, "the topology has more than 4096 I/O devices");
    }
    /* Room for every OS device, should none of them be on a PCI device. */
    t->places = calloc((size_t)count + virtual_count + 1, sizeof(*t->places));
    t->gpus = calloc((size_t)count + 1, sizeof(*t->gpus));
    if (!t->places || !t->gpus) {
        return refuse(g, CKPT_ERR_MEMORY, "out of memory");
    }
    t->place_count = count;
    return CKPT_OK;
}

static void fill_place(const struct gathering *g, hwloc_obj_t object)
{
    struct topology_place *place = &g->topology->places[place_of(object)];
    const struct hwloc_pcidev_attr_s *pci = &object->attr->pcidev;
    place->kind = TOPOLOGY_PCI;
    if (object->type == HWLOC_OBJ_BRIDGE) {
        place->kind = TOPOLOGY_BRIDGE;
        pci = &object->attr->bridge.upstream.pci;
        if (object->attr->bridge.upstream_type == HWLOC_OBJ_BRIDGE_HOST) {
            place->kind = TOPOLOGY_HOST_BRIDGE;
            pci = NULL;
        }
    }
    hwloc_obj_t above = object->parent;
    while (above && !above->userdata) {
        above = above->parent;
    }
    place->parent = above ? place_of(above) : TOPOLOGY_NONE;
    place->locality = locality_of(g, object);
    if (pci) {
        place->domain = pci->domain;
        place->bus = pci->bus;
        place->device = pci->dev;
        place->function = pci->func;
        place->class_id = pci->class_id;
        place->vendor_id = pci->vendor_id;
        place->device_id = pci->device_id;
    }
}

static void gather_gpu(const struct gathering *g, hwloc_obj_t object)
{
    struct topology *t = g->topology;
    const char *model = hwloc_obj_get_info_by_name(object, "PCIDevice");
    bool is_compute = false;
    for (hwloc_obj_t child = object->io_first_child; child; child = child->next_sibling) {
        if (child->type == HWLOC_OBJ_OS_DEVICE &&
            topology_device_is_compute(child->name, child->subtype)) {
            const char *named = hwloc_obj_get_info_by_name(child, "GPUModel");
            is_compute = true;
            model = named ? named : model;
        }
    }
    uint32_t place = place_of(object);
    if (topology_device_is_gpu(&t->places[place], is_compute)) {
        struct topology_gpu *gpu = &t->gpus[t->gpu_count++];
        gpu->place = place;
        snprintf(gpu->model, sizeof(gpu->model), "%s", model ? model : "");
    }
}

static struct topology_port *add_port(struct gathering *g)
{
    struct topology *t = g->topology;
    if (t->port_count == g->port_room) {
        uint32_t room = g->port_room ? 2 * g->port_room : 16;
        struct topology_port *ports = realloc(t->ports, room * sizeof(*ports));
        if (!ports) {
            return NULL;
        }
        t->ports = ports;
        g->port_room = room;
    }
    struct topology_port *port = &t->ports[t->port_count++];
    memset(port, 0, sizeof(*port));
    return port;
}

/* The place of a device without PCI. */
static uint32_t add_virtual_place(const struct gathering *g, hwloc_obj_t device)
{
    struct topology *t = g->topology;
    t->places[t->place_count] = (struct topology_place){
        .kind = TOPOLOGY_VIRTUAL, .parent = TOPOLOGY_NONE, .locality = locality_of(g, device)};
    return t->place_count++;
}

/* PortNState is what the kernel's ports/N/state begins with; 4 is ACTIVE. Recordings of old
 * versions have none of them. */
static enum ckpt_status gather_ports(struct gathering *g, hwloc_obj_t device)
{
    hwloc_obj_t above = device->parent;
    while (above && !above->userdata) {
        above = above->parent;
    }
    uint32_t place = above ? place_of(above) : add_virtual_place(g, device);
    const struct topology_place *at = &g->topology->places[place];
    const char *model = above ? hwloc_obj_get_info_by_name(above, "PCIDevice") : NULL;
    bool is_virtual_function =
        at->kind == TOPOLOGY_PCI &&
        (topology_device_is_virtual_function(at, model) ||
         (hwloc_topology_is_thissystem(g->hwloc) && topology_device_has_physfn(at)));
    bool has_second = hwloc_obj_get_info_by_name(device, "Port2State") != NULL;
    for (uint32_t n = 1; n <= UINT8_MAX; n++) {
        char key[24];
        snprintf(key, sizeof(key), "Port%" PRIu32 "State", n);
        const char *state = hwloc_obj_get_info_by_name(device, key);
        if (!state && n > 1) {
            break;
        }
        struct topology_port *port = add_port(g);
        if (!port) {
            return refuse(g, CKPT_ERR_MEMORY, "out of memory");
        }
        port->number = n;
        port->place = place;
        port->is_down = state && state[0] != '4';
        port->is_virtual_function = is_virtual_function;
        snprintf(port->device, sizeof(port->device), "%s", device->name);
        snprintf(port->name, sizeof(port->name), has_second ? "%.*s:%" PRIu32 : "%.*s",
                 TOPOLOGY_NAME_MAX, device->name, n);
    }
    return CKPT_OK;
}

static int compare_gpus(const void *left, const void *right, void *topology)
{
    const struct topology *t = topology;
    const struct topology_gpu *a = left;
    const struct topology_gpu *b = right;
    const struct topology_place *p = &t->places[a->place];
    const struct topology_place *q = &t->places[b->place];
    const uint32_t ids[][2] = {{p->domain, q->domain},
                               {p->bus, q->bus},
                               {p->device, q->device},
                               {p->function, q->function},
                               {a->place, b->place}};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        if (ids[i][0] != ids[i][1]) {
            return ids[i][0] < ids[i][1] ? -1 : 1;
        }
    }
    return 0;
}

static int compare_ports(const void *left, const void *right)
{
    const struct topology_port *a = left;
    const struct topology_port *b = right;
    return topology_device_compare_names(a->name, b->name);
}

/* Since hwloc 3 a device may be of several kinds. */
static bool is_rdma_device(hwloc_obj_t device)
{
#if HWLOC_API_VERSION >= 0x00030000
    return (device->attr->osdev.types & HWLOC_OBJ_OSDEV_OPENFABRICS) != 0;
#else
    return device->attr->osdev.type == HWLOC_OBJ_OSDEV_OPENFABRICS;
#endif
}

static enum ckpt_status gather_io(struct gathering *g)
{
    struct topology *t = g->topology;
    hwloc_obj_t object = NULL;
    while ((object = hwloc_get_next_bridge(g->hwloc, object))) {
        fill_place(g, object);
    }
    object = NULL;
    while ((object = hwloc_get_next_pcidev(g->hwloc, object))) {
        fill_place(g, object);
        gather_gpu(g, object);
    }
    object = NULL;
    while ((object = hwloc_get_next_osdev(g->hwloc, object))) {
        if (is_rdma_device(object) && object->name) {
            enum ckpt_status status = gather_ports(g, object);
            if (status != CKPT_OK) {
                return status;
            }
        }
    }
    if (t->gpu_count > 1) {
        qsort_r(t->gpus, t->gpu_count, sizeof(*t->gpus), compare_gpus, t);
    }
    if (t->port_count > 1) {
        qsort(t->ports, t->port_count, sizeof(*t->ports), compare_ports);
    }
    for (uint32_t i = 0; i < t->gpu_count; i++) {
        snprintf(t->gpus[i].name, sizeof(t->gpus[i].name), "gpu%" PRIu32, i);
    }
    return CKPT_OK;
}

enum ckpt_status topology_gather(hwloc_topology_t hwloc, struct topology **topology_out,
                                 struct reason reason)
{
    struct gathering g = {.hwloc = hwloc, .reason = reason};
    g.topology = calloc(1, sizeof(*g.topology));
    if (!g.topology) {
        return refuse(&g, CKPT_ERR_MEMORY, "out of memory");
    }
    enum ckpt_status status = gather_numas(&g);
    if (status == CKPT_OK) {
        status = number_places(&g);
    }
    if (status == CKPT_OK) {
        status = gather_io(&g);
    }
    if (status != CKPT_OK) {
        topology_delete(&g.topology);
        return status;
    }
    *topology_out = g.topology;
    return CKPT_OK;
}
