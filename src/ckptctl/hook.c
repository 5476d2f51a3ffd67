/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/hook.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/reason.h"
#include "client/agent_link.h"

#define SOCKET_DEFAULT "/run/ckptd/ckptd.sock"

/* What the alarm's handler may touch. */
static char bound_line[256];
static size_t bound_bytes;
static int bound_code;

static void on_alarm(int number)
{
    (void)number;
    ssize_t written = write(STDERR_FILENO, bound_line, bound_bytes);
    (void)written;
    _exit(bound_code);
}

void hook_bound(const char *what, uint32_t timeout_ms, int code)
{
    int bytes = snprintf(bound_line, sizeof(bound_line),
                         "ckptd: %.60s: not within %u ms: does ckptd hang on this node? The job "
                         "goes on without it\n",
                         what, timeout_ms);
    bound_bytes = bytes > 0 ? (size_t)bytes : 0;
    bound_code = code;
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval timer = {.it_value = {.tv_sec = (time_t)(timeout_ms / 1000),
                                           .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000}};
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    (void)sigaction(SIGALRM, &action, NULL);
    (void)sigprocmask(SIG_UNBLOCK, &alarms, NULL);
    (void)setitimer(ITIMER_REAL, &timer, NULL);
}

const char *hook_socket(const struct ctl *ctl)
{
    const char *variable = getenv("CKPT_SOCKET");
    if (ctl->agent_socket != NULL) {
        return ctl->agent_socket;
    }
    return variable != NULL && variable[0] != '\0' ? variable : SOCKET_DEFAULT;
}

static enum ckpt_status exchange(struct agent_link *link, const struct ctl *ctl,
                                 const struct message_job *told, struct deadline deadline,
                                 struct message_job_told *answer_out, char *reason_out)
{
    struct message message = {.type = MESSAGE_JOB, .job = *told};
    enum ckpt_status status = agent_link_connect(link, hook_socket(ctl), deadline, reason_out);
    if (status == CKPT_OK) {
        status = agent_link_send(link, &message, deadline, reason_out);
    }
    if (status == CKPT_OK) {
        status = agent_link_receive(link, deadline, &message, reason_out);
    }
    if (status != CKPT_OK) {
        return status;
    }
    if (message.type == MESSAGE_RANK_OPENED && message.rank_opened.status != CKPT_OK) {
        memcpy(reason_out, message.rank_opened.reason, CKPT_REASON_MAX + 1);
        return message.rank_opened.status;
    }
    if (message.type != MESSAGE_JOB_TOLD) {
        return reason_refuse(
            reason_out, CKPT_ERR_PROTOCOL,
            "what answers at %.100s is another version of ckptd: install the same one",
            hook_socket(ctl));
    }
    if (message.job_told.status != CKPT_OK) {
        memcpy(reason_out, message.job_told.reason, CKPT_REASON_MAX + 1);
        return message.job_told.status;
    }
    *answer_out = message.job_told;
    return CKPT_OK;
}

enum ckpt_status hook_tell(const struct ctl *ctl, const struct message_job *told,
                           uint32_t timeout_ms, struct message_job_told *answer_out,
                           char *reason_out)
{
    static struct agent_link link;
    struct deadline deadline = deadline_after_ms(timeout_ms);
    enum ckpt_status status = agent_link_init(&link, reason_out);
    if (status != CKPT_OK) {
        return status;
    }
    status = exchange(&link, ctl, told, deadline, answer_out, reason_out);
    agent_link_fini(&link);
    return status;
}

static const char *get(const char *name, void *context)
{
    (void)context;
    return getenv(name);
}

enum ckpt_status hook_read_job(const struct ctl *ctl, struct slurm_job *job_out, char *reason_out)
{
    enum ckpt_status status = slurm_job_read(get, NULL, job_out, reason_out);
    if (status == CKPT_OK && !job_out->has_linger) {
        job_out->linger_ms = ctl->hook.linger_ms;
    }
    return status;
}

void hook_fill(const struct slurm_job *job, enum job_verb verb, struct message_job *told_out)
{
    memset(told_out, 0, sizeof(*told_out));
    told_out->verb = verb;
    memcpy(told_out->job, job->name, sizeof(told_out->job));
    told_out->run = job->run;
    told_out->attempt = job->start;
    told_out->linger_ms = job->linger_ms;
    told_out->requeueable = job->requeueable;
    told_out->started_s = job->started_s;
    told_out->said_ms = clock_now_ms();
}
