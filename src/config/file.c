/* SPDX-License-Identifier: Apache-2.0 */
/* The INI file. The parser is libinih's; what is before it is here: one line at a time, with its
 * number, which inih does not give to its handler. */
#include "config/file.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/nearest.h"
#include "config/settings.h"

struct reading {
    struct config *config;
    FILE *stream;
    const char *path;
    char *line; /* of getline */
    size_t line_size;
    unsigned line_number;
    struct reason reason;
    enum ckpt_status status; /* of the first error, which alone is told */
};

/* Gives inih the next line. Without the white space in front: inih would take a line that starts
 * with it for more of the value above. inih cuts lines that do not fit its buffer; those are
 * refused here. */
static char *next_line(char *buffer, int buffer_size, void *context)
{
    struct reading *reading = context;
    ssize_t got = reading->status == CKPT_OK
                      ? getline(&reading->line, &reading->line_size, reading->stream)
                      : -1;
    if (got < 0) {
        return NULL;
    }
    reading->line_number++;
    char *text = reading->line;
    size_t bytes = (size_t)got;
    if (memchr(text, '\0', bytes)) {
        reading->status =
            reason_refuse_in(reading->reason, CKPT_ERR_CONFIG, "%s:%u: has a NUL character",
                             reading->path, reading->line_number);
        return NULL;
    }
    size_t blank = strspn(text, " \t");
    text += blank;
    bytes -= blank;
    while (bytes > 0 && strchr(" \t\r\n", text[bytes - 1])) {
        bytes--;
    }
    /* inih wants room for "\r\n" and a NUL. */
    if (bytes + 3 > (size_t)buffer_size) {
        if (text[0] == '#' || text[0] == ';') {
            bytes = 1;
        } else {
            reading->status = reason_refuse_in(
                reading->reason, CKPT_ERR_CONFIG, "%s:%u: the line has %zu characters, at most %d",
                reading->path, reading->line_number, bytes, buffer_size - 3);
            return NULL;
        }
    }
    memcpy(buffer, text, bytes);
    buffer[bytes] = '\n';
    buffer[bytes + 1] = '\0';
    return buffer;
}

static bool section_is_known(const struct config_program *program, const char *section)
{
    for (size_t i = 0; i < program->key_count; i++) {
        if (program->keys[i].section && strcmp(program->keys[i].section, section) == 0) {
            return true;
        }
    }
    return false;
}

/* The nearest section, or with a section given its nearest key; NULL when there is none. */
static const char *nearest_of(const struct config_program *program, const char *section,
                              const char *word)
{
    const char **names = calloc(program->key_count + 1, sizeof(*names));
    size_t count = 0;
    for (size_t i = 0; names && i < program->key_count; i++) {
        const struct config_key *key = &program->keys[i];
        if (key->section && !section) {
            names[count++] = key->section;
        } else if (key->section && strcmp(key->section, section) == 0) {
            names[count++] = key->name;
        }
    }
    const char *nearest = names ? nearest_name(word, names, count) : NULL;
    free(names);
    return nearest;
}

/* The section of another key with this name, for a key that stands in the wrong section. */
static const char *section_with(const struct config_program *program, const char *name)
{
    for (size_t i = 0; i < program->key_count; i++) {
        if (program->keys[i].section && strcmp(program->keys[i].name, name) == 0) {
            return program->keys[i].section;
        }
    }
    return NULL;
}

static void explain_unknown(struct reading *reading, const char *section, const char *name)
{
    const struct config_program *program = reading->config->program;
    const char *nearest = NULL;
    const char *hint_before = "";
    const char *hint_after = "";
    bool known_section = section_is_known(program, section);
    if (!known_section && section[0] != '\0') {
        nearest = nearest_of(program, NULL, section);
        hint_before = "; did you mean [";
        hint_after = "]?";
        reason_refuse_in(reading->reason, CKPT_ERR_CONFIG, "%s:%u: unknown section [%s]%s%s%s",
                         reading->path, reading->line_number, LOG_QUOTED(section),
                         nearest ? hint_before : "", nearest ? nearest : "",
                         nearest ? hint_after : "");
        return;
    }
    if (known_section) {
        nearest = nearest_of(program, section, name);
        hint_before = "; did you mean '";
        hint_after = "'?";
    }
    if (!nearest && section_with(program, name)) {
        nearest = section_with(program, name);
        hint_before = "; it belongs to [";
        hint_after = "]";
    }
    reason_refuse_in(reading->reason, CKPT_ERR_CONFIG, "%s:%u: unknown key %s %s%s%s%s%s%s",
                     reading->path, reading->line_number, LOG_QUOTED(name),
                     known_section ? "in [" : "before any [section", section, "]",
                     nearest ? hint_before : "", nearest ? nearest : "", nearest ? hint_after : "");
}

/* Takes one name = value; always tells inih to go on, for the first error is kept in reading. */
static int take(void *context, const char *section, const char *name, const char *value)
{
    struct reading *reading = context;
    struct config *config = reading->config;
    const struct config_program *program = config->program;
    if (reading->status != CKPT_OK) {
        return 1;
    }
    for (size_t i = 0; i < program->key_count; i++) {
        const struct config_key *key = &program->keys[i];
        if (!key->section || strcmp(key->section, section) != 0 || strcmp(key->name, name) != 0) {
            continue;
        }
        const struct setting *setting = &config->settings[i];
        if (setting->text && setting->source == CONFIG_FROM_FILE) {
            reading->status =
                reason_refuse_in(reading->reason, CKPT_ERR_CONFIG,
                                 "%s:%u: [%s] %s is set again; it is set in line %u", reading->path,
                                 reading->line_number, section, name, setting->line);
            return 1;
        }
        reading->status = config_set(config, i, value ? value : "", CONFIG_FROM_FILE,
                                     reading->line_number, reading->reason);
        return 1;
    }
    reading->status = CKPT_ERR_CONFIG;
    explain_unknown(reading, section, name);
    return 1;
}

enum ckpt_status file_read(struct config *config, const char *path, bool must_exist,
                           struct reason reason)
{
    FILE *stream = fopen(path, "re");
    if (!stream) {
        if (errno == ENOENT && !must_exist) {
            return CKPT_OK;
        }
        return reason_refuse_in(reason, CKPT_ERR_CONFIG, "%s: cannot be opened: %m", path);
    }
    struct reading reading = {.config = config, .stream = stream, .path = path, .reason = reason};
    config->file = strdup(path);
    if (!config->file) {
        reading.status = reason_refuse_in(reason, CKPT_ERR_MEMORY, "%s: no memory", path);
        goto close_stream;
    }
    errno = 0;
    int bad_line = ini_parse_stream(next_line, &reading, take, &reading);
    if (bad_line > 0 && (reading.status == CKPT_OK || (unsigned)bad_line < reading.line_number)) {
        reading.status = reason_refuse_in(
            reason, CKPT_ERR_CONFIG, "%s:%d: want [section], key = value, or a comment after '#'",
            path, bad_line);
    } else if (reading.status == CKPT_OK && bad_line < 0) {
        reading.status = reason_refuse_in(reason, CKPT_ERR_MEMORY, "%s: no memory", path);
    } else if (reading.status == CKPT_OK && ferror(stream)) {
        reading.status = reason_refuse_in(reason, CKPT_ERR_CONFIG, "%s: cannot be read: %m", path);
    }

close_stream:
    free(reading.line);
    fclose(stream);
    return reading.status;
}
