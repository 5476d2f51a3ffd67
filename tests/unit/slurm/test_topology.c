/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "slurm/topology.h"

static const char conf[] = "# the machine room\n"
                           "SwitchName=rack1 Nodes=n[1-2] # left\n"
                           "  switchname=rack2  linkspeed=9 nodes=n[3-4],n7\r\n"
                           "\n"
                           "SwitchName=spine Switches=rack[1-2]\n"
                           "SwitchName=all Nodes=n[1-9]";

static const char blocks[] = "BlockName=b1 Nodes=n[1-4]\nBlockName=b2 Nodes=n[5-8]\n"
                             "BlockSizes=4\n";

static const char yaml[] = "---\n"
                           "- topology: trees\n"
                           "  cluster_default: false\n"
                           "  tree:\n"
                           "    switches:\n"
                           "      - switch: sw_root\n"
                           "        children: s[1-2]\n"
                           "      - switch: s1\n"
                           "        nodes: n[1-2]\n"
                           "      - switch: \"s2\"\n"
                           "        nodes: 'n[3-4]'\n"
                           "- topology: blocks\n"
                           "  cluster_default: true\n"
                           "  block:\n"
                           "    block_sizes:\n"
                           "      - 4\n"
                           "    blocks:\n"
                           "      - block: b1\n"
                           "        nodes: n[1-3]\n";

static char domain[CKPT_DOMAIN_NAME_MAX + 1];
static char reason[CKPT_REASON_MAX + 1];

static enum ckpt_status find(const char *text, const char *node)
{
    strcpy(domain, "unset");
    reason[0] = '\0';
    return slurm_topology_domain(text, strlen(text), node, domain, reason);
}

static void leaf_switches_are_domains(void **state)
{
    (void)state;
    assert_int_equal(find(conf, "n2"), CKPT_OK);
    assert_string_equal(domain, "rack1");
    assert_int_equal(find(conf, "n7"), CKPT_OK);
    assert_string_equal(domain, "rack2");
    assert_int_equal(find(conf, "n9"), CKPT_OK);
    assert_string_equal(domain, "all");
    assert_int_equal(find(blocks, "n5"), CKPT_OK);
    assert_string_equal(domain, "b2");
}

static void yaml_is_read_and_its_default_goes_first(void **state)
{
    (void)state;
    assert_int_equal(find(yaml, "n1"), CKPT_OK);
    assert_string_equal(domain, "b1");
    assert_int_equal(find(yaml, "n4"), CKPT_OK);
    assert_string_equal(domain, "s2");
}

static void what_cannot_be_said_is_not(void **state)
{
    (void)state;
    assert_int_equal(find(conf, "n99"), CKPT_ERR_NOT_FOUND);
    assert_non_null(strstr(reason, "n99"));
    assert_string_equal(domain, "unset");
    assert_int_equal(find("", "n1"), CKPT_ERR_NOT_FOUND);
    assert_int_equal(find("SwitchName=a Nodes=n1\nSwitchName=b Nodes=n[2\n", "n1"),
                     CKPT_ERR_INVALID);
    assert_non_null(strstr(reason, "line 2"));
    assert_int_equal(find("SwitchName=a$b Nodes=n1\n", "n1"), CKPT_ERR_NAME);
    assert_int_equal(find("Nodes=n1 SwitchName=late\nSwitchName=x Level=1\nNodes=n1\n", "n1"),
                     CKPT_ERR_NOT_FOUND);
    assert_int_equal(slurm_topology_file_domain("/nowhere/topology.conf", "n1", domain, reason),
                     CKPT_ERR_SYSTEM);
    assert_string_equal(domain, "unset");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaf_switches_are_domains),
        cmocka_unit_test(yaml_is_read_and_its_default_goes_first),
        cmocka_unit_test(what_cannot_be_said_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
