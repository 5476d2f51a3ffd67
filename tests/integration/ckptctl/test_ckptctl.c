/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that ask the coordinator, as a person and as a program type them, with played agents.
 * */
#include <regex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "integration/ckptctld/cluster.h"

#define OUTPUT_MAX 65536

struct session {
    struct cluster *cluster;
    struct agent_player players[2];
    bool lies; /* player 1's digest of rank 0 is another when it is asked again */
    char output[OUTPUT_MAX];
};

static int start(void **state)
{
    struct session *session = calloc(1, sizeof(*session));
    void *made;
    if (cluster_make(&made) != 0) {
        free(session);
        return -1;
    }
    session->cluster = made;
    cluster_start(session->cluster, NULL, NULL);
    player_join(&session->players[0], session->cluster, 0, 1);
    player_join(&session->players[1], session->cluster, 1, 1);
    *state = session;
    return 0;
}

static int stop(void **state)
{
    struct session *session = *state;
    void *made = session->cluster;
    player_leave(&session->players[0]);
    player_leave(&session->players[1]);
    cluster_clear(&made);
    free(session);
    return 0;
}

/* Does what the players' coordinator asks of them: keep alive, digest again. */
static void attend(struct session *session)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct agent_player *player = &session->players[i];
        const struct message *message;
        while (player->peer.fd >= 0 && (message = peer_receive(&player->peer, 1))) {
            if (message->type != MESSAGE_VERIFY_ORDER) {
                continue;
            }
            struct message_verify_order order = message->verify_order;
            struct message report = {.type = MESSAGE_SHARD_REPORT};
            report.shard_report.shard = order.shard;
            report.shard_report.world = 2;
            report.shard_report.copies = 2;
            report.shard_report.bytes = 1000000 + order.shard.rank;
            report.shard_report.generation = order.generation;
            report.shard_report.state = COPY_VERIFIED;
            report.shard_report.owner = order.shard.rank == i;
            report.shard_report.order = order.order;
            report.shard_report.digest = player_digest(order.shard.step, order.shard.rank);
            if (session->lies && i == 1 && order.shard.rank == 0) {
                report.shard_report.digest.bytes[5] ^= 1;
            }
            peer_send(&player->peer, &report);
        }
    }
}

/* Runs ckptctl with these arguments (up to NULL) while the players attend. Its exit code; what it
 * printed is in session->output. */
static int run(struct session *session, ...)
{
    const char *arguments[16];
    char log[128];
    char coordinator[160];
    struct process process;
    size_t count = 0;
    va_list list;
    va_start(list, session);
    do {
        arguments[count] = va_arg(list, const char *);
    } while (arguments[count++]);
    va_end(list);
    snprintf(log, sizeof(log), "%s/output", session->cluster->directory);
    snprintf(coordinator, sizeof(coordinator), "CKPT_COORDINATOR=%s", session->cluster->socket);
    const char *environment[] = {coordinator, NULL};
    unlink(log);
    process_start(&process, CKPTCTL_PROGRAM, arguments, environment, log);
    siginfo_t ended = {.si_pid = 0};
    while (ended.si_pid == 0) {
        attend(session);
        waitid(P_PID, (id_t)process.pid, &ended, WEXITED | WNOHANG | WNOWAIT);
    }
    int code = process_wait(&process);
    FILE *file = fopen(log, "r");
    size_t got = file ? fread(session->output, 1, OUTPUT_MAX - 1, file) : 0;
    session->output[got] = '\0';
    if (file) {
        fclose(file);
    }
    return code;
}

static void expect_output(const struct session *session, const char *text)
{
    if (!strstr(session->output, text)) {
        fail_msg("'%s' is not in:\n%s", text, session->output);
    }
}

/* Times are never the same. */
#define TIME " +(-|[0-9]+ m?s)"
#define STAMP "20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"

static void expect_match(const struct session *session, const char *pattern)
{
    regex_t compiled;
    assert_int_equal(regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int result = regexec(&compiled, session->output, 0, NULL, 0);
    regfree(&compiled);
    if (result != 0) {
        fail_msg("'%s' does not match:\n%s", pattern, session->output);
    }
}

static json_t *output_json(const struct session *session)
{
    json_error_t error;
    json_t *document = json_loads(session->output, 0, &error);
    if (!document) {
        fail_msg("%s in:\n%s", error.text, session->output);
    }
    return document;
}

static void save_two(struct session *session)
{
    assert_true(players_save(session->players, 100, NULL));
    assert_true(players_save(session->players, 200, NULL));
}

static void tables_are_aligned(void **state)
{
    struct session *session = *state;
    save_two(session);
    assert_int_equal(run(session, "list", PLAYER_RUN, NULL), 0);
    expect_match(session,
                 "^STEP  STATE       ATTEMPT  WORLD  COPIES    BYTES  SEALED  READY +AGE "
                 "+INTERVAL +TOOK  COMMITTED +NOTE\n"
                 " 200  consistent        1      2       2  1.9 MiB     2/2    2/2" TIME TIME TIME
                 "  " STAMP "  \n"
                 " 100  consistent        1      2       2  1.9 MiB     2/2    2/2" TIME " +-" TIME
                 "  " STAMP "  \n$");
    assert_int_equal(run(session, "runs", NULL), 0);
    expect_match(session, "^RUN         USER  ATTEMPT  WORLD  LATEST  STATE +AGE +INTERVAL +TOOK  "
                          "CHECKPOINTS  LINGERS  COMMITTED\n"
                          "team/llama  1234        1      2     200  consistent" TIME TIME TIME
                          " +2        -  " STAMP "\n$");
    assert_int_equal(run(session, "placement", PLAYER_RUN, NULL), 0);
    assert_string_equal(session->output, "run team/llama, step 200: consistent\n\n"
                                         "RANK    BYTES  OWNER        HOLDERS\n"
                                         "   0  977 KiB  node0@node0  node1@node1\n"
                                         "   1  977 KiB  node1@node1  node0@node0\n");
    assert_int_equal(run(session, "placement", NULL), 0);
    assert_string_equal(session->output, "NODE   DOMAIN  OWNS  HOLDS    BYTES\n"
                                         "node0  node0      1      1  1.9 MiB\n"
                                         "node1  node1      1      1  1.9 MiB\n");
    assert_int_equal(run(session, "nodes", NULL), 0);
    expect_output(session, "\nnode1  joined  node1   10.0.0.1:7470");
    assert_int_equal(run(session, "status", NULL), 0);
    expect_output(session, "nodes        2 joined, 0 lost\n");
    expect_output(session, "checkpoints  2 consistent, 0 verifying, 0 open\n");
}

static void a_checkpoint_is_shown_whole(void **state)
{
    struct session *session = *state;
    save_two(session);
    assert_int_equal(run(session, "show", PLAYER_RUN, "100", NULL), 0);
    expect_output(session, "run team/llama of 1234, attempt 1, step 100: consistent\n"
                           "committed   20");
    expect_output(session,
                  "holds       1.9 MiB of 2 ranks, 2 of them sealed\n"
                  "copies      2 asked for; 2 of 2 shards have them, the one that has fewest "
                  "has 2\n\n"
                  "RANK    BYTES  KIND    DIGEST  ");
    expect_output(
        session, "   0  1000000  blake3  6464646464646464646464646464646464646464646464646464646464"
                 "646464  node0(owner) node1\n");
    assert_int_equal(run(session, "show", PLAYER_RUN, NULL), 0);
    expect_output(session, "step 200: consistent");
    assert_int_equal(run(session, "show", PLAYER_RUN, "150", NULL), 1);
    assert_int_equal(run(session, "show", "other", NULL), 1);
    expect_output(session, "no run other is known");
}

static void programs_get_json(void **state)
{
    struct session *session = *state;
    static const char *const fields[][2] = {
        {"status", "epoch"}, {"nodes", "nodes"}, {"runs", "runs"}, {"placement", "nodes"}};
    save_two(session);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        assert_int_equal(run(session, "--json", fields[i][0], NULL), 0);
        json_t *document = output_json(session);
        assert_non_null(json_object_get(document, fields[i][1]));
        assert_null(json_object_get(document, "next"));
        json_decref(document);
    }
    assert_int_equal(run(session, "show", PLAYER_RUN, "-j", NULL), 0);
    json_t *document = output_json(session);
    assert_int_equal(json_array_size(json_object_get(document, "shards")), 2);
    assert_int_equal(json_integer_value(json_object_get(document, "step")), 200);
    json_decref(document);
    assert_int_equal(run(session, "list", PLAYER_RUN, "-j", NULL), 0);
    document = output_json(session);
    const json_t *first = json_array_get(json_object_get(document, "checkpoints"), 0);
    assert_int_equal(json_integer_value(json_object_get(first, "step")), 200);
    json_decref(document);
}

static void color_is_for_terminals(void **state)
{
    struct session *session = *state;
    save_two(session);
    assert_int_equal(run(session, "list", PLAYER_RUN, NULL), 0);
    assert_null(strchr(session->output, '\033'));
    assert_int_equal(run(session, "list", PLAYER_RUN, "--color=always", NULL), 0);
    assert_non_null(strchr(session->output, '\033'));
}

static void waiting_ends_with_the_answer(void **state)
{
    struct session *session = *state;
    assert_int_equal(run(session, "wait", PLAYER_RUN, "--timeout=200ms", NULL), 1);
    expect_output(session, "not consistent after 200 ms");
    save_two(session);
    assert_int_equal(run(session, "wait", PLAYER_RUN, NULL), 0);
    assert_int_equal(run(session, "wait", PLAYER_RUN, "200", NULL), 0);
    expect_output(session, "step 200 is consistent: 2 ranks, 1.9 MiB, 2 copies\n");
    assert_int_equal(run(session, "wait", PLAYER_RUN, "300", "--timeout=200ms", NULL), 1);
    assert_int_equal(run(session, "wait", PLAYER_RUN, "150", NULL), 1);
    expect_output(session, "never will be");
}

static void waiting_outlasts_the_save(void **state)
{
    struct session *session = *state;
    char log[128];
    char coordinator[160];
    struct process process;
    snprintf(log, sizeof(log), "%s/output", session->cluster->directory);
    snprintf(coordinator, sizeof(coordinator), "--coordinator=%s", session->cluster->socket);
    const char *arguments[] = {"wait", PLAYER_RUN, "200", coordinator, NULL};
    process_start(&process, CKPTCTL_PROGRAM, arguments, NULL, log);
    save_two(session);
    assert_int_equal(process_wait(&process), 0);
}

static void verifying_says_yes(void **state)
{
    struct session *session = *state;
    save_two(session);
    assert_int_equal(run(session, "verify", PLAYER_RUN, "200", NULL), 0);
    assert_string_equal(session->output, "RANK  NODE   DOMAIN  RESULT\n"
                                         "   0  node0  node0   ok\n"
                                         "   0  node1  node1   ok\n"
                                         "   1  node1  node1   ok\n"
                                         "   1  node0  node0   ok\n"
                                         "\nstep 200: 4 of 4 copies are what they should be\n");
    assert_int_equal(run(session, "verify", PLAYER_RUN, "--json", NULL), 0);
    json_t *document = output_json(session);
    assert_true(json_is_true(json_object_get(document, "equal")));
    assert_int_equal(json_array_size(json_object_get(document, "copies")), 4);
    json_decref(document);
}

static void verifying_says_no(void **state)
{
    struct session *session = *state;
    save_two(session);
    session->lies = true;
    assert_int_equal(run(session, "verify", PLAYER_RUN, "200", NULL), 1);
    expect_output(session, "   0  node0  node0   ok\n");
    expect_output(session, "   0  node1  node1   differs\n");
    expect_output(session, "step 200: 3 of 4 copies are what they should be\n");
    assert_int_equal(run(session, "nodes", "-j", NULL), 0);
    json_t *document = output_json(session);
    const json_t *node = json_array_get(json_object_get(document, "nodes"), 1);
    assert_int_equal(json_integer_value(json_object_get(node, "mismatches")), 1);
    json_decref(document);
    assert_true(process_logged(&session->cluster->coordinator, "event=digest_mismatch"));
}

static void verifying_has_a_bound(void **state)
{
    struct session *session = *state;
    save_two(session);
    /* The node is there, but it never answers. */
    player_leave(&session->players[1]);
    assert_int_equal(run(session, "verify", PLAYER_RUN, "200", "--timeout=100ms", NULL), 1);
    session->players[1].peer.fd = -1;
}

static void retiring_needs_care(void **state)
{
    struct session *session = *state;
    save_two(session);
    assert_int_equal(run(session, "retire", PLAYER_RUN, "200", NULL), 1);
    expect_output(session, "--newer");
    assert_int_equal(run(session, "retire", PLAYER_RUN, "100", "--newer", NULL), 0);
    assert_int_equal(run(session, "wait", PLAYER_RUN, NULL), 0);
    expect_output(session, "step 100 is consistent");
    assert_int_equal(run(session, "retire", PLAYER_RUN, "200", NULL), 1);
    assert_int_equal(run(session, "retire", PLAYER_RUN, "latest", NULL), 2);
}

static void wrong_lines_are_refused(void **state)
{
    struct session *session = *state;
    assert_int_equal(run(session, NULL), 2);
    assert_int_equal(run(session, "stats", NULL), 2);
    expect_output(session, "did you mean status?");
    assert_int_equal(run(session, "list", NULL), 2);
    assert_int_equal(run(session, "list", "a", "b", NULL), 2);
    assert_int_equal(run(session, "list", "../etc", NULL), 2);
    assert_int_equal(run(session, "show", PLAYER_RUN, "-5", NULL), 2);
    assert_int_equal(run(session, "show", PLAYER_RUN, "12x", NULL), 2);
    assert_int_equal(run(session, "show", PLAYER_RUN, "18446744073709551615", NULL), 2);
    assert_int_equal(run(session, "status", "--timeout=3s", NULL), 2);
    expect_output(session, "status takes no --timeout, wait does; ckptctl help status");
    assert_int_equal(run(session, "--newer", "status", NULL), 2);
    expect_output(session, "status takes no --newer, retire does");
    assert_int_equal(run(session, "status", "--frobnicate", NULL), 2);
    expect_output(session, "unknown flag --frobnicate");
    assert_int_equal(run(session, "retire", PLAYER_RUN, "1", "--never", NULL), 2);
    expect_output(session, "unknown flag --never; did you mean --newer?");
    assert_int_equal(run(session, "runs", "--user=nobody-of-that-name", NULL), 2);
    assert_int_equal(run(session, "--coordinator=nowhere", "status", NULL), 1);
    expect_output(session, "is no address");
}

static void help_is_there(void **state)
{
    struct session *session = *state;
    static const char *const names[] = {"status", "nodes",     "runs",  "list",
                                        "show",   "placement", "wait",  "verify",
                                        "retire", "export",    "import"};
    assert_int_equal(run(session, "--help", NULL), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        expect_output(session, names[i]);
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char usage[64];
        snprintf(usage, sizeof(usage), "Usage: ckptctl %s", names[i]);
        assert_int_equal(run(session, names[i], "--help", NULL), 0);
        expect_output(session, usage);
        assert_int_equal(run(session, "help", names[i], NULL), 0);
        expect_output(session, usage);
    }
    assert_int_equal(run(session, "help", NULL), 0);
    expect_output(session, "Usage: ckptctl [OPTION]... VERB");
    assert_int_equal(run(session, "help", "exprot", NULL), 2);
    expect_output(session, "unknown verb 'exprot'; did you mean export?");
    assert_int_equal(run(session, "--version", NULL), 0);
}

static void each_verb_shows_its_own_flags(void **state)
{
    struct session *session = *state;
    assert_int_equal(run(session, "help", "retire", NULL), 0);
    expect_output(session, "--newer");
    assert_null(strstr(session->output, "--attempt"));
    assert_int_equal(run(session, "help", "wait", NULL), 0);
    expect_output(session, "-t, --timeout=TIME");
    expect_output(session, "(default: 10min)");
    assert_int_equal(run(session, "--help", NULL), 0);
    assert_null(strstr(session->output, "--timeout=TIME"));
}

/* A verb is found behind flags of its own, and behind their values. */
static void flags_may_come_first(void **state)
{
    struct session *session = *state;
    assert_int_equal(run(session, "-t", "200ms", "wait", PLAYER_RUN, NULL), 1);
    expect_output(session, "not consistent after 200 ms");
    assert_int_equal(run(session, "--user", "0", "--json", "runs", NULL), 0);
    expect_output(session, "\"runs\"");
}

static void a_plan_asks_nobody(void **state)
{
    struct session *session = *state;
    cluster_stop(session->cluster);
    assert_int_equal(
        run(session, "plan", "--ranks=8", "--bytes=10GiB", "--nodes=16", "--keep=2", NULL), 0);
    expect_output(session, "a node must give 520 GiB\n");
    expect_output(session, "= 48 shards, and 4 of a lost one of 16 nodes\n");
    expect_output(session, "bytes = 520GiB\n");
    expect_output(session, "sysctl vm.nr_hugepages=266258 ");
    expect_output(session, "huge=within_size /dev/shm\n");
    assert_int_equal(run(session, "plan", "--ranks=8", "--bytes=400GiB", "--json", NULL), 0);
    json_t *document = output_json(session);
    assert_int_equal(json_integer_value(json_object_get(document, "shards")), 72);
    assert_int_equal(json_integer_value(json_object_get(document, "segment_bytes")), 8LL << 30);
    json_decref(document);
    assert_int_equal(run(session, "plan", "--ranks=16", "--bytes=8000", NULL), 0);
    expect_output(session, "which take 2.0 MiB each: 2 segments of 256 MiB\n");
    assert_int_equal(run(session, "plan", NULL), 2);
    expect_output(session, "how large is a rank's shard? --bytes=20GiB");
    assert_int_equal(run(session, "plan", "--bytes=1GiB", "--copies=3", "--nodes=2", NULL), 2);
    expect_output(session, "3 copies need as many nodes, not 2");
    assert_int_equal(run(session, "plan", "--bytes=1048576GiB", "--ranks=65536", NULL), 1);
    expect_output(session, "more than one arena can have");
    cluster_start(session->cluster, NULL, NULL);
}

static void memory_is_told_beside_what_is_in_it(void **state)
{
    struct session *session = *state;
    struct message beat = {.type = MESSAGE_HEARTBEAT};
    beat.heartbeat.has_bytes = true;
    beat.heartbeat.bytes_taken = 512 << 20;
    beat.heartbeat.bytes_held = 300 << 20;
    peer_send(&session->players[0].peer, &beat);
    assert_int_equal(run(session, "nodes", NULL), 0);
    expect_output(session, "512 MiB  300 MiB");
    assert_int_equal(run(session, "nodes", "--json", NULL), 0);
    json_t *document = output_json(session);
    const json_t *nodes = json_object_get(document, "nodes");
    const json_t *told = json_array_get(nodes, 0), *silent = json_array_get(nodes, 1);
    assert_int_equal(json_integer_value(json_object_get(told, "bytes_held")), 300 << 20);
    assert_true(json_is_null(json_object_get(silent, "bytes_held")));
    json_decref(document);
}

static void nobody_there_has_its_own_code(void **state)
{
    struct session *session = *state;
    cluster_stop(session->cluster);
    assert_int_equal(run(session, "status", NULL), 3);
    expect_output(session, "no coordinator answers at");
    assert_int_equal(run(session, "-C", "127.0.0.1:1", "status", NULL), 3);
    assert_int_equal(run(session, "wait", PLAYER_RUN, "--timeout=200ms", NULL), 3);
    assert_int_equal(run(session, "-S", "/nonexistent", "export", "a", "1", "0", "/tmp/x", NULL),
                     3);
    assert_int_equal(run(session, "-S", "/nonexistent", "import", "a", "1", "/etc/hosts", NULL), 3);
    cluster_start(session->cluster, NULL, NULL);
}

int main(void)
{
#define WITH_PLAYERS(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        WITH_PLAYERS(tables_are_aligned),
        WITH_PLAYERS(a_checkpoint_is_shown_whole),
        WITH_PLAYERS(programs_get_json),
        WITH_PLAYERS(color_is_for_terminals),
        WITH_PLAYERS(waiting_ends_with_the_answer),
        WITH_PLAYERS(waiting_outlasts_the_save),
        WITH_PLAYERS(verifying_says_yes),
        WITH_PLAYERS(verifying_says_no),
        WITH_PLAYERS(verifying_has_a_bound),
        WITH_PLAYERS(retiring_needs_care),
        WITH_PLAYERS(wrong_lines_are_refused),
        WITH_PLAYERS(help_is_there),
        WITH_PLAYERS(each_verb_shows_its_own_flags),
        WITH_PLAYERS(flags_may_come_first),
        WITH_PLAYERS(a_plan_asks_nobody),
        WITH_PLAYERS(memory_is_told_beside_what_is_in_it),
        WITH_PLAYERS(nobody_there_has_its_own_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
