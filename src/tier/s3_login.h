/* SPDX-License-Identifier: Apache-2.0 */
/* Who we are to an S3 server, from where every tool for S3 looks. Never in a log or reason. */
#ifndef CKPT_TIER_S3_LOGIN_H
#define CKPT_TIER_S3_LOGIN_H

#include "tier/s3_request.h"

/* Sets login and token of the server: from $AWS_ACCESS_KEY_ID, $AWS_SECRET_ACCESS_KEY and
 * $AWS_SESSION_TOKEN, else from $AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials, section
 * $AWS_PROFILE or default.
 *
 * ERRORS
 * - CKPT_ERR_DENIED - neither has a key
 * - CKPT_ERR_CONFIG - a key or token is too long to be one */
enum ckpt_status s3_login_find(struct s3_server *server, char *reason_out);

#endif
