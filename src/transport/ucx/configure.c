/* SPDX-License-Identifier: Apache-2.0 */
/* How UCX is set up: by the program, so that nobody has to export variables. */
#include "transport/ucx/ucx.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucs/debug/log_def.h>

#include "base/log.h"

struct setting {
    const char *mode;   /* the kind of transport that has it; NULL: all */
    const char *prefix; /* of the transport's variables: "" for UCP's own */
    const char *key;
    const char *value;
};

/* Tuning, which an UCX_... variable in the environment may override. The measurements are in
 * docs/transport.md. */
static const struct setting tuning[] = {
    {NULL, "", "ZCOPY_THRESH", "4k"},
    /* A peer whose machine is gone is noticed in seconds, not hours. */
    {NULL, "", "KEEPALIVE_INTERVAL", "1s"},
    {NULL, "TCP_", "KEEPIDLE", "2s"},
    {NULL, "TCP_", "KEEPINTVL", "1s"},
    {NULL, "TCP_", "KEEPCNT", "3"},
    /* A fragment is one message: a header and up to this many bytes, sent from the region by
     * sendmsg() and received by one recv() into a buffer that fits the second-level cache. */
    {NULL, "TCP_", "RX_SEG_SIZE", "256k"},
    /* Nothing of ours is received by one-sided writes. */
    {NULL, "TCP_", "PUT_ENABLE", "n"},
    /* Without this UCX leaves shared memory out when errors of peers are to be reported. */
    {"shm", "MM_", "MM_ERROR_HANDLING", "y"},
    /* UCX 1.13 takes more, and silently loses messages: the length in its queue has 16 bits. */
    {"shm", "MM_", "MM_SEG_SIZE", "63k"},
};

/* Segments of above, less the headers of UCX. */
#define FRAGMENT_BYTES_TCP (255 * CKPT_KIB)
#define FRAGMENT_BYTES_ANY (62 * CKPT_KIB)

enum ckpt_status ucx_status(ucs_status_t status)
{
    if (status == UCS_OK) {
        return CKPT_OK;
    }
    if (status == UCS_ERR_NO_MEMORY) {
        return CKPT_ERR_MEMORY;
    }
    return status == UCS_ERR_TIMED_OUT || status == UCS_ERR_ENDPOINT_TIMEOUT ? CKPT_ERR_TIMEOUT
                                                                             : CKPT_ERR_LINK;
}

static enum ckpt_status apply(ucp_config_t *config, const char *key, const char *value)
{
    ucs_status_t status = ucp_config_modify(config, key, value);

    if (status != UCS_OK) {
        transport_set_open_error("ucx: setting %s=%s: %s", key, value, ucs_status_string(status));
        return CKPT_ERR_CONFIG;
    }
    return CKPT_OK;
}

static enum ckpt_status configure(ucp_config_t *config, const char *mode, const char *devices)
{
    const char *transports = NULL;
    const char *managers = NULL; /* of connections; NULL: what UCX prefers */
    enum ckpt_status status = CKPT_OK;

    if (mode == NULL) {
        transports = "all";
    } else if (strcmp(mode, "tcp") == 0) {
        transports = "tcp";
    } else if (strcmp(mode, "shm") == 0) {
        /* The processes find each other by TCP. */
        transports = "posix,tcp";
        devices = devices != NULL ? devices : "lo";
    } else if (strcmp(mode, "rc") == 0) {
        /* Datagrams are for the wire-up. */
        transports = "rc,ud";
        managers = "rdmacm";
    } else {
        transport_set_open_error(
            "unknown kind of ucx \"%.60s\"; known: ucx, ucx:rc, ucx:shm, ucx:tcp", mode);
        return CKPT_ERR_CONFIG;
    }
    for (size_t i = 0; i < sizeof(tuning) / sizeof(tuning[0]) && status == CKPT_OK; i++) {
        char variable[64];
        snprintf(variable, sizeof(variable), "UCX_%s%s", tuning[i].prefix, tuning[i].key);
        /* UCX would warn of a setting for a transport that is not in use. */
        if (getenv(variable) == NULL &&
            (mode == NULL || tuning[i].mode == NULL || strcmp(mode, tuning[i].mode) == 0)) {
            status = apply(config, tuning[i].key, tuning[i].value);
        }
    }
    if (status == CKPT_OK) {
        status = apply(config, "TLS", transports);
    }
    if (status == CKPT_OK && managers != NULL) {
        status = apply(config, "SOCKADDR_TLS_PRIORITY", managers);
    }
    if (status == CKPT_OK && devices != NULL) {
        status = apply(config, "NET_DEVICES", devices);
    }
    return status;
}

/* UCX prints to standard output, which belongs to the program. */
__attribute__((format(printf, 6, 0))) static ucs_log_func_rc_t
log_of_ucx(const char *file, unsigned line, const char *function, ucs_log_level_t level,
           const ucs_log_component_config_t *component, const char *message, va_list arguments)
{
    char text[CKPT_REASON_MAX + 1];

    (void)function, (void)component;
    if (level <= UCS_LOG_LEVEL_WARN) {
        vsnprintf(text, sizeof(text), message, arguments);
        log_event(level == UCS_LOG_LEVEL_FATAL ? EVENT_ucx_fatal : EVENT_ucx, "at=%s:%u text=%s",
                  basename(file), line, LOG_QUOTED(text));
    }
    return UCS_LOG_FUNC_RC_STOP;
}

static void take_log(void)
{
    ucs_log_push_handler(log_of_ucx);
}

enum ckpt_status ucx_context_open(const char *mode, const char *devices, struct ucx *u)
{
    ucp_params_t parameters = {.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME,
                               .name = "ckptd"};
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    ucp_config_t *config;
    ucs_status_t result;
    enum ckpt_status status;

    pthread_once(&once, take_log);
    result = ucp_config_read(NULL, NULL, &config);
    if (result != UCS_OK) {
        transport_set_open_error("ucx: reading UCX_... variables: %s", ucs_status_string(result));
        return CKPT_ERR_CONFIG;
    }
    status = configure(config, mode, devices);
    if (status == CKPT_OK) {
        parameters.features = UCP_FEATURE_WAKEUP | UCP_FEATURE_AM;
        u->fragment_bytes =
            mode != NULL && strcmp(mode, "tcp") == 0 ? FRAGMENT_BYTES_TCP : FRAGMENT_BYTES_ANY;
        result = ucp_init(&parameters, config, &u->context);
        if (result != UCS_OK) {
            transport_set_open_error("ucx%s%s: no usable device%s%.60s: %s",
                                     mode != NULL ? ":" : "", mode != NULL ? mode : "",
                                     devices != NULL ? " among " : "",
                                     devices != NULL ? devices : "", ucs_status_string(result));
            status = result == UCS_ERR_NO_MEMORY ? CKPT_ERR_MEMORY : CKPT_ERR_CONFIG;
        }
    }
    ucp_config_release(config);
    return status;
}
