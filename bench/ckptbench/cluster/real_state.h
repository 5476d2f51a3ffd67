/* SPDX-License-Identifier: Apache-2.0 */
/* A fleet and its agents. Private to the files real_*.c. */
#ifndef CKPTBENCH_REAL_STATE_H
#define CKPTBENCH_REAL_STATE_H

#include <event2/event.h>

#include "agent/agent.h"
#include "cluster/real_fleet.h"
#include "session/session.h"

#define REAL_PEERS_MAX 64
#define REAL_SHARD_BYTES (CKPT_SEGMENT_BYTES_DEFAULT / 2) /* one segment each */

/* A connection to another agent, by the numbers that both ends have for it. */
struct real_peer {
    bool used;
    uint32_t link;
    uint32_t other;
    uint32_t other_link;
};

enum real_rank_state { RANK_CLOSED = 0, RANK_OPEN, RANK_WANTS_SLOT, RANK_SEALED };

struct real_agent {
    struct real_fleet *fleet;
    uint32_t index;
    void *memory;
    struct agent *machine;
    struct incarnation incarnation;
    struct session_hub *hub;
    struct session *session;
    struct event *deadline;
    uint64_t armed_ms;
    bool joined;
    uint32_t next_link; /* for connections that others make */
    struct real_peer peers[REAL_PEERS_MAX];
    enum real_rank_state *ranks; /* a rank's link is its number here + 1 */
};

/* What waits to be told to an agent. */
struct real_parcel {
    uint32_t agent;
    struct agent_event event; /* message points to the next, where there is one */
    struct message message;
};

struct real_fleet {
    struct real_fleet_options options;
    struct event_base *base;
    struct event *pulse; /* so that a wait for events has an end */
    struct real_agent *agents;
    struct agent_update update;  /* of the machine whose turn it is */
    struct real_parcel *parcels; /* a ring */
    size_t parcel_room;
    size_t parcel_first;
    size_t parcel_count;
    uint64_t step;
    uint32_t open_ranks;
    uint32_t saved_ranks; /* that have heard that the step is consistent */
    struct real_fleet_counters counters;
    enum ckpt_status status; /* the first failure */
    char reason[CKPT_REASON_MAX + 1];
};

#endif
