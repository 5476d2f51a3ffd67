/* SPDX-License-Identifier: Apache-2.0 */
/* For bash: three functions that look something up, made from the tables, and one that is the same
 * for every program. Of another package's functions none is needed. */
#include "config/complete_bash.h"

#include <stdio.h>
#include <string.h>

#include "config/complete.h"

/* What is the same: "@" stands for the program's name. The '=' of --flag=value is a word of its
 * own, unless the user has taken it out of COMP_WORDBREAKS. */
static const char body[] =
    "_@() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    local command='' flag='' front='' count=0 i word words\n"
    "    COMPREPLY=()\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if [[ $word == = ]]; then\n"
    "            ((i++))\n"
    "        elif [[ $word == -* ]]; then\n"
    "            if [[ ${COMP_WORDS[i + 1]} != = ]] && _@_value \"$command\" \"$word\" >/dev/null; "
    "then\n"
    "                ((i++))\n"
    "            fi\n"
    "        elif [[ -z $command ]] && _@_operand '' 0 >/dev/null; then\n"
    "            command=$word\n"
    "        else\n"
    "            ((count++))\n"
    "        fi\n"
    "    done\n"
    "    if [[ $cur == --*=* ]]; then\n"
    "        flag=${cur%%=*} front=${cur%%=*}= cur=${cur#*=}\n"
    "    elif [[ $cur == = ]]; then\n"
    "        flag=$prev cur=''\n"
    "    elif [[ $prev == = ]]; then\n"
    "        flag=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    elif [[ $prev == -* ]] && _@_value \"$command\" \"$prev\" >/dev/null; then\n"
    "        flag=$prev\n"
    "    fi\n"
    "    if [[ -n $flag ]]; then\n"
    "        words=$(_@_value \"$command\" \"$flag\")\n"
    "    elif [[ $cur == -* ]]; then\n"
    "        words=$(_@_flags \"$command\")\n"
    "    else\n"
    "        words=$(_@_operand \"$command\" \"$count\")\n"
    "    fi\n"
    "    if [[ $words == '<file>' ]]; then\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen -P \"$front\" -f -- \"$cur\")\n"
    "    else\n"
    "        mapfile -t COMPREPLY < <(compgen -P \"$front\" -W \"$words\" -- \"$cur\")\n"
    "    fi\n"
    "    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]]; then\n"
    "        compopt -o nospace 2>/dev/null\n"
    "    fi\n"
    "}\n"
    "complete -F _@ @\n";

static void print_body(const char *name, FILE *out)
{
    for (const char *c = body; *c != '\0'; c++) {
        if (*c == '@' && c[1] != ']') { /* not of [@] */
            fputs(name, out);
        } else {
            fputc(*c, out);
        }
    }
}

/* "wait,--timeout | wait,-t) echo WORDS ;;", and what the flag's value is. Status 0: the next word
 * is the value. */
static void print_value(const char *command, const struct config_key *key, FILE *out)
{
    char flag[SETTING_NAME_SIZE];
    key_flag_name(key, flag);
    fprintf(out, "    %s,--%s", command, flag);
    if (key->letter) {
        fprintf(out, " | %s,-%c", command, key->letter);
    }
    fputs(") ", out);
    if (key->type == CONFIG_BOOL) {
        fputs("echo yes no && return 1 ;;\n", out);
        return;
    }
    if (!complete_takes_word(key)) {
        fputs("return 1 ;;\n", out);
        return;
    }
    if (complete_kind_of(key) == COMPLETE_FILE) {
        fputs("echo '<file>' ", out);
    } else if (key->type == CONFIG_ENUM) {
        fputs("echo", out);
        for (size_t i = 0; key->choices[i]; i++) {
            fprintf(out, " %s", key->choices[i]);
        }
        fputc(' ', out);
    }
    fputs(";;\n", out);
}

static void print_flags(const struct config_key *keys, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        char flag[SETTING_NAME_SIZE];
        key_flag_name(&keys[i], flag);
        fprintf(out, " --%s%s", flag, complete_takes_word(&keys[i]) ? "=" : "");
    }
}

static void print_operands(const struct config_program *program, const char *command,
                           const char *operands, FILE *out)
{
    struct complete_operand operand;
    for (size_t place = 0; complete_next_operand(&operands, &operand); place++) {
        char where[24];
        snprintf(where, sizeof(where), "%zu", place);
        fprintf(out, "    %s,%s) ", command, operand.repeats ? "*" : where);
        if (operand.kind == COMPLETE_FILE) {
            fputs("echo '<file>' ", out);
        } else if (operand.kind == COMPLETE_WORDS) {
            fputs("echo", out);
            for (const char *c = operand.text; *c != '\0'; c++) {
                fprintf(out, "%s%c", c == operand.text ? " " : "", *c == '|' ? ' ' : *c);
            }
            fputc(' ', out);
        } else if (operand.kind == COMPLETE_COMMAND) {
            fputs("echo", out);
            for (size_t i = 0; i < program->command_count; i++) {
                fprintf(out, " %s", program->commands[i].name);
            }
            fputc(' ', out);
        }
        fputs(";;\n", out);
    }
}

static void print_values_function(const struct config_program *program, FILE *out)
{
    fprintf(out, "_%s_value() {\n    case \"$1,$2\" in\n", program->name);
    for (size_t i = 0; i < program->command_count; i++) {
        for (size_t j = 0; j < program->commands[i].key_count; j++) {
            print_value(program->commands[i].name, &program->commands[i].keys[j], out);
        }
    }
    for (size_t i = 0; i < program->key_count; i++) {
        print_value("*", &program->keys[i], out);
    }
    for (size_t i = 0; i < complete_key_count(program); i++) {
        print_value("*", &complete_keys[i], out);
    }
    fputs("    *) return 1 ;;\n    esac\n}\n", out);
}

static void print_flags_function(const struct config_program *program, FILE *out)
{
    fprintf(out, "_%s_flags() {\n    case $1 in\n", program->name);
    for (size_t i = 0; i < program->command_count; i++) {
        const struct config_command *command = &program->commands[i];
        if (command->key_count > 0) {
            fprintf(out, "    %s) echo", command->name);
            print_flags(command->keys, command->key_count, out);
            fputs(" ;;\n", out);
        }
    }
    fputs("    esac\n    echo", out);
    print_flags(program->keys, program->key_count, out);
    print_flags(complete_keys, complete_key_count(program), out);
    fputs("\n}\n", out);
}

void complete_print_bash(const struct config_program *program, FILE *out)
{
    fprintf(out, "# bash: completes command lines of %s; %s --completions=bash prints it\n",
            program->name, program->name);
    print_values_function(program, out);
    print_flags_function(program, out);
    fprintf(out, "_%s_operand() {\n    case \"$1,$2\" in\n", program->name);
    if (program->command_count > 0) {
        print_operands(program, "", "VERB", out);
    }
    for (size_t i = 0; i < program->command_count; i++) {
        const char *operands = program->commands[i].operands;
        print_operands(program, program->commands[i].name, operands ? operands : "", out);
    }
    fputs("    *) return 1 ;;\n    esac\n}\n", out);
    print_body(program->name, out);
}
