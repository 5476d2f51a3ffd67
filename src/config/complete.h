/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: what the scripts that complete a command line in bash and in zsh share. */
#ifndef CKPT_CONFIG_COMPLETE_H
#define CKPT_CONFIG_COMPLETE_H

#include "config/settings.h"

/* Flags that every program has, and those of a program with a file besides. */
#define COMPLETE_KEYS 2
#define COMPLETE_KEYS_FILE 4
extern const struct config_key complete_keys[COMPLETE_KEYS_FILE];

/* How many of them the program has. */
size_t complete_key_count(const struct config_program *program);

enum complete_kind {
    COMPLETE_NOTHING, /* only the user knows */
    COMPLETE_FILE,
    COMPLETE_COMMAND, /* the name of a command */
    COMPLETE_WORDS,   /* one of some */
};

/* A word behind the flags, as "RUN [STEP]" or "begin|end JOB FILE..." name them. */
struct complete_operand {
    enum complete_kind kind;
    bool optional;
    bool repeats;  /* "..." */
    char text[64]; /* "RUN", or "begin|end" */
};

/* Takes the next one off *operands; false when there is none. */
bool complete_next_operand(const char **operands, struct complete_operand *operand_out);

/* Whether the word behind the flag is its value, where no '=' says so. */
bool complete_takes_word(const struct config_key *key);

/* What the value of a flag is. */
enum complete_kind complete_kind_of(const struct config_key *key);

#endif
