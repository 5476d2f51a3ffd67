/* SPDX-License-Identifier: Apache-2.0 */
/* ckpt-test-rank: a rank that does what it is told, so that a test decides when it saves, waits or
 * dies. Reads one command a line, answers one line: "ok MS WORD..." or "err MS STATUS REASON", MS
 * being how long the call took. The commands are the rows of the table below. */
#include "test_rank.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fault_point.h"

#define ARGUMENTS_MAX 512
#define LINE_MAX_BYTES (1 << 20)

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static uint32_t number32(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

uint64_t test_rank_step(const char *text)
{
    return strcmp(text, "latest") == 0 ? CKPT_STEP_LATEST : strtoull(text, NULL, 10);
}

static enum ckpt_status open_rank(struct test_rank *r, int argc, char **argv)
{
    if (argc < 8) {
        return CKPT_ERR_INVALID;
    }
    struct ckpt_options options = {
        .size = sizeof options,
        .socket = argv[0],
        .run = strcmp(argv[1], "-") == 0 ? "" : argv[1],
        .attempt = number32(argv[2]),
        .rank = number32(argv[3]),
        .world = number32(argv[4]),
        .copies = number32(argv[5]),
        .timeout_ms = number32(argv[6]),
        .copy_threads = 1,
        .reader = strcmp(argv[7], "reader") == 0,
    };
    return ckpt_open_reason(&options, &r->ckpt, r->open_reason, sizeof r->open_reason);
}

static enum ckpt_status close_rank(struct test_rank *r, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    for (int i = 0; i < TEST_RANK_SHARDS; i++) {
        r->shards[i] = (struct ckpt_shard){0};
    }
    ckpt_close(&r->ckpt);
    return CKPT_OK;
}

static enum ckpt_status wait_step(struct test_rank *r, int argc, char **argv)
{
    return argc < 2 ? CKPT_ERR_INVALID
                    : ckpt_wait(r->ckpt, test_rank_step(argv[0]), number32(argv[1]));
}

static enum ckpt_status wait_persisted(struct test_rank *r, int argc, char **argv)
{
    return argc < 2 ? CKPT_ERR_INVALID
                    : ckpt_wait_persisted(r->ckpt, test_rank_step(argv[0]), number32(argv[1]));
}

static enum ckpt_status attempt(struct test_rank *r, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)snprintf(r->answer, sizeof r->answer, "%" PRIu32, ckpt_attempt(r->ckpt));
    return CKPT_OK;
}

static enum ckpt_status info(struct test_rank *r, int argc, char **argv)
{
    struct ckpt_info found;
    enum ckpt_status status =
        argc < 1 ? CKPT_ERR_INVALID : ckpt_info(r->ckpt, test_rank_step(argv[0]), &found);
    if (status == CKPT_OK) {
        snprintf(r->answer, sizeof r->answer,
                 "%" PRIu64 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu64, found.step,
                 found.attempt, found.world, found.copies, found.bytes);
    }
    return status;
}

static enum ckpt_status arm(struct test_rank *r, int argc, char **argv)
{
    return argc < 1 ? CKPT_ERR_INVALID
                    : fault_points_arm(argv[0], r->open_reason, sizeof r->open_reason);
}

/* The credentials of a connection are those of the process when it connects. */
static enum ckpt_status become(struct test_rank *r, int argc, char **argv)
{
    (void)r;
    return argc == 1 && setgid(number32(argv[0])) == 0 && setuid(number32(argv[0])) == 0
               ? CKPT_OK
               : CKPT_ERR_SYSTEM;
}

static const struct command {
    const char *name;
    enum ckpt_status (*run)(struct test_rank *r, int argc, char **argv);
} commands[] = {
    {"open", open_rank},      /* SOCKET RUN ATTEMPT RANK WORLD COPIES TIMEOUT_MS rank|reader */
    {"close", close_rank},    /* */
    {"save", test_rank_save}, /* STEP NAME:DTYPE:SHAPE:FILE...; SHAPE: 2x3, or - for a scalar */
    {"replica", test_rank_replica},         /* STEP LEADER PART VALUE, before the save */
    {"save_bytes", test_rank_save_bytes},   /* STEP FILE */
    {"save_shard", test_rank_save_shard},   /* STEP FILE */
    {"save_gather", test_rank_save_gather}, /* STEP FILE OFFSET, or in its place another file */
    {"save_sizes", test_rank_save_sizes},   /* STEP NAME DTYPE SHAPE BYTES, and no data */
    {"wait", wait_step},                    /* STEP MS */
    {"wait_persisted", wait_persisted},     /* STEP MS */
    {"info", info},                         /* STEP */
    {"attempt", attempt},                   /* of this start */
    {"load", test_rank_load},               /* HANDLE STEP MS */
    {"fetch", test_rank_fetch},             /* HANDLE STEP RANK MS */
    {"dump", test_rank_dump},               /* HANDLE FILE: the whole shard */
    {"tensor", test_rank_tensor},           /* HANDLE NAME FILE: one tensor, found by name */
    {"read", test_rank_read},               /* HANDLE NAME OFFSET BYTES FILE */
    {"list", test_rank_list},               /* HANDLE: names of the tensors */
    {"protection", test_rank_protection},   /* HANDLE: of the mapping, as in /proc/self/maps */
    {"poke", test_rank_poke},     /* HANDLE: a child writes to the shard; by which signal it ends */
    {"unload", test_rank_unload}, /* HANDLE */
    {"scribble",
     test_rank_scribble}, /* SEGMENT OFFSET: flips a bit through this rank's own mapping */
    {"fault", arm},       /* SPEC of CKPT_FAULT */
    {"become", become},   /* UID */
};

static enum ckpt_status dispatch(struct test_rank *r, int argc, char **argv)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, argv[0]) == 0) {
            return commands[i].run(r, argc - 1, argv + 1);
        }
    }
    snprintf(r->open_reason, sizeof r->open_reason, "no such command");
    return CKPT_ERR_INVALID;
}

static void answer(struct test_rank *r, enum ckpt_status status, double started_ms)
{
    long ms = (long)(now_ms() - started_ms);
    if (status == CKPT_OK) {
        printf("ok %ld%s%s\n", ms, r->answer[0] != '\0' ? " " : "", r->answer);
        return;
    }
    const char *reason =
        r->open_reason[0] != '\0' || r->ckpt == NULL ? r->open_reason : ckpt_reason(r->ckpt);
    printf("err %ld %s %s\n", ms, ckpt_status_name(status), reason);
}

int main(void)
{
    static struct test_rank rank;
    static char line[LINE_MAX_BYTES];
    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *argv[ARGUMENTS_MAX];
        int argc = 0;
        for (char *rest = line, *word;
             argc < ARGUMENTS_MAX && (word = strtok_r(rest, " \n", &rest));) {
            argv[argc++] = word;
        }
        if (argc == 0) {
            continue;
        }
        rank.answer[0] = '\0';
        rank.open_reason[0] = '\0';
        double started_ms = now_ms();
        answer(&rank, dispatch(&rank, argc, argv), started_ms);
    }
    ckpt_close(&rank.ckpt);
    return 0;
}
