/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "topology/matrix.h"
#include "unit/topology/machine.h"

static void check_ends(const struct topology *t, const char *left, const char *right,
                       const char *class)
{
    const char *found =
        topology_class_name(topology_distance(t, machine_end(t, left), machine_end(t, right)));
    if (strcmp(found, class) != 0) {
        fail_msg("%s and %s are %s, expected %s", left, right, found, class);
    }
}

static void check_places(const struct topology *t, const char *left, const char *right,
                         enum topology_class class)
{
    assert_int_equal(topology_place_distance(t, machine_place(t, left), machine_place(t, right)),
                     class);
}

/* Rows of the matrix by hand. */
static void classes_of_a_dgx(void **state)
{
    (void)state;
    struct topology *t = machine_read("dgx");
    static const char *const columns[] = {"gpu0",   "gpu1",   "gpu2",   "gpu3",   "gpu4",
                                          "gpu5",   "gpu6",   "gpu7",   "mlx5_0", "mlx5_1",
                                          "mlx5_2", "mlx5_3", "mlx5_4", "mlx5_5", "mlx5_6",
                                          "mlx5_7", "mlx5_8", "mlx5_9", "numa0",  "numa1"};
    static const struct {
        const char *name;
        const char *classes[20];
    } rows[] = {
        {"gpu0", {"X",    "PIX",  "NODE", "NODE", "SYS", "SYS", "SYS", "SYS", "PIX", "PIX",
                  "NODE", "NODE", "NODE", "SYS",  "SYS", "SYS", "SYS", "SYS", "PHB", "SYS"}},
        {"gpu5", {"SYS", "SYS", "SYS", "SYS", "PIX", "X",    "NODE", "NODE", "SYS", "SYS",
                  "SYS", "SYS", "SYS", "PIX", "PIX", "NODE", "NODE", "NODE", "SYS", "PHB"}},
        {"mlx5_4", {"NODE", "NODE", "NODE", "NODE", "SYS", "SYS", "SYS", "SYS", "NODE", "NODE",
                    "NODE", "NODE", "X",    "SYS",  "SYS", "SYS", "SYS", "SYS", "PHB",  "SYS"}},
        {"numa1", {"SYS", "SYS", "SYS", "SYS", "PHB", "PHB", "PHB", "PHB", "SYS", "SYS",
                   "SYS", "SYS", "SYS", "PHB", "PHB", "PHB", "PHB", "PHB", "SYS", "X"}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t j = 0; j < 20; j++) {
            check_ends(t, rows[i].name, columns[j], rows[i].classes[j]);
        }
    }
    topology_delete(&t);
}

static void classes_of_an_asymmetric_machine(void **state)
{
    (void)state;
    struct topology *t = machine_read("asymmetric");
    check_ends(t, "gpu0", "mlx5_0", "PXB"); /* behind a second switch */
    check_ends(t, "gpu0", "mlx5_1", "PHB"); /* another root port of the same host bridge */
    check_ends(t, "gpu0", "gpu1", "NODE");  /* another host bridge of the same NUMA node */
    check_ends(t, "gpu0", "gpu2", "SYS");
    check_ends(t, "gpu2", "gpu3", "PIX");
    check_ends(t, "gpu3", "mlx5_10", "PIX");
    check_ends(t, "gpu3", "mlx4_0:1", "NODE");
    check_ends(t, "mlx4_0:1", "mlx4_0:2", "PIX"); /* two ports of one function */
    check_ends(t, "gpu4", "mlx5_10", "SYS");
    check_ends(t, "gpu4", "numa2", "PHB");
    check_ends(t, "numa2", "mlx5_0", "SYS");
    /* Bridges have classes too: the cascade's upper switch and what is under it. */
    check_places(t, "0000:01:00.0", "0000:0a:00.0", TOPOLOGY_PXB);
    check_places(t, "0000:09:00.0", "0000:0a:00.0", TOPOLOGY_PIX);
    check_places(t, "0000:04:00.0", "0000:09:00.0", TOPOLOGY_PXB); /* 1 and 2 passed */
    check_places(t, "0000:04:00.0", "0000:02:01.0", TOPOLOGY_PIX);
    topology_delete(&t);
}

static void classes_without_locality(void **state)
{
    (void)state;
    struct topology *t = machine_read("guest");
    check_ends(t, "gpu0", "gpu1", "PHB"); /* one host bridge, wherever it is */
    check_ends(t, "gpu0", "mlx5_1", "PHB");
    check_ends(t, "gpu0", "numa0", "SYS"); /* not node 0 */
    check_ends(t, "gpu0", "numa1", "SYS");
    check_ends(t, "rxe0", "gpu0", "SYS");
    check_ends(t, "rxe0", "numa0", "SYS");
    topology_delete(&t);
}

static void classes_of_recorded_machines(void **state)
{
    (void)state;
    struct topology *t = machine_read("nvidiaDGX2");
    check_ends(t, "gpu0", "gpu1", "PIX"); /* 34:00 and 36:00, ports of one switch */
    check_ends(t, "gpu0", "gpu2", "PXB"); /* 39:00, three bridges down on either side */
    check_ends(t, "gpu0", "gpu4", "NODE");
    check_ends(t, "gpu0", "gpu8", "SYS");
    check_ends(t, "gpu15", "numa1", "PHB");
    check_ends(t, "gpu15", "numa0", "SYS");
    topology_delete(&t);

    t = machine_read("24em64t-2n6c2t-pci");
    check_ends(t, "gpu0", "mlx4_0", "PHB"); /* root ports 00:07 and 00:05 */
    check_ends(t, "gpu1", "gpu2", "PHB");
    check_ends(t, "gpu1", "mlx4_0", "SYS");
    check_places(t, "0000:04:00.0", "0000:04:00.1", TOPOLOGY_PIX); /* functions of one device */
    check_places(t, "0000:00:1f.2", "0000:06:00.0", TOPOLOGY_PHB); /* on the root bus itself */
    topology_delete(&t);

    t = machine_read("16intel64-manyVFs");
    check_ends(t, "usnic_0", "usnic_1", "PIX"); /* 0b:00.0 and 0c:00.0 */
    check_ends(t, "usnic_0", "usnic_2", "SYS");
    check_places(t, "0000:0b:00.0", "0000:0b:00.3", TOPOLOGY_PIX);
    check_places(t, "0000:02:00.0", "0000:0b:00.0", TOPOLOGY_PHB);
    topology_delete(&t);

    t = machine_read("32em64t-2n8c2t-pci-wholeio");
    check_ends(t, "gpu0", "mlx5_0", "SYS");
    check_ends(t, "gpu1", "mlx5_0", "PHB");
    check_ends(t, "gpu2", "mlx5_0", "PIX"); /* 84:00.0 and the NIC, below one root port */
    topology_delete(&t);

    t = machine_read("96em64t-4n4d3ca2co-pci");
    check_places(t, "0000:02:00.0", "0000:04:00.0", TOPOLOGY_NODE); /* two host bridges */
    check_places(t, "0000:02:00.0", "0000:34:00.0", TOPOLOGY_SYS);
    topology_delete(&t);
}

/* hwloc's own common-ancestor helper crashes on such pairs. */
static void every_pair_has_one_class_both_ways(void **state)
{
    (void)state;
    for (size_t m = 0; machine_names[m]; m++) {
        struct topology *t = machine_read(machine_names[m]);
        for (uint32_t i = 0; i < t->place_count; i++) {
            for (uint32_t j = 0; j < t->place_count; j++) {
                enum topology_class class = topology_place_distance(t, i, j);
                assert_in_range(class, TOPOLOGY_PIX, TOPOLOGY_SYS);
                assert_int_equal(class, topology_place_distance(t, j, i));
            }
        }
        for (uint32_t i = 0; i < topology_matrix_size(t); i++) {
            for (uint32_t j = 0; j < topology_matrix_size(t); j++) {
                struct topology_end a = topology_matrix_end(t, i);
                struct topology_end b = topology_matrix_end(t, j);
                enum topology_class class = topology_distance(t, a, b);
                assert_int_equal(class, topology_distance(t, b, a));
                assert_int_equal(class == TOPOLOGY_SELF, i == j);
            }
        }
        topology_delete(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_of_a_dgx),
        cmocka_unit_test(classes_of_an_asymmetric_machine),
        cmocka_unit_test(classes_without_locality),
        cmocka_unit_test(classes_of_recorded_machines),
        cmocka_unit_test(every_pair_has_one_class_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
