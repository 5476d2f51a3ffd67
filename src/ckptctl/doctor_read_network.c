/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/doctor_read_network.h"

#include <dirent.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session/address.h"

#define GIDS_MAX 256
#define PATH_BYTES 1024

/* The first line of a file; false, with errno, when it has none. */
static bool read_line(const char *folder, const char *name, char *line_out, size_t size)
{
    char path[PATH_BYTES + 64];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    bool is_read = file != NULL && fgets(line_out, (int)size, file) != NULL;
    if (file != NULL) {
        (void)fclose(file);
    }
    if (is_read) {
        line_out[strcspn(line_out, "\n")] = '\0';
    }
    return is_read;
}

static uint32_t read_mtu(const char *root, const char *interface)
{
    char folder[PATH_BYTES];
    char line[32];
    (void)snprintf(folder, sizeof(folder), "%s/sys/class/net/%s", root, interface);
    return read_line(folder, "mtu", line, sizeof(line)) ? (uint32_t)strtoul(line, NULL, 10) : 0;
}

static bool is_routable(const char *gid)
{
    return strncmp(gid, "fe80:", 5) != 0 && strspn(gid, "0:") != strlen(gid);
}

/* The first entry of RoCE v2 with an address that leads somewhere. */
static void read_gids(const char *folder, struct doctor_port *port)
{
    for (int i = 0; i < GIDS_MAX && !port->has_address; i++) {
        char name[64];
        char type[64];
        char gid[64];
        (void)snprintf(name, sizeof(name), "gids/%d", i);
        if (!read_line(folder, name, gid, sizeof(gid))) {
            break;
        }
        (void)snprintf(name, sizeof(name), "gid_attrs/ndevs/%d", i);
        bool has_interface = read_line(folder, name, port->interface, sizeof(port->interface));
        (void)snprintf(name, sizeof(name), "gid_attrs/types/%d", i);
        port->has_address = has_interface && is_routable(gid) &&
                            read_line(folder, name, type, sizeof(type)) &&
                            strcmp(type, "RoCE v2") == 0;
    }
}

static void read_port(const char *root, const char *device, const char *number,
                      struct doctor_port *port_out)
{
    char folder[PATH_BYTES];
    char line[64];
    struct doctor_port port = {.number = (uint32_t)strtoul(number, NULL, 10)};
    (void)snprintf(port.device, sizeof(port.device), "%.63s", device);
    (void)snprintf(folder, sizeof(folder), "%s/sys/class/infiniband/%s/ports/%s", root, device,
                   number);
    port.is_up = read_line(folder, "state", line, sizeof(line)) && strstr(line, "ACTIVE") != NULL;
    port.is_infiniband =
        read_line(folder, "link_layer", line, sizeof(line)) && strcmp(line, "InfiniBand") == 0;
    read_gids(folder, &port);
    port.mtu = port.interface[0] != '\0' ? read_mtu(root, port.interface) : 0;
    *port_out = port;
}

/* The entries of a folder, in the order of their names; their count. */
static int list(const char *folder, struct dirent ***entries_out)
{
    int count = scandir(folder, entries_out, NULL, alphasort);
    return count > 0 ? count : 0;
}

static void read_device(const char *root, const char *device, struct doctor_network *network)
{
    char folder[PATH_BYTES];
    struct dirent **ports = NULL;
    (void)snprintf(folder, sizeof(folder), "%s/sys/class/infiniband/%s/ports", root, device);
    int count = list(folder, &ports);
    for (int i = 0; i < count; i++) {
        if (ports[i]->d_name[0] != '.' && network->port_count < DOCTOR_PORTS_MAX) {
            read_port(root, device, ports[i]->d_name, &network->ports[network->port_count++]);
        }
        free(ports[i]);
    }
    free(ports);
}

void doctor_read_ports(const char *root, struct doctor_network *network)
{
    char folder[PATH_BYTES];
    struct dirent **entries = NULL;
    (void)snprintf(folder, sizeof(folder), "%s/sys/class/infiniband", root);
    int count = list(folder, &entries);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            read_device(root, entries[i]->d_name, network);
        }
        free(entries[i]);
    }
    free(entries);
    entries = NULL;
    (void)snprintf(folder, sizeof(folder), "%s/dev/infiniband", root);
    count = list(folder, &entries);
    for (int i = 0; i < count; i++) {
        network->user_devices += strncmp(entries[i]->d_name, "uverbs", 6) == 0;
        free(entries[i]);
    }
    free(entries);
}

/* Our own address on the way there, as the routes say it. */
static bool read_way(const char *to, struct address *own_out)
{
    struct address there;
    char reason[CKPT_REASON_MAX + 1];
    if (!address_is_number(to) || address_resolve(to, false, &there, reason) != CKPT_OK) {
        return false;
    }
    int fd = socket(there.socket.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    own_out->bytes = sizeof(own_out->socket);
    bool is_known = fd >= 0 &&
                    connect(fd, (const struct sockaddr *)&there.socket, there.bytes) == 0 &&
                    getsockname(fd, (struct sockaddr *)&own_out->socket, &own_out->bytes) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return is_known;
}

static bool is_same_host(const struct sockaddr *a, const struct sockaddr_storage *b)
{
    if (a == NULL || a->sa_family != b->ss_family) {
        return false;
    }
    if (a->sa_family == AF_INET) {
        return memcmp(&((const struct sockaddr_in *)a)->sin_addr,
                      &((const struct sockaddr_in *)b)->sin_addr, sizeof(struct in_addr)) == 0;
    }
    return a->sa_family == AF_INET6 &&
           memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

void doctor_read_interface(const char *root, const struct doctor_settings *settings,
                           struct doctor_network *network)
{
    struct address own;
    struct ifaddrs *all = NULL;
    const char *to = address_is_any(settings->listen) ? settings->coordinator : settings->listen;
    if (!read_way(to, &own) || getifaddrs(&all) != 0) {
        return;
    }
    for (const struct ifaddrs *at = all; at != NULL; at = at->ifa_next) {
        if (network->interface[0] == '\0' && is_same_host(at->ifa_addr, &own.socket)) {
            (void)snprintf(network->interface, sizeof(network->interface), "%s", at->ifa_name);
            network->mtu = read_mtu(root, network->interface);
        }
    }
    freeifaddrs(all);
}
