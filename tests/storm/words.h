/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that decode and say anything: the rows of src/wire/layout.h are filled with small, large
 * and remembered numbers, so that a field of the format is tried as soon as it exists.
 *
 * Numbers come from a seed, or from a fuzzer's bytes: the same ones give the same messages. */
#ifndef CKPT_TESTS_STORM_WORDS_H
#define CKPT_TESTS_STORM_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"
#include "wire/message.h"

#define WORDS_REMEMBERED 256

struct words {
    struct prng prng;
    const uint8_t *bytes; /* NULL: from the prng */
    size_t bytes_left;
    uint64_t numbers[WORDS_REMEMBERED]; /* of messages that the machine sent */
    uint32_t number_next;
    struct message heard[WORDS_REMEMBERED];
    uint32_t heard_next;
};

void words_seed(struct words *words, uint64_t seed);
void words_of_bytes(struct words *words, const uint8_t *bytes, size_t count);

/* False when a fuzzer's bytes are used up; every draw is 0 then. */
bool words_last(const struct words *words);

uint64_t words_below(struct words *words, uint64_t bound);
bool words_one_in(struct words *words, uint64_t bound);

/* Any message of the type. Epoch, incarnation and sequence are left alone. */
void words_fill(struct words *words, enum message_type type, struct message *message);

/* Fills one field in `bound` anew, and leaves the others. */
void words_spoil(struct words *words, struct message *message, uint64_t bound);

/* Remembers what the machine said; the message with its lists emptied. */
void words_hear(struct words *words, const struct message *message);

/* One of the last of that type that the machine said; NULL: none was found. */
const struct message *words_recall(struct words *words, enum message_type type);

/* A random type of the table; any of the format when count is 0. */
enum message_type words_type(struct words *words, const enum message_type *types, size_t count);

#endif
