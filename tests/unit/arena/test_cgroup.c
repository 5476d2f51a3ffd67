/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of control groups, read below a folder that stands for the machine's root; and one of the
 * kernel's own, where this process may make a group. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "arena/arena.h"
#include "arena/cgroup.h"
#include "base/limits.h"
#include "unit/arena/fixture.h"

#define LITTLE (16 * CKPT_MIB)

static char root[64];

/* Makes root/path with its folders. */
static void put(const char *path, const char *text)
{
    char full[512];
    FILE *file;

    snprintf(full, sizeof(full), "%s%s", root, path);
    for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
        *at = '/';
    }
    file = fopen(full, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    (void)state;
    strcpy(root, "/tmp/ckptd-test-cgroup-XXXXXX");
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command) == 0 ? 0 : -1; /* NOLINT(cert-env33-c): a test's own folder */
}

static void version_2(const char *path)
{
    char line[256];

    snprintf(line, sizeof(line), "0::%s\n", path);
    put("/proc/self/cgroup", line);
    put("/proc/self/mountinfo",
        "23 1 0:20 / / rw - ext4 /dev/vda rw\n"
        "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
}

static void version_1(const char *path)
{
    char line[256];

    snprintf(line, sizeof(line), "5:cpu,cpuacct:/elsewhere\n4:hugetlb,memory:%s\n0::/\n", path);
    put("/proc/self/cgroup", line);
    put("/proc/self/mountinfo",
        "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,hugetlb,memory\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
}

static void no_group_is_no_limit(void **state)
{
    struct cgroup_memory memory;

    (void)state;
    assert_false(cgroup_memory(root, &memory));
    version_2("/");
    assert_false(cgroup_memory(root, &memory));
    version_2("/system.slice/ckptd.service");
    put("/sys/fs/cgroup/system.slice/ckptd.service/memory.max", "max\n");
    put("/sys/fs/cgroup/system.slice/ckptd.service/memory.high", "max\n");
    assert_false(cgroup_memory(root, &memory));
    version_1("/");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_false(cgroup_memory(root, &memory));
}

static void the_tightest_of_the_group_and_those_above_counts(void **state)
{
    struct cgroup_memory memory;

    (void)state;
    version_2("/a/b");
    put("/sys/fs/cgroup/a/b/memory.max", "1000000\n");
    put("/sys/fs/cgroup/a/b/memory.current", "100000\n");
    assert_true(cgroup_memory(root, &memory));
    assert_int_equal(memory.left, 900000);
    assert_int_equal(memory.limit, 1000000);
    assert_string_equal(memory.file, "/sys/fs/cgroup/a/b/memory.max");

    put("/sys/fs/cgroup/a/memory.max", "2000000\n");
    put("/sys/fs/cgroup/a/memory.current", "1500000\n");
    assert_true(cgroup_memory(root, &memory));
    assert_int_equal(memory.left, 500000);
    assert_string_equal(memory.file, "/sys/fs/cgroup/a/memory.max");

    put("/sys/fs/cgroup/a/b/memory.high", "400000\n");
    assert_true(cgroup_memory(root, &memory));
    assert_int_equal(memory.left, 300000);
    assert_string_equal(memory.file, "/sys/fs/cgroup/a/b/memory.high");
}

static void another_process_has_a_group_of_its_own(void **state)
{
    struct cgroup_memory memory;

    (void)state;
    version_2("/a");
    put("/proc/7/cgroup", "0::/b\n");
    put("/sys/fs/cgroup/b/memory.max", "3000000\n");
    assert_false(cgroup_memory(root, &memory));
    assert_true(cgroup_memory_of(root, "7", &memory));
    assert_int_equal(memory.limit, 3000000);
    assert_false(cgroup_memory_of(root, "8", &memory));
}

static void what_the_kernel_can_take_back_is_left(void **state)
{
    struct cgroup_memory memory;

    (void)state;
    version_2("/a");
    put("/sys/fs/cgroup/a/memory.max", "1000000\n");
    put("/sys/fs/cgroup/a/memory.current", "900000\n");
    put("/sys/fs/cgroup/a/memory.stat",
        "anon 100000\nfile 800000\nshmem 300000\ninactive_file 450000\nactive_file 50000\n");
    assert_true(cgroup_memory(root, &memory));
    assert_int_equal(memory.left, 600000);
}

static void version_1_is_read_too(void **state)
{
    struct cgroup_memory memory;

    (void)state;
    version_1("/slurm/job_7");
    put("/sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes", "5000000\n");
    put("/sys/fs/cgroup/memory/slurm/job_7/memory.usage_in_bytes", "2000000\n");
    put("/sys/fs/cgroup/memory/slurm/job_7/memory.stat",
        "inactive_file 1\ntotal_inactive_file 600000\ntotal_active_file 400000\n");
    put("/sys/fs/cgroup/memory/slurm/memory.limit_in_bytes", "3000000\n");
    put("/sys/fs/cgroup/memory/slurm/memory.use_hierarchy", "1\n");
    assert_true(cgroup_memory(root, &memory));
    assert_int_equal(memory.left, 3000000);
    assert_string_equal(memory.file, "/sys/fs/cgroup/memory/slurm/memory.limit_in_bytes");
    put("/sys/fs/cgroup/memory/slurm/memory.use_hierarchy", "0\n");
    assert_true(cgroup_memory(root, &memory));
    assert_int_equal(memory.left, 4000000);
}

/* The mount shows a part of the hierarchy, in which the path of the process begins. */
static void a_container_sees_its_own_part(void **state)
{
    struct cgroup_memory memory;

    (void)state;
    version_2("/docker/1234/inner");
    put("/proc/self/mountinfo", "31 23 0:28 /docker/1234 /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
    put("/sys/fs/cgroup/inner/memory.max", "max\n");
    put("/sys/fs/cgroup/memory.max", "700000\n");
    assert_true(cgroup_memory(root, &memory));
    assert_int_equal(memory.left, 700000);
    assert_string_equal(memory.file, "/sys/fs/cgroup/memory.max");
    /* Its path is outside of its namespace. */
    version_2("/../other");
    assert_true(cgroup_memory(root, &memory));
    assert_int_equal(memory.left, 700000);
}

static void odd_files_are_no_limit(void **state)
{
    struct cgroup_memory memory;

    (void)state;
    put("/proc/self/cgroup", "\n:\n0\n0::/a\n");
    put("/proc/self/mountinfo", "31 - cgroup2\n31 23 0:28 / /sys/fs/cgroup rw - cgroup2 c rw\n");
    put("/sys/fs/cgroup/a/memory.max", "much\n");
    assert_false(cgroup_memory(root, &memory));
}

static const char *const tops[] = {"/sys/fs/cgroup/memory", "/sys/fs/cgroup"};

static void group_of(int top, int pid, char folder_out[128])
{
    snprintf(folder_out, 128, "%s/ckpt-test-%d", tops[top], pid);
}

static bool write_number(const char *folder, const char *name, uint64_t number)
{
    char path[256];
    FILE *file;
    bool written;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "r+e");
    if (file == NULL) {
        return false;
    }
    written = fprintf(file, "%llu", (unsigned long long)number) > 0;
    return fclose(file) == 0 && written;
}

/* A group with little memory, named after the parent, which removes it; by the version that this
 * machine has. */
static bool enter_little_group(char folder_out[128])
{
    static const char *const limits[] = {"memory.limit_in_bytes", "memory.max"};

    for (int i = 0; i < 2; i++) {
        group_of(i, (int)getppid(), folder_out);
        if (mkdir(folder_out, 0700) == 0 && write_number(folder_out, limits[i], LITTLE) &&
            write_number(folder_out, "cgroup.procs", (uint64_t)getpid())) {
            return true;
        }
    }
    return false;
}

static int open_in_little_group(void *argument)
{
    struct arena *arena = NULL;
    char reason[ARENA_REASON_BYTES] = "";
    char folder[128];
    enum ckpt_status status;

    if (!enter_little_group(folder)) {
        return 77;
    }
    status = arena_open(argument, &arena, reason);
    if (status != CKPT_ERR_MEMORY || strstr(reason, "control group leaves") == NULL ||
        strstr(reason, folder) == NULL) {
        print_message("%s: status %d: %s\n", folder, status, reason);
        return 10;
    }
    return 0;
}

/* The kernel would kill the process in mid-start, without a line. */
static void an_arena_above_the_limit_is_a_start_up_error(void **state)
{
    struct arena_options options = fixture_options();
    char reason[ARENA_REASON_BYTES];
    int result;

    (void)state;
    result = fixture_in_child(open_in_little_group, &options, 0);
    for (int i = 0; i < 2; i++) {
        char folder[128];
        group_of(i, (int)getpid(), folder);
        (void)rmdir(folder);
    }
    (void)arena_destroy_files(&options, reason);
    if (result == 77) {
        print_message("no control group can be made here: skipped\n");
        skip();
    }
    assert_int_equal(result, 0);
}

int main(void)
{
#define CGROUP_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        CGROUP_TEST(no_group_is_no_limit),
        CGROUP_TEST(the_tightest_of_the_group_and_those_above_counts),
        CGROUP_TEST(another_process_has_a_group_of_its_own),
        CGROUP_TEST(what_the_kernel_can_take_back_is_left),
        CGROUP_TEST(version_1_is_read_too),
        CGROUP_TEST(a_container_sees_its_own_part),
        CGROUP_TEST(odd_files_are_no_limit),
        cmocka_unit_test(an_arena_above_the_limit_is_a_start_up_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
