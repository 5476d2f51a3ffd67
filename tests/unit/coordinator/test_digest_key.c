/* SPDX-License-Identifier: Apache-2.0 */
/* What a run's copies are proven with: when its key is drawn, where it is told, what outlives what,
 * and what a digest under another key says: nothing. */
#include "unit/coordinator/cluster.h"

#include <stdio.h>

CLUSTER_OF(0)

#define OTHER_KEY 77 /* some key's id, of no run here */

static void start(enum digest_kind digest, uint32_t nodes, const struct coordinator_record *records,
                  uint32_t count)
{
    struct coordinator_config config;
    cluster_stop(&cluster);
    cluster_config(&config, 2);
    config.digest = digest;
    cluster_start_config(&cluster, config, records, count);
    for (uint32_t node = 0; node < nodes; node++) {
        cluster_join(&cluster, node, (uint8_t)(node + 1));
    }
}

static struct digest_key key_of(uint8_t first)
{
    return (struct digest_key){.kind = DIGEST_KIND_FINGERPRINT, .secret = {{first}}};
}

static bool is_key(const struct digest_key *told, uint8_t first)
{
    struct digest_key key = key_of(first);
    return told->kind == key.kind && memcmp(&told->secret, &key.secret, sizeof key.secret) == 0;
}

static bool is_blake3(const struct digest_key *told)
{
    static const struct digest_secret none;
    return told->kind == DIGEST_KIND_BLAKE3 && memcmp(&told->secret, &none, sizeof none) == 0;
}

static uint64_t id_of(uint8_t first)
{
    struct digest_key key = key_of(first);
    return digest_key_id(&key);
}

static const struct digest_key *seat_key(const char *run)
{
    struct message m = {.type = MESSAGE_SEAT_ASK};
    m.seat_ask.run.uid = 1000;
    snprintf(m.seat_ask.run.name, sizeof m.seat_ask.run.name, "%s", run);
    m.seat_ask.world = 2;
    m.seat_ask.seat = cluster_seat_name(0, 0);
    cluster_message(&cluster, 0, &m);
    return &cluster_find(&cluster, 0, MESSAGE_SEAT_TOLD)->seat_told.key;
}

static void comes_by_a_seat(void)
{
    (void)seat_key("run");
}

static void comes_by_a_load(void)
{
    struct message m = {.type = MESSAGE_LOAD_ASK};
    m.load_ask.run.uid = 1000;
    strcpy(m.load_ask.run.name, "run");
    m.load_ask.load = m.load_ask.world = 1;
    m.load_ask.step = CKPT_STEP_LATEST;
    m.load_ask.collective = true;
    cluster_message(&cluster, 0, &m);
}

static void comes_by_a_save(void)
{
    struct message m = cluster_report(1, 10, 0, 1, COPY_SEALED, true, 7);
    cluster_message(&cluster, 0, &m);
}

/* Of an agent that has it from a coordinator whose records are lost. */
static void comes_by_a_copy(void)
{
    struct message m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, true, 7);
    m.shard_report.digest_key = OTHER_KEY;
    cluster_message(&cluster, 0, &m);
}

static const struct {
    const char *name;
    void (*comes)(void);
} beginnings[] = {
    {"by a seat", comes_by_a_seat},
    {"by a load", comes_by_a_load},
    {"by a save", comes_by_a_save},
    {"by a copy", comes_by_a_copy},
};

static void a_run_begins_with_a_key_that_is_on_record_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(beginnings); i++) {
        start(DIGEST_KIND_FINGERPRINT, 2, NULL, 0);
        cluster.secret.bytes[0] = 9;
        beginnings[i].comes();
        ROW_HOLDS(&beginnings[i], cluster_records(&cluster, RECORD_KEY) == 1);
        ROW_HOLDS(&beginnings[i], cluster.update.records[0].type == RECORD_KEY);
        ROW_HOLDS(&beginnings[i], is_key(&cluster.update.records[0].key, 9));
        ROW_HOLDS(&beginnings[i], strcmp(cluster.update.records[0].run.name, "run") == 0);
        ROW_HOLDS(&beginnings[i], cluster.update.secret_used);
        beginnings[i].comes();
        ROW_HOLDS(&beginnings[i], cluster_records(&cluster, RECORD_KEY) == 0);
        ROW_HOLDS(&beginnings[i], !cluster.update.secret_used);
    }
}

static void each_run_has_its_own(void **state)
{
    (void)state;
    start(DIGEST_KIND_FINGERPRINT, 1, NULL, 0);
    cluster.secret.bytes[0] = 1;
    assert_true(is_key(seat_key("one"), 1));
    assert_true(is_key(seat_key("two"), 2));
    assert_true(is_key(seat_key("one"), 1));
}

static void without_a_secret_no_word_is_taken(void **state)
{
    (void)state;
    start(DIGEST_KIND_FINGERPRINT, 1, NULL, 0);
    struct message m = cluster_report(1, 10, 0, 1, COPY_SEALED, true, 7);
    struct coordinator_event event = {
        .type = COORDINATOR_MESSAGE, .now_ms = cluster.now_ms, .link = 0, .message = &m};
    assert_int_equal(coordinator_advance(cluster.c, &event, &cluster.update), CKPT_ERR_INVALID);
}

static void where_runs_begin_with_blake3_they_have_no_key(void **state)
{
    (void)state;
    start(DIGEST_KIND_BLAKE3, 2, NULL, 0);
    assert_true(is_blake3(seat_key("run")));
    assert_int_equal(cluster_records(&cluster, RECORD_KEY), 0);
    assert_false(cluster.update.secret_used);
    struct message m = cluster_report(1, 10, 0, 1, COPY_SEALED, true, 7);
    cluster_message(&cluster, 0, &m);
    assert_true(is_blake3(&cluster_find(&cluster, 0, MESSAGE_SHARD_ACK)->shard_ack.key));
    assert_true(is_blake3(&cluster_find(&cluster, 1, MESSAGE_PULL_ORDER)->pull_order.key));
}

static void whoever_is_to_prove_is_told(void **state)
{
    (void)state;
    start(DIGEST_KIND_FINGERPRINT, 2, NULL, 0);
    cluster.secret.bytes[0] = 3;
    struct message m = cluster_report(1, 10, 0, 1, COPY_SEALED, true, 7);
    cluster_message(&cluster, 0, &m);
    assert_true(is_key(&cluster_find(&cluster, 0, MESSAGE_SHARD_ACK)->shard_ack.key, 3));
    const struct message *order = cluster_find(&cluster, 1, MESSAGE_PULL_ORDER);
    assert_true(is_key(&order->pull_order.key, 3));
    uint64_t number = order->pull_order.order;
    m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, true, 7);
    m.shard_report.digest_key = id_of(3);
    cluster_message(&cluster, 0, &m);
    const struct message *ack = cluster_find(&cluster, 0, MESSAGE_SHARD_ACK);
    assert_true(ack->shard_ack.keep);
    assert_int_equal(ack->shard_ack.key.kind, DIGEST_KIND_UNKNOWN); /* it knows */
    m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, false, 7);
    m.shard_report.digest_key = id_of(3);
    m.shard_report.order = number;
    cluster_message(&cluster, 1, &m);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
    assert_int_equal(cluster.update.records[0].type, RECORD_CONSISTENT);
    assert_true(is_key(&cluster.update.records[0].key, 3));

    struct message_admin_ask ask = {.verb = ADMIN_VERIFY, .step = 10};
    ask.run = m.shard_report.shard.run;
    struct coordinator_event event = {
        .type = COORDINATOR_ADMIN, .now_ms = cluster.now_ms, .admin = &ask};
    assert_int_equal(coordinator_advance(cluster.c, &event, &cluster.update), CKPT_OK);
    assert_true(is_key(&cluster_find(&cluster, 0, MESSAGE_VERIFY_ORDER)->verify_order.key, 3));
    struct coordinator_shard_view view;
    assert_true(coordinator_shard_view(cluster.c, 0, 0, &view));
    assert_int_equal(view.digest_kind, DIGEST_KIND_FINGERPRINT);
}

static void a_refused_report_tells_no_key(void **state)
{
    (void)state;
    start(DIGEST_KIND_FINGERPRINT, 2, NULL, 0);
    struct message m = cluster_report(2, 10, 0, 1, COPY_SEALED, true, 7);
    cluster_message(&cluster, 0, &m);
    m = cluster_report(1, 10, 0, 1, COPY_SEALED, true, 7);
    cluster_message(&cluster, 0, &m);
    const struct message *ack = cluster_find(&cluster, 0, MESSAGE_SHARD_ACK);
    assert_false(ack->shard_ack.keep);
    assert_int_equal(ack->shard_ack.key.kind, DIGEST_KIND_UNKNOWN);
}

/* ---- over restarts and evictions ---- */

static const struct coordinator_record_shard shards[1] = {
    {.bytes = 4096, .digest = {{10}}, .node_count = 2, .nodes = {"n0", "n1"}}};

static struct coordinator_record record_of(enum coordinator_record_type type, uint64_t step,
                                           struct digest_key key)
{
    bool is_commit = type == RECORD_CONSISTENT;
    return (struct coordinator_record){.type = type,
                                       .epoch = 4,
                                       .run = {.uid = 1000, .name = "run"},
                                       .attempt = type == RECORD_KEY ? 0 : 1,
                                       .step = step,
                                       .world = is_commit,
                                       .copies = is_commit ? 2 : 0,
                                       .bytes = is_commit ? 4096 : 0,
                                       .shards = is_commit ? shards : NULL,
                                       .key = key};
}

#define KEY(first) record_of(RECORD_KEY, 0, key_of(first))
#define COMMIT(step, first) record_of(RECORD_CONSISTENT, step, key_of(first))
#define ATTEMPT record_of(RECORD_ATTEMPT, 0, (struct digest_key){0})
#define COMMIT_OF_BEFORE(step) record_of(RECORD_CONSISTENT, step, (struct digest_key){0})

static void a_run_goes_on_with_what_it_began_with(void **state)
{
    (void)state;
    const struct {
        const char *name;
        struct coordinator_record records[2];
        uint32_t count;
        uint8_t first; /* of its key; 0: BLAKE3 */
    } rows[] = {
        {"a key is on record", {KEY(5)}, 1, 5},
        {"a later key", {KEY(5), KEY(6)}, 2, 6},
        {"a key, and what was committed under it", {KEY(5), COMMIT(10, 5)}, 2, 5},
        {"what was committed under a key", {COMMIT(10, 5), COMMIT(20, 5)}, 2, 5},
        {"a commit counts more than what was drawn before", {KEY(5), COMMIT(10, 6)}, 2, 6},
        {"an attempt of before there were keys", {ATTEMPT}, 1, 0},
        {"a commit of before there were keys", {COMMIT_OF_BEFORE(10)}, 1, 0},
        {"the same, with an attempt", {ATTEMPT, COMMIT_OF_BEFORE(10)}, 2, 0},
    };
    for (size_t i = 0; i < 2 * ROWS(rows); i++) {
        enum digest_kind config = i % 2 ? DIGEST_KIND_FINGERPRINT : DIGEST_KIND_BLAKE3;
        start(config, 1, rows[i / 2].records, rows[i / 2].count);
        const struct digest_key *told = seat_key("run");
        ROW_HOLDS(&rows[i / 2],
                  rows[i / 2].first ? is_key(told, rows[i / 2].first) : is_blake3(told));
        ROW_HOLDS(&rows[i / 2], cluster_records(&cluster, RECORD_KEY) == 0);
    }
}

static enum ckpt_status replay_two(struct coordinator_record first,
                                   struct coordinator_record second)
{
    struct coordinator_config config;
    char reason[CKPT_REASON_MAX + 1];
    const struct coordinator_record *records[] = {&first, &second};
    cluster_config(&config, 2);
    size_t bytes = coordinator_memory_bytes(&config, reason);
    void *memory = machine_memory(bytes);
    struct coordinator *c;
    assert_int_equal(coordinator_init(memory, bytes, &config, 5, 1, &c), CKPT_OK);
    enum ckpt_status status = CKPT_OK;
    for (size_t i = 0; i < 2 && status == CKPT_OK; i++) {
        struct coordinator_event event = {
            .type = COORDINATOR_REPLAY, .now_ms = 1000, .record = records[i]};
        status = coordinator_advance(c, &event, &cluster.update);
    }
    free(memory);
    return status;
}

static void what_stands_is_under_one_key(void **state)
{
    (void)state;
    assert_int_equal(replay_two(COMMIT(10, 5), COMMIT(20, 5)), CKPT_OK);
    assert_int_equal(replay_two(COMMIT(10, 5), COMMIT(20, 6)), CKPT_ERR_CORRUPT);
    assert_int_equal(replay_two(COMMIT(10, 5), COMMIT_OF_BEFORE(20)), CKPT_ERR_CORRUPT);
    assert_int_equal(replay_two(COMMIT(10, 5), KEY(6)), CKPT_ERR_CORRUPT);
    assert_int_equal(replay_two(COMMIT_OF_BEFORE(10), KEY(6)), CKPT_ERR_CORRUPT);
    assert_int_equal(replay_two(ATTEMPT, record_of(RECORD_KEY, 0, (struct digest_key){0})),
                     CKPT_ERR_CORRUPT);
}

/* runs_max is 4. */
static void a_key_outlives_the_runs_place(void **state)
{
    (void)state;
    start(DIGEST_KIND_FINGERPRINT, 1, NULL, 0);
    cluster.secret.bytes[0] = 1;
    assert_true(is_key(seat_key("run"), 1));
    for (uint8_t i = 0; i < 4; i++) {
        const char name[] = {'r', (char)('0' + i), '\0'};
        cluster_tick(&cluster, 10);
        assert_true(is_key(seat_key(name), (uint8_t)(2 + i)));
    }
    assert_true(is_key(seat_key("run"), 1));
    assert_int_equal(cluster_records(&cluster, RECORD_KEY), 0);
}

/* ---- digests under another key ---- */

static struct coordinator_copy_view copy_of(uint32_t checkpoint, const char *node)
{
    struct coordinator_shard_view view = {0};
    (void)coordinator_shard_view(cluster.c, checkpoint, 0, &view);
    for (uint32_t i = 0; i < view.copy_count; i++) {
        if (strcmp(view.copies[i].node, node) == 0) {
            return view.copies[i];
        }
    }
    return (struct coordinator_copy_view){.node = NULL};
}

static void says(uint32_t node, uint8_t digest, uint64_t key, uint64_t order)
{
    struct message m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, node == 0, digest);
    m.shard_report.digest_key = key;
    m.shard_report.order = order;
    cluster_message(&cluster, node, &m);
}

static bool is_told_key(uint32_t node, uint8_t first)
{
    const struct message *ack = cluster_find(&cluster, node, MESSAGE_SHARD_ACK);
    return ack != NULL && ack->shard_ack.keep && is_key(&ack->shard_ack.key, first);
}

static void a_save_waits_for_digests_under_its_key(void **state)
{
    (void)state;
    start(DIGEST_KIND_FINGERPRINT, 2, NULL, 0);
    cluster.secret.bytes[0] = 4;
    says(0, 7, OTHER_KEY, 0);
    assert_true(is_told_key(0, 4));
    assert_int_equal(copy_of(0, "n0").state, COPY_SEALED);
    const struct message *pull = cluster_find(&cluster, 1, MESSAGE_PULL_ORDER);
    assert_non_null(pull); /* from the owner, who has it whole */
    uint64_t order = pull->pull_order.order;
    says(0, 8, id_of(4), 0);
    assert_int_equal(copy_of(0, "n0").state, COPY_VERIFIED);
    says(1, 9, DIGEST_KEY_ID_BLAKE3, order);
    assert_true(is_told_key(1, 4));
    assert_int_equal(copy_of(0, "n1").state, COPY_ADOPTED);
    assert_false(copy_of(0, "n1").bad);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_VERIFYING);
    says(1, 8, id_of(4), order);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
}

static void what_is_proven_stays_so_whatever_comes_late(void **state)
{
    (void)state;
    start(DIGEST_KIND_FINGERPRINT, 2, NULL, 0);
    cluster.secret.bytes[0] = 4;
    says(0, 8, id_of(4), 0);
    says(0, 7, OTHER_KEY, 0);
    assert_true(is_told_key(0, 4));
    assert_int_equal(copy_of(0, "n0").state, COPY_VERIFIED);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_VERIFYING);
}

/* It is the agent's own word, of two digests under one key. */
static void a_copy_that_changed_has_changed_under_any_key(void **state)
{
    (void)state;
    start(DIGEST_KIND_FINGERPRINT, 2, NULL, 0);
    struct message m = cluster_report(1, 10, 0, 1, COPY_SEALED, true, 0);
    cluster_message(&cluster, 0, &m);
    m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, true, 7);
    m.shard_report.digest_key = OTHER_KEY;
    m.shard_report.changed = true;
    cluster_message(&cluster, 0, &m);
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_ABORTED);
}

static void load(uint32_t node)
{
    struct message m = {.type = MESSAGE_LOAD_ASK};
    m.load_ask.run.uid = 1000;
    strcpy(m.load_ask.run.name, "run");
    m.load_ask.load = m.load_ask.world = m.load_ask.attempt = 1;
    m.load_ask.step = CKPT_STEP_LATEST;
    m.load_ask.collective = true;
    cluster_message(&cluster, node, &m);
}

/* After a start, agents hold what they proved under another key: nothing is different, nothing is
 * given up, and nobody is told anything before the copies are proven again. */
static void a_restore_waits_for_copies_to_be_proven_under_the_key(void **state)
{
    (void)state;
    const struct coordinator_record records[] = {KEY(5), COMMIT(10, 5)};
    start(DIGEST_KIND_BLAKE3, 2, records, 2);
    says(0, 99, OTHER_KEY, 0);
    says(1, 98, DIGEST_KEY_ID_BLAKE3, 0);
    assert_true(is_told_key(1, 5));
    assert_int_equal(copy_of(0, "n0").state, COPY_ADOPTED);
    assert_int_equal(copy_of(0, "n1").state, COPY_ADOPTED);
    for (uint32_t i = 0; i < 60; i++) { /* long after restore_settle_ms */
        cluster_pass(&cluster, 500, 2, 0);
        load(0);
        assert_null(cluster_find(&cluster, 0, MESSAGE_LOAD_VERDICT));
        assert_null(cluster_find(&cluster, 0, MESSAGE_PULL_ORDER));
    }
    assert_int_equal(cluster_checkpoint(&cluster, 10).state, CHECKPOINT_CONSISTENT);
    struct message m = cluster_report(1, 10, 0, 1, COPY_VERIFIED, true, 0);
    m.shard_report.digest = shards[0].digest;
    m.shard_report.digest_key = id_of(5);
    cluster_message(&cluster, 0, &m);
    load(0);
    const struct message *verify = cluster_find(&cluster, 0, MESSAGE_VERIFY_ORDER);
    assert_true(is_key(&verify->verify_order.key, 5));
    m.shard_report.order = verify->verify_order.order;
    m.shard_report.digest_key = OTHER_KEY;
    cluster_message(&cluster, 0, &m);
    assert_null(cluster_find(&cluster, 0, MESSAGE_LOAD_VERDICT));
    m.shard_report.digest_key = id_of(5);
    cluster_message(&cluster, 0, &m);
    cluster_tick(&cluster, 0);
    const struct message *verdict = cluster_find(&cluster, 0, MESSAGE_LOAD_VERDICT);
    assert_non_null(verdict);
    assert_int_equal(verdict->load_verdict.status, CKPT_OK);
}

/* ---- agents of before there were keys ---- */

static enum ckpt_status join_as(uint32_t node, uint32_t features)
{
    struct message m = {.type = MESSAGE_JOIN};
    m.join.protocol = WIRE_PROTOCOL_VERSION;
    snprintf(m.join.node, sizeof m.join.node, "n%u", node);
    snprintf(m.join.domain, sizeof m.join.domain, "d%u", node);
    snprintf(m.join.address, sizeof m.join.address, "127.0.0.1:%u", 7000 + node);
    m.join.segments = 16;
    m.join.segment_bytes = 1 << 20;
    m.join.features = FEATURES_BEFORE_KEYS | features;
    cluster_message(&cluster, node, &m);
    return cluster_find(&cluster, node, MESSAGE_WELCOME)->welcome.status;
}

/* The coordinator was upgraded before the agents: what they save meanwhile is saved as before. */
static void runs_begin_with_blake3_until_the_last_agent_is_upgraded(void **state)
{
    (void)state;
    start(DIGEST_KIND_FINGERPRINT, 1, NULL, 0);
    assert_int_equal(join_as(1, 0), CKPT_OK);
    assert_true(is_blake3(seat_key("meanwhile")));
    assert_int_equal(cluster_records(&cluster, RECORD_KEY), 0);
    assert_int_equal(join_as(1, WIRE_FEATURE_FINGERPRINT), CKPT_OK);
    cluster.secret.bytes[0] = 3;
    assert_true(is_key(seat_key("later"), 3));
    assert_true(is_blake3(seat_key("meanwhile")));
    assert_int_equal(join_as(2, 0), CKPT_ERR_VERSION);
}

static void agents_without_fingerprints_join_where_there_are_none(void **state)
{
    (void)state;
    const struct coordinator_record key = KEY(5);
    const struct coordinator_record commit = COMMIT(10, 5);
    const struct coordinator_record before = COMMIT_OF_BEFORE(10);
    const struct {
        const char *name;
        enum digest_kind config;
        const struct coordinator_record *record;
        uint32_t features;
        enum ckpt_status status;
        const char *says;
    } rows[] = {
        {"blake3", DIGEST_KIND_BLAKE3, NULL, 0, CKPT_OK, ""},
        {"blake3, runs of before", DIGEST_KIND_BLAKE3, &before, 0, CKPT_OK, ""},
        {"blake3, a run with a key", DIGEST_KIND_BLAKE3, &key, 0, CKPT_ERR_VERSION, "upgrade"},
        {"blake3, a commit under a key", DIGEST_KIND_BLAKE3, &commit, 0, CKPT_ERR_VERSION,
         "upgrade"},
        {"fingerprints, and no run yet", DIGEST_KIND_FINGERPRINT, NULL, 0, CKPT_OK, ""},
        {"fingerprints, a run with a key", DIGEST_KIND_FINGERPRINT, &key, 0, CKPT_ERR_VERSION,
         "upgrade"},
        {"fingerprints, and it knows them", DIGEST_KIND_FINGERPRINT, &key, WIRE_FEATURE_FINGERPRINT,
         CKPT_OK, ""},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        start(rows[i].config, 0, rows[i].record, rows[i].record != NULL);
        (void)join_as(0, rows[i].features);
        const struct message_welcome *welcome =
            &cluster_find(&cluster, 0, MESSAGE_WELCOME)->welcome;
        ROW_HOLDS(&rows[i], welcome->status == rows[i].status);
        ROW_HOLDS(&rows[i], strstr(welcome->reason, rows[i].says) != NULL);
        ROW_HOLDS(&rows[i], welcome->status != CKPT_OK ||
                                (welcome->features & WIRE_FEATURE_FINGERPRINT) != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_run_begins_with_a_key_that_is_on_record_first, cluster),
        MACHINE_TEST(each_run_has_its_own, cluster),
        MACHINE_TEST(without_a_secret_no_word_is_taken, cluster),
        MACHINE_TEST(where_runs_begin_with_blake3_they_have_no_key, cluster),
        MACHINE_TEST(whoever_is_to_prove_is_told, cluster),
        MACHINE_TEST(a_refused_report_tells_no_key, cluster),
        MACHINE_TEST(a_run_goes_on_with_what_it_began_with, cluster),
        MACHINE_TEST(what_stands_is_under_one_key, cluster),
        MACHINE_TEST(a_key_outlives_the_runs_place, cluster),
        MACHINE_TEST(a_save_waits_for_digests_under_its_key, cluster),
        MACHINE_TEST(what_is_proven_stays_so_whatever_comes_late, cluster),
        MACHINE_TEST(a_copy_that_changed_has_changed_under_any_key, cluster),
        MACHINE_TEST(a_restore_waits_for_copies_to_be_proven_under_the_key, cluster),
        MACHINE_TEST(runs_begin_with_blake3_until_the_last_agent_is_upgraded, cluster),
        MACHINE_TEST(agents_without_fingerprints_join_where_there_are_none, cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
