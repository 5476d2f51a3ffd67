/* SPDX-License-Identifier: Apache-2.0 */
/* `ckptctl tier` on a folder, with no daemon anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/tier/fixture.h"

#define FOLDER "1000-team~llama/step-00000000000000000007-attempt-0000000001"

struct said {
    int code;
    char text[8192];
};

static struct said say(const char *arguments, ...) __attribute__((format(printf, 1, 2)));

static struct said say(const char *arguments, ...)
{
    struct said said = {.code = -1};
    char command[1024];
    int at = snprintf(command, sizeof(command), "%s --coordinator=127.0.0.1:1 tier ", CKPTCTL);
    va_list list;
    va_start(list, arguments);
    vsnprintf(command + at, sizeof(command) - (size_t)at, arguments, list);
    va_end(list);
    strcat(command, " 2>&1");
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    said.text[fread(said.text, 1, sizeof(said.text) - 1, pipe)] = '\0';
    said.code = WEXITSTATUS(pclose(pipe));
    return said;
}

static void a_good_tier_is_listed_and_right(void **state)
{
    struct fixture *fixture = *state;
    struct tier_put_result result;
    fixture_put_checkpoint(fixture, 7);
    assert_int_equal(fixture_put(fixture, 8, 8, 0, &result), CKPT_OK);
    struct said said = say("list %s", fixture->folder);
    assert_int_equal(said.code, 0);
    assert_non_null(strstr(said.text, "team/llama"));
    assert_non_null(strstr(said.text, "whole"));
    assert_non_null(strstr(said.text, "unfinished"));
    said = say("list --json posix:%s", fixture->folder);
    assert_int_equal(said.code, 0);
    assert_non_null(strstr(said.text, "\"step\": 7"));
    assert_non_null(strstr(said.text, "\"world\": 3"));
    said = say("fsck %s", fixture->folder);
    assert_int_equal(said.code, 0);
    assert_non_null(strstr(said.text, ": 0 wrong"));
}

static void what_is_wrong_ends_with_1_and_stays(void **state)
{
    struct fixture *fixture = *state;
    fixture_put_checkpoint(fixture, 7);
    fixture_plant(fixture, FOLDER "/rank-00002.safetensors", "0123456789", 10);
    struct said said = say("fsck %s", fixture->folder);
    assert_int_equal(said.code, 1);
    assert_non_null(strstr(said.text, "digest: " FOLDER "/rank-00002.safetensors: "));
    said = say("fsck --json %s", fixture->folder);
    assert_int_equal(said.code, 1);
    assert_non_null(strstr(said.text, "\"wrong\": 1"));
    fixture_plant(fixture, FOLDER "/manifest.json", "{", 1);
    said = say("list %s", fixture->folder);
    assert_int_equal(said.code, 0);
    assert_non_null(strstr(said.text, "damaged"));
    assert_int_equal(say("fsck %s", fixture->folder).code, 1);
}

static void what_is_no_tier_is_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(say("list /nowhere/at/all").code, 1);
    assert_int_equal(say("list nfs:/a").code, 2);
    assert_int_equal(say("prune %s", fixture->folder).code, 2);
    assert_int_equal(say("list").code, 2);
}

static int setup(void **state)
{
    for (size_t i = 0; i < fixture_backend_count; i++) {
        if (strcmp(fixture_backends[i].name, "posix") == 0) {
            return fixture_backends[i].setup(state);
        }
    }
    return -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_tier_is_listed_and_right),
        TEST(what_is_wrong_ends_with_1_and_stays),
        TEST(what_is_no_tier_is_refused),
    };
    return cmocka_run_group_tests_name("ckptctl_tier", tests, NULL, NULL);
}
