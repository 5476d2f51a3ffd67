/* SPDX-License-Identifier: Apache-2.0 */
#include "numbers.h"

#include "base/limits.h"
#include "base/reason.h"
#include "config/value.h"

bool numbers_read(const struct config *config, size_t key, enum config_type type, int64_t least,
                  int64_t most, uint64_t *numbers_out, size_t size, size_t *count_out, char *reason)
{
    const struct config_key number = {.name = "number", .type = type, .min = least, .max = most};
    char where[CKPT_REASON_MAX + 1];
    size_t count = config_list_count(config, key);
    if (count > size) {
        config_describe(config, key, where, sizeof(where));
        reason_set(reason, "%.100s: at most %zu numbers", where, size);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        char problem[CKPT_REASON_MAX + 1];
        int64_t value;
        const char *text = config_list_at(config, key, i);
        if (!value_parse(&number, text, &value, problem, sizeof(problem))) {
            config_describe(config, key, where, sizeof(where));
            reason_set(reason, "%.60s: \"%.40s\": %.120s", where, text, problem);
            return false;
        }
        numbers_out[i] = (uint64_t)value;
    }
    *count_out = count;
    return true;
}
