/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of saves to come, against a scripted agent: what is asked for, and that a save which gets
 * what was prepared meets no page fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "unit/client/fake_agent.h"

#define PAGES_PER_SEGMENT ((long)(FAKE_SEGMENT_BYTES / 4096))
#define STRAY_FAULTS 64 /* of a stack, of code that was not there yet */
#define STATE_BYTES (FAKE_SEGMENT_BYTES + 1000)

static long faults(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_minflt;
}

/* Of one save of STATE_BYTES, in page faults of the calling thread. */
static long save(struct ckpt *ckpt, uint64_t step, const uint8_t *state)
{
    const struct ckpt_tensor tensor = {"state",       CKPT_DTYPE_U8, 1,
                                       {STATE_BYTES}, state,         STATE_BYTES};
    long before = faults();
    assert_int_equal(ckpt_save(ckpt, step, &tensor, 1, NULL, 0), CKPT_OK);
    return faults() - before;
}

/* Takes PREPARE, which must follow `after`, and tells `count` segments from number `first` on. */
static bool tell(struct fake_agent *agent, uint64_t after, uint32_t first, uint32_t count,
                 uint64_t generation)
{
    uint16_t ids[FAKE_SEGMENTS];
    int fds[FAKE_SEGMENTS];
    struct message ask;
    if (!fake_take(agent, MESSAGE_PREPARE, &ask)) {
        return false;
    }
    if (ask.prepare.after != after) {
        fake_wrong(agent, "it asks for what comes after something else");
    }
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = (uint16_t)(first + i);
        fds[i] = fake_segment(agent, first + i);
    }
    struct message answer = {.type = MESSAGE_PREPARE, .prepare = ask.prepare};
    answer.prepare.generation = generation;
    answer.prepare.segment_count = count;
    answer.prepare.segments = ids;
    fake_send(agent, &answer, fds, count);
    return true;
}

static bool refuse(struct fake_agent *agent, enum ckpt_status status)
{
    struct message ask;
    if (!fake_take(agent, MESSAGE_PREPARE, &ask)) {
        return false;
    }
    struct message answer = {.type = MESSAGE_PREPARE, .prepare = ask.prepare};
    answer.prepare.status = status;
    memcpy(answer.prepare.reason, "no room", 8);
    fake_send(agent, &answer, NULL, 0);
    return true;
}

static bool take_save(struct fake_agent *agent, uint32_t first, uint64_t generation)
{
    struct message message;
    return fake_grant(agent, first, 2, generation, NULL) &&
           fake_take(agent, MESSAGE_SEAL, &message);
}

static void three_lists(struct fake_agent *agent, uint32_t connection)
{
    if (connection == 0 && fake_open_preparing(agent, 0) && tell(agent, 0, 0, 2, 3) &&
        tell(agent, 3, 2, 2, 4) && tell(agent, 4, 4, 2, 9) && take_save(agent, 0, 10) &&
        take_save(agent, 2, 11) && take_save(agent, 4, 12) && take_save(agent, 6, 13) &&
        take_save(agent, 6, 14)) {
        (void)fake_take_end(agent);
    }
}

static void prepared_saves_meet_no_page_fault(void **state)
{
    (void)state;
    uint8_t *bytes = malloc(STATE_BYTES);
    assert_non_null(bytes);
    memset(bytes, 7, STATE_BYTES);
    struct fake_agent *agent = fake_agent_start(three_lists);
    struct ckpt *ckpt = fake_connect(agent);
    long before = faults();
    assert_int_equal(ckpt_prepare(ckpt, STATE_BYTES + 200), CKPT_OK);
    assert_true(faults() - before >= 3 * PAGES_PER_SEGMENT);
    assert_int_equal(mapped_segments(), 6);
    for (uint64_t step = 1; step <= 3; step++) {
        assert_in_range(save(ckpt, step, bytes), 0, STRAY_FAULTS);
    }
    /* What was not prepared does, once: the measure sees it. */
    assert_true(save(ckpt, 4, bytes) >= PAGES_PER_SEGMENT);
    assert_in_range(save(ckpt, 5, bytes), 0, STRAY_FAULTS);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
    free(bytes);
}

static void as_the_last_shard(struct fake_agent *agent, uint32_t connection)
{
    if (connection == 0 && fake_open_preparing(agent, STATE_BYTES) && tell(agent, 0, 0, 2, 3) &&
        tell(agent, 3, 2, 2, 4) && tell(agent, 4, 4, 2, 9)) {
        (void)fake_take_end(agent);
    }
}

static void opening_prepares_for_what_was_there(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(as_the_last_shard);
    struct ckpt *ckpt = fake_connect(agent);
    assert_int_equal(mapped_segments(), 6);
    assert_string_equal(ckpt_reason(ckpt), "");
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

static void too_little_for_open(struct fake_agent *agent, uint32_t connection)
{
    if (connection == 0 && fake_open_preparing(agent, STATE_BYTES) &&
        refuse(agent, CKPT_ERR_FULL)) {
        (void)fake_take_end(agent);
    }
}

static void opening_goes_well_without(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(too_little_for_open);
    struct ckpt *ckpt = fake_connect(agent);
    assert_string_equal(ckpt_reason(ckpt), "");
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

static void room_for_one(struct fake_agent *agent, uint32_t connection)
{
    if (connection == 0 && fake_open_preparing(agent, 0) && tell(agent, 0, 0, 2, 3) &&
        refuse(agent, CKPT_ERR_FULL) && refuse(agent, CKPT_ERR_FULL)) {
        (void)fake_take_end(agent);
    }
}

static void room_for_fewer_saves_is_room(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(room_for_one);
    struct ckpt *ckpt = fake_connect(agent);
    assert_int_equal(ckpt_prepare(ckpt, STATE_BYTES), CKPT_OK);
    assert_int_equal(ckpt_prepare(ckpt, STATE_BYTES), CKPT_ERR_FULL);
    assert_non_null(strstr(ckpt_reason(ckpt), "no room"));
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

static void of_before(struct fake_agent *agent, uint32_t connection)
{
    if (connection == 0 && fake_open_rank(agent)) {
        (void)fake_take_end(agent);
    }
}

static void an_older_agent_is_asked_nothing(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(of_before);
    struct ckpt *ckpt = fake_connect(agent);
    assert_int_equal(ckpt_prepare(ckpt, STATE_BYTES), CKPT_ERR_UNSUPPORTED);
    assert_int_equal(ckpt_prepare(ckpt, 0), CKPT_ERR_SIZE);
    assert_int_equal(ckpt_prepare(NULL, STATE_BYTES), CKPT_ERR_INVALID);
    ckpt_prepare_stop(NULL);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

static void told_once(struct fake_agent *agent, uint32_t connection)
{
    if (connection == 0 && fake_open_preparing(agent, 0) && tell(agent, 0, 0, 2, 3) &&
        tell(agent, 3, 2, 2, 4) && tell(agent, 4, 4, 2, 9)) {
        (void)fake_take_end(agent);
    }
}

static void a_stop_ends_one_prepare(void **state)
{
    (void)state;
    struct fake_agent *agent = fake_agent_start(told_once);
    struct ckpt *ckpt = fake_connect(agent);
    ckpt_prepare_stop(ckpt);
    assert_int_equal(ckpt_prepare(ckpt, STATE_BYTES), CKPT_OK);
    assert_int_equal(mapped_segments(), 0);
    assert_int_equal(ckpt_prepare(ckpt, STATE_BYTES), CKPT_OK);
    assert_int_equal(mapped_segments(), 6);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

static void of_other_bytes(struct fake_agent *agent, uint32_t connection)
{
    if (fake_open_preparing(agent, 0)) {
        (void)(connection == 0 ? tell(agent, 0, 0, 1, 3)
                               : tell(agent, 0, 0, 2, 3) && tell(agent, 3, 2, 2, 3));
        (void)fake_take_end(agent);
    }
}

static void what_makes_no_sense_ends_the_connection(void **state)
{
    (void)state;
    uint32_t descriptors = open_descriptors();
    struct fake_agent *agent = fake_agent_start(of_other_bytes);
    struct ckpt *ckpt = fake_connect(agent);
    assert_int_equal(ckpt_prepare(ckpt, STATE_BYTES), CKPT_ERR_PROTOCOL);
    assert_int_equal(ckpt_prepare(ckpt, STATE_BYTES), CKPT_ERR_PROTOCOL);
    ckpt_close(&ckpt);
    fake_agent_stop(&agent); /* which has some of its own until its thread has ended */
    assert_int_equal(open_descriptors(), descriptors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prepared_saves_meet_no_page_fault),
        cmocka_unit_test(opening_prepares_for_what_was_there),
        cmocka_unit_test(opening_goes_well_without),
        cmocka_unit_test(room_for_fewer_saves_is_room),
        cmocka_unit_test(an_older_agent_is_asked_nothing),
        cmocka_unit_test(a_stop_ends_one_prepare),
        cmocka_unit_test(what_makes_no_sense_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
