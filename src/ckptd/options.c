/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/options.h"

#include <stdio.h>

#include "ckptd/parts.h"
#include "transport/transport.h"

static const char *library(void)
{
    static char text[32];

    snprintf(text, sizeof(text), "UCX %s", transport_ucx_version());
    return text;
}

static struct config_program program = {
    .name = "ckptd",
    .version = CKPT_VERSION,
    .library = library,
    .summary =
        "The agent: one on each node of a training cluster. It owns the node's pinned memory, "
        "keeps "
        "checkpoint shards of local ranks and of other nodes' ranks in it, digests them, and reads "
        "shards from other agents when the coordinator (ckptctld) orders it. Ranks talk to it "
        "through "
        "libckpt.",
    .examples =
        "  ckptd --coordinator=10.0.0.1:7471 --listen=10.0.0.7:7472 --domain=rack3 -b 256GiB\n"
        "  ckptd --config=/etc/ckptd/ckptd.conf --check-config\n"
        "  ckptd --compat orbax-replicator /local    no agent, but one's client: for jobs of JAX\n"
        "                                            with Orbax's multi-tier checkpointing\n",
    .exit_codes = "  0  ended by SIGTERM or SIGINT, everything put in order\n"
                  "  1  it could not start, or lost what it needs; the log says why\n"
                  "  2  the configuration is wrong\n",
};

const struct config_program *options_program(void)
{
    static const char *const sections[] = {"agent", "arena", "transport", "digest",
                                           "tier",  "log",   NULL};
    static struct config_key keys[PARTS_KEYS_MAX];
    if (program.keys == NULL) {
        program.key_count = parts_keys(ckptd_parts, sections, keys);
        program.keys = keys;
    }
    return &program;
}

enum ckpt_status options_check(const struct config *config, char *reason)
{
    return parts_check(ckptd_parts, config, reason);
}
