/* SPDX-License-Identifier: Apache-2.0 */
/* Who this process is, and how its launcher names the start that it is of. */
#include "client/start_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "client/context.h"
#include "digest/digest.h"

#define NAME_TEXT_MAX 4096

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* The job, its restart, and its step: each srun is a start of its own. A batch script that is no
 * step starts what it likes as often as it likes, and has no name. The components of a
 * heterogeneous job count their steps each for itself: there a step is known by its nodes too,
 * which its tasks name alike in whichever component they are, and which no other component has. */
static bool name_by_slurm(char text[NAME_TEXT_MAX])
{
    const char *job = variable("SLURM_JOB_ID");
    const char *step = variable("SLURM_STEP_ID");
    const char *cluster = variable("SLURM_CLUSTER_NAME");
    const char *restart = variable("SLURM_RESTART_COUNT");
    const char *nodes = variable("SLURM_STEP_NODELIST");
    bool is_het = variable("SLURM_HET_SIZE") != NULL;
    if (job == NULL || step == NULL || (is_het && nodes == NULL)) {
        return false;
    }
    int bytes =
        snprintf(text, NAME_TEXT_MAX, "slurm %s %s %s %s%s%s", cluster != NULL ? cluster : "", job,
                 restart != NULL ? restart : "0", step, is_het ? " " : "", is_het ? nodes : "");
    return bytes > 0 && bytes < NAME_TEXT_MAX;
}

/* torchrun starts its workers again under the same environment, its own and what is around it: what
 * that says changes with no start, and names none. */
static bool find_text(char text[NAME_TEXT_MAX])
{
    const char *start = variable("CKPT_START");
    if (variable("TORCHELASTIC_RUN_ID") != NULL) {
        return false;
    }
    if (start != NULL) {
        int bytes = snprintf(text, NAME_TEXT_MAX, "ckpt %s", start);
        return bytes > 0 && bytes < NAME_TEXT_MAX;
    }
    return name_by_slurm(text);
}

struct nonce client_start_name(void)
{
    char text[NAME_TEXT_MAX];
    struct nonce name = {{0}};
    struct digest digest;
    if (find_text(text)) {
        digest_bytes(digest_engine_by_name("scalar"), text, strlen(text), &digest);
        memcpy(name.bytes, digest.bytes, sizeof(name.bytes));
    }
    return name;
}

bool client_seat_new(struct nonce *seat_out)
{
    return getrandom(seat_out->bytes, sizeof(seat_out->bytes), 0) ==
           (ssize_t)sizeof(seat_out->bytes);
}
