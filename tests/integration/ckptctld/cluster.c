/* SPDX-License-Identifier: Apache-2.0 */
#include "integration/ckptctld/cluster.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

int cluster_make(void **state)
{
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    snprintf(cluster->directory, sizeof(cluster->directory), "/tmp/ckptctld_XXXXXX");
    if (!mkdtemp(cluster->directory)) {
        free(cluster);
        return -1;
    }
    /* Other users must reach the socket. */
    chmod(cluster->directory, 0755);
    snprintf(cluster->socket, sizeof(cluster->socket), "%s/run/ckptctld.sock", cluster->directory);
    *state = cluster;
    return 0;
}

static void clear_directory(const char *path)
{
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char name[512];
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            unlink(name);
        }
    }
    if (directory) {
        closedir(directory);
    }
    rmdir(path);
}

int cluster_clear(void **state)
{
    struct cluster *cluster = *state;
    char path[128];
    process_kill(&cluster->coordinator);
    snprintf(path, sizeof(path), "%s/state", cluster->directory);
    clear_directory(path);
    snprintf(path, sizeof(path), "%s/run", cluster->directory);
    clear_directory(path);
    clear_directory(cluster->directory);
    free(cluster);
    return 0;
}

void cluster_launch(struct cluster *cluster, const char *extra, const char *fault)
{
    char socket[128];
    char state[128];
    char log[128];
    char fault_variable[256];
    const char *arguments[] = {"--listen=127.0.0.1:0", socket, state,
                               /* Fast, but not so that a slow machine loses agents. */
                               "--heartbeat=200ms", "--lease=5s", "--resend=100ms",
                               "--disconnect-grace=300ms",
                               "--digest=blake3", /* the players know no other */
                               extra, NULL};
    const char *environment[] = {fault ? fault_variable : NULL, NULL};
    snprintf(socket, sizeof(socket), "--socket=%s", cluster->socket);
    snprintf(state, sizeof(state), "--state-directory=%s/state", cluster->directory);
    snprintf(log, sizeof(log), "%s/log", cluster->directory);
    snprintf(fault_variable, sizeof(fault_variable), "CKPT_FAULT=%s", fault ? fault : "");
    process_start(&cluster->coordinator, CKPTCTLD_PROGRAM, arguments, environment, log);
}

void cluster_start(struct cluster *cluster, const char *extra, const char *fault)
{
    char line[1024];
    char log[128];
    snprintf(log, sizeof(log), "%s/log", cluster->directory);
    struct process before = {.pid = 0};
    snprintf(before.log, sizeof(before.log), "%s", log);
    size_t from = process_log_bytes(&before);
    cluster_launch(cluster, extra, fault);
    process_await(&cluster->coordinator, "event=ready", from, line, sizeof(line));
    assert_int_equal(sscanf(strstr(line, "address="), "address=%127s", cluster->address), 1);
}

void cluster_stop(struct cluster *cluster)
{
    process_signal(&cluster->coordinator, SIGTERM);
    assert_int_equal(process_wait(&cluster->coordinator), 0);
}

void player_join(struct agent_player *player, const struct cluster *cluster, uint32_t number,
                 uint8_t life)
{
    struct message join = {.type = MESSAGE_JOIN};
    player->number = number;
    peer_connect(&player->peer, cluster->address, (uint8_t)(16 * life + number + 1));
    join.join.protocol = WIRE_PROTOCOL_VERSION;
    snprintf(join.join.node, sizeof(join.join.node), "node%u", number);
    snprintf(join.join.domain, sizeof(join.join.domain), "node%u", number);
    snprintf(join.join.address, sizeof(join.join.address), "10.0.0.%u:7470", number);
    join.join.segments = 64;
    join.join.segments_free = 64;
    join.join.segment_bytes = 2 * CKPT_MIB;
    assert_true(peer_send(&player->peer, &join));
    const struct message *welcome = peer_await(&player->peer, MESSAGE_WELCOME);
    assert_non_null(welcome);
    assert_int_equal(welcome->welcome.status, CKPT_OK);
    player->join = join;
    player->join.join.cluster = welcome->welcome.cluster;
}

void player_join_again(struct agent_player *player)
{
    assert_true(peer_send(&player->peer, &player->join));
    const struct message *welcome = peer_await(&player->peer, MESSAGE_WELCOME);
    assert_non_null(welcome);
    assert_int_equal(welcome->welcome.status, CKPT_OK);
}

void player_leave(struct agent_player *player)
{
    peer_close(&player->peer);
}

struct digest player_digest(uint64_t step, uint32_t rank)
{
    struct digest digest;
    memset(digest.bytes, (int)((step + 7 * rank) & 0xff), sizeof(digest.bytes));
    return digest;
}

static struct shard_key key_of(uint64_t step, uint32_t rank)
{
    struct shard_key key = {
        .run = {.uid = PLAYER_UID, .name = PLAYER_RUN}, .attempt = 1, .step = step, .rank = rank};
    return key;
}

bool player_report(struct agent_player *player, uint64_t step, uint32_t rank, bool owner,
                   enum copy_state state, uint64_t order)
{
    struct message message = {.type = MESSAGE_SHARD_REPORT};
    struct message_shard_report *report = &message.shard_report;
    report->shard = key_of(step, rank);
    report->world = 2;
    report->copies = 2;
    report->bytes = 1000000 + rank;
    report->generation = step;
    report->state = state;
    report->owner = owner;
    report->order = order;
    if (state == COPY_VERIFIED) {
        report->digest = player_digest(step, rank);
    }
    return peer_send(&player->peer, &message);
}

/* Takes what is there for a player, and does as an agent would. False when the connection ends. */
static bool attend(struct agent_player *player, uint64_t step, bool *consistent_out)
{
    const struct message *message;
    while ((message = peer_receive(&player->peer, 1))) {
        if (message->type == MESSAGE_PULL_ORDER && message->pull_order.shard.step == step) {
            player_report(player, step, message->pull_order.shard.rank, false, COPY_VERIFIED,
                          message->pull_order.order);
        }
        if (message->type == MESSAGE_CHECKPOINT_STATE && message->checkpoint_state.step == step &&
            message->checkpoint_state.state == CHECKPOINT_CONSISTENT) {
            *consistent_out = true;
        }
        if (message->type == MESSAGE_SHARD_ACK && message->shard_ack.shard.step == step &&
            message->shard_ack.checkpoint == CHECKPOINT_CONSISTENT) {
            *consistent_out = true;
        }
    }
    return player->peer.fd >= 0;
}

bool players_save(struct agent_player players[2], uint64_t step, bool *told_out)
{
    bool consistent[2] = {false, false};
    bool alive = true;
    for (int turn = 0; turn < 2000 && alive && !(consistent[0] && consistent[1]); turn++) {
        for (uint32_t i = 0; i < 2; i++) {
            /* Repeated from state, as an agent does until it is told. */
            if (turn % 20 == 0) {
                player_report(&players[i], step, i, true, COPY_SEALED, 0);
                player_report(&players[i], step, i, true, COPY_VERIFIED, 0);
            }
            /* What was sent before an end counts, on both. */
            alive = attend(&players[i], step, &consistent[i]) && alive;
        }
    }
    if (told_out) {
        *told_out = consistent[0] || consistent[1];
    }
    if (alive && !(consistent[0] && consistent[1])) {
        fail_msg("step %llu did not become consistent", (unsigned long long)step);
    }
    return alive;
}

struct message_checkpoint_info player_ask(struct agent_player *player, uint64_t step)
{
    struct message ask = {.type = MESSAGE_CHECKPOINT_ASK};
    ask.checkpoint_ask.run.uid = PLAYER_UID;
    snprintf(ask.checkpoint_ask.run.name, sizeof(ask.checkpoint_ask.run.name), PLAYER_RUN);
    ask.checkpoint_ask.step = step;
    ask.checkpoint_ask.reader = 5;
    assert_true(peer_send(&player->peer, &ask));
    const struct message *answer = peer_await(&player->peer, MESSAGE_CHECKPOINT_INFO);
    assert_non_null(answer);
    return answer->checkpoint_info;
}

enum ckpt_status cluster_ask(const char *address, const struct message_admin_ask *ask,
                             json_t **document_out)
{
    struct peer peer;
    struct message message = {.type = MESSAGE_ADMIN_ASK};
    message.admin_ask = *ask;
    message.admin_ask.cookie = 99;
    peer_connect(&peer, address, 1);
    /* Each ask is a life of its own, in whatever process. */
    assert_int_equal(getrandom(&peer.incarnation, sizeof(peer.incarnation), 0),
                     sizeof(peer.incarnation));
    assert_true(peer_send(&peer, &message));
    const struct message *answer = peer_await(&peer, MESSAGE_ADMIN_ANSWER);
    assert_non_null(answer);
    assert_int_equal(answer->admin_answer.cookie, 99);
    enum ckpt_status status = answer->admin_answer.status;
    *document_out = NULL;
    if (status == CKPT_OK) {
        *document_out =
            json_loadb(answer->admin_answer.json, answer->admin_answer.json_bytes, 0, NULL);
        assert_non_null(*document_out);
        assert_string_equal(answer->admin_answer.reason, "");
    } else {
        assert_string_not_equal(answer->admin_answer.reason, "");
    }
    peer_close(&peer);
    return status;
}
