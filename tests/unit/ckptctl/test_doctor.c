/* SPDX-License-Identifier: Apache-2.0 */
/* What the doctor makes of what was read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ckptctl/doctor_agent.h"
#include "ckptctl/doctor_memory.h"
#include "ckptctl/doctor_network.h"

static struct findings findings;
static struct doctor_settings settings;
static struct doctor_memory memory;
static struct doctor_network network;

/* A node on which all is well. */
static int well(void **state)
{
    (void)state;
    memset(&findings, 0, sizeof(findings));
    doctor_settings_default(&settings);
    memory = (struct doctor_memory){.whose = "the agent",
                                    .knows_lock = true,
                                    .lock_bytes = UINT64_MAX,
                                    .directory = "/dev/shm/ckptd-n1",
                                    .mount = "/dev/shm",
                                    .place = DOCTOR_PLACE_TMPFS,
                                    .size_bytes = 8 * CKPT_GIB,
                                    .free_bytes = 8 * CKPT_GIB,
                                    .shmem_enabled = "never",
                                    .tmpfs_huge = "within_size",
                                    .available_bytes = 16 * CKPT_GIB};
    network = (struct doctor_network){
        .port_count = 1, .user_devices = 1, .interface = "eth0", .mtu = 1500};
    network.ports[0] = (struct doctor_port){.device = "mlx5_0",
                                            .number = 1,
                                            .is_up = true,
                                            .has_address = true,
                                            .interface = "eth1",
                                            .mtu = 9000};
    return 0;
}

static void judge_memory(void)
{
    doctor_judge_lock(&settings, &memory, false, &findings);
    doctor_judge_huge_pages(&settings, &memory, &findings);
    doctor_judge_room(&settings, &memory, &findings);
    doctor_judge_group(&settings, &memory, &findings);
}

/* The only finding of a check, which must be of this level; its fix has the text. */
static void expect(const char *check, enum finding_level level, const char *fix)
{
    const struct finding *found = NULL;
    for (size_t i = 0; i < findings.count; i++) {
        if (strcmp(findings.list[i].check, check) == 0) {
            assert_null(found);
            found = &findings.list[i];
        }
    }
    assert_non_null(found);
    if (found->level != level || (fix != NULL && strstr(found->fix, fix) == NULL)) {
        fail_msg("%s: %d: %s: %s", check, (int)found->level, found->text, found->fix);
    }
    if (level == FINDING_OK || level == FINDING_UNKNOWN) {
        assert_string_equal(found->fix, "");
    } else {
        assert_string_not_equal(found->fix, "");
    }
    memset(&findings, 0, sizeof(findings));
}

static void a_good_node_has_nothing_to_mend(void **state)
{
    (void)state;
    judge_memory();
    memcpy(settings.spec, "verbs", sizeof("verbs"));
    doctor_judge_network(&settings, &network, &findings);
    doctor_judge_versions(CKPT_VERSION, CKPT_VERSION, &findings);
    assert_int_equal(findings_count(&findings, FINDING_OK), findings.count);
    assert_int_equal(findings.count, 10);
    assert_int_equal(findings_code(&findings, true), EXIT_DONE);
}

static void a_low_lock_limit_is_as_bad_as_what_needs_it(void **state)
{
    (void)state;
    memory.lock_bytes = settings.arena_bytes; /* without room for a spare segment */
    doctor_judge_lock(&settings, &memory, false, &findings);
    assert_int_equal(findings_code(&findings, false), EXIT_DONE);
    assert_int_equal(findings_code(&findings, true), EXIT_NO);
    expect("memlock", FINDING_WARNING, "ulimit -l unlimited");
    doctor_judge_lock(&settings, &memory, true, &findings);
    assert_int_equal(findings_code(&findings, false), EXIT_NO);
    expect("memlock", FINDING_WRONG, NULL);
    memory.is_unit = true;
    memcpy(settings.lock, "require", sizeof("require"));
    doctor_judge_lock(&settings, &memory, false, &findings);
    expect("memlock", FINDING_WRONG, "LimitMEMLOCK=infinity");
    memory.locks_freely = true;
    doctor_judge_lock(&settings, &memory, true, &findings);
    expect("memlock", FINDING_OK, NULL);
    memory.knows_lock = false;
    doctor_judge_lock(&settings, &memory, true, &findings);
    expect("memlock", FINDING_UNKNOWN, NULL);
    memory.lock_bytes = 0;
    memcpy(settings.lock, "off", sizeof("off"));
    doctor_judge_lock(&settings, &memory, false, &findings);
    expect("memlock", FINDING_OK, NULL);
}

static void huge_pages_are_where_the_arena_is(void **state)
{
    (void)state;
    memory.tmpfs_huge[0] = '\0';
    doctor_judge_huge_pages(&settings, &memory, &findings);
    expect("huge pages", FINDING_WARNING, "mount -o remount,huge=within_size /dev/shm");
    memcpy(memory.shmem_enabled, "force", sizeof("force"));
    doctor_judge_huge_pages(&settings, &memory, &findings);
    expect("huge pages", FINDING_OK, NULL);
    memcpy(memory.shmem_enabled, "deny", sizeof("deny"));
    memcpy(memory.tmpfs_huge, "always", sizeof("always"));
    doctor_judge_huge_pages(&settings, &memory, &findings);
    expect("huge pages", FINDING_WARNING, "echo advise >");
    memory.shmem_enabled[0] = '\0';
    doctor_judge_huge_pages(&settings, &memory, &findings);
    expect("huge pages", FINDING_UNKNOWN, NULL);
}

static void hugetlbfs_needs_a_mount_and_pages(void **state)
{
    (void)state;
    memcpy(settings.huge_pages, "require", sizeof("require"));
    doctor_judge_huge_pages(&settings, &memory, &findings);
    expect("huge pages", FINDING_WRONG, "mount -t hugetlbfs");
    memory.has_hugetlbfs = true;
    memory.place = DOCTOR_PLACE_HUGETLBFS;
    memory.huge_pages = 1000;
    memory.free_huge_pages = 900;
    doctor_judge_huge_pages(&settings, &memory, &findings);
    expect("huge pages", FINDING_WRONG, "vm.nr_hugepages=2166"); /* 100, 2048, and the index */
    memory.free_huge_pages = 2066;
    doctor_judge_huge_pages(&settings, &memory, &findings);
    expect("huge pages", FINDING_OK, NULL);
    memory.free_huge_pages = 0;
    memory.is_held = true; /* the agent has taken them */
    doctor_judge_huge_pages(&settings, &memory, &findings);
    expect("huge pages", FINDING_OK, NULL);
    doctor_judge_room(&settings, &memory, &findings);
    assert_int_equal(findings.count, 0);
}

static void room_is_for_what_is_missing(void **state)
{
    (void)state;
    memory.free_bytes = 3 * CKPT_GIB;
    doctor_judge_room(&settings, &memory, &findings);
    assert_int_equal(findings_count(&findings, FINDING_WRONG), 1);
    assert_non_null(strstr(findings.list[0].fix, "mount -o remount,size=10G /dev/shm"));
    memset(&findings, 0, sizeof(findings));
    memory.is_there = true;
    memory.knows_present = true;
    memory.present_bytes = CKPT_GIB;
    doctor_judge_room(&settings, &memory, &findings);
    assert_int_equal(findings_count(&findings, FINDING_OK), 2);
    memset(&findings, 0, sizeof(findings));
    memory.free_bytes = 3 * CKPT_GIB - 1; /* a byte too little */
    doctor_judge_room(&settings, &memory, &findings);
    assert_int_equal(findings_count(&findings, FINDING_WRONG), 1);
    memset(&findings, 0, sizeof(findings));
    memory.free_bytes = 3 * CKPT_GIB;
    memory.present_bytes = 0;
    memory.knows_present = false;
    doctor_judge_room(&settings, &memory, &findings);
    expect("room", FINDING_UNKNOWN, NULL);
    memory.size_bytes = 2 * CKPT_GIB; /* whoever's the arena is, it does not fit */
    doctor_judge_room(&settings, &memory, &findings);
    expect("room", FINDING_WRONG, "remount,size=");
}

static void a_place_that_is_no_memory_is_wrong(void **state)
{
    (void)state;
    memory.place = DOCTOR_PLACE_OTHER;
    doctor_judge_room(&settings, &memory, &findings);
    expect("room", FINDING_WRONG, "[arena] directory = /dev/shm/ckptd-");
    memory.place = DOCTOR_PLACE_MISSING;
    doctor_judge_room(&settings, &memory, &findings);
    expect("room", FINDING_WRONG, "mount -t tmpfs -o size=5G none /dev/shm");
}

static void memory_and_groups_have_to_hold_the_arena(void **state)
{
    (void)state;
    memory.available_bytes = 2000 * CKPT_MIB;
    doctor_judge_room(&settings, &memory, &findings);
    assert_non_null(strstr(findings.list[1].fix, "[arena] bytes = 1800MiB"));
    memset(&findings, 0, sizeof(findings));
    memory.is_limited = true;
    memory.limit_bytes = 4 * CKPT_GIB;
    memory.left_bytes = 4 * CKPT_GIB;
    memcpy(memory.limit_file, "/sys/fs/cgroup/memory.max", sizeof("/sys/fs/cgroup/memory.max"));
    doctor_judge_group(&settings, &memory, &findings);
    expect("cgroup", FINDING_WRONG, "echo 4328521728 > /sys/fs/cgroup/memory.max");
    memory.is_unit = true;
    doctor_judge_group(&settings, &memory, &findings);
    expect("cgroup", FINDING_WRONG, "MemoryMax=infinity");
    memory.is_held = true;
    doctor_judge_group(&settings, &memory, &findings);
    expect("cgroup", FINDING_OK, NULL);
    memory.left_bytes = CKPT_MIB;
    doctor_judge_group(&settings, &memory, &findings);
    expect("cgroup", FINDING_WARNING, "MemoryMax=infinity");
}

static void set_spec(const char *spec)
{
    memset(settings.spec, 0, sizeof(settings.spec));
    memcpy(settings.spec, spec, strlen(spec));
}

static void ports_are_judged_as_the_transport_uses_them(void **state)
{
    (void)state;
    struct doctor_port *port = &network.ports[0];
    doctor_judge_network(&settings, &network, &findings); /* ucx:tcp beside a good port */
    assert_int_equal(doctor_is_pinned(&settings, &network), false);
    expect("rdma", FINDING_WARNING, "[transport] spec = verbs");
    set_spec("auto");
    assert_int_equal(doctor_is_pinned(&settings, &network), true);
    port->has_address = false;
    assert_int_equal(doctor_is_pinned(&settings, &network), false);
    doctor_judge_network(&settings, &network, &findings);
    expect("rdma", FINDING_WRONG, "ip address add ADDRESS/PREFIX dev eth1");
    port->is_up = false;
    doctor_judge_network(&settings, &network, &findings);
    expect("rdma", FINDING_WRONG, "ip link set dev eth1 up");
    port->is_up = true;
    port->is_infiniband = true;
    doctor_judge_network(&settings, &network, &findings);
    expect("rdma", FINDING_WRONG, "ucx:rc");
    network.ports[1] = (struct doctor_port){.device = "mlx5_1",
                                            .number = 1,
                                            .is_up = true,
                                            .has_address = true,
                                            .interface = "eth2",
                                            .mtu = 9000};
    network.port_count = 2; /* beside one that works it is no more than a warning */
    doctor_judge_network(&settings, &network, &findings);
    assert_int_equal(findings_count(&findings, FINDING_WRONG), 0);
    assert_int_equal(findings_count(&findings, FINDING_WARNING), 1);
    memset(&findings, 0, sizeof(findings));
    set_spec("verbs:mlx5_1"); /* and of no interest where it is not named */
    doctor_judge_network(&settings, &network, &findings);
    assert_int_equal(findings_count(&findings, FINDING_WARNING), 0);
    expect("rdma", FINDING_OK, NULL);
    network.user_devices = 0;
    doctor_judge_network(&settings, &network, &findings);
    assert_int_equal(findings_count(&findings, FINDING_WRONG), 1);
}

static void no_device_is_wrong_where_one_has_to_be(void **state)
{
    (void)state;
    network.port_count = 0;
    set_spec("auto");
    doctor_judge_network(&settings, &network, &findings);
    expect("rdma", FINDING_OK, NULL);
    set_spec("verbs");
    doctor_judge_network(&settings, &network, &findings);
    expect("rdma", FINDING_WRONG, "modprobe");
}

static void a_small_mtu_is_a_warning_for_roce_alone(void **state)
{
    (void)state;
    set_spec("verbs");
    network.ports[0].mtu = 4199;
    network.mtu = 1280;
    doctor_judge_network(&settings, &network, &findings);
    assert_int_equal(findings_count(&findings, FINDING_WARNING), 1);
    for (size_t i = 0; i < findings.count; i++) {
        if (findings.list[i].level == FINDING_WARNING) {
            assert_string_equal(findings.list[i].check, "mtu");
            assert_non_null(strstr(findings.list[i].fix, "ip link set dev eth1 mtu 9000"));
        }
    }
    network.ports[0].mtu = 4200;
    memset(&findings, 0, sizeof(findings));
    doctor_judge_network(&settings, &network, &findings);
    assert_int_equal(findings_count(&findings, FINDING_OK), findings.count);
}

static void versions_that_differ_are_a_warning(void **state)
{
    (void)state;
    doctor_judge_versions("0.0.9", "", &findings);
    assert_int_equal(findings.count, 2);
    assert_int_equal(findings.list[0].level, FINDING_WARNING);
    assert_string_not_equal(findings.list[0].fix, "");
    assert_int_equal(findings.list[1].level, FINDING_UNKNOWN);
}

static void too_many_findings_keep_what_is_wrong(void **state)
{
    (void)state;
    for (int i = 0; i < FINDINGS_MAX + 5; i++) {
        findings_add(&findings, FINDING_OK, "many", "%d", i);
    }
    findings_add(&findings, FINDING_WRONG, "late", "it");
    findings_fix(&findings, "mend it");
    assert_int_equal(findings.count, FINDINGS_MAX);
    assert_int_equal(findings_code(&findings, false), EXIT_NO);
    expect("late", FINDING_WRONG, "mend it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_good_node_has_nothing_to_mend, well),
        cmocka_unit_test_setup(a_low_lock_limit_is_as_bad_as_what_needs_it, well),
        cmocka_unit_test_setup(huge_pages_are_where_the_arena_is, well),
        cmocka_unit_test_setup(hugetlbfs_needs_a_mount_and_pages, well),
        cmocka_unit_test_setup(room_is_for_what_is_missing, well),
        cmocka_unit_test_setup(a_place_that_is_no_memory_is_wrong, well),
        cmocka_unit_test_setup(memory_and_groups_have_to_hold_the_arena, well),
        cmocka_unit_test_setup(ports_are_judged_as_the_transport_uses_them, well),
        cmocka_unit_test_setup(no_device_is_wrong_where_one_has_to_be, well),
        cmocka_unit_test_setup(a_small_mtu_is_a_warning_for_roce_alone, well),
        cmocka_unit_test_setup(versions_that_differ_are_a_warning, well),
        cmocka_unit_test_setup(too_many_findings_keep_what_is_wrong, well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
