/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/limits.h"
#include "topology/matrix.h"
#include "unit/topology/machine.h"

/* A pointer that no reading makes, to see that an error leaves the output alone. */
static struct topology untouched;

static void reads_the_machine_it_runs_on(void **state)
{
    (void)state;
    char reason[256];
    struct topology *t = NULL;
    assert_int_equal(topology_read_machine(&t, reason, sizeof(reason)), CKPT_OK);
    assert_true(t->numa_count >= 1);
    uint64_t memory = 0;
    int cpus = 0;
    for (uint32_t i = 0; i < t->numa_count; i++) {
        memory += t->numas[i].memory_bytes;
        cpus += CPU_COUNT(&t->numas[i].cpus);
    }
    assert_true(memory > 64 * CKPT_MIB);
    assert_true(cpus >= 1);
    topology_delete(&t);
    assert_null(t);
    topology_delete(&t);
}

static void finds_the_parts_of_a_dgx(void **state)
{
    (void)state;
    struct topology *t = machine_read("dgx");
    static const char *const busids[] = {"0000:07:00.0", "0000:0f:00.0", "0000:47:00.0",
                                         "0000:4e:00.0", "0000:87:00.0", "0000:90:00.0",
                                         "0000:b7:00.0", "0000:bd:00.0"};
    assert_int_equal(t->numa_count, 2);
    assert_int_equal(t->gpu_count, 8);
    assert_int_equal(t->port_count, 10);
    for (uint32_t i = 0; i < 8; i++) {
        const struct topology_gpu *gpu = &t->gpus[i];
        assert_string_equal(topology_place_busid(&t->places[gpu->place]).text, busids[i]);
        assert_string_equal(gpu->model, "NVIDIA H100 80GB HBM3");
        assert_int_equal(topology_place_numa(t, gpu->place), i / 4);
    }
    for (uint32_t i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof(name), "mlx5_%u", i);
        assert_string_equal(t->ports[i].name, name);
        assert_string_equal(t->ports[i].device, name);
        assert_int_equal(t->ports[i].number, 1);
        assert_false(t->ports[i].is_down);
        assert_false(t->ports[i].is_virtual_function);
    }
    assert_string_equal(t->numas[1].name, "numa1");
    assert_int_equal(t->numas[1].os_index, 1);
    assert_int_equal(t->numas[1].memory_bytes, 512 * CKPT_GIB);
    assert_int_equal(CPU_COUNT(&t->numas[1].cpus), 2);
    assert_true(CPU_ISSET(2, &t->numas[1].cpus));
    assert_true(CPU_ISSET(3, &t->numas[1].cpus));
    topology_delete(&t);
}

/* Counted by hand in the files. The ES1000, the Matrox and the NVSwitches are no GPUs; of the old
 * machines that have GPUs, some have no compute API in the recording. */
static void finds_the_parts_of_recorded_machines(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t numas, gpus, ports, places;
    } expected[] = {
        {"16intel64-manyVFs", 2, 0, 3, 15 + 18},
        {"24em64t-2n6c2t-pci", 2, 3, 1, 8 + 9},
        {"32em64t-2n8c2t-pci-noio", 2, 0, 0, 0},
        {"32em64t-2n8c2t-pci-wholeio", 2, 4, 1, 8 + 11},
        {"96em64t-4n4d3ca2co-pci", 4, 0, 0, 17 + 14},
        {"nvidiaDGX2", 2, 16, 0, 60 + 28},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        struct topology *t = machine_read(expected[i].name);
        assert_int_equal(t->numa_count, expected[i].numas);
        assert_int_equal(t->gpu_count, expected[i].gpus);
        assert_int_equal(t->port_count, expected[i].ports);
        assert_int_equal(t->place_count, expected[i].places);
        topology_delete(&t);
    }
}

static void tells_ports_apart(void **state)
{
    (void)state;
    struct topology *t = machine_read("asymmetric");
    static const char *const names[] = {"mlx4_0:1", "mlx4_0:2", "mlx5_0",
                                        "mlx5_1",   "mlx5_2",   "mlx5_10"};
    assert_int_equal(t->port_count, 6);
    for (uint32_t i = 0; i < 6; i++) {
        assert_string_equal(t->ports[i].name, names[i]);
        assert_int_equal(t->ports[i].is_down, i == 1 || i == 4);
    }
    assert_string_equal(t->ports[1].device, "mlx4_0");
    assert_int_equal(t->ports[1].number, 2);
    topology_delete(&t);

    t = machine_read("virtual-functions");
    assert_int_equal(t->port_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(t->ports[i].is_virtual_function, i == 1 || i == 2);
    }
    topology_delete(&t);
    /* A recording without port states: not known is not down. */
    t = machine_read("24em64t-2n6c2t-pci");
    assert_string_equal(t->ports[0].name, "mlx4_0");
    assert_false(t->ports[0].is_down);
    topology_delete(&t);
}

static void minus_one_is_no_node(void **state)
{
    (void)state;
    struct topology *t = machine_read("guest");
    assert_int_equal(t->gpu_count, 2);
    assert_int_equal(t->port_count, 3);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(t->places[t->gpus[i].place].device, 5 + i);
    }
    for (uint32_t i = 0; i < t->place_count; i++) {
        assert_int_equal(t->places[i].locality.nodes, 0);
        assert_int_equal(t->places[i].locality.package, TOPOLOGY_NONE);
        assert_int_equal(topology_place_numa(t, i), TOPOLOGY_NONE);
    }
    uint32_t rxe = machine_end(t, "rxe0").index;
    assert_int_equal(t->places[t->ports[rxe].place].kind, TOPOLOGY_VIRTUAL);
    assert_string_equal(topology_place_busid(&t->places[t->ports[rxe].place]).text, "-");
    topology_delete(&t);
}

static void reads_synthetic_machines(void **state)
{
    (void)state;
    char reason[256] = "";
    struct topology *t = NULL;
    assert_int_equal(
        topology_read_synthetic("package:2 numa:2 core:3 pu:1", &t, reason, sizeof(reason)),
        CKPT_OK);
    assert_int_equal(t->numa_count, 4);
    assert_int_equal(t->place_count, 0);
    assert_int_equal(t->numas[1].package, 0);
    assert_int_equal(t->numas[2].package, 1);
    assert_int_equal(CPU_COUNT(&t->numas[3].cpus), 3);
    topology_delete(&t);

    t = &untouched;
    assert_int_equal(topology_read_synthetic("two sockets", &t, reason, sizeof(reason)),
                     CKPT_ERR_INVALID);
    assert_non_null(strstr(reason, "two sockets"));
    assert_ptr_equal(t, &untouched);
    assert_int_equal(topology_read_synthetic("numa:65 pu:1", &t, reason, sizeof(reason)),
                     CKPT_ERR_TOO_LARGE);
    assert_non_null(strstr(reason, "64"));
    assert_ptr_equal(t, &untouched);
}

static void refuses_what_is_no_recording(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum ckpt_status status;
        const char *says;
    } bad[] = {
        {"", CKPT_ERR_CORRUPT, "lstopo"},
        {"what is this", CKPT_ERR_CORRUPT, "lstopo"},
        {"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n"
         "<topology version=\"2.0\">\n  <object type=\"Machine\"",
         CKPT_ERR_CORRUPT, "damaged"},
        {"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n"
         "<topology version=\"9.0\">\n</topology>\n",
         CKPT_ERR_VERSION, "--export-xml-flags v2"},
    };
    char reason[256];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct topology *t = &untouched;
        reason[0] = '\0';
        assert_int_equal(
            topology_read_buffer(bad[i].text, strlen(bad[i].text), &t, reason, sizeof(reason)),
            bad[i].status);
        assert_non_null(strstr(reason, bad[i].says));
        assert_ptr_equal(t, &untouched);
    }
    struct topology *t = &untouched;
    assert_int_equal(topology_read_file("/no/such/file.xml", &t, reason, sizeof(reason)),
                     CKPT_ERR_NOT_FOUND);
    assert_non_null(strstr(reason, "/no/such/file.xml: No such file"));
    assert_int_equal(topology_read_file("/", &t, reason, sizeof(reason)), CKPT_ERR_NOT_FOUND);
    assert_int_equal(topology_read_file("/dev/zero", &t, reason, sizeof(reason)),
                     CKPT_ERR_TOO_LARGE);
    assert_ptr_equal(t, &untouched);
}

static void prints_the_matrix(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    struct topology *t = machine_read("clusters");
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    topology_matrix_print(t, file);
    fclose(file);
    assert_string_equal(text, "       GPU0  NIC0  NIC1  NUMA0 NUMA1 NUMA2\n"
                              "GPU0   X     SYS   SYS   SYS   PHB   SYS\n"
                              "NIC0   SYS   X     SYS   PHB   SYS   SYS\n"
                              "NIC1   SYS   SYS   X     SYS   SYS   PHB\n"
                              "NUMA0  SYS   PHB   SYS   X     SYS   SYS\n"
                              "NUMA1  PHB   SYS   SYS   SYS   X     SYS\n"
                              "NUMA2  SYS   SYS   PHB   SYS   SYS   X\n"
                              "\n"
                              "  GPU0: 0000:41:00.0, numa1, NVIDIA H100 80GB HBM3\n"
                              "  NIC0: mlx5_0, 0000:01:00.0, numa0\n"
                              "  NIC1: mlx5_1, 0000:81:00.0, numa2\n"
                              "  NUMA0: 524288 MiB, 2 CPUs\n"
                              "  NUMA1: 524288 MiB, 2 CPUs\n"
                              "  NUMA2: 524288 MiB, 2 CPUs\n");
    free(text);
    topology_delete(&t);
}

/* hwloc's plugin for PCI, where it is one, is unloaded with a library that holds its devices in a
 * static variable: memory that LeakSanitizer then finds lost, in a module without a name. */
static void keep_pciaccess(void)
{
    (void)dlopen("libpciaccess.so.0", RTLD_NOW | RTLD_NODELETE);
}

int main(void)
{
    keep_pciaccess();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_machine_it_runs_on),
        cmocka_unit_test(finds_the_parts_of_a_dgx),
        cmocka_unit_test(finds_the_parts_of_recorded_machines),
        cmocka_unit_test(tells_ports_apart),
        cmocka_unit_test(minus_one_is_no_node),
        cmocka_unit_test(reads_synthetic_machines),
        cmocka_unit_test(refuses_what_is_no_recording),
        cmocka_unit_test(prints_the_matrix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
