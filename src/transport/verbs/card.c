/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/verbs/card.h"

#include <string.h>

#include "base/bytes.h"

#define MAGIC UINT32_C(0x56504b43) /* "CKPV" */
#define VERSION 1

size_t card_encode(const struct card *card, uint8_t *out)
{
    uint8_t *at = out + CARD_SECRET_BYTES + 8;

    memcpy(out, card->secret, CARD_SECRET_BYTES);
    store_le64(out + CARD_SECRET_BYTES, card->rails_count);
    for (uint32_t i = 0; i < card->rails_count; i++, at += 24) {
        memcpy(at, card->rails[i].gid, 16);
        store_le64(at + 16, card->rails[i].port);
    }
    return (size_t)(at - out);
}

enum ckpt_status card_decode(const uint8_t *bytes, size_t count, struct card *card_out)
{
    struct card card = {0};
    const uint8_t *at = bytes + CARD_SECRET_BYTES + 8;
    uint64_t rails;

    if (count < CARD_SECRET_BYTES + 8) {
        return CKPT_ERR_PROTOCOL;
    }
    rails = load_le64(bytes + CARD_SECRET_BYTES);
    if (rails == 0 || rails > VERBS_RAILS_MAX || count != CARD_SECRET_BYTES + 8 + rails * 24) {
        return CKPT_ERR_PROTOCOL;
    }
    memcpy(card.secret, bytes, CARD_SECRET_BYTES);
    card.rails_count = (uint32_t)rails;
    for (uint32_t i = 0; i < card.rails_count; i++, at += 24) {
        uint64_t port = load_le64(at + 16);
        if (port == 0 || port > UINT16_MAX) {
            return CKPT_ERR_PROTOCOL;
        }
        memcpy(card.rails[i].gid, at, 16);
        card.rails[i].port = (uint16_t)port;
    }
    *card_out = card;
    return CKPT_OK;
}

size_t ticket_encode(const struct ticket *ticket, uint8_t *out)
{
    uint8_t *at = out + 24;

    store_le64(out, ticket->address);
    store_le64(out + 8, ticket->slot);
    store_le64(out + 16, ticket->rails_count);
    for (uint32_t i = 0; i < ticket->rails_count; i++, at += 8) {
        store_le32(at, ticket->keys[i].region);
        store_le32(at + 4, ticket->keys[i].slots);
    }
    return (size_t)(at - out);
}

enum ckpt_status ticket_decode(const uint8_t *bytes, size_t count, struct ticket *ticket_out)
{
    struct ticket ticket = {0};
    const uint8_t *at = bytes + 24;
    uint64_t rails;

    if (count < 24) {
        return CKPT_ERR_PROTOCOL;
    }
    rails = load_le64(bytes + 16);
    if (rails == 0 || rails > VERBS_RAILS_MAX || count != 24 + rails * 8) {
        return CKPT_ERR_PROTOCOL;
    }
    ticket.address = load_le64(bytes);
    ticket.slot = load_le64(bytes + 8);
    ticket.rails_count = (uint32_t)rails;
    for (uint32_t i = 0; i < ticket.rails_count; i++, at += 8) {
        ticket.keys[i].region = load_le32(at);
        ticket.keys[i].slots = load_le32(at + 4);
    }
    *ticket_out = ticket;
    return CKPT_OK;
}

void hello_encode(const struct hello *hello, uint8_t out[HELLO_BYTES])
{
    memset(out, 0, HELLO_BYTES);
    store_le32(out, MAGIC);
    store_le16(out + 4, VERSION);
    out[6] = hello->mtu;
    store_le64(out + 8, hello->target);
    store_le64(out + 16, hello->reader);
    memcpy(out + 24, hello->secret, CARD_SECRET_BYTES);
}

enum ckpt_status hello_decode(const uint8_t *bytes, size_t count, struct hello *hello_out)
{
    if (bytes == NULL || count < HELLO_BYTES || load_le32(bytes) != MAGIC) {
        return CKPT_ERR_PROTOCOL;
    }
    if (load_le16(bytes + 4) != VERSION) {
        return CKPT_ERR_VERSION;
    }
    *hello_out = (struct hello){
        .target = load_le64(bytes + 8), .reader = load_le64(bytes + 16), .mtu = bytes[6]};
    memcpy(hello_out->secret, bytes + 24, CARD_SECRET_BYTES);
    return CKPT_OK;
}

void welcome_encode(const struct welcome *welcome, uint8_t out[WELCOME_BYTES])
{
    store_le32(out, MAGIC);
    store_le16(out + 4, VERSION);
    out[6] = welcome->mtu;
    out[7] = welcome->depth;
    store_le64(out + 8, welcome->source);
}

enum ckpt_status welcome_decode(const uint8_t *bytes, size_t count, struct welcome *welcome_out)
{
    if (bytes == NULL || count < WELCOME_BYTES || load_le32(bytes) != MAGIC) {
        return CKPT_ERR_PROTOCOL;
    }
    if (load_le16(bytes + 4) != VERSION) {
        return CKPT_ERR_VERSION;
    }
    *welcome_out =
        (struct welcome){.source = load_le64(bytes + 8), .mtu = bytes[6], .depth = bytes[7]};
    return CKPT_OK;
}

static unsigned shared_bits(const uint8_t a[16], const uint8_t b[16])
{
    unsigned bits = 0;

    while (bits < 128 && ((a[bits / 8] ^ b[bits / 8]) & (0x80 >> (bits % 8))) == 0) {
        bits++;
    }
    return bits;
}

/* Of two families there is no way; within one, the longer the common prefix the nearer. */
static unsigned nearness(const uint8_t peer[16], const uint8_t own[16])
{
    return card_is_ipv4(peer) == card_is_ipv4(own) ? 1 + shared_bits(peer, own) : 0;
}

bool card_choose(const struct card *peer, const uint8_t own_gid[16], uint32_t own_index,
                 uint32_t *rail_out)
{
    uint32_t best = own_index % peer->rails_count;
    unsigned best_near = nearness(peer->rails[best].gid, own_gid);

    for (uint32_t i = 0; i < peer->rails_count; i++) {
        unsigned near = nearness(peer->rails[i].gid, own_gid);
        if (near > best_near) {
            best = i;
            best_near = near;
        }
    }
    if (best_near == 0) {
        return false;
    }
    *rail_out = best;
    return true;
}

bool card_is_ipv4(const uint8_t gid[16])
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(gid, prefix, sizeof(prefix)) == 0;
}

bool card_is_routable(const uint8_t gid[16])
{
    static const uint8_t none[15];
    const uint8_t *four = gid + 12;

    if (card_is_ipv4(gid)) {
        return four[0] != 0 && four[0] != 127 && four[0] < 224 &&
               !(four[0] == 169 && four[1] == 254);
    }
    /* ::, ::1, fe80::/10, ff00::/8 */
    return memcmp(gid, none, sizeof(none)) != 0 && !(gid[0] == 0xfe && (gid[1] & 0xc0) == 0x80) &&
           gid[0] != 0xff;
}
