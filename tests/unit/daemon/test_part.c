/* SPDX-License-Identifier: Apache-2.0 */
/* Parts: one after the other, back in reverse, each with its own keys. */
#include "unit/daemon/story.h"

#include "base/reason.h"
#include "daemon/part.h"

static const struct config_key low_keys[] = {
    {.section = "ground", .name = "depth", .type = CONFIG_INTEGER, .fallback = "7", .help = "h"},
    {.name = "once", .flag = "once", .type = CONFIG_BOOL, .help = "a flag alone"},
};
static const struct config_key middle_keys[] = {
    {.section = "house", .name = "rooms", .type = CONFIG_INTEGER, .fallback = "3", .help = "h"}};
static const struct config_key high_keys[] = {
    {.section = "house", .name = "roof", .type = CONFIG_STRING, .fallback = "red", .help = "h"}};
static const struct config_key stray_keys[] = {
    {.section = "garden", .name = "trees", .type = CONFIG_INTEGER, .fallback = "2", .help = "h"}};

static enum ckpt_status middle_status;
static bool is_stopped_now;

static bool is_stopped(void)
{
    return is_stopped_now;
}

static enum ckpt_status start_low(void *daemon, char *reason)
{
    (void)daemon;
    (void)reason;
    tell("start low");
    return CKPT_OK;
}

static void stop_low(void *daemon)
{
    (void)daemon;
    tell("stop low");
}

static enum ckpt_status start_middle(void *daemon, char *reason)
{
    (void)daemon;
    tell("start middle");
    return middle_status == CKPT_OK ? CKPT_OK
                                    : reason_refuse(reason, middle_status, "the middle is wet");
}

static void stop_middle(void *daemon)
{
    (void)daemon;
    tell("stop middle");
}

static enum ckpt_status start_high(void *daemon, char *reason)
{
    (void)daemon;
    (void)reason;
    tell("start high");
    return CKPT_OK;
}

static struct part stray = {.keys = stray_keys, .key_count = 1};
static struct part low = {.keys = low_keys, .key_count = 2, .start = start_low, .stop = stop_low};
static struct part middle = {
    .keys = middle_keys, .key_count = 1, .start = start_middle, .stop = stop_middle};
static struct part high = {.keys = high_keys, .key_count = 1, .start = start_high};
static struct part *const parts[] = {&stray, &low, &middle, &high, NULL};

static void parts_stop_in_the_reverse_of_their_start(void **state)
{
    (void)state;
    char reason[PART_REASON_BYTES] = "";
    size_t started = 0;
    middle_status = CKPT_OK;
    is_stopped_now = false;
    assert_int_equal(parts_start(parts, NULL, NULL, &started, reason), CKPT_OK);
    assert_int_equal(started, 4);
    parts_stop(parts, NULL, started);
    EXPECT_STORY("start low; start middle; start high; stop middle; stop low; ");
}

static void one_that_fails_ends_the_start_and_is_stopped_too(void **state)
{
    (void)state;
    char reason[PART_REASON_BYTES] = "";
    size_t started = 0;
    middle_status = CKPT_ERR_DISK;
    assert_int_equal(parts_start(parts, NULL, is_stopped, &started, reason), CKPT_ERR_DISK);
    assert_string_equal(reason, "the middle is wet");
    parts_stop(parts, NULL, started);
    EXPECT_STORY("start low; start middle; stop middle; stop low; ");
}

static void a_start_that_is_stopped_goes_no_further(void **state)
{
    (void)state;
    char reason[PART_REASON_BYTES] = "";
    size_t started = 0;
    middle_status = CKPT_OK;
    is_stopped_now = true;
    assert_int_equal(parts_start(parts, NULL, is_stopped, &started, reason), CKPT_ERR_ABORTED);
    assert_string_equal(reason, "stopped before it was ready");
    parts_stop(parts, NULL, started);
    EXPECT_STORY("");
    is_stopped_now = false;
}

static void keys_stand_by_section_and_are_found_by_their_part(void **state)
{
    (void)state;
    static const char *const sections[] = {"house", "ground", NULL};
    static struct config_key keys[PARTS_KEYS_MAX];
    struct config_program program = {.name = "test", .version = "1", .keys = keys};
    char *argv[] = {"test", "--house-roof=blue", NULL};
    char *environment[] = {"CKPT_GROUND_DEPTH=9", NULL};
    char reason[CKPT_REASON_MAX + 1];
    struct config *config = NULL;
    enum config_request request;
    program.key_count = parts_keys(parts, sections, keys);
    assert_int_equal(program.key_count, 5);
    static const char *const names[] = {"rooms", "roof", "depth", "once", "trees"};
    for (size_t i = 0; i < program.key_count; i++) {
        assert_string_equal(keys[i].name, names[i]);
    }
    assert_int_equal(
        config_load(&program, 2, argv, environment, &config, &request, reason, sizeof(reason)),
        CKPT_OK);
    assert_int_equal(part_number(config, &low, 0), 9);
    assert_int_equal(part_number(config, &middle, 0), 3);
    assert_string_equal(part_text(config, &high, 0), "blue");
    assert_int_equal(part_number(config, &stray, 0), 2);
    assert_false(part_is_set(config, &low, 1));
    assert_int_equal(part_refuse(config, &high, 0, reason, "must be red"), CKPT_ERR_CONFIG);
    assert_string_equal(reason, "--house-roof = blue: must be red");
    config_delete(&config);
}

static enum ckpt_status refuse(const struct config *config, char *reason)
{
    (void)config;
    tell("check");
    return reason_refuse(reason, CKPT_ERR_CONFIG, "no");
}

static void the_first_check_that_fails_is_said(void **state)
{
    (void)state;
    char reason[CKPT_REASON_MAX + 1] = "";
    struct part refusing = {.check = refuse};
    struct part other = {.check = refuse};
    struct part *const list[] = {&low, &refusing, &other, NULL};
    assert_int_equal(parts_check(list, NULL, reason), CKPT_ERR_CONFIG);
    EXPECT_STORY("check; ");
    assert_string_equal(reason, "no");
    assert_int_equal(parts_check(parts, NULL, reason), CKPT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_stop_in_the_reverse_of_their_start),
        cmocka_unit_test(one_that_fails_ends_the_start_and_is_stopped_too),
        cmocka_unit_test(a_start_that_is_stopped_goes_no_further),
        cmocka_unit_test(keys_stand_by_section_and_are_found_by_their_part),
        cmocka_unit_test(the_first_check_that_fails_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
