/* SPDX-License-Identifier: Apache-2.0 */
/* Variables that somebody has set for ckptd, and that the program he set them for does not read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/nearest.h"
#include "config/settings.h"

#define OURS "CKPT_"

static const struct variable {
    const char *name;
    const char *reader;
    const char *mistaken_by; /* the program that has a key of the name; NULL: none */
} variables[] = {
#define VARIABLE(name, reader, mistaken_by) {name, reader, mistaken_by},
#include "config/variables.def"
#undef VARIABLE
};
#define VARIABLES (sizeof(variables) / sizeof(variables[0]))

/* Sections of all programs' files. A program judges what is named like a key of its own sections,
 * and leaves what is named like another's to that. */
static const char *const sections[] = {"AGENT", "ARENA",       "TRANSPORT", "DIGEST", "LOG",
                                       "SLURM", "COORDINATOR", "CKPTCTL",   "TIER",   "SCRUB"};

/* Of the tests alone, and their own affair. */
static const char *const test_prefixes[] = {OURS "TEST_", OURS "VM_", OURS "SUITE_",
                                            OURS "PROPERTY_"};

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool has_section(const struct config_program *program, const char *section)
{
    for (size_t i = 0; i < program->key_count; i++) {
        if (program->keys[i].section && strcasecmp(program->keys[i].section, section) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_of_another_program(const struct config_program *program, const char *name)
{
    for (size_t i = 0; i < sizeof(test_prefixes) / sizeof(test_prefixes[0]); i++) {
        if (begins(name, test_prefixes[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        char prefix[32];
        snprintf(prefix, sizeof(prefix), OURS "%s_", sections[i]);
        if (begins(name, prefix) && !has_section(program, sections[i])) {
            return true;
        }
    }
    return false;
}

static const struct variable *find_variable(const char *name)
{
    for (size_t i = 0; i < VARIABLES; i++) {
        if (strcmp(variables[i].name, name) == 0) {
            return &variables[i];
        }
    }
    return NULL;
}

/* The key whose variable this is; and the one that it would be with a section in it. */
struct match {
    bool is_read;
    size_t meant; /* key_count: none */
};

static struct match find_key(const struct config_program *program, const char *name)
{
    struct match match = {.meant = program->key_count};
    for (size_t i = 0; i < program->key_count; i++) {
        const struct config_key *key = &program->keys[i];
        char variable[SETTING_NAME_SIZE];
        key_variable_name(key, variable);
        if (!key->section) {
            continue;
        }
        match.is_read = match.is_read || strcmp(variable, name) == 0;
        if (strcasecmp(key->name, name + strlen(OURS)) == 0) {
            match.meant = i;
        }
    }
    return match;
}

/* Of this program's variables, or those beside the tables. What all begin with makes none alike. */
static void find_nearest(const struct config_program *program, const char *name,
                         char nearest_out[SETTING_NAME_SIZE])
{
    size_t room = program->key_count + VARIABLES;
    size_t count = 0;
    char(*storage)[SETTING_NAME_SIZE] = calloc(program->key_count + 1, sizeof(*storage));
    const char **names = calloc(room, sizeof(*names));
    for (size_t i = 0; storage && names && i < program->key_count; i++) {
        if (program->keys[i].section) {
            key_variable_name(&program->keys[i], storage[i]);
            names[count++] = storage[i] + strlen(OURS);
        }
    }
    for (size_t i = 0; names && i < VARIABLES; i++) {
        names[count++] = variables[i].name + strlen(OURS);
    }
    const char *nearest = names ? nearest_name(name + strlen(OURS), names, count) : NULL;
    snprintf(nearest_out, SETTING_NAME_SIZE, "%s%s", nearest ? OURS : "", nearest ? nearest : "");
    free(storage);
    free((void *)names);
}

/* Whether it was meant for this program: which was told nothing else, and takes another value. */
static bool is_mistaken(const struct config *config, size_t key, const struct variable *known,
                        const char *value)
{
    const struct setting *setting = &config->settings[key];
    bool is_told = setting->text && setting->source != CONFIG_FROM_DEFAULT &&
                   setting->source != CONFIG_DERIVED;
    return known->mistaken_by && strcmp(known->mistaken_by, config->program->name) == 0 &&
           !is_told && (!setting->text || strcmp(setting->text, value) != 0);
}

/* What is to be said of it; false: nothing. */
static bool judge(const struct config *config, const char *name, const char *value, char *line,
                  size_t line_size)
{
    const struct config_program *program = config->program;
    const struct variable *known = find_variable(name);
    struct match match = find_key(program, name);
    char variable[SETTING_NAME_SIZE] = "";
    if (match.is_read || is_of_another_program(program, name)) {
        return false;
    }
    if (match.meant < program->key_count) {
        key_variable_name(&program->keys[match.meant], variable);
    }
    if (known) {
        snprintf(line, line_size, "%s is read by %s; %s reads %s", name, known->reader,
                 program->name, variable);
        return variable[0] && is_mistaken(config, match.meant, known, value);
    }
    if (!variable[0]) {
        find_nearest(program, name, variable);
    }
    snprintf(line, line_size, "%s is not read%s%s%s", LOG_QUOTED(name),
             variable[0] ? "; did you mean " : " by any program of ckptd", variable,
             variable[0] ? "?" : "");
    return true;
}

void config_tell_strangers(const struct config *config, char *const *environment,
                           config_stranger *tell, void *context)
{
    for (; environment && *environment; environment++) {
        char name[SETTING_NAME_SIZE];
        char line[4 * SETTING_NAME_SIZE];
        size_t bytes = strcspn(*environment, "=");
        if (!begins(*environment, OURS) || bytes >= sizeof(name)) {
            continue;
        }
        snprintf(name, sizeof(name), "%.*s", (int)bytes, *environment);
        const char *value = *environment + bytes + ((*environment)[bytes] == '=');
        if (judge(config, name, value, line, sizeof(line))) {
            tell(context, line);
        }
    }
}
