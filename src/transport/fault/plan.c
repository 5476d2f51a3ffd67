/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/fault/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "transport/backend.h"

#define DELAY_MS_MAX 3600000
#define CUT_AFTER_MAX 1000000000000

static const char *const keys[] = {"error", "delay", "corrupt", "cut", "delay_ms", "cut_after"};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static enum ckpt_status set(struct fault_plan *plan, const char *key, const char *value)
{
    char *end;
    double number = strtod(value, &end);
    const char *near;
    uint32_t *const chances[] = {&plan->error_ppm, &plan->delay_ppm, &plan->corrupt_ppm,
                                 &plan->cut_ppm};
    size_t index = 0;

    while (index < KEYS && strcmp(keys[index], key) != 0) {
        index++;
    }
    if (index == KEYS) {
        near = nearest_name(key, keys, KEYS);
        transport_set_open_error("fault has no \"%s\"%s%s%s; known: error, delay, corrupt, cut, "
                                 "delay_ms, cut_after",
                                 key, near != NULL ? ", did you mean \"" : "",
                                 near != NULL ? near : "", near != NULL ? "\"?" : "");
        return CKPT_ERR_CONFIG;
    }
    const double most = index < 4 ? 1 : index == 4 ? DELAY_MS_MAX : (double)CUT_AFTER_MAX;
    if (end == value || *end != '\0' || !(number >= 0 && number <= most)) {
        transport_set_open_error("fault: %s=%s is not a number from 0 to %.0f", key, value, most);
        return CKPT_ERR_CONFIG;
    }
    if (index < 4) {
        *chances[index] = (uint32_t)(number * 1e6 + 0.5);
    } else if (index == 4) {
        plan->delay_ms = (uint32_t)number;
    } else {
        plan->cut_after = (uint64_t)number;
    }
    return CKPT_OK;
}

enum ckpt_status fault_plan_parse(const char *text, size_t count, struct fault_plan *plan_out)
{
    struct fault_plan plan = {0};
    bool has_delay = false;
    char word[64];

    for (size_t at = 0; at < count;) {
        size_t length = 0;
        while (at + length < count && text[at + length] != ',') {
            length++;
        }
        if (length >= sizeof(word)) {
            transport_set_open_error("fault: \"%.60s...\" is too long", text + at);
            return CKPT_ERR_CONFIG;
        }
        memcpy(word, text + at, length);
        word[length] = '\0';
        char *value = strchr(word, '=');
        if (value == NULL) {
            transport_set_open_error("fault: \"%s\" is not KEY=VALUE", word);
            return CKPT_ERR_CONFIG;
        }
        *value++ = '\0';
        has_delay |= strcmp(word, "delay") == 0;
        enum ckpt_status status = set(&plan, word, value);
        if (status != CKPT_OK) {
            return status;
        }
        at += length + 1;
    }
    if (plan.delay_ms != 0 && !has_delay) {
        plan.delay_ppm = 1000000;
    }
    *plan_out = plan;
    return CKPT_OK;
}
