/* SPDX-License-Identifier: Apache-2.0 */
/* A result as `--json` wrote it, read again. */
#ifndef CKPTBENCH_RESULT_H
#define CKPTBENCH_RESULT_H

#include <stddef.h>

#include <jansson.h>

#include <ckpt/status.h>

struct result {
    char label[64];   /* the file's name without .json, unless another was asked for */
    const char *kind; /* the case: "raw" */
    json_t *json;
};

/* Reads a file; label may be NULL. CKPT_ERR_CONFIG, and reason (CKPT_REASON_MAX + 1 bytes): it is
 * not there (with the nearest name beside it), no JSON, or no result of ckptbench. */
enum ckpt_status result_load(const char *path, const char *label, struct result *result_out,
                             char *reason);
void result_free(struct result *result);

/* The number that key has in an object; NAN when it has none. */
double result_number(const json_t *object, const char *key);

/* The least and the greatest of a key of the result; NAN. */
double result_min(const struct result *result, const char *key);
double result_max(const struct result *result, const char *key);

/* The text of a key; "" when there is none. */
const char *result_text(const json_t *object, const char *key);

#endif
