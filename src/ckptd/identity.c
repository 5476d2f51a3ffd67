/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/identity.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/ids.h"
#include "base/log.h"
#include "base/reason.h"
#include "slurm/topology.h"

static const struct config_key keys[IDENTITY_KEYS] = {
    [IDENTITY_NODE] = {.section = "agent",
                       .name = "node",
                       .flag = "node",
                       .letter = 'n',
                       .type = CONFIG_STRING,
                       .fallback_is = "the host name",
                       .help = "name of this node, unique in the cluster"},
    [IDENTITY_DOMAIN] = {.section = "agent",
                         .name = "domain",
                         .flag = "domain",
                         .type = CONFIG_STRING,
                         .fallback_is = "the switch or block that topology has, or the node's name",
                         .help = "failure domain: what fails together (chassis, rack, switch)"},
    [IDENTITY_TOPOLOGY] = {.section = "agent",
                           .name = "topology",
                           .flag = "topology",
                           .type = CONFIG_PATH,
                           .help =
                               "Slurm's topology.conf or topology.yaml: where domain is not set, "
                               "the switch or block of this node is it"},
};

/* What is set; else the switch that Slurm's topology names; else the node itself. A node that the
 * topology does not have stands for itself, and says so. */
static enum ckpt_status find_domain(const struct config *config, const char *node,
                                    char domain_out[CKPT_DOMAIN_NAME_MAX + 1], char *reason)
{
    const char *domain = part_text(config, &part_identity, IDENTITY_DOMAIN);
    const char *topology = part_text(config, &part_identity, IDENTITY_TOPOLOGY);
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
        return reason_refuse(reason, CKPT_ERR_CONFIG,
                             "[agent] domain: at most 63 of A-Z a-z 0-9 . _ / - are a name");
    }
    strcpy(domain_out, domain);
    return CKPT_OK;
}

enum ckpt_status identity_derive(struct config *config, char *reason)
{
    char host[256] = "";
    char domain[CKPT_DOMAIN_NAME_MAX + 1];
    if (!part_is_set(config, &part_identity, IDENTITY_NODE)) {
        if (gethostname(host, sizeof host - 1) != 0 || !name_is_valid(host, CKPT_NODE_NAME_MAX)) {
            return reason_refuse(
                reason, CKPT_ERR_CONFIG,
                "the host's name, \"%.64s\", is no name of a node: set [agent] node to 1 to 63 "
                "of A-Z a-z 0-9 . _ / -",
                host);
        }
        enum ckpt_status status = config_derive(config, part_key(&part_identity, IDENTITY_NODE),
                                                host, reason, CKPT_REASON_MAX + 1);
        if (status != CKPT_OK) {
            return status;
        }
    }
    enum ckpt_status status =
        find_domain(config, part_text(config, &part_identity, IDENTITY_NODE), domain, reason);
    return status == CKPT_OK ? config_derive(config, part_key(&part_identity, IDENTITY_DOMAIN),
                                             domain, reason, CKPT_REASON_MAX + 1)
                             : status;
}

static enum ckpt_status check_name(const struct config *config, size_t key, size_t bytes_max,
                                   char *reason)
{
    const char *name = part_text(config, &part_identity, key);
    if (name == NULL || name_is_valid(name, bytes_max)) {
        return CKPT_OK;
    }
    return part_refuse(config, &part_identity, key, reason,
                       "must be 1 to 63 of A-Z a-z 0-9 . _ / -");
}

static enum ckpt_status check(const struct config *config, char *reason)
{
    enum ckpt_status status = check_name(config, IDENTITY_NODE, CKPT_NODE_NAME_MAX, reason);
    return status == CKPT_OK ? check_name(config, IDENTITY_DOMAIN, CKPT_DOMAIN_NAME_MAX, reason)
                             : status;
}

static enum ckpt_status start(void *daemon, char *reason)
{
    struct daemon *d = daemon;
    strcpy(d->node, part_text(d->config, &part_identity, IDENTITY_NODE));
    strcpy(d->domain, part_text(d->config, &part_identity, IDENTITY_DOMAIN));
    return getrandom(&d->incarnation, sizeof d->incarnation, 0) == sizeof d->incarnation
               ? CKPT_OK
               : reason_refuse(reason, CKPT_ERR_SYSTEM, "getrandom failed");
}

struct part part_identity = {
    .keys = keys, .key_count = IDENTITY_KEYS, .check = check, .start = start};
