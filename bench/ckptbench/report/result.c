/* SPDX-License-Identifier: Apache-2.0 */
#include "report/result.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/nearest.h"
#include "base/reason.h"

#define NEIGHBOURS_MAX 512

static int is_result(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 5 && strcmp(entry->d_name + length - 5, ".json") == 0;
}

/* ", did you mean x.json?" of the files beside it; "" when none is near. */
static void find_neighbour(const char *path, char *text_out, size_t size)
{
    char folder[PATH_MAX] = ".";
    const char *names[NEIGHBOURS_MAX];
    struct dirent **entries;
    size_t count = 0;
    const char *slash = strrchr(path, '/');
    text_out[0] = '\0';
    if (slash != NULL) {
        snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path) + 1, path);
    }
    int found = scandir(folder, &entries, is_result, alphasort);
    for (int i = 0; i < found && count < NEIGHBOURS_MAX; i++) {
        names[count++] = entries[i]->d_name;
    }
    const char *nearest = nearest_name(slash != NULL ? slash + 1 : path, names, count);
    if (nearest != NULL) {
        snprintf(text_out, size, ", did you mean %s?", nearest);
    }
    for (int i = 0; i < found; i++) {
        free(entries[i]);
    }
    if (found >= 0) {
        free(entries);
    }
}

static void name_by_file(const char *path, struct result *result)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    size_t length = strlen(name);
    if (length > 5 && strcmp(name + length - 5, ".json") == 0) {
        length -= 5;
    }
    snprintf(result->label, sizeof(result->label), "%.*s", (int)length, name);
}

enum ckpt_status result_load(const char *path, const char *label, struct result *result_out,
                             char *reason)
{
    struct result result = {.json = NULL};
    char neighbour[CKPT_REASON_MAX + 1];
    json_error_t error;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        int saved = errno;
        find_neighbour(path, neighbour, sizeof(neighbour));
        return reason_refuse(reason, CKPT_ERR_CONFIG, "cannot read %.100s: %s%.80s", path,
                             strerror(saved), neighbour);
    }
    result.json = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
    fclose(file);
    if (result.json == NULL) {
        return reason_refuse(reason, CKPT_ERR_CONFIG, "%.100s, line %d, is not JSON: %.100s", path,
                             error.line, error.text);
    }
    result.kind = result_text(result.json, "case");
    if (result.kind[0] == '\0' || !json_is_object(json_object_get(result.json, "environment"))) {
        reason_set(reason, "%.150s is not a result of ckptbench (write one with --json=FILE)",
                   path);
        result_free(&result);
        return CKPT_ERR_CONFIG;
    }
    name_by_file(path, &result);
    if (label != NULL) {
        snprintf(result.label, sizeof(result.label), "%s", label);
    }
    *result_out = result;
    return CKPT_OK;
}

void result_free(struct result *result)
{
    json_decref(result->json);
    result->json = NULL;
}

double result_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static double spread(const struct result *result, const char *key, const char *end)
{
    const json_t *all = json_object_get(result->json, "spread");
    return result_number(json_object_get(all, key), end);
}

double result_min(const struct result *result, const char *key)
{
    return spread(result, key, "min");
}

double result_max(const struct result *result, const char *key)
{
    return spread(result, key, "max");
}

const char *result_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}
