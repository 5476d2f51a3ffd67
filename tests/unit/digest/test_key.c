/* SPDX-License-Identifier: Apache-2.0 */
/* What names a key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "digest/key.h"

static struct digest_key fingerprint(uint8_t first)
{
    return (struct digest_key){.kind = DIGEST_KIND_FINGERPRINT, .secret = {.bytes = {first}}};
}

static void id__is_of_the_secret(void **state)
{
    (void)state;
    struct digest_key one = fingerprint(1), other = fingerprint(2), again = fingerprint(1);
    assert_true(digest_key_id(&one) == digest_key_id(&again));
    assert_true(digest_key_id(&one) != digest_key_id(&other));
    assert_true(digest_key_id(&one) != DIGEST_KEY_ID_BLAKE3);
}

/* Who sees the id sees no byte of the secret. */
static void id__is_not_the_secret(void **state)
{
    (void)state;
    struct digest_key key = {.kind = DIGEST_KIND_FINGERPRINT};
    memset(key.secret.bytes, 0x5a, sizeof(key.secret.bytes));
    uint64_t id = digest_key_id(&key);
    assert_memory_not_equal(&id, key.secret.bytes, sizeof(id));
}

static void id__of_blake3_is_fixed(void **state)
{
    (void)state;
    struct digest_key key = fingerprint(1);
    key.kind = DIGEST_KIND_BLAKE3;
    assert_true(digest_key_id(&key) == DIGEST_KEY_ID_BLAKE3);
    key.kind = DIGEST_KIND_UNKNOWN;
    assert_true(digest_key_id(&key) == DIGEST_KEY_ID_BLAKE3);
}

static void kind__has_a_name(void **state)
{
    (void)state;
    assert_string_equal(digest_kind_name(DIGEST_KIND_UNKNOWN), "unknown");
    assert_string_equal(digest_kind_name(DIGEST_KIND_BLAKE3), "blake3");
    assert_string_equal(digest_kind_name(DIGEST_KIND_FINGERPRINT), "fingerprint");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(id__is_of_the_secret),
        cmocka_unit_test(id__is_not_the_secret),
        cmocka_unit_test(id__of_blake3_is_fixed),
        cmocka_unit_test(kind__has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
