/* SPDX-License-Identifier: Apache-2.0 */
#include "config/flags.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/nearest.h"
#include "config/settings.h"

/* What getopt_long returns for the flags that every program has, and for the n-th key. */
enum flag {
    FLAG_CHECK_CONFIG = 256,
    FLAG_COMPLETIONS = 257,
    FLAG_EXAMPLE = 258,
    FLAG_FIRST_KEY = 259,
};

#define COMMON_FLAGS 6

static const struct option common_flags[COMMON_FLAGS] = {
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"config", required_argument, NULL, 'c'},
    {"check-config", no_argument, NULL, FLAG_CHECK_CONFIG},
    {"completions", required_argument, NULL, FLAG_COMPLETIONS}, /* for the build, not in the help */
    {"example-config", no_argument, NULL, FLAG_EXAMPLE},        /* the same */
};

/* getopt_long's tables, made from the keys. */
struct tables {
    struct option *options; /* one of zeros at the end */
    const char **names;     /* the long flags, in the same order */
    char (*storage)[SETTING_NAME_SIZE];
    size_t count;
    char letters[3 * 128];
};

static void free_tables(struct tables *tables)
{
    free(tables->options);
    free(tables->names);
    free(tables->storage);
}

/* Adds a short flag; false when it is taken. */
static bool add_letter(struct tables *tables, char letter, bool takes_value)
{
    size_t used = strlen(tables->letters);
    if (letter == ':' || letter == '?' || letter == '-' || strchr(tables->letters, letter) ||
        used + 3 > sizeof(tables->letters)) {
        return false;
    }
    snprintf(tables->letters + used, sizeof(tables->letters) - used, "%c%s", letter,
             takes_value ? ":" : "");
    return true;
}

static enum ckpt_status make_tables(const struct config_program *program, struct tables *tables,
                                    struct reason reason)
{
    size_t count = program->key_count + COMMON_FLAGS;
    *tables = (struct tables){.count = count, .letters = ":hVc:"};
    tables->options = calloc(count + 1, sizeof(*tables->options));
    tables->names = calloc(count, sizeof(*tables->names));
    tables->storage = calloc(program->key_count + 1, sizeof(*tables->storage));
    if (!tables->options || !tables->names || !tables->storage) {
        return reason_refuse_in(reason, CKPT_ERR_MEMORY, "no memory");
    }
    memcpy(tables->options, common_flags, sizeof(common_flags));
    for (size_t i = 0; i < program->key_count; i++) {
        const struct config_key *key = &program->keys[i];
        bool takes_value = key->type != CONFIG_BOOL && !key->implied;
        key_flag_name(key, tables->storage[i]);
        tables->options[COMMON_FLAGS + i] = (struct option){
            .name = tables->storage[i],
            .has_arg = takes_value ? required_argument : optional_argument,
            .val = FLAG_FIRST_KEY + (int)i,
        };
        if (key->letter && !add_letter(tables, key->letter, takes_value)) {
            return reason_refuse_in(reason, CKPT_ERR_INTERNAL, "two flags are named -%c",
                                    key->letter);
        }
    }
    for (size_t i = 0; i < count; i++) {
        tables->names[i] = tables->options[i].name;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(tables->names[i], tables->names[j]) == 0) {
                return reason_refuse_in(reason, CKPT_ERR_INTERNAL, "two flags are named --%s",
                                        tables->names[i]);
            }
        }
    }
    return CKPT_OK;
}

/* The long flag that getopt_long calls by this value. */
static const char *name_of(const struct tables *tables, int value)
{
    size_t i = 0;
    while (i + 1 < tables->count && tables->options[i].val != value) {
        i++;
    }
    return tables->names[i];
}

/* An unknown or ambiguous "--flag" or "--flag=value". */
static enum ckpt_status explain_unknown(const struct tables *tables, const char *argument,
                                        struct reason reason)
{
    char flag[SETTING_NAME_SIZE];
    snprintf(flag, sizeof(flag), "%.*s", (int)strcspn(argument, "="), argument);
    size_t alike = 0;
    size_t length = strlen(flag + 2);
    for (size_t i = 0; i < tables->count; i++) {
        alike += strncmp(tables->names[i], flag + 2, length) == 0;
    }
    const char *nearest = nearest_name(flag + 2, tables->names, tables->count);
    return reason_refuse_in(reason, CKPT_ERR_CONFIG, "%s flag %s%s%s%s",
                            alike > 1 ? "ambiguous" : "unknown", LOG_QUOTED(flag),
                            nearest ? "; did you mean --" : "", nearest ? nearest : "",
                            nearest ? "?" : "");
}

/* Says what getopt_long did not like. It leaves in optopt: 0 for an unknown long flag, the value of
 * a known one, or the letter of a short one, of which only -h,
 * -V and -c have a long one's value. */
static enum ckpt_status explain(const struct tables *tables, int answer, char **argv,
                                struct reason reason)
{
    bool is_long = optopt >= FLAG_CHECK_CONFIG || strchr("hVc", optopt);
    if (optopt == 0) {
        return explain_unknown(tables, argv[optind - 1], reason);
    }
    if (is_long) {
        return reason_refuse_in(reason, CKPT_ERR_CONFIG,
                                answer == ':' ? "flag --%s needs a value"
                                              : "flag --%s takes no value",
                                name_of(tables, optopt));
    }
    char flag[] = {'-', (char)optopt, '\0'};
    return reason_refuse_in(reason, CKPT_ERR_CONFIG,
                            answer == ':' ? "flag %s needs a value" : "unknown flag %s",
                            LOG_QUOTED(flag));
}

static size_t key_of_letter(const struct config_program *program, int letter)
{
    size_t key = 0;
    while (program->keys[key].letter != letter) {
        key++;
    }
    return key;
}

static enum ckpt_status choose_shell(const char *shell, struct flags *flags, struct reason reason)
{
    if (strcmp(shell, "bash") != 0 && strcmp(shell, "zsh") != 0) {
        return reason_refuse_in(reason, CKPT_ERR_CONFIG, "--completions = %s: want bash or zsh",
                                LOG_QUOTED(shell));
    }
    flags->request = strcmp(shell, "zsh") == 0 ? CONFIG_ZSH : CONFIG_BASH;
    return CKPT_OK;
}

static enum ckpt_status walk(const struct config_program *program, const struct tables *tables,
                             int argc, char **argv, struct flags *flags, struct reason reason)
{
    opterr = 0;
    optind = 0; /* GNU: start anew */
    for (;;) {
        int answer = getopt_long(argc, argv, tables->letters, tables->options, NULL);
        switch (answer) {
        case -1:
            flags->operands = argv + optind;
            flags->operand_count = (size_t)(argc - optind);
            return CKPT_OK;
        case 'h':
            flags->request = CONFIG_HELP;
            return CKPT_OK;
        case 'V':
            flags->request = CONFIG_VERSION;
            return CKPT_OK;
        case 'c':
            flags->file = optarg;
            break;
        case FLAG_CHECK_CONFIG:
            flags->request = CONFIG_CHECK;
            break;
        case FLAG_EXAMPLE:
            flags->request = CONFIG_EXAMPLE;
            return CKPT_OK;
        case FLAG_COMPLETIONS:
            return choose_shell(optarg, flags, reason);
        case ':':
        case '?':
            return explain(tables, answer, argv, reason);
        default: {
            size_t key = answer >= FLAG_FIRST_KEY ? (size_t)(answer - FLAG_FIRST_KEY)
                                                  : key_of_letter(program, answer);
            flags->values[key] = optarg                       ? optarg
                                 : program->keys[key].implied ? program->keys[key].implied
                                                              : "yes";
            break;
        }
        }
    }
}

enum ckpt_status flags_read(const struct config_program *program, int argc, char **argv,
                            struct flags *flags_out, struct reason reason)
{
    struct flags flags = {.request = CONFIG_RUN};
    struct tables tables;
    enum ckpt_status status = make_tables(program, &tables, reason);
    if (status != CKPT_OK) {
        goto free_tables;
    }
    flags.values = calloc(program->key_count + 1, sizeof(*flags.values));
    if (!flags.values) {
        status = reason_refuse_in(reason, CKPT_ERR_MEMORY, "no memory");
        goto free_tables;
    }
    status = walk(program, &tables, argc, argv, &flags, reason);
    if (status == CKPT_OK && flags.operand_count > 0 && !program->operands) {
        status = reason_refuse_in(reason, CKPT_ERR_CONFIG, "unexpected argument %s",
                                  LOG_QUOTED(flags.operands[0]));
    }
    if (status == CKPT_OK) {
        *flags_out = flags;
    } else {
        free(flags.values);
    }

free_tables:
    free_tables(&tables);
    return status;
}

const char *config_first_operand(const struct config_program *program, int argc, char **argv)
{
    char reason[256];
    char letters[sizeof((struct tables){0}.letters) + 1];
    struct tables tables;
    const char *operand = NULL;
    if (make_tables(program, &tables, (struct reason){reason, sizeof(reason)}) == CKPT_OK) {
        int answer = 0;
        snprintf(letters, sizeof(letters), "+%s", tables.letters);
        opterr = 0;
        optind = 0;
        while (answer != -1) { /* what is wrong with a flag is for config_load to say */
            answer = getopt_long(argc, argv, letters, tables.options, NULL);
        }
        operand = optind < argc ? argv[optind] : NULL;
    }
    free_tables(&tables);
    return operand;
}
