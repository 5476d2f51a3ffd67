/* SPDX-License-Identifier: Apache-2.0 */
/* Argument checks in front of the backends' tables, and the base object they share. */
#include "transport/backend.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

uint64_t transport_random_id(void)
{
    uint64_t id = 0;

    while (id == 0) {
        if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id)) {
            id = 0;
        }
    }
    return id;
}

enum ckpt_status transport_base_watch(struct transport *t, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(t->event_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? CKPT_OK : CKPT_ERR_SYSTEM;
}

enum ckpt_status transport_base_open(struct transport *t, const struct transport_ops *ops,
                                     const char *backend)
{
    t->ops = ops;
    t->backend = backend;
    t->armed = false;
    t->event_fd = epoll_create1(EPOLL_CLOEXEC);
    if (t->event_fd < 0) {
        goto fail;
    }
    t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (t->wake_fd < 0) {
        goto close_event;
    }
    t->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (t->timer_fd < 0) {
        goto close_wake;
    }
    if (transport_base_watch(t, t->wake_fd) != CKPT_OK ||
        transport_base_watch(t, t->timer_fd) != CKPT_OK) {
        goto close_timer;
    }
    return CKPT_OK;

close_timer:
    close(t->timer_fd);
close_wake:
    close(t->wake_fd);
close_event:
    close(t->event_fd);
fail:
    transport_set_open_error("%s: no descriptors for the event loop (errno %d)", backend, errno);
    return CKPT_ERR_SYSTEM;
}

void transport_base_close(struct transport *t)
{
    close(t->timer_fd);
    close(t->wake_fd);
    close(t->event_fd);
}

/* Reads a counter descriptor back to zero; that it was zero already is no error. */
static void drain(int fd)
{
    uint64_t value;
    ssize_t result;

    do {
        result = read(fd, &value, sizeof(value));
    } while (result < 0 && errno == EINTR);
}

void transport_base_disarm(struct transport *t)
{
    if (t->armed) {
        t->armed = false;
        drain(t->wake_fd);
        drain(t->timer_fd);
    }
}

void transport_base_set_armed(struct transport *t, uint64_t deadline_ns)
{
    struct itimerspec timer = {0};

    if (deadline_ns != UINT64_MAX) {
        timer.it_value.tv_sec = (time_t)(deadline_ns / NS_PER_S);
        timer.it_value.tv_nsec = (long)(deadline_ns % NS_PER_S);
    }
    timerfd_settime(t->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL);
    t->armed = true;
}

void transport_wake(struct transport *t)
{
    uint64_t one = 1;
    int saved = errno;

    /* EAGAIN means that the counter is full: the descriptor is readable, which is all that is
     * wanted. */
    if (write(t->wake_fd, &one, sizeof(one)) < 0) {
        errno = saved;
    }
}

void transport_close(struct transport *t, transport_sink *sink, void *context)
{
    if (t != NULL) {
        t->ops->close(t, sink, context);
    }
}

enum ckpt_status transport_register(struct transport *t, const struct transport_memory *memory,
                                    struct transport_region **region_out)
{
    uintptr_t address = (uintptr_t)memory->address;

    if (memory->bytes == 0 || (address == 0 && !memory->dmabuf) ||
        memory->bytes > UINTPTR_MAX - address) {
        return CKPT_ERR_INVALID;
    }
    return t->ops->register_memory(t, memory, region_out);
}

enum ckpt_status transport_deregister(struct transport_region *region)
{
    if (region->reads_in_flight != 0) {
        return CKPT_ERR_INVALID;
    }
    return region->transport->ops->deregister(region);
}

enum ckpt_status transport_export(struct transport_region *region,
                                  uint8_t descriptor_out[CKPT_DESCRIPTOR_MAX], size_t *bytes_out)
{
    return region->transport->ops->export_region(region, descriptor_out, bytes_out);
}

enum ckpt_status transport_revoke(struct transport_region *region, uint64_t generation)
{
    if (generation <= __atomic_load_n(region->generation, __ATOMIC_RELAXED)) {
        return CKPT_ERR_INVALID;
    }
    /* Before any later store of the owner to the region: a reader that sees new bytes and then
     * looks at the generation finds the new one. */
    __atomic_store_n(region->generation, generation, __ATOMIC_SEQ_CST);
    return CKPT_OK;
}

enum ckpt_status transport_address(struct transport *t,
                                   uint8_t address_out[CKPT_WORKER_ADDRESS_MAX], size_t *bytes_out)
{
    return t->ops->address(t, address_out, bytes_out);
}

enum ckpt_status transport_connect(struct transport *t, const uint8_t *address,
                                   size_t address_bytes, uint64_t cookie,
                                   struct transport_endpoint **endpoint_out)
{
    struct transport_endpoint *endpoint;
    enum ckpt_status status;

    if (address == NULL || address_bytes > CKPT_WORKER_ADDRESS_MAX) {
        return CKPT_ERR_PROTOCOL;
    }
    status = t->ops->connect(t, address, address_bytes, &endpoint);
    if (status == CKPT_OK) {
        endpoint->transport = t;
        endpoint->cookie = cookie;
        *endpoint_out = endpoint;
    }
    return status;
}

void transport_disconnect(struct transport_endpoint *endpoint)
{
    if (!endpoint->disconnecting) {
        endpoint->disconnecting = true;
        endpoint->transport->ops->disconnect(endpoint);
    }
}

enum ckpt_status transport_read(const struct transport_read_request *request)
{
    const struct transport_endpoint *endpoint = request->endpoint;
    const struct transport_region *local = request->local;

    if (endpoint->disconnecting || local->transport != endpoint->transport || local->read_only ||
        request->local_offset > local->bytes ||
        request->bytes > local->bytes - request->local_offset) {
        return CKPT_ERR_INVALID;
    }
    if (request->bytes > endpoint->transport->capabilities.read_bytes_max) {
        return CKPT_ERR_TOO_LARGE;
    }
    if (request->descriptor == NULL || request->descriptor_bytes > CKPT_DESCRIPTOR_MAX) {
        return CKPT_ERR_PROTOCOL;
    }
    return endpoint->transport->ops->read(request);
}

size_t transport_progress(struct transport *t, struct transport_completion *done, size_t done_max)
{
    assert(done_max != 0);
    return t->ops->progress(t, done, done_max);
}

struct transport_rails transport_rails(const struct transport *t)
{
    struct transport_rails none = {0, 0};

    return t->ops->rails != NULL ? t->ops->rails(t) : none;
}

bool transport_arm(struct transport *t)
{
    return t->ops->arm(t);
}

int transport_event_fd(const struct transport *t)
{
    return t->event_fd;
}
