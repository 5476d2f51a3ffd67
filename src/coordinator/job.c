/* SPDX-License-Identifier: Apache-2.0 */
/* What the scheduler says of jobs, as agents report it, and what follows from an end.
 *
 *   running --END--> lingering --BEGIN of a later start--> running
 *                        |
 *                        '--FINAL, the linger is over--> released: nothing of the run is kept
 *
 * Under memory pressure a lingering run gives up what is older than its newest consistent
 * checkpoint, and all of it only when its job cannot be requeued: the last checkpoint of a job that
 * can come back is kept for its whole linger, whatever else waits for room.
 *
 * A commit, a load or a rank that opens the run after the end puts the end off, and a run with
 * connected ranks does not linger: an epilog on one node does not mean that no rank lives on
 * another. Nothing here is durable but the release: agents tell it all again to the next life of
 * the coordinator, and a run that nobody speaks of is kept. */
#include "coordinator/job.h"

#include <assert.h>
#include <string.h>

#include "coordinator/checkpoint.h"
#include "coordinator/copy.h"
#include "coordinator/linger.h"
#include "coordinator/note.h"
#include "coordinator/restore_state.h"
#include "coordinator/run.h"
#include "coordinator/seat.h"
#include "coordinator/update.h"

#define RELIEF_LOOKS 64 /* members that one round looks at for short memory */

static struct about about_newest(const struct run *run)
{
    return about_run(run, run->latest);
}

static uint64_t ago(const struct coordinator *c, uint64_t ms)
{
    return c->now_ms - (ms < c->now_ms ? ms : c->now_ms);
}

/* Jobs that follow each other in a run are told apart by when they began. An end of a job whose
 * beginning the teller was not told of says nothing of the one that runs. */
static int compare_job(const struct coordinator *c, const struct run_job *job,
                       const struct message_job *told)
{
    uint64_t ended_ms = ago(c, told->ended_ms_ago);
    uint64_t begun_ms = told->begin_known ? ago(c, told->begun_ms_ago) : ended_ms;
    bool is_earlier = told->started_s != 0 && told->started_s < job->started_s;
    if (told->verb == JOB_END && !job->ended && (is_earlier || !told->begin_known)) {
        return -1;
    }
    return begun_ms < (job->begin_known ? job->begun_ms : job->ended_ms) ? -1 : 1;
}

/* Whether what is told is of the start of a job that is known already (0), of an earlier one (< 0)
 * or of a later one (> 0). Starts of one job are numbered, where their scheduler numbers them
 * right: Slurm runs the Epilog of a start under the number of the next, so that an Epilog says
 * none, and is the end of what the agent was told had begun. An agent that was not told knows when
 * it ended, and mostly when it began by the scheduler's own word. */
static int compare_start(const struct coordinator *c, const struct run_job *job,
                         const struct message_job *told)
{
    if (job->name[0] == '\0') {
        return 1;
    }
    if (strcmp(job->name, told->job) != 0) {
        return compare_job(c, job, told);
    }
    if (told->attempt != 0 && job->start != 0) {
        return told->attempt == job->start ? 0 : told->attempt < job->start ? -1 : 1;
    }
    /* Nobody knew the number of what ended, and its time is that of a message, which may have
     * waited. What begins is later then: a run is kept for too long rather than too short. */
    if (told->verb == JOB_BEGIN) {
        bool is_same = told->started_s != 0 && told->started_s == job->started_s;
        return job->ended && !is_same ? 1 : 0;
    }
    if (told->started_s != 0 && job->started_s != 0) {
        return told->started_s == job->started_s ? 0 : told->started_s < job->started_s ? -1 : 1;
    }
    /* Who was not told of its beginning may mean an earlier start: its word may have waited for as
     * long as a silent connection lasts, while the beginning of this one overtook it. */
    uint64_t waited_ms = told->begin_known ? 0 : c->config.lease_ms;
    return job->begin_known && ago(c, told->ended_ms_ago) < job->begun_ms + waited_ms ? -1 : 0;
}

/* Of the same start: what others did not know of it. */
static void complete_start(const struct coordinator *c, struct run_job *job,
                           const struct message_job *told)
{
    job->start = job->start != 0 ? job->start : told->attempt;
    job->started_s = job->started_s != 0 ? job->started_s : told->started_s;
    if (told->begin_known && !job->begin_known) {
        job->begin_known = true;
        job->begun_ms = ago(c, told->begun_ms_ago);
    }
}

static void take_start(struct coordinator *c, struct run *run, const struct message_job *told)
{
    assert(run->used);
    coordinator_run_set_ended(c, run, false);
    run->job = (struct run_job){.start = told->attempt,
                                .started_s = told->started_s,
                                .begin_known = told->begin_known,
                                .begun_ms = ago(c, told->begun_ms_ago)};
    memcpy(run->job.name, told->job, sizeof run->job.name);
}

static void on_begin(struct coordinator *c, struct run *run, const struct message_job *told)
{
    assert(run->used);
    int order = compare_start(c, &run->job, told);
    if (order == 0) {
        complete_start(c, &run->job, told);
    }
    if (order <= 0) {
        return;
    }
    bool lingered = run->job.ended;
    take_start(c, run, told);
    if (lingered) {
        coordinator_note(c, EVENT_job_begun, about_newest(run),
                         "job %.127s: the run lingers no longer", told->job);
    }
}

static void on_end(struct coordinator *c, struct run *run, const struct message_job *told)
{
    assert(run->used);
    int order = compare_start(c, &run->job, told);
    uint64_t ended_ms = ago(c, told->ended_ms_ago);
    bool is_past = told->run_attempt != 0 && told->run_attempt < run->attempt;
    /* It ended before this coordinator's life, of which start nobody says: one that began since may
     * be forgotten, and in doubt a run is kept. */
    bool is_unclear = told->run_attempt == 0 && ended_ms < c->started_ms;
    if (order < 0 || is_past || is_unclear || ended_ms < run->attempt_ms) {
        return; /* a later start has begun */
    }
    if (run->first_checkpoint == NONE) {
        return; /* nothing lingers: it was released already, by another node's word */
    }
    bool is_first = !run->job.ended || order > 0;
    bool is_final = told->verb == JOB_FINAL;
    uint64_t linger_ms =
        told->linger_ms < CKPT_LINGER_MS_MAX ? told->linger_ms : CKPT_LINGER_MS_MAX;
    if (!is_first && run->job.linger_ms == 0) {
        return; /* it is final already: other nodes' epilogs say no more than that */
    }
    if (order > 0) {
        take_start(c, run, told);
    } else {
        complete_start(c, &run->job, told);
    }
    coordinator_run_set_ended(c, run, true);
    run->job.attempt = run->attempt;
    run->job.ended_ms = ended_ms > run->job.ended_ms || is_first ? ended_ms : run->job.ended_ms;
    run->job.linger_ms = is_final ? 0 : linger_ms;
    run->job.requeueable = told->requeueable && !is_final;
    if (is_first || is_final) {
        coordinator_note(c, is_final ? EVENT_job_final : EVENT_job_ended, about_newest(run),
                         "job %.127s: kept for %llu s more", told->job,
                         (unsigned long long)(run->job.linger_ms / 1000));
    }
}

void coordinator_on_job_report(struct coordinator *c, struct member *m,
                               const struct message_job *told)
{
    assert(m->state != MEMBER_FREE);
    struct message *ack = coordinator_update_message(c, m->link, MESSAGE_JOB_ACK);
    ack->job_ack.verb = told->verb;
    ack->job_ack.attempt = told->attempt;
    memcpy(ack->job_ack.job, told->job, sizeof ack->job_ack.job);
    struct run *run = coordinator_run_find(c, &told->run);
    if (run == NULL) {
        return; /* it has never saved */
    }
    if (told->verb == JOB_BEGIN) {
        on_begin(c, run, told);
    } else if (told->verb == JOB_END || told->verb == JOB_FINAL) {
        on_end(c, run, told);
    }
}

/* A run with ranks has not ended yet; one that was opened by a later attempt than ended has begun
 * again. */
static void look_whether_it_lives(struct coordinator *c, struct run *run)
{
    assert(run->used);
    if (!coordinator_run_has_live_seat(c, run)) {
        return;
    }
    run->active_ms = c->now_ms;
    if (run->attempt > run->job.attempt) {
        coordinator_note(c, EVENT_job_begun, about_newest(run),
                         "attempt %u has ranks: the run lingers no longer", run->attempt);
        coordinator_run_set_ended(c, run, false);
    }
}

static bool is_restoring(const struct run *run)
{
    return run->restore.state == RESTORE_CHOOSING || run->restore.state == RESTORE_PULLING;
}

bool coordinator_run_release(struct coordinator *c, struct run *run, bool all, const char *why)
{
    assert(run->used);
    bool kept = all;
    for (uint32_t i = run->first_checkpoint; i != NONE;) {
        struct checkpoint *k = &c->checkpoints[i];
        i = k->next_in_run;
        if (c->update->record_count + 2 > COORDINATOR_RECORDS_MAX ||
            !coordinator_update_has_room(c, 2)) {
            c->update->again = true;
            return false;
        }
        if (k->state == CHECKPOINT_CONSISTENT && !kept) {
            kept = true;
        } else if (coordinator_restore_uses(c, k)) {
            return false; /* ranks may still ask for their verdict of it */
        } else if (coordinator_checkpoint_is_committed_now(c, k)) {
            c->update->again = true;
            return false;
        } else if (checkpoint_is_committed(k)) {
            coordinator_checkpoint_withdraw(c, k);
            coordinator_checkpoint_retire(c, k, why);
        } else if (checkpoint_is_open(k) && all) {
            coordinator_checkpoint_withdraw(c, k);
            coordinator_checkpoint_abort(c, k, CKPT_ERR_RETIRED, "%s", why);
        }
    }
    return true;
}

static void release_when_due(struct coordinator *c, struct run *run)
{
    assert(run->used);
    bool may_be_news = run->job.linger_ms > 0 && /* other agents may know of a later start */
                       c->now_ms < c->started_ms + c->config.restore_settle_ms;
    if (!coordinator_run_lingers(c, run) || c->now_ms < coordinator_run_linger_until_ms(run) ||
        is_restoring(run) || may_be_news) {
        return;
    }
    if (coordinator_run_release(c, run, true,
                                run->job.linger_ms == 0 ? "its job is over for good"
                                                        : "its linger is over")) {
        coordinator_note(c, EVENT_run_released, about_newest(run),
                         "nothing of it is kept any more");
        coordinator_run_set_ended(c, run, false);
    }
}

static bool is_short(const struct coordinator *c, uint32_t member)
{
    assert(member < c->member_count);
    const struct member *m = &c->members[member];
    const struct placement_member *place = &c->places[member];
    uint64_t free = place->segments_free * m->segment_bytes + place->part_bytes_free;
    return m->state == MEMBER_JOINED &&
           free * 100 < m->segments * m->segment_bytes * c->config.pressure_percent;
}

static uint32_t count_consistent(const struct coordinator *c, const struct run *run)
{
    assert(run->used);
    uint32_t count = 0;
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        count += c->checkpoints[i].state == CHECKPOINT_CONSISTENT;
    }
    return count;
}

static bool may_give(const struct coordinator *c, const struct run *run)
{
    assert(run->used);
    return coordinator_run_lingers(c, run) && !is_restoring(run) &&
           (!run->job.requeueable || count_consistent(c, run) > 1);
}

/* Of the runs that have something on the member and may give, the one that ended first. */
static struct run *find_giver(struct coordinator *c, uint32_t member)
{
    assert(member < c->member_count);
    struct run *best = NULL;
    for (uint32_t i = c->members[member].first_copy; i != NONE;) {
        struct copy *copy;
        const struct shard *s = coordinator_copy_shard(c, i, &copy);
        i = copy->next;
        struct run *run = &c->runs[c->checkpoints[s->checkpoint].run];
        if (run != best && may_give(c, run) &&
            (best == NULL || run->job.ended_ms < best->job.ended_ms)) {
            best = run;
        }
    }
    return best;
}

/* One run a round: what it frees is heard of with the next heartbeats. A round looks at some
 * members, the next at those that follow. */
static void relieve(struct coordinator *c)
{
    uint32_t looks = c->member_count < RELIEF_LOOKS ? c->member_count : RELIEF_LOOKS;
    uint32_t first = c->member_count > RELIEF_LOOKS ? c->relief_next : 0;
    for (uint32_t n = 0; n < looks; n++) {
        uint32_t i = (first + n) % c->member_count;
        c->relief_next = i + 1;
        struct run *run = is_short(c, i) ? find_giver(c, i) : NULL;
        if (run == NULL) {
            continue;
        }
        bool all = !run->job.requeueable && count_consistent(c, run) <= 1;
        struct about about = about_newest(run);
        about.node = c->members[i].node;
        coordinator_note(c, EVENT_run_relieved, about, "memory is short, and its job has ended: %s",
                         all ? "nothing of it is kept any more"
                             : "only its newest checkpoint is kept");
        (void)coordinator_run_release(c, run, all, "memory was short after its job had ended");
        return;
    }
}

void coordinator_jobs_tick(struct coordinator *c)
{
    for (uint32_t i = 0; (i = index_set_from(&c->runs_ended, i)) != NONE; i++) {
        look_whether_it_lives(c, &c->runs[i]);
        release_when_due(c, &c->runs[i]);
    }
    if (c->config.pressure_percent > 0 && index_set_from(&c->runs_ended, 0) != NONE) {
        relieve(c);
    }
}
