/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sizes.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"

struct size_pair size_pair(uint64_t a, uint64_t b)
{
    static const struct {
        const char *name;
        uint64_t bytes;
        int decimals;
    } units[] = {{"GiB", CKPT_GIB, 2}, {"MiB", CKPT_MIB, 0}, {"KiB", CKPT_KIB, 0}, {"bytes", 1, 0}};
    struct size_pair pair = {"", ""};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        double unit = (double)units[i].bytes;
        snprintf(pair.a, sizeof(pair.a), "%.*f %s", units[i].decimals, (double)a / unit,
                 units[i].name);
        snprintf(pair.b, sizeof(pair.b), "%.*f %s", units[i].decimals, (double)b / unit,
                 units[i].name);
        if (a == b || strcmp(pair.a, pair.b) != 0) {
            break;
        }
    }
    return pair;
}
