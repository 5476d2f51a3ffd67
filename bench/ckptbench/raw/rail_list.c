/* SPDX-License-Identifier: Apache-2.0 */
#include "raw/rail_list.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "base/reason.h"
#include "raw/spec.h"

#define NAMES_MAX 512
#define DEVICES "/sys/class/infiniband"

static bool is_verbs(const char *spec)
{
    return strcmp(spec, "verbs") == 0 || strncmp(spec, "verbs:", strlen("verbs:")) == 0;
}

static enum ckpt_status add(struct rail_list *list, const char *name, size_t length, char *reason)
{
    if (list->count == RAIL_LIST_MAX || length >= RAIL_NAME_MAX) {
        return reason_refuse(reason, CKPT_ERR_CONFIG, "at most %d rails, of short names",
                             RAIL_LIST_MAX);
    }
    snprintf(list->names[list->count++], RAIL_NAME_MAX, "%.*s", (int)length, name);
    return CKPT_OK;
}

/* Whether it is a port of the topology: "mlx5_0", "mlx5_0:1". */
static bool has_port(const struct topology *topology, const char *name)
{
    for (uint32_t i = 0; i < topology->port_count; i++) {
        const struct topology_port *port = &topology->ports[i];
        size_t length = strlen(port->device);
        if (strcmp(port->name, name) == 0 || strcmp(port->device, name) == 0) {
            return true;
        }
        unsigned number;
        if (strncmp(port->device, name, length) == 0 &&
            sscanf(name + length, ":%u", &number) == 1 && number == port->number) {
            return true;
        }
    }
    return false;
}

static bool kernel_has(const char *name)
{
    char path[sizeof(DEVICES) + RAIL_NAME_MAX + 2];
    snprintf(path, sizeof(path), DEVICES "/%.*s", (int)strcspn(name, ":"), name);
    return name[0] != '.' && strchr(name, '/') == NULL && access(path, F_OK) == 0;
}

static enum ckpt_status check_port(const struct topology *topology, const char *name, char *reason)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    if (has_port(topology, name) || kernel_has(name)) {
        return CKPT_OK;
    }
    for (; count < topology->port_count && count < NAMES_MAX; count++) {
        names[count] = topology->ports[count].name;
    }
    const char *nearest = nearest_name(name, names, count);
    return reason_refuse(
        reason, CKPT_ERR_CONFIG, "unknown rail \"%.60s\"%s%s%s this machine has %u RDMA port%s%s",
        name, nearest != NULL ? ", did you mean " : "", nearest != NULL ? nearest : "",
        nearest != NULL ? "?" : ";", topology->port_count, topology->port_count == 1 ? "" : "s",
        topology->port_count > 0 ? " (ckptctl topology)" : "");
}

/* Those of "verbs:a+b". */
static enum ckpt_status add_of_spec(struct rail_list *list, const char *spec, char *reason)
{
    enum ckpt_status status = CKPT_OK;
    const char *at = spec + strlen("verbs:");
    while (*at != '\0' && status == CKPT_OK) {
        size_t length = strcspn(at, "+");
        status = add(list, at, length, reason);
        at += length;
        at += *at == '+';
    }
    return status;
}

static enum ckpt_status add_of_topology(struct rail_list *list, const struct topology *topology,
                                        char *reason)
{
    enum ckpt_status status = CKPT_OK;
    for (uint32_t i = 0; i < topology->port_count && status == CKPT_OK; i++) {
        const struct topology_port *port = &topology->ports[i];
        if (!port->is_down && !port->is_virtual_function) {
            status = add(list, port->name, strlen(port->name), reason);
        }
    }
    return status;
}

/* hwloc leaves software devices out on some machines: then what the kernel lists, in its order. */
static enum ckpt_status add_of_kernel(struct rail_list *list, char *reason)
{
    struct dirent **entries;
    enum ckpt_status status = CKPT_OK;
    int count = scandir(DEVICES, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.' && status == CKPT_OK) {
            status = add(list, entries[i]->d_name, strlen(entries[i]->d_name), reason);
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
    return status;
}

enum ckpt_status rail_list_make(const struct config *config, size_t key, const char *spec,
                                const struct topology *topology, struct rail_list *list_out,
                                char *reason)
{
    struct rail_list list = {.transport = is_verbs(spec) ? "verbs" : spec};
    enum ckpt_status status = spec_check(spec, NULL, reason);
    for (size_t i = 0; i < config_list_count(config, key) && status == CKPT_OK; i++) {
        const char *name = config_list_at(config, key, i);
        status = add(&list, name, strlen(name), reason);
    }
    if (status == CKPT_OK && list.count == 0 && is_verbs(spec)) {
        status = spec[strlen("verbs")] == ':' ? add_of_spec(&list, spec, reason)
                                              : add_of_topology(&list, topology, reason);
    }
    if (status == CKPT_OK && list.count == 0 && is_verbs(spec) && topology->port_count == 0) {
        status = add_of_kernel(&list, reason);
    }
    for (uint32_t i = 0; i < list.count && status == CKPT_OK; i++) {
        status = is_verbs(spec) ? check_port(topology, list.names[i], reason)
                                : spec_check(spec, list.names[i], reason);
    }
    if (status == CKPT_OK) {
        *list_out = list;
    }
    return status;
}

void rail_list_choose(const struct rail_list *list, const uint32_t *indices, uint32_t count,
                      struct rail_choice *choice_out)
{
    bool verbs = is_verbs(list->transport);
    char *text = verbs ? choice_out->transport : choice_out->devices;
    snprintf(choice_out->transport, RAIL_SPEC_MAX, "%s", list->transport);
    choice_out->devices[0] = '\0';
    size_t used = strlen(text);
    for (uint32_t i = 0; i < count && used < RAIL_SPEC_MAX; i++) {
        const char *before = i > 0 ? (verbs ? "+" : ",") : (verbs ? ":" : "");
        used += (size_t)snprintf(text + used, RAIL_SPEC_MAX - used, "%s%s", before,
                                 list->names[indices[i]]);
    }
}

void rail_list_choose_all(const struct rail_list *list, struct rail_choice *choice_out)
{
    uint32_t indices[RAIL_LIST_MAX];
    for (uint32_t i = 0; i < RAIL_LIST_MAX; i++) {
        indices[i] = i;
    }
    rail_list_choose(list, indices, list->count, choice_out);
}
