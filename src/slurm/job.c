/* SPDX-License-Identifier: Apache-2.0 */
#include "slurm/job.h"
#include "base/reason.h"

#include <stdio.h>
#include <string.h>

#define JOB_NUMBER_MAX ((1u << 26) - 1) /* MaxJobId */

struct reading {
    slurm_get *get;
    void *context;
    char *reason;
    uint64_t after; /* 0: none */
    char run[CKPT_RUN_NAME_MAX + 1];
};

/* The first of two names that is set: they differ between Prolog, task, and Slurm's versions. */
static const char *either(const struct reading *r, const char *first, const char *second)
{
    const char *value = r->get(first, r->context);
    return value != NULL && value[0] != '\0' ? value : r->get(second, r->context);
}

static bool read_number(const char *text, size_t bytes, uint64_t max, uint64_t *number_out)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9' || number > max) {
            return false;
        }
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    *number_out = number;
    return bytes > 0 && number <= max;
}

static bool begins(const char *text, size_t bytes, const char *word)
{
    return bytes >= strlen(word) && memcmp(text, word, strlen(word)) == 0;
}

static enum ckpt_status take_run(struct reading *r, const char *name, size_t bytes)
{
    if (bytes <= CKPT_RUN_NAME_MAX) {
        memcpy(r->run, name, bytes);
        r->run[bytes] = '\0';
    }
    if (bytes > CKPT_RUN_NAME_MAX || !name_is_valid(r->run, CKPT_RUN_NAME_MAX)) {
        return reason_refuse(
            r->reason, CKPT_ERR_NAME,
            "run name '%.*s': must be 1 to %d of A-Z a-z 0-9 . _ / -, with no empty, . or "
            ".. part",
            (int)(bytes < 80 ? bytes : 80), name, CKPT_RUN_NAME_MAX);
    }
    return CKPT_OK;
}

/* One of "run=NAME", "after=JOBID", "linger=SECONDS", "no-requeue". */
static enum ckpt_status take_mark(struct reading *r, struct slurm_job *job, const char *mark,
                                  size_t bytes)
{
    uint64_t seconds;
    if (begins(mark, bytes, "run=")) {
        return take_run(r, mark + 4, bytes - 4);
    }
    if (begins(mark, bytes, "after=") &&
        read_number(mark + 6, bytes - 6, JOB_NUMBER_MAX, &r->after) && r->after > 0) {
        return CKPT_OK;
    }
    if (begins(mark, bytes, "linger=") &&
        read_number(mark + 7, bytes - 7, CKPT_LINGER_MS_MAX / 1000, &seconds)) {
        job->has_linger = true;
        job->linger_ms = seconds * 1000;
        return CKPT_OK;
    }
    if (bytes == strlen("no-requeue") && begins(mark, bytes, "no-requeue")) {
        job->requeueable = false;
        return CKPT_OK;
    }
    return reason_refuse(
        r->reason, CKPT_ERR_INVALID,
        "'%.*s' in the job's comment: run=NAME, after=JOBID, linger=SECONDS or no-requeue "
        "may follow ckpt:",
        (int)(bytes < 80 ? bytes : 80), mark);
}

static enum ckpt_status take_comment(struct reading *r, struct slurm_job *job, const char *comment)
{
    static const char blanks[] = " \t\n;";
    for (const char *word = comment; *word != '\0';) {
        word += strspn(word, blanks);
        size_t bytes = strcspn(word, blanks);
        if (bytes == 4 && begins(word, bytes, "ckpt")) {
            job->is_marked = true;
        }
        if (begins(word, bytes, "ckpt:")) {
            job->is_marked = true;
            for (size_t at = 5; at < bytes;) {
                size_t length = strcspn(word + at, ", \t\n;");
                enum ckpt_status status = take_mark(r, job, word + at, length);
                if (status != CKPT_OK) {
                    return status;
                }
                at += length + 1;
            }
        }
        word += bytes;
    }
    return CKPT_OK;
}

/* What srun --ckpt and its companions left: SPANK_CKPT... in hooks. */
static enum ckpt_status take_spank(struct reading *r, struct slurm_job *job)
{
    const char *ckpt = r->get("SPANK_CKPT", r->context);
    const char *run = r->get("SPANK_CKPT_RUN", r->context);
    job->is_marked = job->is_marked || ckpt != NULL || run != NULL;
    return run != NULL ? take_run(r, run, strlen(run)) : CKPT_OK;
}

static enum ckpt_status name_job(struct reading *r, struct slurm_job *job)
{
    const char *leader = r->get("SLURM_HET_JOB_ID", r->context); /* in hooks alone */
    const char *id = either(r, "SLURM_JOB_ID", "SLURM_JOBID");
    const char *cluster = r->get("SLURM_CLUSTER_NAME", r->context);
    if (id == NULL) {
        return reason_refuse(r->reason, CKPT_ERR_NOT_FOUND,
                             "SLURM_JOB_ID is not set: this is for Slurm's hooks and jobs");
    }
    id = leader != NULL && leader[0] != '\0' ? leader : id;
    uint64_t number;
    if (!read_number(id, strlen(id), JOB_NUMBER_MAX, &number)) {
        return reason_refuse(r->reason, CKPT_ERR_INVALID, "%s is '%.40s': must be a number",
                             id == leader ? "SLURM_HET_JOB_ID" : "SLURM_JOB_ID", id);
    }
    if (cluster == NULL || !name_is_valid(cluster, 63) || strchr(cluster, '/') != NULL) {
        return reason_refuse(r->reason, CKPT_ERR_NAME,
                             "SLURM_CLUSTER_NAME is '%.60s': must be 1 to 63 of A-Z a-z 0-9 . _ -",
                             cluster == NULL ? "" : cluster);
    }
    (void)snprintf(job->name, sizeof(job->name), "%s/%s", cluster, id);
    return CKPT_OK;
}

static enum ckpt_status number_start(struct reading *r, struct slurm_job *job)
{
    const char *text = either(r, "SLURM_JOB_RESTART_COUNT", "SLURM_RESTART_COUNT");
    uint64_t restarts = 0;
    if (text != NULL && !read_number(text, strlen(text), INT32_MAX, &restarts)) {
        return reason_refuse(r->reason, CKPT_ERR_INVALID,
                             "SLURM_RESTART_COUNT is '%.40s': must be a number", text);
    }
    job->start = (uint32_t)restarts + 1;
    /* A hint: where it is none, hooks are told apart by their order on each node. */
    const char *started = r->get("SLURM_JOB_START_TIME", r->context);
    if (started == NULL || !read_number(started, strlen(started), UINT32_MAX, &job->started_s)) {
        job->started_s = 0;
    }
    return CKPT_OK;
}

static enum ckpt_status name_run(struct reading *r, struct slurm_job *job)
{
    uint64_t uid = 0;
    const char *user = either(r, "SLURM_JOB_UID", "SLURM_UID");
    if (user == NULL || !read_number(user, strlen(user), UINT32_MAX - 1, &uid)) {
        return reason_refuse(r->reason, CKPT_ERR_INVALID,
                             "SLURM_JOB_UID is '%.40s': must be a number",
                             user == NULL ? "" : user);
    }
    job->run.uid = (uint32_t)uid;
    if (r->run[0] != '\0') {
        memcpy(job->run.name, r->run, sizeof(r->run));
        return CKPT_OK;
    }
    const char *slash = strchr(job->name, '/');
    char id[16];
    (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)r->after);
    (void)snprintf(job->run.name, sizeof(job->run.name), "slurm/%.*s/%.10s",
                   (int)(slash - job->name), job->name, r->after != 0 ? id : slash + 1);
    return CKPT_OK;
}

enum ckpt_status slurm_job_read(slurm_get *get, void *context, struct slurm_job *job_out,
                                char *reason_out)
{
    struct reading r = {.get = get, .context = context, .reason = reason_out};
    struct slurm_job job = {.requeueable = true};
    const char *comment = get("SLURM_JOB_COMMENT", context);
    enum ckpt_status status = name_job(&r, &job);
    if (status == CKPT_OK && comment != NULL) {
        status = take_comment(&r, &job, comment);
    }
    if (status == CKPT_OK) {
        status = take_spank(&r, &job);
    }
    if (status == CKPT_OK) {
        status = number_start(&r, &job);
    }
    if (status == CKPT_OK) {
        status = name_run(&r, &job);
    }
    if (status == CKPT_OK) {
        *job_out = job;
    }
    return status;
}
