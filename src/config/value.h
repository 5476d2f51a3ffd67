/* SPDX-License-Identifier: Apache-2.0 */
/* Text to value, by the type of a key. Pure. */
#ifndef CKPT_CONFIG_VALUE_H
#define CKPT_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

/* Checks text as a value of the key and gives its number (0 for types without one).
 *
 * RETURN VALUE
 * Whether it is good; if not, problem_out (of problem_size bytes) says what is wanted: "want a
 * number of bytes such as 64KiB or 2GiB". */
bool value_parse(const struct config_key *key, const char *text, int64_t *number_out,
                 char *problem_out, size_t problem_size);

/* Splits a good list into entries without the white space around them. Each is put into items_out,
 * which has room for strlen(text) + 2 bytes, with a NUL, and list_out points to it unless it is
 * NULL.
 *
 * RETURN VALUE
 * The number of entries; SIZE_MAX when one is empty. */
size_t value_split(const char *text, char *items_out, const char **list_out);

#endif
