/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/text.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

struct size_text size_text(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    struct size_text size;
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    snprintf(size.text, sizeof(size.text), unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value,
             units[unit]);
    return size;
}

struct size_text age_text(uint64_t ms)
{
    struct size_text age;
    if (ms < 1000) {
        snprintf(age.text, sizeof(age.text), "%" PRIu64 " ms", ms);
    } else if (ms < 120 * 1000) {
        snprintf(age.text, sizeof(age.text), "%" PRIu64 " s", ms / 1000);
    } else if (ms < 120 * 60 * 1000) {
        snprintf(age.text, sizeof(age.text), "%" PRIu64 " min", ms / 60000);
    } else if (ms < UINT64_C(48) * 3600 * 1000) {
        snprintf(age.text, sizeof(age.text), "%" PRIu64 " h", ms / 3600000);
    } else {
        snprintf(age.text, sizeof(age.text), "%" PRIu64 " d", ms / 86400000);
    }
    return age;
}

struct size_text user_text(uint64_t uid)
{
    struct size_text user;
    const struct passwd *entry = getpwuid((uid_t)uid);
    if (entry && strlen(entry->pw_name) < sizeof(user.text)) {
        snprintf(user.text, sizeof(user.text), "%s", entry->pw_name);
    } else {
        snprintf(user.text, sizeof(user.text), "%" PRIu64, uid);
    }
    return user;
}
