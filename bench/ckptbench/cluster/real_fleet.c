/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/real_fleet.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/reason.h"
#include "cluster/real_parcels.h"
#include "process/clock.h"
#include "cluster/real_agent.h"

#define DESCRIPTORS_BESIDE 64
#define CONNECTS_A_TURN 64

/* Delivers until nobody has anything to say. */
static void deliver(struct real_fleet *fleet)
{
    while (fleet->parcel_count > 0 && fleet->status == CKPT_OK) {
        struct real_parcel parcel = fleet->parcels[fleet->parcel_first];
        fleet->parcel_first = (fleet->parcel_first + 1) % fleet->parcel_room;
        fleet->parcel_count--;
        if (parcel.message.type != MESSAGE_NONE) {
            parcel.event.message = &parcel.message;
        }
        real_agent_advance(&fleet->agents[parcel.agent], &parcel.event);
    }
}

static void on_pulse(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)context;
}

static enum ckpt_status outcome(const struct real_fleet *fleet, char *reason)
{
    if (fleet->status != CKPT_OK) {
        memcpy(reason, fleet->reason, CKPT_REASON_MAX + 1);
    }
    return fleet->status;
}

static void turn(struct real_fleet *fleet)
{
    deliver(fleet);
    event_base_loop(fleet->base, EVLOOP_NONBLOCK);
}

/* Waits for the next event, a pulse at most. */
static void turn_or_wait(struct real_fleet *fleet)
{
    deliver(fleet);
    event_base_loop(fleet->base, EVLOOP_ONCE);
    deliver(fleet);
}

enum ckpt_status real_fleet_live(struct real_fleet *fleet, double seconds, char *reason)
{
    uint64_t start_ns = clock_now_ns();
    while (fleet->status == CKPT_OK && seconds_since(start_ns) < seconds) {
        turn_or_wait(fleet);
    }
    return outcome(fleet, reason);
}

enum ckpt_status real_fleet_join(struct real_fleet *fleet, double timeout_s, char *reason)
{
    uint64_t start_ns = clock_now_ns();
    uint32_t world = fleet->options.agents * fleet->options.ranks;
    while (fleet->status == CKPT_OK &&
           (fleet->counters.joined < fleet->options.agents || fleet->open_ranks < world)) {
        turn_or_wait(fleet);
        if (seconds_since(start_ns) > timeout_s) {
            real_fleet_fail(fleet, CKPT_ERR_TIMEOUT,
                            "%" PRIu32 " of %" PRIu32 " agents joined in %.0f s",
                            fleet->counters.joined, fleet->options.agents, timeout_s);
        }
    }
    return outcome(fleet, reason);
}

enum ckpt_status real_fleet_save(struct real_fleet *fleet, double timeout_s, char *reason)
{
    uint64_t start_ns = clock_now_ns();
    uint32_t world = fleet->options.agents * fleet->options.ranks;
    struct message ask = {.type = MESSAGE_SLOT_ASK};
    ask.slot_ask.step = ++fleet->step;
    ask.slot_ask.bytes = REAL_SHARD_BYTES;
    fleet->saved_ranks = 0;
    for (uint32_t i = 0; i < fleet->options.agents && fleet->status == CKPT_OK; i++) {
        for (uint32_t rank = 0; rank < fleet->options.ranks; rank++) {
            fleet->agents[i].ranks[rank] = RANK_WANTS_SLOT;
            real_agent_rank_says(&fleet->agents[i], rank, &ask);
        }
        turn(fleet);
    }
    while (fleet->status == CKPT_OK && fleet->saved_ranks < world) {
        turn_or_wait(fleet);
        if (seconds_since(start_ns) > timeout_s) {
            real_fleet_fail(fleet, CKPT_ERR_TIMEOUT,
                            "step %" PRIu64 ": %" PRIu32 " of %" PRIu32
                            " ranks have heard that it is consistent after %.0f s",
                            fleet->step, fleet->saved_ranks, world, timeout_s);
        }
    }
    return outcome(fleet, reason);
}

struct real_fleet_counters real_fleet_counters(const struct real_fleet *fleet)
{
    return fleet->counters;
}

static enum ckpt_status raise_descriptors(uint32_t agents, char *reason)
{
    struct rlimit limit;
    rlim_t wanted = agents + DESCRIPTORS_BESIDE;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted) {
        return reason_refuse(reason, CKPT_ERR_CONFIG,
                             "%" PRIu32
                             " agents need %ju descriptors, and %ju are allowed: raise the hard "
                             "limit (ulimit -Hn)",
                             agents, (uintmax_t)wanted, (uintmax_t)limit.rlim_cur);
    }
    return CKPT_OK;
}

enum ckpt_status real_fleet_open(const struct real_fleet_options *options,
                                 struct real_fleet **fleet_out, char *reason)
{
    enum ckpt_status status = raise_descriptors(options->agents, reason);
    if (status != CKPT_OK) {
        return status;
    }
    struct real_fleet *fleet = calloc(1, sizeof(*fleet));
    if (fleet != NULL) {
        fleet->options = *options;
        fleet->base = event_base_new();
        fleet->agents = calloc(options->agents, sizeof(*fleet->agents));
        fleet->pulse =
            fleet->base != NULL ? event_new(fleet->base, -1, EV_PERSIST, on_pulse, fleet) : NULL;
    }
    if (fleet == NULL || fleet->pulse == NULL || fleet->agents == NULL ||
        event_add(fleet->pulse, &(struct timeval){.tv_usec = 20000}) != 0) {
        reason_set(reason, "no memory for the fleet");
        real_fleet_close(&fleet);
        return CKPT_ERR_MEMORY;
    }
    for (uint32_t i = 0; i < options->agents && status == CKPT_OK; i++) {
        status = real_agent_open(fleet, i, reason);
        if (i % CONNECTS_A_TURN == 0) {
            turn(fleet); /* a listener's queue is short */
        }
    }
    if (status != CKPT_OK) {
        real_fleet_close(&fleet);
        return status;
    }
    *fleet_out = fleet;
    return CKPT_OK;
}

void real_fleet_close(struct real_fleet **fleet)
{
    struct real_fleet *old = *fleet;
    if (old == NULL) {
        return;
    }
    for (uint32_t i = 0; old->agents != NULL && i < old->options.agents; i++) {
        real_agent_close(&old->agents[i]);
    }
    if (old->pulse != NULL) {
        event_free(old->pulse);
    }
    if (old->base != NULL) {
        event_base_free(old->base);
    }
    free(old->agents);
    free(old->parcels);
    free(old);
    *fleet = NULL;
}
