/* SPDX-License-Identifier: Apache-2.0 */
/* A test that is the protocol: what the coordinator hears, and all that it then records and says.
 *
 *   > n0: asks load 1 of attempt 2 rank 0 of 2
 *   < n0: verify_order 1000:run/1 step 10 rank 0 order 4 gen 10
 *   > n0: verified step 10 rank 0 of 2 order 4
 *   < record VERDICT attempt 2 step 10
 *
 * Each line with > is one event, in the words of story.c; those with < are its whole update, in the
 * order in which it is carried out, but for the notes and the deadline. */
#ifndef CKPT_TESTS_COORDINATOR_STORY_H
#define CKPT_TESTS_COORDINATOR_STORY_H

#include "unit/coordinator/cluster.h"

/* Fails, and prints the story as it went, when it went otherwise. */
void cluster_story(struct cluster *cluster, const char *story);

#endif
