/* SPDX-License-Identifier: Apache-2.0 */
/* When the faults are over, what can succeed does: invariants 17 and 20.
 *
 * At that time the memories are read: for each run, the newest consistent checkpoint of which every
 * shard still has a good copy somewhere must be restored, or a newer one; and then a save must
 * become consistent. A seed without any fault must not see a single load fail.
 *
 * Not verified: seeds whose arenas are too small for everything at once (there a refusal is right,
 * and the line between right and lazy is not drawn here); how fast. */
#include <inttypes.h>

#include "hosts.h"
#include "judge.h"

bool judge_is_whole(struct sim *sim, const struct commit *commit)
{
    for (uint32_t rank = 0; rank < commit->world; rank++) {
        if (judge_good_domains(sim, commit, rank, UINT32_MAX, UINT32_MAX, false) == 0) {
            return false;
        }
    }
    return true;
}

void judge_faults_over(struct sim *sim)
{
    struct judge *judge = sim->judge;
    for (uint32_t i = 0; i < judge->commit_count; i++) {
        const struct commit *commit = &judge->commits[i];
        if (commit->retired || commit->quarantined || sim->mix.arena == ARENA_TIGHT ||
            !judge_is_whole(sim, commit)) {
            continue;
        }
        if (!judge->must_restore[commit->run] ||
            commit->step > judge->must_restore_step[commit->run]) {
            judge->must_restore[commit->run] = true;
            judge->must_restore_step[commit->run] = commit->step;
        }
    }
    for (uint32_t run = 0; run < sim->mix.runs; run++) {
        sim->stats.live_judged += judge->must_restore[run];
        sim_trace(sim, "run %u must restore %d step %" PRIu64, run, judge->must_restore[run],
                  judge->must_restore_step[run]);
    }
}

void judge_restored(struct sim *sim, struct sim_job *job, enum ckpt_status status, uint64_t step)
{
    struct judge *judge = sim->judge;
    if (sim->mix.clean && status != CKPT_OK &&
        !(status == CKPT_ERR_NO_CHECKPOINT && !judge_newest(sim, job->run))) {
        sim_violation(sim, "a load of run %u ends in %s without any fault", job->run,
                      ckpt_status_name(status));
    }
    judge_fell_back(sim, job, status, step);
    if (!sim->faults_over || status != CKPT_OK) {
        return;
    }
    if (judge->must_restore[job->run] && step < judge->must_restore_step[job->run]) {
        sim_violation(sim, "run %u restores step %" PRIu64 ", and step %" PRIu64 " was whole",
                      job->run, step, judge->must_restore_step[job->run]);
    }
    judge->restored[job->run] = true;
}

static bool may_save(struct sim *sim, uint32_t run)
{
    return sim->mix.arena != ARENA_TIGHT && sim->jobs[run].copies <= sim->mix.domains;
}

bool judge_is_content(struct sim *sim)
{
    for (uint32_t run = 0; run < sim->mix.runs; run++) {
        if (!sim->judge->restored[run] ||
            (sim->judge->saved[run] < sim->mix.saves_after && may_save(sim, run))) {
            return false;
        }
    }
    return true;
}

void judge_end(struct sim *sim)
{
    for (uint32_t run = 0; run < sim->mix.runs; run++) {
        if (sim->judge->must_restore[run] && !sim->judge->restored[run]) {
            sim_violation(sim, "run %u never restores, and step %" PRIu64 " was whole", run,
                          sim->judge->must_restore_step[run]);
        } else if (may_save(sim, run) && sim->judge->saved[run] < sim->mix.saves_after) {
            sim_violation(sim, "run %u saves %u checkpoints after the faults, and no more", run,
                          sim->judge->saved[run]);
        }
    }
}
