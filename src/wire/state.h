/* SPDX-License-Identifier: Apache-2.0 */
/* What a checkpoint and a copy of a shard may be, as all sides say it. */
#ifndef CKPT_WIRE_STATE_H
#define CKPT_WIRE_STATE_H

enum checkpoint_state {
    CHECKPOINT_NONE = 0,    /* the coordinator knows nothing of it */
    CHECKPOINT_OPEN,        /* some shard was announced, some rank is missing */
    CHECKPOINT_VERIFYING,   /* every rank has sealed; copies are being made and digested */
    CHECKPOINT_CONSISTENT,  /* committed */
    CHECKPOINT_QUARANTINED, /* was consistent; kept, no longer offered */
    CHECKPOINT_ABORTED,     /* will never be consistent; its slots are freed */
    CHECKPOINT_RETIRED,     /* forgotten on purpose; its slots are freed */
};

/* Whether a checkpoint is in the tier, as the coordinator knows. */
enum checkpoint_tier {
    CHECKPOINT_TIER_UNKNOWN = 0, /* said by a coordinator of before there was a word for it */
    CHECKPOINT_TIER_ABSENT,      /* no agent has a tier */
    CHECKPOINT_TIER_AWAITED,     /* not yet; it may go there */
    CHECKPOINT_TIER_WHOLE,       /* it is there, on record */
    CHECKPOINT_TIER_PASSED,      /* it never went there, and never will */
    CHECKPOINT_TIER_FORGOTTEN,   /* gone from memory, and no longer known whether it went there */
};

/* What an agent says of one copy in its own memory. */
enum copy_state {
    COPY_NONE = 0, /* not here, or freed, or failed: never to be counted again */
    COPY_SEALED,   /* owner's bytes are complete, not yet digested; may be pulled */
    COPY_ADOPTED,  /* found in the arena after a restart, not yet digested; may not be pulled */
    COPY_VERIFIED, /* digested by this agent, in this incarnation, from its own memory */
};

enum pull_purpose {
    PULL_REPLICATE = 0, /* a copy that counts */
    PULL_RESTORE,       /* for a local rank that restores; counts too */
    PULL_FETCH,         /* for a local reader; never counts, never offered, freed on release */
};

/* A person's word on a checkpoint. */
enum checkpoint_mark {
    MARK_NONE = 0, /* takes an earlier word back */
    MARK_HEALTHY,  /* shown; changes nothing */
    MARK_POISONED, /* never offered as the newest one */
};

#endif
