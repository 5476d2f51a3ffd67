/* SPDX-License-Identifier: Apache-2.0 */
/* `ckptctl topology` as a person and a program see it. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "integration/process.h"

struct output {
    char directory[64];
    char log[96];
    char text[65536];
};

static int start(void **state)
{
    struct output *output = calloc(1, sizeof(*output));
    snprintf(output->directory, sizeof(output->directory), "/tmp/topology_verb.XXXXXX");
    if (!mkdtemp(output->directory)) {
        free(output);
        return -1;
    }
    snprintf(output->log, sizeof(output->log), "%s/log", output->directory);
    *state = output;
    return 0;
}

static int stop(void **state)
{
    struct output *output = *state;
    unlink(output->log);
    rmdir(output->directory);
    free(output);
    return 0;
}

/* Runs ckptctl topology with up to three options. Its exit code; what it said is in
 * output->text. */
static int run(struct output *output, const char *first, const char *second, const char *third)
{
    const char *arguments[] = {"topology", first, second, third, NULL};
    struct process process;
    unlink(output->log);
    process_start(&process, CKPTCTL_PROGRAM, arguments, NULL, output->log);
    int code = process_wait(&process);
    FILE *file = fopen(output->log, "r");
    assert_non_null(file);
    output->text[fread(output->text, 1, sizeof(output->text) - 1, file)] = '\0';
    fclose(file);
    return code;
}

static void prints_matrix_rails_and_reasons(void **state)
{
    struct output *output = *state;
    assert_int_equal(run(output, "--xml=" MACHINES "/dgx.xml", NULL, NULL), 0);
    assert_non_null(strstr(output->text, "GPU0   X     PIX   NODE  NODE  SYS "));
    assert_non_null(strstr(output->text, "  NIC9: mlx5_9, 0000:e1:00.0, numa1\n"));
    assert_non_null(strstr(output->text, "MEMORY  CLASS  BEGINS ON "));
    assert_non_null(strstr(output->text, "at most one PCI bridge between; 2 of 10 usable ports"));
    assert_int_equal(run(output, "--xml=" MACHINES "/dgx.xml", "--rails=gpu7=mlx5_9+mlx5_0", NULL),
                     0);
    assert_non_null(strstr(output->text, "gpu7    SYS    mlx5_9 mlx5_0 "));
    assert_non_null(strstr(output->text, "as the override says"));
}

static void answers_programs(void **state)
{
    struct output *output = *state;
    assert_int_equal(run(output, "--xml=" MACHINES "/asymmetric.xml", "--json", NULL), 0);
    json_t *document = json_loads(output->text, 0, NULL);
    assert_non_null(document);
    const char *memory;
    const char *class;
    const char *own;
    const char *other;
    const char *far;
    int down = -1;
    assert_int_equal(json_unpack(document, "{s:{s:{s:s}}}", "matrix", "gpu4", "numa0", &far), 0);
    assert_string_equal(far, "SYS");
    assert_int_equal(json_unpack(json_array_get(json_object_get(document, "rails"), 1),
                                 "{s:s,s:s,s:[s!],s:[s!]}", "memory", &memory, "class", &class,
                                 "own", &own, "others", &other),
                     0);
    assert_string_equal(memory, "gpu1");
    assert_string_equal(class, "NODE");
    assert_string_equal(own, "mlx5_1");
    assert_string_equal(other, "mlx5_0");
    assert_int_equal(
        json_unpack(json_array_get(json_object_get(document, "ports"), 1), "{s:b}", "down", &down),
        0);
    assert_int_equal(down, 1);
    assert_int_equal(json_array_size(json_object_get(document, "gpus")), 5);
    assert_int_equal(json_array_size(json_object_get(document, "numas")), 3);
    json_decref(document);
}

static void exit_codes_say_what_is_wrong(void **state)
{
    struct output *output = *state;
    assert_int_equal(run(output, "--xml=" MACHINES "/nvidiaDGX2.xml", NULL, NULL), 1);
    assert_non_null(strstr(output->text, "no rails: no RDMA device among the I/O devices"));
    assert_int_equal(run(output, "--xml=/no/such/file.xml", NULL, NULL), 1);
    assert_non_null(strstr(output->text, "ckptctl: /no/such/file.xml: No such file"));
    assert_int_equal(run(output, "--xml=" MACHINES "/README.md", NULL, NULL), 1);
    assert_non_null(strstr(output->text, "no recording of a topology"));
    assert_int_equal(run(output, "--xml=" MACHINES "/dgx.xml", "--rails=gpu0=eth0", NULL), 2);
    assert_non_null(strstr(output->text, "no port 'eth0' here; this node has mlx5_0, mlx5_1"));
    assert_int_equal(run(output, "--copies=2", NULL, NULL), 2);
    assert_int_equal(run(output, "everything", NULL, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(prints_matrix_rails_and_reasons, start, stop),
        cmocka_unit_test_setup_teardown(answers_programs, start, stop),
        cmocka_unit_test_setup_teardown(exit_codes_say_what_is_wrong, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
