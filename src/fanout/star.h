/* SPDX-License-Identifier: Apache-2.0 */
/* The connections between the leader of a group and its other ranks, by which words go. */
#ifndef CKPT_FANOUT_STAR_H
#define CKPT_FANOUT_STAR_H

#include <stdbool.h>
#include <stdint.h>

#include "fanout/tcp.h"
#include "fanout/words.h"

#define STAR_ALL UINT32_MAX

struct star;

struct word {
    enum word_type type;
    uint32_t from;
    uint32_t fetch;
    uint32_t bytes;
    const void *body; /* until the next star_take */
};

/* The leader's: listens at host. address_out is how it is reached. */
enum ckpt_status star_listen(const char *host, uint32_t ranks, const uint8_t token[TOKEN_BYTES],
                             struct star **star_out, char address_out[TCP_ADDRESS_BYTES],
                             char *reason);

/* Another rank's: begins to connect. */
enum ckpt_status star_connect(const char *address, struct star **star_out, char *reason);

/* By which host of this machine it reaches the leader, once it does. */
enum ckpt_status star_host(const struct star *star, char host_out[TCP_ADDRESS_BYTES]);

/* Sends a word to a rank, or to STAR_ALL that are there; of an other rank's star that is the
 * leader. Does not wait: what the connection does not take at once goes with the next star_take. A
 * rank that is not there, or takes nothing any more, is lost, which star_take says. */
void star_send(struct star *star, uint32_t to, enum word_type type, uint32_t fetch,
               const void *body, size_t bytes);

/* Waits for a word at most wait_ms, or until wake_fd (-1: none) can be read.
 *
 * CKPT_OK: *word_out; a rank's loss is a word too, said once. CKPT_ERR_BUSY: nothing came. At the
 * leader nobody is heard before a JOIN with the group's token, and no rank twice. */
enum ckpt_status star_take(struct star *star, int wake_fd, int wait_ms, struct word *word_out);

/* Whether a rank is there: at the leader since its JOIN was given out. */
bool star_has(const struct star *star, uint32_t rank);

/* Ends the connections; what is still to go is given up. Takes NULL. */
void star_close(struct star **star);

#endif
