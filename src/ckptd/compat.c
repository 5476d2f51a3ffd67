/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/compat.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KIND "orbax-replicator"
#define FLAG "--compat"

bool compat_is_asked(int argc, char **argv)
{
    return argc > 1 && strncmp(argv[1], FLAG, strlen(FLAG)) == 0 &&
           (argv[1][strlen(FLAG)] == '\0' || argv[1][strlen(FLAG)] == '=');
}

int compat_become(int argc, char **argv)
{
    char path[PATH_MAX];
    bool is_one_word = argv[1][strlen(FLAG)] == '=';
    const char *kind = is_one_word ? argv[1] + strlen(FLAG "=") : argc > 2 ? argv[2] : "";
    char **words = argv + (is_one_word ? 1 : 2); /* the kind's place becomes the name's */
    if (strcmp(kind, KIND) != 0) {
        fprintf(stderr, "ckptd: " FLAG " %s: " KIND " is known\n", kind);
        return 2;
    }
    ssize_t bytes = readlink("/proc/self/exe", path, sizeof path - 1);
    path[bytes < 0 ? 0 : bytes] = '\0';
    char *name = strrchr(path, '/');
    if (name != NULL && (size_t)(name - path) + sizeof "/ckptd-" KIND <= sizeof path) {
        strcpy(name, "/ckptd-" KIND);
        words[0] = path;
        execv(path, words);
    }
    fprintf(stderr, "ckptd: %s: %s: it is built where libyaml is there\n", path, strerror(errno));
    return 1;
}
