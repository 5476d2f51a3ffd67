/* SPDX-License-Identifier: Apache-2.0 */
/* Starts and their seats: finding, adding, removing. */
#ifndef CKPT_COORDINATOR_SEAT_H
#define CKPT_COORDINATOR_SEAT_H

#include "coordinator/state.h"

/* The rank's seat in the start; NULL: it has none. */
struct seat *coordinator_seat_find(const struct coordinator *c, const struct start *start,
                                   uint32_t rank);
/* The start and its seats leave the table. */
void coordinator_start_free(struct coordinator *c, struct start *start);
/* An empty seat for the rank; NULL: the table is full. */
struct seat *coordinator_seat_add(struct coordinator *c, struct start *start, uint32_t rank);
/* Its process is at the member, or, with NONE, has gone. */
void coordinator_seat_move(struct coordinator *c, struct seat *seat, uint32_t member);
/* The seat leaves the table. */
void coordinator_seat_free(struct coordinator *c, struct seat *seat);
/* A start that forms; NULL: the table is full. */
struct start *coordinator_start_add(struct coordinator *c, struct run *run);
/* The run's own start is over: another has its place. */
void coordinator_start_retire(struct coordinator *c, struct run *run);
/* All starts of the run leave the table. */
void coordinator_starts_free_of(struct coordinator *c, struct run *run);
/* The run's own start; NULL when it has none yet. After a replay, or when the run had to make room,
 * its seats are still to be told of. The table has more starts than there are runs and forming
 * ones. */
struct start *coordinator_start_of(struct coordinator *c, struct run *run);
/* It has restored or saved something: who joins it now would get what others were told. */
bool coordinator_run_has_begun(const struct coordinator *c, const struct run *run);
/* It was complete: all of its ranks had their verdict, or saved a checkpoint together. */
bool coordinator_run_was_complete(const struct coordinator *c, const struct run *run);
/* Every rank of the run's own start has a seat. */
bool coordinator_run_is_complete(struct coordinator *c, struct run *run);
/* Ranks of the run, of any start, whose process is connected. */
uint32_t coordinator_run_live_seats(const struct coordinator *c, const struct run *run);
/* Some rank's process is connected. */
bool coordinator_run_has_live_seat(const struct coordinator *c, const struct run *run);

#endif
