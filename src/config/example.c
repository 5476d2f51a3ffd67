/* SPDX-License-Identifier: Apache-2.0 */
/* The file that a person starts from. */
#include <stdio.h>
#include <string.h>

#include "config/settings.h"

#define COMMENT_WIDTH 100

/* Words as comment lines. */
static void print_comment(const char *text, FILE *out)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t bytes = strcspn(text, " ");
        if (column == 0 || column + 1 + bytes > COMMENT_WIDTH) {
            fputs(column == 0 ? "#" : "\n#", out);
            column = 1;
        }
        fprintf(out, " %.*s", (int)bytes, text);
        column += 1 + bytes;
        text += bytes + strspn(text + bytes, " ");
    }
    fputc('\n', out);
}

static void print_key(const struct config_key *key, FILE *out)
{
    char text[1024];
    size_t used = (size_t)snprintf(text, sizeof(text), "%s", key->help);
    for (size_t i = 0; key->type == CONFIG_ENUM && key->choices[i] && used < sizeof(text); i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? ", " : "; one of ",
                                 key->choices[i]);
    }
    if (!key->fallback && key->fallback_is && used < sizeof(text)) {
        used +=
            (size_t)snprintf(text + used, sizeof(text) - used, " (default: %s)", key->fallback_is);
    }
    if (key->required && !key->fallback && used < sizeof(text)) {
        (void)snprintf(text + used, sizeof(text) - used, " (required)");
    }
    print_comment(text, out);
    fprintf(out, "#%s =%s%s\n", key->name, key->fallback && key->fallback[0] ? " " : "",
            key->fallback ? key->fallback : "");
}

static bool is_in(const struct config_key *key, const char *section)
{
    return key->section && strcmp(key->section, section) == 0;
}

/* Its heading and all of its keys, where key is the first of a section. */
static void print_section(const struct config_program *program, size_t key, FILE *out)
{
    const char *section = program->keys[key].section;
    for (size_t i = 0; i < key; i++) {
        if (is_in(&program->keys[i], section)) {
            return;
        }
    }
    fprintf(out, "\n[%s]\n", section);
    for (size_t i = key; i < program->key_count; i++) {
        if (is_in(&program->keys[i], section)) {
            fputs(i == key ? "" : "\n", out);
            print_key(&program->keys[i], out);
        }
    }
}

void config_print_example(const struct config_program *program, FILE *out)
{
    fprintf(out,
            "# /etc/ckptd/%s.conf: all keys of %s %s, each with its default behind a '#'.\n"
            "# Take the '#' off what you set. %s --check-config prints what holds.\n",
            program->name, program->name, program->version, program->name);
    for (size_t i = 0; i < program->key_count; i++) {
        if (program->keys[i].section) {
            print_section(program, i, out);
        }
    }
}
