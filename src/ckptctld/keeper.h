/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that the record store lives on.
 *
 * A disk takes milliseconds, and at times half a minute. The loop hands over what touches the store
 * as a task and goes on; tasks run one after the other, in their order. Whatever a task reads or
 * writes is the thread's from keeper_add until its `done` is called, on the loop. */
#ifndef CKPT_CKPTCTLD_KEEPER_H
#define CKPT_CKPTCTLD_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include <ckpt/status.h>

struct event_base;
struct keeper;

/* Kept by its owner until done was called. */
struct keeper_task {
    void (*run)(struct keeper *keeper, void *context);
    void (*done)(void *context);
    void *context;
    struct keeper_task *next;
};

/* CKPT_ERR_MEMORY, CKPT_ERR_SYSTEM: no thread. */
enum ckpt_status keeper_open(struct event_base *base, struct keeper **keeper_out);

/* From the loop. A task that was added and is not done must not be added again. */
void keeper_add(struct keeper *keeper, struct keeper_task *task);

/* From a task: sleeps for ms; false as soon as the process is to end. */
bool keeper_sleep(struct keeper *keeper, uint32_t ms);

/* From the loop: no task begins any more, one that sleeps is woken, `done` is not called any more.
 * Waits for a task under way for wait_ms at most. False when that one still runs: what it uses must
 * then not be given back, and the process is to end without. Sets *keeper to NULL; NULL and a
 * pointer to NULL are taken. */
bool keeper_close(struct keeper **keeper, uint32_t wait_ms);

#endif
