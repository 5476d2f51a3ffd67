/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels' library is opened, used, or refused with a word. KERNELS_FOLDER has the fakes and
 * the kernels on the CPU; KERNELS_REAL is nvcc's, where it was there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "device/kernels_library.h"
#include "digest/digest.h"

/* What is in *library_out before, and must be afterwards. */
static void refused(const char *path, enum ckpt_status expected, const char *word)
{
    struct kernels_library library, before;
    char reason[CKPT_REASON_MAX + 1] = "";

    memset(&library, 0x77, sizeof(library));
    memcpy(&before, &library, sizeof(before));
    assert_int_equal(kernels_library_open(path, &library, reason), expected);
    if (strstr(reason, word) == NULL) {
        fail_msg("'%s' does not say '%s'", reason, word);
    }
    assert_memory_equal(&library, &before, sizeof(before));
}

static void unusable__refused_with_a_word(void **state)
{
    (void)state;
    refused("/nonexistent/libckpt_kernels.so.1", CKPT_ERR_CONFIG, "nvcc");
    refused(KERNELS_FOLDER "/libfake_kernels_version.so", CKPT_ERR_CONFIG, "version 2");
    refused(KERNELS_FOLDER "/libfake_kernels_lacking.so", CKPT_ERR_CONFIG, "kernels_ready");
    refused(KERNELS_FOLDER "/libfake_kernels_device.so", CKPT_ERR_SYSTEM, "no kernel image (209)");
}

static void library_on_cpu__digests(void **state)
{
    static _Alignas(16) uint8_t data[5000], cv[DIGEST_CV_BYTES];
    const struct digest_engine *engine;
    struct kernels_library library;
    char reason[CKPT_REASON_MAX + 1] = "";
    struct digest expected;

    (void)state;
    assert_int_equal(kernels_library_open(KERNELS_FOLDER "/libckpt_kernels.so.1", &library, reason),
                     CKPT_OK);
    memset(data, 0x5c, sizeof(data));
    assert_int_equal(digest_engine_select(NULL, &engine), CKPT_OK);
    digest_bytes(engine, data, sizeof(data), &expected);
    assert_int_equal(library.kernels_blake3(data, sizeof(data), 0, sizeof(data), cv, NULL), 0);
    assert_memory_equal(cv, expected.bytes, sizeof(cv));
    kernels_library_close(&library);
    kernels_library_close(&library); /* has nothing to close */
}

/* The real one opens where there is a GPU, and says why not elsewhere: no driver, an old one, no
 * device. */
static void library_of_nvcc__opens_or_says_why(void **state)
{
#ifdef KERNELS_REAL
    struct kernels_library library;
    char reason[CKPT_REASON_MAX + 1] = "";
    enum ckpt_status status = kernels_library_open(KERNELS_REAL, &library, reason);

    (void)state;
    printf("%s\n", status == CKPT_OK ? "there is a GPU" : reason);
    if (status == CKPT_OK) {
        kernels_library_close(&library);
    } else {
        assert_int_equal(status, CKPT_ERR_SYSTEM);
        assert_true(strstr(reason, "(35)") != NULL || strstr(reason, "(100)") != NULL);
    }
#else
    (void)state;
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unusable__refused_with_a_word),
        cmocka_unit_test(library_on_cpu__digests),
        cmocka_unit_test(library_of_nvcc__opens_or_says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
