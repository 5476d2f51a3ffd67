/* SPDX-License-Identifier: Apache-2.0 */
/* The operands of `import` become a list of files, and each is looked at. */
#include "ckptctl/import_list.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "ckptctl/export.h"
#include "ckptctl/import_look.h"

#define SUFFIX ".safetensors"
#define INDEX_SUFFIX SUFFIX ".index.json"
#define TIER_RANK_FILE "rank-%05u.safetensors" /* as a tier names them */
#define TIER_MANIFEST "manifest.json"
#define INDEX_BYTES_MAX (UINT64_C(256) << 20)

static bool ends_with(const char *text, const char *end)
{
    size_t text_bytes = strlen(text);
    size_t end_bytes = strlen(end);
    return text_bytes >= end_bytes && strcmp(text + text_bytes - end_bytes, end) == 0;
}

static const char *name_in(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static enum exit_code add(struct import_list *list, const char *path, const json_t *weights)
{
    if (list->count == CKPT_WORLD_MAX) {
        return complain(EXIT_NO, "more than %d files: no checkpoint has so many ranks",
                        CKPT_WORLD_MAX);
    }
    if ((list->count & (list->count - 1)) == 0) { /* grows by doubling */
        size_t room = list->count > 0 ? 2 * list->count : 1;
        void *files = realloc(list->files, room * sizeof(*list->files));
        if (!files) {
            return complain(EXIT_NO, "no memory");
        }
        list->files = files;
    }
    char *copy = strdup(path);
    if (!copy) {
        return complain(EXIT_NO, "no memory");
    }
    list->files[list->count++] = (struct import_file){.path = copy, .weights = weights};
    return EXIT_DONE;
}

/* The map {tensor: file} of an index, owned by the list. Each file is a name in the index's own
 * folder: an index names nothing elsewhere. */
static enum exit_code read_index(struct import_list *list, const char *path, json_t **weights_out)
{
    struct import_mapping mapping;
    json_error_t error;
    const char *tensor;
    json_t *value;
    enum exit_code code = import_map(path, &mapping);
    if (code != EXIT_DONE) {
        return code;
    }
    import_reads(path);
    json_t *root = mapping.bytes <= INDEX_BYTES_MAX
                       ? json_loadb(mapping.data, mapping.bytes, 0, &error)
                       : NULL;
    import_unmap(&mapping);
    json_t *weights = json_object_get(root, "weight_map");
    if (!root || json_array_append_new(list->indexes, root) != 0 || !json_is_object(weights) ||
        json_object_size(weights) == 0) {
        return complain(EXIT_NO, "%s is no index of sharded safetensors: it has no \"weight_map\"",
                        path);
    }
    json_object_foreach(weights, tensor, value)
    {
        const char *file = json_string_value(value);
        if (!file || !ends_with(file, SUFFIX) || strchr(file, '/')) {
            return complain(EXIT_NO, "%s: tensor %s is in no .safetensors file of that folder",
                            path, tensor);
        }
    }
    *weights_out = weights;
    return EXIT_DONE;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_operand(char *const *operands, size_t count, const char *path)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(operands[i], path) == 0) {
            return true;
        }
    }
    return false;
}

/* The files of an index in the order of their names, each once, but for other operands. */
static enum exit_code add_indexed(struct import_list *list, const char *path, char *const *operands,
                                  size_t count)
{
    json_t *weights = NULL;
    const char *tensor;
    json_t *value;
    enum exit_code code = read_index(list, path, &weights);
    if (code != EXIT_DONE) {
        return code;
    }
    size_t names_count = 0;
    const char **names = malloc(json_object_size(weights) * sizeof(*names));
    if (!names) {
        return complain(EXIT_NO, "no memory");
    }
    json_object_foreach(weights, tensor, value)
    {
        names[names_count++] = json_string_value(value);
    }
    qsort((void *)names, names_count, sizeof(*names), compare_texts);
    for (size_t i = 0; i < names_count && code == EXIT_DONE; i++) {
        char file[PATH_MAX];
        int folder_bytes = (int)(name_in(path) - path);
        if (i > 0 && strcmp(names[i], names[i - 1]) == 0) {
            continue;
        }
        if (snprintf(file, sizeof(file), "%.*s%s", folder_bytes, path, names[i]) >=
            (int)sizeof(file)) {
            code = complain(EXIT_NO, "%s: the name %s is too long", path, names[i]);
        } else if (!is_operand(operands, count, file)) {
            code = add(list, file, weights);
        }
    }
    free((void *)names);
    return code;
}

/* What lies in a folder that may be imported. */
struct folder {
    const char *path;
    size_t indexes;
    size_t files; /* .safetensors */
    size_t ranks; /* of them, those that are named as `export --all` names a rank's */
    uint32_t last_rank;
    size_t listed;     /* in B3SUMS, which `export --all` writes; 0: there is none */
    bool is_of_tier;   /* its ranks are named as a tier names them */
    bool has_manifest; /* it is whole there */
    char index[NAME_MAX + 1];
    char file[NAME_MAX + 1];
};

static void make_rank_file(bool is_of_tier, uint32_t rank, char made[64])
{
    if (is_of_tier) {
        snprintf(made, 64, TIER_RANK_FILE, rank);
    } else {
        snprintf(made, 64, RANK_FILE, rank);
    }
}

static bool is_rank_file(const char *name, bool is_of_tier, uint32_t *rank_out)
{
    char made[64];
    unsigned long rank = 0;
    if (sscanf(name, "rank-%9lu", &rank) != 1) {
        return false;
    }
    make_rank_file(is_of_tier, (uint32_t)rank, made);
    *rank_out = (uint32_t)rank;
    return strcmp(made, name) == 0;
}

static void read_entry(struct folder *folder, const char *name)
{
    uint32_t rank;
    if (strcmp(name, TIER_MANIFEST) == 0) {
        folder->has_manifest = true;
    } else if (ends_with(name, INDEX_SUFFIX)) {
        folder->indexes++;
        snprintf(folder->index, sizeof(folder->index), "%s", name);
    } else if (ends_with(name, SUFFIX)) {
        folder->files++;
        snprintf(folder->file, sizeof(folder->file), "%s", name);
        bool is_exported = is_rank_file(name, false, &rank);
        if (is_exported || is_rank_file(name, true, &rank)) {
            folder->ranks++;
            folder->is_of_tier = folder->is_of_tier || !is_exported;
            folder->last_rank = rank > folder->last_rank ? rank : folder->last_rank;
        }
    }
}

static size_t count_lines(const char *folder, const char *name)
{
    char path[PATH_MAX];
    size_t lines = 0;
    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path)) {
        return 0;
    }
    FILE *file = fopen(path, "re");
    for (int c; file && (c = fgetc(file)) != EOF;) {
        lines += c == '\n';
    }
    if (file) {
        fclose(file);
    }
    return lines;
}

static enum exit_code read_folder(const char *path, struct folder *folder)
{
    DIR *directory = opendir(path);
    *folder = (struct folder){.path = path};
    if (!directory) {
        return complain(EXIT_NO, "cannot read %s: %s", path, strerror(errno));
    }
    for (struct dirent *entry; (entry = readdir(directory));) {
        read_entry(folder, entry->d_name);
    }
    closedir(directory);
    folder->listed = folder->ranks > 0 ? count_lines(path, SUMS_FILE) : 0;
    return EXIT_DONE;
}

static enum exit_code add_in_folder(struct import_list *list, const struct folder *folder,
                                    const char *name)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s%s%s", folder->path,
                 ends_with(folder->path, "/") ? "" : "/", name) >= (int)sizeof(path)) {
        return complain(EXIT_NO, "the name of %s is too long", folder->path);
    }
    return add(list, path, NULL);
}

/* Names differ, so that as many as there are ranks up to the last are all of them. */
static enum exit_code add_ranks(struct import_list *list, const struct folder *folder)
{
    enum exit_code code = EXIT_DONE;
    size_t wanted =
        folder->listed > folder->last_rank ? folder->listed : (size_t)folder->last_rank + 1;
    if (folder->is_of_tier && !folder->has_manifest) {
        return complain(EXIT_NO,
                        "the folder %s is of a tier and has no " TIER_MANIFEST
                        ": it is not whole, and no checkpoint",
                        folder->path);
    }
    if (folder->ranks != wanted) {
        return complain(EXIT_NO,
                        "the folder %s has %zu of the %zu ranks' files that belong to it: name "
                        "the files in the order of the ranks, if it is meant",
                        folder->path, folder->ranks, wanted);
    }
    for (uint32_t rank = 0; rank < folder->ranks && code == EXIT_DONE; rank++) {
        char name[64];
        make_rank_file(folder->is_of_tier, rank, name);
        code = add_in_folder(list, folder, name);
    }
    return code;
}

/* Its index, the files of the ranks of what was exported or lies in a tier, or its only safetensors
 * file. */
static enum exit_code add_folder(struct import_list *list, const char *path, char *const *operands,
                                 size_t count)
{
    struct folder folder;
    enum exit_code code = read_folder(path, &folder);
    if (code != EXIT_DONE) {
        return code;
    }
    if (folder.indexes == 1) {
        char index[PATH_MAX];
        if (snprintf(index, sizeof(index), "%s%s%s", path, ends_with(path, "/") ? "" : "/",
                     folder.index) >= (int)sizeof(index)) {
            return complain(EXIT_NO, "the name of %s is too long", path);
        }
        return add_indexed(list, index, operands, count);
    }
    if (folder.indexes == 0 && folder.ranks > 0 && folder.ranks == folder.files) {
        return add_ranks(list, &folder);
    }
    if (folder.indexes == 0 && folder.files == 1) {
        return add_in_folder(list, &folder, folder.file);
    }
    return complain(EXIT_NO,
                    "the folder %s has %zu indexes (*" INDEX_SUFFIX
                    ") and %zu .safetensors files: name one index, or the files in the order "
                    "of the ranks",
                    path, folder.indexes, folder.files);
}

enum exit_code import_list_make(struct import_list *list, char *const *operands, size_t count)
{
    enum exit_code code = EXIT_DONE;
    *list = (struct import_list){.indexes = json_array()};
    for (size_t i = 0; i < count && code == EXIT_DONE; i++) {
        if (is_folder(operands[i])) {
            code = add_folder(list, operands[i], operands, count);
        } else if (ends_with(operands[i], INDEX_SUFFIX)) {
            code = add_indexed(list, operands[i], operands, count);
        } else {
            code = add(list, operands[i], NULL);
        }
    }
    return code;
}

static enum exit_code check(struct import_file *file, bool opaque)
{
    const char *missing;
    enum exit_code code = import_map(file->path, &file->mapping);
    if (code != EXIT_DONE) {
        return code;
    }
    import_reads(file->path);
    file->form = import_look(&file->mapping, file->weights, name_in(file->path), &missing,
                             file->reason, sizeof(file->reason));
    if (missing) {
        return complain(EXIT_NO, "%s lacks the tensor %s, which its index says it has", file->path,
                        missing);
    }
    if (opaque) {
        return EXIT_DONE;
    }
    if (file->form == IMPORT_POINTER || file->form == IMPORT_DAMAGED) {
        return complain(EXIT_NO, "%s is %s%s; --opaque keeps it as bytes", file->path,
                        file->form == IMPORT_DAMAGED ? "damaged safetensors: " : "", file->reason);
    }
    if (file->form == IMPORT_BYTES && ends_with(file->path, SUFFIX)) {
        return complain(EXIT_NO,
                        "%s is named .safetensors and is none: %s; --opaque keeps it as bytes",
                        file->path, file->reason);
    }
    return EXIT_DONE;
}

enum exit_code import_list_check(struct import_list *list, bool opaque)
{
    enum exit_code code = EXIT_DONE;
    for (size_t i = 0; i < list->count && code == EXIT_DONE; i++) {
        code = check(&list->files[i], opaque);
    }
    return code;
}

void import_list_clear(struct import_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        import_unmap(&list->files[i].mapping);
        free(list->files[i].path);
    }
    free(list->files);
    json_decref(list->indexes);
    *list = (struct import_list){0};
}
