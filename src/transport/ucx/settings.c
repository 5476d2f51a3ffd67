/* SPDX-License-Identifier: Apache-2.0 */
/* How UCX is tuned, by the names that the library which runs knows.
 *
 * Up to UCX 1.16 a transport's setting is named without the transport ("KEEPIDLE"), from 1.17 on
 * with it ("TCP_KEEPIDLE"). The other name is taken and has no effect, which UCX tells when a
 * worker is made, and from 1.20.1 on it is refused. What did not take is said by name, whatever the
 * version: tuning is no reason not to start. */
#include "transport/ucx/settings.h"
#include "transport/ucx/ucx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

struct setting {
    unsigned parts;    /* of UCX that have it; 0: UCP itself */
    const char *owner; /* the transport in front of the key, since 1.17 */
    const char *key;
    const char *value;
};

/* Tuning, which an UCX_... variable in the environment may override. The measurements are in
 * docs/transport.md. */
static const struct setting tuning[] = {
    {0, "", "ZCOPY_THRESH", "4k"},
    /* A peer whose machine is gone is noticed in seconds, not hours. */
    {0, "", "KEEPALIVE_INTERVAL", "1s"},
    {UCX_PART_TCP, "TCP_", "KEEPIDLE", "2s"},
    {UCX_PART_TCP, "TCP_", "KEEPINTVL", "1s"},
    {UCX_PART_TCP, "TCP_", "KEEPCNT", "3"},
    /* A fragment is one message: a header and up to this many bytes, sent from the region by
     * sendmsg() and received by one recv() into a buffer that fits the second-level cache. */
    {UCX_PART_TCP, "TCP_", "RX_SEG_SIZE", "256k"},
    /* Left out otherwise since 1.16, by name too. */
    {UCX_PART_BRIDGE, "TCP_", "BRIDGE_ENABLE", "y"},
    /* Nothing of ours is received by one-sided writes. */
    {UCX_PART_TCP, "TCP_", "PUT_ENABLE", "n"},
    /* Without this UCX leaves shared memory out when errors of peers are to be reported. "MM" is
     * what POSIX and SYSV share, and part of the name in every version. */
    {UCX_PART_SHM, "", "MM_ERROR_HANDLING", "y"},
    /* UCX 1.13 takes more, and silently loses messages: the length in its queue has 16 bits. */
    {UCX_PART_SHM, "", "MM_SEG_SIZE", "63k"},
    /* So many segments go round: 2 MiB, which a second-level cache holds. 1.13 has 64 of them, and
     * since 1.16 there are 256: 16 MiB, a third more processor time a byte. */
    {UCX_PART_SHM, "", "MM_FIFO_SIZE", "32"},
};

bool ucx_is_since(unsigned minor)
{
    unsigned major;
    unsigned running;
    unsigned release;

    ucp_get_version(&major, &running, &release);
    return major > 1 || running >= minor;
}

static bool is_in_environment(const char *prefix, const char *key)
{
    char variable[64];

    snprintf(variable, sizeof(variable), "UCX_%s%s", prefix, key);
    return getenv(variable) != NULL;
}

/* Whoever sets it for one kind of shared memory has thought about it. */
static bool is_overridden(const struct setting *setting)
{
    if (setting->parts == UCX_PART_SHM) {
        const char *key = setting->key + strlen("MM_");
        return is_in_environment("MM_", key) || is_in_environment("POSIX_", key) ||
               is_in_environment("SYSV_", key);
    }
    return is_in_environment(setting->owner, setting->key);
}

static void say_ignored(const char *name, const char *value, const char *reason)
{
    log_event(EVENT_ucx_setting_ignored, "setting=%s value=%s ucx=%s reason=%s", name, value,
              transport_ucx_version(), LOG_QUOTED(reason));
}

void ucx_settings_apply(ucp_config_t *config, unsigned parts)
{
    bool owners = ucx_is_since(17);

    for (size_t i = 0; i < sizeof(tuning) / sizeof(tuning[0]); i++) {
        const struct setting *setting = &tuning[i];
        char name[64];
        ucs_status_t status;
        /* UCX would warn of a setting for a transport that is not in use. */
        if ((setting->parts != 0 && (setting->parts & parts) == 0) || is_overridden(setting)) {
            continue;
        }
        snprintf(name, sizeof(name), "%s%s", owners ? setting->owner : "", setting->key);
        status = ucp_config_modify(config, name, setting->value);
        if (status != UCS_OK) {
            say_ignored(name, setting->value, ucs_status_string(status));
        }
    }
}

bool ucx_settings_ignored(const char *text)
{
    static const char start[] = "invalid configuration";
    char list[CKPT_REASON_MAX + 1];
    char *at = NULL;

    if (strncmp(text, start, strlen(start)) != 0 || strchr(text, '=') == NULL) {
        return false;
    }
    snprintf(list, sizeof(list), "%s", text + strlen(start) + strspn(text + strlen(start), "s: "));
    for (char *pair = strtok_r(list, ",", &at); pair != NULL; pair = strtok_r(NULL, ",", &at)) {
        char *value = strchr(pair, '=');
        if (value != NULL) {
            *value++ = '\0';
        }
        say_ignored(pair, value != NULL ? value : "", "no transport in use has it");
    }
    return true;
}

const char *transport_ucx_version(void)
{
    return ucp_get_version_string();
}
