/* SPDX-License-Identifier: Apache-2.0 */
/* What the scheduler says of jobs on this node: kept, and told to the coordinator until it has
 * acknowledged just that. The teller gets its answer at once, whether a coordinator is there or
 * not: no hook waits for more than its own node.
 *
 * BEGIN -> END -> BEGIN (a requeue, with a higher attempt) -> ... ; FINAL ends it for good. An END
 * without a number is of the BEGIN before it on this node. An entry is forgotten when the
 * coordinator knows of the end and the linger is over, or when its place is needed. An agent that
 * was restarted knows of no job: a hook always says all of it. */
#include "agent/job.h"

#include <assert.h>
#include <string.h>

#include "agent/identity.h"
#include "agent/note.h"
#include "agent/run.h"
#include "agent/update.h"
#include "base/planted_bug.h"
#include "base/reason.h"

/* The coordinator releases a run when its linger is over; a while later nothing is left to say. */
#define FORGET_MS 60000

/* How long ago a hook may have spoken when it is heard: an agent that hung longer was ended. A
 * clock that is further off is another one. */
#define HEARD_LATE_MS 60000

/* That one user may name by himself: the table is everybody's. */
#define JOBS_OF_A_USER_MAX 16

static struct agent_job *find_job(const struct agent *a, const char *name)
{
    for (uint32_t i = 0; i < CKPT_JOBS_PER_NODE_MAX; i++) {
        if (a->jobs[i].used && strcmp(a->jobs[i].name, name) == 0) {
            return &a->jobs[i];
        }
    }
    return NULL;
}

static bool has_ended(const struct agent_job *job)
{
    assert(job->used);
    return job->verb != JOB_BEGIN;
}

/* A free entry; else the one that ended first, those that the coordinator knows of before others.
 * NULL: all are running. */
static struct agent_job *claim(struct agent *a)
{
    assert(a->update != NULL);
    struct agent_job *best = NULL;
    for (uint32_t i = 0; i < CKPT_JOBS_PER_NODE_MAX; i++) {
        struct agent_job *job = &a->jobs[i];
        if (!job->used) {
            return job;
        }
        if (has_ended(job) && (best == NULL || job->acked > best->acked ||
                               (job->acked == best->acked && job->ended_ms < best->ended_ms))) {
            best = job;
        }
    }
    return best;
}

static bool is_trusted(const struct agent *a, const struct rank_session *session)
{
    return session->uid == 0 || session->uid == a->config.own_uid;
}

static uint32_t count_jobs_of(const struct agent *a, uint32_t uid)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < CKPT_JOBS_PER_NODE_MAX; i++) {
        count += a->jobs[i].used && a->jobs[i].run.uid == uid;
    }
    return count;
}

static bool may_speak_of(const struct agent *a, const struct rank_session *session, uint32_t uid)
{
    return is_trusted(a, session) || session->uid == uid;
}

static enum ckpt_status make_job(struct agent *a, const struct rank_session *session,
                                 const struct message_job *told, struct agent_job **job_out,
                                 char *reason)
{
    assert(session->used);
    if (!agent_run_is_valid(&told->run)) {
        return reason_refuse(reason, CKPT_ERR_NOT_FOUND, "no job %s is known on node %s", told->job,
                             a->config.node);
    }
    if (!may_speak_of(a, session, told->run.uid)) {
        return reason_refuse(reason, CKPT_ERR_DENIED, "job %s is another user's", told->job);
    }
    if (!is_trusted(a, session) && count_jobs_of(a, session->uid) >= JOBS_OF_A_USER_MAX) {
        return reason_refuse(reason, CKPT_ERR_FULL,
                             "%d of your jobs are known on node %s: only hooks may name more",
                             JOBS_OF_A_USER_MAX, a->config.node);
    }
    struct agent_job *job = claim(a);
    if (job == NULL) {
        return reason_refuse(reason, CKPT_ERR_FULL,
                             "node %s knows %d running jobs already: end those that are over",
                             a->config.node, CKPT_JOBS_PER_NODE_MAX);
    }
    memset(job, 0, sizeof(*job));
    job->used = true;
    memcpy(job->name, told->job, sizeof(job->name));
    job->run = told->run;
    *job_out = job;
    return CKPT_OK;
}

/* Whether what is told is of the start that is known (0), of an earlier (< 0) or a later one (> 0).
 * Slurm numbers an Epilog wrongly, so that it says no number; when its start began, Prolog
 * and Epilog say alike where they say it at all. */
static int compare_start(const struct agent_job *job, const struct message_job *told)
{
    assert(job->used);
    if (told->attempt != 0 && told->attempt != job->attempt) {
        return told->attempt < job->attempt ? -1 : 1; /* 0: of what ended nobody knew it */
    }
    if (told->started_s != 0 && job->started_s != 0 && told->started_s != job->started_s) {
        return told->started_s < job->started_s ? -1 : 1;
    }
    return 0;
}

/* What is repeated changes nothing, and neither does what is said of a start that is over, or by a
 * hook that spoke before the one that was heard: connections have no order among each other. */
static bool is_news(const struct agent_job *job, const struct message_job *told)
{
    if (job->verb == 0) {
        return true;
    }
    if (told->verb == JOB_END && PLANTED_BUG(END_OF_ANY)) {
        return job->verb == JOB_BEGIN;
    }
    if (told->said_ms != 0 && told->said_ms < job->said_ms) {
        return false;
    }
    int order = compare_start(job, told);
    return order != 0 ? order > 0 : told->verb > job->verb;
}

static uint64_t spoken_ms(const struct agent *a, const struct message_job *told)
{
    assert(a->update != NULL);
    uint64_t now_ms = agent_node_clock_ms(a);
    bool is_late =
        told->said_ms != 0 && told->said_ms < now_ms && now_ms - told->said_ms <= HEARD_LATE_MS;
    return is_late ? told->said_ms : now_ms;
}

/* The end that was heard late is of what was there when it was said: the next start may be here. */
static void on_end(struct agent *a, struct agent_job *job, const struct message_job *told)
{
    assert(job->used);
    assert(told->verb != JOB_BEGIN);
    const struct run *run = agent_run_find(a, &job->run);
    job->ended_ms = spoken_ms(a, told);
    job->run_attempt = run != NULL ? agent_run_attempt_at(run, job->ended_ms) : 0;
}

static void on_news(struct agent *a, struct agent_job *job, const struct message_job *told)
{
    assert(job->used);
    bool is_later = job->verb == 0 || compare_start(job, told) > 0;
    if (is_later) {
        job->attempt = told->attempt;
        job->started_s = told->started_s;
        job->begin_known = false;
    }
    job->attempt = told->attempt != 0 ? told->attempt : job->attempt;
    job->started_s = told->started_s != 0 ? told->started_s : job->started_s;
    job->said_ms = told->said_ms < agent_node_clock_ms(a) ? told->said_ms : agent_node_clock_ms(a);
    if (told->verb == JOB_BEGIN) {
        job->begin_known = true;
        job->begun_ms = spoken_ms(a, told);
    } else if (is_later || !has_ended(job)) {
        on_end(a, job, told);
    }
    job->verb = told->verb;
    if (agent_run_is_valid(&told->run)) {
        job->run = told->run;
        job->linger_ms =
            told->linger_ms < CKPT_LINGER_MS_MAX ? told->linger_ms : CKPT_LINGER_MS_MAX;
        job->requeueable = told->requeueable;
    }
    job->acked = false;
    job->due_ms = a->now_ms;
    struct shard_key shard = {.run = job->run, .attempt = job->attempt};
    agent_note(a,
               told->verb == JOB_BEGIN ? EVENT_job_begun
               : told->verb == JOB_END ? EVENT_job_ended
                                       : EVENT_job_final,
               &shard, "job %.127s", job->name);
}

/* What a hook says is taken as it is. A task that asks is of a start that has begun, whether a
 * Prolog told of that or not: slurmd leaves one out at times, when a job comes back soon. Which run
 * that is, the job's comment says, which tasks do not know. */
static void on_word(struct agent *a, struct agent_job *job, const struct message_job *told)
{
    assert(job != NULL && job->used);
    struct message_job word = *told;
    if (told->verb == JOB_SHOW) {
        word.verb = JOB_BEGIN;
        word.run.name[0] = '\0';
    }
    bool is_of_later = compare_start(job, &word) > 0;
    if (is_news(job, &word) && (told->verb != JOB_SHOW || is_of_later)) {
        on_news(a, job, &word);
    }
}

static enum ckpt_status on_told(struct agent *a, const struct rank_session *session,
                                const struct message_job *told, struct agent_job **job_out,
                                char *reason)
{
    assert(session->used);
    struct agent_job *job = find_job(a, told->job);
    if (told->verb == JOB_SHOW && (job == NULL || !may_speak_of(a, session, job->run.uid))) {
        return reason_refuse(reason, CKPT_ERR_NOT_FOUND, "no job %s of yours is known on node %s",
                             told->job, a->config.node);
    }
    if (job != NULL && !may_speak_of(a, session, job->run.uid)) {
        return reason_refuse(reason, CKPT_ERR_DENIED, "job %s is another user's", told->job);
    }
    bool names_run = agent_run_is_valid(&told->run);
    if (job != NULL && names_run && told->verb == JOB_BEGIN && told->attempt <= job->attempt &&
        !run_key_equal(&job->run, &told->run)) {
        return reason_refuse(reason, CKPT_ERR_INVALID,
                             "job %s is of run %.127s since its attempt %u", told->job,
                             job->run.name, job->attempt);
    }
    if (job != NULL && names_run && !may_speak_of(a, session, told->run.uid)) {
        return reason_refuse(reason, CKPT_ERR_DENIED, "run %.127s is another user's",
                             told->run.name);
    }
    enum ckpt_status status = CKPT_OK;
    if (job == NULL) {
        status = make_job(a, session, told, &job, reason);
    }
    if (status == CKPT_OK) {
        *job_out = job;
        on_word(a, job, told);
    }
    return status;
}

void agent_job_told(struct agent *a, uint32_t index, const struct message_job *told)
{
    assert(index < a->session_count);
    assert(a->sessions[index].used);
    const struct rank_session *session = &a->sessions[index];
    char reason[CKPT_REASON_MAX + 1] = "";
    struct agent_job *job = NULL;
    enum ckpt_status status = CKPT_ERR_NAME;
    if (name_is_valid(told->job, CKPT_JOB_NAME_MAX)) {
        status = on_told(a, session, told, &job, reason);
    } else {
        reason_set(reason, "a job's name must be 1 to %d of A-Z a-z 0-9 . _ / -",
                   CKPT_JOB_NAME_MAX);
    }
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_RANK, session->link, MESSAGE_JOB_TOLD);
    assert(out != NULL);
    struct message_job_told *answer = &out->message.job_told;
    answer->status = status;
    memcpy(answer->reason, reason, strlen(reason) + 1);
    memcpy(answer->job, told->job, sizeof(answer->job));
    memcpy(answer->node, a->config.node, sizeof(answer->node));
    memcpy(answer->domain, a->config.domain, sizeof(answer->domain));
    answer->verb = told->verb;
    if (job != NULL) {
        answer->verb = job->verb;
        answer->run = job->run;
        answer->attempt = job->attempt;
    }
}

void agent_job_ack(struct agent *a, const struct message_job_ack *ack)
{
    struct agent_job *job =
        agent_text_ends(ack->job, CKPT_JOB_NAME_MAX) ? find_job(a, ack->job) : NULL;
    if (job != NULL && job->verb == ack->verb && job->attempt == ack->attempt) {
        job->acked = true;
    }
}

void agent_jobs_resend(struct agent *a)
{
    assert(a->coordinator.state == LINK_JOINED);
    for (uint32_t i = 0; i < CKPT_JOBS_PER_NODE_MAX; i++) {
        a->jobs[i].acked = false;
        a->jobs[i].due_ms = a->now_ms;
    }
}

static void send_job_report(struct agent *a, struct agent_job *job)
{
    assert(job->used);
    assert(!job->acked);
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_JOB_REPORT);
    assert(out != NULL);
    struct message_job *said = &out->message.job;
    said->verb = job->verb;
    memcpy(said->job, job->name, sizeof(said->job));
    said->run = job->run;
    said->attempt = job->attempt;
    said->linger_ms = job->linger_ms;
    said->ended_ms_ago = has_ended(job) ? agent_node_clock_ms(a) - job->ended_ms : 0;
    said->requeueable = job->requeueable;
    said->begin_known = job->begin_known;
    said->run_attempt = has_ended(job) ? job->run_attempt : 0;
    said->started_s = job->started_s;
    said->begun_ms_ago = job->begin_known ? agent_node_clock_ms(a) - job->begun_ms : 0;
    job->due_ms = a->now_ms + a->config.resend_ms;
}

void agent_jobs_pump(struct agent *a)
{
    assert(a->update != NULL);
    for (uint32_t i = 0; i < CKPT_JOBS_PER_NODE_MAX; i++) {
        struct agent_job *job = &a->jobs[i];
        if (!job->used) {
            continue;
        }
        if (has_ended(job) && job->acked &&
            agent_node_clock_ms(a) >= job->ended_ms + job->linger_ms + FORGET_MS) {
            job->used = false;
            continue;
        }
        if (job->acked || a->coordinator.state != LINK_JOINED) {
            continue;
        }
        if (job->due_ms <= a->now_ms) {
            if (!agent_update_has_room(a)) {
                return;
            }
            send_job_report(a, job);
        }
        agent_update_deadline(a, job->due_ms);
    }
}
