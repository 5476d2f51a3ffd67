/* SPDX-License-Identifier: Apache-2.0 */
/* Absence is no evidence: invariant 23.
 *
 * No load ends with less than what was consistent when it began, while every shard of that has a
 * good copy in some memory, whether its node is up or down.
 *
 * Not verified: that a load which ends in an error waited as long as it could. */
#include <inttypes.h>

#include "hosts.h"
#include "judge.h"

void judge_fell_back(struct sim *sim, const struct sim_job *job, enum ckpt_status status,
                     uint64_t step)
{
    bool is_less = status == CKPT_ERR_NO_CHECKPOINT ||
                   (status == CKPT_OK && job->had_newest && step < job->newest_step);
    if (!job->had_newest || !is_less || sim->mix.liar >= 0) {
        return;
    }
    const struct commit *newest =
        judge_commit_find(sim, job->run, job->newest_attempt, job->newest_step);
    if (newest && !newest->retired && !newest->quarantined && judge_is_whole(sim, newest)) {
        sim_violation(sim,
                      "run %u attempt %u load %u ends in %s step %" PRIu64 ", and step %" PRIu64
                      " was consistent and has all its shards",
                      job->run, job->attempt, job->load, ckpt_status_name(status),
                      status == CKPT_OK ? step : 0, job->newest_step);
    }
}
