/* SPDX-License-Identifier: Apache-2.0 */
/* What both machines are written with. Pure.
 *
 * A life has an enum of states and a table: for each state, those that may follow it. Its file has
 * a drawing above the table, and moves by one function, which asserts MAY_MOVE. */
#ifndef CKPT_WIRE_MACHINE_H
#define CKPT_WIRE_MACHINE_H

#include <stdint.h>

#define NONE UINT32_MAX /* in place of an index */

/* In a table `static const unsigned moves[]`: [STATE] = TO(OTHER) | TO(ANOTHER). */
#define TO(state) (1U << (state))
#define MAY_MOVE(moves, from, to)                                                                  \
    ((unsigned)(from) < sizeof(moves) / sizeof((moves)[0]) && ((moves)[from] & TO(to)) != 0)

#endif
