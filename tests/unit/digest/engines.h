/* SPDX-License-Identifier: Apache-2.0 */
/* The same check with each engine that this CPU runs; those it does not run are named. */
#ifndef TESTS_UNIT_DIGEST_ENGINES_H
#define TESTS_UNIT_DIGEST_ENGINES_H

#include <stdio.h>

#include "digest/digest.h"

static inline void each_engine(void (*check)(const struct digest_engine *engine, void *context),
                               void *context)
{
    for (size_t i = 0; i < digest_engine_count(); i++) {
        const struct digest_engine *engine = digest_engine_at(i);

        if (digest_engine_supported(engine)) {
            check(engine, context);
        } else {
            printf("skipped: this CPU does not run engine %s\n", digest_engine_name(engine));
        }
    }
}

#endif
