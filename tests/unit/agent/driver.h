/* SPDX-License-Identifier: Apache-2.0 */
/* Drives one agent machine event by event. After each call, `update` holds what the event brought
 * out; turns that it asked for by `again` are not taken by themselves. */
#ifndef CKPT_TESTS_AGENT_DRIVER_H
#define CKPT_TESTS_AGENT_DRIVER_H

#include "agent/agent.h"
#include "unit/machine.h"

#define SEGMENT 1000u /* bytes: sizes in the tests are read at a glance */
#define ALICE 1000u
#define BOB 1001u
#define LIFE_OF_AGENT 1
#define LIFE_OF_COORDINATOR 2
#define LIFE_OF_PEER 3
#define EPOCH 7u
#define CLUSTER 9
#define DRIVER_SEATS_MAX 32

struct driver {
    struct agent_config config;
    struct agent *agent;
    void *memory;
    uint64_t now_ms;
    struct agent_update update;
    uint64_t orders;
    bool takes_parts;    /* do the processes that open from now on */
    uint32_t seat_count; /* asked for, and not answered */
    struct message_seat_ask seats[DRIVER_SEATS_MAX];
};

struct incarnation life(uint8_t number);
struct digest digest_of(uint8_t fill);
struct shard_key key_of(uint32_t uid, uint64_t step, uint32_t rank); /* run "llama", attempt 1 */

/* The fixture: a driver of zeros, to be started; stopped after the test, whatever became of it. */
int driver_setup(void **state);
int driver_teardown(void **state);

/* 8 segments and slots, 4 processes, 2 pulls, adoption ended, no coordinator. */
void driver_start(struct driver *d);
void driver_begin(struct driver *d); /* as driver_start, before AGENT_ADOPT_END */
void driver_config(struct driver *d);
void driver_stop(struct driver *d);
void driver_event(struct driver *d, struct agent_event event);
void driver_tick(struct driver *d, uint64_t later_ms);
void driver_settle(struct driver *d); /* ticks for as long as `again` is set */
void driver_work(struct driver *d, uint64_t work, enum ckpt_status status, uint8_t digest);

/* Connected, joined, the first turn's output thrown away. */
void driver_join(struct driver *d);
/* The same of a coordinator that tells keys of digests; driver_join's does not. */
void driver_join_told_keys(struct driver *d);
void driver_join_saying(struct driver *d, uint32_t features);      /* WIRE_FEATURE_* */
void driver_coordinator(struct driver *d, struct message message); /* of EPOCH */
void driver_checkpoint(struct driver *d, uint64_t step, enum checkpoint_state state);
void driver_ack(struct driver *d, uint32_t slot, bool keep, enum checkpoint_state checkpoint);

/* Every seat that was asked for is told to be as the agent says it is. */
void driver_seats(struct driver *d);

/* A process of uid on `link` that opened rank of world 4, attempt 1, of run "llama". */
void driver_rank(struct driver *d, uint32_t link, uint32_t uid, uint32_t rank);
void driver_rank_says(struct driver *d, uint32_t link, struct message message);
/* Asks; the answer is returned. */
const struct message_slot_granted *driver_ask(struct driver *d, uint32_t link, uint64_t step,
                                              uint64_t bytes);
void driver_seal(struct driver *d, uint32_t link, uint64_t step, uint32_t slot,
                 uint64_t generation);
/* A whole save up to VERIFIED; returns the slot. The digest is the step's. */
uint32_t driver_save(struct driver *d, uint32_t link, uint64_t step, uint64_t bytes);

/* An order with the next number: rank's shard of step, from peer `n`. */
struct message driver_order(struct driver *d, uint64_t step, uint32_t rank, uint64_t bytes);
void driver_peer(struct driver *d, uint32_t link, struct message message);
/* From the order to VERIFIED; returns the slot. */
uint32_t driver_pull(struct driver *d, uint64_t step, uint32_t rank, uint64_t bytes);

/* In the last update. NULL: none. */
const struct agent_outgoing *driver_said(const struct driver *d, enum agent_target target,
                                         enum message_type type);
uint32_t driver_said_count(const struct driver *d, enum message_type type);
const struct agent_work *driver_works(const struct driver *d, enum agent_work_type type);
uint32_t driver_works_count(const struct driver *d, enum agent_work_type type);
const struct slot_record *driver_stored(const struct driver *d, uint32_t slot);
const struct machine_note *driver_noted(const struct driver *d, enum event_id event);
bool driver_silent(const struct driver *d); /* no record, work or message */

struct agent_slot_view driver_slot(const struct driver *d, uint32_t slot);
uint32_t driver_find(const struct driver *d, const struct shard_key *shard); /* or UINT32_MAX */

#endif
