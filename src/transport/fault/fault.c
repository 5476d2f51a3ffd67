/* SPDX-License-Identifier: Apache-2.0 */
/* Injects faults into another transport.
 *
 * Happy path: regions and endpoints are the wrapper's own and stand for the inner ones; a read is
 * issued to the inner transport under a cookie that names our record, and its completion is
 * changed, held back, or passed on. Failure modes: an endpoint that is cut refuses reads; the inner
 * endpoint is disconnected, which ends what is in flight, and our completions follow when the inner
 * ones came, so that the memory is quiet by then. On close: the inner transport's close gives us
 * its reads, ours go to the sink. */
#include "transport/fault/fault.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/prng.h"
#include "transport/backend.h"

/* Completions taken from the inner transport at a time. */
#define INNER_MAX 16

struct fault_region {
    struct transport_region base;
    struct fault_region *next;
    struct transport_region *inner;
};

struct fault_endpoint {
    struct transport_endpoint base;
    struct transport_endpoint *inner; /* NULL when its disconnection was reported */
    uint64_t reads;
    bool cut;
};

struct fault_read {
    struct read_slot slot;
    uint8_t *target;
    uint64_t bytes;
    uint64_t ready_ns; /* when it may complete; 0 while the inner transport has it */
    enum ckpt_status result;
    bool delayed, corrupted;
};

struct fault {
    struct transport base;
    struct transport *inner;
    struct read_table reads;
    struct fault_plan plan;
    struct prng prng;
    struct fault_region *regions;
};

static struct fault *as_fault(struct transport *t)
{
    return (struct fault *)(void *)t;
}

static struct fault_read *read_of(struct fault *f, uint64_t index)
{
    return (struct fault_read *)(void *)(f->reads.records + index * f->reads.record_bytes);
}

static void release_endpoint(struct transport_endpoint *endpoint)
{
    free(endpoint);
}

static void ignore(void *context, const struct transport_completion *completion)
{
    (void)context, (void)completion;
}

static void close_fault(struct transport *t, transport_sink *sink, void *context)
{
    struct fault *f = as_fault(t);

    transport_close(f->inner, ignore, NULL);
    reads_drain(&f->reads, sink, context, release_endpoint);
    reads_close(&f->reads);
    while (f->regions != NULL) {
        struct fault_region *region = f->regions;
        f->regions = region->next;
        free(region);
    }
    transport_base_close(t);
    free(f);
}

static enum ckpt_status register_memory(struct transport *t, const struct transport_memory *memory,
                                        struct transport_region **region_out)
{
    struct fault *f = as_fault(t);
    struct fault_region *region = calloc(1, sizeof(*region));
    enum ckpt_status status;

    if (region == NULL) {
        return CKPT_ERR_MEMORY;
    }
    status = transport_register(f->inner, memory, &region->inner);
    if (status != CKPT_OK) {
        free(region);
        return status;
    }
    region->base = (struct transport_region){.transport = t,
                                             .address = region->inner->address,
                                             .bytes = region->inner->bytes,
                                             .generation = region->inner->generation,
                                             .read_only = region->inner->read_only};
    region->next = f->regions;
    f->regions = region;
    *region_out = &region->base;
    return CKPT_OK;
}

static enum ckpt_status deregister(struct transport_region *base)
{
    struct fault_region *region = (struct fault_region *)(void *)base;
    enum ckpt_status status = transport_deregister(region->inner);

    if (status != CKPT_OK) {
        return status;
    }
    for (struct fault_region **link = &as_fault(base->transport)->regions; *link != NULL;
         link = &(*link)->next) {
        if (*link == region) {
            *link = region->next;
            break;
        }
    }
    free(region);
    return CKPT_OK;
}

static enum ckpt_status export_region(struct transport_region *base, uint8_t *descriptor_out,
                                      size_t *bytes_out)
{
    return transport_export(((struct fault_region *)(void *)base)->inner, descriptor_out,
                            bytes_out);
}

static enum ckpt_status address(struct transport *t, uint8_t *address_out, size_t *bytes_out)
{
    return transport_address(as_fault(t)->inner, address_out, bytes_out);
}

static enum ckpt_status connect_fault(struct transport *t, const uint8_t *bytes, size_t count,
                                      struct transport_endpoint **endpoint_out)
{
    struct fault *f = as_fault(t);
    struct fault_endpoint *endpoint = calloc(1, sizeof(*endpoint));
    enum ckpt_status status;

    if (endpoint == NULL) {
        return CKPT_ERR_MEMORY;
    }
    status =
        transport_connect(f->inner, bytes, count, (uint64_t)(uintptr_t)endpoint, &endpoint->inner);
    if (status != CKPT_OK) {
        free(endpoint);
        return status;
    }
    reads_add_endpoint(&f->reads, &endpoint->base);
    *endpoint_out = &endpoint->base;
    return CKPT_OK;
}

static void cut(struct fault_endpoint *endpoint)
{
    endpoint->cut = true;
    if (endpoint->inner != NULL) {
        transport_disconnect(endpoint->inner);
    }
}

/* Reports an endpoint of which nothing is left, here and inside. */
static void tend(struct fault *f, struct fault_endpoint *endpoint)
{
    if (endpoint->base.disconnecting && !endpoint->base.gone && endpoint->inner == NULL &&
        endpoint->base.reads_in_flight == 0) {
        reads_report_gone(&f->reads, &endpoint->base);
    }
}

static void disconnect(struct transport_endpoint *base)
{
    struct fault *f = as_fault(base->transport);
    struct read_slot *next;

    cut((struct fault_endpoint *)(void *)base);
    /* What is held back here is over already. */
    for (struct read_slot *slot = f->reads.in_flight.first; slot != NULL; slot = next) {
        struct fault_read *read = (struct fault_read *)(void *)slot;
        next = slot->next;
        if (slot->endpoint == base && read->ready_ns != 0) {
            reads_finish(&f->reads, slot, CKPT_ERR_LINK);
        }
    }
    tend(f, (struct fault_endpoint *)(void *)base);
}

static enum ckpt_status read_fault(const struct transport_read_request *request)
{
    struct fault_endpoint *endpoint = (struct fault_endpoint *)(void *)request->endpoint;
    struct fault *f = as_fault(request->endpoint->transport);
    struct transport_read_request inner = *request;
    struct fault_read *read;
    enum ckpt_status status;

    if (endpoint->cut) {
        return CKPT_ERR_LINK;
    }
    read = (struct fault_read *)(void *)reads_begin(&f->reads, request);
    if (read == NULL) {
        return CKPT_ERR_FULL;
    }
    read->target = request->local->address + request->local_offset;
    read->bytes = request->bytes;
    read->ready_ns = 0;
    bool fails = prng_chance(&f->prng, f->plan.error_ppm);
    bool cuts = prng_chance(&f->prng, f->plan.cut_ppm);
    read->delayed = prng_chance(&f->prng, f->plan.delay_ppm);
    read->corrupted = prng_chance(&f->prng, f->plan.corrupt_ppm);
    inner.endpoint = endpoint->inner;
    inner.local = ((struct fault_region *)(void *)request->local)->inner;
    inner.cookie = read->slot.index;
    status = transport_read(&inner);
    if (status != CKPT_OK) {
        reads_abandon(&f->reads, &read->slot);
        return status;
    }
    /* The transfer runs all the same: a read that fails may have changed its target. */
    read->result = fails ? CKPT_ERR_LINK : CKPT_OK;
    endpoint->reads++;
    if (cuts || (f->plan.cut_after != 0 && endpoint->reads >= f->plan.cut_after)) {
        cut(endpoint);
    }
    return CKPT_OK;
}

static void corrupt(struct fault *f, struct fault_read *read)
{
    if (read->bytes != 0) {
        read->target[prng_below(&f->prng, read->bytes)] ^= (uint8_t)(1U << prng_below(&f->prng, 8));
    }
}

static void take_inner(struct fault *f, const struct transport_completion *completion, uint64_t now)
{
    struct fault_read *read;

    if (completion->kind == TRANSPORT_DISCONNECTED) {
        struct fault_endpoint *endpoint = (struct fault_endpoint *)(uintptr_t)completion->cookie;
        endpoint->inner = NULL;
        tend(f, endpoint);
        return;
    }
    read = read_of(f, completion->cookie);
    if (completion->status != CKPT_OK) {
        read->result = completion->status;
    } else if (read->result == CKPT_OK && read->corrupted) {
        corrupt(f, read);
    }
    if (read->delayed && !read->slot.endpoint->disconnecting) {
        read->ready_ns = now + f->plan.delay_ms * UINT64_C(1000000);
    } else {
        struct fault_endpoint *endpoint = (struct fault_endpoint *)(void *)read->slot.endpoint;
        reads_finish(&f->reads, &read->slot, read->result);
        tend(f, endpoint);
    }
}

/* Lets go of what was held back for long enough;
 * returns when the next is due, UINT64_MAX if none. */
static uint64_t release_delayed(struct fault *f, uint64_t now)
{
    struct read_slot *next;
    uint64_t due = UINT64_MAX;

    for (struct read_slot *slot = f->reads.in_flight.first; slot != NULL; slot = next) {
        struct fault_read *read = (struct fault_read *)(void *)slot;
        struct fault_endpoint *endpoint = (struct fault_endpoint *)(void *)slot->endpoint;
        next = slot->next;
        if (read->ready_ns == 0) {
            continue;
        }
        if (read->ready_ns <= now) {
            reads_finish(&f->reads, slot, read->result);
            tend(f, endpoint);
        } else if (read->ready_ns < due) {
            due = read->ready_ns;
        }
    }
    return due;
}

static size_t progress(struct transport *t, struct transport_completion *done, size_t done_max)
{
    struct fault *f = as_fault(t);
    struct transport_completion inner[INNER_MAX];
    size_t count;
    uint64_t now;

    transport_base_disarm(t);
    count = done_max < INNER_MAX ? done_max : INNER_MAX;
    count = transport_progress(f->inner, inner, count);
    now = clock_now_ns();
    for (size_t i = 0; i < count; i++) {
        take_inner(f, &inner[i], now);
    }
    release_delayed(f, now);
    return reads_take(&f->reads, done, done_max, release_endpoint);
}

static bool arm(struct transport *t)
{
    struct fault *f = as_fault(t);
    uint64_t now = clock_now_ns();
    uint64_t due = release_delayed(f, now);

    if (reads_ready(&f->reads) || !transport_arm(f->inner)) {
        return false;
    }
    transport_base_set_armed(t, due);
    return true;
}

static struct transport_rails rails(const struct transport *t)
{
    return transport_rails(((const struct fault *)(const void *)t)->inner);
}

static const struct transport_ops fault_ops = {
    .close = close_fault,
    .register_memory = register_memory,
    .deregister = deregister,
    .export_region = export_region,
    .address = address,
    .connect = connect_fault,
    .disconnect = disconnect,
    .read = read_fault,
    .progress = progress,
    .arm = arm,
    .rails = rails,
};

enum ckpt_status fault_wrap(struct transport *inner, const struct fault_plan *plan,
                            const struct transport_options *options,
                            struct transport **transport_out)
{
    struct fault *f = calloc(1, sizeof(*f));
    enum ckpt_status status;

    if (f == NULL) {
        return CKPT_ERR_MEMORY;
    }
    status = reads_open(&f->reads, options, sizeof(struct fault_read));
    if (status != CKPT_OK) {
        goto free_fault;
    }
    status = transport_base_open(&f->base, &fault_ops, "fault");
    if (status != CKPT_OK) {
        goto close_reads;
    }
    status = transport_base_watch(&f->base, transport_event_fd(inner));
    if (status != CKPT_OK) {
        goto close_base;
    }
    f->base.capabilities = inner->capabilities;
    f->inner = inner;
    f->plan = *plan;
    prng_seed(&f->prng, options->seed);
    *transport_out = &f->base;
    return CKPT_OK;

close_base:
    transport_base_close(&f->base);
close_reads:
    reads_close(&f->reads);
free_fault:
    free(f);
    return status;
}

enum ckpt_status transport_fault_open(const char *arguments,
                                      const struct transport_options *options,
                                      struct transport **transport_out)
{
    const char *colon = arguments != NULL ? strchr(arguments, ':') : NULL;
    struct fault_plan plan;
    struct transport *inner;
    enum ckpt_status status;

    if (colon == NULL) {
        transport_set_open_error("fault wants the transport it wraps: fault:KEY=VALUE,...:SPEC");
        return CKPT_ERR_CONFIG;
    }
    status = fault_plan_parse(arguments, (size_t)(colon - arguments), &plan);
    if (status != CKPT_OK) {
        return status;
    }
    status = transport_open(colon + 1, options, &inner);
    if (status != CKPT_OK) {
        return status;
    }
    status = fault_wrap(inner, &plan, options, transport_out);
    if (status != CKPT_OK) {
        transport_close(inner, NULL, NULL);
    }
    return status;
}
