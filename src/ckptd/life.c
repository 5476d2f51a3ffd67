/* SPDX-License-Identifier: Apache-2.0 */
/* How the agent stands to who starts it: a service manager, or a scheduler's hook for as long as
 * somebody needs it. */
#include "ckptd/daemon.h"

#include <event2/event.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/ids.h"
#include "base/log.h"
#include "ckptd/options.h"
#include "slurm/topology.h"

#define LOOK_MS 250

/* What is set; else the switch that Slurm's topology names; else the node itself. A node that the
 * topology does not have stands for itself, and says so. */
static enum ckpt_status find_domain(const struct config *config, const char *node,
                                    char domain_out[CKPT_DOMAIN_NAME_MAX + 1], char *reason)
{
    const char *domain = config_text(config, OPTION_DOMAIN);
    const char *topology = config_text(config, OPTION_TOPOLOGY);
    enum ckpt_status status = CKPT_ERR_NOT_FOUND;
    if (domain == NULL && topology != NULL) {
        status = slurm_topology_file_domain(topology, node, domain_out, reason);
        if (status == CKPT_ERR_NOT_FOUND) {
            log_event(EVENT_domain_is_node, "reason=%s", LOG_QUOTED(reason));
        } else {
            return status == CKPT_OK ? CKPT_OK : CKPT_ERR_CONFIG;
        }
    }
    domain = domain != NULL ? domain : node;
    if (!name_is_valid(domain, CKPT_DOMAIN_NAME_MAX)) {
        snprintf(reason, CKPT_REASON_MAX + 1,
                 "[agent] domain: at most 63 of A-Z a-z 0-9 . _ / - are a name");
        return CKPT_ERR_CONFIG;
    }
    strcpy(domain_out, domain);
    return CKPT_OK;
}

enum ckpt_status life_derive(struct config *config, char *reason)
{
    char host[256] = "";
    char domain[CKPT_DOMAIN_NAME_MAX + 1];
    if (!config_is_set(config, OPTION_NODE)) {
        if (gethostname(host, sizeof host - 1) != 0 || !name_is_valid(host, CKPT_NODE_NAME_MAX)) {
            snprintf(
                reason, CKPT_REASON_MAX + 1,
                "the host's name, \"%.64s\", is no name of a node: set [agent] node to 1 to 63 "
                "of A-Z a-z 0-9 . _ / -",
                host);
            return CKPT_ERR_CONFIG;
        }
        enum ckpt_status status =
            config_derive(config, OPTION_NODE, host, reason, CKPT_REASON_MAX + 1);
        if (status != CKPT_OK) {
            return status;
        }
    }
    enum ckpt_status status = find_domain(config, config_text(config, OPTION_NODE), domain, reason);
    return status == CKPT_OK
               ? config_derive(config, OPTION_DOMAIN, domain, reason, CKPT_REASON_MAX + 1)
               : status;
}

static atomic_int stop_signal; /* of a handler, and read by any thread */

static void on_stop(int number)
{
    stop_signal = number;
}

void life_watch_stop(void)
{
    struct sigaction action = {.sa_handler = on_stop};
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)signal(SIGHUP, SIG_IGN); /* as later: it is no reason to end */
}

bool life_is_stopped(void)
{
    return stop_signal != 0;
}

void life_tell_starter(const struct config *config, const char *line)
{
    if (!config_is_set(config, OPTION_READY_FD)) {
        return;
    }
    int fd = (int)config_number(config, OPTION_READY_FD);
    if (dprintf(fd, "%s\n", line) < 0) {
        log_event(EVENT_starter_gone, "fd=%d error=\"%m\"", fd);
    }
    close(fd);
}

static void on_idle_look(evutil_socket_t fd, short what, void *context)
{
    struct daemon *d = context;
    (void)fd;
    (void)what;
    uint64_t now_ms = daemon_now_ms();
    if (agent_is_needed(d->machine)) {
        d->idle_since_ms = 0;
    } else if (d->idle_since_ms == 0) {
        d->idle_since_ms = now_ms;
    } else if (now_ms - d->idle_since_ms >= (uint64_t)config_number(d->config, OPTION_IDLE_EXIT)) {
        log_event(EVENT_stopping, "reason=\"nothing is held and no job runs\"");
        daemon_leave(d);
    }
}

enum ckpt_status life_watch_idle(struct daemon *d)
{
    struct timeval pause = {.tv_usec = LOOK_MS * 1000};
    if (config_number(d->config, OPTION_IDLE_EXIT) == 0) {
        return CKPT_OK;
    }
    d->idle_event = event_new(d->base, -1, EV_PERSIST, on_idle_look, d);
    if (d->idle_event == NULL || event_add(d->idle_event, &pause) != 0) {
        log_event(EVENT_out_of_memory, "where=idle_exit");
        return CKPT_ERR_MEMORY;
    }
    return CKPT_OK;
}
