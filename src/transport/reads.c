/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/backend.h"
#include "base/clock.h"

#include <stdlib.h>

static void append(struct read_list *list, struct read_slot *slot)
{
    slot->previous = list->last;
    slot->next = NULL;
    if (list->last != NULL) {
        list->last->next = slot;
    } else {
        list->first = slot;
    }
    list->last = slot;
}

static void detach(struct read_list *list, struct read_slot *slot)
{
    if (slot->previous != NULL) {
        slot->previous->next = slot->next;
    } else {
        list->first = slot->next;
    }
    if (slot->next != NULL) {
        slot->next->previous = slot->previous;
    } else {
        list->last = slot->previous;
    }
}

enum ckpt_status reads_open(struct read_table *reads, const struct transport_options *options,
                            size_t record_bytes)
{
    uint32_t count =
        options->in_flight_max != 0 ? options->in_flight_max : TRANSPORT_IN_FLIGHT_DEFAULT;
    uint32_t timeout_ms =
        options->timeout_ms != 0 ? options->timeout_ms : TRANSPORT_TIMEOUT_MS_DEFAULT;

    if (count > TRANSPORT_IN_FLIGHT_MAX) {
        transport_set_open_error("in_flight_max %u is above %u", count, TRANSPORT_IN_FLIGHT_MAX);
        return CKPT_ERR_CONFIG;
    }
    *reads = (struct read_table){.record_bytes = record_bytes,
                                 .count = count,
                                 .timeout_ns = (uint64_t)timeout_ms * UINT64_C(1000000)};
    reads->records = calloc(count, record_bytes);
    if (reads->records == NULL) {
        return CKPT_ERR_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct read_slot *slot = (struct read_slot *)(void *)(reads->records + i * record_bytes);
        slot->index = i;
        append(&reads->idle, slot);
    }
    return CKPT_OK;
}

void reads_close(struct read_table *reads)
{
    free(reads->records);
    reads->records = NULL;
}

struct read_slot *reads_begin(struct read_table *reads,
                              const struct transport_read_request *request)
{
    struct read_slot *slot = reads->idle.first;

    if (slot == NULL) {
        return NULL;
    }
    detach(&reads->idle, slot);
    slot->endpoint = request->endpoint;
    slot->local = request->local;
    slot->cookie = request->cookie;
    slot->status = CKPT_OK;
    if (slot->endpoint->reads_in_flight++ == 0) {
        slot->endpoint->heard_ns = clock_now_ns();
    }
    slot->local->reads_in_flight++;
    append(&reads->in_flight, slot);
    return slot;
}

static void settle(struct read_table *reads, struct read_slot *slot, struct read_list *list)
{
    detach(&reads->in_flight, slot);
    slot->endpoint->reads_in_flight--;
    slot->local->reads_in_flight--;
    append(list, slot);
}

void reads_abandon(struct read_table *reads, struct read_slot *slot)
{
    settle(reads, slot, &reads->idle);
}

void reads_finish(struct read_table *reads, struct read_slot *slot, enum ckpt_status status)
{
    slot->status = status;
    settle(reads, slot, &reads->done);
}

void reads_fail(struct read_table *reads, const struct transport_endpoint *endpoint,
                enum ckpt_status status)
{
    struct read_slot *next;

    for (struct read_slot *slot = reads->in_flight.first; slot != NULL; slot = next) {
        next = slot->next;
        if (endpoint == NULL || slot->endpoint == endpoint) {
            reads_finish(reads, slot, status);
        }
    }
}

void reads_add_endpoint(struct read_table *reads, struct transport_endpoint *endpoint)
{
    endpoint->next = reads->endpoints;
    reads->endpoints = endpoint;
}

void reads_report_gone(struct read_table *reads, struct transport_endpoint *endpoint)
{
    endpoint->gone = true;
    reads->gone++;
}

/* Takes the first endpoint that is gone out of the list. */
static struct transport_endpoint *take_gone(struct read_table *reads)
{
    struct transport_endpoint **link = &reads->endpoints;
    struct transport_endpoint *endpoint;

    while (!(*link)->gone) {
        link = &(*link)->next;
    }
    endpoint = *link;
    *link = endpoint->next;
    reads->gone--;
    return endpoint;
}

size_t reads_take(struct read_table *reads, struct transport_completion *done, size_t done_max,
                  void (*release)(struct transport_endpoint *endpoint))
{
    size_t count = 0;

    while (count < done_max && reads->done.first != NULL) {
        struct read_slot *slot = reads->done.first;
        detach(&reads->done, slot);
        append(&reads->idle, slot);
        done[count++] = (struct transport_completion){
            .cookie = slot->cookie, .kind = TRANSPORT_READ, .status = slot->status};
    }
    /* After all reads, so that an endpoint's disconnection is the last that is heard of it. */
    while (count < done_max && reads->gone != 0) {
        struct transport_endpoint *endpoint = take_gone(reads);
        done[count++] = (struct transport_completion){
            .cookie = endpoint->cookie, .kind = TRANSPORT_DISCONNECTED, .status = CKPT_OK};
        release(endpoint);
    }
    return count;
}

bool reads_ready(const struct read_table *reads)
{
    return reads->done.first != NULL || reads->gone != 0;
}

static uint64_t deadline_of(const struct read_table *reads,
                            const struct transport_endpoint *endpoint)
{
    return endpoint->reads_in_flight != 0 ? endpoint->heard_ns + reads->timeout_ns : UINT64_MAX;
}

uint64_t reads_deadline_ns(const struct read_table *reads)
{
    uint64_t earliest = UINT64_MAX;

    if (reads->in_flight.first != NULL) {
        for (struct transport_endpoint *e = reads->endpoints; e != NULL; e = e->next) {
            uint64_t deadline = deadline_of(reads, e);
            earliest = deadline < earliest ? deadline : earliest;
        }
    }
    return earliest;
}

/* A thread that comes much later than its deadline did not run meanwhile, and heard nobody: all get
 * their time anew. */
static bool was_asleep(struct read_table *reads, uint64_t now_ns)
{
    uint64_t due_ns = reads_deadline_ns(reads);
    uint64_t since_ns = due_ns > reads->looked_ns ? due_ns : reads->looked_ns;
    bool asleep =
        reads->looked_ns != 0 && now_ns > since_ns && now_ns - since_ns > reads->timeout_ns / 2;
    reads->looked_ns = now_ns;
    return asleep;
}

struct transport_endpoint *reads_silent_endpoint(struct read_table *reads, uint64_t now_ns)
{
    struct transport_endpoint *endpoint = reads->endpoints;
    bool asleep = was_asleep(reads, now_ns);

    for (struct transport_endpoint *e = endpoint; asleep && e != NULL; e = e->next) {
        e->heard_ns = now_ns;
    }
    while (endpoint != NULL && deadline_of(reads, endpoint) > now_ns) {
        endpoint = endpoint->next;
    }
    return endpoint;
}

void reads_drain(struct read_table *reads, transport_sink *sink, void *context,
                 void (*release)(struct transport_endpoint *endpoint))
{
    reads_fail(reads, NULL, CKPT_ERR_LINK);
    while (reads->done.first != NULL) {
        struct read_slot *slot = reads->done.first;
        struct transport_completion completion = {
            .cookie = slot->cookie, .kind = TRANSPORT_READ, .status = slot->status};
        detach(&reads->done, slot);
        append(&reads->idle, slot);
        if (sink != NULL) {
            sink(context, &completion);
        }
    }
    while (reads->endpoints != NULL) {
        struct transport_endpoint *endpoint = reads->endpoints;
        reads->endpoints = endpoint->next;
        release(endpoint);
    }
}
