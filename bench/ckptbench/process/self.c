/* SPDX-License-Identifier: Apache-2.0 */
#include "process/self.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool self_path(char *path_out, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", path_out, size - 1);
    if (length <= 0) {
        return false;
    }
    path_out[length] = '\0';
    return true;
}

bool self_sibling(const char *name, char *path_out, size_t size)
{
    static const char *const places[] = {"", "../sbin/", "../bin/"};
    char directory[PATH_MAX];
    path_out[0] = '\0';
    if (!self_path(directory, sizeof(directory))) {
        return false;
    }
    *(strrchr(directory, '/') + 1) = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char path[2 * PATH_MAX];
        snprintf(path, sizeof(path), "%s%s%s", directory, places[i], name);
        bool found = access(path, X_OK) == 0;
        if (found || i == 0) {
            snprintf(path_out, size, "%s", path);
        }
        if (found) {
            return true;
        }
    }
    return false;
}

bool self_find(const char *name, char *path_out, size_t size)
{
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        int length = (int)strcspn(path, ":");
        snprintf(path_out, size, "%.*s/%s", length, path, name);
        if (access(path_out, X_OK) == 0) {
            return true;
        }
        path += length;
        path += *path == ':';
    }
    path_out[0] = '\0';
    return false;
}
