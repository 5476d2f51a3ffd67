/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: a config while it is filled. */
#ifndef CKPT_CONFIG_SETTINGS_H
#define CKPT_CONFIG_SETTINGS_H

#include "base/reason.h"
#include "config/config.h"

/* Names of keys as flags, environment variables and in messages, with room to spare. */
#define SETTING_NAME_SIZE 160

struct setting {
    char *text;  /* NULL: no value */
    char *items; /* of a list: its entries, each with a NUL */
    const char **list;
    size_t list_count;
    int64_t number;
    enum config_source source;
    unsigned line; /* of the file */
};

struct config {
    const struct config_program *program;
    char *file; /* NULL: none was read */
    struct setting *settings;
    char **operands;
    size_t operand_count;
};

/* "arena-bytes", or what the key gives. */
void key_flag_name(const struct config_key *key, char name_out[SETTING_NAME_SIZE]);

/* "CKPT_ARENA_BYTES"; "" for a key without a section. */
void key_variable_name(const struct config_key *key, char name_out[SETTING_NAME_SIZE]);

/* What config_describe gives, for a value that is about to be set. */
void key_describe(const struct config *config, size_t key, enum config_source source, unsigned line,
                  char *text_out, size_t text_size);

/* Checks and takes over a copy of a value, replacing the one of an earlier source.
 *
 * RETURN VALUE
 * CKPT_OK, CKPT_ERR_CONFIG with a reason that names the source, or CKPT_ERR_MEMORY. */
enum ckpt_status config_set(struct config *config, size_t key, const char *text,
                            enum config_source source, unsigned line, struct reason reason);

#endif
