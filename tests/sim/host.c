/* SPDX-License-Identifier: Apache-2.0 */
/* What agents and coordinators have in common: a life, an inbox while they are stopped, a deadline,
 * and a death that may come between any two things that they do. */
#include <stdlib.h>
#include <string.h>

#include "hosts.h"

/* A machine that asks for another turn at once so many times in a row never rests. */
#define AGAIN_MAX 5000

struct sim_host *host_at(struct sim *sim, uint32_t host)
{
    return host < SIM_NODES_MAX ? &sim->nodes[host].host : &sim->rulers[host - SIM_NODES_MAX].host;
}

void host_empty_inbox(struct sim_host *host)
{
    while (host->inbox_first) {
        struct parcel *parcel = host->inbox_first;
        host->inbox_first = parcel->next;
        parcel_free(parcel);
    }
    host->inbox_last = NULL;
}

uint64_t host_ran_ms(const struct sim *sim, const struct sim_host *host)
{
    return host->ran_ms + (host->is_away ? 0 : sim->now_ms - host->away_until_ms);
}

static void is_back(struct sim *sim, struct sim_host *host)
{
    host->is_away = false;
    host->away_until_ms = sim->now_ms;
    for (uint32_t i = 0; i < SIM_RULERS_MAX; i++) {
        host->seen_by_ms[i] = host_ran_ms(sim, &sim->rulers[i].host);
    }
}

/* The state of a process that has just started. */
void host_reset(struct sim *sim, struct sim_host *host)
{
    host_empty_inbox(host);
    uint32_t life = host->life + 1;
    uint32_t tick = host->tick + 1;
    uint64_t away_from_ms = host->away_from_ms;
    uint64_t stood_from_ms = host->stood_from_ms;
    uint64_t ran_ms = host->ran_ms;
    session_filter_free(&host->seen);
    memset(host, 0, sizeof *host);
    host->life = life;
    host->tick = tick;
    host->alive = true;
    host->away_from_ms = away_from_ms;
    host->stood_from_ms = stood_from_ms;
    host->ran_ms = ran_ms;
    is_back(sim, host);
    host->incarnation = sim_incarnation(sim);
    if (session_filter_make(SIM_SENDERS_MAX, &host->seen) != CKPT_OK) {
        abort();
    }
}

/* Whether the coordinator need not have noticed that the host was back since it was last away: not
 * long enough, or not while the coordinator itself was there. */
static bool was_hardly_back(struct sim *sim, const struct sim_host *host)
{
    const struct sim_host *ruler = &sim->rulers[sim->front].host;
    return sim->now_ms < host->away_until_ms + SIM_HEARD_MS ||
           ((ruler->is_away || sim->now_ms < ruler->away_until_ms + SIM_HEARD_MS) &&
            ruler->away_from_ms < host->away_until_ms + SIM_HEARD_MS);
}

/* Stands still, waits for a disk, or is dead. */
void host_leave(struct sim *sim, struct sim_host *host)
{
    if (!host->is_away) {
        host->ran_ms = host_ran_ms(sim, host);
        host->is_away = true;
        host->away_from_ms = was_hardly_back(sim, host) ? host->away_from_ms : sim->now_ms;
        host->stood_from_ms = sim->now_ms;
    }
}

void host_return(struct sim *sim, struct sim_host *host)
{
    if (host->alive && host->is_away && !host->paused && !host->busy) {
        is_back(sim, host);
    }
}

static void take_now(struct sim *sim, uint32_t host, struct parcel *parcel)
{
    if (host < SIM_NODES_MAX) {
        node_take(sim, host, parcel);
    } else {
        ruler_take(sim, host - SIM_NODES_MAX, parcel);
    }
    parcel_free(parcel);
}

void host_take(struct sim *sim, uint32_t index, struct parcel *parcel)
{
    struct sim_host *host = host_at(sim, index);
    if (!host->alive) {
        parcel_free(parcel);
    } else if (host->paused || host->busy || host->inbox_first) {
        parcel->next = NULL;
        if (host->inbox_last) {
            host->inbox_last->next = parcel;
        } else {
            host->inbox_first = parcel;
        }
        host->inbox_last = parcel;
    } else {
        take_now(sim, index, parcel);
    }
}

void host_wake(struct sim *sim, uint32_t index)
{
    struct sim_host *host = host_at(sim, index);
    if (host->alive && !host->paused && !host->busy && host->inbox_first && !host->inbox_turn) {
        host->inbox_turn = true;
        sim_later(sim, 0, TURN_INBOX, index, host->life, 0, NULL);
    }
}

void host_inbox_turn(struct sim *sim, uint32_t index)
{
    struct sim_host *host = host_at(sim, index);
    host->inbox_turn = false;
    if (host->paused || host->busy || !host->inbox_first) {
        return;
    }
    struct parcel *parcel = host->inbox_first;
    host->inbox_first = parcel->next;
    if (!host->inbox_first) {
        host->inbox_last = NULL;
    }
    take_now(sim, index, parcel);
    host_wake(sim, index);
}

void host_arm_tick(struct sim *sim, uint32_t index, uint64_t deadline_ms, bool again)
{
    struct sim_host *host = host_at(sim, index);
    if (!host->alive) {
        return;
    }
    host->again_run = again ? host->again_run + 1 : 0;
    if (host->again_run > AGAIN_MAX) {
        sim_violation(sim, "host %u asks for another turn at once for ever", index);
        return;
    }
    uint64_t at = again ? sim->now_ms : deadline_ms;
    if (at <= sim->now_ms && !again) {
        at = sim->now_ms + 1;
    }
    if (host->tick_armed && host->tick_at_ms == at) {
        return;
    }
    host->tick++;
    host->tick_armed = at != UINT64_MAX;
    host->tick_at_ms = at;
    if (host->tick_armed) {
        sim_later(sim, at - sim->now_ms, TURN_TICK, index, host->life, host->tick, NULL);
    }
}

bool host_crash_point(struct sim *sim, uint32_t index)
{
    struct sim_host *host = host_at(sim, index);
    if (!host->alive) {
        return true;
    }
    if (host->crash_in == 0 || --host->crash_in > 0) {
        return false;
    }
    sim_fault(sim, index < SIM_NODES_MAX ? FAULT_AGENT_CRASH_MID_UPDATE
                                         : FAULT_COORDINATOR_CRASH_MID_UPDATE);
    host_crash(sim, index);
    return true;
}

void host_crash(struct sim *sim, uint32_t index)
{
    struct sim_host *host = host_at(sim, index);
    if (!host->alive) {
        return;
    }
    sim_trace(sim, "host %u dies", index);
    host->alive = false;
    host->paused = false;
    host_leave(sim, host);
    host_empty_inbox(host);
    if (index < SIM_NODES_MAX) {
        net_close_all(sim, END_NODE, index);
        work_drop_all(sim, index);
        node_died(sim, index);
    } else {
        net_close_all(sim, END_RULER, index - SIM_NODES_MAX);
        ruler_died(sim, index - SIM_NODES_MAX);
    }
}
