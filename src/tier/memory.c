/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "tier/name.h"

struct file {
    struct tier_name name;
    uint8_t *data;
    size_t bytes;
};

/* What a name of tier_open() stands for, while somebody has it open. */
struct place {
    struct place *next;
    char name[64]; /* "": nobody else's */
    uint32_t users;
    pthread_mutex_t lock;
    struct file *files;
    size_t count;
    size_t room;
};

struct memory {
    struct tier_medium medium;
    struct place *place;
};

struct memory_writer {
    struct tier_writer writer;
    struct file file;
    size_t room;
};

static pthread_mutex_t places_lock = PTHREAD_MUTEX_INITIALIZER;
static struct place *places;

static struct place *place_of(struct tier_medium *medium)
{
    return ((struct memory *)medium)->place;
}

static struct place *place_take(const char *name)
{
    struct place *place = places;
    while (place != NULL && (name[0] == '\0' || strcmp(place->name, name) != 0)) {
        place = place->next;
    }
    if (place == NULL && (place = calloc(1, sizeof(*place))) != NULL) {
        snprintf(place->name, sizeof(place->name), "%s", name);
        pthread_mutex_init(&place->lock, NULL);
        place->next = places;
        places = place;
    }
    if (place != NULL) {
        place->users++;
    }
    return place;
}

static enum ckpt_status memory_open(const char *location, const struct tier_options *options,
                                    struct tier_medium **medium_out, char *reason_out)
{
    (void)options;
    struct memory *memory = calloc(1, sizeof(*memory));
    if (strlen(location) >= sizeof(((struct place *)NULL)->name)) {
        free(memory);
        return reason_refuse(reason_out, CKPT_ERR_CONFIG, "memory:NAME is too long");
    }
    pthread_mutex_lock(&places_lock);
    struct place *place = memory != NULL ? place_take(location) : NULL;
    pthread_mutex_unlock(&places_lock);
    if (place == NULL) {
        free(memory);
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory for a tier");
    }
    memory->medium.backend = &tier_memory;
    memory->place = place;
    *medium_out = &memory->medium;
    return CKPT_OK;
}

static void memory_close(struct tier_medium *medium)
{
    struct place *place = place_of(medium);
    pthread_mutex_lock(&places_lock);
    if (--place->users == 0) {
        struct place **at = &places;
        while (*at != place) {
            at = &(*at)->next;
        }
        *at = place->next;
        for (size_t i = 0; i < place->count; i++) {
            free(place->files[i].data);
        }
        free(place->files);
        pthread_mutex_destroy(&place->lock);
        free(place);
    }
    pthread_mutex_unlock(&places_lock);
    free(medium);
}

static struct file *find(struct place *place, const char *name)
{
    for (size_t i = 0; i < place->count; i++) {
        if (strcmp(place->files[i].name.text, name) == 0) {
            return &place->files[i];
        }
    }
    return NULL;
}

/* Takes the file's data; false: no memory, and it is freed. */
static bool insert(struct place *place, const struct file *file)
{
    struct file *there = find(place, file->name.text);
    if (there != NULL) {
        free(there->data);
        *there = *file;
        return true;
    }
    if (place->count == place->room) {
        size_t room = place->room > 0 ? 2 * place->room : 16;
        struct file *grown = realloc(place->files, room * sizeof(*grown));
        if (grown == NULL) {
            free(file->data);
            return false;
        }
        place->files = grown;
        place->room = room;
    }
    place->files[place->count++] = *file;
    return true;
}

static enum ckpt_status no_memory(char *reason_out)
{
    return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory for the tier's memory");
}

static enum ckpt_status memory_begin(struct tier_medium *medium, const char *name, uint64_t bytes,
                                     struct tier_writer **writer_out, char *reason_out)
{
    struct memory_writer *writer = calloc(1, sizeof(*writer));
    struct tier_name none = {""};
    if (writer == NULL || (writer->file.data = malloc(bytes + 1)) == NULL) {
        free(writer);
        return no_memory(reason_out);
    }
    writer->writer.medium = medium;
    writer->room = bytes + 1;
    writer->file.name = tier_name_in(&none, name);
    *writer_out = &writer->writer;
    return CKPT_OK;
}

static enum ckpt_status memory_append(struct tier_writer *on, const void *data, size_t bytes,
                                      bool is_kept, char *reason_out)
{
    struct memory_writer *writer = (struct memory_writer *)on;
    (void)is_kept;
    if (bytes > writer->room - writer->file.bytes) {
        size_t room = 2 * (writer->file.bytes + bytes);
        uint8_t *grown = realloc(writer->file.data, room);
        if (grown == NULL) {
            return no_memory(reason_out);
        }
        writer->file.data = grown;
        writer->room = room;
    }
    memcpy(writer->file.data + writer->file.bytes, data, bytes);
    writer->file.bytes += bytes;
    return CKPT_OK;
}

static enum ckpt_status memory_end(struct tier_writer *on, char *reason_out)
{
    struct memory_writer *writer = (struct memory_writer *)on;
    struct place *place = place_of(on->medium);
    pthread_mutex_lock(&place->lock);
    bool done = insert(place, &writer->file);
    pthread_mutex_unlock(&place->lock);
    free(writer);
    return done ? CKPT_OK : no_memory(reason_out);
}

static void memory_discard(struct tier_writer *on)
{
    struct memory_writer *writer = (struct memory_writer *)on;
    free(writer->file.data);
    free(writer);
}

static enum ckpt_status memory_store(struct tier_medium *medium, const char *name, const char *text,
                                     size_t bytes, bool is_new, char *reason_out)
{
    struct place *place = place_of(medium);
    struct tier_name none = {""};
    struct file file = {.name = tier_name_in(&none, name), .bytes = bytes};
    enum ckpt_status status = CKPT_OK;
    file.data = malloc(bytes + 1);
    if (file.data == NULL) {
        return no_memory(reason_out);
    }
    memcpy(file.data, text, bytes);
    pthread_mutex_lock(&place->lock);
    if (is_new && find(place, name) != NULL) {
        free(file.data);
        status = reason_refuse(reason_out, CKPT_ERR_STALE, "%s is there already", name);
    } else if (!insert(place, &file)) {
        status = no_memory(reason_out);
    }
    pthread_mutex_unlock(&place->lock);
    return status;
}

static enum ckpt_status memory_load(struct tier_medium *medium, const char *name, size_t bytes_max,
                                    char **text_out, size_t *bytes_out, char *reason_out)
{
    struct place *place = place_of(medium);
    enum ckpt_status status = CKPT_OK;
    char *text = NULL;
    pthread_mutex_lock(&place->lock);
    const struct file *file = find(place, name);
    if (file == NULL) {
        status = reason_refuse(reason_out, CKPT_ERR_NOT_FOUND, "%s is not there", name);
    } else if (file->bytes > bytes_max) {
        status =
            reason_refuse(reason_out, CKPT_ERR_TOO_LARGE, "%s has %zu bytes", name, file->bytes);
    } else if ((text = malloc(file->bytes + 1)) == NULL) {
        status = no_memory(reason_out);
    } else {
        memcpy(text, file->data, file->bytes);
        text[file->bytes] = '\0';
        *text_out = text;
        *bytes_out = file->bytes;
    }
    pthread_mutex_unlock(&place->lock);
    return status;
}

static enum ckpt_status memory_read(struct tier_medium *medium, const char *name, uint64_t offset,
                                    void *into, size_t bytes, char *reason_out)
{
    struct place *place = place_of(medium);
    enum ckpt_status status = CKPT_OK;
    pthread_mutex_lock(&place->lock);
    const struct file *file = find(place, name);
    if (file == NULL) {
        status = reason_refuse(reason_out, CKPT_ERR_NOT_FOUND, "%s is not there", name);
    } else if (offset > file->bytes || bytes > file->bytes - offset) {
        status =
            reason_refuse(reason_out, CKPT_ERR_CORRUPT, "%s ends at byte %zu", name, file->bytes);
    } else {
        memcpy(into, file->data + offset, bytes);
    }
    pthread_mutex_unlock(&place->lock);
    return status;
}

/* The component of a file's name that stands in folder; NULL: the file is elsewhere. */
static const char *child_of(const struct file *file, const char *folder, size_t *length_out)
{
    size_t length = strlen(folder);
    const char *child = file->name.text;
    if (length > 0) {
        if (strncmp(child, folder, length) != 0 || child[length] != '/') {
            return NULL;
        }
        child += length + 1;
    }
    *length_out = strcspn(child, "/");
    return child;
}

/* Whether a file before this one has shown the same folder. */
static bool was_shown(const struct place *place, size_t before, const char *folder,
                      const char *child, size_t length)
{
    for (size_t i = 0; i < before; i++) {
        size_t other_length;
        const char *other = child_of(&place->files[i], folder, &other_length);
        if (other != NULL && other_length == length && memcmp(other, child, length) == 0) {
            return true;
        }
    }
    return false;
}

static enum ckpt_status memory_list(struct tier_medium *medium, const char *folder,
                                    tier_thing_visit *visit, void *context, char *reason_out)
{
    struct place *place = place_of(medium);
    bool found = folder[0] == '\0';
    bool goes_on = true;
    pthread_mutex_lock(&place->lock);
    for (size_t i = 0; i < place->count && goes_on; i++) {
        size_t length;
        const char *child = child_of(&place->files[i], folder, &length);
        if (child == NULL) {
            continue;
        }
        found = true;
        if (child[length] == '\0') {
            goes_on = visit(context, child, TIER_FILE, place->files[i].bytes);
        } else if (!was_shown(place, i, folder, child, length)) {
            struct tier_name name;
            snprintf(name.text, sizeof(name.text), "%.*s", (int)length, child);
            goes_on = visit(context, name.text, TIER_FOLDER, 0);
        }
    }
    pthread_mutex_unlock(&place->lock);
    return found ? CKPT_OK
                 : reason_refuse(reason_out, CKPT_ERR_NOT_FOUND, "%s is not there", folder);
}

static enum ckpt_status memory_link(struct tier_medium *medium, const char *from, const char *to,
                                    char *reason_out)
{
    struct place *place = place_of(medium);
    struct tier_name none = {""};
    struct file copy = {.name = tier_name_in(&none, to)};
    enum ckpt_status status = CKPT_OK;
    pthread_mutex_lock(&place->lock);
    const struct file *file = find(place, from);
    if (file == NULL) {
        status = reason_refuse(reason_out, CKPT_ERR_NOT_FOUND, "%s is not there", from);
    } else if ((copy.data = malloc(file->bytes + 1)) == NULL) {
        status = no_memory(reason_out);
    } else {
        memcpy(copy.data, file->data, file->bytes);
        copy.bytes = file->bytes;
        status = insert(place, &copy) ? CKPT_OK : no_memory(reason_out);
    }
    pthread_mutex_unlock(&place->lock);
    return status;
}

static enum ckpt_status memory_remove(struct tier_medium *medium, const char *name, bool is_durable,
                                      char *reason_out)
{
    struct place *place = place_of(medium);
    (void)is_durable;
    (void)reason_out;
    pthread_mutex_lock(&place->lock);
    struct file *file = find(place, name);
    if (file != NULL) {
        free(file->data);
        *file = place->files[--place->count];
    }
    pthread_mutex_unlock(&place->lock);
    return CKPT_OK;
}

static enum ckpt_status memory_remove_folder(struct tier_medium *medium, const char *folder,
                                             char *reason_out)
{
    (void)medium; /* a folder is where files are */
    (void)folder;
    (void)reason_out;
    return CKPT_OK;
}

const struct tier_backend tier_memory = {
    .scheme = "memory",
    .open = memory_open,
    .close = memory_close,
    .begin = memory_begin,
    .append = memory_append,
    .end = memory_end,
    .discard = memory_discard,
    .store = memory_store,
    .load = memory_load,
    .read = memory_read,
    .list = memory_list,
    .link = memory_link,
    .remove = memory_remove,
    .remove_folder = memory_remove_folder,
};
