/* SPDX-License-Identifier: Apache-2.0 */
/* The XML that a server answers with. Pure. */
#ifndef CKPT_TIER_S3_XML_H
#define CKPT_TIER_S3_XML_H

#include "tier/backend.h"

/* The largest manifest. */
#define S3_TEXT_MAX (UINT64_C(64) << 20)

struct s3_text {
    char *text;
    size_t bytes;
    size_t room;
};

/* False: too much, or no memory. */
bool s3_text_add(struct s3_text *text, const char *data, size_t bytes);

/* Whether its first element is <Error>. */
bool s3_text_is_error(const struct s3_text *text);

/* The text of the first element of that name, anywhere; "" where there is none. Cut where it is
 * longer; what is not printable ASCII is '?'. */
void s3_text_field(const struct s3_text *text, const char *name, char *value_out, size_t size);

/* Each <item> that the answer has, with the texts of up to S3_FIELDS of its fields by the names
 * given (NULL ends them); "" where one is missing. False: it is no XML. */
#define S3_FIELDS 3
#define S3_VALUE_SIZE 1100
struct s3_item {
    char values[S3_FIELDS][S3_VALUE_SIZE];
};
typedef void s3_item_visit(void *context, const struct s3_item *item);
bool s3_text_items(const struct s3_text *text, const char *item, const char *const names[],
                   s3_item_visit *visit, void *context);

#endif
