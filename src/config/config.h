/* SPDX-License-Identifier: Apache-2.0 */
/* What a program is told: by its defaults, one INI file, the environment and flags, the later over
 * the earlier. A program gives a table of keys; from it come the parser, the checks, every error
 * message, the page of --help and the output of --check-config, so that none can go stale.
 *
 * A key "bytes" of section "arena" is, in the file, in the environment, and as a flag:
 *
 *     [arena]
 *     bytes = 64GiB           CKPT_ARENA_BYTES=64GiB           --arena-bytes=64GiB
 *
 * A program's main:
 *
 *     status = config_load(&program, argc, argv, environ, &config, &request, reason,
 *                          sizeof(reason));
 *     if (status != CKPT_OK) {
 *         fprintf(stderr, "%s: %s\n", program.name, reason);
 *         return 2;
 *     }
 *     if (config_answer(&program, config, request, stdout)) {
 *         config_delete(&config);
 *         return 0;
 *     }
 *
 * Nothing here prints but to the stream it is given, exits, or reads the environment by itself.
 * config_load uses getopt_long and so belongs to one thread; a loaded config is read-only. */
#ifndef CKPT_CONFIG_CONFIG_H
#define CKPT_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <ckpt/status.h>

/* A value as text, and the entries of a list. */
#define CONFIG_TEXT_MAX 4095
#define CONFIG_LIST_MAX 256

enum config_type {
    CONFIG_STRING,   /* printable text */
    CONFIG_PATH,     /* of a file; in a config file it starts with '/' */
    CONFIG_INTEGER,  /* decimal, min to max */
    CONFIG_BYTES,    /* 4096, 64KiB, 256MiB, 2GiB, 1TiB; min to max bytes */
    CONFIG_DURATION, /* 500ms, 30s, 5min, 2h; the number is in milliseconds, min to max */
    CONFIG_BOOL,     /* yes no true false on off 1 0 */
    CONFIG_ENUM,     /* one of choices; the number is its place among them */
    CONFIG_LIST,     /* texts apart by commas; may be empty */
};

struct config_key {
    const char *section; /* NULL: a flag only, in neither file nor environment */
    const char *name;    /* [a-z0-9_] */
    const char *flag;    /* long flag without "--"; NULL: section-name; needed without a section */
    enum config_type type;
    char letter;             /* short flag; 0 for none */
    bool required;           /* without a value, or with an empty one, the program does not start */
    const char *fallback;    /* the default as text; NULL for none */
    const char *fallback_is; /* what stands for no default in the help: "the host name" */
    const char *placeholder; /* of the value in the help; NULL: after the type */
    const char *implied;     /* by the flag without a value; NULL: the flag needs one, but a bool */
    const char *help;        /* one line, no full stop */
    int64_t min, max;        /* both 0: any number that is not negative */
    const char *const *choices; /* of CONFIG_ENUM, up to NULL */
};

/* What a program does by its first operand, where each such word has flags of its own. */
struct config_command {
    const char *name;
    const char *summary;  /* one line */
    const char *operands; /* "RUN [STEP]", "begin|end JOB", "FILE..."; NULL: none */
    const struct config_key *keys;
    size_t key_count;
};

struct config_program {
    const char *name;
    const char *version;
    const char *(*library)(void); /* what runs beside it, for --version: "UCX 1.18.1"; or NULL */
    const char *operands;     /* what follows the flags, "VERB [ARGUMENT...]"; NULL: nothing may */
    const char *summary;      /* one paragraph; wrapped when printed */
    const char *default_file; /* NULL: /etc/ckptd/<name>.conf */
    const struct config_key *keys;
    size_t key_count;
    const char *details;    /* more for the help page, lines as they are to be printed; or NULL */
    const char *examples;   /* lines as they are to be printed; or NULL */
    const char *exit_codes; /* lines as they are to be printed; or NULL */
    const struct config_command *commands; /* for what completes command lines; or NULL */
    size_t command_count;
};

/* What the command line asks for. */
enum config_request {
    CONFIG_RUN,
    CONFIG_HELP,    /* --help, -h: there is no config */
    CONFIG_VERSION, /* --version, -V: there is no config */
    CONFIG_BASH,    /* --completions=bash, a script for that shell: there is no config */
    CONFIG_ZSH,     /* --completions=zsh */
    CONFIG_EXAMPLE, /* --example-config, a file of all keys: there is no config */
    CONFIG_CHECK,   /* --check-config: everything was loaded and is good */
};

enum config_source {
    CONFIG_FROM_DEFAULT,
    CONFIG_FROM_FILE,
    CONFIG_FROM_ENVIRONMENT,
    CONFIG_FROM_FLAG,
    CONFIG_DERIVED, /* config_derive */
};

struct config;

/* Loads the configuration of a program. argv is permuted as getopt_long does, so that operands come
 * last; argv and environment must live as long as the config. The file is --config's, else the
 * default one, which may be missing.
 *
 * RETURN VALUE
 * CKPT_OK and *request_out, with *config_out for the caller to config_delete, or NULL in it for
 * what needs no config. On an error the outputs are as they were, and reason_out (of
 * reason_size bytes) has one line: where, what is wrong, what is wanted, the nearest known name.
 *
 * ERRORS
 * - CKPT_ERR_CONFIG - an unknown section, key or flag; a value of another type or out of range; a
 *   key twice in the file; a required key without a value; a file that cannot be read or is no INI
 *   file; an operand where none may be
 * - CKPT_ERR_MEMORY
 * - CKPT_ERR_INTERNAL - the program's table is wrong, such as a default out of range */
enum ckpt_status config_load(const struct config_program *program, int argc, char **argv,
                             char **environment, struct config **config_out,
                             enum config_request *request_out, char *reason_out,
                             size_t reason_size);

/* The first operand of a command line, for a program that has a table of keys for each: what is
 * neither a flag nor the value of one of the program's keys. argv stays as it is.
 *
 * RETURN VALUE
 * Within argv; NULL when there is none, or no memory to look. */
const char *config_first_operand(const struct config_program *program, int argc, char **argv);

/* Frees *config and sets it to NULL; accepts NULL in it. */
void config_delete(struct config **config);

/* The value of the n-th key of the table as text: NULL when it has none. Lives as long as the
 * config, as all that these functions give. */
const char *config_text(const struct config *config, size_t key);

/* Integer, bytes, milliseconds, 0 or 1, place among the choices; 0 for other types and for a key
 * without a value. */
int64_t config_number(const struct config *config, size_t key);
bool config_flag(const struct config *config, size_t key);

/* The entries of a list: at, below count. */
size_t config_list_count(const struct config *config, size_t key);
const char *config_list_at(const struct config *config, size_t key, size_t at);

/* Where the value comes from; false when the key has none. */
bool config_is_set(const struct config *config, size_t key);
enum config_source config_source(const struct config *config, size_t key);

/* Where a value comes from, as text for a message about it: "/etc/ckptd/ckptd.conf:12: [arena]
 * bytes", "CKPT_ARENA_BYTES", "--arena-bytes", "default of [arena] bytes". */
void config_describe(const struct config *config, size_t key, char *text_out, size_t text_size);

/* A setting for a message that compares it with another: the same, and its value: "/etc/ckptd/
 * ckptctld.conf:7: [coordinator] lease = 500ms". A long path is cut in front, a long value at its
 * end. Two of them fit into a reason, with what they must be. */
#define CONFIG_SAID_SIZE 116
void config_say(const struct config *config, size_t key, char said_out[CONFIG_SAID_SIZE]);

/* Gives a key without a value the one that its fallback_is stands for on this machine, so that it
 * is seen and read like any other; does nothing where it has one. CKPT_ERR_CONFIG, with a reason,
 * when it is no good value; CKPT_ERR_MEMORY. */
enum ckpt_status config_derive(struct config *config, size_t key, const char *text,
                               char *reason_out, size_t reason_size);

/* Visits, with a line for a person, each variable of the environment that is named like ours and
 * that this program does not read: one that no program of ckptd reads, a key of this one's without
 * its section, one that another program reads and this one has a key for. */
typedef void config_stranger(void *context, const char *line);
void config_tell_strangers(const struct config *config, char *const *environment,
                           config_stranger *tell, void *context);

/* The file that was read; NULL when there was none. */
const char *config_file(const struct config *config);

/* What follows the flags; *count_out entries. */
char *const *config_operands(const struct config *config, size_t *count_out);

/* Prints what a request other than CONFIG_RUN asks for.
 *
 * RETURN VALUE
 * Whether it was one: true means that the program has nothing more to do. */
bool config_answer(const struct config_program *program, const struct config *config,
                   enum config_request request, FILE *out);

/* The page of --help. */
void config_print_help(const struct config_program *program, FILE *out);

/* The lines of these keys in such a page; keys that a section has are left to its heading. */
void config_print_options(const struct config_key *keys, size_t key_count, FILE *out);

/* A config file that sets nothing: every key with its default as a comment, and what it means. */
void config_print_example(const struct config_program *program, FILE *out);

/* Every key with its value, and where that comes from as a comment: again a config file. */
void config_print(const struct config *config, FILE *out);

#endif
