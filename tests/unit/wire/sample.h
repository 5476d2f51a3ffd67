/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of every type with every field at its least, at its greatest, or at a pattern. They are
 * made from the room's own rows; test_layout.c proves that the rows leave no field out. */
#ifndef TESTS_UNIT_WIRE_SAMPLE_H
#define TESTS_UNIT_WIRE_SAMPLE_H

#include "wire/layout.h"

enum sample_variant { SAMPLE_LEAST, SAMPLE_GREATEST, SAMPLE_PATTERN };
#define SAMPLE_VARIANTS 3

/* Every type that there is. */
extern const enum message_type sample_types[];
extern const size_t sample_type_count;

/* *message_out is filled, padding included; its lists are static. */
void sample_fill(enum message_type type, enum sample_variant variant, struct message *message_out);

/* How many bytes the field takes in its struct, without its count. */
size_t sample_field_bytes(const struct wire_field *field);

/* Compares type, header fields and every field of the body, lists by content. */
bool sample_equal(const struct message *a, const struct message *b);

/* Static: bytes enough for any frame, and the scratch for it. */
uint8_t *sample_buffer(void);
struct message_scratch *sample_scratch(void);

#endif
