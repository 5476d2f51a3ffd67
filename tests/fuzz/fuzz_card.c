/* SPDX-License-Identifier: Apache-2.0 */
/* What verbs transports tell each other: what decodes encodes to the same bytes, and names no more
 * rails than there is room for. The first byte of an input says which of the four it is. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "transport/verbs/card.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_card(const uint8_t *bytes, size_t count)
{
    static const uint8_t own_gid[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
    struct card card;
    uint8_t out[CARD_BYTES_MAX];

    if (card_decode(bytes, count, &card) != CKPT_OK) {
        return;
    }
    if (card_encode(&card, out) != count || memcmp(out, bytes, count) != 0) {
        abort();
    }
    for (uint32_t own_index = 0; own_index < VERBS_RAILS_MAX; own_index++) {
        uint32_t rail = 0;
        if (card_choose(&card, own_gid, own_index, &rail) && rail >= card.rails_count) {
            abort();
        }
    }
}

static void check_ticket(const uint8_t *bytes, size_t count)
{
    struct ticket ticket;
    uint8_t out[TICKET_BYTES_MAX];

    if (ticket_decode(bytes, count, &ticket) == CKPT_OK &&
        (ticket_encode(&ticket, out) != count || memcmp(out, bytes, count) != 0)) {
        abort();
    }
}

/* The private data of a connection is padded, so what follows the words may be anything; so may
 * the byte of a hello that is not used. */
static void check_hello(const uint8_t *bytes, size_t count)
{
    struct hello hello, again;
    uint8_t out[HELLO_BYTES];

    if (hello_decode(bytes, count, &hello) != CKPT_OK) {
        return;
    }
    hello_encode(&hello, out);
    if (hello_decode(out, sizeof(out), &again) != CKPT_OK || again.target != hello.target ||
        again.reader != hello.reader || again.mtu != hello.mtu ||
        memcmp(again.secret, hello.secret, sizeof(hello.secret)) != 0) {
        abort();
    }
}

static void check_welcome(const uint8_t *bytes, size_t count)
{
    struct welcome welcome;
    uint8_t out[WELCOME_BYTES];

    if (welcome_decode(bytes, count, &welcome) != CKPT_OK) {
        return;
    }
    welcome_encode(&welcome, out);
    if (memcmp(out, bytes, sizeof(out)) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const checks[])(const uint8_t *, size_t) = {check_card, check_ticket, check_hello,
                                                              check_welcome};
    uint8_t *bytes;

    if (size == 0) {
        return 0;
    }
    /* In memory of its own, so that a byte too far is seen. */
    bytes = malloc(size - 1);
    if (bytes == NULL && size > 1) {
        return 0;
    }
    memcpy(bytes, data + 1, size - 1);
    checks[data[0] % 4](bytes, size - 1);
    free(bytes);
    return 0;
}
