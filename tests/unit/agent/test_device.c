/* SPDX-License-Identifier: Apache-2.0 */
/* What a rank's GPU had is compared with what came to the slot: under a key of that save alone, and
 * before its digest counts. */
#include "unit/agent/driver.h"

#include <string.h>

static struct message_slot_granted ask(struct driver *d, uint64_t step)
{
    const struct message_slot_granted *granted = driver_ask(d, 1, step, SEGMENT);
    assert_non_null(granted);
    assert_int_equal(granted->status, CKPT_OK);
    return *granted;
}

static struct message seal_of(const struct message_slot_granted *granted, uint8_t digest)
{
    struct message message = {.type = MESSAGE_SEAL};
    message.seal.step = granted->step;
    message.seal.slot = granted->slot;
    message.seal.generation = granted->generation;
    message.seal.device_said = true;
    message.seal.device_digest = digest_of(digest);
    return message;
}

static void work_ends(struct driver *d, uint8_t digest, uint8_t device_digest)
{
    const struct agent_work *work = driver_works(d, AGENT_WORK_DIGEST);
    assert_non_null(work);
    driver_event(d, (struct agent_event){.type = AGENT_WORK_DONE,
                                         .work = work->work,
                                         .status = CKPT_OK,
                                         .digest = digest_of(digest),
                                         .device_digest = digest_of(device_digest)});
}

static void start(struct driver *d)
{
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
}

static void each_save_has_a_key_of_its_own(void **state)
{
    struct driver *d = *state;
    start(d);
    struct message_slot_granted first = ask(d, 10);
    assert_int_equal(first.device_key.kind, DIGEST_KIND_FINGERPRINT);
    struct message_slot_granted again = ask(d, 10);
    assert_memory_equal(&again.device_key, &first.device_key, sizeof(first.device_key));
    driver_seal(d, 1, 10, first.slot, first.generation);
    /* A rank that says nothing of a GPU has nothing computed for it. */
    assert_int_equal(driver_works(d, AGENT_WORK_DIGEST)->device_key.kind, DIGEST_KIND_UNKNOWN);
    work_ends(d, 10, 0);
    struct message_slot_granted second = ask(d, 11);
    assert_memory_not_equal(&second.device_key.secret, &first.device_key.secret,
                            sizeof(first.device_key.secret));
}

static void equal_bytes_are_verified(void **state)
{
    struct driver *d = *state;
    start(d);
    struct message_slot_granted granted = ask(d, 10);
    driver_rank_says(d, 1, seal_of(&granted, 0x77));
    const struct agent_work *work = driver_works(d, AGENT_WORK_DIGEST);
    assert_memory_equal(&work->device_key, &granted.device_key, sizeof(granted.device_key));
    work_ends(d, 10, 0x77);
    assert_int_equal(driver_slot(d, granted.slot).state, SLOT_VERIFIED);
    assert_null(driver_noted(d, EVENT_device_mismatch));
}

static void other_bytes_are_refused_by_name(void **state)
{
    struct driver *d = *state;
    start(d);
    struct message_slot_granted granted = ask(d, 10);
    driver_rank_says(d, 1, seal_of(&granted, 0x77));
    work_ends(d, 10, 0x78);
    assert_non_null(driver_noted(d, EVENT_device_mismatch));
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_RANK, MESSAGE_SAVE_OUTCOME);
    assert_non_null(out);
    assert_int_equal(out->message.save_outcome.status, CKPT_ERR_DIGEST);
    assert_non_null(strstr(out->message.save_outcome.reason, "step 10 of rank 0"));
    const struct agent_outgoing *report =
        driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT);
    assert_true(report == NULL || report->message.shard_report.state == COPY_NONE);
    driver_settle(d);
    assert_int_equal(driver_slot(d, granted.slot).state, SLOT_FREE);
    /* And the next save is a save as any. */
    granted = ask(d, 11);
    driver_rank_says(d, 1, seal_of(&granted, 0x77));
    work_ends(d, 11, 0x77);
    assert_int_equal(driver_slot(d, granted.slot).state, SLOT_VERIFIED);
}

static void bad_news_of_a_gpu_is_noted(void **state)
{
    struct driver *d = *state;
    start(d);
    struct message_slot_granted granted = ask(d, 10);
    struct message seal = seal_of(&granted, 0x77);
    seal.seal.device_said = false;
    seal.seal.nans = 3;
    strcpy(seal.seal.device_reason, "no kernels");
    driver_rank_says(d, 1, seal);
    assert_non_null(strstr(driver_noted(d, EVENT_shard_not_finite)->text, "3 NaN and 0"));
    assert_string_equal(driver_noted(d, EVENT_device_unproven)->text, "no kernels");
    work_ends(d, 10, 0x55); /* compared with nothing */
    assert_int_equal(driver_slot(d, granted.slot).state, SLOT_VERIFIED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, driver_setup, driver_teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_save_has_a_key_of_its_own),
        TEST(equal_bytes_are_verified),
        TEST(other_bytes_are_refused_by_name),
        TEST(bad_news_of_a_gpu_is_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
