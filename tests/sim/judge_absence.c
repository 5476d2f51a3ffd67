/* SPDX-License-Identifier: Apache-2.0 */
/* Absence is no evidence, and who stood still himself suspects himself first: invariants 23
 * and 25.
 *
 *  - No load ends with less than what was consistent when it began, while every shard of that has
 *    a good copy in some memory, whether its node is up or down.
 *  - Where processes only stop and start, nobody is lost while all are there.
 *
 * Not verified: that a load which ends in an error waited as long as it could; the last where the
 * network fails too, for what a coordinator can have heard is not drawn here. */
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

/* Whether the node may count as gone: away for so long, or so lately that the coordinator, or the
 * one that stood still or was dead meanwhile, cannot have heard of its return. */
static bool has_gone(struct sim *sim, uint32_t index, uint32_t node, uint64_t for_ms)
{
    const struct sim_host *host = &sim->nodes[node].host;
    const struct sim_host *ruler = &sim->rulers[index].host;
    if (host->is_away) {
        return sim->now_ms - host->away_from_ms >= for_ms;
    }
    bool is_unheard = sim->now_ms < host->away_until_ms + SIM_HEARD_MS ||
                      (sim->now_ms < ruler->away_until_ms + SIM_HEARD_MS &&
                       host->away_until_ms + SIM_HEARD_MS > ruler->away_from_ms);
    return is_unheard && host->away_until_ms - host->away_from_ms >= for_ms;
}

void judge_member_lost(struct sim *sim, uint32_t ruler)
{
    bool was_away = false;
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        was_away = was_away || has_gone(sim, ruler, node, 0);
    }
    if (sim->mix.only_restarts && !was_away) {
        sim_violation(sim, "an agent is lost, and all of them are there");
    }
}
