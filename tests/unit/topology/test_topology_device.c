/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static bool is_gpu(uint16_t class_id, uint16_t vendor_id, bool is_compute)
{
    struct topology_place place = {
        .kind = TOPOLOGY_PCI, .class_id = class_id, .vendor_id = vendor_id};
    return topology_device_is_gpu(&place, is_compute);
}

static void tells_gpus_from_consoles(void **state)
{
    (void)state;
    assert_true(is_gpu(0x0302, 0x10de, false));  /* H100 */
    assert_true(is_gpu(0x0300, 0x10de, false));  /* GeForce */
    assert_true(is_gpu(0x0380, 0x1002, false));  /* MI250 */
    assert_true(is_gpu(0x1200, 0x1002, false));  /* MI300X */
    assert_true(is_gpu(0x0300, 0x1002, true));   /* Radeon with OpenCL */
    assert_true(is_gpu(0x0380, 0x8086, true));   /* with Level Zero */
    assert_false(is_gpu(0x0300, 0x1002, false)); /* ES1000 */
    assert_false(is_gpu(0x0300, 0x1a03, false)); /* ASPEED */
    assert_false(is_gpu(0x0300, 0x102b, false)); /* Matrox */
    assert_false(is_gpu(0x0680, 0x10de, false)); /* NVSwitch */
    assert_false(is_gpu(0x0403, 0x10de, false)); /* the sound of a GPU */
    assert_false(is_gpu(0x1200, 0x10ee, false)); /* an FPGA */
}

static void knows_compute_apis(void **state)
{
    (void)state;
    assert_true(topology_device_is_compute("cuda0", "CUDA"));
    assert_true(topology_device_is_compute("x", "NVML"));
    assert_true(topology_device_is_compute("nvml12", NULL));
    assert_true(topology_device_is_compute("ze0", NULL));
    assert_false(topology_device_is_compute("card0", NULL));
    assert_false(topology_device_is_compute("renderD128", NULL));
    assert_false(topology_device_is_compute("zebra", NULL));
    assert_false(topology_device_is_compute("nvml", NULL));
    assert_false(topology_device_is_compute(NULL, NULL));
}

static void knows_virtual_functions(void **state)
{
    (void)state;
    struct topology_place nic = {.kind = TOPOLOGY_PCI, .vendor_id = 0x15b3, .device_id = 0x1021};
    struct topology_place function = {
        .kind = TOPOLOGY_PCI, .vendor_id = 0x15b3, .device_id = 0x101e};
    struct topology_place other = {.kind = TOPOLOGY_PCI, .vendor_id = 0x1137, .device_id = 0x101e};
    assert_false(topology_device_is_virtual_function(&nic, NULL));
    assert_false(topology_device_is_virtual_function(&nic, "MT2910 Family [ConnectX-7]"));
    assert_true(topology_device_is_virtual_function(&function, NULL));
    assert_false(topology_device_is_virtual_function(&other, NULL));
    assert_true(topology_device_is_virtual_function(&other, "Ethernet Virtual Function"));
}

static void counts_numbers_in_names(void **state)
{
    (void)state;
    static const char *const rising[] = {"",        "mlx4_0:1", "mlx4_0:2",    "mlx4_0:10",
                                         "mlx5",    "mlx5_0",   "mlx5_1",      "mlx5_2",
                                         "mlx5_02", "mlx5_10",  "mlx5_bond_0", "rxe0"};
    for (size_t i = 0; i < sizeof(rising) / sizeof(rising[0]); i++) {
        for (size_t j = 0; j < sizeof(rising) / sizeof(rising[0]); j++) {
            int order = topology_device_compare_names(rising[i], rising[j]);
            if (rising[i][0] == 'm' && rising[j][0] == 'm' && i != j && (i == 7 || i == 8) &&
                (j == 7 || j == 8)) {
                assert_int_not_equal(order, 0); /* 2 and 02: some order, the same each time */
                assert_int_equal(order > 0,
                                 topology_device_compare_names(rising[j], rising[i]) < 0);
                continue;
            }
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_gpus_from_consoles),
        cmocka_unit_test(knows_compute_apis),
        cmocka_unit_test(knows_virtual_functions),
        cmocka_unit_test(counts_numbers_in_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
