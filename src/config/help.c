/* SPDX-License-Identifier: Apache-2.0 */
/* What --help, --version and --check-config print. */
#include <stdio.h>
#include <string.h>

#include "config/complete.h"
#include "config/complete_bash.h"
#include "config/complete_zsh.h"
#include "config/settings.h"

#define PAGE_WIDTH 80
#define HELP_COLUMN 34

/* Of config_print: where comments start, the longest line with one, and the longest line that
 * libinih as it is packaged reads. */
#define COMMENT_COLUMN 40
#define COMMENTED_LINE_MAX 150
#define FILE_LINE_MAX 197

/* Stands for a space at which no line ends. */
#define HARD_SPACE '\x1f'

/* Prints words from column on, with the following lines indented to indent. */
static void print_wrapped(FILE *out, const char *text, int column, int indent)
{
    bool first = true;
    for (;;) {
        text += strspn(text, " \n");
        int bytes = (int)strcspn(text, " \n");
        if (bytes == 0) {
            break;
        }
        if (!first && column + 1 + bytes > PAGE_WIDTH) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
        } else if (!first) {
            fputc(' ', out);
            column++;
        }
        for (int i = 0; i < bytes; i++) {
            fputc(text[i] == HARD_SPACE ? ' ' : text[i], out);
        }
        column += bytes;
        text += bytes;
        first = false;
    }
    fputc('\n', out);
}

/* A flag in its column and what it does in the next. */
static void print_flag(FILE *out, const char *flag, const char *help)
{
    int column = fprintf(out, "%s", flag);
    if (column + 2 > HELP_COLUMN) {
        fputc('\n', out);
        column = 0;
    }
    fprintf(out, "%*s", HELP_COLUMN - column, "");
    print_wrapped(out, help, HELP_COLUMN, HELP_COLUMN);
}

static const char *type_placeholder(enum config_type type)
{
    switch (type) {
    case CONFIG_STRING:
        return "TEXT";
    case CONFIG_PATH:
        return "PATH";
    case CONFIG_INTEGER:
        return "N";
    case CONFIG_BYTES:
        return "SIZE";
    case CONFIG_DURATION:
        return "TIME";
    case CONFIG_ENUM:
        return "WORD";
    case CONFIG_LIST:
        return "A,B,...";
    case CONFIG_BOOL:
        break;
    }
    return "yes|no";
}

/* "-n, --agent-node=TEXT", with the choices of an enum in place of TEXT. */
static void flag_text(const struct config_key *key, char *text_out, size_t size)
{
    char name[SETTING_NAME_SIZE];
    char letter[] = {' ', ' ', '-', key->letter, ',', ' ', '\0'};
    key_flag_name(key, name);
    int used = snprintf(text_out, size, "%s--%s", key->letter ? letter : "      ", name);
    if (key->placeholder) {
        snprintf(text_out + used, size - (size_t)used, "%s%s%s", key->implied ? "[=" : "=",
                 key->placeholder, key->implied ? "]" : "");
        return;
    }
    if (key->type != CONFIG_ENUM) {
        bool optional = key->type == CONFIG_BOOL;
        snprintf(text_out + used, size - (size_t)used, "%s%s%s", optional ? "[=" : "=",
                 type_placeholder(key->type), optional ? "]" : "");
        return;
    }
    for (size_t i = 0; key->choices[i] && (size_t)used < size; i++) {
        used += snprintf(text_out + used, size - (size_t)used, "%s%s", i == 0 ? "=" : "|",
                         key->choices[i]);
    }
}

static void print_key(FILE *out, const struct config_key *key)
{
    char flag[512];
    char help[1024];
    flag_text(key, flag, sizeof(flag));
    const char *fallback = key->fallback ? key->fallback : key->fallback_is;
    bool tell_default =
        fallback && fallback[0] != '\0' && (key->section || key->type != CONFIG_BOOL);
    char name[SETTING_NAME_SIZE];
    key_variable_name(key, name);
    snprintf(help, sizeof(help), "%s%s%s%s%s%s%s%s", key->help,
             tell_default ? " (default:\x1f" : "", tell_default ? fallback : "",
             tell_default ? ")" : "", key->required && !tell_default ? " (required)" : "",
             name[0] ? " [" : "", name, name[0] ? "]" : "");
    print_flag(out, flag, help);
}

static bool starts_section(const struct config_program *program, size_t key)
{
    const char *section = program->keys[key].section;
    for (size_t i = 0; section && i < key; i++) {
        if (program->keys[i].section && strcmp(program->keys[i].section, section) == 0) {
            return false;
        }
    }
    return section != NULL;
}

/* Whether there is anything that a file could say. */
static bool has_section(const struct config_program *program)
{
    for (size_t i = 0; i < program->key_count; i++) {
        if (program->keys[i].section) {
            return true;
        }
    }
    return false;
}

static bool in_section(const struct config_key *key, const char *section)
{
    return key->section && strcmp(key->section, section) == 0;
}

/* One key as an example of how the table is written in the three places. */
static void print_ways(const struct config_program *program, const char *path, FILE *out)
{
    char flag[SETTING_NAME_SIZE];
    char name[SETTING_NAME_SIZE];
    char text[1024];
    for (size_t i = 0; i < program->key_count; i++) {
        const struct config_key *key = &program->keys[i];
        if (!key->section || key->flag) {
            continue;
        }
        key_flag_name(key, flag);
        key_variable_name(key, name);
        snprintf(text, sizeof(text),
                 "Each flag below is also a key of %s and a variable of the environment: --%s is "
                 "\"%s\" in section [%s], and %s. A flag wins over the environment, the "
                 "environment over the file, the file over the default.",
                 path, flag, key->name, key->section, name);
        fputc('\n', out);
        print_wrapped(out, text, 0, 0);
        return;
    }
}

static void print_lines(FILE *out, const char *heading, const char *lines)
{
    if (lines) {
        size_t bytes = strlen(lines);
        fprintf(out, "\n%s:\n%s%s", heading, lines,
                bytes > 0 && lines[bytes - 1] == '\n' ? "" : "\n");
    }
}

void config_print_options(const struct config_key *keys, size_t key_count, FILE *out)
{
    for (size_t i = 0; i < key_count; i++) {
        if (!keys[i].section) {
            print_key(out, &keys[i]);
        }
    }
}

void config_print_help(const struct config_program *program, FILE *out)
{
    char path[256];
    char help[512];
    snprintf(path, sizeof(path), "/etc/ckptd/%s.conf", program->name);
    if (program->default_file) {
        snprintf(path, sizeof(path), "%s", program->default_file);
    }
    fprintf(out, "Usage: %s [OPTION]...%s%s\n\n", program->name, program->operands ? " " : "",
            program->operands ? program->operands : "");
    print_wrapped(out, program->summary, 0, 0);
    if (program->details) {
        fprintf(out, "\n%s", program->details);
    }
    fprintf(out, "\nOptions:\n");
    config_print_options(program->keys, program->key_count, out);
    if (has_section(program)) {
        snprintf(help, sizeof(help), "read FILE in place of %s", path);
        print_flag(out, "  -c, --config=FILE", help);
        print_flag(out, "      --check-config",
                   "check file, environment and flags, print what holds, exit");
    }
    print_flag(out, "  -h, --help", "print this page, exit");
    print_flag(out, "  -V, --version", "print the version, exit");
    print_ways(program, path, out);
    for (size_t i = 0; i < program->key_count; i++) {
        if (!starts_section(program, i)) {
            continue;
        }
        const char *section = program->keys[i].section;
        fprintf(out, "\n[%s]\n", section);
        for (size_t j = i; j < program->key_count; j++) {
            if (in_section(&program->keys[j], section)) {
                print_key(out, &program->keys[j]);
            }
        }
    }
    print_lines(out, "Examples", program->examples);
    print_lines(out, "Exit status", program->exit_codes);
}

/* Whether a file can have this value: inih takes off blanks around it, and a comment. */
static bool is_writable(const char *name, const char *text)
{
    size_t bytes = strlen(text);
    if (bytes == 0) {
        return true;
    }
    if (strlen(name) + strlen("=") + bytes > FILE_LINE_MAX) {
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        bool after_blank = i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t';
        if (text[i] == ';' && after_blank) {
            return false;
        }
    }
    return !strchr(" \t", text[0]) && !strchr(" \t", text[bytes - 1]);
}

static void print_setting(const struct config *config, size_t key, FILE *out)
{
    const struct config_key *described = &config->program->keys[key];
    const struct setting *setting = &config->settings[key];
    char where[512];
    if (!setting->text) {
        fprintf(out, "# %s has no value%s%s\n", described->name, described->fallback_is ? ": " : "",
                described->fallback_is ? described->fallback_is : "");
        return;
    }
    if (setting->source == CONFIG_DERIVED) {
        /* Another on another machine: it is shown, and not written down. */
        fprintf(out, "# %s = %s ; %s\n", described->name, setting->text,
                described->fallback_is ? described->fallback_is : "default");
        return;
    }
    if (setting->source == CONFIG_FROM_DEFAULT) {
        snprintf(where, sizeof(where), "default");
    } else if (setting->source == CONFIG_FROM_FILE) {
        snprintf(where, sizeof(where), "%s:%u", config->file, setting->line);
    } else {
        key_describe(config, key, setting->source, 0, where, sizeof(where));
    }
    if (!is_writable(described->name, setting->text)) {
        fprintf(out, "# %s; a file cannot have this value\n# %s = %s\n", where, described->name,
                setting->text);
        return;
    }
    size_t bytes = strlen(described->name) + strlen(" = ") + strlen(setting->text);
    if (bytes + strlen(where) > COMMENTED_LINE_MAX) {
        fprintf(out, "# %s\n%s=%s\n", where, described->name, setting->text);
        return;
    }
    fprintf(out, "%s = %s%*s ; %s\n", described->name, setting->text,
            bytes < COMMENT_COLUMN ? (int)(COMMENT_COLUMN - bytes) : 0, "", where);
}

void config_print(const struct config *config, FILE *out)
{
    const struct config_program *program = config->program;
    fprintf(out, "# %s %s, file: %s\n", program->name, program->version,
            config->file ? config->file : "none");
    for (size_t i = 0; i < program->key_count; i++) {
        if (!starts_section(program, i)) {
            continue;
        }
        fprintf(out, "\n[%s]\n", program->keys[i].section);
        for (size_t j = i; j < program->key_count; j++) {
            if (in_section(&program->keys[j], program->keys[i].section)) {
                print_setting(config, j, out);
            }
        }
    }
}

bool config_answer(const struct config_program *program, const struct config *config,
                   enum config_request request, FILE *out)
{
    switch (request) {
    case CONFIG_RUN:
        return false;
    case CONFIG_HELP:
        config_print_help(program, out);
        break;
    case CONFIG_VERSION:
        fprintf(out, "%s %s%s%s\n", program->name, program->version,
                program->library != NULL ? ", " : "",
                program->library != NULL ? program->library() : "");
        break;
    case CONFIG_EXAMPLE:
        config_print_example(program, out);
        break;
    case CONFIG_BASH:
        complete_print_bash(program, out);
        break;
    case CONFIG_ZSH:
        complete_print_zsh(program, out);
        break;
    case CONFIG_CHECK:
        config_print(config, out);
        break;
    }
    return true;
}
