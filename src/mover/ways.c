/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/ways.h"

#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "transport/transport.h"

struct way {
    struct way *next;
    uint32_t link;
    bool failed; /* or no longer wanted: no new reads */
    struct transport_endpoint *endpoint;
};

static struct way *find(struct mover *m, uint32_t link)
{
    for (struct way *way = m->ways; way != NULL; way = way->next) {
        if (way->link == link && !way->failed) {
            return way;
        }
    }
    return NULL;
}

/* Each order to read from such a peer tries anew. */
static void report_refusal(struct mover *m, enum ckpt_status status)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    struct rare *rare = rare_find(m->refused, MOVER_REFUSED, 1 + (uint64_t)status, now_ms);
    if (rare != NULL && rare_happens(rare, now_ms)) {
        log_event(EVENT_peer_transport_refused, "own=%s status=%s hint=%s", m->spec,
                  ckpt_status_name(status),
                  LOG_QUOTED(status == CKPT_ERR_LINK
                                 ? "no device of this node reaches any address of the peer's"
                                 : "the peer's transport is another one, or of another version: "
                                   "set the same [transport] spec on all agents, and run one "
                                   "version of ckptd"));
    }
}

static enum ckpt_status connect_to(struct mover *m, const struct work *work, struct way *way)
{
    bool own = work->link == MOVER_OWN_LINK;
    return transport_connect(m->transport, own ? m->address : work->offer.address,
                             own ? m->address_bytes : work->offer.address_bytes,
                             (uint64_t)(uintptr_t)way, &way->endpoint);
}

enum ckpt_status mover_ways_find(struct mover *m, const struct work *work,
                                 struct transport_endpoint **endpoint_out)
{
    struct way *way = find(m, work->link);
    if (way == NULL) {
        way = calloc(1, sizeof *way);
        if (way == NULL) {
            return CKPT_ERR_MEMORY;
        }
        way->link = work->link;
        enum ckpt_status status = connect_to(m, work, way);
        if (status != CKPT_OK) {
            report_refusal(m, status);
            free(way);
            return status;
        }
        way->next = m->ways;
        m->ways = way;
    }
    *endpoint_out = way->endpoint;
    return CKPT_OK;
}

void mover_ways_give_up(struct mover *m, uint32_t link)
{
    struct way *way = find(m, link);
    if (way != NULL) {
        way->failed = true;
        transport_disconnect(way->endpoint);
    }
}

void mover_ways_gone(struct mover *m, uint64_t cookie)
{
    for (struct way **at = &m->ways; *at != NULL; at = &(*at)->next) {
        if ((uint64_t)(uintptr_t)*at == cookie) {
            struct way *way = *at;
            *at = way->next;
            free(way);
            return;
        }
    }
}

void mover_ways_free(struct mover *m)
{
    while (m->ways != NULL) {
        struct way *way = m->ways;
        m->ways = way->next;
        free(way);
    }
}
