/* SPDX-License-Identifier: Apache-2.0 */
/* What the coordinator answers, as JSON. */
#ifndef CKPT_CKPTCTL_DOCUMENT_H
#define CKPT_CKPTCTL_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Fields of a document; 0, "" and false where they are missing. */
uint64_t field_number(const json_t *document, const char *name);
const char *field_text(const json_t *document, const char *name);
bool field_true(const json_t *document, const char *name);

/* Orders an array by a numeric field; falling when descending. */
void sort_by(json_t *array, const char *name, bool descending);

/* The document as --json prints it. */
void print_json(const json_t *document);

#endif
