/* SPDX-License-Identifier: Apache-2.0 */
/* From names and devices to rails, and what to say when there are none. */
#include "transport/verbs/rails.h"
#include "transport/verbs/preflight.h"
#include "transport/verbs/rail.h"
#include "transport/verbs/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/nearest.h"
#include "base/reason.h"

#define NAMES_MAX 64

static void report_unknown(struct ibv_device **devices, size_t count, const char *name)
{
    const char *names[NAMES_MAX];
    char known[160] = "";
    size_t used = 0, named = count < NAMES_MAX ? count : NAMES_MAX;
    const char *near;

    for (size_t i = 0; i < named; i++) {
        names[i] = ibv_get_device_name(devices[i]);
    }
    for (size_t i = 0; i < named && used < sizeof(known); i++) {
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i == 0 ? "" : ", ",
                                 names[i]);
    }
    near = nearest_name(name, names, named);
    transport_set_open_error("verbs: no RDMA device \"%.40s\"%s%s%s; there are: %s", name,
                             near != NULL ? ", did you mean \"" : "", near != NULL ? near : "",
                             near != NULL ? "\"?" : "", known);
}

/* word is NAME or NAME:PORT. */
static enum ckpt_status open_named(struct verbs *v, struct ibv_device **devices, size_t count,
                                   char *word)
{
    char *colon = strchr(word, ':');
    unsigned long port = 1;
    char *end = NULL;

    if (colon != NULL) {
        *colon = '\0';
        port = strtoul(colon + 1, &end, 10);
        if (end == colon + 1 || *end != '\0' || port == 0 || port > UINT8_MAX) {
            transport_set_open_error("verbs: %.40s:%.20s is no port number", word, colon + 1);
            return CKPT_ERR_CONFIG;
        }
    }
    if (v->rails_count == VERBS_RAILS_MAX) {
        transport_set_open_error("verbs: more than %d rails", VERBS_RAILS_MAX);
        return CKPT_ERR_CONFIG;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(ibv_get_device_name(devices[i]), word) == 0) {
            return verbs_rail_open(v, devices[i], (uint8_t)port);
        }
    }
    report_unknown(devices, count, word);
    return CKPT_ERR_CONFIG;
}

/* names is a list with '+' or ',' between. Leniently, what cannot be used is left out, and the
 * first reason is told when nothing is left. */
static enum ckpt_status open_list(struct verbs *v, struct ibv_device **devices, size_t count,
                                  const char *names, bool lenient)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    char *copy = strdup(names), *rest = copy, *word;
    enum ckpt_status status = copy != NULL ? CKPT_OK : CKPT_ERR_MEMORY, first = CKPT_OK;

    while (status == CKPT_OK && (word = strsep(&rest, "+,")) != NULL) {
        status = open_named(v, devices, count, word);
        if (status == CKPT_OK || !lenient) {
            continue;
        }
        log_event(EVENT_verbs_rail_left_out, "reason=%s", LOG_QUOTED(transport_open_error()));
        if (first == CKPT_OK) {
            first = status;
            reason_set(reason, "%s", transport_open_error());
        }
        status = CKPT_OK;
    }
    free(copy);
    if (status == CKPT_OK && v->rails_count == 0) {
        transport_set_open_error("%s", reason);
        status = first;
    }
    return status;
}

/* All ports that can be used; the first reason why one cannot is told when there is none. */
static enum ckpt_status open_all(struct verbs *v, struct ibv_device **devices, size_t count)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    enum ckpt_status status, first = CKPT_OK;

    for (size_t i = 0; i < count; i++) {
        for (unsigned port = 1; v->rails_count < VERBS_RAILS_MAX; port++) {
            uint32_t before = v->rails_count;
            status = verbs_rail_open(v, devices[i], (uint8_t)port);
            if (status != CKPT_OK && first == CKPT_OK) {
                first = status;
                reason_set(reason, "%s", transport_open_error());
            }
            const struct ibv_device_attr *attributes = &v->rails[before].device;
            if (port >= attributes->phys_port_cnt || port == UINT8_MAX) {
                break;
            }
        }
    }
    if (v->rails_count != 0) {
        return CKPT_OK;
    }
    transport_set_open_error("%s", reason);
    return first;
}

enum ckpt_status verbs_devices_check(void)
{
    int count = 0;
    struct ibv_device **devices = ibv_get_device_list(&count);

    if (devices != NULL) {
        ibv_free_device_list(devices);
    }
    if (count == 0) {
        transport_set_open_error("verbs: this machine has no RDMA device (ibv_devices shows none): "
                                 "load its driver, or use transport ucx");
        return CKPT_ERR_CONFIG;
    }
    return CKPT_OK;
}

enum ckpt_status verbs_rails_open(struct verbs *v, const char *names,
                                  const struct transport_options *options)
{
    int count = 0;
    struct ibv_device **devices = ibv_get_device_list(&count);
    enum ckpt_status status;

    if (devices == NULL) {
        transport_set_open_error("verbs: listing RDMA devices: %s", strerror(errno));
        status = CKPT_ERR_SYSTEM;
    } else if (names != NULL || options->devices != NULL) {
        status = open_list(v, devices, (size_t)count, names != NULL ? names : options->devices,
                           options->lenient);
    } else {
        status = open_all(v, devices, (size_t)count);
    }
    if (devices != NULL) {
        ibv_free_device_list(devices);
    }
    if (status == CKPT_OK) {
        status = verbs_preflight(v, options);
    }
    for (uint32_t i = 0; i < v->rails_count && status == CKPT_OK; i++) {
        status = verbs_rail_listen(&v->rails[i], options->port);
    }
    if (status != CKPT_OK) {
        verbs_rails_close(v);
    }
    return status;
}

/* Whether word names the rail: NAME, or NAME:PORT. */
static bool is_named(const struct verbs_rail *rail, const char *word, size_t length)
{
    size_t device = strcspn(rail->name, ":");

    return length >= device && memcmp(rail->name, word, device) == 0 &&
           (length == device
                ? rail->port == 1
                : length == strlen(rail->name) && memcmp(rail->name, word, length) == 0);
}

uint32_t verbs_rails_near(const struct verbs *v, const char *names)
{
    uint32_t near = 0;

    for (const char *word = names; word != NULL && *word != '\0';) {
        size_t length = strcspn(word, "+,");
        for (uint32_t i = 0; i < v->rails_count; i++) {
            near |= is_named(&v->rails[i], word, length) ? UINT32_C(1) << i : 0;
        }
        word += length + (word[length] != '\0');
    }
    return near != 0 ? near : UINT32_MAX;
}

void verbs_rails_close(struct verbs *v)
{
    for (uint32_t i = 0; i < v->rails_count; i++) {
        verbs_rail_close(&v->rails[i]);
    }
    v->rails_count = 0;
}
