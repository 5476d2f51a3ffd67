/* SPDX-License-Identifier: Apache-2.0 */
/* srun, sbatch, salloc --ckpt[=COPIES] and --ckpt-run=NAME.
 *
 * Only words: the options travel to the hooks as SPANK_CKPT and SPANK_CKPT_RUN, where ckptctl reads
 * them, and COPIES to the tasks as CKPT_COPIES. No socket, no thread, no state: a plugin lives in
 * srun, slurmd and slurmstepd, and what goes wrong here is a job's or a node's. In plugstack.conf
 * it is `optional`, never `required`; it is built anew for each major version of Slurm. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <slurm/spank.h>

#define COPIES_MAX 4

extern const char plugin_name[];
extern const char plugin_type[];
extern const unsigned int plugin_version;
extern const unsigned int spank_plugin_version;

SPANK_PLUGIN(ckpt, 1)

int slurm_spank_init(spank_t spank, int argument_count, char **arguments);
int slurm_spank_init_post_opt(spank_t spank, int argument_count, char **arguments);
int slurm_spank_task_init(spank_t spank, int argument_count, char **arguments);

static bool wanted;
static int copies; /* 0: the agent's default */
static char run_name[128];

static int take_copies(int value, const char *text, int remote)
{
    (void)value;
    (void)remote;
    wanted = true;
    copies = 0;
    if (text == NULL) {
        return ESPANK_SUCCESS;
    }
    if (strlen(text) != 1 || text[0] < '1' || text[0] > '0' + COPIES_MAX) {
        slurm_error("--ckpt=%.40s: 1 to %d copies are possible", text, COPIES_MAX);
        return ESPANK_BAD_ARG;
    }
    copies = text[0] - '0';
    return ESPANK_SUCCESS;
}

static int take_run(int value, const char *text, int remote)
{
    (void)value;
    (void)remote;
    if (text == NULL || text[0] == '\0' || strlen(text) >= sizeof(run_name)) {
        slurm_error("--ckpt-run: a name of 1 to %zu characters is wanted", sizeof(run_name) - 1);
        return ESPANK_BAD_ARG;
    }
    wanted = true;
    (void)snprintf(run_name, sizeof(run_name), "%s", text);
    return ESPANK_SUCCESS;
}

static struct spank_option option_copies = {
    "ckpt", "COPIES", "keep checkpoints in the memory of several nodes [with COPIES of each shard]",
    2,      0,        take_copies};
static struct spank_option option_run = {
    "ckpt-run", "NAME", "the training run that this job goes on with, under any job number",
    1,          0,      take_run};

/* By register, not by a table: sbatch and salloc see only these. */
int slurm_spank_init(spank_t spank, int argument_count, char **arguments)
{
    (void)argument_count;
    (void)arguments;
    if (spank_option_register(spank, &option_copies) != ESPANK_SUCCESS ||
        spank_option_register(spank, &option_run) != ESPANK_SUCCESS) {
        return ESPANK_ERROR;
    }
    return ESPANK_SUCCESS;
}

/* Where the job is asked for: srun, sbatch, salloc. Elsewhere the hooks' environment is not
 * ours. */
int slurm_spank_init_post_opt(spank_t spank, int argument_count, char **arguments)
{
    (void)argument_count;
    (void)arguments;
    spank_context_t context = spank_context();
    if (!wanted || (context != S_CTX_LOCAL && context != S_CTX_ALLOCATOR)) {
        return ESPANK_SUCCESS;
    }
    char number[12];
    (void)snprintf(number, sizeof(number), "%d", copies);
    if (spank_job_control_setenv(spank, "CKPT", number, 1) != ESPANK_SUCCESS ||
        (run_name[0] != '\0' &&
         spank_job_control_setenv(spank, "CKPT_RUN", run_name, 1) != ESPANK_SUCCESS)) {
        slurm_error("--ckpt: the hooks will not hear of it");
    }
    return ESPANK_SUCCESS;
}

int slurm_spank_task_init(spank_t spank, int argument_count, char **arguments)
{
    (void)argument_count;
    (void)arguments;
    if (wanted && copies > 0) {
        char number[12];
        (void)snprintf(number, sizeof(number), "%d", copies);
        (void)spank_setenv(spank, "CKPT_COPIES", number, 1);
    }
    return ESPANK_SUCCESS;
}
