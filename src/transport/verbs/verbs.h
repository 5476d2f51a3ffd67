/* SPDX-License-Identifier: Apache-2.0 */
/* The backend on libibverbs and librdmacm: one-sided READs over RC queue pairs. This folder alone
 * includes their headers.
 *
 * Words: a rail is a port of a device with an address; a lane is one queue pair of an endpoint on
 * one rail, made by rdma_cm; a client is the source's end of a peer's lane; a slice is the part of
 * a read that one work request carries; the slots are a page of words, one pair for each region,
 * that any reader may read: the region's generation and id as they are now.
 *
 * Happy path: read() cuts the range into slices; each goes to the lane whose rail has the fewest
 * bytes in flight. When the last slice has completed, the reader reads the region's slot; only if
 * that still holds the id and generation of the descriptor is the read CKPT_OK. The source's CPU
 * takes no part.
 * Failure modes: a work request that fails for a reason of the rail fails its lane: the queue pair
 * goes to ERR, and what comes back of it is issued again on other lanes; the lane is made anew
 * after a pause that doubles. A refused key ends its read as CKPT_ERR_STALE and costs the lane no
 * pause. An endpoint fails when the peer refuses all lanes, or is silent beyond the deadline. No
 * read completes before every work request of it has come back, so nothing is written later. A
 * device that is taken away ends its rail: its slices are issued again on others, and all that is
 * held of it is given back.
 * On close: listeners end, queue pairs go to ERR, completions are drained for two seconds at most,
 * queue pairs are destroyed, then memory is deregistered. */
#ifndef CKPT_TRANSPORT_VERBS_VERBS_H
#define CKPT_TRANSPORT_VERBS_VERBS_H

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include "transport/backend.h"
#include "transport/label.h"
#include "transport/verbs/card.h"
#include "transport/verbs/fault_class.h"

#define VERBS_LANES_PER_RAIL 2
#define VERBS_LANES_MAX (VERBS_RAILS_MAX * VERBS_LANES_PER_RAIL)
#define VERBS_SLICE_BYTES CKPT_MIB
#define VERBS_READ_BYTES_MAX (64 * CKPT_MIB) /* a bit of a word for each slice */
#define VERBS_RAIL_BYTES_MAX (16 * CKPT_MIB) /* in flight on one rail */
#define VERBS_LANE_WORKS_MAX 128
#define VERBS_WORKS_MAX 2048 /* of a transport, and so the size of each completion queue */
#define VERBS_REGIONS_MAX (2 * CKPT_ARENA_SEGMENTS_MAX)
#define VERBS_CLIENTS_MAX (4 * CKPT_AGENTS_MAX)
#define VERBS_CLOSE_NS UINT64_C(2000000000)

/* How long a queue pair in ERR may take to give its work requests back before it is destroyed. */
#define VERBS_DRAIN_NS UINT64_C(1000000000)

/* 4.096 us * 2^15 * 7 tries: a dead path is found within a second. Seven retries would be no more
 * than that on hardware, but for ever on Soft-RoCE. */
#define VERBS_TIMEOUT 15
#define VERBS_RETRIES 6

/* Faults of rails that one read outlives. */
#define VERBS_FAULTS_MAX 16

/* How long the owner looks again and again after the last completion: several times what a slice
 * takes at 100 Gb/s. */
#define VERBS_SPIN_US 100

#define VERBS_PAUSE_MIN_NS UINT64_C(50000000)
#define VERBS_PAUSE_MAX_NS UINT64_C(10000000000)

/* For so long after a port came up or went down a request may fail of it. */
#define VERBS_STIR_NS UINT64_C(10000000000)

/* What an rdma_cm_id or a queue pair belongs to; first in each. */
enum verbs_party_kind { VERBS_LISTENER, VERBS_LANE, VERBS_CLIENT, VERBS_NOBODY };
struct verbs_party {
    enum verbs_party_kind kind;
};

struct verbs_rail {
    struct verbs_party party; /* of the listener */
    struct verbs *verbs;
    uint32_t index;
    char name[64]; /* "mlx5_0:1" */
    struct ibv_context *context;
    struct ibv_pd *pd;
    struct ibv_comp_channel *channel;
    struct ibv_cq *cq;
    struct ibv_mr *slots, *landing;
    struct rdma_cm_id *listener;
    struct ibv_device_attr device;
    enum ibv_mtu mtu;
    uint8_t port;
    bool up;             /* the port is active, as far as events told */
    uint64_t stirred_ns; /* when it last came up or went down, or was said to; 0: never */
    bool silent;         /* said to be down, or to reach nobody, since it was well last */
    bool removed;        /* the device is gone, or useless: for the rest of this transport's life */
    uint64_t wanted_ns;  /* when a peer that no rail reaches was to be read last */
    uint64_t unreached_ns; /* since when that goes on, and nothing is reached by it; 0: it is not */
    struct card_rail card; /* where it listens */
    unsigned interface;    /* its network interface, by index */
    struct sockaddr_storage address;
    uint64_t bytes_in_flight;
    struct verbs_farewell *farewells; /* ids to destroy once it is up */
};

/* What readers read to learn whether a descriptor still holds.
 * A pair never spans two cache lines. */
struct verbs_slot {
    uint64_t generation;
    uint64_t id; /* 0: no region */
};

struct verbs_region {
    struct transport_region base;
    struct verbs_region *next;
    uint64_t id; /* never used again in the life of the transport */
    uint32_t place;
    uint64_t iova; /* what peers and local requests call the first byte */
    uint32_t near; /* a bit for each rail to prefer */
    struct ibv_mr *mrs[VERBS_RAILS_MAX];
};

enum verbs_lane_state {
    VERBS_LANE_IDLE, /* waits for retry_ns */
    VERBS_LANE_ADDRESS,
    VERBS_LANE_ROUTE,
    VERBS_LANE_CONNECTING,
    VERBS_LANE_UP,
    VERBS_LANE_DRAINING /* its queue pair is in ERR, work requests are still to come back */
};

struct verbs_lane {
    struct verbs_party party;
    struct verbs_endpoint *endpoint;
    struct verbs_rail *rail;
    uint32_t peer_rail;
    enum verbs_lane_state state;
    struct rdma_cm_id *id;
    struct ibv_qp *qp;
    uint32_t works;
    uint64_t retry_ns; /* in IDLE: when to try again; while connecting: when to give up */
    uint64_t drain_ns; /* in DRAINING: when to wait no longer */
    uint64_t pause_ns;
    uint64_t down_ns; /* since when it is not UP, its rail and its peer being well; 0: it is */
    bool refused;     /* the peer said no */
};

struct verbs_endpoint {
    struct transport_endpoint base;
    struct card card; /* the peer's address */
    uint64_t peer;
    enum ckpt_status failure; /* CKPT_OK while it works */
    uint32_t lanes_count;
    struct verbs_lane lanes[VERBS_LANES_MAX];
};

struct verbs_client {
    struct verbs_party party;
    struct verbs_client *next;
    struct verbs_rail *rail;
    struct rdma_cm_id *id;
    struct ibv_qp *qp;
    bool gone;
};

struct verbs_read {
    struct read_slot slot;
    struct verbs_read *next_waiting;
    struct ticket ticket; /* the descriptor */
    uint64_t region, generation;
    uint64_t remote_offset, local_offset, bytes;
    uint64_t todo;  /* a bit for each slice to be issued */
    bool check;     /* the slot is to be read */
    bool waiting;   /* in the list of those that have something to issue */
    bool settled;   /* the result is known */
    uint32_t works; /* in flight */
    uint32_t faults;
    enum ckpt_status result;
};

#define VERBS_CHECK UINT32_MAX /* as a slice: the read of the slot */

struct verbs_work {
    struct verbs_work *next; /* in the list of idle ones */
    struct verbs_read *read;
    struct verbs_lane *lane;
    uint32_t slice;
    uint32_t bytes;
};

struct verbs {
    struct transport base;
    struct read_table reads;
    uint64_t id;
    uint8_t secret[CARD_SECRET_BYTES];
    struct rdma_event_channel *events;
    uint32_t rails_count;
    struct verbs_rail rails[VERBS_RAILS_MAX];
    struct verbs_slot *slots;   /* VERBS_REGIONS_MAX of them; peers read them */
    struct verbs_slot *landing; /* what was read of peers' slots, one for each read in flight */
    uint32_t place_next;        /* where to look for a free slot: far from the one freed last */
    uint64_t region_serial;
    struct verbs_region *regions;
    struct verbs_client *clients;
    uint32_t clients_count;
    struct verbs_work *works, *idle_works;
    uint32_t works_in_flight;
    struct verbs_read *waiting, *waiting_last;
    uint8_t traffic_class, service_level;
    uint64_t spin_ns;
    uint64_t completed_ns; /* when a work request last came back; while some are in flight */
    uint64_t looked_ns;    /* when events were last asked for */
    uint64_t watched_ns;   /* when rails that are down were looked at last */
    uint64_t timer_ns;     /* when a lane wants attention next */
    bool attention;        /* lanes, clients or endpoints changed */
    bool issue;            /* something may be issued */
};

static inline struct verbs *as_verbs(struct transport *t)
{
    return (struct verbs *)(void *)t;
}

static inline struct verbs_endpoint *as_verbs_endpoint(struct transport_endpoint *base)
{
    return (struct verbs_endpoint *)(void *)base;
}

#endif
