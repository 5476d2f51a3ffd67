/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/ucx/hosts.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"

static bool is_listed(const char *devices, const char *name)
{
    size_t length = strlen(name);

    while (*devices != '\0') {
        size_t word = strcspn(devices, ",");
        if (word == length && memcmp(devices, name, length) == 0) {
            return true;
        }
        devices += word + (devices[word] == ',');
    }
    return false;
}

static bool is_loopback(const struct host *host)
{
    static const uint8_t six[16] = {[15] = 1};

    return host->family == 4 ? host->bytes[0] == 127 : memcmp(host->bytes, six, 16) == 0;
}

static bool from_interface(const struct ifaddrs *interface, uint8_t family, struct host *host_out)
{
    struct host host = {.family = family};

    if (interface->ifa_addr == NULL || (interface->ifa_flags & IFF_UP) == 0) {
        return false;
    }
    if (family == 4 && interface->ifa_addr->sa_family == AF_INET) {
        struct sockaddr_in four;
        memcpy(&four, interface->ifa_addr, sizeof(four));
        memcpy(host.bytes, &four.sin_addr, 4);
    } else if (family == 6 && interface->ifa_addr->sa_family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, interface->ifa_addr, sizeof(six));
        if (IN6_IS_ADDR_LINKLOCAL(&six.sin6_addr)) {
            return false;
        }
        memcpy(host.bytes, &six.sin6_addr, 16);
    } else {
        return false;
    }
    *host_out = host;
    return true;
}

/* Adds what devices lists, or everything when that is NULL. */
static void collect(const struct ifaddrs *interfaces, const char *devices, uint8_t family,
                    struct hosts *hosts)
{
    for (const struct ifaddrs *i = interfaces; i != NULL && hosts->count < HOSTS_MAX;
         i = i->ifa_next) {
        if ((devices == NULL || is_listed(devices, i->ifa_name)) &&
            from_interface(i, family, &hosts->entries[hosts->count])) {
            hosts->count++;
        }
    }
}

/* 16 bytes of text of the kernel's random id of this boot. */
static enum ckpt_status read_boot(uint8_t boot_out[HOSTS_BOOT_BYTES])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t bytes;

    if (fd < 0) {
        return CKPT_ERR_SYSTEM;
    }
    bytes = read(fd, boot_out, HOSTS_BOOT_BYTES);
    close(fd);
    return bytes == HOSTS_BOOT_BYTES ? CKPT_OK : CKPT_ERR_SYSTEM;
}

enum ckpt_status hosts_of_this_machine(const char *devices, struct hosts *hosts_out)
{
    struct hosts hosts = {0};
    struct ifaddrs *interfaces;

    if (read_boot(hosts.boot) != CKPT_OK || getifaddrs(&interfaces) != 0) {
        return CKPT_ERR_SYSTEM;
    }
    for (int pass = devices == NULL ? 1 : 0; pass < 2 && hosts.count == 0; pass++) {
        const char *names = pass == 0 ? devices : NULL;
        collect(interfaces, names, 4, &hosts);
        if (hosts.count == 0) {
            collect(interfaces, names, 6, &hosts);
        }
    }
    freeifaddrs(interfaces);
    if (hosts.count == 0) {
        return CKPT_ERR_SYSTEM;
    }
    hosts.port = hosts_out->port;
    *hosts_out = hosts;
    return CKPT_OK;
}

/* A bridge has a folder of its own settings. */
static bool is_bridge(const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/sys/class/net/%.16s/bridge", name);
    return access(path, F_OK) == 0;
}

bool hosts_are_on_bridges(const char *devices)
{
    struct ifaddrs *interfaces;
    bool bridges = false;
    bool others = false;

    if (getifaddrs(&interfaces) != 0) {
        return false;
    }
    for (const struct ifaddrs *i = interfaces; i != NULL; i = i->ifa_next) {
        struct host host;
        if ((devices != NULL && !is_listed(devices, i->ifa_name)) ||
            (!from_interface(i, 4, &host) && !from_interface(i, 6, &host))) {
            continue;
        }
        if (is_bridge(i->ifa_name)) {
            bridges = true;
        } else if (!is_loopback(&host)) {
            others = true;
        }
    }
    freeifaddrs(interfaces);
    return bridges && (devices != NULL || !others);
}

void hosts_leave_out_loopback(struct hosts *hosts)
{
    uint8_t kept = 0;

    for (size_t i = 0; i < hosts->count; i++) {
        if (!is_loopback(&hosts->entries[i])) {
            hosts->entries[kept++] = hosts->entries[i];
        }
    }
    hosts->count = kept;
}

size_t hosts_encode(const struct hosts *hosts, uint8_t *out)
{
    uint8_t *at = out + HOSTS_BOOT_BYTES + 3;

    memcpy(out, hosts->boot, HOSTS_BOOT_BYTES);
    store_le16(out + HOSTS_BOOT_BYTES, hosts->port);
    out[HOSTS_BOOT_BYTES + 2] = hosts->count;
    for (size_t i = 0; i < hosts->count; i++, at += 17) {
        at[0] = hosts->entries[i].family;
        memcpy(at + 1, hosts->entries[i].bytes, 16);
    }
    return (size_t)(at - out);
}

enum ckpt_status hosts_decode(const uint8_t *bytes, size_t count, struct hosts *hosts_out)
{
    struct hosts hosts = {0};
    const uint8_t *at = bytes + HOSTS_BOOT_BYTES + 3;

    if (count < HOSTS_BOOT_BYTES + 3) {
        return CKPT_ERR_PROTOCOL;
    }
    memcpy(hosts.boot, bytes, HOSTS_BOOT_BYTES);
    hosts.port = load_le16(bytes + HOSTS_BOOT_BYTES);
    hosts.count = bytes[HOSTS_BOOT_BYTES + 2];
    if (hosts.port == 0 || hosts.count == 0 || hosts.count > HOSTS_MAX ||
        count != HOSTS_BOOT_BYTES + 3 + hosts.count * (size_t)17) {
        return CKPT_ERR_PROTOCOL;
    }
    for (size_t i = 0; i < hosts.count; i++, at += 17) {
        if (at[0] != 4 && at[0] != 6) {
            return CKPT_ERR_PROTOCOL;
        }
        hosts.entries[i].family = at[0];
        memcpy(hosts.entries[i].bytes, at + 1, 16);
    }
    *hosts_out = hosts;
    return CKPT_OK;
}

static socklen_t to_socket_address(const struct host *host, uint16_t port,
                                   struct sockaddr_storage *address_out)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    memset(address_out, 0, sizeof(*address_out));
    if (host->family == 4) {
        memcpy(&four.sin_addr, host->bytes, 4);
        memcpy(address_out, &four, sizeof(four));
        return sizeof(four);
    }
    memcpy(&six.sin6_addr, host->bytes, 16);
    memcpy(address_out, &six, sizeof(six));
    return sizeof(six);
}

/* Leading bits that two addresses share; 0 when the families differ. */
static unsigned shared_bits(const struct host *a, const struct host *b)
{
    unsigned bits = 0;
    unsigned most = a->family == 4 ? 32 : 128;

    if (a->family != b->family) {
        return 0;
    }
    while (bits < most && ((a->bytes[bits / 8] ^ b->bytes[bits / 8]) & (0x80 >> (bits % 8))) == 0) {
        bits++;
    }
    return bits;
}

socklen_t hosts_choose(const struct hosts *peer, const struct hosts *own,
                       struct sockaddr_storage *address_out)
{
    bool here = memcmp(peer->boot, own->boot, HOSTS_BOOT_BYTES) == 0;
    const struct host *best = NULL;
    unsigned best_bits = 0;

    for (size_t i = 0; i < peer->count; i++) {
        const struct host *host = &peer->entries[i];
        if (is_loopback(host)) {
            if (here) {
                best = host;
                break;
            }
            continue;
        }
        if (best == NULL) {
            best = host;
        }
        /* The longest common prefix with an address of ours stands for the nearest subnet. */
        for (size_t j = 0; j < own->count; j++) {
            unsigned bits = is_loopback(&own->entries[j]) ? 0 : shared_bits(host, &own->entries[j]);
            if (bits > best_bits) {
                best = host;
                best_bits = bits;
            }
        }
    }
    return best != NULL ? to_socket_address(best, peer->port, address_out) : 0;
}

socklen_t hosts_listen_address(const struct hosts *own, struct sockaddr_storage *address_out)
{
    struct host any = {.family = own->entries[0].family};

    return to_socket_address(own->count == 1 ? &own->entries[0] : &any, own->port, address_out);
}
