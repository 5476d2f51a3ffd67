/* SPDX-License-Identifier: Apache-2.0 */
/* What people hear: one line of the log, of whom it is, and why. */
#ifndef CKPT_COORDINATOR_NOTE_H
#define CKPT_COORDINATOR_NOTE_H

#include "coordinator/state.h"

/* Of whom a note is; NULL and 0: of none. */
struct about {
    const char *node;
    const struct run_key *run;
    uint32_t attempt;
    uint64_t step;
    bool has_rank;
    uint32_t rank;
};

static inline struct about about_node(const char *node)
{
    return (struct about){.node = node};
}

static inline struct about about_run(const struct run *run, uint64_t step)
{
    return (struct about){.run = &run->key, .attempt = run->attempt, .step = step};
}

static inline struct about about_checkpoint(const struct coordinator *c, const struct checkpoint *k)
{
    return (struct about){.run = &c->runs[k->run].key, .attempt = k->attempt, .step = k->step};
}

/* The node's copy of a shard. */
static inline struct about about_copy(const char *node, const struct shard_key *shard)
{
    return (struct about){.node = node,
                          .run = &shard->run,
                          .attempt = shard->attempt,
                          .step = shard->step,
                          .has_rank = true,
                          .rank = shard->rank};
}

/* One that does not fit takes the place of the last, and is counted. */
void coordinator_note(struct coordinator *c, enum event_id event, struct about about,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
