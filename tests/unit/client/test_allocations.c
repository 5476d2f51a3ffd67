/* SPDX-License-Identifier: Apache-2.0 */
/* A save allocates nothing once its tables are large enough: every malloc of this thread is
 * counted, whichever library asks for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/client/fake_agent.h"

/* glibc's own, under the names it keeps for programs that replace malloc. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *memory, size_t bytes);

static _Thread_local bool is_counting;
static _Thread_local uint32_t allocations;

void *malloc(size_t bytes)
{
    allocations += is_counting;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    allocations += is_counting;
    return __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    allocations += is_counting;
    return __libc_realloc(memory, bytes);
}

#define SAVES 4
#define TENSORS 3000 /* more than there is room for at first */

static void grants(struct fake_agent *agent, uint32_t connection)
{
    struct message message;
    if (connection != 0 || !fake_open_rank(agent)) {
        return;
    }
    for (uint32_t i = 0; i < SAVES; i++) {
        if (!fake_grant(agent, 0, 1, 5 + i, NULL) || !fake_take(agent, MESSAGE_SEAL, &message)) {
            return;
        }
        fake_outcome(agent, i + 1, CKPT_OK, "");
    }
    (void)fake_take_end(agent);
}

static void test_no_allocation(void **state)
{
    (void)state;
    static struct ckpt_tensor tensors[TENSORS];
    static char names[TENSORS][16];
    static float values[64];
    struct fake_agent *agent = fake_agent_start(grants);
    struct ckpt *ckpt = fake_connect(agent);
    for (uint32_t i = 0; i < TENSORS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "t%u", i);
        tensors[i] = (struct ckpt_tensor){
            names[i], CKPT_DTYPE_F32, 1, {64}, values, sizeof(values),
        };
    }
    static const size_t counts[SAVES] = {1000, TENSORS, 1000, TENSORS};
    for (uint64_t step = 1; step <= SAVES; step++) {
        is_counting = true;
        allocations = 0;
        enum ckpt_status saved = ckpt_save(ckpt, step, tensors, counts[step - 1], NULL, 0);
        enum ckpt_status waited = ckpt_wait(ckpt, step, 20000);
        is_counting = false;
        assert_int_equal(saved, CKPT_OK);
        assert_int_equal(waited, CKPT_OK);
        /* Only the second has more tensors than any before: one table each of three. */
        assert_int_equal(allocations, step == 2 ? 3 : 0);
    }
    ckpt_close(&ckpt);
    fake_agent_stop(&agent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
