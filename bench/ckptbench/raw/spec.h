/* SPDX-License-Identifier: Apache-2.0 */
/* A transport as people write it, judged before anything is started. Pure, but for the list of this
 * machine's network interfaces. */
#ifndef CKPTBENCH_SPEC_H
#define CKPTBENCH_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ckpt/status.h>

/* Whether spec is of a known kind, and, with TCP, whether its devices (a comma list, or NULL) are
 * network interfaces of this machine. What only a library can tell, it tells when the transport is
 * opened. CKPT_ERR_CONFIG, and in reason (CKPT_REASON_MAX + 1 bytes) what is wrong, with the
 * nearest name. */
enum ckpt_status spec_check(const char *spec, const char *devices, char *reason);

/* Whether both name the same way of moving bytes, whatever devices they name. */
bool spec_same_kind(const char *a, const char *b);

/* Whether both ends have to be in one process. */
bool spec_is_local(const char *spec);

/* Whether it can register memory of a GPU, if its devices can. */
bool spec_takes_gpu(const char *spec);

/* Narrows a transport to its first rails. devices is a comma list, or "": then the devices of the
 * spec ("verbs:a+b") count. spec_out and devices_out (of size bytes each; "" for none) are what to
 * open. False: it has not so many, or names none. */
bool spec_first_rails(const char *spec, const char *devices, uint32_t rails, char *spec_out,
                      char *devices_out, size_t size);

/* How many devices are named; 0: none, so the transport takes what it finds. */
uint32_t spec_rail_count(const char *spec, const char *devices);

#endif
