/* SPDX-License-Identifier: Apache-2.0 */
/* What the store may say at the start, and what it cannot have been told. */
#include "unit/coordinator/cluster.h"

#include <stdio.h>

CLUSTER_OF(0)

static const struct coordinator_record_shard shards[2] = {
    {.bytes = 4096, .digest = {{10}}, .node_count = 2, .nodes = {"n0", "n1"}},
    {.bytes = 4096, .digest = {{11}}, .node_count = 2, .nodes = {"n1", "n2"}},
};

static struct coordinator_record commit_of(uint64_t step)
{
    struct coordinator_record record = {.type = RECORD_CONSISTENT,
                                        .epoch = 4,
                                        .run = {.uid = 1000, .name = "run"},
                                        .attempt = 1,
                                        .step = step,
                                        .world = 2,
                                        .copies = 2,
                                        .bytes = 8192,
                                        .shards = shards};
    return record;
}

/* A coordinator that has not heard the end of its records. */
static enum ckpt_status replay(const struct coordinator_record *records, uint32_t count)
{
    struct coordinator_config config;
    char reason[CKPT_REASON_MAX + 1];
    cluster_config(&config, 2);
    size_t bytes = coordinator_memory_bytes(&config, reason);
    void *memory = machine_memory(bytes);
    struct coordinator *c;
    struct coordinator_update update;
    assert_int_equal(coordinator_init(memory, bytes, &config, 5, 1, &c), CKPT_OK);
    enum ckpt_status status = CKPT_OK;
    for (uint32_t i = 0; i < count && status == CKPT_OK; i++) {
        struct coordinator_event event = {
            .type = COORDINATOR_REPLAY, .now_ms = 1000, .record = &records[i]};
        status = coordinator_advance(c, &event, &update);
    }
    free(memory);
    return status;
}

SPOILS(of_an_epoch_to_come, struct coordinator_record, it->epoch = 5)
SPOILS(without_shards, struct coordinator_record, it->shards = NULL)
SPOILS(of_no_rank, struct coordinator_record, it->world = 0)
SPOILS(of_too_many_ranks, struct coordinator_record, it->world = CKPT_WORLD_MAX + 1)
SPOILS(of_no_copy, struct coordinator_record, it->copies = 0)
SPOILS(of_too_many_copies, struct coordinator_record, it->copies = CKPT_COPIES_MAX + 1)
SPOILS(of_no_run, struct coordinator_record, it->run.name[0] = '\0')
SPOILS(a_retirement_of_nothing, struct coordinator_record, it->type = RECORD_RETIRED)
SPOILS(a_quarantine_of_nothing, struct coordinator_record, it->type = RECORD_QUARANTINED)
SPOILS(an_offer_of_nothing, struct coordinator_record, it->type = RECORD_OFFERED)
SPOILS(a_mark_on_nothing, struct coordinator_record, it->type = RECORD_MARK)
SPOILS(holders_of_nothing, struct coordinator_record, it->type = RECORD_HOLDERS)
SPOILS(of_no_type, struct coordinator_record, it->type = RECORD_LAST + 1)

static const struct row {
    const char *name;
    void (*spoil)(struct coordinator_record *it);
} corrupt[] = {
    {ROW(of_an_epoch_to_come)},
    {ROW(without_shards)},
    {ROW(of_no_rank)},
    {ROW(of_too_many_ranks)},
    {ROW(of_no_copy)},
    {ROW(of_too_many_copies)},
    {ROW(of_no_run)},
    {ROW(a_retirement_of_nothing)},
    {ROW(a_quarantine_of_nothing)},
    {ROW(an_offer_of_nothing)},
    {ROW(a_mark_on_nothing)},
    {ROW(holders_of_nothing)},
    {ROW(of_no_type)},
};

static void what_no_coordinator_recorded_is_corrupt(void **state)
{
    (void)state;
    struct coordinator_record good = commit_of(10);
    assert_int_equal(replay(&good, 1), CKPT_OK);
    for (size_t i = 0; i < ROWS(corrupt); i++) {
        struct coordinator_record record = commit_of(10);
        corrupt[i].spoil(&record);
        ROW_HOLDS(&corrupt[i], replay(&record, 1) == CKPT_ERR_CORRUPT);
    }
}

static void a_commit_is_of_a_later_step_than_the_one_before(void **state)
{
    (void)state;
    const struct coordinator_record twice[] = {commit_of(20), commit_of(20)};
    const struct coordinator_record back[] = {commit_of(20), commit_of(10)};
    const struct coordinator_record on[] = {commit_of(20), commit_of(30)};
    assert_int_equal(replay(twice, 2), CKPT_ERR_CORRUPT);
    assert_int_equal(replay(back, 2), CKPT_ERR_CORRUPT);
    assert_int_equal(replay(on, 2), CKPT_OK);
}

static void a_quarantine_and_its_end_are_replayed(void **state)
{
    struct cluster *replayed = *state;
    struct coordinator_record records[] = {commit_of(10), commit_of(10), commit_of(10)};
    records[1].type = RECORD_QUARANTINED;
    snprintf(records[1].reason, sizeof records[1].reason, "because");
    records[2].type = RECORD_OFFERED;
    cluster_stop(replayed);
    cluster_start_with(replayed, 2, records, 2);
    assert_int_equal(cluster_checkpoint(replayed, 10).state, CHECKPOINT_QUARANTINED);
    assert_string_equal(cluster_checkpoint(replayed, 10).reason, "because");
    cluster_stop(replayed);
    cluster_start_with(replayed, 2, records, 3);
    assert_int_equal(cluster_checkpoint(replayed, 10).state, CHECKPOINT_CONSISTENT);
    assert_string_equal(cluster_checkpoint(replayed, 10).reason, "");
}

static void nothing_is_replayed_after_the_end(void **state)
{
    struct cluster *started = *state;
    struct coordinator_record record = commit_of(10);
    struct coordinator_event event = {
        .type = COORDINATOR_REPLAY, .now_ms = started->now_ms, .record = &record};
    assert_int_equal(coordinator_advance(started->c, &event, &started->update), CKPT_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(what_no_coordinator_recorded_is_corrupt, cluster),
        MACHINE_TEST(a_commit_is_of_a_later_step_than_the_one_before, cluster),
        MACHINE_TEST(a_quarantine_and_its_end_are_replayed, cluster),
        MACHINE_TEST(nothing_is_replayed_after_the_end, cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
