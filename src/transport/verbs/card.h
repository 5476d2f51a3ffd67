/* SPDX-License-Identifier: Apache-2.0 */
/* What verbs transports tell each other, as bytes: the payloads of addresses and descriptors, and
 * the private data of a connection. Pure; little-endian. */
#ifndef CKPT_TRANSPORT_VERBS_CARD_H
#define CKPT_TRANSPORT_VERBS_CARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ckpt/status.h>

#define VERBS_RAILS_MAX 16
#define CARD_SECRET_BYTES 16
#define CARD_BYTES_MAX (CARD_SECRET_BYTES + 8 + VERBS_RAILS_MAX * 24)
#define TICKET_BYTES_MAX (24 + VERBS_RAILS_MAX * 8)
#define HELLO_BYTES 40
#define WELCOME_BYTES 16

struct card_rail {
    uint8_t gid[16];
    uint16_t port; /* where rdma_cm listens */
};

/* Where a transport listens: what a peer needs to connect. The secret is the proof that the peer
 * got it by the control channel; it is no more than that, since it goes over the wire in clear. */
struct card {
    uint8_t secret[CARD_SECRET_BYTES];
    uint32_t rails_count;
    struct card_rail rails[VERBS_RAILS_MAX];
};

/* How to read an exported region. */
struct ticket {
    uint64_t address; /* of its first byte */
    uint64_t slot;    /* of its slot */
    uint32_t rails_count;
    struct {
        uint32_t region, slots;
    } keys[VERBS_RAILS_MAX]; /* by the source's rails, in the order of its card */
};

/* The reader's first words, and the source's answer. */
struct hello {
    uint64_t target; /* the transport that is meant */
    uint64_t reader;
    uint8_t secret[CARD_SECRET_BYTES];
    uint8_t mtu; /* the active one, as enum ibv_mtu */
};

struct welcome {
    uint64_t source;
    uint8_t mtu;   /* the lesser of both */
    uint8_t depth; /* reads that the source answers at once */
};

/* Return the number of bytes; out has room for the maximum above. */
size_t card_encode(const struct card *card, uint8_t *out);
size_t ticket_encode(const struct ticket *ticket, uint8_t *out);
void hello_encode(const struct hello *hello, uint8_t out[HELLO_BYTES]);
void welcome_encode(const struct welcome *welcome, uint8_t out[WELCOME_BYTES]);

/* RETURN VALUE
 *   CKPT_ERR_PROTOCOL   not what the encoder makes. The private data of a connection may have more
 *                       bytes than were sent: rdma_cm pads it.
 *   CKPT_ERR_VERSION    of another version. */
enum ckpt_status card_decode(const uint8_t *bytes, size_t count, struct card *card_out);
enum ckpt_status ticket_decode(const uint8_t *bytes, size_t count, struct ticket *ticket_out);
enum ckpt_status hello_decode(const uint8_t *bytes, size_t count, struct hello *hello_out);
enum ckpt_status welcome_decode(const uint8_t *bytes, size_t count, struct welcome *welcome_out);

/* The rail of peer that own should talk to: of those with an address of the same family the one
 * with the longest common prefix, which stands for the nearest subnet; of equals the one at the
 * same index. False when there is none: IPv4 does not reach IPv6. */
bool card_choose(const struct card *peer, const uint8_t own_gid[16], uint32_t own_index,
                 uint32_t *rail_out);

/* Whether an address can be reached from other networks: not zero, not link-local (IPv4 in IPv6
 * included), not loopback or multicast. */
bool card_is_routable(const uint8_t gid[16]);
bool card_is_ipv4(const uint8_t gid[16]);

#endif
