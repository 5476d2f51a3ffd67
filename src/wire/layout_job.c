/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of what is told of jobs. */
#include "wire/layout.h"

#define FIELD_JOB_VERB(body, proto)                                                                \
    FIELD_ENUM(body, proto, verb, job_verb, JobVerb, wire_job_verb_is_known)

static const struct wire_field job_fields[] = {
    FIELD_JOB_VERB(message_job, Job),          FIELD_NAME(message_job, Job, job, CKPT_JOB_NAME_MAX),
    FIELD_RUN_OR_EMPTY(message_job, Job, run), FIELD_U32(message_job, Job, attempt, UINT32_MAX),
    FIELD_U64(message_job, Job, linger_ms),    FIELD_U64(message_job, Job, ended_ms_ago),
    FIELD_BOOL(message_job, Job, requeueable), FIELD_BOOL(message_job, Job, begin_known),
    FIELD_U64(message_job, Job, begun_ms_ago), FIELD_U32(message_job, Job, run_attempt, UINT32_MAX),
    FIELD_U64(message_job, Job, started_s),    FIELD_U64(message_job, Job, said_ms),
};
WIRE_LAYOUT(job, message_job, job);

#define job_report_fields job_fields
WIRE_LAYOUT(job_report, message_job, job);

static const struct wire_field job_told_fields[] = {
    FIELD_STATUS(message_job_told, JobTold, status),
    FIELD_REASON(message_job_told, JobTold, reason),
    FIELD_JOB_VERB(message_job_told, JobTold),
    FIELD_NAME(message_job_told, JobTold, job, CKPT_JOB_NAME_MAX),
    FIELD_RUN_OR_EMPTY(message_job_told, JobTold, run),
    FIELD_U32(message_job_told, JobTold, attempt, UINT32_MAX),
    FIELD_NAME_OR_EMPTY(message_job_told, JobTold, node, CKPT_NODE_NAME_MAX),
    FIELD_NAME_OR_EMPTY(message_job_told, JobTold, domain, CKPT_DOMAIN_NAME_MAX),
};
WIRE_LAYOUT(job_told, message_job_told, job_told);

static const struct wire_field job_ack_fields[] = {
    FIELD_JOB_VERB(message_job_ack, JobAck),
    FIELD_NAME(message_job_ack, JobAck, job, CKPT_JOB_NAME_MAX),
    FIELD_U32(message_job_ack, JobAck, attempt, UINT32_MAX),
};
WIRE_LAYOUT(job_ack, message_job_ack, job_ack);
