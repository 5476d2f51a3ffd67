/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that copies are proven with, a run each, as the coordinator tells them.
 *
 * They are in this machine's memory alone: stored and logged nowhere, and told to no rank or peer.
 * What is complete waits to be digested until its run's key is known, which the answer to its
 * report brings. Whoever told last is right: what was proven under another key is proven again. */
#ifndef CKPT_AGENT_DIGEST_KEY_H
#define CKPT_AGENT_DIGEST_KEY_H

#include "agent/state.h"

/* The coordinator told the run's key; of an unknown kind: it did not. */
void agent_digest_key_told(struct agent *a, const struct run_key *run,
                           const struct digest_key *key);

/* Whether the coordinator that is heard from now on tells keys. One of before there were any never
 * does, and all its runs are proven by BLAKE3. */
void agent_digest_key_tells(struct agent *a, bool tells);

/* The run's key, and its id; false: it has not been told yet. */
bool agent_digest_key_of(const struct agent *a, const struct run_key *run,
                         struct digest_key *key_out, uint64_t *id_out);

/* The run's key is known, and another than the one of this id. */
bool agent_digest_key_is_other(const struct agent *a, const struct run_key *run, uint64_t id);

/* A copy whose digest is under another key than its run's does not count, and is proven again:
 * true. */
bool agent_digest_key_check(struct agent *a, uint32_t slot);

#endif
