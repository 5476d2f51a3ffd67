/* SPDX-License-Identifier: Apache-2.0 */
/* Slurm's host lists: "n[1-2,07],login", "rack[1-2]n[01-16]", as slurm.conf(5) describes them.
 * A hook may call no Slurm command, so they are read here. Pure; any thread. */
#ifndef CKPT_SLURM_HOSTLIST_H
#define CKPT_SLURM_HOSTLIST_H

#include <stdbool.h>
#include <stddef.h>

#include <ckpt/status.h>

#define SLURM_HOST_NAME_MAX 255
#define SLURM_HOSTS_MAX 65536 /* of one list */

/* Called for each host, in the list's order; false ends the walk. */
typedef bool slurm_on_host(const char *host, void *context);

/* Walks the hosts of list[0..bytes). CKPT_OK also when on_host ended it. CKPT_ERR_INVALID: not a
 * host list (an open bracket, an empty name, a range that runs backwards), or more hosts than
 * SLURM_HOSTS_MAX; hosts before the fault have been visited. */
enum ckpt_status slurm_hostlist_walk(const char *list, size_t bytes, slurm_on_host *on_host,
                                     void *context);

/* Whether host is one of the list's. False too where the list is none. */
bool slurm_hostlist_has(const char *list, size_t bytes, const char *host);

#endif
