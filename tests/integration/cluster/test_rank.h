/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of ckpt-test-rank share. A command sets answer on success; a failure that is not
 * libckpt's own sets open_reason. */
#ifndef TEST_RANK_H
#define TEST_RANK_H

#include <ckpt/ckpt.h>

#define TEST_RANK_SHARDS 16

struct test_rank {
    struct ckpt *ckpt;
    struct ckpt_shard shards[TEST_RANK_SHARDS]; /* a handle is a place here */
    char answer[1 << 16];
    char open_reason[512];
};

/* "latest", or a number. */
uint64_t test_rank_step(const char *text);

enum ckpt_status test_rank_save(struct test_rank *r, int argc, char **argv);
enum ckpt_status test_rank_replica(struct test_rank *r, int argc, char **argv);
enum ckpt_status test_rank_save_bytes(struct test_rank *r, int argc, char **argv);
enum ckpt_status test_rank_save_shard(struct test_rank *r, int argc, char **argv);
enum ckpt_status test_rank_save_gather(struct test_rank *r, int argc, char **argv);
enum ckpt_status test_rank_save_sizes(struct test_rank *r, int argc, char **argv);
enum ckpt_status test_rank_load(struct test_rank *r, int argc, char **argv);
enum ckpt_status test_rank_fetch(struct test_rank *r, int argc, char **argv);
enum ckpt_status test_rank_dump(struct test_rank *r, int argc, char **argv);
enum ckpt_status test_rank_tensor(struct test_rank *r, int argc, char **argv);
enum ckpt_status test_rank_read(struct test_rank *r, int argc, char **argv);
enum ckpt_status test_rank_list(struct test_rank *r, int argc, char **argv);
enum ckpt_status test_rank_protection(struct test_rank *r, int argc, char **argv);
enum ckpt_status test_rank_poke(struct test_rank *r, int argc, char **argv);
enum ckpt_status test_rank_unload(struct test_rank *r, int argc, char **argv);
enum ckpt_status test_rank_scribble(struct test_rank *r, int argc, char **argv);

#endif
