/* SPDX-License-Identifier: Apache-2.0 */
/* Messages in words: for the simulator's trace, and for the stories of the machines' tests. */
#ifndef CKPT_TESTS_DESCRIBE_H
#define CKPT_TESTS_DESCRIBE_H

#include <stddef.h>

#include "wire/message.h"

/* What tells this message from the next one of its type: " key value ...", or nothing. */
void describe_body(const struct message *message, char *text, size_t size);

#endif
