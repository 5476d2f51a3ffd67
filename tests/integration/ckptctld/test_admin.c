/* SPDX-License-Identifier: Apache-2.0 */
/* What ckptctl asks, and who may. */
#include <setjmp.h>
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

static struct message_admin_ask ask_for(enum admin_verb verb, uint32_t uid, const char *run,
                                        uint64_t step)
{
    struct message_admin_ask ask = {.verb = verb, .step = step};
    ask.run.uid = uid;
    snprintf(ask.run.name, sizeof(ask.run.name), "%s", run);
    return ask;
}

static json_int_t at(const json_t *document, const char *name)
{
    const json_t *value = json_object_get(document, name);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void start_with_save(struct cluster *cluster, struct agent_player players[2],
                            const char *extra)
{
    cluster_start(cluster, extra, NULL);
    player_join(&players[0], cluster, 0, 1);
    player_join(&players[1], cluster, 1, 1);
    assert_true(players_save(players, 100, NULL));
    assert_true(players_save(players, 200, NULL));
}

static void stop(struct cluster *cluster, struct agent_player players[2])
{
    player_leave(&players[0]);
    player_leave(&players[1]);
    cluster_stop(cluster);
}

static void the_tables_say_what_is(void **state)
{
    struct cluster *cluster = *state;
    struct agent_player players[2];
    json_t *document;
    start_with_save(cluster, players, NULL);

    struct message_admin_ask ask = ask_for(ADMIN_STATUS, 0, "", 0);
    assert_int_equal(cluster_ask(cluster->socket, &ask, &document), CKPT_OK);
    assert_int_equal(at(document, "pid"), cluster->coordinator.pid);
    assert_int_equal(at(document, "runs"), 1);
    assert_int_equal(at(json_object_get(document, "nodes"), "joined"), 2);
    assert_int_equal(at(json_object_get(document, "checkpoints"), "consistent"), 2);
    assert_int_equal(at(json_object_get(document, "events"), "commit"), 2);
    json_decref(document);

    ask = ask_for(ADMIN_NODES, 0, "", 0);
    assert_int_equal(cluster_ask(cluster->socket, &ask, &document), CKPT_OK);
    const json_t *nodes = json_object_get(document, "nodes");
    assert_int_equal(json_array_size(nodes), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(nodes, 1), "node")),
                        "node1");
    assert_int_equal(at(json_array_get(nodes, 0), "copies"), 4);
    assert_true(json_is_null(json_object_get(document, "next")));
    json_decref(document);

    ask = ask_for(ADMIN_RUNS, 0, "", 0);
    assert_int_equal(cluster_ask(cluster->socket, &ask, &document), CKPT_OK);
    const json_t *run = json_array_get(json_object_get(document, "runs"), 0);
    assert_string_equal(json_string_value(json_object_get(run, "run")), PLAYER_RUN);
    assert_int_equal(at(run, "uid"), PLAYER_UID);
    assert_int_equal(at(run, "latest"), 200);
    json_decref(document);

    ask = ask_for(ADMIN_LIST, CKPT_UID_ANY, PLAYER_RUN, 0);
    assert_int_equal(cluster_ask(cluster->socket, &ask, &document), CKPT_OK);
    assert_int_equal(json_array_size(json_object_get(document, "checkpoints")), 2);
    json_decref(document);
    stop(cluster, players);
}

static void a_checkpoint_is_shown_with_its_copies(void **state)
{
    struct cluster *cluster = *state;
    struct agent_player players[2];
    json_t *document;
    char hex[DIGEST_HEX_BYTES];
    start_with_save(cluster, players, NULL);
    struct message_admin_ask ask = ask_for(ADMIN_SHOW, PLAYER_UID, PLAYER_RUN, CKPT_STEP_LATEST);
    assert_int_equal(cluster_ask(cluster->socket, &ask, &document), CKPT_OK);
    assert_int_equal(at(document, "step"), 200);
    assert_int_equal(at(document, "bytes"), 2000001);
    assert_string_equal(json_string_value(json_object_get(document, "state")), "consistent");
    const json_t *shards = json_object_get(document, "shards");
    assert_int_equal(json_array_size(shards), 2);
    for (uint32_t rank = 0; rank < 2; rank++) {
        const json_t *shard = json_array_get(shards, rank);
        struct digest digest = player_digest(200, rank);
        for (size_t i = 0; i < sizeof(digest.bytes); i++) {
            snprintf(hex + 2 * i, 3, "%02x", digest.bytes[i]);
        }
        assert_int_equal(at(shard, "rank"), rank);
        assert_string_equal(json_string_value(json_object_get(shard, "digest")), hex);
        assert_int_equal(json_array_size(json_object_get(shard, "copies")), 2);
    }
    json_decref(document);

    ask.from = 1;
    assert_int_equal(cluster_ask(cluster->socket, &ask, &document), CKPT_OK);
    assert_int_equal(json_array_size(json_object_get(document, "shards")), 1);
    json_decref(document);
    ask.from = UINT32_MAX;
    assert_int_equal(cluster_ask(cluster->socket, &ask, &document), CKPT_OK);
    assert_int_equal(json_array_size(json_object_get(document, "shards")), 0);
    json_decref(document);

    ask = ask_for(ADMIN_SHOW, PLAYER_UID, PLAYER_RUN, 150);
    assert_int_equal(cluster_ask(cluster->socket, &ask, &document), CKPT_ERR_NOT_FOUND);
    ask = ask_for(ADMIN_SHOW, PLAYER_UID, "team/other", 100);
    assert_int_equal(cluster_ask(cluster->socket, &ask, &document), CKPT_ERR_NOT_FOUND);
    stop(cluster, players);
}

static void retiring_is_durable(void **state)
{
    struct cluster *cluster = *state;
    struct agent_player players[2];
    json_t *document;
    start_with_save(cluster, players, NULL);
    struct message_admin_ask ask = ask_for(ADMIN_RETIRE, CKPT_UID_ANY, PLAYER_RUN, 200);
    /* The newest is kept... */
    assert_int_equal(cluster_ask(cluster->socket, &ask, &document), CKPT_ERR_INVALID);
    /* ...unless one goes back on purpose. */
    ask.step = 100;
    ask.newer = true;
    assert_int_equal(cluster_ask(cluster->socket, &ask, &document), CKPT_OK);
    json_decref(document);
    assert_int_equal(player_ask(&players[0], CKPT_STEP_LATEST).step, 100);
    stop(cluster, players);
    cluster_start(cluster, NULL, NULL);
    player_join(&players[0], cluster, 0, 1);
    player_join(&players[1], cluster, 1, 1);
    assert_int_equal(player_ask(&players[0], CKPT_STEP_LATEST).step, 100);
    assert_true(process_logged(&cluster->coordinator, "event=admin verb=retire"));
    stop(cluster, players);
}

static void verifying_asks_every_copy(void **state)
{
    struct cluster *cluster = *state;
    struct agent_player players[2];
    json_t *document;
    start_with_save(cluster, players, NULL);
    struct message_admin_ask ask = ask_for(ADMIN_VERIFY, PLAYER_UID, PLAYER_RUN, 200);
    assert_int_equal(cluster_ask(cluster->socket, &ask, &document), CKPT_OK);
    json_int_t asked_ms = at(document, "now_ms");
    json_decref(document);
    for (int i = 0; i < 2; i++) {
        uint64_t orders[2] = {0, 0};
        for (int order = 0; order < 2; order++) {
            const struct message *message = peer_await(&players[i].peer, MESSAGE_VERIFY_ORDER);
            assert_non_null(message);
            assert_int_equal(message->verify_order.shard.step, 200);
            orders[message->verify_order.shard.rank] = message->verify_order.order;
        }
        for (uint32_t rank = 0; rank < 2; rank++) {
            assert_true(player_report(&players[i], 200, rank, rank == (uint32_t)i, COPY_VERIFIED,
                                      orders[rank]));
            assert_non_null(peer_await(&players[i].peer, MESSAGE_SHARD_ACK));
        }
    }
    ask.verb = ADMIN_SHOW;
    assert_int_equal(cluster_ask(cluster->socket, &ask, &document), CKPT_OK);
    size_t i;
    const json_t *shard;
    json_array_foreach(json_object_get(document, "shards"), i, shard)
    {
        size_t j;
        const json_t *copy;
        json_array_foreach(json_object_get(shard, "copies"), j, copy)
        {
            assert_true(at(copy, "verified_ms") >= asked_ms);
        }
    }
    json_decref(document);
    stop(cluster, players);
}

static void tcp_asks_only_what_it_may(void **state)
{
    struct cluster *cluster = *state;
    struct agent_player players[2];
    json_t *document;
    start_with_save(cluster, players, NULL);
    struct message_admin_ask status = ask_for(ADMIN_STATUS, 0, "", 0);
    struct message_admin_ask runs = ask_for(ADMIN_RUNS, 0, "", 0);
    struct message_admin_ask list = ask_for(ADMIN_LIST, PLAYER_UID, PLAYER_RUN, 0);
    struct message_admin_ask retire = ask_for(ADMIN_RETIRE, 0, PLAYER_RUN, 100);
    assert_int_equal(cluster_ask(cluster->address, &status, &document), CKPT_OK);
    json_decref(document);
    assert_int_equal(cluster_ask(cluster->address, &runs, &document), CKPT_ERR_DENIED);
    assert_int_equal(cluster_ask(cluster->address, &list, &document), CKPT_ERR_DENIED);
    assert_int_equal(cluster_ask(cluster->address, &retire, &document), CKPT_ERR_DENIED);
    stop(cluster, players);

    cluster_start(cluster, "--tcp-admin=none", NULL);
    assert_int_equal(cluster_ask(cluster->address, &status, &document), CKPT_ERR_DENIED);
    cluster_stop(cluster);

    cluster_start(cluster, "--tcp-admin=full", NULL);
    assert_int_equal(cluster_ask(cluster->address, &list, &document), CKPT_OK);
    json_decref(document);
    cluster_stop(cluster);
}

/* What a process of another user sees; the exit code is the number of the first thing wrong. */
static int look_as(uint32_t uid, const struct cluster *cluster)
{
    json_t *document;
    struct message_admin_ask runs = ask_for(ADMIN_RUNS, 0, "", 0);
    struct message_admin_ask other = ask_for(ADMIN_LIST, PLAYER_UID, PLAYER_RUN, 0);
    struct message_admin_ask any = ask_for(ADMIN_LIST, CKPT_UID_ANY, PLAYER_RUN, 0);
    struct message_admin_ask retire = ask_for(ADMIN_RETIRE, PLAYER_UID, PLAYER_RUN, 100);
    bool own = uid == PLAYER_UID;
    if (setgid(uid) != 0 || setuid(uid) != 0) {
        return 1;
    }
    if (cluster_ask(cluster->socket, &runs, &document) != CKPT_OK ||
        json_array_size(json_object_get(document, "runs")) != (own ? 1 : 0)) {
        return 2;
    }
    json_decref(document);
    if (cluster_ask(cluster->socket, &other, &document) != (own ? CKPT_OK : CKPT_ERR_DENIED)) {
        return 3;
    }
    if (cluster_ask(cluster->socket, &any, &document) != (own ? CKPT_OK : CKPT_ERR_NOT_FOUND)) {
        return 4;
    }
    if (cluster_ask(cluster->socket, &retire, &document) != (own ? CKPT_OK : CKPT_ERR_DENIED)) {
        return 5;
    }
    return 0;
}

static int exit_code_of_look(uint32_t uid, const struct cluster *cluster)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(look_as(uid, cluster));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void users_see_their_own_runs(void **state)
{
    struct cluster *cluster = *state;
    struct agent_player players[2];
    if (geteuid() != 0) {
        print_message("needs root to become other users\n");
        skip();
    }
    start_with_save(cluster, players, NULL);
    assert_int_equal(exit_code_of_look(PLAYER_UID + 1, cluster), 0);
    assert_int_equal(exit_code_of_look(PLAYER_UID, cluster), 0);
    stop(cluster, players);
}

int main(void)
{
#define WITH_CLUSTER(test) cmocka_unit_test_setup_teardown(test, cluster_make, cluster_clear)
    const struct CMUnitTest tests[] = {
        WITH_CLUSTER(the_tables_say_what_is),
        WITH_CLUSTER(a_checkpoint_is_shown_with_its_copies),
        WITH_CLUSTER(retiring_is_durable),
        WITH_CLUSTER(verifying_asks_every_copy),
        WITH_CLUSTER(tcp_asks_only_what_it_may),
        WITH_CLUSTER(users_see_their_own_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
