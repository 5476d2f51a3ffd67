/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/value.h"

void key_flag_name(const struct config_key *key, char name_out[SETTING_NAME_SIZE])
{
    if (key->flag) {
        snprintf(name_out, SETTING_NAME_SIZE, "%s", key->flag);
        return;
    }
    snprintf(name_out, SETTING_NAME_SIZE, "%s-%s", key->section ? key->section : "", key->name);
    for (char *c = name_out; *c != '\0'; c++) {
        if (*c == '_') {
            *c = '-';
        }
    }
}

void key_variable_name(const struct config_key *key, char name_out[SETTING_NAME_SIZE])
{
    name_out[0] = '\0';
    if (!key->section) {
        return;
    }
    snprintf(name_out, SETTING_NAME_SIZE, "CKPT_%s_%s", key->section, key->name);
    for (char *c = name_out; *c != '\0'; c++) {
        *c = (char)toupper((unsigned char)*c);
    }
}

void key_describe(const struct config *config, size_t key, enum config_source source, unsigned line,
                  char *text_out, size_t text_size)
{
    const struct config_key *described = &config->program->keys[key];
    char name[SETTING_NAME_SIZE];
    switch (source) {
    case CONFIG_DERIVED:
    case CONFIG_FROM_DEFAULT:
        key_flag_name(described, name);
        snprintf(text_out, text_size, "default of --%s", name);
        break;
    case CONFIG_FROM_FILE:
        snprintf(text_out, text_size, "%s:%u: [%s] %s", config->file, line, described->section,
                 described->name);
        break;
    case CONFIG_FROM_ENVIRONMENT:
        key_variable_name(described, name);
        snprintf(text_out, text_size, "%s", name);
        break;
    case CONFIG_FROM_FLAG:
        key_flag_name(described, name);
        snprintf(text_out, text_size, "--%s", name);
        break;
    }
}

/* Splits a list that value_parse found good; false without memory. */
static bool keep_list(struct setting *setting)
{
    size_t entries = 1;
    for (const char *c = setting->text; *c != '\0'; c++) {
        entries += *c == ',';
    }
    setting->items = malloc(strlen(setting->text) + 2);
    setting->list = calloc(entries, sizeof(*setting->list));
    if (!setting->items || !setting->list) {
        return false;
    }
    setting->list_count = value_split(setting->text, setting->items, setting->list);
    return true;
}

static void setting_clear(struct setting *setting)
{
    free(setting->text);
    free(setting->items);
    free(setting->list);
    *setting = (struct setting){0};
}

enum ckpt_status config_set(struct config *config, size_t key, const char *text,
                            enum config_source source, unsigned line, struct reason reason)
{
    const struct config_key *described = &config->program->keys[key];
    struct setting *setting = &config->settings[key];
    char where[512];
    char problem[256];
    int64_t number;
    key_describe(config, key, source, line, where, sizeof(where));
    if (described->type == CONFIG_PATH && source == CONFIG_FROM_FILE && text[0] != '/' &&
        text[0] != '\0') {
        return reason_refuse_in(reason, CKPT_ERR_CONFIG,
                                "%s = %s: want a path that starts with '/'", where,
                                LOG_QUOTED(text));
    }
    if (!value_parse(described, text, &number, problem, sizeof(problem))) {
        return reason_refuse_in(reason, CKPT_ERR_CONFIG, "%s = %s: %s", where, LOG_QUOTED(text),
                                problem);
    }
    setting_clear(setting);
    setting->text = strdup(text);
    setting->number = number;
    setting->source = source;
    setting->line = line;
    if (!setting->text || (described->type == CONFIG_LIST && !keep_list(setting))) {
        return reason_refuse_in(reason, CKPT_ERR_MEMORY, "%s: no memory", where);
    }
    return CKPT_OK;
}

void config_delete(struct config **config)
{
    if (*config) {
        for (size_t i = 0; (*config)->settings && i < (*config)->program->key_count; i++) {
            setting_clear(&(*config)->settings[i]);
        }
        free((*config)->settings);
        free((*config)->file);
        free(*config);
        *config = NULL;
    }
}

const char *config_text(const struct config *config, size_t key)
{
    return config->settings[key].text;
}

int64_t config_number(const struct config *config, size_t key)
{
    return config->settings[key].number;
}

bool config_flag(const struct config *config, size_t key)
{
    return config->settings[key].number != 0;
}

size_t config_list_count(const struct config *config, size_t key)
{
    return config->settings[key].list_count;
}

const char *config_list_at(const struct config *config, size_t key, size_t at)
{
    return config->settings[key].list[at];
}

bool config_is_set(const struct config *config, size_t key)
{
    return config->settings[key].text != NULL;
}

enum config_source config_source(const struct config *config, size_t key)
{
    return config->settings[key].source;
}

void config_describe(const struct config *config, size_t key, char *text_out, size_t text_size)
{
    const struct setting *setting = &config->settings[key];
    key_describe(config, key, setting->source, setting->line, text_out, text_size);
}

#define SAID_WHERE_MAX 72
#define SAID_VALUE_MAX 32
_Static_assert(CONFIG_SAID_SIZE > SAID_WHERE_MAX + SAID_VALUE_MAX + sizeof("... = "), "they fit");

void config_say(const struct config *config, size_t key, char said_out[CONFIG_SAID_SIZE])
{
    char where[512];
    config_describe(config, key, where, sizeof(where));
    const char *text = config->settings[key].text;
    /* The end of a long path says more than its beginning. */
    size_t bytes = strlen(where);
    const char *kept = bytes > SAID_WHERE_MAX ? where + bytes - SAID_WHERE_MAX : where;
    snprintf(said_out, CONFIG_SAID_SIZE, "%s%.*s = %.*s", kept == where ? "" : "...",
             SAID_WHERE_MAX, kept, SAID_VALUE_MAX, text ? text : "");
}

enum ckpt_status config_derive(struct config *config, size_t key, const char *text,
                               char *reason_out, size_t reason_size)
{
    struct reason reason = {reason_out, reason_size};
    return config->settings[key].text ? CKPT_OK
                                      : config_set(config, key, text, CONFIG_DERIVED, 0, reason);
}

const char *config_file(const struct config *config)
{
    return config->file;
}

char *const *config_operands(const struct config *config, size_t *count_out)
{
    *count_out = config->operand_count;
    return config->operands;
}
