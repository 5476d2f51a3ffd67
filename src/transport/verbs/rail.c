/* SPDX-License-Identifier: Apache-2.0 */
/* One rail: the port, its address, its objects, and what to say when it cannot be used. */
#include "transport/verbs/rail.h"
#include "transport/verbs/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "transport/verbs/gid.h"

#define GIDS_MAX 256
#define ADDRESS_WAIT_NS UINT64_C(3000000000)

static const char *port_state(enum ibv_port_state state)
{
    return state == IBV_PORT_DOWN ? "DOWN" : ibv_port_state_str(state);
}

static void set_address(struct verbs_rail *rail)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};

    if (card_is_ipv4(rail->card.gid)) {
        memcpy(&four.sin_addr, rail->card.gid + 12, 4);
        memcpy(&rail->address, &four, sizeof(four));
    } else {
        memcpy(&six.sin6_addr, rail->card.gid, 16);
        memcpy(&rail->address, &six, sizeof(six));
    }
}

static enum ckpt_status find_address(struct verbs_rail *rail)
{
    struct ibv_gid_entry entries[GIDS_MAX], entry;
    ssize_t count = ibv_query_gid_table(rail->context, entries, GIDS_MAX, 0);

    if (count < 0 || !verbs_gid_choose(entries, (size_t)count, rail->port, &entry)) {
        transport_set_open_error("verbs: %s has no RoCE v2 address that is not link-local: give "
                                 "its network interface an IP address",
                                 rail->name);
        return CKPT_ERR_CONFIG;
    }
    memcpy(rail->card.gid, entry.gid.raw, 16);
    rail->interface = entry.ndev_ifindex;
    set_address(rail);
    return CKPT_OK;
}

static enum ckpt_status check_port(struct verbs_rail *rail)
{
    struct ibv_port_attr port;

    if (ibv_query_port(rail->context, rail->port, &port) != 0) {
        transport_set_open_error("verbs: %s has no such port", rail->name);
        return CKPT_ERR_CONFIG;
    }
    if (port.link_layer != IBV_LINK_LAYER_ETHERNET) {
        transport_set_open_error("verbs: %s is InfiniBand; only RoCE is supported: use transport "
                                 "ucx on it",
                                 rail->name);
        return CKPT_ERR_CONFIG;
    }
    if (port.state != IBV_PORT_ACTIVE) {
        transport_set_open_error("verbs: %s is %s: bring the link of its network interface up",
                                 rail->name, port_state(port.state));
        return CKPT_ERR_CONFIG;
    }
    if (port.max_msg_sz < VERBS_SLICE_BYTES) {
        transport_set_open_error("verbs: %s takes messages of at most %u bytes, and slices are 1 "
                                 "MiB: use transport ucx on it",
                                 rail->name, port.max_msg_sz);
        return CKPT_ERR_CONFIG;
    }
    rail->mtu = port.active_mtu;
    return CKPT_OK;
}

bool verbs_rail_look(struct verbs_rail *rail)
{
    struct ibv_port_attr port;
    bool up = !rail->removed && ibv_query_port(rail->context, rail->port, &port) == 0 &&
              port.state == IBV_PORT_ACTIVE;

    if (rail->up != up) {
        log_event(up ? EVENT_verbs_rail_up : EVENT_verbs_rail_down, "rail=%s", rail->name);
        rail->up = up;
        rail->stirred_ns = clock_now_ns();
        rail->silent = false;
        rail->verbs->attention = true;
        rail->verbs->issue = true;
    }
    return up;
}

/* When it is taken down its routes go first, and the port says a moment later that it is down. */
static bool interface_is_up(const struct verbs_rail *rail)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool up = true; /* the port says more, where this cannot be asked */

    if (fd >= 0 && if_indextoname(rail->interface, request.ifr_name) != NULL &&
        ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
        up = (request.ifr_flags & IFF_UP) != 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    return up;
}

bool verbs_rail_had_way_out(struct verbs_rail *rail, uint64_t now_ns)
{
    return verbs_rail_look(rail) && interface_is_up(rail) &&
           (rail->stirred_ns == 0 || now_ns > rail->stirred_ns + VERBS_STIR_NS);
}

static bool make_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

void verbs_rail_close(struct verbs_rail *rail)
{
    if (rail->listener != NULL) {
        rdma_destroy_id(rail->listener);
        rail->listener = NULL;
    }
    if (rail->cq != NULL) {
        ibv_destroy_cq(rail->cq);
        rail->cq = NULL;
    }
    if (rail->channel != NULL) {
        ibv_destroy_comp_channel(rail->channel);
        rail->channel = NULL;
    }
    if (rail->pd != NULL) {
        ibv_dealloc_pd(rail->pd);
        rail->pd = NULL;
    }
    if (rail->context != NULL) {
        ibv_close_device(rail->context);
        rail->context = NULL;
    }
}

static enum ckpt_status make_objects(struct verbs_rail *rail)
{
    struct transport *t = &rail->verbs->base;

    rail->pd = ibv_alloc_pd(rail->context);
    rail->channel = ibv_create_comp_channel(rail->context);
    if (rail->pd != NULL && rail->channel != NULL) {
        rail->cq = ibv_create_cq(rail->context, VERBS_WORKS_MAX, NULL, rail->channel, 0);
    }
    if (rail->channel == NULL || rail->cq == NULL || !make_nonblocking(rail->channel->fd) ||
        !make_nonblocking(rail->context->async_fd) ||
        transport_base_watch(t, rail->channel->fd) != CKPT_OK ||
        transport_base_watch(t, rail->context->async_fd) != CKPT_OK) {
        transport_set_open_error("verbs: %s: %s", rail->name, strerror(errno));
        return CKPT_ERR_SYSTEM;
    }
    return CKPT_OK;
}

enum ckpt_status verbs_rail_open(struct verbs *v, struct ibv_device *device, uint8_t port)
{
    struct verbs_rail *rail = &v->rails[v->rails_count];
    enum ckpt_status status;

    *rail = (struct verbs_rail){
        .party = {VERBS_LISTENER}, .verbs = v, .index = v->rails_count, .port = port, .up = true};
    snprintf(rail->name, sizeof(rail->name), "%.50s:%u", ibv_get_device_name(device), port);
    rail->context = ibv_open_device(device);
    if (rail->context == NULL || ibv_query_device(rail->context, &rail->device) != 0) {
        transport_set_open_error("verbs: %s cannot be opened: %s (is /dev/infiniband readable and "
                                 "writable for this user?)",
                                 rail->name, strerror(errno));
        status = CKPT_ERR_SYSTEM;
    } else {
        status = check_port(rail);
    }
    if (status == CKPT_OK) {
        status = find_address(rail);
    }
    if (status == CKPT_OK) {
        status = make_objects(rail);
    }
    if (status != CKPT_OK) {
        verbs_rail_close(rail);
        return status;
    }
    v->rails_count++;
    return CKPT_OK;
}

/* A new IPv6 address is in the device's table while the kernel still asks whether somebody else has
 * it (about a second, at boot or when the link comes up), and cannot be listened at before. */
static bool bind_to(struct verbs_rail *rail, struct sockaddr *address)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    uint64_t end = clock_now_ns() + ADDRESS_WAIT_NS;

    while (rdma_bind_addr(rail->listener, address) != 0) {
        if (errno != EADDRNOTAVAIL || card_is_ipv4(rail->card.gid) || clock_now_ns() > end) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}

enum ckpt_status verbs_rail_listen(struct verbs_rail *rail, uint16_t port)
{
    struct sockaddr_storage address = rail->address;

    /* The port has the same place in addresses of both families. */
    ((struct sockaddr_in *)(void *)&address)->sin_port = htons(port);
    if (rdma_create_id(rail->verbs->events, &rail->listener, &rail->party, RDMA_PS_TCP) != 0) {
        rail->listener = NULL;
    } else if (bind_to(rail, (struct sockaddr *)&address) &&
               rdma_listen(rail->listener, 128) == 0) {
        rail->card.port = ntohs(rdma_get_src_port(rail->listener));
        return CKPT_OK;
    }
    transport_set_open_error("verbs: listening on %s at port %u: %s", rail->name, port,
                             strerror(errno));
    return CKPT_ERR_SYSTEM;
}
