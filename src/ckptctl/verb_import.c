/* SPDX-License-Identifier: Apache-2.0 */
/* Files become a checkpoint: each FILE is the shard of one rank, saved as a trainer would. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ckpt/ckpt.h>

#include "agent.h"
#include "table.h"

struct import {
    struct ctl *ctl;
    const char *run;
    uint64_t step;
    uint32_t attempt;
    uint32_t world;
    char *const *files;
    struct ckpt **ranks; /* world contexts, NULL where not yet open */
    uint64_t bytes;
    uint32_t opaque; /* files that are not safetensors */
};

/* The attempt to save in. A new number would void what a running job has not finished; so the
 * newest checkpoint's is taken, where its world is ours. */
static enum exit_code choose_attempt(struct import *import)
{
    struct ckpt *reader;
    struct ckpt_info info;
    import->attempt = import->ctl->attempt;
    if (import->attempt > 0) {
        return EXIT_DONE;
    }
    enum exit_code code = agent_open_reader(import->ctl, import->run, &reader);
    if (code != EXIT_DONE) {
        return code;
    }
    enum ckpt_status status = ckpt_info(reader, CKPT_STEP_LATEST, &info);
    if (status == CKPT_OK) {
        import->attempt = info.world == import->world ? info.attempt : info.attempt + 1;
    } else if (status == CKPT_ERR_NO_CHECKPOINT || status == CKPT_ERR_NOT_FOUND) {
        import->attempt = 1;
    } else {
        code = agent_complain(status, ckpt_reason(reader));
    }
    ckpt_close(&reader);
    return code;
}

static enum exit_code open_rank(struct import *import, uint32_t rank)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    struct ckpt_options options = {.size = sizeof(options),
                                   .socket = import->ctl->agent_socket,
                                   .run = import->run,
                                   .attempt = import->attempt,
                                   .rank = rank,
                                   .world = import->world,
                                   .copies = import->ctl->copies};
    enum ckpt_status status =
        ckpt_open_reason(&options, &import->ranks[rank], reason, sizeof(reason));
    return status == CKPT_OK ? EXIT_DONE : agent_complain(status, reason);
}

static enum exit_code save_mapping(struct import *import, uint32_t rank, const void *data,
                                   uint64_t bytes)
{
    struct ckpt *ckpt = import->ranks[rank];
    enum ckpt_status status = ckpt_save_shard(ckpt, import->step, data, bytes);
    /* One of these was said of the file before anything was staged; or it is too large in any form,
     * as the second call then says again. */
    if (status == CKPT_ERR_CORRUPT || status == CKPT_ERR_TOO_LARGE || status == CKPT_ERR_NAME ||
        status == CKPT_ERR_DTYPE || status == CKPT_ERR_SIZE) {
        status = ckpt_save_bytes(ckpt, import->step, data, bytes);
        import->opaque += status == CKPT_OK;
    }
    if (status != CKPT_OK) {
        fprintf(stderr, "ckptctl: %s: ", import->files[rank]);
        const char *reason = ckpt_reason(ckpt);
        fprintf(stderr, "%s\n", reason[0] ? reason : ckpt_status_text(status));
        return status == CKPT_ERR_NO_AGENT ? EXIT_NOBODY : EXIT_NO;
    }
    import->bytes += bytes;
    return EXIT_DONE;
}

static enum exit_code save_file(struct import *import, uint32_t rank)
{
    const char *path = import->files[rank];
    struct stat status;
    enum exit_code code = EXIT_NO;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        complain(EXIT_NO, "cannot read %s: %s", path, strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        complain(EXIT_NO, "%s is no file", path);
    } else if (status.st_size == 0) {
        code = save_mapping(import, rank, "", 0);
    } else {
        size_t bytes = (size_t)status.st_size;
        void *data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            complain(EXIT_NO, "cannot map %s: %s", path, strerror(errno));
        } else {
            (void)madvise(data, bytes, MADV_SEQUENTIAL);
            code = save_mapping(import, rank, data, bytes);
            munmap(data, bytes);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return code;
}

static enum exit_code await_consistent(struct import *import)
{
    uint64_t end_ms = now_ms() + import->ctl->timeout_ms;
    for (uint32_t rank = 0; rank < import->world; rank++) {
        uint64_t now = now_ms();
        uint32_t left_ms = now < end_ms ? (uint32_t)(end_ms - now) : 0;
        enum ckpt_status status = ckpt_wait(import->ranks[rank], import->step, left_ms);
        if (status != CKPT_OK) {
            return agent_complain(status, ckpt_reason(import->ranks[rank]));
        }
    }
    return EXIT_DONE;
}

static enum exit_code report(const struct import *import)
{
    const char *state = import->ctl->wait ? "consistent" : "staged";
    if (import->ctl->json) {
        json_t *document = json_pack(
            "{s:s,s:I,s:I,s:I,s:I,s:I,s:s}", "run", import->run, "step", (json_int_t)import->step,
            "attempt", (json_int_t)import->attempt, "world", (json_int_t)import->world, "bytes",
            (json_int_t)import->bytes, "opaque", (json_int_t)import->opaque, "state", state);
        print_json(document);
        json_decref(document);
        return EXIT_DONE;
    }
    printf("step %" PRIu64 " of %s, attempt %" PRIu32 ": %" PRIu32 " ranks, %s, %s\n", import->step,
           import->run, import->attempt, import->world, SIZE_TEXT(import->bytes), state);
    if (import->opaque > 0) {
        printf("%" PRIu32 " files are not safetensors and were saved as opaque bytes\n",
               import->opaque);
    }
    return EXIT_DONE;
}

static enum exit_code import_all(struct import *import)
{
    enum exit_code code = choose_attempt(import);
    for (uint32_t rank = 0; rank < import->world && code == EXIT_DONE; rank++) {
        code = open_rank(import, rank);
        if (code == EXIT_DONE) {
            code = save_file(import, rank);
        }
    }
    if (code == EXIT_DONE && import->ctl->wait) {
        code = await_consistent(import);
    }
    return code == EXIT_DONE ? report(import) : code;
}

static enum exit_code run(struct ctl *ctl)
{
    struct import import = {.ctl = ctl,
                            .run = ctl->operands[0],
                            .world = (uint32_t)(ctl->operand_count - 2),
                            .files = ctl->operands + 2};
    if (!parse_step(ctl->operands[1], &import.step)) {
        return EXIT_USAGE;
    }
    if (import.step == CKPT_STEP_LATEST) {
        return complain(EXIT_USAGE, "import needs the step as a number");
    }
    import.ranks = calloc(import.world, sizeof(struct ckpt *));
    if (!import.ranks) {
        return complain(EXIT_NO, "no memory");
    }
    enum exit_code code = import_all(&import);
    for (uint32_t rank = 0; rank < import.world; rank++) {
        ckpt_close(&import.ranks[rank]);
    }
    free(import.ranks);
    return code;
}

const struct verb verb_import = {
    .name = "import",
    .operands = "RUN STEP FILE...",
    .summary = "files become a checkpoint, one rank each",
    .help =
        "Saves FILEs as the ranks 0, 1, ... of one checkpoint, through this node's agent. A\n"
        "safetensors file is kept byte for byte, so that its digest is what b3sum prints of it;\n"
        "any other is kept as opaque bytes. What was saved by a job whose attempt is still\n"
        "running is not touched, unless --attempt names a later one.\n"
        "\n"
        "  --wait        until the checkpoint is consistent, --timeout at most (default 60s)\n"
        "  --copies=N    of each shard\n"
        "  --attempt=N   of the run",
    .flags = FLAG_TIMEOUT | FLAG_WAIT | FLAG_COPIES | FLAG_ATTEMPT,
    .operands_min = 3,
    .operands_max = 2 + CKPT_WORLD_MAX,
    .run = run,
};
