/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of a job, from a hook or a user, and on to the coordinator. docs/protocol.md tells when
 * each is sent. */
#ifndef CKPT_WIRE_MESSAGE_JOB_H
#define CKPT_WIRE_MESSAGE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "wire/key.h"
#include <ckpt/status.h>

enum job_verb {
    JOB_BEGIN = 1,
    JOB_END,   /* it may be started again: the run lingers */
    JOB_FINAL, /* nobody wants its checkpoints any more */
    JOB_SHOW,  /* only asks; never to the coordinator */
};

/* MESSAGE_JOB, and repeated to the coordinator as MESSAGE_JOB_REPORT until it is acknowledged.
 * Whose word is taken is the agent's to judge, by the socket's credentials. */
struct message_job {
    enum job_verb verb;
    char job[CKPT_JOB_NAME_MAX + 1]; /* "cluster/4711" */
    struct run_key run;              /* may be empty where the agent knows the job */
    uint32_t attempt; /* which start of the job; 0: as the agent knows it, or nobody does */
    uint64_t linger_ms;
    uint64_t ended_ms_ago; /* in a report of JOB_END or JOB_FINAL */
    bool requeueable;
    bool begin_known;      /* in a report: the agent was told when it began */
    uint64_t begun_ms_ago; /* in such a report */
    uint32_t run_attempt;  /* in a report of an end: the run's newest that the agent knew then */
    uint64_t started_s;    /* since 1970: when this start of the job began, by its scheduler's word,
                            * the same at its begin and its end; 0: it does not say */
    uint64_t said_ms; /* by the node's clock: when the hook spoke; 0, and in a report: unknown */
};

struct message_job_told {
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
    enum job_verb verb; /* what holds now: JOB_BEGIN, JOB_END or JOB_FINAL */
    char job[CKPT_JOB_NAME_MAX + 1];
    struct run_key run;
    uint32_t attempt;
    char node[CKPT_NODE_NAME_MAX + 1];
    char domain[CKPT_DOMAIN_NAME_MAX + 1];
};

struct message_job_ack {
    enum job_verb verb;
    char job[CKPT_JOB_NAME_MAX + 1];
    uint32_t attempt;
};

#endif
