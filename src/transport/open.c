/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses a backend by its name. */
#include "transport/backend.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *form;
    transport_opener *open;
} backends[] = {
    {"loop", "loop", transport_loop_open},
    {"fault", "fault:KEY=VALUE,...:SPEC", transport_fault_open},
    {"ucx", "ucx[:tcp|:shm|:rc]", transport_ucx_open},
#ifdef CKPT_VERBS
    {"verbs", "verbs[:DEVICE+DEVICE...]", transport_verbs_open},
#endif
};

static _Thread_local char open_error[CKPT_REASON_MAX + 1];

void transport_set_open_error(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(open_error, sizeof(open_error), format, arguments);
    va_end(arguments);
}

const char *transport_open_error(void)
{
    return open_error;
}

/* A transport that exists, and that this program was built without. */
static bool is_left_out(const char *spec, size_t name_length)
{
#ifdef CKPT_VERBS
    (void)spec, (void)name_length;
    return false;
#else
    return name_length == strlen("verbs") && memcmp(spec, "verbs", name_length) == 0;
#endif
}

static void report_unknown(const char *spec, size_t name_length)
{
    char forms[128];
    size_t used = 0;

    if (is_left_out(spec, name_length)) {
        transport_set_open_error("this program was built without libibverbs and librdmacm, so it "
                                 "has no transport verbs: build it where they are, or use ucx");
        return;
    }
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        used += (size_t)snprintf(forms + used, sizeof(forms) - used, "%s%s", i == 0 ? "" : ", ",
                                 backends[i].form);
    }
    transport_set_open_error("unknown transport \"%.60s\"; known: %s", spec, forms);
}

enum ckpt_status transport_spec_check(const char *spec)
{
    size_t name_length = strcspn(spec, ":");
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        if (strlen(backends[i].name) == name_length &&
            memcmp(backends[i].name, spec, name_length) == 0) {
            return CKPT_OK;
        }
    }
    report_unknown(spec, name_length);
    return CKPT_ERR_CONFIG;
}

enum ckpt_status transport_open(const char *spec, const struct transport_options *options,
                                struct transport **transport_out)
{
    static const struct transport_options defaults;
    size_t name_length = strcspn(spec, ":");
    const char *arguments = spec[name_length] == ':' ? spec + name_length + 1 : NULL;

    open_error[0] = '\0';
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        if (strlen(backends[i].name) == name_length &&
            memcmp(backends[i].name, spec, name_length) == 0) {
            return backends[i].open(arguments, options != NULL ? options : &defaults,
                                    transport_out);
        }
    }
    report_unknown(spec, name_length);
    return CKPT_ERR_CONFIG;
}
