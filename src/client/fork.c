/* SPDX-License-Identifier: Apache-2.0 */
/* A child made by fork() has nothing of its parent's contexts: it closes the connections at once.
 * Otherwise the agent would see the parent live on for as long as a data loader's worker does, and
 * keep its rank and the slot that it filled.
 *
 * The one state of this library that is not in a context is the list of contexts, for fork()'s
 * handlers have no argument. Its lock is held for a few instructions. */
#include "client/fork.h"

#include <pthread.h>
#include <stddef.h>

#include "client/context.h"
#include "base/reason.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct ckpt *first;
static int registered;

static void before(void)
{
    (void)pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
    (void)pthread_mutex_unlock(&lock);
}

/* The thread that forked is the only one here. Its copies of the descriptors go; what was loaded
 * stays mapped, as it may be read. Slots were never mapped here (client/mappings.h). */
static void in_child(void)
{
    for (struct ckpt *ckpt = first; ckpt != NULL; ckpt = ckpt->next_context) {
        agent_link_close(&ckpt->link);
        ckpt->state = RANK_CLOSED;
        mappings_forget(&ckpt->mappings);
    }
    (void)pthread_mutex_unlock(&lock);
}

static void set_up(void)
{
    registered = pthread_atfork(before, in_parent, in_child) == 0;
}

enum ckpt_status client_fork_watch(struct ckpt *ckpt)
{
    (void)pthread_once(&once, set_up);
    if (!registered) {
        return reason_refuse(ckpt->reason, CKPT_ERR_MEMORY, "no memory for a handler of fork()");
    }
    (void)pthread_mutex_lock(&lock);
    ckpt->next_context = first;
    if (first != NULL) {
        first->previous_context = ckpt;
    }
    first = ckpt;
    ckpt->is_watched = true;
    (void)pthread_mutex_unlock(&lock);
    return CKPT_OK;
}

void client_fork_unwatch(struct ckpt *ckpt)
{
    if (!ckpt->is_watched) {
        return;
    }
    (void)pthread_mutex_lock(&lock);
    if (ckpt->previous_context != NULL) {
        ckpt->previous_context->next_context = ckpt->next_context;
    } else {
        first = ckpt->next_context;
    }
    if (ckpt->next_context != NULL) {
        ckpt->next_context->previous_context = ckpt->previous_context;
    }
    ckpt->is_watched = false;
    (void)pthread_mutex_unlock(&lock);
}
