/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text is UTF-8, and readers refuse a header that is not. Pure; any thread. */
#ifndef CKPT_SHARD_UTF8_H
#define CKPT_SHARD_UTF8_H

#include <stdbool.h>

/* Whether text is well-formed as RFC 3629 section 4 has it: no overlong form, no surrogate, nothing
 * above U+10FFFF. */
bool utf8_is_valid(const char *text);

#endif
