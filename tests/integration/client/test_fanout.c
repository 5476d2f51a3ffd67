/* SPDX-License-Identifier: Apache-2.0 */
/* libckpt_fanout over real agents, by its public functions alone: a restore of two ranks and a
 * reader that need the shard of one of them. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <ckpt/fanout.h>

#include "integration/client/nodes.h"

#define STATE_BYTES (20 << 20)
#define LONG_MS 30000
#define MEMBERS 3

static uint8_t bytes[STATE_BYTES];

/* Each is a process of a trainer, here a thread. */
struct member {
    const struct nodes *nodes;
    uint32_t number; /* in the group; 2 is a reader */
    uint32_t attempt;
    const uint8_t *id;
    uint32_t way;
    bool is_good;
    pthread_t thread;
    struct ckpt_fanout *group;
};

static struct ckpt *open_rank(const struct member *member)
{
    const struct ckpt_options options = {
        .size = sizeof(options),
        .socket = member->nodes->sockets[member->number == 0 ? 0 : 1],
        .run = "fanout",
        .attempt = member->attempt,
        .rank = member->number,
        .world = 2,
        .timeout_ms = LONG_MS,
        .reader = member->number == 2,
    };
    struct ckpt *ckpt = NULL;
    return ckpt_open(&options, &ckpt) == CKPT_OK ? ckpt : NULL;
}

static void *save(void *context)
{
    struct member *member = context;
    struct ckpt *ckpt = open_rank(member);
    size_t count = member->number == 0 ? STATE_BYTES : 1;
    member->is_good = ckpt != NULL && ckpt_save_bytes(ckpt, 5, bytes, count) == CKPT_OK &&
                      ckpt_wait(ckpt, 5, LONG_MS) == CKPT_OK;
    ckpt_close(&ckpt);
    return NULL;
}

static bool is_right(const struct ckpt_fanout_shard *shard)
{
    struct ckpt_tensor tensor;
    return shard->step == 5 && shard->rank == 0 && shard->world == 2 && shard->attempt == 1 &&
           ckpt_fanout_find(shard, "bytes", &tensor) == CKPT_OK && tensor.bytes == STATE_BYTES &&
           memcmp(tensor.data, bytes, STATE_BYTES) == 0;
}

static void *restore(void *context)
{
    struct member *member = context;
    struct ckpt_shard own;
    struct ckpt_fanout_shard shard;
    struct ckpt *ckpt = open_rank(member);
    bool good = ckpt != NULL;
    if (good && member->number != 2) { /* the verdict */
        good = ckpt_load(ckpt, CKPT_STEP_LATEST, LONG_MS, &own) == CKPT_OK && own.step == 5;
    }
    if (good) {
        (void)ckpt_fanout_join(member->group, member->number == 0 ? NULL : member->id, LONG_MS / 6);
        good = ckpt_fanout_fetch(member->group, ckpt, 5, 0, LONG_MS, &shard) == CKPT_OK &&
               is_right(&shard);
    }
    if (good) {
        member->way = shard.way;
        ckpt_fanout_release(member->group, &shard);
    }
    ckpt_fanout_close(&member->group);
    ckpt_close(&ckpt);
    member->is_good = good;
    return NULL;
}

static void run(struct member *members, uint32_t count, void *(*what)(void *))
{
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(pthread_create(&members[i].thread, NULL, what, &members[i]), 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(pthread_join(members[i].thread, NULL), 0);
        assert_true(members[i].is_good);
    }
}

static void make(struct member *members, const struct nodes *nodes, uint32_t attempt, uint8_t *id)
{
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct ckpt_fanout_options options = {
            .size = sizeof(options), .rank = i, .ranks = MEMBERS, .piece_bytes = 1 << 20};
        members[i] = (struct member){.nodes = nodes, .number = i, .attempt = attempt, .id = id};
        assert_int_equal(ckpt_fanout_open(&options, &members[i].group, NULL, 0), CKPT_OK);
    }
    assert_int_equal(ckpt_fanout_id(members[0].group, id), CKPT_OK);
}

static void test_restore(void **state)
{
    const struct nodes *nodes = *state;
    struct member members[MEMBERS];
    uint8_t id[CKPT_FANOUT_ID_BYTES];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * i >> 7);
    }
    make(members, nodes, 1, id);
    run(members, 2, save);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        ckpt_fanout_close(&members[i].group);
    }
    make(members, nodes, 2, id);
    run(members, MEMBERS, restore);
    assert_int_equal(members[0].way, CKPT_FANOUT_FROM_AGENT);
    assert_int_equal(members[1].way, CKPT_FANOUT_FROM_GROUP);
    assert_int_equal(members[2].way, CKPT_FANOUT_FROM_GROUP);
    /* The reader does not come: each rank's own agent has it. */
    make(members, nodes, 3, id);
    run(members, 2, restore);
    assert_int_equal(members[1].way, CKPT_FANOUT_FROM_AGENT);
    ckpt_fanout_close(&members[2].group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_restore, nodes_start, nodes_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
