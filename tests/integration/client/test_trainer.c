/* SPDX-License-Identifier: Apache-2.0 */
/* The example trainer on real daemons: killed on one node, it goes on at the other with the numbers
 * that it would have had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "integration/client/nodes.h"

#define LINES_MAX 64
#define LINE_BYTES 256

struct losses {
    double loss[LINES_MAX]; /* by step; 0: not printed */
};

/* One run of the trainer, saving every fourth step and waiting for it. */
struct training {
    uint32_t node;
    const char *run;
    const char *attempt;
    const char *steps;
    const char *copies; /* as many as there are agents */
    char log[96];
};

static void train(const struct nodes *nodes, struct training *training, const char *log)
{
    const char *arguments[] = {
        "--socket",     nodes->sockets[training->node],
        "--run",        training->run,
        "--attempt",    training->attempt,
        "--steps",      training->steps,
        "--copies",     training->copies,
        "--save-every", "4",
        "--wait-ms",    "30000",
        TRAINER_TEXT,   NULL,
    };
    struct process trainer = {.pid = 0};
    (void)snprintf(training->log, sizeof(training->log), "%s/%s", nodes->directory, log);
    process_start(&trainer, TRAINER_PROGRAM, arguments, NULL, training->log);
    assert_int_equal(process_wait(&trainer), 0);
    assert_false(process_logged(&trainer, "CKPT_ERR"));
}

static void read_losses(const char *log, struct losses *losses_out)
{
    char line[LINE_BYTES];
    FILE *file = fopen(log, "re");
    assert_non_null(file);
    memset(losses_out, 0, sizeof(*losses_out));
    while (fgets(line, sizeof(line), file) != NULL) {
        unsigned step;
        double loss;
        if (sscanf(line, "step=%u loss=%lf", &step, &loss) == 2 && step < LINES_MAX) {
            losses_out->loss[step] = loss;
        }
    }
    (void)fclose(file);
}

static void test_goes_on(void **state)
{
    struct nodes *nodes = *state;
    struct training whole = {.run = "whole", .attempt = "1", .steps = "12", .copies = "2"};
    struct training first = {.run = "cut", .attempt = "1", .steps = "9", .copies = "2"};
    struct training second = {
        .node = 1, .run = "cut", .attempt = "2", .steps = "12", .copies = "1"};
    struct losses straight;
    struct losses before;
    struct losses after;
    train(nodes, &whole, "whole.log");
    train(nodes, &first, "first.log");
    process_kill(&nodes->agents[0]);
    train(nodes, &second, "second.log");
    read_losses(whole.log, &straight);
    read_losses(first.log, &before);
    read_losses(second.log, &after);
    for (uint32_t step = 1; step <= 12; step++) {
        /* Step 9 was trained after the last save, so it is trained twice. */
        assert_true(straight.loss[step] > 0);
        assert_true(before.loss[step] == (step <= 9 ? straight.loss[step] : 0));
        assert_true(after.loss[step] == (step > 8 ? straight.loss[step] : 0));
    }
    struct process second_run = {.pid = 0};
    (void)snprintf(second_run.log, sizeof(second_run.log), "%s", second.log);
    assert_true(process_logged(&second_run, "loaded step=8 of attempt=1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_goes_on, nodes_start, nodes_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
