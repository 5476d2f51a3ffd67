/* SPDX-License-Identifier: Apache-2.0 */
/* What Slurm's hooks call. A hook says one line when something is wrong, with its cause and its
 * remedy, and does not fail for it unless the site wants that: a checkpoint helper must not drain a
 * cluster's nodes. slurmd shows a hook's output only when it fails,
 * so the line goes to syslog too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "ckptctl/hook.h"
#include "ckptctl/options.h"
#include "ckptctl/start_agent.h"

enum key { KEY_PRINT };

static const struct config_key keys[] = {
    [KEY_PRINT] =
        OPTION_SWITCH("print", "install: what would go into slurm.conf; nothing is ever edited"),
};

struct hook {
    const char *name;
    int failed; /* exit status of a failure, by the site's policy */
};

__attribute__((format(printf, 2, 3))) static enum exit_code warn(const struct hook *hook,
                                                                 const char *format, ...)
{
    char text[CKPT_REASON_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fprintf(stderr, "ckptd: %s: %s\n", hook->name, text);
    openlog("ckptd-slurm", LOG_PID, LOG_DAEMON);
    syslog(hook->failed ? LOG_ERR : LOG_WARNING, "%s: %s", hook->name, text);
    return (enum exit_code)hook->failed;
}

/* Somewhat less than the whole bound, so that a silent agent is told of in its own words. */
static uint32_t tell_ms(const struct ctl *ctl)
{
    return ctl->hook.timeout_ms / 4 * 3;
}

/* CKPT_ERR_NOT_FOUND without a reason: the job is none of ours. */
static enum ckpt_status read_ours(const struct ctl *ctl, struct slurm_job *job, char *reason)
{
    enum ckpt_status status = hook_read_job(ctl, job, reason);
    if (status == CKPT_OK && ctl->hook.marked_only && !job->is_marked) {
        reason[0] = '\0';
        return CKPT_ERR_NOT_FOUND;
    }
    return status;
}

static enum exit_code prolog(struct ctl *ctl)
{
    struct hook hook = {"prolog", ctl->hook.may_fail ? EXIT_NO : EXIT_DONE};
    char reason[CKPT_REASON_MAX + 1] = "";
    struct slurm_job job;
    struct message_job told;
    struct message_job_told answer;
    uint32_t bound_ms = ctl->hook.timeout_ms;
    bound_ms += ctl->hook.starts_agent ? ctl->hook.start_timeout_ms : 0;
    hook_bound(hook.name, bound_ms, hook.failed);
    enum ckpt_status status = read_ours(ctl, &job, reason);
    if (status != CKPT_OK) {
        return reason[0] == '\0' ? EXIT_DONE : warn(&hook, "%s", reason);
    }
    if (ctl->hook.starts_agent) {
        status = hook_start_agent(ctl, reason);
    }
    if (status == CKPT_OK) {
        hook_fill(&job, JOB_BEGIN, &told);
        status = hook_tell(ctl, &told, tell_ms(ctl), &answer, reason);
    }
    return status == CKPT_OK
               ? EXIT_DONE
               : warn(&hook, "job %s: %.160s; it runs without checkpoints here", job.name, reason);
}

static enum exit_code epilog(struct ctl *ctl)
{
    struct hook hook = {"epilog", ctl->hook.may_fail ? EXIT_NO : EXIT_DONE};
    char reason[CKPT_REASON_MAX + 1] = "";
    struct slurm_job job;
    struct message_job told;
    struct message_job_told answer;
    hook_bound(hook.name, ctl->hook.timeout_ms, hook.failed);
    enum ckpt_status status = read_ours(ctl, &job, reason);
    if (status != CKPT_OK) {
        return reason[0] == '\0' ? EXIT_DONE : warn(&hook, "%s", reason);
    }
    hook_fill(&job, JOB_END, &told);
    told.attempt = 0; /* of what the Prolog said had begun */
    status = hook_tell(ctl, &told, tell_ms(ctl), &answer, reason);
    /* An agent that a Prolog started may be gone by now; then nothing is left to linger here. */
    if (status == CKPT_OK || (status == CKPT_ERR_NO_AGENT && ctl->hook.starts_agent)) {
        return EXIT_DONE;
    }
    return warn(&hook, "job %s: %.160s; other nodes tell of its end", job.name, reason);
}

/* Its standard output is a protocol: lines of "export NAME=VALUE" become the task's environment, a
 * line of "print" its output. It never fails a task. */
static enum exit_code task_prolog(struct ctl *ctl)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    struct slurm_job job;
    struct message_job told;
    struct message_job_told answer;
    hook_bound("task-prolog", ctl->hook.timeout_ms, EXIT_DONE);
    enum ckpt_status status = hook_read_job(ctl, &job, reason);
    if (status == CKPT_OK) {
        hook_fill(&job, JOB_SHOW, &told);
        status = hook_tell(ctl, &told, tell_ms(ctl), &answer, reason);
    }
    if (status == CKPT_ERR_NOT_FOUND && ctl->hook.marked_only) {
        return EXIT_DONE;
    }
    if (status != CKPT_OK) {
        printf("print ckptd: this task runs without checkpoints: %s\n", reason);
        return EXIT_DONE;
    }
    printf("export CKPT_SOCKET=%s\nexport CKPT_RUN=%s\nexport CKPT_NODE=%s\n"
           "export CKPT_DOMAIN=%s\n",
           hook_socket(ctl), answer.run.name, answer.node, answer.domain);
    return EXIT_DONE;
}

static enum exit_code install(struct ctl *ctl)
{
    const char *hooks = ctl->hook.hooks;
    if (!option_flag(ctl, KEY_PRINT)) {
        return complain(EXIT_USAGE, "slurm install --print shows what to put into slurm.conf; "
                                    "nothing is edited by itself");
    }
    printf(
        "# slurm.conf, on all machines. Alloc: the Prolog runs when the job is allocated.\n"
        "# DeferBatch: the batch script waits for all nodes' Prologs. Never RunInJob with mode =\n"
        "# per-job: what a Prolog starts there dies with the job.\n"
        "Prolog=%s/prolog.d/*\n"
        "Epilog=%s/epilog.d/*\n"
        "TaskProlog=%s/task_prolog\n"
        "PrologFlags=Alloc,DeferBatch\n"
        "PrologEpilogTimeout=60\n"
        "PropagateResourceLimitsExcept=MEMLOCK\n"
        "\n"
        "# Where the site has these directories already: link the two scripts into them.\n"
        "#   ln -s %s/prolog.d/50-ckptd SITE_PROLOG_D/\n"
        "#   ln -s %s/epilog.d/50-ckptd SITE_EPILOG_D/\n"
        "\n"
        "# plugstack.conf, where srun --ckpt is wanted: optional, never required.\n"
        "# optional spank_ckpt.so\n"
        "\n"
        "# The end of a lost node's job takes Slurm SlurmdTimeout (300 s by default) to notice,\n"
        "# and the requeue up to two minutes more. sbatch --requeue --no-kill with spare nodes is\n"
        "# faster; ckptctld itself has noticed after its lease (3 s).\n",
        hooks, hooks, hooks, hooks, hooks);
    return EXIT_DONE;
}

static enum exit_code run(struct ctl *ctl)
{
    static const struct {
        const char *name;
        enum exit_code (*run)(struct ctl *ctl);
    } hooks[] = {
        {"prolog", prolog}, {"epilog", epilog}, {"task-prolog", task_prolog}, {"install", install}};
    for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
        if (strcmp(ctl->operands[0], hooks[i].name) == 0) {
            return hooks[i].run(ctl);
        }
    }
    return complain(EXIT_USAGE, "slurm %s: prolog, epilog, task-prolog or install is wanted",
                    ctl->operands[0]);
}

const struct verb verb_slurm = {
    .name = "slurm",
    .operands = "prolog|epilog|task-prolog|install",
    .summary = "what Slurm's hooks call",
    .help =
        "prolog and epilog tell this node's agent that the job of the environment begins or has\n"
        "ended; task-prolog prints what its tasks need. They end within hook_timeout and fail\n"
        "nothing unless on_failure = fail ([slurm] in ckptctl.conf).",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
