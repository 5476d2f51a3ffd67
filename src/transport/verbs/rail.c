/* SPDX-License-Identifier: Apache-2.0 */
/* From devices to rails: names, ports, addresses, and what to say when there are none. */
#include "transport/verbs/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/nearest.h"

#define GIDS_MAX 256
#define NAMES_MAX 64

static const char *port_state(enum ibv_port_state state)
{
    return state == IBV_PORT_DOWN ? "DOWN" : ibv_port_state_str(state);
}

/* The address to use: RoCE v2, reachable from other networks; IPv4 before IPv6. */
static bool choose_gid(const struct ibv_gid_entry *entries, size_t count, uint8_t port,
                       struct ibv_gid_entry *entry_out)
{
    bool found = false;

    for (size_t i = 0; i < count; i++) {
        const struct ibv_gid_entry *entry = &entries[i];
        if (entry->port_num != port || entry->gid_type != IBV_GID_TYPE_ROCE_V2 ||
            entry->ndev_ifindex == 0 || !card_is_routable(entry->gid.raw)) {
            continue;
        }
        if (!found || (card_is_ipv4(entry->gid.raw) && !card_is_ipv4(entry_out->gid.raw))) {
            *entry_out = *entry;
            found = true;
        }
    }
    return found;
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

    if (count < 0 || !choose_gid(entries, (size_t)count, rail->port, &entry)) {
        transport_set_open_error("verbs: %s has no RoCE v2 address that is not link-local: give "
                                 "its network interface an IP address",
                                 rail->name);
        return CKPT_ERR_CONFIG;
    }
    memcpy(rail->card.gid, entry.gid.raw, 16);
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
        transport_set_open_error("verbs: %s takes messages of %u bytes only", rail->name,
                                 port.max_msg_sz);
        return CKPT_ERR_CONFIG;
    }
    rail->mtu = port.active_mtu;
    return CKPT_OK;
}

bool verbs_rail_look(struct verbs_rail *rail)
{
    struct ibv_port_attr port;
    bool up =
        ibv_query_port(rail->context, rail->port, &port) == 0 && port.state == IBV_PORT_ACTIVE;

    if (rail->up != up) {
        log_event(LOG_LEVEL_WARN, up ? "verbs_rail_up" : "verbs_rail_down", "rail=%s", rail->name);
        rail->up = up;
        rail->verbs->attention = true;
        rail->verbs->issue = true;
    }
    return up;
}

static bool make_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static void close_objects(struct verbs_rail *rail)
{
    if (rail->cq != NULL) {
        ibv_destroy_cq(rail->cq);
    }
    if (rail->channel != NULL) {
        ibv_destroy_comp_channel(rail->channel);
    }
    if (rail->pd != NULL) {
        ibv_dealloc_pd(rail->pd);
    }
    if (rail->context != NULL) {
        ibv_close_device(rail->context);
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

static enum ckpt_status open_rail(struct verbs *v, struct ibv_device *device, uint8_t port)
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
        close_objects(rail);
        return status;
    }
    v->rails_count++;
    return CKPT_OK;
}

static void report_unknown(struct ibv_device **devices, size_t count, const char *name)
{
    const char *names[NAMES_MAX];
    char known[160] = "";
    size_t used = 0, named = count < NAMES_MAX ? count : NAMES_MAX;
    const char *near;

    for (size_t i = 0; i < named && used < sizeof(known); i++) {
        names[i] = ibv_get_device_name(devices[i]);
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i == 0 ? "" : ", ",
                                 names[i]);
    }
    near = nearest_name(name, names, named);
    transport_set_open_error("verbs: no RDMA device \"%.40s\"%s%s%s; there are: %s", name,
                             near != NULL ? ", did you mean \"" : "", near != NULL ? near : "",
                             near != NULL ? "\"?" : "", known);
}

/* word is NAME or NAME:PORT. */
static enum ckpt_status open_named(struct verbs *v, struct ibv_device **devices, size_t count,
                                   char *word)
{
    char *colon = strchr(word, ':');
    unsigned long port = 1;
    char *end = NULL;

    if (colon != NULL) {
        *colon = '\0';
        port = strtoul(colon + 1, &end, 10);
        if (end == colon + 1 || *end != '\0' || port == 0 || port > UINT8_MAX) {
            transport_set_open_error("verbs: %.40s:%.20s is no port number", word, colon + 1);
            return CKPT_ERR_CONFIG;
        }
    }
    if (v->rails_count == VERBS_RAILS_MAX) {
        transport_set_open_error("verbs: more than %d rails", VERBS_RAILS_MAX);
        return CKPT_ERR_CONFIG;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(ibv_get_device_name(devices[i]), word) == 0) {
            return open_rail(v, devices[i], (uint8_t)port);
        }
    }
    report_unknown(devices, count, word);
    return CKPT_ERR_CONFIG;
}

/* names is a list with '+' or ',' between. */
static enum ckpt_status open_list(struct verbs *v, struct ibv_device **devices, size_t count,
                                  const char *names)
{
    char *copy = strdup(names), *rest = copy, *word;
    enum ckpt_status status = copy != NULL ? CKPT_OK : CKPT_ERR_MEMORY;

    while (status == CKPT_OK && (word = strsep(&rest, "+,")) != NULL) {
        status = open_named(v, devices, count, word);
    }
    free(copy);
    return status;
}

/* All ports that can be used; the first reason why one cannot is told when there is none. */
static enum ckpt_status open_all(struct verbs *v, struct ibv_device **devices, size_t count)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    enum ckpt_status status, first = CKPT_OK;

    for (size_t i = 0; i < count; i++) {
        for (unsigned port = 1; v->rails_count < VERBS_RAILS_MAX; port++) {
            uint32_t before = v->rails_count;
            status = open_rail(v, devices[i], (uint8_t)port);
            if (status != CKPT_OK && first == CKPT_OK) {
                first = status;
                snprintf(reason, sizeof(reason), "%s", transport_open_error());
            }
            const struct ibv_device_attr *attributes = &v->rails[before].device;
            if (port >= attributes->phys_port_cnt || port == UINT8_MAX) {
                break;
            }
        }
    }
    if (v->rails_count != 0) {
        return CKPT_OK;
    }
    transport_set_open_error("%s", reason);
    return first;
}

/* The smallest segment has to fit, on every rail. */
static enum ckpt_status check_memlock(const struct verbs *v)
{
    struct rlimit limit;
    uint64_t least = v->rails_count * 2 * CKPT_SEGMENT_BYTES_MIN;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur >= least || geteuid() == 0) {
        return CKPT_OK;
    }
    transport_set_open_error("verbs: at most %ju KiB may be locked, and each of %u rails locks all "
                             "registered memory: set LimitMEMLOCK=infinity in the unit, or "
                             "\"ulimit -l unlimited\"",
                             (uintmax_t)(limit.rlim_cur / CKPT_KIB), v->rails_count);
    return CKPT_ERR_CONFIG;
}

enum ckpt_status verbs_devices_check(void)
{
    int count = 0;
    struct ibv_device **devices = ibv_get_device_list(&count);

    if (devices != NULL) {
        ibv_free_device_list(devices);
    }
    if (count == 0) {
        transport_set_open_error("verbs: this machine has no RDMA device (ibv_devices shows none): "
                                 "load its driver, or use transport ucx");
        return CKPT_ERR_CONFIG;
    }
    return CKPT_OK;
}

enum ckpt_status verbs_rails_open(struct verbs *v, const char *names,
                                  const struct transport_options *options)
{
    int count = 0;
    struct ibv_device **devices = ibv_get_device_list(&count);
    enum ckpt_status status;

    if (devices == NULL) {
        transport_set_open_error("verbs: listing RDMA devices: %s", strerror(errno));
        status = CKPT_ERR_SYSTEM;
    } else if (names != NULL || options->devices != NULL) {
        status = open_list(v, devices, (size_t)count, names != NULL ? names : options->devices);
    } else {
        status = open_all(v, devices, (size_t)count);
    }
    if (devices != NULL) {
        ibv_free_device_list(devices);
    }
    if (status == CKPT_OK) {
        status = check_memlock(v);
    }
    for (uint32_t i = 0; i < v->rails_count && status == CKPT_OK; i++) {
        status = verbs_rail_listen(&v->rails[i], options->port);
    }
    if (status != CKPT_OK) {
        verbs_rails_close(v);
    }
    return status;
}

enum ckpt_status verbs_rail_listen(struct verbs_rail *rail, uint16_t port)
{
    struct sockaddr_storage address = rail->address;

    /* The port has the same place in addresses of both families. */
    ((struct sockaddr_in *)(void *)&address)->sin_port = htons(port);
    if (rdma_create_id(rail->verbs->events, &rail->listener, &rail->party, RDMA_PS_TCP) != 0) {
        rail->listener = NULL;
    } else if (rdma_bind_addr(rail->listener, (struct sockaddr *)&address) == 0 &&
               rdma_listen(rail->listener, 128) == 0) {
        rail->card.port = ntohs(rdma_get_src_port(rail->listener));
        return CKPT_OK;
    }
    transport_set_open_error("verbs: listening on %s at port %u: %s", rail->name, port,
                             strerror(errno));
    return CKPT_ERR_SYSTEM;
}

void verbs_rails_close(struct verbs *v)
{
    for (uint32_t i = 0; i < v->rails_count; i++) {
        if (v->rails[i].listener != NULL) {
            rdma_destroy_id(v->rails[i].listener);
            v->rails[i].listener = NULL;
        }
        close_objects(&v->rails[i]);
    }
    v->rails_count = 0;
}
