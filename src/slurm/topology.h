/* SPDX-License-Identifier: Apache-2.0 */
/* The failure domain of a node, from Slurm's own description of the network: topology.conf(5)
 * ("SwitchName=rack1 Nodes=n[1-2]", "BlockName=..."), or topology.yaml(5) (switches and blocks with
 * "nodes:"). Pure; any thread. */
#ifndef CKPT_SLURM_TOPOLOGY_H
#define CKPT_SLURM_TOPOLOGY_H

#include <stddef.h>

#include <ckpt/status.h>

#include "base/limits.h"

#define SLURM_TOPOLOGY_BYTES_MAX (8 * CKPT_MIB)

/* The name of the switch or block that has the node among its own: what fails together with it.
 * Where several have, the first; of topology.yaml's several topologies, the one that is
 * cluster_default goes before others.
 *
 * reason_out (CKPT_REASON_MAX + 1 bytes) is set on failure.
 * ERRORS
 * - CKPT_ERR_NOT_FOUND - no switch or block has the node
 * - CKPT_ERR_NAME - the switch's name is no name of a failure domain
 * - CKPT_ERR_INVALID - a line with nodes that are no host list; the reason has its number */
enum ckpt_status slurm_topology_domain(const char *text, size_t bytes, const char *node,
                                       char domain_out[CKPT_DOMAIN_NAME_MAX + 1], char *reason_out);

/* The same of a file. CKPT_ERR_SYSTEM: it cannot be read; CKPT_ERR_TOO_LARGE. */
enum ckpt_status slurm_topology_file_domain(const char *path, const char *node,
                                            char domain_out[CKPT_DOMAIN_NAME_MAX + 1],
                                            char *reason_out);

#endif
