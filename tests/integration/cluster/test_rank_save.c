/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that save, and the one that writes where it no longer may. */
#include "test_rank.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TENSORS_MAX 500

struct input {
    void *data;
    size_t bytes;
};

static bool map_file(const char *path, struct input *input_out)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) {
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    struct input input = {.bytes = (size_t)info.st_size};
    if (input.bytes > 0) {
        input.data = mmap(NULL, input.bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    close(fd);
    if (input.data == MAP_FAILED) {
        return false;
    }
    *input_out = input;
    return true;
}

static void unmap(struct input *input)
{
    if (input->data != NULL) {
        munmap(input->data, input->bytes);
        input->data = NULL;
    }
}

/* "2x3", or "-" for a scalar. */
static void parse_shape(char *text, struct ckpt_tensor *tensor)
{
    tensor->dimensions = 0;
    if (strcmp(text, "-") == 0) {
        return;
    }
    for (char *word; (word = strsep(&text, "x")) != NULL && tensor->dimensions < 8;) {
        tensor->shape[tensor->dimensions++] = strtoull(word, NULL, 10);
    }
}

static enum ckpt_dtype parse_dtype(const char *text)
{
    enum ckpt_dtype dtype = (enum ckpt_dtype)99;
    (void)ckpt_dtype_from_name(text, &dtype);
    return dtype;
}

/* NAME:DTYPE:SHAPE:FILE */
static bool parse_tensor(char *text, struct ckpt_tensor *tensor, struct input *input)
{
    char *name = strsep(&text, ":");
    char *dtype = strsep(&text, ":");
    char *shape = strsep(&text, ":");
    if (text == NULL || !map_file(text, input)) {
        return false;
    }
    *tensor = (struct ckpt_tensor){
        .name = name, .dtype = parse_dtype(dtype), .data = input->data, .bytes = input->bytes};
    parse_shape(shape, tensor);
    return true;
}

enum ckpt_status test_rank_save(struct test_rank *r, int argc, char **argv)
{
    static struct ckpt_tensor tensors[TENSORS_MAX];
    static struct input inputs[TENSORS_MAX];
    int count = 0;
    enum ckpt_status status = argc < 1 ? CKPT_ERR_INVALID : CKPT_OK;
    for (int i = 1; i < argc && status == CKPT_OK; i++) {
        if (count == TENSORS_MAX || !parse_tensor(argv[i], &tensors[count], &inputs[count])) {
            snprintf(r->open_reason, sizeof r->open_reason, "tensor %d can't be read", i);
            status = CKPT_ERR_INVALID;
        } else {
            count++;
        }
    }
    if (status == CKPT_OK) {
        status = ckpt_save(r->ckpt, test_rank_step(argv[0]), tensors, (size_t)count, NULL, 0);
    }
    while (count > 0) {
        unmap(&inputs[--count]);
    }
    return status;
}

static enum ckpt_status save_file(struct test_rank *r, int argc, char **argv, bool is_shard)
{
    struct input input;
    if (argc < 2 || !map_file(argv[1], &input)) {
        snprintf(r->open_reason, sizeof r->open_reason, "the file can't be read");
        return CKPT_ERR_INVALID;
    }
    uint64_t step = test_rank_step(argv[0]);
    enum ckpt_status status = is_shard ? ckpt_save_shard(r->ckpt, step, input.data, input.bytes)
                                       : ckpt_save_bytes(r->ckpt, step, input.data, input.bytes);
    unmap(&input);
    return status;
}

enum ckpt_status test_rank_replica(struct test_rank *r, int argc, char **argv)
{
    if (argc < 4) {
        snprintf(r->open_reason, sizeof r->open_reason, "a step, a leader, a part and a value");
        return CKPT_ERR_INVALID;
    }
    struct ckpt_replica replica = {.leader = (uint32_t)strtoul(argv[1], NULL, 10),
                                   .part = (uint32_t)strtoul(argv[2], NULL, 10),
                                   .value = strtoull(argv[3], NULL, 10)};
    return ckpt_save_replica(r->ckpt, test_rank_step(argv[0]), &replica);
}

enum ckpt_status test_rank_save_bytes(struct test_rank *r, int argc, char **argv)
{
    return save_file(r, argc, argv, false);
}

enum ckpt_status test_rank_save_shard(struct test_rank *r, int argc, char **argv)
{
    return save_file(r, argc, argv, true);
}

/* The bytes, from offset on, in memory that stands in for a device's;
 * or any file, which does not. */
static int device_memory(const struct input *input, const char *where)
{
    if (where[0] == '/') {
        return open(where, O_RDWR | O_CLOEXEC);
    }
    off_t offset = (off_t)strtoull(where, NULL, 10);
    int fd = memfd_create("device", MFD_CLOEXEC);
    if (fd >= 0 && pwrite(fd, input->data, input->bytes, offset) != (ssize_t)input->bytes) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Answers "gathered", or "copied" where the agent could not. */
enum ckpt_status test_rank_save_gather(struct test_rank *r, int argc, char **argv)
{
    struct input input;
    void *address;
    if (argc < 3 || !map_file(argv[1], &input)) {
        return CKPT_ERR_INVALID;
    }
    uint64_t step = test_rank_step(argv[0]);
    const struct ckpt_tensor tensor = {"bytes", CKPT_DTYPE_U8, 1, {input.bytes}, NULL, input.bytes};
    const struct ckpt_device_tensor place = {.tensor = 0, .offset = strtoull(argv[2], NULL, 10)};
    int fd = device_memory(&input, argv[2]);
    enum ckpt_status status =
        fd < 0 ? CKPT_ERR_SYSTEM : ckpt_save_begin(r->ckpt, step, &tensor, 1, NULL, 0, &address);
    if (status == CKPT_OK) {
        bool gathered = ckpt_save_gather(r->ckpt, step, fd, &place, 1) == CKPT_OK;
        if (!gathered) {
            memcpy(address, input.data, input.bytes);
        }
        snprintf(r->answer, sizeof r->answer, "%s", gathered ? "gathered" : "copied");
        status = ckpt_save_end(r->ckpt, step);
    }
    if (fd >= 0) {
        close(fd);
    }
    unmap(&input);
    return status;
}

/* For what must be refused before a byte of data is touched. */
enum ckpt_status test_rank_save_sizes(struct test_rank *r, int argc, char **argv)
{
    static const char nothing[4096];
    if (argc < 5) {
        return CKPT_ERR_INVALID;
    }
    struct ckpt_tensor tensor = {.name = strcmp(argv[1], "-") == 0 ? "" : argv[1],
                                 .dtype = parse_dtype(argv[2]),
                                 .data = nothing,
                                 .bytes = strtoull(argv[4], NULL, 10)};
    parse_shape(argv[3], &tensor);
    return ckpt_save(r->ckpt, test_rank_step(argv[0]), &tensor, 1, NULL, 0);
}

/* The address at which this process has the file's byte mapped writable, shared; NULL: nowhere. */
static volatile uint8_t *find_writable(const char *segment, uint64_t offset)
{
    char line[4096 + 128];
    char name[128];
    volatile uint8_t *found = NULL;
    snprintf(name, sizeof name, "/%s", segment); /* it may go on with " (deleted)" */
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && found == NULL && fgets(line, sizeof line, maps) != NULL) {
        uintptr_t start;
        uintptr_t end;
        uint64_t from;
        char permissions[5];
        if (strstr(line, name) == NULL ||
            sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %" SCNx64, &start, &end, permissions,
                   &from) != 4 ||
            strcmp(permissions, "rw-s") != 0) {
            continue;
        }
        if (offset >= from && offset - from < end - start) {
            found = (volatile uint8_t *)(start + (uintptr_t)(offset - from));
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return found;
}

enum ckpt_status test_rank_scribble(struct test_rank *r, int argc, char **argv)
{
    volatile uint8_t *byte = argc < 2 ? NULL : find_writable(argv[0], strtoull(argv[1], NULL, 10));
    if (byte == NULL) {
        snprintf(r->open_reason, sizeof r->open_reason, "not mapped writable here");
        return CKPT_ERR_NOT_FOUND;
    }
    *byte ^= 0x10;
    return CKPT_OK;
}
