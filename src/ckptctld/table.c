/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/table.h"

#include <time.h>

#include "base/clock.h"

int table_is_settling(const struct daemon *daemon)
{
    return clock_now_ms() - daemon->started_ms < daemon->options.machine.restore_settle_ms;
}

json_t *table_time(uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    char text[40];
    if (wall_ms == 0 || gmtime_r(&seconds, &utc) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc) == 0) {
        return json_null();
    }
    return json_sprintf("%s.%03uZ", text, (unsigned)(wall_ms % 1000));
}
