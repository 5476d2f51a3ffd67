/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/doctor_network.h"

#include <inttypes.h>
#include <string.h>

/* A frame of 4096 bytes, the largest of RoCE, with its headers. */
#define MTU_ROCE 4200
#define MTU_JUMBO 9000

static bool is_spec(const struct doctor_settings *settings, const char *name)
{
    size_t length = strlen(name);
    return strncmp(settings->spec, name, length) == 0 &&
           (settings->spec[length] == '\0' || settings->spec[length] == ':');
}

static bool lists(const char *list, const char *word)
{
    static const char between[] = "+,: ";
    size_t length = strlen(word);
    const char *at = list + strspn(list, between);
    while (*at != '\0') {
        size_t bytes = strcspn(at, between);
        if (bytes == length && memcmp(at, word, length) == 0) {
            return true;
        }
        at += bytes;
        at += strspn(at, between);
    }
    return false;
}

/* Where the configuration names devices, the others do not matter. */
static bool is_used(const struct doctor_settings *settings, const char *device)
{
    const char *named = strchr(settings->spec, ':');
    if (is_spec(settings, "verbs") && named != NULL) {
        return lists(named + 1, device);
    }
    return settings->devices[0] == '\0' || lists(settings->devices, device);
}

static bool is_usable(const struct doctor_port *port)
{
    return port->is_up && !port->is_infiniband && port->has_address;
}

static size_t count_usable(const struct doctor_settings *settings,
                           const struct doctor_network *network)
{
    size_t count = 0;
    for (size_t i = 0; i < network->port_count; i++) {
        count += is_used(settings, network->ports[i].device) && is_usable(&network->ports[i]);
    }
    return count;
}

bool doctor_is_pinned(const struct doctor_settings *settings, const struct doctor_network *network)
{
    return is_spec(settings, "verbs") || strcmp(settings->spec, "ucx:rc") == 0 ||
           (is_spec(settings, "auto") && count_usable(settings, network) > 0);
}

static void judge_mtu(const struct doctor_port *port, struct findings *findings)
{
    if (port->interface[0] == '\0' || port->mtu == 0) {
        findings_add(findings, FINDING_UNKNOWN, "mtu", "the network interface of %s is not known",
                     port->device);
    } else if (port->mtu >= MTU_ROCE) {
        findings_add(findings, FINDING_OK, "mtu", "%s of %s: %" PRIu32, port->interface,
                     port->device, port->mtu);
    } else {
        findings_add(findings, FINDING_WARNING, "mtu",
                     "%s of %s: %" PRIu32 ", and RoCE sends frames of 4096 bytes from %d on",
                     port->interface, port->device, port->mtu, MTU_ROCE);
        findings_fix(findings,
                     "ip link set dev %s mtu %d   (and as much at the switch and all "
                     "peers)",
                     port->interface, MTU_JUMBO);
    }
}

/* bad: of a port that does not work, with the only transport that there may be, or beside one. */
static void judge_port(const struct doctor_port *port, enum finding_level bad,
                       struct findings *findings)
{
    const char *interface = port->interface[0] != '\0' ? port->interface : "INTERFACE";
    if (!port->is_up) {
        findings_add(findings, bad, "rdma", "%s port %" PRIu32 " is down", port->device,
                     port->number);
        findings_fix(findings, "ip link set dev %s up", interface);
    } else if (port->is_infiniband) {
        findings_add(findings, bad, "rdma",
                     "%s port %" PRIu32 " is InfiniBand, and verbs does RoCE alone", port->device,
                     port->number);
        findings_fix(findings, "in ckptd's configuration: [transport] spec = ucx:rc");
    } else if (!port->has_address) {
        findings_add(findings, bad, "rdma",
                     "%s port %" PRIu32 " has no RoCE v2 address that is not link-local",
                     port->device, port->number);
        findings_fix(findings, "ip address add ADDRESS/PREFIX dev %s", interface);
    } else {
        findings_add(findings, FINDING_OK, "rdma",
                     "%s port %" PRIu32 " is up, with a RoCE v2 "
                     "address",
                     port->device, port->number);
        judge_mtu(port, findings);
    }
}

static void judge_none(const struct doctor_settings *settings, struct findings *findings)
{
    if (is_spec(settings, "verbs")) {
        findings_add(findings, FINDING_WRONG, "rdma",
                     "[transport] spec = %s, and this machine has no such device", settings->spec);
        findings_fix(findings,
                     "load the NIC's driver (modprobe mlx5_ib), or in %s: [transport] "
                     "spec = ucx:tcp",
                     settings->file);
    } else {
        findings_add(findings, FINDING_OK, "rdma", "no device; [transport] spec = %s",
                     settings->spec);
    }
}

static void judge_ports(const struct doctor_settings *settings,
                        const struct doctor_network *network, struct findings *findings)
{
    size_t usable = count_usable(settings, network);
    enum finding_level bad = usable > 0 ? FINDING_WARNING : FINDING_WRONG;
    size_t used = 0;
    for (size_t i = 0; i < network->port_count; i++) {
        if (is_used(settings, network->ports[i].device)) {
            judge_port(&network->ports[i], bad, findings);
            used++;
        }
    }
    if (used == 0) {
        judge_none(settings, findings);
    } else if (network->user_devices == 0) {
        findings_add(findings, FINDING_WRONG, "rdma",
                     "there are devices, but no /dev/infiniband/uverbs* for programs");
        findings_fix(findings, "modprobe ib_uverbs rdma_ucm   (of a container: "
                               "--device=/dev/infiniband)");
    }
}

void doctor_judge_network(const struct doctor_settings *settings,
                          const struct doctor_network *network, struct findings *findings)
{
    size_t usable = count_usable(settings, network);
    if (is_spec(settings, "verbs") || is_spec(settings, "auto")) {
        judge_ports(settings, network, findings);
    } else if (usable > 0 && strcmp(settings->spec, "ucx:rc") != 0) {
        findings_add(findings, FINDING_WARNING, "rdma",
                     "%zu port%s could be used, but [transport] spec = %s", usable,
                     usable == 1 ? "" : "s", settings->spec);
        findings_fix(findings, "in %s, on every node: [transport] spec = verbs", settings->file);
    } else {
        findings_add(findings, FINDING_OK, "rdma", "not used: [transport] spec = %s",
                     settings->spec);
    }
    if (network->interface[0] != '\0') {
        findings_add(findings, FINDING_OK, "mtu", "%s, for TCP: %" PRIu32, network->interface,
                     network->mtu);
    } else {
        findings_add(findings, FINDING_UNKNOWN, "mtu",
                     "which network interface %s is of is not to be seen", settings->listen);
    }
}
