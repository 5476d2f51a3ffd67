/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/rail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "unit/topology/machine.h"

static struct topology_rail_map *choose(const struct topology *t, const char *override)
{
    char reason[256] = "";
    struct topology_rail_map *map = NULL;
    if (topology_rails_choose(t, override, &map, reason, sizeof(reason)) != CKPT_OK) {
        fail_msg("%s", reason);
    }
    return map;
}

static const struct topology_rails *rails_of(const struct topology *t,
                                             const struct topology_rail_map *map, const char *name)
{
    struct topology_end end = machine_end(t, name);
    const struct topology_rails *rails =
        end.kind == TOPOLOGY_KIND_GPU ? &map->gpus[end.index] : &map->numas[end.index];
    assert_int_equal(rails->memory.kind, end.kind);
    assert_int_equal(rails->memory.index, end.index);
    return rails;
}

/* The rails as text, "PIX mlx5_0 | mlx5_1": own ones before the bar. */
static void check(const struct topology *t, const struct topology_rail_map *map, const char *name,
                  const char *expected)
{
    const struct topology_rails *rails = rails_of(t, map, name);
    char text[512];
    size_t length = (size_t)snprintf(text, sizeof(text), "%s", topology_class_name(rails->class));
    for (uint32_t i = 0; i < rails->port_count; i++) {
        length +=
            (size_t)snprintf(text + length, sizeof(text) - length, "%s %s",
                             i == rails->own_count ? " |" : "", t->ports[rails->ports[i]].name);
    }
    if (strcmp(text, expected) != 0) {
        fail_msg("%s has rails '%s', expected '%s' (%s)", name, text, expected, rails->why);
    }
}

static void check_why(const struct topology *t, const struct topology_rail_map *map,
                      const char *name, const char *expected)
{
    assert_string_equal(rails_of(t, map, name)->why, expected);
}

static void rails_of_a_dgx(void **state)
{
    (void)state;
    struct topology *t = machine_read("dgx");
    struct topology_rail_map *map = choose(t, NULL);
    check(t, map, "gpu0", "PIX mlx5_0 | mlx5_1");
    check(t, map, "gpu1", "PIX mlx5_1 | mlx5_0");
    check(t, map, "gpu2", "PIX mlx5_2 | mlx5_3");
    check(t, map, "gpu3", "PIX mlx5_3 | mlx5_2");
    check(t, map, "gpu4", "PIX mlx5_5 | mlx5_6");
    check(t, map, "gpu5", "PIX mlx5_6 | mlx5_5");
    check(t, map, "gpu6", "PIX mlx5_7 | mlx5_8");
    check(t, map, "gpu7", "PIX mlx5_8 | mlx5_7");
    check(t, map, "numa0", "PHB mlx5_0 mlx5_1 mlx5_2 mlx5_3 mlx5_4");
    check(t, map, "numa1", "PHB mlx5_5 mlx5_6 mlx5_7 mlx5_8 mlx5_9");
    check_why(t, map, "gpu3",
              "at most one PCI bridge between; 2 of 10 usable ports; shared with gpu2");
    check_why(t, map, "numa1", "a host bridge between; 5 of 10 usable ports");
    assert_true(topology_rail_map_has_any(map));
    topology_rail_map_delete(&map);
    assert_null(map);
    topology_rail_map_delete(&map);
    topology_delete(&t);
}

static void rails_of_an_asymmetric_machine(void **state)
{
    (void)state;
    struct topology *t = machine_read("asymmetric");
    struct topology_rail_map *map = choose(t, " \n");
    check(t, map, "gpu0", "PXB mlx5_0");
    /* No NIC at its host bridge: both of the NUMA node, but gpu0 has none but mlx5_0. */
    check(t, map, "gpu1", "NODE mlx5_1 | mlx5_0");
    /* One port for two; mlx5_2 is nearer than nothing, but down. */
    check(t, map, "gpu2", "PIX mlx5_10");
    check(t, map, "gpu3", "PIX mlx5_10");
    /* A socket without NICs: all that are up. */
    check(t, map, "gpu4", "SYS mlx4_0:1 | mlx5_0 mlx5_1 mlx5_10");
    check(t, map, "numa0", "PHB mlx5_0 mlx5_1");
    check(t, map, "numa1", "PHB mlx4_0:1 mlx5_10");
    check(t, map, "numa2", "SYS mlx4_0:1 mlx5_0 mlx5_1 mlx5_10");
    check_why(t, map, "gpu1",
              "the CPU between, within one NUMA node; 2 of 4 usable ports; shared with gpu0, gpu4");
    check_why(t, map, "numa2", "across NUMA nodes; 4 of 4 usable ports");
    topology_rail_map_delete(&map);
    topology_delete(&t);
}

static void rails_within_a_socket_come_first(void **state)
{
    (void)state;
    struct topology *t = machine_read("clusters");
    struct topology_rail_map *map = choose(t, NULL);
    check(t, map, "gpu0", "SYS mlx5_0");
    check(t, map, "numa0", "PHB mlx5_0");
    check(t, map, "numa1", "SYS mlx5_0");
    check(t, map, "numa2", "PHB mlx5_1");
    check_why(t, map, "numa1", "across NUMA nodes; 1 of 2 usable ports, at the same socket");
    topology_rail_map_delete(&map);
    topology_delete(&t);
}

static void virtual_functions_are_for_guests(void **state)
{
    (void)state;
    struct topology *t = machine_read("virtual-functions");
    struct topology_rail_map *map = choose(t, NULL);
    check(t, map, "gpu0", "PHB mlx5_0"); /* though mlx5_2 is on its switch */
    check(t, map, "numa0", "PHB mlx5_0");
    check(t, map, "numa1", "PHB mlx5_3");
    topology_rail_map_delete(&map);
    map = choose(t, "gpu0=mlx5_2");
    check(t, map, "gpu0", "PIX mlx5_2");
    check_why(t, map, "gpu0", "as the override says; mlx5_2 is a virtual function");
    topology_rail_map_delete(&map);
    topology_delete(&t);

    /* They are all there is in a guest; Soft-RoCE does not displace them. */
    t = machine_read("guest");
    map = choose(t, NULL);
    check(t, map, "gpu0", "PHB mlx5_0 | mlx5_1");
    check(t, map, "gpu1", "PHB mlx5_1 | mlx5_0");
    check(t, map, "numa0", "SYS mlx5_0 mlx5_1");
    check(t, map, "numa1", "SYS mlx5_0 mlx5_1");
    check_why(t, map, "numa0",
              "across NUMA nodes; 2 of 2 usable ports, for the kernel does not say which NUMA node "
              "is near (numa_node -1)");
    topology_rail_map_delete(&map);
    /* Without them it is used. */
    t->ports[machine_end(t, "mlx5_0").index].is_down = true;
    t->ports[machine_end(t, "mlx5_1").index].is_down = true;
    map = choose(t, NULL);
    check(t, map, "numa0", "SYS rxe0");
    topology_rail_map_delete(&map);
    topology_delete(&t);
}

static void rails_of_recorded_machines(void **state)
{
    (void)state;
    struct topology *t = machine_read("24em64t-2n6c2t-pci");
    struct topology_rail_map *map = choose(t, NULL);
    check(t, map, "gpu0", "PHB mlx4_0");
    check(t, map, "gpu1", "SYS mlx4_0");
    check(t, map, "numa0", "PHB mlx4_0");
    check(t, map, "numa1", "SYS mlx4_0");
    topology_rail_map_delete(&map);
    topology_delete(&t);

    t = machine_read("16intel64-manyVFs");
    map = choose(t, NULL);
    check(t, map, "numa0", "PHB usnic_0 usnic_1");
    check(t, map, "numa1", "PHB usnic_2");
    topology_rail_map_delete(&map);
    topology_delete(&t);
}

static void no_rails_has_a_reason(void **state)
{
    (void)state;
    struct topology *t = machine_read("32em64t-2n8c2t-pci-noio");
    struct topology_rail_map *map = choose(t, NULL);
    check(t, map, "numa0", "SYS");
    check_why(t, map, "numa1", "no rails: the topology has no I/O devices");
    assert_false(topology_rail_map_has_any(map));
    topology_rail_map_delete(&map);
    topology_delete(&t);

    t = machine_read("nvidiaDGX2");
    map = choose(t, NULL);
    check_why(t, map, "gpu15", "no rails: no RDMA device among the I/O devices");
    assert_false(topology_rail_map_has_any(map));
    topology_rail_map_delete(&map);
    topology_delete(&t);

    t = machine_read("virtual-functions");
    for (uint32_t i = 0; i < t->port_count; i++) {
        t->ports[i].is_down = true;
    }
    map = choose(t, NULL);
    check_why(t, map, "gpu0", "no rails: all 4 ports are down");
    assert_false(topology_rail_map_has_any(map));
    topology_rail_map_delete(&map);
    topology_delete(&t);
}

/* 16 GPUs below one host bridge with 3 ports: nobody is left out, nobody is crowded. */
static void deals_evenly(void **state)
{
    (void)state;
    struct topology_place places[20] = {{.kind = TOPOLOGY_HOST_BRIDGE, .parent = TOPOLOGY_NONE}};
    struct topology_gpu gpus[16] = {{.place = 0}};
    struct topology_port ports[3] = {{.place = 0}};
    struct topology_numa numas[1] = {{.name = "numa0"}};
    struct topology t = {.numa_count = 1,
                         .place_count = 20,
                         .gpu_count = 16,
                         .port_count = 3,
                         .numas = numas,
                         .places = places,
                         .gpus = gpus,
                         .ports = ports};
    for (uint32_t i = 1; i < 20; i++) {
        places[i] = (struct topology_place){.kind = TOPOLOGY_PCI, .parent = 0};
    }
    for (uint32_t i = 0; i < 16; i++) {
        gpus[i].place = i + 1;
        snprintf(gpus[i].name, sizeof(gpus[i].name), "gpu%u", i);
    }
    for (uint32_t i = 0; i < 3; i++) {
        ports[i].place = i + 17;
        snprintf(ports[i].name, sizeof(ports[i].name), "mlx5_%u", i);
    }
    for (t.gpu_count = 1; t.gpu_count <= 16; t.gpu_count++) {
        struct topology_rail_map *map = choose(&t, NULL);
        uint32_t owners[3] = {0};
        for (uint32_t i = 0; i < t.gpu_count; i++) {
            assert_int_equal(map->gpus[i].port_count, 3);
            assert_true(map->gpus[i].own_count >= 1);
            for (uint32_t j = 0; j < map->gpus[i].own_count; j++) {
                owners[map->gpus[i].ports[j]]++;
            }
        }
        for (uint32_t i = 0; i < 3; i++) {
            assert_in_range(owners[i], t.gpu_count / 3 ? t.gpu_count / 3 : 1,
                            (t.gpu_count + 2) / 3);
        }
        topology_rail_map_delete(&map);
    }
}

/* mlx5_0 and gpu1 are below one bridge, mlx5_1 and gpu0 beside it: gpu0 can do with either port. */
static void deals_to_who_has_no_other_first(void **state)
{
    (void)state;
    struct topology_place places[] = {{.kind = TOPOLOGY_HOST_BRIDGE, .parent = TOPOLOGY_NONE},
                                      {.kind = TOPOLOGY_BRIDGE, .parent = 0},
                                      {.kind = TOPOLOGY_PCI, .parent = 1},
                                      {.kind = TOPOLOGY_PCI, .parent = 1},
                                      {.kind = TOPOLOGY_PCI, .parent = 0},
                                      {.kind = TOPOLOGY_PCI, .parent = 0}};
    struct topology_gpu gpus[] = {{.name = "gpu0", .place = 5}, {.name = "gpu1", .place = 3}};
    struct topology_port ports[] = {{.name = "mlx5_0", .place = 2}, {.name = "mlx5_1", .place = 4}};
    struct topology_numa numas[] = {{.name = "numa0"}};
    struct topology t = {.numa_count = 1,
                         .place_count = 6,
                         .gpu_count = 2,
                         .port_count = 2,
                         .numas = numas,
                         .places = places,
                         .gpus = gpus,
                         .ports = ports};
    struct topology_rail_map *map = choose(&t, NULL);
    check(&t, map, "gpu0", "PHB mlx5_1 | mlx5_0");
    check(&t, map, "gpu1", "PIX mlx5_0");
    topology_rail_map_delete(&map);
}

static void an_override_replaces_what_it_names(void **state)
{
    (void)state;
    struct topology *t = machine_read("asymmetric");
    struct topology_rail_map *map =
        choose(t, " gpu0 = mlx5_1 + mlx5_10 ,numa1=mlx4_0,gpu2=mlx5_2+mlx4_0:1, gpu4=mlx5_0:1 ");
    check(t, map, "gpu0", "SYS mlx5_1 mlx5_10");
    check(t, map, "numa1", "PHB mlx4_0:1 mlx4_0:2");
    check(t, map, "gpu2", "NODE mlx5_2 mlx4_0:1");
    check(t, map, "gpu4", "SYS mlx5_0");
    check(t, map, "numa0", "PHB mlx5_0 mlx5_1");
    check(t, map, "gpu1", "NODE mlx5_0 mlx5_1"); /* nobody to share with any more */
    assert_true(rails_of(t, map, "gpu0")->is_overridden);
    assert_false(rails_of(t, map, "gpu1")->is_overridden);
    check_why(t, map, "gpu0", "as the override says");
    check_why(t, map, "gpu2", "as the override says; mlx5_2 is down");
    topology_rail_map_delete(&map);
    topology_delete(&t);
}

static void a_bad_override_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *override;
        const char *says;
    } bad[] = {
        {"gpu9=mlx5_0", "rails: no memory 'gpu9' here; this node has gpu0, gpu1, gpu2, gpu3, "
                        "gpu4, numa0, numa1, numa2"},
        {"gpu0=mlx5_7", "rails: no port 'mlx5_7' here; this node has mlx4_0:1, mlx4_0:2, mlx5_0, "
                        "mlx5_1, mlx5_2, mlx5_10"},
        {"gpu0=mlx5_0:2", "no port 'mlx5_0:2' here"},
        {"gpu0=mlx5_0, gpu0=mlx5_1", "gpu0 is given twice"},
        {"gpu0=mlx5_0+mlx5_0", "port 'mlx5_0' is named twice for gpu0"},
        {"gpu0=mlx4_0+mlx4_0:1", "port 'mlx4_0:1' is named twice for gpu0"},
        {"gpu0", "at 'gpu0': expected MEMORY=PORT"},
        {"gpu0=", "at '': expected"},
        {"gpu0=mlx5_0+", "at '': expected"},
        {"gpu0=mlx5_0,", "at '': expected"},
        {"=mlx5_0", "at '=mlx5_0': expected"},
        {"gpu0=mlx5_0 mlx5_1", "at 'mlx5_1': expected"},
        {",", "at ',': expected"},
        {"gpu0=mlx5_00000000000000000000000000000000000000000000000000000000000000000000000000",
         "expected"},
    };
    struct topology *t = machine_read("asymmetric");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct topology_rail_map untouched;
        struct topology_rail_map *map = &untouched;
        char reason[256] = "";
        assert_int_equal(topology_rails_choose(t, bad[i].override, &map, reason, sizeof(reason)),
                         CKPT_ERR_CONFIG);
        if (!strstr(reason, bad[i].says)) {
            fail_msg("'%s' is refused with '%s', expected '%s'", bad[i].override, reason,
                     bad[i].says);
        }
        assert_ptr_equal(map, &untouched);
    }
    topology_delete(&t);

    char reason[256] = "";
    struct topology_rail_map *map = NULL;
    t = machine_read("nvidiaDGX2");
    assert_int_equal(topology_rails_choose(t, "gpu0=mlx5_0", &map, reason, sizeof(reason)),
                     CKPT_ERR_CONFIG);
    assert_non_null(strstr(reason, "this node has none at all"));
    topology_delete(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rails_of_a_dgx),
        cmocka_unit_test(rails_of_an_asymmetric_machine),
        cmocka_unit_test(rails_within_a_socket_come_first),
        cmocka_unit_test(virtual_functions_are_for_guests),
        cmocka_unit_test(rails_of_recorded_machines),
        cmocka_unit_test(no_rails_has_a_reason),
        cmocka_unit_test(deals_evenly),
        cmocka_unit_test(deals_to_who_has_no_other_first),
        cmocka_unit_test(an_override_replaces_what_it_names),
        cmocka_unit_test(a_bad_override_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
