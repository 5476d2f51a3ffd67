/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a host list, as a topology, and as a job's comment: an answer or an error, and what
 * is said to be a name is one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/ids.h"
#include "slurm/hostlist.h"
#include "slurm/job.h"
#include "slurm/topology.h"

#define HOSTS_ENOUGH 1000 /* to see that there is an end takes no more */

static void expect(int condition)
{
    if (!condition) {
        abort();
    }
}

static bool count(const char *host, void *context)
{
    unsigned *hosts = context;
    expect(host[0] != '\0' && strlen(host) <= SLURM_HOST_NAME_MAX);
    return ++*hosts < HOSTS_ENOUGH;
}

static const char *get(const char *name, void *context)
{
    if (strcmp(name, "SLURM_JOB_COMMENT") == 0) {
        return context;
    }
    if (strcmp(name, "SLURM_CLUSTER_NAME") == 0) {
        return "c";
    }
    return strncmp(name, "SPANK", 5) == 0 || strcmp(name, "SLURM_RESTART_COUNT") == 0 ? NULL : "7";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char domain[CKPT_DOMAIN_NAME_MAX + 1] = "";
    char reason[CKPT_REASON_MAX + 1] = "";
    struct slurm_job job;
    unsigned hosts = 0;
    if (bytes > 4096) {
        return 0;
    }
    char *text = malloc(bytes + 1);
    expect(text != NULL);
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    (void)slurm_hostlist_walk(text, bytes, count, &hosts);
    if (memchr(text, '[', bytes) == NULL) {
        /* Ranges make it slow, and the walk above has seen them. */
        enum ckpt_status status = slurm_topology_domain(text, bytes, "n1", domain, reason);
        expect(status == CKPT_OK ? name_is_valid(domain, CKPT_DOMAIN_NAME_MAX) : reason[0] != '\0');
    }
    reason[0] = '\0';
    enum ckpt_status status = slurm_job_read(get, text, &job, reason);
    expect(status == CKPT_OK ? name_is_valid(job.run.name, CKPT_RUN_NAME_MAX) : reason[0] != '\0');
    free(text);
    return 0;
}
