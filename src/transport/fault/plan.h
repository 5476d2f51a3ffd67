/* SPDX-License-Identifier: Apache-2.0 */
/* What a fault transport does wrong, and how often. */
#ifndef CKPT_TRANSPORT_FAULT_PLAN_H
#define CKPT_TRANSPORT_FAULT_PLAN_H

#include "transport/transport.h"

/* Chances are in parts of a million, drawn for each read in the order of reads and completions, so
 * a seed replays as far as the inner transport does. */
struct fault_plan {
    uint32_t error_ppm;   /* the read fails with CKPT_ERR_LINK, without any transfer */
    uint32_t delay_ppm;   /* its completion is held back for delay_ms */
    uint32_t corrupt_ppm; /* it succeeds, with one bit of its bytes flipped */
    uint32_t cut_ppm;     /* its endpoint fails, with all that is in flight */
    uint32_t delay_ms;    /* a delay_ms without a delay chance is for all */
    uint64_t cut_after;   /* an endpoint fails after so many reads; 0: never */
};

/* Parses "error=0.01,delay_ms=5,corrupt=0.001,cut_after=100"; count bytes of text, not
 * NUL-terminated.
 *
 * RETURN VALUE
 *   CKPT_ERR_CONFIG   unknown key, or a value that is no number or out of range;
 *                     transport_open_error() says which. */
enum ckpt_status fault_plan_parse(const char *text, size_t count, struct fault_plan *plan_out);

#endif
