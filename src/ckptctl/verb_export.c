/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "ckptctl/agent.h"
#include "ckptctl/document.h"
#include "ckptctl/export_all.h"
#include "ckptctl/export_shard.h"
#include "ckptctl/options.h"
#include "ckptctl/progress.h"

enum key { KEY_ALL, KEY_TIMEOUT };

static const struct config_key keys[] = {
    [KEY_ALL] = OPTION_SWITCH("all", "every rank, into DIR"),
    [KEY_TIMEOUT] = OPTION_TIMEOUT("60s", "how long each shard may take to come"),
};

static enum exit_code report(const struct ctl *ctl, const struct ckpt_shard *shard,
                             const char *path)
{
    char hex[EXPORT_HEX_BYTES];
    export_hex(shard, hex);
    if (ctl->json) {
        json_t *document =
            json_pack("{s:I,s:I,s:I,s:I,s:I,s:s,s:s}", "step", (json_int_t)shard->step, "attempt",
                      (json_int_t)shard->attempt, "rank", (json_int_t)shard->rank, "world",
                      (json_int_t)shard->world, "bytes", (json_int_t)shard->bytes, "digest", hex,
                      "file", path);
        print_json(document);
        json_decref(document);
    } else {
        printf("%s  %s\n", hex, path);
    }
    return EXIT_DONE;
}

static enum exit_code export_one(struct ctl *ctl, uint64_t step, uint32_t timeout_ms)
{
    struct ckpt *reader = NULL;
    struct ckpt_shard shard;
    uint32_t rank;
    const char *path = ctl->operands[3];
    if (!parse_number("rank", ctl->operands[2], CKPT_WORLD_MAX - 1, &rank)) {
        return EXIT_USAGE;
    }
    enum exit_code code = agent_open_reader(ctl, ctl->operands[0], &reader);
    if (code == EXIT_DONE) {
        code = export_shard(ctl, reader, step, rank, timeout_ms, path, &shard);
    }
    progress_clear();
    ckpt_close(&reader);
    return code == EXIT_DONE ? report(ctl, &shard, path) : code;
}

static enum exit_code run(struct ctl *ctl)
{
    uint64_t step;
    bool all = option_flag(ctl, KEY_ALL);
    uint32_t timeout_ms = (uint32_t)option_number(ctl, KEY_TIMEOUT);
    size_t wanted = all ? 3 : 4;
    if (ctl->operand_count != wanted) {
        return complain(EXIT_USAGE, "export wants RUN STEP RANK FILE, or RUN STEP --all DIR");
    }
    if (!parse_step(ctl->operands[1], &step)) {
        return EXIT_USAGE;
    }
    return all ? export_all(ctl, ctl->operands[0], step, timeout_ms, ctl->operands[2])
               : export_one(ctl, step, timeout_ms);
}

const struct verb verb_export = {
    .name = "export",
    .operands = "RUN STEP RANK FILE|--all DIR",
    .summary = "a shard, or all of a checkpoint, becomes files",
    .help =
        "Fetches a rank's shard to this node and writes it to FILE, a safetensors file, byte for\n"
        "byte as it was saved. FILE appears whole and synced, or not at all. Prints the digest as\n"
        "b3sum does. Needs ckptd on this node, and is for the run's own user.\n"
        "\n"
        "With --all every rank goes into DIR, which must be empty or not be there: the files\n"
        "rank-0.safetensors, rank-1.safetensors, ... and B3SUMS, which `b3sum --check B3SUMS`\n"
        "takes. DIR appears whole, or not at all. `ckptctl import RUN STEP DIR` brings it back.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .operands_min = 3,
    .operands_max = 4,
    .run = run,
};
