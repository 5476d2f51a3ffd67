/* SPDX-License-Identifier: Apache-2.0 */
/* What the doctor reads: a /sys that was made up, ckptd's printed settings, children that hang. */
#include <errno.h>
#include <ftw.h>
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

#include "base/clock.h"
#include "ckptctl/child.h"
#include "ckptctl/doctor_read_memory.h"
#include "ckptctl/doctor_read_network.h"

static char root[64];

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/ckptd-doctor-XXXXXX");
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *what, int type, struct FTW *walk)
{
    (void)what;
    (void)type;
    (void)walk;
    return remove(path);
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A file below the root, with the folders above it. */
static void plant(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

#define PORT "sys/class/infiniband/mlx5_0/ports/1/"

static void ports_are_read_with_their_addresses(void **state)
{
    struct doctor_network network = {.port_count = 0};
    (void)state;
    plant(PORT "state", "4: ACTIVE\n");
    plant(PORT "link_layer", "Ethernet\n");
    plant(PORT "gids/0", "fe80:0000:0000:0000:0000:00ff:fe00:0001\n");
    plant(PORT "gid_attrs/types/0", "RoCE v2\n");
    plant(PORT "gid_attrs/ndevs/0", "eth1\n");
    plant(PORT "gids/1", "0000:0000:0000:0000:0000:ffff:0a00:0007\n");
    plant(PORT "gid_attrs/types/1", "IB/RoCE v1\n");
    plant(PORT "gid_attrs/ndevs/1", "eth1\n");
    plant("sys/class/net/eth1/mtu", "4200\n");
    plant("sys/class/infiniband/ib0/ports/1/state", "1: DOWN\n");
    plant("sys/class/infiniband/ib0/ports/1/link_layer", "InfiniBand\n");
    plant("dev/infiniband/uverbs0", "");
    plant("dev/infiniband/rdma_cm", "");
    doctor_read_ports(root, &network);
    assert_int_equal(network.port_count, 2);
    assert_int_equal(network.user_devices, 1);
    assert_string_equal(network.ports[0].device, "ib0");
    assert_false(network.ports[0].is_up);
    assert_true(network.ports[0].is_infiniband);
    const struct doctor_port *port = &network.ports[1];
    assert_string_equal(port->device, "mlx5_0");
    assert_int_equal(port->number, 1);
    assert_true(port->is_up);
    assert_false(port->is_infiniband);
    assert_false(port->has_address); /* link-local, or of version 1 */
    assert_string_equal(port->interface, "eth1");
    assert_int_equal(port->mtu, 4200);
    plant(PORT "gids/2", "0000:0000:0000:0000:0000:ffff:0a00:0007\n");
    plant(PORT "gid_attrs/types/2", "RoCE v2\n");
    plant(PORT "gid_attrs/ndevs/2", "eth1\n");
    network.port_count = 0;
    doctor_read_ports(root, &network);
    assert_true(network.ports[1].has_address);
}

static void a_machine_without_devices_has_none(void **state)
{
    struct doctor_network network = {.port_count = 0};
    (void)state;
    doctor_read_ports(root, &network);
    assert_int_equal(network.port_count, 0);
    assert_int_equal(network.user_devices, 0);
}

static void the_interface_is_that_of_listen_or_of_the_way_out(void **state)
{
    struct doctor_network network = {.port_count = 0};
    struct doctor_settings settings;
    (void)state;
    doctor_settings_default(&settings);
    plant("sys/class/net/lo/mtu", "65536\n");
    doctor_read_interface(root, &settings, &network);
    assert_string_equal(network.interface, "lo");
    assert_int_equal(network.mtu, 65536);
    network.interface[0] = '\0';
    snprintf(settings.listen, sizeof(settings.listen), "0.0.0.0:7472");
    doctor_read_interface(root, &settings, &network);
    assert_string_equal(network.interface, "lo"); /* by which 127.0.0.1 is reached */
    network.interface[0] = '\0';
    snprintf(settings.listen, sizeof(settings.listen), "a.name.of.a.host:7472");
    doctor_read_interface(root, &settings, &network);
    assert_string_equal(network.interface, "");
}

static void settings_are_what_ckptd_prints(void **state)
{
    struct doctor_settings settings;
    char text[] = "ckptd: CKPT_ODD is read by no program\n"
                  "# ckptd 0.2.0, file: /etc/other.conf\n\n[agent]\n"
                  "# node = host ; the host name\n"
                  "coordinator = 10.0.0.1:7471             ; /etc/other.conf:2\n"
                  "[arena]\nbytes = 64GiB ; default\nsegment_bytes = 536870912\n"
                  "directory = /dev/shm/a b\n[tier]\n# path has no value: no tier\nodd = 1\n"
                  "[transport]\nspec = verbs:mlx5_0+mlx5_1          ; --transport\n";
    (void)state;
    doctor_settings_default(&settings);
    doctor_settings_take(&settings, text);
    assert_string_equal(settings.version, "0.2.0");
    assert_string_equal(settings.file, "/etc/other.conf");
    assert_string_equal(settings.coordinator, "10.0.0.1:7471");
    assert_string_equal(settings.listen, "127.0.0.1:7472"); /* not said: the default */
    assert_true(settings.arena_bytes == 64 * CKPT_GIB);
    assert_true(settings.segment_bytes == 512 * CKPT_MIB);
    assert_string_equal(settings.arena_directory, "/dev/shm/a b");
    assert_string_equal(settings.tier, "");
    assert_string_equal(settings.spec, "verbs:mlx5_0+mlx5_1");
}

static void an_arena_that_is_there_counts(void **state)
{
    struct doctor_settings settings;
    struct doctor_agent agent = {.answers = false};
    static struct doctor_memory memory;
    char bytes[8193];
    (void)state;
    memset(bytes, 'x', sizeof(bytes) - 1);
    bytes[sizeof(bytes) - 1] = '\0';
    plant("arena/segment-0", bytes);
    doctor_settings_default(&settings);
    snprintf(settings.arena_directory, sizeof(settings.arena_directory), "%s/arena", root);
    doctor_read_memory(&settings, &agent, &memory);
    assert_string_equal(memory.directory, settings.arena_directory);
    assert_string_equal(memory.mount, root);
    assert_true(memory.is_there);
    assert_true(memory.knows_present);
    assert_in_range(memory.present_bytes, 8192, 65536);
    assert_true(memory.knows_lock);
    assert_true(memory.available_bytes > 0);
    snprintf(settings.arena_directory, sizeof(settings.arena_directory), "%s/no/arena", root);
    doctor_read_memory(&settings, &agent, &memory);
    assert_false(memory.is_there);
    assert_int_equal(memory.place, DOCTOR_PLACE_MISSING);
}

static int hang(void *context, char *text, size_t text_size)
{
    (void)context;
    (void)text;
    (void)text_size;
    pause();
    return 0;
}

/* What the word says, and where standard output goes. */
static int say(void *context, char *text, size_t text_size)
{
    char where[32] = "";
    ssize_t bytes = readlink("/proc/self/fd/1", where, sizeof(where) - 1);
    snprintf(text, text_size, "said %s to %s", (const char *)context, bytes > 0 ? where : "?");
    return 7;
}

static void a_child_that_hangs_is_left(void **state)
{
    char output[64];
    char word[] = "so";
    int code = -1;
    (void)state;
    uint64_t before_ms = clock_now_ms();
    assert_int_equal(child_do(hang, NULL, 100, output, sizeof(output), &code), CHILD_LATE);
    assert_in_range(clock_now_ms() - before_ms, 100, 20000);
    assert_int_equal(child_do(say, word, 20000, output, sizeof(output), &code), CHILD_DONE);
    assert_int_equal(code, 7);
    assert_string_equal(output, "said so to /dev/null"); /* nobody waits for it who reads us */
}

static void a_program_says_what_it_says_and_no_more_than_fits(void **state)
{
    char output[8];
    char shell[] = "/bin/sh";
    char flag[] = "-c";
    char text[] = "echo 0123456789; exit 3";
    char late[] = "exec sleep 60";
    char missing[] = "/nowhere/ckptd";
    char *arguments[] = {shell, flag, text, NULL};
    char *hanging[] = {shell, flag, late, NULL};
    char *none[] = {missing, NULL};
    int code = -1;
    (void)state;
    assert_int_equal(child_run(arguments, 20000, output, sizeof(output), &code), CHILD_DONE);
    assert_int_equal(code, 3);
    assert_string_equal(output, "0123456");
    assert_int_equal(child_run(hanging, 100, output, sizeof(output), &code), CHILD_LATE);
    assert_int_equal(child_run(none, 20000, output, sizeof(output), &code), CHILD_MISSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ports_are_read_with_their_addresses, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(a_machine_without_devices_has_none, make_root, remove_root),
        cmocka_unit_test_setup_teardown(the_interface_is_that_of_listen_or_of_the_way_out,
                                        make_root, remove_root),
        cmocka_unit_test(settings_are_what_ckptd_prints),
        cmocka_unit_test_setup_teardown(an_arena_that_is_there_counts, make_root, remove_root),
        cmocka_unit_test(a_child_that_hangs_is_left),
        cmocka_unit_test(a_program_says_what_it_says_and_no_more_than_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
