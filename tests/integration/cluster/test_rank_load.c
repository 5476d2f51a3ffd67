/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that load, and look at what was loaded. */
#include "test_rank.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "digest/digest.h"

static struct ckpt_shard *shard_of(struct test_rank *r, int argc, char **argv, int arguments)
{
    unsigned long handle = argc < arguments ? TEST_RANK_SHARDS : strtoul(argv[0], NULL, 10);
    if (handle >= TEST_RANK_SHARDS) {
        snprintf(r->open_reason, sizeof r->open_reason, "no such handle");
        return NULL;
    }
    return &r->shards[handle];
}

static void describe(struct test_rank *r, const struct ckpt_shard *shard)
{
    int n =
        snprintf(r->answer, sizeof r->answer,
                 "%" PRIu64 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu64 " %zu ", shard->step,
                 shard->attempt, shard->rank, shard->world, shard->bytes, shard->tensor_count);
    /* BLAKE3 of the bytes as they are here, whatever they were proven with. */
    const struct digest_engine *engine;
    struct digest digest = {{0}};
    char hex[DIGEST_HEX_BYTES];
    if (digest_engine_select(NULL, &engine) == CKPT_OK) {
        digest_bytes(engine, shard->data, shard->bytes, &digest);
    }
    digest_hex(&digest, hex);
    snprintf(r->answer + n, sizeof r->answer - (size_t)n, "%s", hex);
}

enum ckpt_status test_rank_load(struct test_rank *r, int argc, char **argv)
{
    struct ckpt_shard *shard = shard_of(r, argc, argv, 3);
    if (shard == NULL) {
        return CKPT_ERR_INVALID;
    }
    enum ckpt_status status =
        ckpt_load(r->ckpt, test_rank_step(argv[1]), (uint32_t)strtoul(argv[2], NULL, 10), shard);
    if (status == CKPT_OK) {
        describe(r, shard);
    }
    return status;
}

enum ckpt_status test_rank_fetch(struct test_rank *r, int argc, char **argv)
{
    struct ckpt_shard *shard = shard_of(r, argc, argv, 4);
    if (shard == NULL) {
        return CKPT_ERR_INVALID;
    }
    enum ckpt_status status =
        ckpt_fetch(r->ckpt, test_rank_step(argv[1]), (uint32_t)strtoul(argv[2], NULL, 10),
                   (uint32_t)strtoul(argv[3], NULL, 10), shard);
    if (status == CKPT_OK) {
        describe(r, shard);
    }
    return status;
}

static enum ckpt_status write_file(struct test_rank *r, const char *path, const void *data,
                                   uint64_t bytes)
{
    FILE *file = fopen(path, "we");
    bool is_good = file != NULL && (bytes == 0 || fwrite(data, 1, bytes, file) == bytes);
    if (file != NULL && fclose(file) != 0) {
        is_good = false;
    }
    if (!is_good) {
        snprintf(r->open_reason, sizeof r->open_reason, "%s can't be written", path);
    }
    return is_good ? CKPT_OK : CKPT_ERR_SYSTEM;
}

enum ckpt_status test_rank_dump(struct test_rank *r, int argc, char **argv)
{
    struct ckpt_shard *shard = shard_of(r, argc, argv, 2);
    if (shard == NULL || shard->data == NULL) {
        return CKPT_ERR_INVALID;
    }
    return write_file(r, argv[1], shard->data, shard->bytes);
}

enum ckpt_status test_rank_tensor(struct test_rank *r, int argc, char **argv)
{
    struct ckpt_shard *shard = shard_of(r, argc, argv, 3);
    struct ckpt_tensor tensor;
    if (shard == NULL) {
        return CKPT_ERR_INVALID;
    }
    enum ckpt_status status = ckpt_find(shard, argv[1], &tensor);
    if (status != CKPT_OK) {
        return status;
    }
    int n = snprintf(r->answer, sizeof r->answer, "%s %" PRIu64, ckpt_dtype_name(tensor.dtype),
                     tensor.bytes);
    for (uint32_t i = 0; i < tensor.dimensions; i++) {
        n += snprintf(r->answer + n, sizeof r->answer - (size_t)n, "%c%" PRIu64, i == 0 ? ' ' : 'x',
                      tensor.shape[i]);
    }
    return write_file(r, argv[2], tensor.data, tensor.bytes);
}

enum ckpt_status test_rank_read(struct test_rank *r, int argc, char **argv)
{
    struct ckpt_shard *shard = shard_of(r, argc, argv, 5);
    uint64_t bytes = argc < 5 ? 0 : strtoull(argv[3], NULL, 10);
    void *buffer = bytes > (1 << 28) ? NULL : malloc(bytes + 1);
    if (shard == NULL || buffer == NULL) {
        free(buffer);
        return CKPT_ERR_INVALID;
    }
    enum ckpt_status status = ckpt_read(shard, argv[1], strtoull(argv[2], NULL, 10), bytes, buffer);
    if (status == CKPT_OK) {
        status = write_file(r, argv[4], buffer, bytes);
    }
    free(buffer);
    return status;
}

enum ckpt_status test_rank_list(struct test_rank *r, int argc, char **argv)
{
    struct ckpt_shard *shard = shard_of(r, argc, argv, 1);
    if (shard == NULL) {
        return CKPT_ERR_INVALID;
    }
    size_t n = 0;
    for (size_t i = 0; i < shard->tensor_count; i++) {
        struct ckpt_tensor tensor;
        enum ckpt_status status = ckpt_tensor_at(shard, i, &tensor);
        if (status != CKPT_OK) {
            return status;
        }
        n += (size_t)snprintf(r->answer + n, sizeof r->answer - n, "%s%s", i == 0 ? "" : " ",
                              tensor.name);
        if (n >= sizeof r->answer) {
            return CKPT_ERR_TOO_LARGE;
        }
    }
    return CKPT_OK;
}

enum ckpt_status test_rank_protection(struct test_rank *r, int argc, char **argv)
{
    struct ckpt_shard *shard = shard_of(r, argc, argv, 1);
    char line[4096 + 128];
    enum ckpt_status status = CKPT_ERR_NOT_FOUND;
    FILE *maps = shard == NULL ? NULL : fopen("/proc/self/maps", "re");
    while (maps != NULL && status != CKPT_OK && fgets(line, sizeof line, maps) != NULL) {
        uintptr_t start;
        uintptr_t end;
        char permissions[5];
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &start, &end, permissions) == 3 &&
            (uintptr_t)shard->data >= start && (uintptr_t)shard->data < end) {
            char *path = strchr(line, '/');
            snprintf(r->answer, sizeof r->answer, "%s %.*s", permissions,
                     path == NULL ? 1 : (int)strcspn(path, "\n"), path == NULL ? "-" : path);
            status = CKPT_OK;
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return status;
}

/* In a child: a store into a read-only mapping ends it. */
enum ckpt_status test_rank_poke(struct test_rank *r, int argc, char **argv)
{
    struct ckpt_shard *shard = shard_of(r, argc, argv, 1);
    if (shard == NULL || shard->data == NULL) {
        return CKPT_ERR_INVALID;
    }
    pid_t child = fork();
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGSEGV, SIG_DFL);
        *(volatile uint8_t *)(uintptr_t)shard->data ^= 1;
        _exit(0);
    }
    int end = 0;
    if (child < 0 || waitpid(child, &end, 0) != child) {
        return CKPT_ERR_SYSTEM;
    }
    snprintf(r->answer, sizeof r->answer, "%d", WIFSIGNALED(end) ? WTERMSIG(end) : 0);
    return CKPT_OK;
}

enum ckpt_status test_rank_unload(struct test_rank *r, int argc, char **argv)
{
    struct ckpt_shard *shard = shard_of(r, argc, argv, 1);
    if (shard == NULL) {
        return CKPT_ERR_INVALID;
    }
    ckpt_unload(r->ckpt, shard);
    return CKPT_OK;
}
