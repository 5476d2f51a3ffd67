/* SPDX-License-Identifier: Apache-2.0 */
/* Orders to take a shard to the tier, and to say there that a checkpoint is whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "unit/agent/driver.h"

static uint32_t start_with_shard(struct driver *d)
{
    driver_config(d);
    d->config.has_tier = true;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    uint32_t slot = driver_save(d, 1, 10, 100);
    driver_ack(d, slot, true, CHECKPOINT_CONSISTENT);
    return slot;
}

static struct message order_of(struct driver *d, uint32_t slot, uint64_t number)
{
    struct message m = {.type = MESSAGE_PERSIST_ORDER};
    m.persist_order.order = number;
    m.persist_order.shard = driver_slot(d, slot).shard;
    m.persist_order.generation = driver_slot(d, slot).generation;
    m.persist_order.bytes = driver_slot(d, slot).bytes;
    m.persist_order.world = 4;
    m.persist_order.copies = 2;
    m.persist_order.digest = driver_slot(d, slot).digest;
    return m;
}

static void done(struct driver *d, uint64_t work, enum ckpt_status status, const char *reason)
{
    driver_event(d, (struct agent_event){.type = AGENT_WORK_DONE,
                                         .work = work,
                                         .status = status,
                                         .digest = digest_of(7),
                                         .bytes = 90,
                                         .reason = reason});
}

static const struct message_persist_told *told(const struct driver *d)
{
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_PERSIST_TOLD);
    return out != NULL ? &out->message.persist_told : NULL;
}

static void a_shard_is_written_and_told_again_when_it_is_asked_for_again(void **state)
{
    struct driver *d = *state;
    uint32_t slot = start_with_shard(d);
    struct message order = order_of(d, slot, 5);
    driver_coordinator(d, order);
    const struct agent_work *work = driver_works(d, AGENT_WORK_PERSIST);
    assert_non_null(work);
    assert_int_equal(work->slot, slot);
    assert_int_equal(work->persist->order, 5);
    uint64_t number = work->work;
    driver_coordinator(d, order); /* it is worked on */
    assert_null(driver_works(d, AGENT_WORK_PERSIST));
    assert_null(told(d));
    done(d, number, CKPT_OK, NULL);
    assert_non_null(told(d));
    assert_int_equal(told(d)->order, 5);
    assert_int_equal(told(d)->status, CKPT_OK);
    assert_int_equal(told(d)->bytes, 90);
    assert_int_equal(told(d)->name.bytes[0], 7);
    driver_coordinator(d, order);
    assert_null(driver_works(d, AGENT_WORK_PERSIST));
    assert_non_null(told(d));
}

static void a_slot_that_is_read_is_not_freed(void **state)
{
    struct driver *d = *state;
    uint32_t slot = start_with_shard(d);
    driver_coordinator(d, order_of(d, slot, 5));
    uint64_t number = driver_works(d, AGENT_WORK_PERSIST)->work;
    driver_checkpoint(d, 10, CHECKPOINT_RETIRED);
    driver_settle(d);
    assert_true(driver_slot(d, slot).doomed);
    done(d, number, CKPT_ERR_FULL, "no space");
    driver_settle(d);
    assert_int_equal(driver_slot(d, slot).state, SLOT_FREE);
}

static void a_failure_is_told_with_its_reason(void **state)
{
    struct driver *d = *state;
    uint32_t slot = start_with_shard(d);
    driver_coordinator(d, order_of(d, slot, 5));
    done(d, driver_works(d, AGENT_WORK_PERSIST)->work, CKPT_ERR_FULL, "no space in /tier");
    assert_int_equal(told(d)->status, CKPT_ERR_FULL);
    assert_string_equal(told(d)->reason, "no space in /tier");
    assert_non_null(driver_noted(d, EVENT_persist_failed));
}

static void what_is_not_here_as_it_was_ordered_is_refused(void **state)
{
    struct driver *d = *state;
    uint32_t slot = start_with_shard(d);
    struct message order = order_of(d, slot, 5);
    order.persist_order.generation++;
    driver_coordinator(d, order);
    assert_int_equal(told(d)->status, CKPT_ERR_STALE);
    order = order_of(d, slot, 6);
    order.persist_order.shard.step++;
    driver_coordinator(d, order);
    assert_int_equal(told(d)->status, CKPT_ERR_STALE);
    order = order_of(d, slot, 7);
    order.persist_order.shard.run.name[0] = '\0';
    driver_coordinator(d, order);
    assert_null(told(d));
    assert_null(driver_works(d, AGENT_WORK_PERSIST));
}

static void a_manifest_is_written(void **state)
{
    struct driver *d = *state;
    uint32_t slot = start_with_shard(d);
    struct message m = {.type = MESSAGE_MANIFEST_ORDER};
    m.manifest_order.order = 9;
    m.manifest_order.run = driver_slot(d, slot).shard.run;
    m.manifest_order.world = 4;
    driver_coordinator(d, m);
    const struct agent_work *work = driver_works(d, AGENT_WORK_MANIFEST);
    assert_non_null(work);
    assert_int_equal(work->manifest->world, 4);
    done(d, work->work, CKPT_OK, NULL);
    assert_int_equal(told(d)->order, 9);
    assert_int_equal(told(d)->name.bytes[0], 0);
}

/* Places are given to what comes; what is worked on keeps its own. */
static void more_orders_than_places_wait(void **state)
{
    struct driver *d = *state;
    uint32_t slot = start_with_shard(d);
    for (uint64_t number = 1; number <= 8; number++) {
        driver_coordinator(d, order_of(d, slot, number));
        assert_int_equal(driver_works_count(d, AGENT_WORK_PERSIST), 1);
    }
    uint64_t last = driver_works(d, AGENT_WORK_PERSIST)->work;
    driver_coordinator(d, order_of(d, slot, 9));
    assert_int_equal(driver_works_count(d, AGENT_WORK_PERSIST), 0);
    done(d, last, CKPT_OK, NULL);
    driver_coordinator(d, order_of(d, slot, 9));
    assert_int_equal(driver_works_count(d, AGENT_WORK_PERSIST), 1);
}

static void an_agent_without_a_tier_says_so(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    driver_rank(d, 1, ALICE, 0);
    uint32_t slot = driver_save(d, 1, 10, 100);
    driver_coordinator(d, order_of(d, slot, 5));
    assert_int_equal(told(d)->status, CKPT_ERR_UNSUPPORTED);
}

#define OF_DRIVER(test) cmocka_unit_test_setup_teardown(test, driver_setup, driver_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OF_DRIVER(a_shard_is_written_and_told_again_when_it_is_asked_for_again),
        OF_DRIVER(a_slot_that_is_read_is_not_freed),
        OF_DRIVER(a_failure_is_told_with_its_reason),
        OF_DRIVER(what_is_not_here_as_it_was_ordered_is_refused),
        OF_DRIVER(a_manifest_is_written),
        OF_DRIVER(more_orders_than_places_wait),
        OF_DRIVER(an_agent_without_a_tier_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
