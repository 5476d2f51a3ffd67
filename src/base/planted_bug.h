/* SPDX-License-Identifier: Apache-2.0 */
/* Bugs on purpose: they prove that the simulator's judges can fail.
 *
 * Compiled in only where CKPT_PLANTED_BUGS is 1, which is the program ckptsim_bugs and nothing that
 * is installed; everywhere else PLANTED_BUG(x) is the constant 0 and leaves no trace. */
#ifndef CKPT_BASE_PLANTED_BUG_H
#define CKPT_BASE_PLANTED_BUG_H

#define PLANTED_BUG_TABLE(X)                                                                       \
    X(VERDICT_BY_ATTEMPT, "a second start under a number gets the verdict of the first")           \
    X(ONE_DIGEST, "commit without the second digest")                                              \
    X(SAME_GENERATION, "a slot is used again with its old generation")                             \
    X(TELL_BEFORE_DURABLE, "consistent is told before the record is durable")                      \
    X(OBEY_STALE_EPOCH, "an agent obeys a coordinator whose epoch is over")                        \
    X(FORGET_EPOCH, "a restarted agent forgets which epoch it obeyed")                             \
    X(ONE_DOMAIN, "two copies in one failure domain count as two")                                 \
    X(TRUST_RECORD, "after a restart the digest in the slot record is reported as new")            \
    X(REPEAT_DIGEST, "an order to digest again is answered with the old digest")                   \
    X(RESTORE_UNVERIFIED, "a restore hands out a copy that was not digested for it")               \
    X(VERDICT_NOT_HELD, "a verdict names a shard that the agent does not hold")                    \
    X(MIXED_STEPS, "each rank of a restore gets what is newest when it asks")                      \
    X(OLD_INCARNATION, "copies of an agent's earlier life go on counting")                         \
    X(RETIRE_NEWEST, "retention retires the newest consistent checkpoint")                         \
    X(NO_RENEWAL, "segments pass to another user without renewal")                                 \
    X(TRUST_THE_GONE, "memory that a lost rank may still have mapped is not renewed")              \
    X(MISSING_RANK, "a rank that said nothing does not hinder a commit")                           \
    X(FREE_WHILE_READ, "a slot is freed while a rank reads it")                                    \
    X(FREE_WHILE_WRITTEN, "a slot is freed while the transport writes it")                         \
    X(LATEST_BACK, "a checkpoint below latest may become consistent")                              \
    X(LEASE_BY_WALL, "leases go on while the coordinator itself stands still")                     \
    X(REPAIR_AT_ONCE, "what is away for a moment is copied again at once")                         \
    X(NEVER_TRIM, "copies too many are never let go")                                              \
    X(FULL_IS_FINAL, "a full node gets no room before retention makes it")                         \
    X(QUARANTINE_THE_ABSENT, "a checkpoint whose copies are away is quarantined")                  \
    X(NO_SETTLE, "a coordinator that has just started waits for nobody to say what it holds")      \
    X(CALLED_OFF_STAYS, "a pull that was called off keeps its slot")                               \
    X(TRIM_TOO_FAR, "copies too many are let go, and one more")                                    \
    X(OPEN_FOR_EVER, "a save that never gets all its ranks keeps its memory")                      \
    X(READER_GONE, "a reader's copy stays when the reader has gone")                               \
    X(WRITER_GONE, "a slot that a dead rank was filling stays")                                    \
    X(ORDER_ONCE, "an order that was lost is never sent again")                                    \
    X(END_OF_ANY, "an end that comes late is taken for that of the next start")                    \
    X(LINGER_WITH_RANKS, "a run lingers on while its ranks are connected")                         \
    X(GOODBYE_IS_FOR_EVER, "the copies of who says goodbye are not waited for any more")           \
    X(SAFE_TOO_EARLY, "a draining node may go though a newest copy is there alone")                \
    X(DRAIN_HOLDS_SAVES, "a save waits for copies apart from a draining node that cannot be")      \
    X(PARTS_OVERLAP, "a part of a segment is made where another lies")                             \
    X(NEVER_WHOLE, "a segment that once had parts is never whole again")                           \
    X(PREPARE_AS_IT_IS, "memory is told to a rank before another user's bytes in it are gone")     \
    X(PREPARE_FOR_EVER, "memory that was renewed ahead is never free again")                       \
    X(KEY_BEFORE_DURABLE, "a run's key is told before it is durable")                              \
    X(OTHER_RUNS_KEY, "a copy that is proven under another run's key counts")                      \
    X(RANGE_LENDS, "a word about where a range is lends the copy here, unproven")                  \
    X(RANGE_BELIEVED, "a range is handed out though it does not fold into the commit's digest")    \
    X(RANGE_REPORTED, "a range that was fetched for a reader is reported as a copy")               \
    X(VALUE_FROM_MESSAGE, "a chunk's value is of what came, not of what lies in memory")           \
    X(SCRUB_BELIEVES, "a scrub believes the values that were kept, in place of the memory")        \
    X(MANIFEST_FIRST, "the manifest goes to the tier before the last shard is there")              \
    X(PERSISTED_TOO_EARLY, "persisted is on record before the manifest is in the tier")            \
    X(TIER_UNPROVEN, "what was written to the tier is believed to be what was committed")

enum planted_bug {
    PLANTED_BUG_NONE = 0,
#define PLANTED_BUG_ENUM(name, text) PLANTED_BUG_##name,
    PLANTED_BUG_TABLE(PLANTED_BUG_ENUM)
#undef PLANTED_BUG_ENUM
        PLANTED_BUG_COUNT
};

#if CKPT_PLANTED_BUGS
extern int planted_bug_number;
#define PLANTED_BUG(name) (planted_bug_number == PLANTED_BUG_##name)
#else
#define PLANTED_BUG(name) (0)
#endif

#endif
