/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/doors.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "ckptd/hear.h"
#include "ckptd/machine.h"
#include "daemon/address_key.h"

/* An offer of the largest shard fits: 1024 regions with their descriptors. */
#define RECEIVE_BYTES_MAX (1 * CKPT_MIB)
#define OUTPUT_BYTES_MAX (8 * CKPT_MIB)
#define OUTPUT_TOTAL_MAX (32 * CKPT_MIB)
#define SESSIONS_BESIDE_RANKS 128 /* of a coordinator, and to sources of pulls */
#define STRANGER_MS 5000          /* a connection that never says who it is */
#define PEERS_MAX 512             /* that read from here, or might */
#define PEER_STRANGERS_MAX 64
/* Beside the machine's seats: connections that it is about to refuse, with a reason. */
#define RANKS_REFUSED_MAX 64
#define RANKS_KEPT 16 /* for root and the agent's own user */

static const struct config_key keys[DOORS_KEYS] = {
    [DOORS_LISTEN] =
        {.section = "agent",
         .name = "listen",
         .flag = "listen",
         .letter = 'l',
         .type = CONFIG_STRING,
         .fallback = "127.0.0.1:7472",
         .placeholder = "HOST:PORT",
         .help = "where other agents reach this one; port 0 takes a free one, *:7472 every "
                 "address"},
    [DOORS_ADVERTISE] = {.section = "agent",
                         .name = "advertise",
                         .flag = "advertise",
                         .type = CONFIG_STRING,
                         .fallback_is = "what listen is bound to; for every address, the one by "
                                        "which the coordinator is reached",
                         .placeholder = "HOST:PORT",
                         .help = "the address told to others, when it differs from listen"},
    [DOORS_SOCKET] = {.section = "agent",
                      .name = "socket",
                      .flag = "socket",
                      .letter = 's',
                      .type = CONFIG_PATH,
                      .fallback = "/run/ckptd/ckptd.sock",
                      .help = "UNIX socket for the ranks of this node"},
    [DOORS_SOCKET_MODE] = {.section = "agent",
                           .name = "socket_mode",
                           .type = CONFIG_INTEGER,
                           .fallback = "666",
                           .max = 777,
                           .help = "permissions of the socket, octal"},
};

static enum ckpt_status check(const struct config *config, char *reason)
{
    static const char no_path[] = "a path is not reached from other nodes: write host:port";
    char *end;
    const char *mode = part_text(config, &part_doors, DOORS_SOCKET_MODE);
    (void)strtoul(mode, &end, 8);
    if (*mode == '\0' || *end != '\0') {
        return part_refuse(config, &part_doors, DOORS_SOCKET_MODE, reason, "must be octal");
    }
    enum ckpt_status status =
        address_key_check_host(config, &part_doors, DOORS_LISTEN, ADDRESS_LISTEN, no_path, reason);
    if (status == CKPT_OK) {
        status = address_key_check_host(config, &part_doors, DOORS_ADVERTISE, ADDRESS_CONNECT,
                                        no_path, reason);
    }
    return status == CKPT_OK ? address_key_check_path(config, &part_doors, DOORS_SOCKET, reason)
                             : status;
}

static uint32_t seats(const struct config *config)
{
    const struct agent_config of_machine = {
        .ranks_max = (uint32_t)part_number(config, &part_machine, MACHINE_RANKS_MAX)};
    return agent_seats(&of_machine);
}

static enum ckpt_status open_hub(struct daemon *d, char *reason)
{
    struct session_hub_config config = {
        .incarnation = d->incarnation,
        .sessions_max =
            2 * seats(d->config) + RANKS_REFUSED_MAX + PEERS_MAX + SESSIONS_BESIDE_RANKS,
        .receive_bytes_max = RECEIVE_BYTES_MAX,
        .output_bytes_max = OUTPUT_BYTES_MAX,
        .output_total_max = OUTPUT_TOTAL_MAX,
        .idle_ms = 0, /* a trainer may compute for hours between saves */
        .linger_ms = 500,
    };
    return session_hub_open(d->base, &config, &d->hub) == CKPT_OK
               ? CKPT_OK
               : reason_refuse(reason, CKPT_ERR_SYSTEM, "the event loop can't be made");
}

/* What others are told: as configured, else what listen is bound to. */
static void choose_address(struct daemon *d, const char *bound)
{
    const char *advertise = part_text(d->config, &part_doors, DOORS_ADVERTISE);
    const char *port = strrchr(bound, ':');
    snprintf(d->address, sizeof(d->address), "%s", advertise != NULL ? advertise : bound);
    d->address_is_found = advertise == NULL && port != NULL && address_is_any(bound);
    if (d->address_is_found) {
        snprintf(d->port, sizeof(d->port), "%.6s", port + 1);
    }
}

/* Who has a seat is the machine's to say, with a reason. Here only is bounded what a user can make
 * this process hold, so that there is always a connection left for others. */
static enum ckpt_status bind_all(struct daemon *d, char *reason)
{
    const struct session_door peers = {
        .sessions_max = PEERS_MAX, .strangers_max = PEER_STRANGERS_MAX, .stranger_ms = STRANGER_MS};
    const struct session_door ranks = {.sessions_max = 2 * seats(d->config) + RANKS_REFUSED_MAX,
                                       .a_user_max = seats(d->config) + RANKS_REFUSED_MAX / 4,
                                       .kept = RANKS_KEPT,
                                       .stranger_ms = STRANGER_MS};
    char bound[CKPT_ADDRESS_MAX + 1];
    unsigned long mode = strtoul(part_text(d->config, &part_doors, DOORS_SOCKET_MODE), NULL, 8);
    enum ckpt_status status = session_bind(d->hub, part_text(d->config, &part_doors, DOORS_LISTEN),
                                           0, &peers, &hear_peers, d, bound, reason);
    if (status == CKPT_OK) {
        /* So that nobody else can; a rank's socket is better refused until it is of use. */
        status = session_hub_listen(d->hub, reason);
    }
    if (status != CKPT_OK) {
        return status;
    }
    choose_address(d, bound);
    return session_bind(d->hub, part_text(d->config, &part_doors, DOORS_SOCKET), (mode_t)mode,
                        &ranks, &hear_ranks, d, NULL, reason);
}

static enum ckpt_status start(void *daemon, char *reason)
{
    struct daemon *d = daemon;
    enum ckpt_status status = open_hub(d, reason);
    return status == CKPT_OK ? bind_all(d, reason) : status;
}

static void stop(void *daemon)
{
    struct daemon *d = daemon;
    if (d->hub != NULL) {
        session_hub_close(&d->hub);
    }
}

struct part part_doors = {
    .keys = keys, .key_count = DOORS_KEYS, .check = check, .start = start, .stop = stop};
