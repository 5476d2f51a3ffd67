/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that do not keep to the protocol: cut or ignored, and everybody else is served. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "integration/ckptctld/cluster.h"

static void expect_served(struct cluster *cluster)
{
    static uint8_t life = 1;
    struct agent_player players[2];
    /* Lives of 16 names each: as many as incarnations fit a byte. */
    life = (uint8_t)(life % 14 + 1);
    player_join(&players[0], cluster, 0, life);
    player_join(&players[1], cluster, 1, life);
    static uint64_t step;
    step += 10;
    assert_true(players_save(players, step, NULL));
    player_leave(&players[0]);
    player_leave(&players[1]);
    process_await(&cluster->coordinator, "event=commit", 0, NULL, 0);
}

static size_t make_frame(const struct message *message, uint8_t *frame)
{
    struct message numbered = *message;
    size_t bytes;
    numbered.incarnation.bytes[0] = 250;
    numbered.sequence = 1;
    assert_int_equal(message_encode(&numbered, frame, 65536, &bytes), CKPT_OK);
    return bytes;
}

/* The refusal that a peer gets before it is cut, if any. */
static enum ckpt_status refusal_of(struct cluster *cluster, const void *bytes, size_t count)
{
    struct peer peer;
    enum ckpt_status status = CKPT_OK;
    peer_connect(&peer, cluster->address, 251);
    send(peer.fd, bytes, count, MSG_NOSIGNAL);
    const struct message *message = peer_receive(&peer, 20000);
    if (message) {
        assert_int_equal(message->type, MESSAGE_WELCOME);
        assert_string_not_equal(message->welcome.reason, "");
        status = message->welcome.status;
    }
    assert_true(peer_is_closed(&peer));
    peer_close(&peer);
    return status;
}

static void bytes_that_are_no_frames_are_refused(void **state)
{
    struct cluster *cluster = *state;
    static uint8_t frame[65536];
    struct message heartbeat = {.type = MESSAGE_HEARTBEAT};
    cluster_start(cluster, NULL, NULL);
    assert_int_equal(refusal_of(cluster, "GET / HTTP/1.0\r\n\r\n", 18), CKPT_ERR_PROTOCOL);

    size_t bytes = make_frame(&heartbeat, frame);
    store_le16(frame + 4, 77);
    assert_int_equal(refusal_of(cluster, frame, bytes), CKPT_ERR_VERSION);
    process_await(&cluster->coordinator, "event=peer_refused", 0, NULL, 0);

    bytes = make_frame(&heartbeat, frame);
    frame[44] ^= 1;
    assert_int_equal(refusal_of(cluster, frame, bytes), CKPT_ERR_CORRUPT);

    make_frame(&heartbeat, frame);
    store_le32(frame + 8, UINT32_MAX);
    assert_int_equal(refusal_of(cluster, frame, FRAME_HEADER_BYTES), CKPT_ERR_TOO_LARGE);
    expect_served(cluster);
    cluster_stop(cluster);
}

static void random_bytes_do_no_harm(void **state)
{
    struct cluster *cluster = *state;
    static uint8_t frame[65536];
    struct prng prng;
    struct message join = {.type = MESSAGE_JOIN};
    cluster_start(cluster, NULL, NULL);
    prng_seed(&prng, 1);
    snprintf(join.join.node, sizeof(join.join.node), "n");
    snprintf(join.join.domain, sizeof(join.join.domain), "n");
    snprintf(join.join.address, sizeof(join.join.address), "n:1");
    for (int i = 0; i < 300; i++) {
        struct peer peer;
        size_t bytes = make_frame(&join, frame);
        /* Some wrong bytes in a good frame, with or without its checksum put right. */
        for (uint64_t flips = prng_below(&prng, 5); flips > 0; flips--) {
            frame[prng_below(&prng, bytes)] ^= (uint8_t)(1 + prng_below(&prng, 255));
        }
        peer_connect(&peer, cluster->address, 252);
        send(peer.fd, frame, prng_below(&prng, bytes + 1), MSG_NOSIGNAL);
        peer_close(&peer);
    }
    expect_served(cluster);
    cluster_stop(cluster);
}

static struct message any_message(enum message_type type)
{
    struct message message;
    memset(&message, 0, sizeof(message));
    message.type = type;
    return message;
}

/* Every type from one that never joined: closed, and nothing changes. */
static void strangers_are_told_to_join(void **state)
{
    struct cluster *cluster = *state;
    static const enum message_type types[] = {MESSAGE_HEARTBEAT, MESSAGE_LEASE, MESSAGE_STALE_EPOCH,
                                              MESSAGE_RELEASE,   MESSAGE_SEAL,  MESSAGE_OFFER_DONE};
    cluster_start(cluster, NULL, NULL);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct peer peer;
        struct message message = any_message(types[i]);
        peer_connect(&peer, cluster->address, 253);
        peer.sequence = 100 * i;
        peer_send(&peer, &message);
        assert_true(peer_is_closed(&peer));
        peer_close(&peer);
    }
    expect_served(cluster);
    cluster_stop(cluster);
}

static void bad_joins_are_refused(void **state)
{
    struct cluster *cluster = *state;
    struct agent_player good;
    cluster_start(cluster, NULL, NULL);
    player_join(&good, cluster, 7, 1);
    for (int i = 0; i < 4; i++) {
        struct peer peer;
        struct message join = any_message(MESSAGE_JOIN);
        peer_connect(&peer, cluster->address, 254);
        peer.sequence = (uint64_t)(100 * i);
        join.join.protocol = i == 0 ? WIRE_PROTOCOL_VERSION + 1 : WIRE_PROTOCOL_VERSION;
        snprintf(join.join.node, sizeof(join.join.node), i == 1 ? "node7" : "other");
        snprintf(join.join.domain, sizeof(join.join.domain), "node7");
        snprintf(join.join.address, sizeof(join.join.address), i == 2 ? "" : "h:1");
        join.join.segments = i == 3 ? 0 : 4;
        join.join.segment_bytes = 2 * CKPT_MIB;
        peer_send(&peer, &join);
        const struct message *welcome = peer_await(&peer, MESSAGE_WELCOME);
        if (welcome) {
            assert_int_not_equal(welcome->welcome.status, CKPT_OK);
            assert_string_not_equal(welcome->welcome.reason, "");
        }
        assert_true(peer_is_closed(&peer));
        peer_close(&peer);
    }
    /* The one whose name was claimed is still there. */
    struct message heartbeat = any_message(MESSAGE_HEARTBEAT);
    assert_true(peer_send(&good.peer, &heartbeat));
    assert_non_null(peer_await(&good.peer, MESSAGE_LEASE));
    player_leave(&good);
    cluster_stop(cluster);
}

/* What was recorded from an agent and is sent again changes nothing. */
static void replayed_frames_are_dropped(void **state)
{
    struct cluster *cluster = *state;
    struct agent_player player;
    json_t *status;
    struct message_admin_ask ask = {.verb = ADMIN_STATUS};
    cluster_start(cluster, NULL, NULL);
    player_join(&player, cluster, 0, 1);
    struct message heartbeat = any_message(MESSAGE_HEARTBEAT);
    assert_true(peer_send(&player.peer, &heartbeat));
    assert_non_null(peer_await(&player.peer, MESSAGE_LEASE));
    for (int i = 0; i < 5; i++) {
        player.peer.sequence = 0;
        assert_true(peer_send(&player.peer, &heartbeat));
    }
    player.peer.sequence = 100;
    assert_true(peer_send(&player.peer, &heartbeat));
    assert_non_null(peer_await(&player.peer, MESSAGE_LEASE));
    assert_null(peer_receive(&player.peer, 100));
    assert_int_equal(cluster_ask(cluster->socket, &ask, &status), CKPT_OK);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(status, "sessions"), "frames_old")), 5);
    json_decref(status);
    player_leave(&player);
    cluster_stop(cluster);
}

static void idle_and_half_open_connections_do_no_harm(void **state)
{
    struct cluster *cluster = *state;
    struct peer peers[40];
    cluster_start(cluster, "--agents-max=4", NULL);
    for (int i = 0; i < 40; i++) {
        peer_connect(&peers[i], i % 2 ? cluster->address : cluster->socket, 1);
        send(peers[i].fd, "CKPT\1", 5, MSG_NOSIGNAL);
    }
    for (int i = 0; i < 40; i++) {
        peer_close(&peers[i]);
    }
    expect_served(cluster);
    cluster_stop(cluster);
}

static void agents_do_not_speak_at_the_socket(void **state)
{
    struct cluster *cluster = *state;
    struct peer peer;
    struct message heartbeat = any_message(MESSAGE_HEARTBEAT);
    cluster_start(cluster, NULL, NULL);
    peer_connect(&peer, cluster->socket, 9);
    assert_true(peer_send(&peer, &heartbeat));
    assert_true(peer_is_closed(&peer));
    peer_close(&peer);
    cluster_stop(cluster);
}

int main(void)
{
#define WITH_CLUSTER(test) cmocka_unit_test_setup_teardown(test, cluster_make, cluster_clear)
    const struct CMUnitTest tests[] = {
        WITH_CLUSTER(bytes_that_are_no_frames_are_refused),
        WITH_CLUSTER(random_bytes_do_no_harm),
        WITH_CLUSTER(strangers_are_told_to_join),
        WITH_CLUSTER(bad_joins_are_refused),
        WITH_CLUSTER(replayed_frames_are_dropped),
        WITH_CLUSTER(idle_and_half_open_connections_do_no_harm),
        WITH_CLUSTER(agents_do_not_speak_at_the_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
