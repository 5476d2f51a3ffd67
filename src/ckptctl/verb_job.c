/* SPDX-License-Identifier: Apache-2.0 */
/* Tells this node's agent of a job, or asks it. Within a Slurm job the job is known. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ckptctl/hook.h"
#include "ckptctl/options.h"

enum key { KEY_ATTEMPT, KEY_FINAL, KEY_TIMEOUT };

static const struct config_key keys[] = {
    [KEY_ATTEMPT] = OPTION_ATTEMPT("begin: which start of the job this is"),
    [KEY_FINAL] = OPTION_SWITCH("final", "end: nothing of the run is wanted any more"),
    [KEY_TIMEOUT] = OPTION_TIMEOUT(NULL, "of the agent's answer (default: [slurm] hook_timeout)"),
};

static const char *const states[] = {
    [JOB_BEGIN] = "running", [JOB_END] = "ended", [JOB_FINAL] = "final"};

static bool read_verb(const struct ctl *ctl, enum job_verb *verb_out)
{
    const char *word = ctl->operands[0];
    if (strcmp(word, "begin") == 0) {
        *verb_out = JOB_BEGIN;
    } else if (strcmp(word, "end") == 0) {
        *verb_out = option_flag(ctl, KEY_FINAL) ? JOB_FINAL : JOB_END;
    } else if (strcmp(word, "show") == 0) {
        *verb_out = JOB_SHOW;
    } else {
        complain(EXIT_USAGE, "job %s: begin, end or show is wanted", word);
        return false;
    }
    if (option_flag(ctl, KEY_FINAL) && *verb_out != JOB_FINAL) {
        complain(EXIT_USAGE, "--final goes with job end");
        return false;
    }
    return true;
}

/* From the environment where no job is named. */
static bool read_job(const struct ctl *ctl, enum job_verb verb, struct message_job *told)
{
    char reason[CKPT_REASON_MAX + 1];
    struct slurm_job job = {.requeueable = true};
    if (ctl->operand_count == 1) {
        if (hook_read_job(ctl, &job, reason) != CKPT_OK) {
            complain(EXIT_USAGE, "no JOB is named, and %s", reason);
            return false;
        }
        hook_fill(&job, verb, told);
        /* A task knows its job's name, the agent knows its run: the comment is not a task's. */
        told->run.name[0] = '\0';
        told->attempt = 0;
        return true;
    }
    if (!name_is_valid(ctl->operands[1], CKPT_JOB_NAME_MAX)) {
        complain(EXIT_USAGE, "'%s' is no name of a job: 1 to %d of A-Z a-z 0-9 . _ / -",
                 ctl->operands[1], CKPT_JOB_NAME_MAX);
        return false;
    }
    job.linger_ms = ctl->hook.linger_ms;
    hook_fill(&job, verb, told);
    snprintf(told->job, sizeof(told->job), "%s", ctl->operands[1]);
    told->run.uid = ctl->user != CKPT_UID_ANY ? ctl->user : (uint32_t)getuid();
    told->attempt = (uint32_t)option_number(ctl, KEY_ATTEMPT);
    if (ctl->operand_count == 3) {
        struct message_admin_ask named = {.verb = ADMIN_RUNS}; /* its run alone is used */
        if (!name_run(ctl, ctl->operands[2], &named)) {
            return false;
        }
        memcpy(told->run.name, named.run.name, sizeof(told->run.name));
    }
    if (verb == JOB_BEGIN && (told->run.name[0] == '\0' || told->attempt == 0)) {
        complain(EXIT_USAGE, "job begin JOB needs a RUN and --attempt");
        return false;
    }
    return true;
}

static void print(const struct ctl *ctl, const struct message_job_told *told)
{
    if (ctl->json) {
        json_t *document =
            json_pack("{s:s,s:s,s:s,s:I,s:I,s:s,s:s,s:s}", "job", told->job, "state",
                      states[told->verb], "run", told->run.name, "uid", (json_int_t)told->run.uid,
                      "attempt", (json_int_t)told->attempt, "node", told->node, "domain",
                      told->domain, "socket", hook_socket(ctl));
        json_dumpf(document, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(document);
        return;
    }
    printf("job=%s state=%s run=%s uid=%" PRIu32 " attempt=%" PRIu32 " node=%s domain=%s\n",
           told->job, states[told->verb], told->run.name, told->run.uid, told->attempt, told->node,
           told->domain);
}

static enum exit_code run(struct ctl *ctl)
{
    enum job_verb verb;
    struct message_job told;
    struct message_job_told answer;
    char reason[CKPT_REASON_MAX + 1] = "";
    if (!read_verb(ctl, &verb) || !read_job(ctl, verb, &told)) {
        return EXIT_USAGE;
    }
    uint32_t timeout_ms = option_is_set(ctl, KEY_TIMEOUT)
                              ? (uint32_t)option_number(ctl, KEY_TIMEOUT)
                              : ctl->hook.timeout_ms;
    enum ckpt_status status = hook_tell(ctl, &told, timeout_ms, &answer, reason);
    if (status != CKPT_OK) {
        return complain(status == CKPT_ERR_NO_AGENT ? EXIT_NOBODY : EXIT_NO, "%s", reason);
    }
    print(ctl, &answer);
    return EXIT_DONE;
}

const struct verb verb_job = {
    .name = "job",
    .operands = "begin|end|show [JOB [RUN]]",
    .summary = "tell this node's agent of a job, or ask it",
    .help = "A scheduler's hooks tell each node's agent that a job begins or has ended. From its "
            "end on\n"
            "the run lingers: its newest checkpoint is kept for a while, so that the job can be "
            "started\n"
            "again. Without JOB, the Slurm job that this is called in.\n"
            "\n"
            "  begin JOB RUN --attempt=N   the Nth start of JOB; repeats change nothing\n"
            "  end [JOB]                   it may come back: the run lingers\n"
            "  end [JOB] --final           it will not: all that the run has is given up now\n"
            "  show [JOB]                  run, attempt, failure domain\n"
            "\n"
            "A user may speak of his own jobs, root and the agent's user of everybody's (--user).",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .operands_min = 1,
    .operands_max = 3,
    .run = run,
};
