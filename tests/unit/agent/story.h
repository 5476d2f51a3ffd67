/* SPDX-License-Identifier: Apache-2.0 */
/* A test that is the protocol: what an agent hears, and all that it then stores, begins and says.
 *
 *   > order 1: pull step 10 rank 3, 2000 bytes, from n2
 *   < store slot 0 PULLING gen 1
 *   < connect n2:7000
 *   < n2: OFFER_ASK 1000:llama/1 step 10 rank 3 gen 50
 *
 * Each line with > is one event, in the words of story.c; those with < are its whole update, in the
 * order in which it is carried out, but for the deadline. */
#ifndef CKPT_TESTS_AGENT_STORY_H
#define CKPT_TESTS_AGENT_STORY_H

#include "unit/agent/driver.h"

/* Fails, and prints the story as it went, when it went otherwise. */
void driver_story(struct driver *d, const char *story);

#endif
