/* SPDX-License-Identifier: Apache-2.0 */
/* The UCX backend. This folder alone includes the headers of UCX.
 *
 * Happy path: the reader sends a request; the source's progress checks region, generation and
 * range, and sends the bytes as active messages of one fragment each, straight from the region,
 * then an END with a status. The reader's handler copies each fragment to its place. UCX never
 * learns an address of the reader's memory: once a read has completed nothing can write there,
 * whatever UCX still does with a connection that was closed. UCX's own get is not used: with a peer
 * that may fail it is always emulated (docs/transport.md), and the emulation lets any peer read and
 * write any address; so the feature RMA is not even asked for. Failure modes: an error of UCX,
 * silence beyond the deadline, or transport_disconnect() set an endpoint's failure; progress then
 * force-closes it, outside of UCX's callbacks, and its reads end as soon as UCX has let go of their
 * request messages. On the source's side a client whose endpoint fails loses its jobs the same way.
 * On close: endpoints and clients are force-closed, and progress runs until UCX holds no message of
 * ours, two seconds at most. */
#ifndef CKPT_TRANSPORT_UCX_UCX_H
#define CKPT_TRANSPORT_UCX_UCX_H

#include <ucp/api/ucp.h>

#include "transport/backend.h"
#include "transport/label.h"
#include "transport/ucx/hosts.h"

/* Sends of one job that UCX may hold at once. Enough to keep a socket full between two progress
 * calls. */
#define UCX_FRAGMENTS_IN_FLIGHT 4

/* And of all jobs of one reader: more would only lie in UCX's queue, in a mixed order. */
#define UCX_SENDS_PER_CLIENT 8

/* Requests of peers that wait or are being served; more are not answered. */
#define UCX_JOBS_MAX 8192

/* Readers at once; more are rejected. */
#define UCX_CLIENTS_MAX (2 * CKPT_AGENTS_MAX)

#define UCX_REGIONS_MAX (2 * CKPT_ARENA_SEGMENTS_MAX)
#define UCX_CLOSE_NS UINT64_C(2000000000)

/* Parts of UCX with settings of their own. */
enum ucx_part { UCX_PART_TCP = 1, UCX_PART_SHM = 2, UCX_PART_BRIDGE = 4 };

enum ucx_message { UCX_REQUEST = 1, UCX_DATA, UCX_END };

/* Headers of active messages: little-endian hosts only, as UCX's own. */
struct ucx_request {
    uint64_t token, region, generation, offset, bytes;
    uint32_t index;
    uint32_t zero;
};

struct ucx_reply { /* of DATA (offset in the read; payload) and END (status) */
    uint64_t token, offset;
    uint32_t index;
    uint32_t status;
};

_Static_assert(sizeof(struct ucx_request) == 48 && sizeof(struct ucx_reply) == 24,
               "the layout is the protocol");

struct ucx_region {
    struct transport_region base;
    uint64_t id; /* serial << 16 | place */
    uint64_t generation;
    uint32_t sends; /* fragments of it that UCX holds */
    bool withdrawn;
};

struct ucx_endpoint {
    struct transport_endpoint base;
    ucp_ep_h ep; /* NULL once it was closed */
    uint64_t peer;
    enum ckpt_status failure; /* CKPT_OK while it works */
};

struct ucx_read {
    struct read_slot slot;
    struct ucx_request request; /* token 0: the record is idle */
    uint8_t *target;
    uint64_t received;
    bool sending; /* UCX holds request */
    bool ended;   /* the END said that all was sent */
    bool settled; /* the result is known */
    enum ckpt_status result;
};

/* A reader that this transport serves. */
struct ucx_client {
    struct ucx_client *next;
    struct ucx *ucx;
    ucp_conn_request_h asking; /* until ep is made of it */
    ucp_ep_h ep;               /* NULL before that, and after it is closed */
    uint32_t jobs;
    uint32_t sends;
    bool failed;
};

struct ucx_fragment {
    struct ucx_job *job;
    struct ucx_reply header;
    struct ucx_region *region; /* whose sends it counts in; NULL for an END */
    bool busy;
};

/* One request being served. */
struct ucx_job {
    struct ucx_job *next;
    struct ucx_client *client;
    struct ucx_request request;
    uint64_t posted;
    uint32_t pending;
    bool ended; /* the END was sent, or cannot be */
    struct ucx_fragment fragments[UCX_FRAGMENTS_IN_FLIGHT];
};

struct ucx {
    struct transport base;
    struct read_table reads;
    ucp_context_h context;
    ucp_worker_h worker;
    ucp_listener_h listener;
    struct hosts hosts; /* where it listens */
    uint64_t id;
    uint64_t last_token;
    uint64_t fragment_bytes;
    bool loopback_is_broken; /* this version of UCX cannot connect there by TCP */
    bool busy;               /* the last progress ended with more to do */
    bool attention;          /* an endpoint or a client has failed, or is new */
    struct ucx_region *regions[UCX_REGIONS_MAX];
    uint64_t region_serial;
    uint32_t region_hint; /* places below are taken */
    struct ucx_client *clients;
    uint32_t clients_count;
    struct ucx_job *jobs; /* being served, in the order of their requests */
    struct ucx_job *jobs_last;
    struct ucx_job *idle_jobs;
    uint32_t jobs_count;
};

static inline struct ucx *as_ucx(struct transport *t)
{
    return (struct ucx *)(void *)t;
}

#endif
