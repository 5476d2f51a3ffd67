/* SPDX-License-Identifier: Apache-2.0 */
/* For zsh: the tables as what its _arguments reads. */
#include "config/complete_zsh.h"

#include <stdio.h>
#include <string.h>

#include "config/complete.h"

/* Text within '...' and "[...]". */
static void print_quoted(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            fputs("'\\''", out);
        } else {
            fprintf(out, "%s%c", strchr("[]\\:", *text) ? "\\" : "", *text);
        }
    }
}

/* ":NAME:(one other)" */
static void print_action(enum complete_kind kind, const char *name, const char *const *words,
                         const char *program, FILE *out)
{
    fputc(':', out);
    print_quoted(name, out);
    switch (kind) {
    case COMPLETE_FILE:
        fputs(":_files", out);
        break;
    case COMPLETE_COMMAND:
        fprintf(out, ":_%s_commands", program);
        break;
    case COMPLETE_WORDS:
        fputs(":(", out);
        for (size_t i = 0; words && words[i]; i++) {
            fprintf(out, "%s%s", i ? " " : "", words[i]);
        }
        fputc(')', out);
        break;
    case COMPLETE_NOTHING:
        fputs(":()", out); /* ": " would keep a flag in this place from being put in */
        break;
    }
}

static void print_spec(const struct config_key *key, const char *form, const char *flag,
                       const char *either, FILE *out)
{
    fprintf(out, " \\\n        '%s%s%s[", either, form, flag);
    print_quoted(key->help, out);
    fputc(']', out);
    if (complete_takes_word(key)) {
        print_action(complete_kind_of(key), key->placeholder ? key->placeholder : "value",
                     key->choices, "", out);
    }
    fputc('\'', out);
}

static void print_keys(const struct config_key *keys, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        bool takes_value = complete_takes_word(&keys[i]);
        char name[SETTING_NAME_SIZE];
        char flag[SETTING_NAME_SIZE + 1];
        char either[SETTING_NAME_SIZE + 16] = "";
        char letter[] = {keys[i].letter, takes_value ? '+' : '\0', '\0'};
        key_flag_name(&keys[i], name);
        snprintf(flag, sizeof(flag), "%s%s", name, takes_value ? "=" : "");
        if (keys[i].letter) {
            snprintf(either, sizeof(either), "(-%c --%s)", keys[i].letter, name);
            print_spec(&keys[i], "-", letter, either, out);
        }
        print_spec(&keys[i], "--", flag, either, out);
    }
}

static void print_operands(const char *program, const char *operands, FILE *out)
{
    struct complete_operand operand;
    for (size_t place = 1; complete_next_operand(&operands, &operand); place++) {
        const char *words[8] = {NULL};
        char text[sizeof(operand.text)];
        size_t count = 0;
        char *rest = NULL;
        snprintf(text, sizeof(text), "%s", operand.text);
        for (char *word = strtok_r(text, "|", &rest); word && count < 7;
             word = strtok_r(NULL, "|", &rest)) {
            words[count++] = word;
        }
        if (operand.repeats) {
            fputs(" \\\n        '*", out);
        } else {
            fprintf(out, " \\\n        '%zu%s", place, operand.optional ? ":" : "");
        }
        print_action(operand.kind, operand.kind == COMPLETE_WORDS ? "word" : operand.text, words,
                     program, out);
        fputc('\'', out);
    }
}

static void print_commands(const struct config_program *program, FILE *out)
{
    fprintf(out, "_%s_commands() {\n    local -a names=(\n", program->name);
    for (size_t i = 0; i < program->command_count; i++) {
        fprintf(out, "        '%s:", program->commands[i].name);
        print_quoted(program->commands[i].summary, out);
        fputs("'\n", out);
    }
    fputs("    )\n    _describe -t commands command names\n}\n", out);
}

static void print_states(const struct config_program *program, FILE *out)
{
    fprintf(
        out,
        "    _arguments -C -S \"$every[@]\" '(-)1:command:_%s_commands' '(-)*::argument:->rest' && "
        "return\n"
        "    [[ $state == rest ]] || return\n"
        "    case $words[1] in\n",
        program->name);
    for (size_t i = 0; i < program->command_count; i++) {
        const struct config_command *command = &program->commands[i];
        fprintf(out, "    %s)\n        _arguments -S \"$every[@]\"", command->name);
        print_keys(command->keys, command->key_count, out);
        print_operands(program->name, command->operands ? command->operands : "", out);
        fputs("\n        ;;\n", out);
    }
    fputs("    esac\n", out);
}

void complete_print_zsh(const struct config_program *program, FILE *out)
{
    fprintf(out,
            "#compdef %s\n"
            "# zsh: completes command lines of %s; %s --completions=zsh prints it\n",
            program->name, program->name, program->name);
    if (program->command_count > 0) {
        print_commands(program, out);
    }
    fprintf(out,
            "_%s() {\n    local curcontext=$curcontext state line\n    typeset -A opt_args\n"
            "    local -a every=(",
            program->name);
    print_keys(program->keys, program->key_count, out);
    print_keys(complete_keys, complete_key_count(program), out);
    fputs("\n    )\n", out);
    if (program->command_count > 0) {
        print_states(program, out);
    } else {
        fputs("    _arguments -S \"$every[@]\"\n", out);
    }
    fprintf(out, "}\n_%s \"$@\"\n", program->name);
}
