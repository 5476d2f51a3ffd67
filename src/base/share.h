/* SPDX-License-Identifier: Apache-2.0 */
/* A table that many share, so that nobody fills it. Pure; any thread. */
#ifndef CKPT_BASE_SHARE_H
#define CKPT_BASE_SHARE_H

#include <stdbool.h>
#include <stdint.h>

/* Whether somebody who has `mine` of the `used` places of a table may take `more` of them.
 *
 * Up to `percent` of the table is for whoever comes. The rest is for those who have little: each of
 * them may have half of what he would leave free by having none, so that after any number of
 * users there is room for another one. */
static inline bool share_allows(uint64_t size, uint64_t used, uint64_t mine, uint64_t more,
                                uint32_t percent)
{
    if (used > size || more > size - used || mine > used) {
        return false;
    }
    return used + more <= (size * percent + 99) / 100 ||
           mine + more <= (size - used + mine + 1) / 2;
}

#endif
