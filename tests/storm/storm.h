/* SPDX-License-Identifier: Apache-2.0 */
/* A machine under a storm of messages that say anything, in any order. What is tested is that no
 * assertion of the machine is about a value from outside: it must be compiled with them. */
#ifndef CKPT_TESTS_STORM_STORM_H
#define CKPT_TESTS_STORM_STORM_H

#include "storm/words.h"

/* What the machine did meanwhile: a storm that reaches nothing tests nothing. */
struct storm_result {
    uint64_t events;
    uint64_t commits;  /* coordinator: checkpoints that became consistent */
    uint64_t verdicts; /* coordinator: that named a shard; agent: shards handed out */
    uint64_t restores; /* coordinator: such verdicts of a load of all ranks */
    uint64_t orders;   /* coordinator: pulls ordered; agent: reads begun */
    uint64_t sealed;   /* agent: saves that were digested */
};

/* Up to `events` events, or until a fuzzer's bytes end. */
void storm_coordinator(struct words *words, uint64_t events, struct storm_result *result_out);
void storm_agent(struct words *words, uint64_t events, struct storm_result *result_out);

#endif
