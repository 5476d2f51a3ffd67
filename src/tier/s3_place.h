/* SPDX-License-Identifier: Apache-2.0 */
/* Where a tier's files are in a bucket: bucket, prefix, and how a question for one is asked. */
#ifndef CKPT_TIER_S3_PLACE_H
#define CKPT_TIER_S3_PLACE_H

#include "tier/s3_request.h"

struct s3 {
    struct tier_medium medium;
    struct tier_options options;
    struct s3_server server;
    char bucket[64];
    char prefix[512];          /* of keys, with its '/'; "" for none */
    struct s3_request request; /* for questions that come one at a time */
};

/* Begins the question about a name (NULL: the bucket as such). */
void s3_question(const struct s3 *s3, struct s3_request *request, const char *method,
                 const char *name);

/* Adds name=value to its query, escaped; names come in their order. value NULL: "name=". */
void s3_query(struct s3_request *request, const char *name, const char *value);

/* Each thing right below a folder of keys, all pages of it. count_out: how many. */
enum ckpt_status s3_list(struct tier_medium *medium, const char *folder, tier_thing_visit *visit,
                         void *context, char *reason_out);

/* Ends uploads below our prefix that were begun before stale_ms. What cannot be is left. */
void s3_end_left(struct s3 *s3);

#endif
