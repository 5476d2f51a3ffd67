/* SPDX-License-Identifier: Apache-2.0 */
#include "raw/spec.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/nearest.h"
#include "base/reason.h"

#define INTERFACES_MAX 256

/* "fault:...:SPEC" is judged as SPEC; its own keys are the transport's matter. */
static const char *inner(const char *spec)
{
    static const char prefix[] = "fault:";
    while (strncmp(spec, prefix, sizeof(prefix) - 1) == 0) {
        const char *end = strchr(spec + sizeof(prefix) - 1, ':');
        if (end == NULL) {
            break;
        }
        spec = end + 1;
    }
    return spec;
}

static bool is_verbs(const char *spec)
{
    return strcmp(spec, "verbs") == 0 || strncmp(spec, "verbs:", strlen("verbs:")) == 0;
}

static enum ckpt_status refuse(const char *what, const char *word, const char *const *names,
                               size_t count, char *reason)
{
    char known[160] = "";
    size_t used = 0;
    const char *nearest = nearest_name(word, names, count);
    for (size_t i = 0; i < count && used < sizeof(known) - 1; i++) {
        int length =
            snprintf(known + used, sizeof(known) - used, "%s%s", i > 0 ? ", " : "", names[i]);
        used += (size_t)length;
    }
    return reason_refuse(reason, CKPT_ERR_CONFIG, "unknown %s \"%.50s\"%s%s%s known: %s", what,
                         word, nearest != NULL ? ", did you mean " : "",
                         nearest != NULL ? nearest : "", nearest != NULL ? "?" : ";", known);
}

static bool is_interface(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static enum ckpt_status check_interfaces(const char *devices, char *reason)
{
    const char *names[INTERFACES_MAX];
    size_t count = 0;
    enum ckpt_status status = CKPT_OK;
    struct if_nameindex *all = if_nameindex();
    for (struct if_nameindex *i = all; i != NULL && i->if_index != 0; i++) {
        if (count < INTERFACES_MAX) {
            names[count++] = i->if_name;
        }
    }
    while (all != NULL && *devices != '\0' && status == CKPT_OK) {
        char name[IF_NAMESIZE * 4];
        size_t length = strcspn(devices, ",");
        snprintf(name, sizeof(name), "%.*s", (int)length, devices);
        if (!is_interface(name, names, count)) {
            status = refuse("network interface", name, names, count, reason);
        }
        devices += length;
        devices += *devices == ',';
    }
    if (all != NULL) {
        if_freenameindex(all);
    }
    return status;
}

enum ckpt_status spec_check(const char *spec, const char *devices, char *reason)
{
    static const char *const kinds[] = {"ucx:tcp", "ucx:shm", "ucx:rc", "ucx",
                                        "verbs",   "loop",    "fault"};
    const char *kind = inner(spec);
    if (!is_verbs(kind)) {
        bool known = false;
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) - 1; i++) {
            known = known || strcmp(kinds[i], kind) == 0;
        }
        if (!known) {
            return refuse("transport", kind, kinds, sizeof(kinds) / sizeof(kinds[0]), reason);
        }
    }
    if (devices != NULL && strcmp(kind, "ucx:tcp") == 0) {
        return check_interfaces(devices, reason);
    }
    return CKPT_OK;
}

bool spec_same_kind(const char *a, const char *b)
{
    a = inner(a);
    b = inner(b);
    return (is_verbs(a) && is_verbs(b)) || strcmp(a, b) == 0;
}

bool spec_is_local(const char *spec)
{
    return strcmp(inner(spec), "loop") == 0;
}

bool spec_takes_gpu(const char *spec)
{
    return is_verbs(inner(spec));
}

/* The named devices and what stands between them. */
static const char *named(const char *spec, const char *devices, char *separator_out)
{
    if (devices[0] != '\0') {
        *separator_out = ',';
        return devices;
    }
    *separator_out = '+';
    return is_verbs(spec) && spec[strlen("verbs")] == ':' ? spec + strlen("verbs:") : "";
}

uint32_t spec_rail_count(const char *spec, const char *devices)
{
    char separator;
    const char *names = named(spec, devices, &separator);
    uint32_t count = names[0] != '\0';
    for (; *names != '\0'; names++) {
        count += *names == separator;
    }
    return count;
}

bool spec_first_rails(const char *spec, const char *devices, uint32_t rails, char *spec_out,
                      char *devices_out, size_t size)
{
    char separator;
    const char *names = named(spec, devices, &separator);
    size_t length = 0;
    if (rails == 0 || rails > spec_rail_count(spec, devices)) {
        return false;
    }
    for (uint32_t i = 0; i < rails; i++) {
        length += length > 0;
        length += strcspn(names + length, (char[]){separator, '\0'});
    }
    bool fits;
    if (is_verbs(spec)) {
        fits = (size_t)snprintf(spec_out, size, "verbs:%.*s", (int)length, names) < size;
        for (char *at = spec_out; *at != '\0'; at++) {
            *at = *at == ',' ? '+' : *at;
        }
        devices_out[0] = '\0';
    } else {
        fits = (size_t)snprintf(spec_out, size, "%s", spec) < size &&
               (size_t)snprintf(devices_out, size, "%.*s", (int)length, names) < size;
    }
    return fits;
}
