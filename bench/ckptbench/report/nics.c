/* SPDX-License-Identifier: Apache-2.0 */
#include "report/nics.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 64

/* The first line of a file of /sys; "" when it cannot be read. */
static void read_word(char word_out[WORD_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void read_word(char word_out[WORD_MAX], const char *format, ...)
{
    char path[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path, sizeof(path), format, arguments);
    va_end(arguments);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(word_out, WORD_MAX, file) == NULL) {
        word_out[0] = '\0';
    }
    word_out[strcspn(word_out, "\n")] = '\0';
    if (file != NULL) {
        fclose(file);
    }
}

/* Adds ", " and the words, unless they do not fit. */
static void append(char *text, size_t size, const char *name, const char *words)
{
    size_t used = strlen(text);
    const char *comma = used > 0 ? ", " : "";
    const char *blank = words[0] != '\0' ? " " : "";
    if (used + strlen(comma) + strlen(name) + strlen(blank) + strlen(words) < size) {
        snprintf(text + used, size - used, "%s%s%s%s", comma, name, blank, words);
    }
}

static void add_interface(const char *name, char *text, size_t size)
{
    char state[WORD_MAX];
    char speed[WORD_MAX];
    char words[WORD_MAX + 8] = "";
    read_word(state, "/sys/class/net/%s/operstate", name);
    read_word(speed, "/sys/class/net/%s/speed", name);
    if (strcmp(name, "lo") == 0 || (strcmp(state, "up") != 0 && strcmp(state, "unknown") != 0)) {
        return;
    }
    if (speed[0] != '\0' && speed[0] != '-') {
        snprintf(words, sizeof(words), "%sMb/s", speed);
    }
    append(text, size, name, words);
}

static void add_device(const char *name, char *text, size_t size)
{
    for (int port = 1; port <= 16; port++) {
        char state[WORD_MAX];
        char rate[WORD_MAX];
        char label[300];
        char words[2 * WORD_MAX + 8];
        read_word(state, "/sys/class/infiniband/%s/ports/%d/state", name, port);
        read_word(rate, "/sys/class/infiniband/%s/ports/%d/rate", name, port);
        if (state[0] == '\0') {
            return;
        }
        const char *colon = strchr(state, ':'); /* "4: ACTIVE" */
        snprintf(label, sizeof(label), "%s:%d", name, port);
        snprintf(words, sizeof(words), "%s %s", colon != NULL ? colon + 2 : state, rate);
        append(text, size, label, words);
    }
}

static void add_all(const char *folder, void (*add)(const char *, char *, size_t), char *text,
                    size_t size)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            add(entries[i]->d_name, text, size);
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
}

void nics_read(char *text_out, size_t size)
{
    text_out[0] = '\0';
    add_all("/sys/class/infiniband", add_device, text_out, size);
    add_all("/sys/class/net", add_interface, text_out, size);
}
