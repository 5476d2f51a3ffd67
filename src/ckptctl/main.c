/* SPDX-License-Identifier: Apache-2.0 */
/* ckptctl: command line to verb. */
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/nearest.h"
#include "config/config.h"
#include "ctl.h"
#include "link.h"
#include "progress.h"

enum key {
    KEY_COORDINATOR,
    KEY_SOCKET,
    KEY_COLOR,
    KEY_JSON,
    KEY_USER,
    KEY_TIMEOUT,
    KEY_NEWER,
    KEY_WAIT,
    KEY_COPIES,
    KEY_ATTEMPT,
    KEY_OPAQUE,
    KEY_XML,
    KEY_RAILS,
    KEY_FINAL,
    KEY_PRINT,
    KEY_SLURM_MODE,
    KEY_SLURM_ON_FAILURE,
    KEY_SLURM_JOBS,
    KEY_SLURM_HOOK_TIMEOUT,
    KEY_SLURM_START_TIMEOUT,
    KEY_SLURM_LINGER,
    KEY_SLURM_IDLE_EXIT,
    KEY_SLURM_AGENT,
    KEY_SLURM_AGENT_CONFIG,
    KEY_SLURM_AGENT_USER,
    KEY_SLURM_AGENT_LOG,
    KEY_SLURM_HOOKS,
    KEY_COUNT
};

#define COORDINATOR_DEFAULT "/run/ckptctld/ckptctld.sock"

static const char *const modes[] = {"service", "per-job", NULL};
static const char *const policies[] = {"warn", "fail", NULL};
static const char *const job_choices[] = {"all", "marked", NULL};
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
    [KEY_TIMEOUT] = {.name = "timeout",
                     .flag = "timeout",
                     .letter = 't',
                     .type = CONFIG_DURATION,
                     .max = 7 * 24 * 3600 * 1000,
                     .help =
                         "how long wait, verify, export and import may take (default: 60s; wait: "
                         "10min)"},
    [KEY_NEWER] = {.name = "newer",
                   .flag = "newer",
                   .type = CONFIG_BOOL,
                   .help = "retire: everything newer than STEP, to go back to it"},
    [KEY_WAIT] = {.name = "wait",
                  .flag = "wait",
                  .letter = 'w',
                  .type = CONFIG_BOOL,
                  .help = "import: until the checkpoint is consistent"},
    [KEY_COPIES] = {.name = "copies",
                    .flag = "copies",
                    .type = CONFIG_INTEGER,
                    .min = 1,
                    .max = CKPT_COPIES_MAX,
                    .help = "import: of each shard (default: the agent's)"},
    [KEY_ATTEMPT] = {.name = "attempt",
                     .flag = "attempt",
                     .type = CONFIG_INTEGER,
                     .min = 1,
                     .max = UINT32_MAX,
                     .help = "import: of the run (default: that of its newest checkpoint, or 1)"},
    [KEY_OPAQUE] = {.name = "opaque",
                    .flag = "opaque",
                    .type = CONFIG_BOOL,
                    .help = "import: as bytes what is named .safetensors and is none"},
    [KEY_XML] = {.name = "xml",
                 .flag = "xml",
                 .type = CONFIG_PATH,
                 .help = "topology: of a machine that `lstopo FILE.xml` recorded"},
    [KEY_RAILS] = {.name = "rails",
                   .flag = "rails",
                   .type = CONFIG_STRING,
                   .placeholder = "MAP",
                   .help = "topology: with an override, \"gpu0=mlx5_0+mlx5_1, numa1=mlx5_2\""},
    [KEY_FINAL] = {.name = "final",
                   .flag = "final",
                   .type = CONFIG_BOOL,
                   .help = "job end: nothing of the run is wanted any more"},
    [KEY_PRINT] = {.name = "print",
                   .flag = "print",
                   .type = CONFIG_BOOL,
                   .help = "slurm install: show what would go where; nothing is ever edited"},
    [KEY_SLURM_MODE] = {.section = "slurm",
                        .name = "mode",
                        .type = CONFIG_ENUM,
                        .choices = modes,
                        .fallback = "service",
                        .help = "per-job: the Prolog starts ckptd where none answers"},
    [KEY_SLURM_ON_FAILURE] = {.section = "slurm",
                              .name = "on_failure",
                              .type = CONFIG_ENUM,
                              .choices = policies,
                              .fallback = "warn",
                              .help = "fail: a hook that fails drains its node, as Slurm does"},
    [KEY_SLURM_JOBS] = {.section = "slurm",
                        .name = "jobs",
                        .type = CONFIG_ENUM,
                        .choices = job_choices,
                        .fallback = "all",
                        .help = "marked: only jobs with srun --ckpt, or ckpt in their comment"},
    [KEY_SLURM_HOOK_TIMEOUT] = {.section = "slurm",
                                .name = "hook_timeout",
                                .type = CONFIG_DURATION,
                                .fallback = "2s",
                                .min = 50,
                                .max = 60000,
                                .help = "a hook ends after so long, whatever hangs"},
    [KEY_SLURM_START_TIMEOUT] = {.section = "slurm",
                                 .name = "start_timeout",
                                 .type = CONFIG_DURATION,
                                 .fallback = "5s",
                                 .min = 100,
                                 .max = 600000,
                                 .help = "per-job: how long a Prolog may wait for ckptd's start"},
    [KEY_SLURM_LINGER] = {.section = "slurm",
                          .name = "linger",
                          .type = CONFIG_DURATION,
                          .fallback = "30min",
                          .max = INT64_C(30) * 24 * 3600 * 1000,
                          .help = "a run's newest checkpoint is kept so long after its job's end"},
    [KEY_SLURM_IDLE_EXIT] = {.section = "slurm",
                             .name = "idle_exit",
                             .type = CONFIG_DURATION,
                             .fallback = "1min",
                             .max = 24 * 3600 * 1000,
                             .help = "per-job: ckptd ends when nobody has needed it for so long"},
    [KEY_SLURM_AGENT] = {.section = "slurm",
                         .name = "agent",
                         .type = CONFIG_PATH,
                         .fallback = CKPT_SBINDIR "/ckptd",
                         .help = "per-job: the program that a Prolog starts"},
    [KEY_SLURM_AGENT_CONFIG] = {.section = "slurm",
                                .name = "agent_config",
                                .type = CONFIG_PATH,
                                .fallback_is = "ckptd's own",
                                .help = "per-job: ckptd's configuration"},
    [KEY_SLURM_AGENT_USER] = {.section = "slurm",
                              .name = "agent_user",
                              .type = CONFIG_STRING,
                              .fallback_is = "the hook's, root",
                              .help = "per-job: the user that ckptd runs as"},
    [KEY_SLURM_AGENT_LOG] = {.section = "slurm",
                             .name = "agent_log",
                             .type = CONFIG_PATH,
                             .fallback = "/var/log/ckptd.log",
                             .help = "per-job: where ckptd's log goes"},
    [KEY_SLURM_HOOKS] = {.section = "slurm",
                         .name = "hooks",
                         .type = CONFIG_PATH,
                         .fallback = CKPT_HOOKDIR,
                         .help = "where the hooks' scripts lie, for slurm install"},
};

static const struct verb *const verbs[] = {
    &verb_status,    &verb_nodes,  &verb_runs,     &verb_list,   &verb_show,
    &verb_placement, &verb_wait,   &verb_verify,   &verb_retire, &verb_mark,
    &verb_export,    &verb_import, &verb_topology, &verb_job,    &verb_slurm,
};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static const struct config_program program = {
    .name = "ckptctl",
    .version = CKPT_VERSION,
    .operands = "VERB [ARGUMENT...]",
    .summary =
        "Looks at and changes what ckptd keeps: checkpoints of training runs in the memory of "
        "several nodes. A checkpoint that is shown as consistent has its copies in distinct "
        "failure domains, digested by each holder from its own memory, and equal.",
    .keys = keys,
    .key_count = KEY_COUNT,
    .details = "Verbs (ckptctl VERB --help says more):\n"
               "  status                      is the coordinator well, and what does it know\n"
               "  nodes                       agents: alive, lost, free memory, copies\n"
               "  runs                        training runs, and the newest step of each\n"
               "  list RUN                    checkpoints of a run\n"
               "  show RUN [STEP]             shards of a checkpoint: digests, and who has copies\n"
               "  placement [RUN]             which nodes hold what\n"
               "  wait RUN [STEP]             until a checkpoint is consistent\n"
               "  verify RUN [STEP]           digest all copies again, now, and compare\n"
               "  retire RUN STEP [--newer]   forget a checkpoint, or go back to one\n"
               "  mark RUN STEP healthy|poisoned|clear   a person's word on a checkpoint\n"
               "  export RUN STEP RANK FILE   a shard becomes a file\n"
               "  import RUN STEP FILE...     files become a checkpoint, one rank each\n"
               "  topology [--xml FILE]       this machine's GPUs and NICs, and the rails of each\n"
               "  job begin|end|show [JOB [RUN]]  tell this node's agent of a job, or ask it\n"
               "  slurm prolog|epilog|task-prolog|install   what Slurm's hooks call\n"
               "\n"
               "STEP is a number or \"latest\", the newest consistent one. Other users' runs are\n"
               "shown to root and to the user that ckptctld runs as.\n",
    .examples = "  ckptctl runs\n"
                "  ckptctl show team/llama latest\n"
                "  ckptctl wait team/llama 1200 --timeout=5min && echo safe\n"
                "  ckptctl --json nodes | jq '.nodes[] | select(.joined | not) | .node'\n"
                "  ckptctl import team/base 1 model-*.safetensors --wait\n",
    .exit_codes = "  0  done, and the answer is yes\n"
                  "  1  refused, failed, not found, copies differ, or not in time\n"
                  "  2  the command line or the configuration is wrong\n"
                  "  3  no coordinator, or no agent, answers\n",
};

enum exit_code complain(enum exit_code code, const char *format, ...)
{
    va_list arguments;
    progress_clear();
    va_start(arguments, format);
    fputs("ckptctl: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return code;
}

uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void pause_ms(uint32_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

bool parse_number(const char *what, const char *text, uint32_t max, uint32_t *number_out)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number > max) {
        complain(EXIT_USAGE, "%s '%s' is no number from 0 to %" PRIu32, what, text, max);
        return false;
    }
    *number_out = (uint32_t)number;
    return true;
}

bool parse_step(const char *text, uint64_t *step_out)
{
    char *end;
    if (strcmp(text, "latest") == 0) {
        *step_out = CKPT_STEP_LATEST;
        return true;
    }
    errno = 0;
    unsigned long long step = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || step == CKPT_STEP_LATEST) {
        complain(EXIT_USAGE, "'%s' is no step: a number or \"latest\" is", text);
        return false;
    }
    *step_out = step;
    return true;
}

bool name_run(const struct ctl *ctl, const char *text, struct message_admin_ask *ask)
{
    if (!name_is_valid(text, CKPT_RUN_NAME_MAX)) {
        complain(EXIT_USAGE, "'%s' is no name of a run: 1 to %d of A-Z a-z 0-9 . _ / -", text,
                 CKPT_RUN_NAME_MAX);
        return false;
    }
    ask->run.uid = ctl->user;
    snprintf(ask->run.name, sizeof(ask->run.name), "%s", text);
    return true;
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(name, verbs[i]->name) == 0) {
            return verbs[i];
        }
    }
    return NULL;
}

static enum exit_code refuse_verb(const char *name)
{
    const char *names[VERB_COUNT];
    for (size_t i = 0; i < VERB_COUNT; i++) {
        names[i] = verbs[i]->name;
    }
    const char *nearest = nearest_name(name, names, VERB_COUNT);
    return complain(EXIT_USAGE,
                    nearest ? "unknown verb '%s'; did you mean %s?"
                            : "unknown verb '%s'; ckptctl --help lists them",
                    name, nearest);
}

/* The page of one verb, when the command line has a verb and asks for help. */
static bool print_verb_help(int argc, char **argv)
{
    const struct verb *verb = NULL;
    bool asks = false;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-' && !verb) {
            verb = find_verb(argv[i]);
        }
        asks = asks || strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
    }
    if (!asks || !verb) {
        return false;
    }
    printf("Usage: ckptctl %s%s%s [OPTION...]\n\n%s\n", verb->name, verb->operands[0] ? " " : "",
           verb->operands, verb->help);
    printf("\nckptctl --help lists all options and exit codes.\n");
    return true;
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

static void read_hook_settings(const struct config *config, struct hook_settings *hook)
{
    hook->starts_agent = config_number(config, KEY_SLURM_MODE) == 1;
    hook->may_fail = config_number(config, KEY_SLURM_ON_FAILURE) == 1;
    hook->marked_only = config_number(config, KEY_SLURM_JOBS) == 1;
    hook->timeout_ms = (uint32_t)config_number(config, KEY_SLURM_HOOK_TIMEOUT);
    hook->start_timeout_ms = (uint32_t)config_number(config, KEY_SLURM_START_TIMEOUT);
    hook->linger_ms = (uint64_t)config_number(config, KEY_SLURM_LINGER);
    hook->idle_exit_ms = (uint64_t)config_number(config, KEY_SLURM_IDLE_EXIT);
    hook->agent = config_text(config, KEY_SLURM_AGENT);
    hook->agent_config = config_text(config, KEY_SLURM_AGENT_CONFIG);
    hook->agent_user = config_text(config, KEY_SLURM_AGENT_USER);
    hook->agent_log = config_text(config, KEY_SLURM_AGENT_LOG);
    hook->hooks = config_text(config, KEY_SLURM_HOOKS);
}

static bool read_options(const struct config *config, struct ctl *ctl)
{
    read_hook_settings(config, &ctl->hook);
    ctl->final = config_flag(config, KEY_FINAL);
    ctl->print = config_flag(config, KEY_PRINT);
    const char *variable = getenv("CKPT_COORDINATOR");
    const char *no_color = getenv("NO_COLOR");
    ctl->coordinator = config_text(config, KEY_COORDINATOR);
    if (variable && variable[0] && config_source(config, KEY_COORDINATOR) != CONFIG_FROM_FLAG &&
        config_source(config, KEY_COORDINATOR) != CONFIG_FROM_ENVIRONMENT) {
        ctl->coordinator = variable;
    }
    ctl->agent_socket = config_text(config, KEY_SOCKET);
    ctl->json = config_flag(config, KEY_JSON);
    ctl->newer = config_flag(config, KEY_NEWER);
    ctl->wait = config_flag(config, KEY_WAIT);
    ctl->xml = config_text(config, KEY_XML);
    ctl->rails = config_text(config, KEY_RAILS);
    ctl->opaque = config_flag(config, KEY_OPAQUE);
    ctl->copies = (uint32_t)config_number(config, KEY_COPIES);
    ctl->attempt = (uint32_t)config_number(config, KEY_ATTEMPT);
    ctl->has_timeout = config_is_set(config, KEY_TIMEOUT);
    ctl->timeout_ms = ctl->has_timeout ? (uint32_t)config_number(config, KEY_TIMEOUT) : 60000;
    const char *color = config_text(config, KEY_COLOR);
    ctl->color =
        strcmp(color, "always") == 0 ||
        (strcmp(color, "auto") == 0 && isatty(STDOUT_FILENO) && (!no_color || no_color[0] == '\0'));
    ctl->user = CKPT_UID_ANY;
    const char *user = config_text(config, KEY_USER);
    return !user || parse_user(user, &ctl->user);
}

static enum exit_code check_flags(const struct config *config, const struct verb *verb)
{
    static const struct {
        enum key key;
        enum flag flag;
    } special[] = {{KEY_TIMEOUT, FLAG_TIMEOUT}, {KEY_NEWER, FLAG_NEWER},
                   {KEY_WAIT, FLAG_WAIT},       {KEY_COPIES, FLAG_COPIES},
                   {KEY_ATTEMPT, FLAG_ATTEMPT}, {KEY_XML, FLAG_TOPOLOGY},
                   {KEY_RAILS, FLAG_TOPOLOGY},  {KEY_FINAL, FLAG_FINAL},
                   {KEY_PRINT, FLAG_PRINT},     {KEY_OPAQUE, FLAG_OPAQUE}};
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        if (config_is_set(config, special[i].key) && !(verb->flags & (unsigned)special[i].flag)) {
            return complain(EXIT_USAGE, "%s takes no --%s", verb->name, keys[special[i].key].flag);
        }
    }
    return EXIT_DONE;
}

static enum exit_code run(const struct config *config)
{
    struct ctl ctl = {.link = NULL};
    ctl.operands = config_operands(config, &ctl.operand_count);
    if (ctl.operand_count == 0) {
        return complain(EXIT_USAGE, "no verb; ckptctl --help lists them");
    }
    const struct verb *verb = find_verb(ctl.operands[0]);
    if (!verb) {
        return refuse_verb(ctl.operands[0]);
    }
    ctl.operands++;
    ctl.operand_count--;
    if (ctl.operand_count < verb->operands_min || ctl.operand_count > verb->operands_max) {
        return complain(EXIT_USAGE, "%s %s; usage: ckptctl %s%s%s", verb->name,
                        ctl.operand_count < verb->operands_min ? "needs more" : "takes fewer",
                        verb->name, verb->operands[0] ? " " : "", verb->operands);
    }
    enum exit_code code = check_flags(config, verb);
    if (code != EXIT_DONE || !read_options(config, &ctl)) {
        return EXIT_USAGE;
    }
    code = verb->run(&ctl);
    progress_clear();
    link_close(&ctl);
    if (fflush(stdout) != 0 && code == EXIT_DONE) {
        code = complain(EXIT_NO, "cannot write the output: %s", strerror(errno));
    }
    return code;
}

int main(int argc, char **argv)
{
    struct config *config = NULL;
    enum config_request request;
    char reason[CKPT_REASON_MAX + 1];
    if (print_verb_help(argc, argv)) {
        return EXIT_DONE;
    }
    if (config_load(&program, argc, argv, environ, &config, &request, reason, sizeof(reason)) !=
        CKPT_OK) {
        return (int)complain(EXIT_USAGE, "%s", reason);
    }
    enum exit_code code = EXIT_DONE;
    if (!config_answer(&program, config, request, stdout)) {
        code = run(config);
    }
    config_delete(&config);
    return (int)code;
}
