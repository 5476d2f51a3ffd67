/* SPDX-License-Identifier: Apache-2.0 */
/* The reference backend: transports of one process read each other's registered memory by memcpy.
 *
 * Happy path: read() only queues; the reader's progress() finds the peer and the region in the
 * registry of this process, checks generation and range, and copies. So completions are
 * asynchronous, as those of a NIC. Failure modes: a peer that closed fails the endpoint for good
 * (CKPT_ERR_LINK); a region that is gone or revoked fails the one read (CKPT_ERR_STALE). Deadlines
 * cannot pass, since nothing is waited for. On close: the registry forgets the transport under the
 * lock that copies hold, so no reader touches its memory later. */
#include "transport/backend.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "transport/label.h"

struct loop_region {
    struct transport_region base;
    struct loop_region *next;
    uint64_t id;
    uint64_t generation;
};

struct loop {
    struct transport base;
    struct loop *next; /* in the registry */
    uint64_t id;
    uint64_t last_region_id;
    struct loop_region *regions;
    struct read_table reads;
};

struct loop_endpoint {
    struct transport_endpoint base;
    uint64_t peer;
    bool failed;
};

struct loop_read {
    struct read_slot slot;
    uint64_t region, generation, remote_offset;
    uint8_t *target;
    uint64_t bytes;
};

/* Guards the list of transports, their lists of regions, and every copy out of a region. */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct loop *registry;

static struct loop *as_loop(struct transport *t)
{
    return (struct loop *)(void *)t;
}

static void release_endpoint(struct transport_endpoint *endpoint)
{
    free(endpoint);
}

static void close_loop(struct transport *t, transport_sink *sink, void *context)
{
    struct loop *loop = as_loop(t);

    pthread_mutex_lock(&registry_lock);
    for (struct loop **link = &registry; *link != NULL; link = &(*link)->next) {
        if (*link == loop) {
            *link = loop->next;
            break;
        }
    }
    pthread_mutex_unlock(&registry_lock);
    reads_drain(&loop->reads, sink, context, release_endpoint);
    reads_close(&loop->reads);
    while (loop->regions != NULL) {
        struct loop_region *region = loop->regions;
        loop->regions = region->next;
        free(region);
    }
    transport_base_close(t);
    free(loop);
}

static enum ckpt_status register_memory(struct transport *t, const struct transport_memory *memory,
                                        struct transport_region **region_out)
{
    struct loop *loop = as_loop(t);
    struct loop_region *region;

    if (memory->dmabuf) {
        return CKPT_ERR_UNSUPPORTED;
    }
    region = calloc(1, sizeof(*region));
    if (region == NULL) {
        return CKPT_ERR_MEMORY;
    }
    region->generation = memory->generation;
    region->base = (struct transport_region){.transport = t,
                                             .address = memory->address,
                                             .bytes = memory->bytes,
                                             .generation = &region->generation,
                                             .read_only = memory->read_only};
    pthread_mutex_lock(&registry_lock);
    region->id = ++loop->last_region_id;
    region->next = loop->regions;
    loop->regions = region;
    pthread_mutex_unlock(&registry_lock);
    *region_out = &region->base;
    return CKPT_OK;
}

static enum ckpt_status deregister(struct transport_region *base)
{
    struct loop_region *region = (struct loop_region *)(void *)base;
    struct loop *loop = as_loop(base->transport);

    pthread_mutex_lock(&registry_lock);
    for (struct loop_region **link = &loop->regions; *link != NULL; link = &(*link)->next) {
        if (*link == region) {
            *link = region->next;
            break;
        }
    }
    pthread_mutex_unlock(&registry_lock);
    free(region);
    return CKPT_OK;
}

static enum ckpt_status export_region(struct transport_region *base, uint8_t *descriptor_out,
                                      size_t *bytes_out)
{
    struct loop_region *region = (struct loop_region *)(void *)base;
    struct label label = {.kind = LABEL_REGION,
                          .backend = LABEL_LOOP,
                          .transport = as_loop(base->transport)->id,
                          .region = region->id,
                          .generation = __atomic_load_n(base->generation, __ATOMIC_RELAXED),
                          .bytes = base->bytes};

    return label_encode(&label, descriptor_out, CKPT_DESCRIPTOR_MAX, bytes_out);
}

static enum ckpt_status address(struct transport *t, uint8_t *address_out, size_t *bytes_out)
{
    struct label label = {
        .kind = LABEL_ADDRESS, .backend = LABEL_LOOP, .transport = as_loop(t)->id};

    return label_encode(&label, address_out, CKPT_WORKER_ADDRESS_MAX, bytes_out);
}

static enum ckpt_status connect_loop(struct transport *t, const uint8_t *bytes, size_t count,
                                     struct transport_endpoint **endpoint_out)
{
    struct label label;
    struct loop_endpoint *endpoint;
    enum ckpt_status status = label_decode(bytes, count, LABEL_ADDRESS, LABEL_LOOP, &label);

    if (status != CKPT_OK) {
        return status;
    }
    endpoint = calloc(1, sizeof(*endpoint));
    if (endpoint == NULL) {
        return CKPT_ERR_MEMORY;
    }
    endpoint->peer = label.transport;
    reads_add_endpoint(&as_loop(t)->reads, &endpoint->base);
    *endpoint_out = &endpoint->base;
    return CKPT_OK;
}

static void disconnect(struct transport_endpoint *endpoint)
{
    struct loop *loop = as_loop(endpoint->transport);

    reads_fail(&loop->reads, endpoint, CKPT_ERR_LINK);
    reads_report_gone(&loop->reads, endpoint);
}

static enum ckpt_status read_loop(const struct transport_read_request *request)
{
    struct loop *loop = as_loop(request->endpoint->transport);
    struct loop_endpoint *endpoint = (struct loop_endpoint *)(void *)request->endpoint;
    struct loop_read *read;
    struct label label;
    enum ckpt_status status = label_decode(request->descriptor, request->descriptor_bytes,
                                           LABEL_REGION, LABEL_LOOP, &label);

    if (status != CKPT_OK) {
        return status;
    }
    if (request->remote_offset > label.bytes ||
        request->bytes > label.bytes - request->remote_offset) {
        return CKPT_ERR_SIZE;
    }
    if (endpoint->failed) {
        return CKPT_ERR_LINK;
    }
    read = (struct loop_read *)(void *)reads_begin(&loop->reads, request);
    if (read == NULL) {
        return CKPT_ERR_FULL;
    }
    read->region = label.region;
    read->generation = label.generation;
    read->remote_offset = request->remote_offset;
    read->target = request->local->address + request->local_offset;
    read->bytes = request->bytes;
    /* A descriptor of another transport than the endpoint's
     * peer names nothing that this peer has. */
    if (label.transport != endpoint->peer) {
        read->region = 0;
    }
    return CKPT_OK;
}

/* Serves one read; the registry is locked. */
static enum ckpt_status serve(struct loop_read *read)
{
    struct loop_endpoint *endpoint = (struct loop_endpoint *)(void *)read->slot.endpoint;
    struct loop *peer = registry;
    struct loop_region *region;

    while (peer != NULL && peer->id != endpoint->peer) {
        peer = peer->next;
    }
    if (peer == NULL) {
        endpoint->failed = true;
        return CKPT_ERR_LINK;
    }
    region = peer->regions;
    while (region != NULL && region->id != read->region) {
        region = region->next;
    }
    if (region == NULL ||
        __atomic_load_n(&region->generation, __ATOMIC_SEQ_CST) != read->generation) {
        return CKPT_ERR_STALE;
    }
    if (read->remote_offset > region->base.bytes ||
        read->bytes > region->base.bytes - read->remote_offset) {
        return CKPT_ERR_SIZE;
    }
    memmove(read->target, region->base.address + read->remote_offset, read->bytes);
    /* The owner may revoke, then write, while the copy runs: what was copied before the generation
     * rose is whole. */
    return __atomic_load_n(&region->generation, __ATOMIC_SEQ_CST) == read->generation
               ? CKPT_OK
               : CKPT_ERR_STALE;
}

static size_t progress(struct transport *t, struct transport_completion *done, size_t done_max)
{
    struct loop *loop = as_loop(t);

    transport_base_disarm(t);
    /* No more than can be taken, so that the rest stays in flight, to be cut or closed. */
    for (size_t i = 0; i < done_max && loop->reads.in_flight.first != NULL; i++) {
        struct read_slot *slot = loop->reads.in_flight.first;
        pthread_mutex_lock(&registry_lock);
        enum ckpt_status status = serve((struct loop_read *)(void *)slot);
        pthread_mutex_unlock(&registry_lock);
        reads_finish(&loop->reads, slot, status);
    }
    return reads_take(&loop->reads, done, done_max, release_endpoint);
}

static bool arm(struct transport *t)
{
    struct loop *loop = as_loop(t);

    if (loop->reads.in_flight.first != NULL || reads_ready(&loop->reads)) {
        return false;
    }
    transport_base_set_armed(t, UINT64_MAX);
    return true;
}

static const struct transport_ops loop_ops = {
    .close = close_loop,
    .register_memory = register_memory,
    .deregister = deregister,
    .export_region = export_region,
    .address = address,
    .connect = connect_loop,
    .disconnect = disconnect,
    .read = read_loop,
    .progress = progress,
    .arm = arm,
};

enum ckpt_status transport_loop_open(const char *arguments, const struct transport_options *options,
                                     struct transport **transport_out)
{
    struct loop *loop;
    enum ckpt_status status;

    if (arguments != NULL) {
        transport_set_open_error("loop takes no arguments, but has \"%.60s\"", arguments);
        return CKPT_ERR_CONFIG;
    }
    loop = calloc(1, sizeof(*loop));
    if (loop == NULL) {
        return CKPT_ERR_MEMORY;
    }
    status = reads_open(&loop->reads, options, sizeof(struct loop_read));
    if (status != CKPT_OK) {
        goto free_loop;
    }
    status = transport_base_open(&loop->base, &loop_ops, "loop");
    if (status != CKPT_OK) {
        goto close_reads;
    }
    loop->id = transport_random_id();
    loop->base.capabilities = (struct transport_capabilities){.read_bytes_max = CKPT_GIB,
                                                              .slice_bytes = CKPT_MIB,
                                                              .depth = 4,
                                                              .in_flight_max = loop->reads.count,
                                                              .one_sided = true};
    pthread_mutex_lock(&registry_lock);
    loop->next = registry;
    registry = loop;
    pthread_mutex_unlock(&registry_lock);
    *transport_out = &loop->base;
    return CKPT_OK;

close_reads:
    reads_close(&loop->reads);
free_loop:
    free(loop);
    return status;
}
