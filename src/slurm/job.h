/* SPDX-License-Identifier: Apache-2.0 */
/* Which run a Slurm job is, and which start of the job: from the environment that slurmd gives to
 * Prolog and Epilog, and that a task has. Pure; any thread.
 *
 *   run      what the job names, "ckpt:run=NAME" in its comment or srun --ckpt-run=NAME; else
 *            slurm/CLUSTER/JOBID, or with "after=JOBID" that of an earlier job
 *   start    1 + how often the job was requeued, by the word of Prolog and tasks. Of an Epilog it
 *            is none: Slurm has counted on by then when the job is requeued by hand or preempted.
 *            The run's attempt is not numbered here: the coordinator gives it out, to each srun
 *   started  when this start began, which Prolog and Epilog say alike (24.11; 22.05 does not)
 *
 * A heterogeneous job is one job, that of its leader: its tasks know no other number. An array's
 * task is a job of its own.
 *
 * The comment may have one word that begins with "ckpt": "ckpt" alone, or "ckpt:" and of these,
 * with commas: run=NAME, after=JOBID, linger=SECONDS, no-requeue. What srun --ckpt says goes
 * first. */
#ifndef CKPT_SLURM_JOB_H
#define CKPT_SLURM_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/message.h"

struct slurm_job {
    char name[CKPT_JOB_NAME_MAX + 1]; /* CLUSTER/JOBID */
    struct run_key run;
    uint32_t start;
    uint64_t started_s; /* since 1970; 0: this Slurm does not say */
    bool requeueable; /* unless it says no-requeue */
    bool is_marked;   /* it has "ckpt" in its comment, or was started with srun --ckpt */
    bool has_linger;
    uint64_t linger_ms;
};

/* A variable of the environment by name; NULL: not set. */
typedef const char *slurm_get(const char *name, void *context);

/* ERRORS, with one line in reason_out (CKPT_REASON_MAX + 1 bytes):
 * - CKPT_ERR_NOT_FOUND - SLURM_JOB_ID is missing: not called by Slurm
 * - CKPT_ERR_INVALID - a number that is none, a word of the comment that is unknown
 * - CKPT_ERR_NAME - a cluster's or run's name has other characters than A-Z a-z 0-9 . _ / - */
enum ckpt_status slurm_job_read(slurm_get *get, void *context, struct slurm_job *job_out,
                                char *reason_out);

#endif
