/* SPDX-License-Identifier: Apache-2.0 */
/* The table of runs: finding, adding, and putting out. */
#ifndef CKPT_COORDINATOR_RUN_H
#define CKPT_COORDINATOR_RUN_H

#include "coordinator/state.h"

/* NULL: the run is not in the table. */
struct run *coordinator_run_find(struct coordinator *c, const struct run_key *key);
/* A run that is new here; NULL: no place can be had for this user (run_no_room). */
struct run *coordinator_run_add(struct coordinator *c, const struct run_key *key);

#endif
