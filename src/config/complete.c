/* SPDX-License-Identifier: Apache-2.0 */
#include "config/complete.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const struct config_key complete_keys[COMPLETE_KEYS_FILE] = {
    {.flag = "help", .letter = 'h', .type = CONFIG_BOOL, .help = "print the page of help, exit"},
    {.flag = "version", .letter = 'V', .type = CONFIG_BOOL, .help = "print the version, exit"},
    {.flag = "config",
     .letter = 'c',
     .type = CONFIG_PATH,
     .placeholder = "FILE",
     .help = "read FILE in place of the default one"},
    {.flag = "check-config", .type = CONFIG_BOOL, .help = "check, print what holds, exit"},
};

size_t complete_key_count(const struct config_program *program)
{
    for (size_t i = 0; i < program->key_count; i++) {
        if (program->keys[i].section) {
            return COMPLETE_KEYS_FILE;
        }
    }
    return COMPLETE_KEYS;
}

bool complete_next_operand(const char **operands, struct complete_operand *operand_out)
{
    const char *text = *operands;
    bool optional = false;
    for (; *text != '\0' && strchr(" []", *text); text++) {
        optional = optional || *text == '[';
    }
    size_t bytes = strcspn(text, " []");
    if (bytes == 0) {
        return false;
    }
    *operands = text + bytes;
    bool repeats = bytes > 3 && strncmp(text + bytes - 3, "...", 3) == 0;
    *operand_out = (struct complete_operand){.optional = optional, .repeats = repeats};
    snprintf(operand_out->text, sizeof(operand_out->text), "%.*s",
             (int)(repeats ? bytes - 3 : bytes), text);
    if (islower((unsigned char)text[0])) {
        operand_out->kind = COMPLETE_WORDS;
        return true;
    }
    operand_out->text[strcspn(operand_out->text, "|")] = '\0'; /* the first of "FILE|--all" */
    if (strcmp(operand_out->text, "VERB") == 0 || strcmp(operand_out->text, "CASE") == 0) {
        operand_out->kind = COMPLETE_COMMAND;
    } else if (strcmp(operand_out->text, "FILE") == 0 || strchr(operand_out->text, '.') ||
               strcmp(operand_out->text, "DIR") == 0) {
        operand_out->kind = COMPLETE_FILE;
    }
    return true;
}

bool complete_takes_word(const struct config_key *key)
{
    return key->type != CONFIG_BOOL && !key->implied;
}

enum complete_kind complete_kind_of(const struct config_key *key)
{
    const char *placeholder = key->placeholder ? key->placeholder : "";
    if (key->type == CONFIG_ENUM || key->type == CONFIG_BOOL) {
        return COMPLETE_WORDS;
    }
    return key->type == CONFIG_PATH || strncmp(placeholder, "FILE", 4) == 0 ||
                   strncmp(placeholder, "PATH", 4) == 0
               ? COMPLETE_FILE
               : COMPLETE_NOTHING;
}
