/* SPDX-License-Identifier: Apache-2.0 */
/* Opens what hwloc reads from; gather.c makes plain data of it. */
#include "topology/node_topology.h"

#include <errno.h>
#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "topology/gather.h"

/* Without it hwloc leaves out devices that are on no bus: Soft-RoCE. No call asks for them. */
#define VIRTUAL_DEVICES "HWLOC_VIRTUAL_LINUX_OSDEV"

/* Everything that has I/O, and what is outside our cgroup too: a NIC next to a NUMA node that we
 * may not use is far from all that we may. */
static enum ckpt_status open_hwloc(hwloc_topology_t *hwloc_out)
{
    hwloc_topology_t hwloc;
    if (hwloc_topology_init(&hwloc) != 0) {
        return CKPT_ERR_MEMORY;
    }
    if (hwloc_topology_set_io_types_filter(hwloc, HWLOC_TYPE_FILTER_KEEP_ALL) != 0 ||
        hwloc_topology_set_flags(hwloc, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) != 0) {
        hwloc_topology_destroy(hwloc);
        return CKPT_ERR_SYSTEM;
    }
    *hwloc_out = hwloc;
    return CKPT_OK;
}

static enum ckpt_status load(hwloc_topology_t hwloc, enum ckpt_status failure,
                             struct topology **topology_out, struct reason reason)
{
    if (hwloc_topology_load(hwloc) != 0) {
        return reason_refuse_in(reason, failure, "hwloc: %s", strerror(errno));
    }
    return topology_gather(hwloc, topology_out, reason);
}

enum ckpt_status topology_read_machine(struct topology **topology_out, char *reason_out,
                                       size_t reason_size)
{
    struct reason reason = {reason_out, reason_size};
    static const char *const unwanted[] = {"cuda", "nvml", "opencl", "rsmi", "levelzero", "gl"};
    hwloc_topology_t hwloc;
    enum ckpt_status status = open_hwloc(&hwloc);
    if (status != CKPT_OK) {
        return reason_refuse_in(reason, status, "hwloc: %s", ckpt_status_text(status));
    }
    for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++) {
        /* Fails for a plugin that is not installed, which is as good. */
        (void)hwloc_topology_set_components(hwloc, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST,
                                            unwanted[i]);
    }
    bool was_set = getenv(VIRTUAL_DEVICES) != NULL;
    setenv(VIRTUAL_DEVICES, "1", 0);
    status = load(hwloc, CKPT_ERR_SYSTEM, topology_out, reason);
    if (!was_set) {
        unsetenv(VIRTUAL_DEVICES);
    }
    hwloc_topology_destroy(hwloc);
    return status;
}

/* hwloc says no more than EINVAL; the one cause that people will meet gets its own words. */
static enum ckpt_status refuse_text(const char *text, struct reason reason)
{
    const char *root = strstr(text, "<topology");
    if (root && strncmp(root, "<topology version=\"", 19) == 0 && root[19] >= '3' &&
        root[19] <= '9') {
        return reason_refuse_in(
            reason, CKPT_ERR_VERSION,
            "a recording of hwloc %c, of which hwloc %u, which runs here, knows nothing; "
            "record it with lstopo --export-xml-flags v2",
            root[19], hwloc_get_api_version() >> 16);
    }
    return reason_refuse_in(reason, CKPT_ERR_CORRUPT,
                            "no recording of a topology, or a damaged one (%s)",
                            "lstopo FILE.xml makes one");
}

/* text has size bytes and a NUL behind them. */
static enum ckpt_status read_text(const char *text, size_t size, struct topology **topology_out,
                                  struct reason reason)
{
    hwloc_topology_t hwloc;
    enum ckpt_status status = open_hwloc(&hwloc);
    if (status != CKPT_OK) {
        return reason_refuse_in(reason, status, "hwloc: %s", ckpt_status_text(status));
    }
    if (hwloc_topology_set_xmlbuffer(hwloc, text, (int)size + 1) != 0) {
        status = refuse_text(text, reason);
    } else {
        status = load(hwloc, CKPT_ERR_CORRUPT, topology_out, reason);
        if (status == CKPT_ERR_CORRUPT) {
            status = refuse_text(text, reason);
        }
    }
    hwloc_topology_destroy(hwloc);
    return status;
}

enum ckpt_status topology_read_buffer(const char *text, size_t size, struct topology **topology_out,
                                      char *reason_out, size_t reason_size)
{
    struct reason reason = {reason_out, reason_size};
    if (size > CKPT_TOPOLOGY_FILE_MAX) {
        return reason_refuse_in(reason, CKPT_ERR_TOO_LARGE,
                                "more than %d MiB are no recording of a node",
                                (int)(CKPT_TOPOLOGY_FILE_MAX / CKPT_MIB));
    }
    char *copy = malloc(size + 1);
    if (!copy) {
        return reason_refuse_in(reason, CKPT_ERR_MEMORY, "out of memory");
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    enum ckpt_status status = read_text(copy, size, topology_out, reason);
    free(copy);
    return status;
}

enum ckpt_status topology_read_file(const char *path, struct topology **topology_out,
                                    char *reason_out, size_t reason_size)
{
    struct reason reason = {reason_out, reason_size};
    enum ckpt_status status;
    FILE *file = fopen(path, "re");
    if (!file) {
        return reason_refuse_in(reason, CKPT_ERR_NOT_FOUND, "%s: %s", path, strerror(errno));
    }
    /* One byte more than may be, so that a file that is too long shows. */
    char *text = malloc(CKPT_TOPOLOGY_FILE_MAX + 1);
    if (!text) {
        status = reason_refuse_in(reason, CKPT_ERR_MEMORY, "out of memory");
        goto close_file;
    }
    errno = 0;
    size_t size = fread(text, 1, CKPT_TOPOLOGY_FILE_MAX + 1, file);
    if (ferror(file)) {
        status = reason_refuse_in(reason, CKPT_ERR_NOT_FOUND, "%s: %s", path, strerror(errno));
        goto free_text;
    }
    char why[CKPT_REASON_MAX + 1];
    status = topology_read_buffer(text, size, topology_out, why, sizeof(why));
    if (status != CKPT_OK) {
        status = reason_refuse_in(reason, status, "%s: %s", path, why);
    }
free_text:
    free(text);
close_file:
    fclose(file);
    return status;
}

enum ckpt_status topology_read_synthetic(const char *description, struct topology **topology_out,
                                         char *reason_out, size_t reason_size)
{
    struct reason reason = {reason_out, reason_size};
    hwloc_topology_t hwloc;
    enum ckpt_status status = open_hwloc(&hwloc);
    if (status != CKPT_OK) {
        return reason_refuse_in(reason, status, "hwloc: %s", ckpt_status_text(status));
    }
    if (hwloc_topology_set_synthetic(hwloc, description) != 0) {
        status = reason_refuse_in(reason, CKPT_ERR_INVALID, "'%s' describes no synthetic topology",
                                  description);
    } else {
        status = load(hwloc, CKPT_ERR_INVALID, topology_out, reason);
    }
    hwloc_topology_destroy(hwloc);
    return status;
}
