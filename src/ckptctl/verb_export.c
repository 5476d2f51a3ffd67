/* SPDX-License-Identifier: Apache-2.0 */
/* A shard becomes a file: fetched by this node's agent, written beside its place and moved there
 * only when it is whole, digested again and synced. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ckpt/ckpt.h>

#include "agent.h"
#include "digest/digest.h"
#include "options.h"
#include "table.h"

enum key { KEY_TIMEOUT };

static const struct config_key keys[] = {
    [KEY_TIMEOUT] = OPTION_TIMEOUT("60s", "how long the shard may take to come"),
};

static bool write_all(int fd, const uint8_t *data, uint64_t bytes)
{
    while (bytes > 0) {
        ssize_t written = write(fd, data, bytes < (1 << 30) ? bytes : 1 << 30);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        data += written;
        bytes -= (uint64_t)written;
    }
    return true;
}

/* The new name is durable only with its directory. Some file systems cannot sync one: their own
 * affair. */
static void sync_parent(const char *path)
{
    char parent[PATH_MAX];
    snprintf(parent, sizeof(parent), "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash) {
        slash[slash == parent ? 1 : 0] = '\0';
    }
    int fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

static enum exit_code write_file(const char *path, const struct ckpt_shard *shard)
{
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary)) {
        return complain(EXIT_USAGE, "the file's name is too long");
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return complain(EXIT_NO, "cannot write beside %s: %s", path, strerror(errno));
    }
    mode_t mask = umask(0);
    umask(mask);
    bool good =
        fchmod(fd, 0666 & ~mask) == 0 && write_all(fd, shard->data, shard->bytes) && fsync(fd) == 0;
    int error = errno;
    good = close(fd) == 0 && good;
    if (good && rename(temporary, path) == 0) {
        sync_parent(path);
        return EXIT_DONE;
    }
    error = good ? errno : error;
    unlink(temporary);
    return complain(EXIT_NO, "cannot write %s: %s", path, strerror(error));
}

/* What is written must be what was committed, even if memory failed since the agent looked. */
static bool is_as_committed(const struct ckpt_shard *shard)
{
    const struct digest_engine *engine;
    struct digest digest;
    if (digest_engine_select(NULL, &engine) != CKPT_OK) {
        return false;
    }
    digest_bytes(engine, shard->data, shard->bytes, &digest);
    return memcmp(digest.bytes, shard->digest, sizeof(digest.bytes)) == 0;
}

static enum exit_code report(const struct ctl *ctl, const struct ckpt_shard *shard,
                             const char *path)
{
    struct digest digest;
    char hex[DIGEST_HEX_BYTES];
    memcpy(digest.bytes, shard->digest, sizeof(digest.bytes));
    digest_hex(&digest, hex);
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

static enum exit_code run(struct ctl *ctl)
{
    struct ckpt *ckpt = NULL;
    struct ckpt_shard shard;
    uint64_t step;
    uint32_t rank;
    const char *path = ctl->operands[3];
    if (!parse_step(ctl->operands[1], &step) ||
        !parse_number("rank", ctl->operands[2], CKPT_WORLD_MAX - 1, &rank)) {
        return EXIT_USAGE;
    }
    enum exit_code code = agent_open_reader(ctl, ctl->operands[0], &ckpt);
    if (code != EXIT_DONE) {
        return code;
    }
    enum ckpt_status status =
        ckpt_fetch(ckpt, step, rank, (uint32_t)option_number(ctl, KEY_TIMEOUT), &shard);
    if (status != CKPT_OK) {
        code = agent_complain(status, ckpt_reason(ckpt));
        goto close_reader;
    }
    if (is_as_committed(&shard)) {
        code = write_file(path, &shard);
    } else {
        code = complain(EXIT_NO,
                        "the shard changed in this node's memory after its agent had "
                        "verified it: nothing was written; ckptctl verify %s",
                        ctl->operands[0]);
    }
    if (code == EXIT_DONE) {
        code = report(ctl, &shard, path);
    }
    ckpt_unload(ckpt, &shard);

close_reader:
    ckpt_close(&ckpt);
    return code;
}

const struct verb verb_export = {
    .name = "export",
    .operands = "RUN STEP RANK FILE",
    .summary = "a shard becomes a file",
    .help =
        "Fetches a rank's shard to this node and writes it to FILE, a safetensors file, byte for\n"
        "byte as it was saved. FILE appears whole and synced, or not at all. Prints the digest as\n"
        "b3sum does. Needs ckptd on this node, and is for the run's own user.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .operands_min = 4,
    .operands_max = 4,
    .run = run,
};
