/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs of a device, on the fake driver and the kernels on a CPU: what arrives and what is computed
 * of it are what a plain loop has, in both directions and for both digests; and each fault is seen,
 * or gone around, and said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <ckpt/dtype.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/prng.h"
#include "device/device.h"
#include "digest/fingerprint.h"
#include "fake_gpu/fake_gpu.h"

#define SHARD_BYTES (UINT64_C(3) * CKPT_MIB + 777)
#define PARTS_MAX 64
#define GPU 1

static struct device *device;
static uint8_t *slot;   /* what copies go to or come from */
static uint8_t *wanted; /* the whole shard */
static struct device_part parts[PARTS_MAX];
static size_t part_count;
static void *stream;
static struct digest_key key;
static char reason[CKPT_REASON_MAX + 1];
static unsigned alive_before; /* what of a lost device can be given back to nobody is not missed */

static int64_t after_ms(int64_t ms)
{
    return (int64_t)clock_now_ns() + ms * 1000000;
}

static void forget_parts(void)
{
    for (size_t i = 0; i < part_count; i++) {
        fake_gpu_free((void *)(uintptr_t)(parts[i].address - parts[i].place % 3));
    }
    part_count = 0;
}

/* Parts of any size and alignment with gaps between them; what is no part's is in the slot. */
static void lay_out(uint32_t seed)
{
    struct prng prng;
    uint64_t at = 4096;
    forget_parts();
    prng_seed(&prng, seed);
    for (uint64_t i = 0; i < SHARD_BYTES; i++) {
        wanted[i] = (uint8_t)(i * 2654435761U >> 13);
    }
    memcpy(slot, wanted, SHARD_BYTES);
    for (part_count = 0; part_count < PARTS_MAX && at < SHARD_BYTES; part_count++) {
        uint64_t bytes = prng_below(&prng, 3) == 0 ? 65536 + prng_below(&prng, 3 * CKPT_MIB / 2)
                                                   : 1 + prng_below(&prng, 9000);
        bytes = bytes < SHARD_BYTES - at ? bytes : SHARD_BYTES - at;
        uint8_t *memory = fake_gpu_allocate(GPU, bytes + 3, 0, FAKE_GPU_PLAIN);
        parts[part_count] = (struct device_part){.place = at,
                                                 .bytes = bytes,
                                                 .address = (uintptr_t)memory + at % 3,
                                                 .dtype = CKPT_DTYPE_F32};
        memcpy((void *)(uintptr_t)parts[part_count].address, wanted + at, bytes);
        memset(slot + at, 0, bytes);
        at += bytes;
        at += prng_below(&prng, 3) == 0 ? 1 + prng_below(&prng, 2 * CKPT_MIB) : 0;
    }
}

static unsigned alive(void)
{
    struct fake_gpu_counts counts = fake_gpu_counts();
    return counts.allocations + counts.registrations + counts.streams + counts.events +
           counts.contexts;
}

static int open_device(void **state)
{
    int ordinal = -1;
    (void)state;
    fake_gpu_script("");
    alive_before = alive();
    size_t bytes = (SHARD_BYTES / 4096 + 1) * 4096;
    slot = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    wanted = malloc(SHARD_BYTES);
    stream = fake_gpu_stream(GPU);
    key = (struct digest_key){.kind = DIGEST_KIND_FINGERPRINT};
    memset(&key.secret, 0x3c, sizeof(key.secret));
    lay_out(1);
    return device_of((void *)(uintptr_t)parts[0].address, &ordinal, reason) != CKPT_OK ||
           ordinal != GPU || device_open(ordinal, &device, reason) != CKPT_OK ||
           device_pin(device, slot, bytes, false, reason) != CKPT_OK;
}

static int close_device(void **state)
{
    (void)state;
    fake_gpu_script("");
    if (device_await(device, after_ms(5000), reason) == CKPT_ERR_TIMEOUT) {
        return 1;
    }
    device_unpin(device, slot);
    device_close(&device);
    forget_parts();
    fake_gpu_stream_end(stream);
    munmap(slot, (SHARD_BYTES / 4096 + 1) * 4096);
    free(wanted);
    return alive() != alive_before;
}

static struct device_job job_of(bool to_device)
{
    return (struct device_job){.to_device = to_device,
                               .host = slot,
                               .shard_bytes = SHARD_BYTES,
                               .parts = parts,
                               .count = part_count,
                               .stream = stream,
                               .key = &key};
}

static enum ckpt_status run(bool to_device)
{
    const struct device_job job = job_of(to_device);
    enum ckpt_status status = device_begin(device, &job, reason);
    enum ckpt_status ended = device_await(device, after_ms(20000), reason);
    return status != CKPT_OK ? status : ended;
}

static struct digest digest_of_shard(const uint8_t *bytes)
{
    struct fingerprint_key made;
    struct digest digest;
    const struct digest_engine *engine;
    assert_int_equal(digest_engine_select(NULL, &engine), CKPT_OK);
    if (key.kind == DIGEST_KIND_BLAKE3) {
        digest_bytes(engine, bytes, SHARD_BYTES, &digest);
        return digest;
    }
    fingerprint_key_derive(key.secret.bytes, &made);
    fingerprint_bytes(engine, &made, bytes, SHARD_BYTES, &digest);
    return digest;
}

static void expect_digest(const uint8_t *bytes, bool equal)
{
    struct digest expected = digest_of_shard(bytes), found;
    assert_true(device_found(device).has_values);
    assert_int_equal(device_digest(device, &found, reason), CKPT_OK);
    assert_int_equal(digest_equal(&expected, &found), equal);
}

static void tensors__leave_as_they_are_and_are_known(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 4; seed++) {
        lay_out(seed);
        fake_gpu_script("");
        assert_int_equal(run(false), CKPT_OK);
        assert_string_equal(device_word(device), "");
        assert_memory_equal(slot, wanted, SHARD_BYTES);
        expect_digest(wanted, true);
        struct device_found found = device_found(device);
        uint64_t small = 0, large = 0;
        for (size_t i = 0; i < part_count; i++) {
            *(device_part_is_small(&parts[i]) ? &small : &large) += parts[i].bytes;
        }
        assert_int_equal(found.packed_bytes, small);
        assert_int_equal(found.straight_bytes, large);
        assert_int_equal(fake_gpu_counts().batches, large > 0);
    }
    assert_int_equal(fake_gpu_counts().low_priority % 2, 0);
    assert_true(fake_gpu_counts().low_priority >= 2);
}

static void tensors__come_in_and_are_known(void **state)
{
    (void)state;
    const enum digest_kind kinds[] = {DIGEST_KIND_BLAKE3, DIGEST_KIND_FINGERPRINT};
    for (uint32_t seed = 1; seed <= 4; seed++) {
        lay_out(seed);
        memcpy(slot, wanted, SHARD_BYTES);
        for (size_t i = 0; i < part_count; i++) {
            memset((void *)(uintptr_t)parts[i].address, 0x11, parts[i].bytes);
        }
        key.kind = kinds[seed % 2];
        assert_int_equal(run(true), CKPT_OK);
        for (size_t i = 0; i < part_count; i++) {
            assert_memory_equal((void *)(uintptr_t)parts[i].address, wanted + parts[i].place,
                                parts[i].bytes);
        }
        expect_digest(wanted, true);
    }
}

static void the_producer__comes_first_and_goes_on_after(void **state)
{
    (void)state;
    uint8_t first[4] = "one", second[4] = "two";
    void *tensor = (void *)(uintptr_t)parts[0].address;
    const struct device_job job = job_of(false);
    fake_gpu_write_later(stream, tensor, first, sizeof(first), 40);
    assert_int_equal(device_begin(device, &job, reason), CKPT_OK);
    fake_gpu_write_later(stream, tensor, second, sizeof(second), 0);
    assert_int_equal(device_await(device, after_ms(20000), reason), CKPT_OK);
    fake_gpu_synchronize(stream);
    assert_memory_equal(slot + parts[0].place, first, sizeof(first));
    assert_memory_equal(tensor, second, sizeof(second));
    memcpy(wanted + parts[0].place, first, sizeof(first));
    expect_digest(wanted, true);
}

static void a_flipped_bit__is_another_digest(void **state)
{
    (void)state;
    assert_int_equal(run(false), CKPT_OK);
    unsigned copies = fake_gpu_counts().copies_out;
    unsigned seen = 0;
    for (unsigned i = 1; i <= copies; i++) {
        char script[32];
        (void)snprintf(script, sizeof(script), "flip=%u", i);
        lay_out(1);
        fake_gpu_script(script);
        assert_int_equal(run(false), CKPT_OK);
        if (memcmp(slot, wanted, SHARD_BYTES) != 0) {
            expect_digest(slot, false); /* what the agent computes of the slot */
            seen++;
        } /* else it was one of the values themselves, or of the counts */
    }
    assert_int_equal(seen, copies - 2);
}

static void numbers_that_are_not_finite__are_counted(void **state)
{
    (void)state;
    const uint32_t nan = 0x7fc00000, infinity = 0xff800000;
    for (size_t i = 0; i < part_count; i++) {
        memset((void *)(uintptr_t)parts[i].address, 0, parts[i].bytes);
    }
    uint8_t *last = (uint8_t *)(uintptr_t)parts[part_count - 1].address;
    memcpy((uint8_t *)(uintptr_t)parts[0].address, &nan, 4);
    memcpy(last, &nan, 4);
    memcpy(last + 4, &infinity, 4);
    assert_int_equal(run(false), CKPT_OK);
    assert_int_equal(device_found(device).nans, 2);
    assert_int_equal(device_found(device).infinities, 1);
}

static void without_what_values_need__copies_go_on(void **state)
{
    (void)state;
    static const struct {
        const char *script, *word;
    } cases[] = {{"no_memory", "out of memory"}, {"kernel=1", "(98)"}, {"kernel=3", "(98)"}};
    for (int to_device = 0; to_device < 2; to_device++) {
        for (size_t i = to_device ? 1 : 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            lay_out(1);
            if (to_device) {
                memcpy(slot, wanted, SHARD_BYTES);
            }
            fake_gpu_script(cases[i].script);
            assert_int_equal(run(to_device != 0), CKPT_OK);
            assert_false(device_found(device).has_values);
            assert_non_null(strstr(device_word(device), cases[i].word));
            for (size_t j = 0; j < part_count; j++) {
                assert_memory_equal(slot + parts[j].place, wanted + parts[j].place, parts[j].bytes);
                assert_memory_equal((void *)(uintptr_t)parts[j].address, wanted + parts[j].place,
                                    parts[j].bytes);
            }
        }
    }
    fake_gpu_script("no_batch");
    lay_out(1);
    assert_int_equal(run(false), CKPT_OK);
    assert_memory_equal(slot, wanted, SHARD_BYTES);
    expect_digest(wanted, true);
}

static void a_capture__is_refused(void **state)
{
    (void)state;
    fake_gpu_capture(stream, true);
    assert_int_equal(run(false), CKPT_ERR_INVALID);
    assert_non_null(strstr(reason, "graph"));
    fake_gpu_capture(stream, false);
    assert_int_equal(run(false), CKPT_OK);
}

static void a_hang__ends_at_the_deadline(void **state)
{
    (void)state;
    const struct device_job job = job_of(false);
    fake_gpu_script("hang=2");
    assert_int_equal(device_begin(device, &job, reason), CKPT_OK);
    int64_t begin = after_ms(0);
    assert_int_equal(device_await(device, after_ms(100), reason), CKPT_ERR_TIMEOUT);
    assert_in_range(after_ms(0) - begin, 100 * 1000000, 2000 * INT64_C(1000000));
    assert_int_equal(device_begin(device, &job, reason), CKPT_ERR_BUSY);
    fake_gpu_script("");
    assert_int_equal(device_await(device, after_ms(20000), reason), CKPT_OK);
    expect_digest(wanted, true);
}

/* An error at any call of the driver ends the job in time, and the device says what it is. */
static void sticky_errors__lose_the_device(void **state)
{
    (void)state;
    int before = 0, lost = 0;
    unsigned left = alive();
    for (unsigned call = 1; call < 120; call += 5) {
        char script[32];
        struct device *mine = NULL;
        const struct device_job job = job_of(false);
        (void)snprintf(script, sizeof(script), "sticky=%u", call);
        fake_gpu_script(script);
        enum ckpt_status status = device_open(GPU, &mine, reason);
        if (status == CKPT_OK) {
            status = device_begin(mine, &job, reason);
            enum ckpt_status ended = device_await(mine, after_ms(20000), reason);
            status = status != CKPT_OK ? status : ended;
            assert_int_equal(device_is_lost(mine), status != CKPT_OK);
            if (status != CKPT_OK) {
                assert_int_equal(device_begin(mine, &job, reason), CKPT_ERR_SYSTEM);
                assert_non_null(strstr(reason, "lost"));
                lost++;
            }
        } else {
            assert_non_null(strstr(reason, "700"));
            before++;
        }
        fake_gpu_script("");
        device_close(&mine);
    }
    assert_true(before > 1 && lost > 3);
    alive_before += alive() - left;
    fake_gpu_script("sticky_copy=1");
    assert_int_equal(run(false), CKPT_ERR_SYSTEM);
    assert_non_null(strstr(reason, "illegal memory access"));
    assert_true(device_is_lost(device));
}

static void memory__is_known_by_whose_it_is(void **state)
{
    (void)state;
    int ordinal;
    void *there = (void *)(uintptr_t)parts[0].address;
    void *other = fake_gpu_allocate(0, 100, 0, FAKE_GPU_PLAIN);
    assert_true(device_has(device, there, parts[0].bytes));
    assert_false(device_has(device, there, parts[0].bytes + 100));
    assert_false(device_has(device, other, 100));
    assert_false(device_has(device, &ordinal, 1));
    assert_int_equal(device_of(&ordinal, &ordinal, reason), CKPT_ERR_INVALID);
    void *moved = fake_gpu_move(other);
    assert_int_equal(device_of(other, &ordinal, reason), CKPT_ERR_INVALID);
    assert_int_equal(device_of(moved, &ordinal, reason), CKPT_OK);
    assert_int_equal(ordinal, 0);
    fake_gpu_free(moved);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_device, close_device)
    const struct CMUnitTest tests[] = {
        TEST(tensors__leave_as_they_are_and_are_known),
        TEST(tensors__come_in_and_are_known),
        TEST(the_producer__comes_first_and_goes_on_after),
        TEST(a_flipped_bit__is_another_digest),
        TEST(numbers_that_are_not_finite__are_counted),
        TEST(without_what_values_need__copies_go_on),
        TEST(a_capture__is_refused),
        TEST(a_hang__ends_at_the_deadline),
        TEST(sticky_errors__lose_the_device),
        TEST(memory__is_known_by_whose_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
