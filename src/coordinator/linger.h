/* SPDX-License-Identifier: Apache-2.0 */
/* Runs whose job has ended, and for how long they are kept all the same. */
#ifndef CKPT_COORDINATOR_LINGER_H
#define CKPT_COORDINATOR_LINGER_H

#include "coordinator/state.h"

/* The run's job has ended, or has not after all. */
void coordinator_run_set_ended(struct coordinator *c, struct run *run, bool ended);
/* Until when the run is kept, whose job has ended. */
uint64_t coordinator_run_linger_until_ms(const struct run *run);
/* Its job has ended, and no rank of it is connected: whatever a scheduler said, who is there is not
 * over. */
bool coordinator_run_lingers(const struct coordinator *c, const struct run *run);

#endif
