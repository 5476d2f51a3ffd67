/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's choice of transport, rails and bindings, on recorded machines. The expected rails are
 * those of docs/topology.md, worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ckptd/rails.h"
#include "topology/node_topology.h"

static struct rails rails;
static char reason[CKPT_REASON_MAX + 1];

static enum ckpt_status choose(const char *machine, const struct rails_wish *wish)
{
    char path[512];
    struct topology *topology = NULL;

    snprintf(path, sizeof path, "%s/%s", MACHINES, machine);
    if (topology_read_file(path, &topology, reason, sizeof reason) != CKPT_OK) {
        fail_msg("%s", reason);
    }
    memset(&rails, 0, sizeof rails);
    enum ckpt_status status = rails_choose_on(topology, wish, &rails, reason);
    topology_delete(&topology);
    return status;
}

static void auto_takes_all_near_ports_and_binds(void **state)
{
    (void)state;
    struct rails_wish wish = {.spec = "auto", .rails = "auto"};

    assert_int_equal(choose("dgx.xml", &wish), CKPT_OK);
    assert_string_equal(rails.spec, "verbs:mlx5_0+mlx5_1+mlx5_2+mlx5_3+mlx5_4+mlx5_5+mlx5_6+"
                                    "mlx5_7+mlx5_8+mlx5_9");
    assert_string_equal(rails.fallback, "ucx:tcp");
    assert_true(rails.lenient);
    assert_string_equal(rails_near(&rails, 0), "mlx5_0+mlx5_1+mlx5_2+mlx5_3+mlx5_4");
    assert_string_equal(rails_near(&rails, 1), "mlx5_5+mlx5_6+mlx5_7+mlx5_8+mlx5_9");
    assert_null(rails_near(&rails, -1));
    assert_null(rails_near(&rails, 7));
    assert_int_equal(rails.arena_count, 2);
    assert_int_equal(rails.arena_nodes[0], 0);
    assert_int_equal(rails.arena_nodes[1], 1);
    /* Rails on both sides: there is nothing to bind threads to. */
    assert_int_equal(CPU_COUNT(&rails.mover_cpus), 0);
    assert_int_equal(CPU_COUNT(&rails.digest_cpus), 0);
}

static void memory_without_a_near_port_gets_no_arena(void **state)
{
    (void)state;
    struct rails_wish wish = {.spec = "verbs", .rails = "auto"};

    assert_int_equal(choose("asymmetric.xml", &wish), CKPT_OK);
    assert_string_equal(rails.spec, "verbs:mlx5_0+mlx5_1+mlx4_0:1+mlx5_10");
    assert_null(rails.fallback);
    assert_string_equal(rails_near(&rails, 1), "mlx4_0:1+mlx5_10");
    assert_null(rails_near(&rails, 2)); /* all four are as far: none is preferred */
    assert_int_equal(rails.arena_count, 2);
    assert_int_equal(rails.arena_nodes[0], 0);
    assert_int_equal(rails.arena_nodes[1], 1);
    assert_int_equal(CPU_COUNT(&rails.mover_cpus), 4);
    assert_true(CPU_EQUAL(&rails.mover_cpus, &rails.digest_cpus));
}

static void the_configuration_names_arena_nodes(void **state)
{
    (void)state;
    const int nodes[] = {2};
    struct rails_wish wish = {
        .spec = "verbs", .rails = "auto", .arena_nodes = nodes, .arena_count = 1};

    assert_int_equal(choose("asymmetric.xml", &wish), CKPT_OK);
    assert_int_equal(rails.arena_count, 1);
    assert_int_equal(rails.arena_nodes[0], 2);
    assert_int_equal(CPU_COUNT(&rails.digest_cpus), 2);
}

static void ports_are_named(void **state)
{
    (void)state;
    const struct rails_wish wishes[] = {
        {.spec = "verbs", .rails = "mlx5_3+mlx5_9"},
        {.spec = "verbs:mlx5_3+mlx5_9", .rails = "auto"},
        {.spec = "verbs", .rails = "auto", .devices = "mlx5_3+mlx5_9"},
    };

    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        assert_int_equal(choose("dgx.xml", &wishes[i]), CKPT_OK);
        assert_string_equal(rails.spec, "verbs:mlx5_3+mlx5_9");
        assert_false(rails.lenient); /* who names a port wants to hear that it is down */
    }
}

static void a_map_replaces_the_choice(void **state)
{
    (void)state;
    struct rails_wish wish = {.spec = "verbs", .rails = "numa0=mlx5_4, numa1=mlx5_9+mlx5_0"};

    assert_int_equal(choose("dgx.xml", &wish), CKPT_OK);
    assert_string_equal(rails.spec, "verbs:mlx5_4+mlx5_9+mlx5_0");
    assert_string_equal(rails_near(&rails, 0), "mlx5_4");
    assert_string_equal(rails_near(&rails, 1), "mlx5_9+mlx5_0");
    assert_false(rails.lenient);
    wish.rails = "numa0=mlx5_40";
    assert_int_equal(choose("dgx.xml", &wish), CKPT_ERR_CONFIG);
    assert_non_null(strstr(reason, "mlx5_40"));
    wish.rails = "numa7=mlx5_4";
    assert_int_equal(choose("dgx.xml", &wish), CKPT_ERR_CONFIG);
    assert_non_null(strstr(reason, "numa7"));
}

static void one_numa_node_binds_nothing(void **state)
{
    (void)state;
    struct rails_wish wish = {.spec = "auto", .rails = "auto"};

    assert_int_equal(choose("guest.xml", &wish), CKPT_OK);
    assert_int_equal(rails.arena_count, 0);
    assert_int_equal(CPU_COUNT(&rails.mover_cpus), 0);
}

static void rails_are_for_rdma(void **state)
{
    (void)state;
    struct rails_wish wish = {.spec = "ucx:tcp", .rails = "mlx5_0"};

    assert_int_equal(rails_choose(&wish, &rails, reason), CKPT_ERR_CONFIG);
    assert_non_null(strstr(reason, "for the specs verbs and auto"));
    wish.rails = "auto";
    assert_int_equal(rails_choose(&wish, &rails, reason), CKPT_OK);
    assert_string_equal(rails.spec, "ucx:tcp");
    assert_int_equal(rails.node_count, 0);
    assert_int_equal(rails.arena_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_takes_all_near_ports_and_binds),
        cmocka_unit_test(memory_without_a_near_port_gets_no_arena),
        cmocka_unit_test(the_configuration_names_arena_nodes),
        cmocka_unit_test(ports_are_named),
        cmocka_unit_test(a_map_replaces_the_choice),
        cmocka_unit_test(one_numa_node_binds_nothing),
        cmocka_unit_test(rails_are_for_rdma),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
