/* SPDX-License-Identifier: Apache-2.0 */
/* What the scheduler says of jobs, as agents report it, and what follows from an end. */
#ifndef CKPT_COORDINATOR_JOB_H
#define CKPT_COORDINATOR_JOB_H

#include "coordinator/state.h"

/* An agent says what it was told of a job. */
void coordinator_on_job_report(struct coordinator *c, struct member *m,
                               const struct message_job *told);
/* Gives up consistent and open checkpoints; the newest consistent one only when all is true, and
 * then on record, so that late words of its copies do not bring it back. False: the rest waits for
 * the next round. */
bool coordinator_run_release(struct coordinator *c, struct run *run, bool all, const char *why);
/* Runs whose job has ended: which live, which are released, which give up memory. */
void coordinator_jobs_tick(struct coordinator *c);

#endif
