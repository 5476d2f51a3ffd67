/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/options.h"

#include <assert.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session/address.h"
#include "ckptctl/verbs.h"

#define COORDINATOR_DEFAULT "/run/ckptctld/ckptctld.sock"

enum key { KEY_COORDINATOR, KEY_SOCKET, KEY_COLOR, KEY_JSON, KEY_USER, KEY_COUNT };

static const char *const colors[] = {"auto", "always", "never", NULL};

static const struct config_key keys[KEY_COUNT] = {
    [KEY_COORDINATOR] = {.section = "ckptctl",
                         .name = "coordinator",
                         .flag = "coordinator",
                         .letter = 'C',
                         .type = CONFIG_STRING,
                         .fallback = COORDINATOR_DEFAULT,
                         .placeholder = "ADDRESS",
                         .help =
                             "of ckptctld: its UNIX socket or HOST:PORT; also CKPT_COORDINATOR"},
    [KEY_SOCKET] = {.section = "ckptctl",
                    .name = "socket",
                    .flag = "socket",
                    .letter = 'S',
                    .type = CONFIG_PATH,
                    .fallback_is = "CKPT_SOCKET, or /run/ckptd/ckptd.sock",
                    .help = "of this node's agent, for export and import"},
    [KEY_COLOR] = {.section = "ckptctl",
                   .name = "color",
                   .flag = "color",
                   .type = CONFIG_ENUM,
                   .choices = colors,
                   .fallback = "auto",
                   .help = "auto is on a terminal, unless NO_COLOR is set"},
    [KEY_JSON] = {.name = "json",
                  .flag = "json",
                  .letter = 'j',
                  .type = CONFIG_BOOL,
                  .help = "one JSON document for programs; docs/ckptctl.md names its fields"},
    [KEY_USER] = {.name = "user",
                  .flag = "user",
                  .letter = 'u',
                  .type = CONFIG_STRING,
                  .placeholder = "NAME|UID",
                  .help = "whose run; for root, when several users have a run of the name"},
};

static const struct config_program program_of_all = {
    .name = "ckptctl",
    .version = CKPT_VERSION,
    .operands = "VERB [ARGUMENT...]",
    .summary =
        "Looks at and changes what ckptd keeps: checkpoints of training runs in the memory of "
        "several nodes. A checkpoint that is shown as consistent has its copies in distinct "
        "failure domains, digested by each holder from its own memory, and equal.",
    .examples = "  ckptctl runs\n"
                "  ckptctl show team/llama latest\n"
                "  ckptctl wait team/llama 1200 --timeout=5min && echo safe\n"
                "  ckptctl --json nodes | jq '.nodes[] | select(.joined | not) | .node'\n"
                "  ckptctl import team/base 1 model-*.safetensors --wait\n",
    .exit_codes = "  0  done, and the answer is yes\n"
                  "  1  refused, failed, not found, copies differ, or not in time\n"
                  "  2  the command line or the configuration is wrong\n"
                  "  3  no coordinator, or no agent, answers\n"
                  "  4  consistent, but with fewer copies now than were asked for (status, wait,\n"
                  "     verify)\n",
};

static void add(struct options *options, const struct config_key *added, size_t count)
{
    assert(options->program.key_count + count <= OPTIONS_MAX);
    for (size_t i = 0; i < count; i++) { /* a verb without keys has no table: no memcpy() */
        options->keys[options->program.key_count++] = added[i];
    }
}

static void begin(struct options *options)
{
    options->program = program_of_all;
    options->program.keys = options->keys;
    add(options, keys, KEY_COUNT);
    add(options, hook_keys, HOOK_KEYS);
    options->first = options->program.key_count;
}

const struct options *options_of(const struct verb *verb)
{
    static struct options options;
    begin(&options);
    if (verb) {
        add(&options, verb->keys, verb->key_count);
    }
    return &options;
}

static bool has_flag(const struct config_key *table, size_t count, const char *flag)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].flag && strcmp(table[i].flag, flag) == 0) {
            return true;
        }
    }
    return false;
}

const struct options *options_of_all(void)
{
    static struct options options;
    begin(&options);
    for (size_t i = 0; i < verb_count; i++) {
        for (size_t j = 0; j < verbs[i]->key_count; j++) {
            const struct config_key *key = &verbs[i]->keys[j];
            if (!has_flag(options.keys, options.program.key_count, key->flag)) {
                add(&options, key, 1);
            }
        }
    }
    return &options;
}

enum exit_code options_check(const struct verb *verb, int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        char flag[64];
        if (strncmp(argv[i], "--", 2) != 0) {
            continue;
        }
        snprintf(flag, sizeof(flag), "%.*s", (int)strcspn(argv[i] + 2, "="), argv[i] + 2);
        if (has_flag(verb->keys, verb->key_count, flag)) {
            continue;
        }
        for (size_t j = 0; j < verb_count; j++) {
            if (has_flag(verbs[j]->keys, verbs[j]->key_count, flag)) {
                return complain(EXIT_USAGE, "%s takes no --%s, %s does; ckptctl help %s",
                                verb->name, flag, verbs[j]->name, verb->name);
            }
        }
    }
    return EXIT_DONE;
}

/* A user's name or number. */
static bool parse_user(const char *text, uint32_t *uid_out)
{
    const struct passwd *entry = getpwnam(text);
    if (entry) {
        *uid_out = entry->pw_uid;
        return true;
    }
    if (text[0] >= '0' && text[0] <= '9') {
        return parse_number("--user", text, UINT32_MAX - 1, uid_out);
    }
    complain(EXIT_USAGE, "--user: there is no user '%s' here", text);
    return false;
}

uint32_t options_watch(const struct options *options, const struct config *config)
{
    for (size_t i = options->first; i < options->program.key_count; i++) {
        if (strcmp(options->keys[i].name, "watch") == 0 && config_is_set(config, i)) {
            return (uint32_t)config_number(config, i);
        }
    }
    return 0;
}

/* CKPT_COORDINATOR counts before the file, and after the variable with the section in it. */
static const char *choose_coordinator(const struct config *config, char *where_out, size_t size)
{
    const char *variable = getenv("CKPT_COORDINATOR");
    enum config_source source = config_source(config, KEY_COORDINATOR);
    if (variable && variable[0] && source != CONFIG_FROM_FLAG &&
        source != CONFIG_FROM_ENVIRONMENT) {
        snprintf(where_out, size, "CKPT_COORDINATOR");
        return variable;
    }
    config_describe(config, KEY_COORDINATOR, where_out, size);
    return config_text(config, KEY_COORDINATOR);
}

enum exit_code options_check_values(const struct config *config)
{
    char where[512];
    char why[CKPT_REASON_MAX + 1];
    const char *coordinator = choose_coordinator(config, where, sizeof(where));
    return address_check(coordinator, ADDRESS_CONNECT, why) == CKPT_OK
               ? EXIT_DONE
               : complain(EXIT_USAGE, "%s: %s", where, why);
}

bool options_read(const struct options *options, const struct config *config, struct ctl *ctl)
{
    char where[512];
    ctl->config = config;
    ctl->first_option = options->first;
    ctl->hook = hook_settings_read(config, KEY_COUNT);
    const char *no_color = getenv("NO_COLOR");
    ctl->coordinator = choose_coordinator(config, where, sizeof(where));
    ctl->agent_socket = config_text(config, KEY_SOCKET);
    ctl->json = config_flag(config, KEY_JSON);
    const char *color = config_text(config, KEY_COLOR);
    ctl->color =
        strcmp(color, "always") == 0 ||
        (strcmp(color, "auto") == 0 && isatty(STDOUT_FILENO) && (!no_color || no_color[0] == '\0'));
    ctl->user = CKPT_UID_ANY;
    const char *user = config_text(config, KEY_USER);
    return !user || parse_user(user, &ctl->user);
}

bool option_flag(const struct ctl *ctl, size_t option)
{
    return config_flag(ctl->config, ctl->first_option + option);
}

bool option_is_set(const struct ctl *ctl, size_t option)
{
    return config_is_set(ctl->config, ctl->first_option + option);
}

uint64_t option_number(const struct ctl *ctl, size_t option)
{
    return (uint64_t)config_number(ctl->config, ctl->first_option + option);
}

const char *option_text(const struct ctl *ctl, size_t option)
{
    return config_text(ctl->config, ctl->first_option + option);
}

static void print_verb_help(const struct verb *verb, FILE *out)
{
    size_t bytes = strlen(verb->help);
    fprintf(out, "Usage: ckptctl %s%s%s [OPTION...]\n\n%s%s", verb->name,
            verb->operands[0] ? " " : "", verb->operands, verb->help,
            bytes > 0 && verb->help[bytes - 1] == '\n' ? "" : "\n");
    if (verb->key_count == 0) {
        fputs("\nckptctl --help lists the options that every verb has, and the exit status.\n",
              out);
        return;
    }
    fputs("\nOptions (ckptctl --help lists those that every verb has, and the exit status):\n",
          out);
    config_print_options(verb->keys, verb->key_count, out);
}

/* "Verbs:", a line each. */
static void write_verbs(char *text_out, size_t size)
{
    size_t used = (size_t)snprintf(text_out, size, "Verbs (ckptctl help VERB says more):\n");
    for (size_t i = 0; i < verb_count && used < size; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%s %s", verbs[i]->name, verbs[i]->operands);
        used += (size_t)snprintf(text_out + used, size - used, "  %-28s%s%s\n", name,
                                 strlen(name) > 26 ? "  " : "", verbs[i]->summary);
    }
    assert(used < size);
    (void)snprintf(
        text_out + used, size - used,
        "\nSTEP is a number or \"latest\", the newest consistent one. Other users' runs are\n"
        "shown to root and to the user that ckptctld runs as.\n");
}

void options_print_help(const struct verb *verb, FILE *out)
{
    static char details[4096];
    if (verb) {
        print_verb_help(verb, out);
        return;
    }
    struct config_program program = options_of(NULL)->program;
    write_verbs(details, sizeof(details));
    program.details = details;
    config_print_help(&program, out);
}

void options_print_completions(enum config_request shell, FILE *out)
{
    struct config_command *commands = calloc(verb_count, sizeof(*commands));
    struct config_program program = options_of(NULL)->program;
    for (size_t i = 0; commands && i < verb_count; i++) {
        commands[i] = (struct config_command){.name = verbs[i]->name,
                                              .summary = verbs[i]->summary,
                                              .operands = verbs[i]->operands,
                                              .keys = verbs[i]->keys,
                                              .key_count = verbs[i]->key_count};
    }
    program.commands = commands;
    program.command_count = commands ? verb_count : 0;
    (void)config_answer(&program, NULL, shell, out);
    free(commands);
}
