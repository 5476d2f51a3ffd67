/* SPDX-License-Identifier: Apache-2.0 */
/* What only a file system can do to us: puts that are cut off, full disks, links in the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault_point.h"
#include "unit/tier/fixture.h"

#define FOLDER "1000-team~llama/step-00000000000000000001-attempt-0000000001"

struct path {
    char text[256];
};

static struct path path_of(const struct fixture *fixture, const char *name)
{
    struct path path;
    snprintf(path.text, sizeof(path.text), "%s/%s", fixture->folder, name);
    return path;
}

static uint32_t count_in(const struct fixture *fixture, const char *name)
{
    uint32_t count = 0;
    const struct dirent *entry;
    DIR *folder = opendir(path_of(fixture, name).text);
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    return count;
}

/* Puts a checkpoint in a process of its own, which is to die at the point; 0, or the signal. */
static int die_at(struct fixture *fixture, const char *point)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        char spec[96];
        struct tier_options options = {.incarnation.bytes = {0xdd}};
        snprintf(spec, sizeof(spec), "%s=crash", point);
        if (fault_points_arm(spec, NULL, 0) != CKPT_OK) {
            _exit(2);
        }
        fixture->tier = fixture_again(fixture, &options);
        fixture_put_checkpoint(fixture, 1);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void ignore(void *context, const struct tier_fault *fault)
{
    (void)context;
    print_message("%s: %s\n", fault->path, fault->line);
}

static void a_put_that_is_killed_leaves_nothing_wrong(void **state)
{
    static const char *const points[] = {"tier_mid_shard",   "tier_before_sync",
                                         "tier_before_name", "tier_before_sidecar",
                                         "tier_before_sums", "tier_before_manifest"};
    struct fixture *fixture = *state;
    struct tier_checkpoint_key key = fixture_checkpoint(1);
    struct tier_fsck_result result;
    struct tier_manifest *manifest;
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        assert_int_equal(die_at(fixture, points[i]), SIGKILL);
        assert_int_equal(tier_read_manifest(fixture->tier, &key, &manifest, fixture->reason),
                         CKPT_ERR_NOT_FOUND);
        assert_int_equal(tier_fsck(fixture->tier, NULL, ignore, NULL, &result, fixture->reason),
                         CKPT_OK);
        assert_int_equal(result.faults, 0);
    }
    assert_true(count_in(fixture, ".incoming") >= 3);
    struct tier_options options = {.incarnation.bytes = {0xee}, .stale_ms = 1};
    struct tier *later = fixture_again(fixture, &options);
    assert_int_equal(count_in(fixture, ".incoming"), 0);
    tier_close(&later);
    fixture_put_checkpoint(fixture, 1);
    assert_int_equal(tier_read_manifest(fixture->tier, &key, &manifest, fixture->reason), CKPT_OK);
    tier_manifest_free(manifest);
}

static void a_removal_that_is_killed_leaves_no_checkpoint(void **state)
{
    struct fixture *fixture = *state;
    struct tier_checkpoint_key key = fixture_checkpoint(1);
    struct tier_manifest *manifest;
    int status;
    fixture_put_checkpoint(fixture, 1);
    pid_t child = fork();
    if (child == 0) {
        (void)fault_points_arm("tier_mid_remove=crash", NULL, 0);
        (void)tier_remove_checkpoint(fixture->tier, &key, NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(tier_read_manifest(fixture->tier, &key, &manifest, fixture->reason),
                     CKPT_ERR_NOT_FOUND);
    assert_int_equal(tier_remove_checkpoint(fixture->tier, &key, fixture->reason), CKPT_OK);
    assert_int_not_equal(access(path_of(fixture, FOLDER).text, F_OK), 0);
}

/* Two agents on one folder: what one of them has under way the other's start lets be. */
static void what_is_under_way_is_not_removed(void **state)
{
    struct fixture *fixture = *state;
    int ready[2];
    int status;
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct tier_options options = {.incarnation.bytes = {0xdd}};
        char spec[64];
        snprintf(spec, sizeof(spec), "tier_before_name=stop@1");
        fixture->tier = fixture_again(fixture, &options);
        (void)fault_points_arm(spec, NULL, 0);
        (void)!write(ready[1], "", 1);
        fixture_put_checkpoint(fixture, 1);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(count_in(fixture, ".incoming"), 1);
    struct tier_options options = {.incarnation.bytes = {0xee}, .stale_ms = 1};
    struct tier *other = fixture_again(fixture, &options);
    assert_int_equal(count_in(fixture, ".incoming"), 1);
    tier_close(&other);
    kill(child, SIGCONT);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(count_in(fixture, ".incoming"), 0);
    close(ready[0]);
    close(ready[1]);
}

static void b3sum_agrees(void **state)
{
    struct fixture *fixture = *state;
    char command[400];
    fixture_put_checkpoint(fixture, 1);
    snprintf(command, sizeof(command), "cd %s && b3sum -c --quiet B3SUMS",
             path_of(fixture, FOLDER).text);
    assert_int_equal(system(command), 0);
}

static void modes_are_for_the_owner(void **state)
{
    struct fixture *fixture = *state;
    struct stat what;
    mode_t before = umask(0);
    fixture_put_checkpoint(fixture, 1);
    umask(before);
    assert_int_equal(stat(path_of(fixture, FOLDER).text, &what), 0);
    assert_int_equal(what.st_mode & 07777, 0700);
    assert_int_equal(stat(path_of(fixture, FOLDER "/manifest.json").text, &what), 0);
    assert_int_equal(what.st_mode & 07777, 0600);
    assert_int_equal(stat(path_of(fixture, FOLDER "/rank-00000.safetensors").text, &what), 0);
    assert_int_equal(what.st_mode & 07777, 0600);
    assert_int_equal(what.st_size, 2 * CKPT_MIB);
}

static void links_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct tier_put_result result;
    struct tier_checkpoint_key key = fixture_checkpoint(1);
    struct tier_fsck_result found;
    struct tier_manifest *manifest;
    fixture_put_checkpoint(fixture, 1);

    /* In the place of a file: the same bytes elsewhere are not what is asked for. */
    assert_int_equal(
        rename(path_of(fixture, FOLDER "/manifest.json").text, path_of(fixture, "elsewhere").text),
        0);
    assert_int_equal(symlink("../../elsewhere", path_of(fixture, FOLDER "/manifest.json").text), 0);
    assert_int_equal(tier_read_manifest(fixture->tier, &key, &manifest, fixture->reason),
                     CKPT_ERR_CORRUPT);
    assert_int_equal(tier_fsck(fixture->tier, NULL, ignore, NULL, &found, fixture->reason),
                     CKPT_OK);
    assert_int_equal(found.faults, 3); /* it is no file, no manifest; and what is elsewhere */

    /* In the place of a pipe nobody waits. */
    assert_int_equal(unlink(path_of(fixture, FOLDER "/manifest.json").text), 0);
    assert_int_equal(mkfifo(path_of(fixture, FOLDER "/manifest.json").text, 0600), 0);
    assert_int_equal(tier_read_manifest(fixture->tier, &key, &manifest, fixture->reason),
                     CKPT_ERR_CORRUPT);

    /* In the place of a folder: nothing is written behind it. */
    struct path out = path_of(fixture, "out");
    assert_int_equal(mkdir(out.text, 0700), 0);
    assert_int_equal(symlink(out.text, path_of(fixture, "1000-team~llama/step-00000000000000000002"
                                                        "-attempt-0000000001")
                                           .text),
                     0);
    assert_int_equal(fixture_put(fixture, 2, 2, 0, &result), CKPT_ERR_CORRUPT);
    assert_non_null(strstr(fixture->reason, "link"));
    assert_int_equal(rmdir(out.text), 0);
    assert_int_equal(count_in(fixture, ".incoming"), 0);
}

static void a_file_that_may_not_grow_is_a_full_tier(void **state)
{
    struct fixture *fixture = *state;
    struct tier_put_result result;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {.rlim_cur = CKPT_MIB, .rlim_max = before.rlim_max};
    void (*was)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum ckpt_status status = fixture_put(fixture, 1, 1, 0, &result);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, CKPT_ERR_FULL);
    assert_int_equal(count_in(fixture, ".incoming"), 0);
    assert_int_equal(fixture_put(fixture, 1, 1, 0, &result), CKPT_OK);
    signal(SIGXFSZ, was);
}

/* In a namespace of its own: a file system of 4 MiB. */
static int fill_small_disk(struct fixture *fixture)
{
    struct tier_put_result result;
    struct tier_options options = {.incarnation.bytes = {0xdd}};
    if (unshare(CLONE_NEWNS) != 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", fixture->folder, "tmpfs", 0, "size=4m") != 0) {
        return 77;
    }
    fixture->tier = fixture_again(fixture, &options);
    bool full = fixture_put(fixture, 1, 1, 0, &result) == CKPT_OK &&
                fixture_put(fixture, 1, 1, 1, &result) == CKPT_ERR_FULL &&
                fixture_put(fixture, 1, 1, 2, &result) == CKPT_OK; /* it has room for a small one */
    struct tier_checkpoint_key key = fixture_checkpoint(1);
    full = full && tier_remove_checkpoint(fixture->tier, &key, NULL) == CKPT_OK &&
           fixture_put(fixture, 1, 1, 1, &result) == CKPT_OK;
    return full && count_in(fixture, ".incoming") == 0 ? 0 : 1;
}

static void a_full_disk_is_a_full_tier(void **state)
{
    struct fixture *fixture = *state;
    int status;
    pid_t child = fork();
    if (child == 0) {
        _exit(fill_small_disk(fixture));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("a mount of one's own is not allowed here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_place_that_is_none_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct tier *tier;
    assert_int_equal(tier_open("posix:relative", NULL, &tier, fixture->reason), CKPT_ERR_CONFIG);
    assert_int_equal(tier_open("nfs:/a", NULL, &tier, fixture->reason), CKPT_ERR_CONFIG);
    assert_int_equal(tier_open("/nowhere/at/all", NULL, &tier, fixture->reason),
                     CKPT_ERR_NOT_FOUND);
    assert_int_equal(tier_open("/etc/passwd", NULL, &tier, fixture->reason), CKPT_ERR_CORRUPT);
#if !CKPT_TIER_S3
    assert_int_equal(tier_open("s3://bucket", NULL, &tier, fixture->reason), CKPT_ERR_CONFIG);
    assert_non_null(strstr(fixture->reason, "no s3"));
#endif
}

/* Whoever only reads makes nothing, on a medium that takes nothing. */
static void a_reader_writes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct tier_options options = {.is_reader = true, .stale_ms = 1};
    fixture_put_checkpoint(fixture, 1);
    struct path left = path_of(fixture, ".incoming/dd000000000000000000000000000000-0");
    int fd = open(left.text, O_CREAT | O_WRONLY, 0600);
    close(fd);
    struct tier *reader = fixture_again(fixture, &options);
    tier_close(&reader);
    assert_int_equal(count_in(fixture, ".incoming"), 1);
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
        TEST(a_put_that_is_killed_leaves_nothing_wrong),
        TEST(a_removal_that_is_killed_leaves_no_checkpoint),
        TEST(what_is_under_way_is_not_removed),
        TEST(b3sum_agrees),
        TEST(modes_are_for_the_owner),
        TEST(links_are_refused),
        TEST(a_file_that_may_not_grow_is_a_full_tier),
        TEST(a_full_disk_is_a_full_tier),
        TEST(a_place_that_is_none_is_refused),
        TEST(a_reader_writes_nothing),
    };
    return cmocka_run_group_tests_name("tier_posix", tests, NULL, NULL);
}
