/* SPDX-License-Identifier: Apache-2.0 */
/* Start, end, and every start that must be refused. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "integration/ckptctld/cluster.h"

static void save_some(struct cluster *cluster)
{
    struct agent_player players[2];
    cluster_start(cluster, NULL, NULL);
    player_join(&players[0], cluster, 0, 1);
    player_join(&players[1], cluster, 1, 1);
    assert_true(players_save(players, 100, NULL));
    assert_true(players_save(players, 200, NULL));
    player_leave(&players[0]);
    player_leave(&players[1]);
    cluster_stop(cluster);
}

static void expect_refused(struct cluster *cluster, const char *extra, int code, const char *text)
{
    size_t from = process_log_bytes(&cluster->coordinator);
    cluster_launch(cluster, extra, NULL);
    assert_int_equal(process_wait(&cluster->coordinator), code);
    assert_true(process_log_bytes(&cluster->coordinator) > from);
    if (!process_logged(&cluster->coordinator, text)) {
        fail_msg("'%s' is not in the log", text);
    }
}

static void it_starts_and_ends(void **state)
{
    struct cluster *cluster = *state;
    cluster_start(cluster, NULL, NULL);
    cluster_stop(cluster);
    assert_int_equal(access(cluster->socket, F_OK), -1);
    cluster_start(cluster, NULL, NULL);
    process_signal(&cluster->coordinator, SIGHUP);
    process_await(&cluster->coordinator, "event=signal_ignored", 0, NULL, 0);
    process_signal(&cluster->coordinator, SIGINT);
    assert_int_equal(process_wait(&cluster->coordinator), 0);
}

/* Also with agents that neither speak nor read. */
static void it_ends_while_agents_are_connected(void **state)
{
    struct cluster *cluster = *state;
    struct agent_player players[2];
    cluster_start(cluster, NULL, NULL);
    player_join(&players[0], cluster, 0, 1);
    player_join(&players[1], cluster, 1, 1);
    cluster_stop(cluster);
    assert_true(peer_is_closed(&players[0].peer));
    player_leave(&players[0]);
    player_leave(&players[1]);
}

static int listen_as_manager(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void expect_told(int fd, const char *text)
{
    char got[64] = "";
    assert_true(recv(fd, got, sizeof(got) - 1, 0) > 0);
    assert_string_equal(got, text);
}

static void the_service_manager_is_told(void **state)
{
    struct cluster *cluster = *state;
    char path[96];
    char variable[128];
    char socket_flag[128];
    char state_flag[128];
    char log[128];
    snprintf(path, sizeof(path), "%s/notify", cluster->directory);
    snprintf(variable, sizeof(variable), "NOTIFY_SOCKET=%s", path);
    snprintf(socket_flag, sizeof(socket_flag), "--socket=%s", cluster->socket);
    snprintf(state_flag, sizeof(state_flag), "--state-directory=%s/state", cluster->directory);
    snprintf(log, sizeof(log), "%s/log", cluster->directory);
    const char *arguments[] = {"--listen=127.0.0.1:0", socket_flag, state_flag, NULL};
    const char *environment[] = {variable, NULL};
    int fd = listen_as_manager(path);
    process_start(&cluster->coordinator, CKPTCTLD_PROGRAM, arguments, environment, log);
    expect_told(fd, "READY=1");
    process_signal(&cluster->coordinator, SIGTERM);
    expect_told(fd, "STOPPING=1");
    assert_int_equal(process_wait(&cluster->coordinator), 0);
    close(fd);
}

static void a_second_one_on_the_same_state_is_refused(void **state)
{
    struct cluster *cluster = *state;
    struct cluster second = *cluster;
    char text[64];
    cluster_start(cluster, NULL, NULL);
    second.coordinator.pid = 0;
    snprintf(second.socket, sizeof(second.socket), "%s/run/second.sock", cluster->directory);
    snprintf(text, sizeof(text), "another ckptctld (process %ld)", (long)cluster->coordinator.pid);
    snprintf(second.coordinator.log, sizeof(second.coordinator.log), "%s",
             cluster->coordinator.log);
    expect_refused(&second, NULL, 1, text);
    /* The first one is none the worse for it. */
    struct agent_player player;
    player_join(&player, cluster, 0, 1);
    player_leave(&player);
    cluster_stop(cluster);
}

static void an_address_in_use_is_refused(void **state)
{
    struct cluster *cluster = *state;
    char extra[160];
    void *made;
    cluster_start(cluster, NULL, NULL);
    assert_int_equal(cluster_make(&made), 0);
    struct cluster *second = made;
    snprintf(extra, sizeof(extra), "--listen=%s", cluster->address);
    cluster_launch(second, extra, NULL);
    assert_int_equal(process_wait(&second->coordinator), 1);
    assert_true(process_logged(&second->coordinator, "event=listen_failed"));

    snprintf(extra, sizeof(extra), "--socket=%s", cluster->socket);
    cluster_launch(second, extra, NULL);
    assert_int_equal(process_wait(&second->coordinator), 1);
    assert_true(process_logged(&second->coordinator, "another process listens at"));
    cluster_clear(&made);
    cluster_stop(cluster);
}

static void wrong_configurations_are_refused(void **state)
{
    struct cluster *cluster = *state;
    expect_refused(cluster, "--kep=3", 2, "did you mean --keep?");
    expect_refused(cluster, "--keep=0", 2, "--keep");
    expect_refused(cluster, "--lease=400ms", 2, "must be more than twice");
    expect_refused(cluster, "--listen=nowhere", 2, "is no address");
    expect_refused(cluster, "--config=/nonexistent.conf", 2, "/nonexistent.conf");
}

static void a_config_file_is_read_and_checked(void **state)
{
    struct cluster *cluster = *state;
    char path[128];
    char extra[160];
    snprintf(path, sizeof(path), "%s/ckptctld.conf", cluster->directory);
    snprintf(extra, sizeof(extra), "--config=%s", path);
    FILE *file = fopen(path, "w");
    fputs("[coordinator]\nkeep = 3\nlese = 9s\n", file);
    fclose(file);
    expect_refused(cluster, extra, 2, "ckptctld.conf:3: ");
    file = fopen(path, "w");
    fputs("[coordinator]\nkeep = 3\n[log]\nlevel = debug\n", file);
    fclose(file);
    cluster_start(cluster, extra, NULL);
    struct agent_player player;
    player_join(&player, cluster, 0, 1);
    process_await(&cluster->coordinator, "level=debug event=connected", 0, NULL, 0);
    player_leave(&player);
    cluster_stop(cluster);
    const char *arguments[] = {"--check-config", extra, NULL};
    process_start(&cluster->coordinator, CKPTCTLD_PROGRAM, arguments, NULL,
                  cluster->coordinator.log);
    assert_int_equal(process_wait(&cluster->coordinator), 0);
    assert_true(process_logged(&cluster->coordinator, "keep = 3"));
}

static void flip(const char *path, const char *needle, size_t bytes)
{
    int fd = open(path, O_RDWR);
    struct stat status;
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    char *content = malloc((size_t)status.st_size);
    assert_int_equal(pread(fd, content, (size_t)status.st_size, 0), status.st_size);
    char *found = memmem(content, (size_t)status.st_size, needle, bytes);
    assert_non_null(found);
    *found ^= 4;
    assert_int_equal(pwrite(fd, found, 1, found - content), 1);
    close(fd);
    free(content);
}

static void a_flipped_byte_in_the_database_is_refused(void **state)
{
    struct cluster *cluster = *state;
    char path[128];
    struct digest digest = player_digest(200, 1);
    save_some(cluster);
    snprintf(path, sizeof(path), "%s/state/records.db", cluster->directory);
    flip(path, (const char *)digest.bytes, sizeof(digest.bytes));
    expect_refused(cluster, NULL, 3, "has damaged shards (their checksum differs)");
    assert_true(process_logged(&cluster->coordinator, "bring the state directory back"));
    /* Nothing was written: put right, it starts. */
    digest.bytes[0] ^= 4;
    flip(path, (const char *)digest.bytes, sizeof(digest.bytes));
    cluster_start(cluster, NULL, NULL);
    cluster_stop(cluster);
}

static void a_lost_database_is_refused(void **state)
{
    struct cluster *cluster = *state;
    char path[128];
    save_some(cluster);
    snprintf(path, sizeof(path), "%s/state/records.db", cluster->directory);
    assert_int_equal(unlink(path), 0);
    expect_refused(cluster, NULL, 3, "ends at row 0, but row");
}

/* The epoch that an agent has seen rules: an older coordinator steps down. */
static void a_higher_epoch_ends_it(void **state)
{
    struct cluster *cluster = *state;
    struct agent_player player;
    struct message stale = {.type = MESSAGE_STALE_EPOCH, .epoch = 1000};
    cluster_start(cluster, NULL, NULL);
    player_join(&player, cluster, 0, 1);
    player_join_again(&player);
    assert_true(peer_send(&player.peer, &stale));
    assert_int_equal(process_wait(&cluster->coordinator), 4);
    assert_true(process_logged(&cluster->coordinator, "event=stale_coordinator"));
    player_leave(&player);
    cluster_start(cluster, "--epoch-above=1000", NULL);
    player_join(&player, cluster, 0, 1);
    assert_int_equal(player.peer.epoch, 1001);
    player_leave(&player);
    cluster_stop(cluster);
}

/* A high epoch is nothing from who has not joined, or has not shown that it is of this cluster. */
static void a_strangers_epoch_changes_nothing(void **state)
{
    struct cluster *cluster = *state;
    struct agent_player stranger, player;
    struct message beat = {.type = MESSAGE_HEARTBEAT, .epoch = UINT64_C(1) << 40};
    cluster_start(cluster, NULL, NULL);
    peer_connect(&stranger.peer, cluster->address, 99);
    assert_true(peer_send(&stranger.peer, &beat));
    player_join(&player, cluster, 0, 1);
    assert_true(peer_send(&player.peer, &beat));
    while (peer_await(&player.peer, MESSAGE_LEASE) != NULL) {
        /* until it is hung up on */
    }
    player_leave(&stranger);
    player_leave(&player);
    player_join(&player, cluster, 0, 2);
    assert_int_equal(player.peer.epoch, 2);
    player_leave(&player);
    cluster_stop(cluster);
}

/* Somebody else wrote a higher epoch into the store behind this one's back: the fence holds. */
static void a_higher_epoch_in_the_store_ends_it(void **state)
{
    struct cluster *cluster = *state;
    struct agent_player players[2];
    char path[128];
    sqlite3 *database;
    cluster_start(cluster, NULL, NULL);
    /* Before the record is there: it looks every two seconds by itself. */
    player_join(&players[0], cluster, 0, 1);
    player_join(&players[1], cluster, 1, 1);
    snprintf(path, sizeof(path), "%s/state/records.db", cluster->directory);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database,
                                  "INSERT INTO record VALUES (3,1,77,0,'',0,0,0,0,0,'',0,0,0,x'')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(database);
    assert_false(players_save(players, 100, NULL));
    assert_int_equal(process_wait(&cluster->coordinator), 4);
    assert_true(process_logged(&cluster->coordinator, "status=CKPT_ERR_STALE"));
    player_leave(&players[0]);
    player_leave(&players[1]);
}

int main(void)
{
#define WITH_CLUSTER(test) cmocka_unit_test_setup_teardown(test, cluster_make, cluster_clear)
    const struct CMUnitTest tests[] = {
        WITH_CLUSTER(it_starts_and_ends),
        WITH_CLUSTER(it_ends_while_agents_are_connected),
        WITH_CLUSTER(the_service_manager_is_told),
        WITH_CLUSTER(a_second_one_on_the_same_state_is_refused),
        WITH_CLUSTER(an_address_in_use_is_refused),
        WITH_CLUSTER(wrong_configurations_are_refused),
        WITH_CLUSTER(a_config_file_is_read_and_checked),
        WITH_CLUSTER(a_flipped_byte_in_the_database_is_refused),
        WITH_CLUSTER(a_lost_database_is_refused),
        WITH_CLUSTER(a_strangers_epoch_changes_nothing),
        WITH_CLUSTER(a_higher_epoch_ends_it),
        WITH_CLUSTER(a_higher_epoch_in_the_store_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
