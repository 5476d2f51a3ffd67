/* SPDX-License-Identifier: Apache-2.0 */
/* A real cluster on this machine: one ckptctld and three ckptd, the programs beside this one, each
 * a process with its own socket, port and arena below one temporary directory.
 *
 * Agents 0 and 2 are in one failure domain, agent 1 in another: with two copies, what a rank of
 * agent 0 saves is copied to agent 1, and agent 2 never has it unless it restores it. */
#ifndef CKPTBENCH_CLUSTER_H
#define CKPTBENCH_CLUSTER_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include <ckpt/status.h>

#define CLUSTER_AGENTS 3

enum cluster_agent_role { AGENT_OWNER, AGENT_HOLDER, AGENT_RESTORER };

struct cluster_options {
    const char *directory; /* in memory (tmpfs, hugetlbfs), exists, empty */
    const char *transport;
    uint64_t segment_bytes;
    uint32_t segments[CLUSTER_AGENTS];
    const char *digest;      /* that runs are proven with, as ckptctld's option */
    const char *agent_flags; /* more flags for each agent, apart by spaces; or NULL */
};

struct cluster_agent {
    pid_t pid;
    char socket[108];
    char arena[PATH_MAX];
    char log[PATH_MAX];
};

struct cluster {
    pid_t coordinator;
    char coordinator_log[PATH_MAX];
    char address[128];
    struct cluster_agent agents[CLUSTER_AGENTS];
};

/* Starts everything and waits until all agents have joined, two minutes at most. The processes end
 * with belongings_end(). On failure reason (CKPT_REASON_MAX + 1 bytes) says what, with the last
 * line of the log of whom it concerns. By the main thread. */
enum ckpt_status cluster_start(const struct cluster_options *options, struct cluster *cluster_out,
                               char *reason);

/* CKPT_ERR_NO_AGENT or CKPT_ERR_NO_COORDINATOR, with the reason, when a process is gone. */
enum ckpt_status cluster_check(const struct cluster *cluster, char *reason);

/* CPU time that all the processes have used, seconds. */
double cluster_cpu_s(const struct cluster *cluster);

/* Memory of an agent that is resident and not its arena's: everything in its address space but
 * files below its arena's directory. CKPT_ERR_SYSTEM: /proc does not say. */
enum ckpt_status cluster_memory_beyond(const struct cluster_agent *agent, uint64_t *bytes_out);

#endif
