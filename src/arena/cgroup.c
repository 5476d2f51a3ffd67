/* SPDX-License-Identifier: Apache-2.0 */
#include "arena/cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

#define PATH_BYTES 1024

/* The files of one version of control groups. */
struct names {
    const char *limits[2]; /* the second is NULL in version 1 */
    const char *usage;
    const char *cache[2]; /* lines of memory.stat that the kernel can take back */
};

static const struct names version_1 = {.limits = {"memory.limit_in_bytes"},
                                       .usage = "memory.usage_in_bytes",
                                       .cache = {"total_active_file ", "total_inactive_file "}};
static const struct names version_2 = {.limits = {"memory.max", "memory.high"},
                                       .usage = "memory.current",
                                       .cache = {"active_file ", "inactive_file "}};

/* A mount of control groups, and the process's place below it. */
struct place {
    char mount[PATH_BYTES];
    char root[PATH_BYTES]; /* of the hierarchy, what is mounted */
    char path[PATH_BYTES]; /* of the hierarchy, where the process is */
};

static FILE *open_at(const char *root, const char *path)
{
    char full[3 * PATH_BYTES];

    snprintf(full, sizeof(full), "%s%s", root, path);
    return fopen(full, "re");
}

/* Whether word is in a list with commas. */
static bool lists(const char *list, const char *word)
{
    size_t bytes = strlen(word);

    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, bytes) == 0 && (at[bytes] == ',' || at[bytes] == '\0')) {
            return true;
        }
    }
    return false;
}

/* Lines are "HIERARCHY:CONTROLLERS:PATH"; version 2 has no controllers. */
static bool find_path(const char *root, const char *process, bool second, char path_out[PATH_BYTES])
{
    char name[64];
    char line[PATH_BYTES];
    bool found = false;

    snprintf(name, sizeof(name), "/proc/%.32s/cgroup", process);
    FILE *file = open_at(root, name);
    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL) {
            continue;
        }
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        found = second ? strcmp(line, "0:") == 0 : lists(controllers + 1, "memory");
        snprintf(path_out, PATH_BYTES, "%s", path);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

/* Lines are "ID PARENT DEVICE ROOT MOUNT OPTIONS... - TYPE SOURCE SUPEROPTIONS". */
static bool find_mount(const char *root, bool second, struct place *place)
{
    FILE *file = open_at(root, "/proc/self/mountinfo");
    char line[4 * PATH_BYTES];
    bool found = false;

    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
        char type[32];
        char options[PATH_BYTES];
        const char *rest = strstr(line, " - ");
        found = rest != NULL && sscanf(rest, " - %31s %*s %1023s", type, options) == 2 &&
                strcmp(type, second ? "cgroup2" : "cgroup") == 0 &&
                (second || lists(options, "memory")) &&
                sscanf(line, "%*s %*s %*s %1023s %1023s", place->root, place->mount) == 2;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

/* False for "max", and where the file is not there. */
static bool read_bytes(const char *root, const char *folder, const char *name, uint64_t *bytes_out)
{
    char path[2 * PATH_BYTES];
    unsigned long long value;
    FILE *file;
    bool found;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = open_at(root, path);
    found = file != NULL && fscanf(file, "%llu", &value) == 1;
    if (file != NULL) {
        (void)fclose(file);
    }
    if (found) {
        *bytes_out = value;
    }
    return found;
}

/* Pages of files that the group holds: they go when room is wanted. An arena's pages do not. */
static uint64_t read_cache(const char *root, const char *folder, const struct names *names)
{
    char path[2 * PATH_BYTES + sizeof("/memory.stat")];
    char line[256];
    uint64_t sum = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/memory.stat", folder);
    file = open_at(root, path);
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        for (int i = 0; i < 2; i++) {
            size_t bytes = strlen(names->cache[i]);
            if (strncmp(line, names->cache[i], bytes) == 0) {
                sum += strtoull(line + bytes, NULL, 10);
            }
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return sum;
}

/* Notes the limits of one group where they leave less than those before. */
static void look(const char *root, const char *folder, const struct names *names,
                 struct cgroup_memory *memory)
{
    uint64_t used = 0;
    uint64_t cache = read_cache(root, folder, names);

    (void)read_bytes(root, folder, names->usage, &used);
    used -= cache < used ? cache : used;
    for (int i = 0; i < 2 && names->limits[i] != NULL; i++) {
        uint64_t limit;
        uint64_t left;
        if (!read_bytes(root, folder, names->limits[i], &limit)) {
            continue;
        }
        left = limit > used ? limit - used : 0;
        if (left < memory->left) {
            memory->left = left;
            memory->limit = limit;
            snprintf(memory->file, sizeof(memory->file), "%.*s/%s",
                     (int)(sizeof(memory->file) - 32), folder, names->limits[i]);
        }
    }
}

/* From the process's group up to the mount; groups above it, as outside of a container, are not to
 * be seen. */
static void climb(const char *root, const struct place *place, const struct names *names,
                  struct cgroup_memory *memory)
{
    char folder[2 * PATH_BYTES];
    size_t mount_bytes = strlen(place->mount);
    size_t root_bytes = strcmp(place->root, "/") == 0 ? 0 : strlen(place->root);
    const char *below = place->path;

    if (strncmp(below, place->root, root_bytes) == 0) {
        below += root_bytes;
    } else {
        below = "";
    }
    if (strncmp(below, "/..", 3) == 0) {
        below = "";
    }
    snprintf(folder, sizeof(folder), "%s%s", place->mount, strcmp(below, "/") == 0 ? "" : below);
    while (strlen(folder) >= mount_bytes) {
        uint64_t hierarchy;
        char *last;
        look(root, folder, names, memory);
        last = strrchr(folder, '/');
        if (last == NULL || strlen(folder) == mount_bytes) {
            break;
        }
        *last = '\0';
        /* Version 1 before Linux 5.11 could leave a group's children out of its count. */
        if (read_bytes(root, folder, "memory.use_hierarchy", &hierarchy) && hierarchy == 0) {
            break;
        }
    }
}

bool cgroup_memory_of(const char *root, const char *process, struct cgroup_memory *memory_out)
{
    struct cgroup_memory memory = {.left = UINT64_MAX};

    for (int second = 0; second < 2; second++) {
        struct place place;
        if (find_path(root, process, second, place.path) && find_mount(root, second, &place)) {
            climb(root, &place, second ? &version_2 : &version_1, &memory);
        }
    }
    /* Version 1 says "none" by a number near the largest. */
    if (memory.left == UINT64_MAX || memory.limit > INT64_MAX / 2) {
        return false;
    }
    *memory_out = memory;
    return true;
}

bool cgroup_memory(const char *root, struct cgroup_memory *memory_out)
{
    return cgroup_memory_of(root, "self", memory_out);
}
