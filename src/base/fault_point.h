/* SPDX-License-Identifier: Apache-2.0 */
/* Named places at which a test makes a real process crash, stop, wait or fail.
 *
 * Compiled in when CKPT_FAULT_POINTS is 1, else the macros are empty. A process passes them for
 * nothing (one relaxed load) until they are armed, which a daemon's main does:
 *
 *     CKPT_FAULT="agent_before_offer=crash,agent_pull_chunk=sleep:200@3"
 *
 * Actions: crash (SIGKILL to itself), stop (SIGSTOP to itself), sleep:MILLISECONDS, and error,
 * which makes FAULT_POINT_ERROR true. "@N" means at the N-th pass only (1 is the first); without
 * it, at every pass. */
#ifndef CKPT_BASE_FAULT_POINT_H
#define CKPT_BASE_FAULT_POINT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <ckpt/status.h>

enum fault_point {
#define FAULT_POINT_ENTRY(name, program, place) FAULT_POINT_##name,
#include "base/fault_points.def"
#undef FAULT_POINT_ENTRY
    FAULT_POINT_COUNT
};

#if CKPT_FAULT_POINTS

extern atomic_bool fault_points_are_armed;

/* What an armed process does at a fault point; true when the action is error. */
bool fault_point_pass(enum fault_point point);

/* Stands on the line before the call it stands for; with action error it does nothing. */
#define FAULT_POINT(name) ((void)FAULT_POINT_ERROR(name))

/* True when the call it stands for is to fail: if (FAULT_POINT_ERROR(x) || write(...) < 0). */
#define FAULT_POINT_ERROR(name)                                                                    \
    (__builtin_expect(atomic_load_explicit(&fault_points_are_armed, memory_order_relaxed), 0) &&   \
     fault_point_pass(FAULT_POINT_##name))

#else

#define FAULT_POINT(name) ((void)0)
#define FAULT_POINT_ERROR(name) (false)

#endif

/* The name, the program that passes it, and where it stands; strings that live for ever. */
const char *fault_point_name(enum fault_point point);
const char *fault_point_program(enum fault_point point);
const char *fault_point_place(enum fault_point point);

/* Arms the points that spec names and disarms all others; "" disarms all. Call it before other
 * threads start: it is not safe beside fault_point_pass.
 *
 * RETURN VALUE
 * CKPT_OK, or on error nothing is armed and reason_out (of reason_size bytes) has one line.
 *
 * ERRORS
 * - CKPT_ERR_CONFIG - unknown name or action, bad number, a name twice; or this build has no fault
 *   points. An unknown name is answered with the nearest and with all known names, as far as
 *   they fit. */
enum ckpt_status fault_points_arm(const char *spec, char *reason_out, size_t reason_size);

/* The same with the text of the environment's CKPT_FAULT; CKPT_OK when it is not set. For a
 * program's main: a library never reads the environment. */
enum ckpt_status fault_points_arm_from_environment(char *reason_out, size_t reason_size);

#endif
