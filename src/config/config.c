/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the sources together, the later over the earlier. */
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/file.h"
#include "config/flags.h"
#include "config/settings.h"

static enum ckpt_status set_defaults(struct config *config, struct reason reason)
{
    for (size_t i = 0; i < config->program->key_count; i++) {
        const struct config_key *key = &config->program->keys[i];
        if ((!key->section && !key->flag) || (key->type == CONFIG_ENUM && !key->choices)) {
            return reason_refuse_in(reason, CKPT_ERR_INTERNAL, "key %zu of the table is incomplete",
                                    i);
        }
        if (!key->fallback) {
            continue;
        }
        enum ckpt_status status =
            config_set(config, i, key->fallback, CONFIG_FROM_DEFAULT, 0, reason);
        if (status != CKPT_OK) {
            return status == CKPT_ERR_CONFIG ? CKPT_ERR_INTERNAL : status;
        }
    }
    return CKPT_OK;
}

/* The value of a variable in an environment of "NAME=value" texts; NULL when it is not there. */
static const char *variable(char **environment, const char *name)
{
    size_t bytes = strlen(name);
    for (; environment && *environment; environment++) {
        if (strncmp(*environment, name, bytes) == 0 && (*environment)[bytes] == '=') {
            return *environment + bytes + 1;
        }
    }
    return NULL;
}

static enum ckpt_status set_from_environment(struct config *config, char **environment,
                                             struct reason reason)
{
    for (size_t i = 0; i < config->program->key_count; i++) {
        char name[SETTING_NAME_SIZE];
        if (!config->program->keys[i].section) {
            continue;
        }
        key_variable_name(&config->program->keys[i], name);
        const char *text = variable(environment, name);
        if (text) {
            enum ckpt_status status =
                config_set(config, i, text, CONFIG_FROM_ENVIRONMENT, 0, reason);
            if (status != CKPT_OK) {
                return status;
            }
        }
    }
    return CKPT_OK;
}

static enum ckpt_status set_from_flags(struct config *config, const struct flags *flags,
                                       struct reason reason)
{
    for (size_t i = 0; i < config->program->key_count; i++) {
        if (flags->values[i]) {
            enum ckpt_status status =
                config_set(config, i, flags->values[i], CONFIG_FROM_FLAG, 0, reason);
            if (status != CKPT_OK) {
                return status;
            }
        }
    }
    return CKPT_OK;
}

static enum ckpt_status check_required(const struct config *config, const char *path,
                                       struct reason reason)
{
    for (size_t i = 0; i < config->program->key_count; i++) {
        const struct config_key *key = &config->program->keys[i];
        const char *text = config->settings[i].text;
        char flag[SETTING_NAME_SIZE];
        char name[SETTING_NAME_SIZE];
        if (!key->required || (text && text[0] != '\0')) {
            continue;
        }
        key_flag_name(key, flag);
        key_variable_name(key, name);
        if (!key->section) {
            return reason_refuse_in(reason, CKPT_ERR_CONFIG, "--%s is missing (%s)", flag,
                                    key->help);
        }
        return reason_refuse_in(reason, CKPT_ERR_CONFIG,
                                "[%s] %s is missing (%s); set it in %s, by %s or by --%s",
                                key->section, key->name, key->help, path, name, flag);
    }
    return CKPT_OK;
}

static enum ckpt_status fill(struct config *config, char **environment, const struct flags *flags,
                             struct reason reason)
{
    const struct config_program *program = config->program;
    char default_path[256];
    const char *path = flags->file ? flags->file : program->default_file;
    if (!path) {
        snprintf(default_path, sizeof(default_path), "/etc/ckptd/%s.conf", program->name);
        path = default_path;
    }
    enum ckpt_status status = set_defaults(config, reason);
    if (status == CKPT_OK) {
        status = file_read(config, path, flags->file != NULL, reason);
    }
    if (status == CKPT_OK) {
        status = set_from_environment(config, environment, reason);
    }
    if (status == CKPT_OK) {
        status = set_from_flags(config, flags, reason);
    }
    if (status == CKPT_OK) {
        status = check_required(config, path, reason);
    }
    return status;
}

enum ckpt_status config_load(const struct config_program *program, int argc, char **argv,
                             char **environment, struct config **config_out,
                             enum config_request *request_out, char *reason_out, size_t reason_size)
{
    struct reason reason = {reason_out, reason_size};
    struct config *config = NULL;
    struct flags flags;
    enum ckpt_status status = flags_read(program, argc, argv, &flags, reason);
    if (status != CKPT_OK) {
        return status;
    }
    if (flags.request == CONFIG_RUN || flags.request == CONFIG_CHECK) {
        config = calloc(1, sizeof(*config));
        if (!config) {
            status = reason_refuse_in(reason, CKPT_ERR_MEMORY, "no memory");
            goto free_values;
        }
        config->program = program;
        config->operands = flags.operands;
        config->operand_count = flags.operand_count;
        config->settings = calloc(program->key_count + 1, sizeof(*config->settings));
        status = config->settings ? fill(config, environment, &flags, reason)
                                  : reason_refuse_in(reason, CKPT_ERR_MEMORY, "no memory");
        if (status != CKPT_OK) {
            config_delete(&config);
            goto free_values;
        }
    }
    *config_out = config;
    *request_out = flags.request;

free_values:
    free(flags.values);
    return status;
}
