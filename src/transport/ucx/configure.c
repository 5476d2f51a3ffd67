/* SPDX-License-Identifier: Apache-2.0 */
/* How UCX is set up: by the program, so that nobody has to export variables. */
#include "transport/ucx/configure.h"
#include "transport/ucx/log.h"
#include "transport/ucx/settings.h"
#include "transport/ucx/ucx.h"

#include <string.h>

/* Segments of the tuning in settings.c, less the headers of UCX. */
#define FRAGMENT_BYTES_TCP (255 * CKPT_KIB)
#define FRAGMENT_BYTES_ANY (62 * CKPT_KIB)

static const struct mode {
    const char *name;
    const char *transports;
    const char *managers; /* of connections; NULL: what UCX prefers */
    const char *devices;  /* where none are asked for; NULL: all */
    unsigned parts;
    uint64_t fragment_bytes;
} modes[] = {
    {"", "all", NULL, NULL, UCX_PART_TCP | UCX_PART_SHM, FRAGMENT_BYTES_ANY},
    {"tcp", "tcp", NULL, NULL, UCX_PART_TCP, FRAGMENT_BYTES_TCP},
    /* The processes find each other by TCP. */
    {"shm", "posix,tcp", NULL, "lo", UCX_PART_TCP | UCX_PART_SHM, FRAGMENT_BYTES_ANY},
    /* Datagrams are for the wire-up. */
    {"rc", "rc,ud", "rdmacm", NULL, 0, FRAGMENT_BYTES_ANY},
};

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

static const struct mode *find_mode(const char *name)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(name, modes[i].name) == 0) {
            return &modes[i];
        }
    }
    transport_set_open_error("unknown kind of ucx \"%.60s\"; known: ucx, ucx:rc, ucx:shm, ucx:tcp",
                             name);
    return NULL;
}

static enum ckpt_status apply(ucp_config_t *config, const char *key, const char *value)
{
    ucs_status_t status = value != NULL ? ucp_config_modify(config, key, value) : UCS_OK;

    if (status != UCS_OK) {
        transport_set_open_error("ucx: setting %s=%s: %s", key, value, ucs_status_string(status));
        return CKPT_ERR_CONFIG;
    }
    return CKPT_OK;
}

static enum ckpt_status choose(ucp_config_t *config, const struct mode *mode, const char *devices)
{
    enum ckpt_status status = apply(config, "TLS", mode->transports);

    if (status == CKPT_OK) {
        status = apply(config, "SOCKADDR_TLS_PRIORITY", mode->managers);
    }
    if (status == CKPT_OK) {
        status = apply(config, "NET_DEVICES", devices != NULL ? devices : mode->devices);
    }
    return status;
}

/* Up to 1.15 a bridge is a device as any other. */
static unsigned bridges(const struct mode *mode, const char *devices)
{
    return (mode->parts & UCX_PART_TCP) != 0 && ucx_is_since(16) &&
                   hosts_are_on_bridges(devices != NULL ? devices : mode->devices)
               ? UCX_PART_BRIDGE
               : 0;
}

static enum ckpt_status make_context(const ucp_config_t *config, const struct mode *mode,
                                     const char *devices, ucp_context_h *context_out)
{
    ucp_params_t parameters = {.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME,
                               .features = UCP_FEATURE_WAKEUP | UCP_FEATURE_AM,
                               .name = "ckptd"};
    ucs_status_t result = ucp_init(&parameters, config, context_out);

    if (result != UCS_OK) {
        transport_set_open_error("ucx%s%s: no usable device%s%.60s: %s",
                                 mode->name[0] != '\0' ? ":" : "", mode->name,
                                 devices != NULL ? " among " : "", devices != NULL ? devices : "",
                                 ucs_status_string(result));
        return result == UCS_ERR_NO_MEMORY ? CKPT_ERR_MEMORY : CKPT_ERR_CONFIG;
    }
    return CKPT_OK;
}

enum ckpt_status ucx_context_open(const char *mode_name, const char *devices, struct ucx *u)
{
    const struct mode *mode = find_mode(mode_name != NULL ? mode_name : "");
    ucp_config_t *config;
    ucs_status_t result;
    enum ckpt_status status;

    if (mode == NULL) {
        return CKPT_ERR_CONFIG;
    }
    ucx_log_take();
    result = ucp_config_read(NULL, NULL, &config);
    if (result != UCS_OK) {
        transport_set_open_error("ucx: reading UCX_... variables: %s", ucs_status_string(result));
        return CKPT_ERR_CONFIG;
    }
    ucx_settings_apply(config, mode->parts | bridges(mode, devices));
    status = choose(config, mode, devices);
    if (status == CKPT_OK) {
        u->fragment_bytes = mode->fragment_bytes;
        /* 1.20 takes the name of the network namespace, which is what it tells of lo, for an
         * address, and finds no route there. Shared memory hides that. */
        u->loopback_is_broken =
            mode->parts == UCX_PART_TCP && ucx_is_since(20) && !ucx_is_since(21);
        status = make_context(config, mode, devices, &u->context);
    }
    ucp_config_release(config);
    return status;
}
