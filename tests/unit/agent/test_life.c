/* SPDX-License-Identifier: Apache-2.0 */
/* Config, joining, leases and epochs; and that no words, however odd or many, break the machine. */
#include "unit/agent/driver.h"

#include <string.h>

#include "base/prng.h"

SPOILS(no_segments, struct agent_config, it->segments = 0)
SPOILS(no_slots, struct agent_config, it->slots = 0)
SPOILS(no_ranks, struct agent_config, it->ranks_max = 0)
SPOILS(no_pulls, struct agent_config, it->pulls_max = 0)
SPOILS(no_copies, struct agent_config, it->copies_default = 0)
SPOILS(no_heartbeat, struct agent_config, it->heartbeat_ms = 0)
SPOILS(no_resend, struct agent_config, it->resend_ms = 0)
SPOILS(no_offer_pin, struct agent_config, it->offer_pin_ms = 0)
SPOILS(no_pull_timeout, struct agent_config, it->pull_timeout_ms = 0)
SPOILS(no_load_timeout, struct agent_config, it->load_timeout_ms = 0)
SPOILS(too_many_slots, struct agent_config, it->slots = CKPT_ARENA_SEGMENTS_MAX + 1)
SPOILS(too_many_segments, struct agent_config, it->segments = CKPT_ARENA_SEGMENTS_MAX + 1)
SPOILS(segments_of_no_bytes, struct agent_config, it->segment_bytes = 0)
SPOILS(no_node, struct agent_config, it->node[0] = '\0')
SPOILS(a_domain_that_is_no_name, struct agent_config, strcpy(it->domain, "a b"))
SPOILS(an_address_without_end, struct agent_config, memset(it->address, 'x', sizeof(it->address)))
static const struct unusable {
    const char *name;
    void (*spoil)(struct agent_config *it);
} unusable[] = {
    {ROW(no_segments)},
    {ROW(no_slots)},
    {ROW(no_ranks)},
    {ROW(no_pulls)},
    {ROW(no_copies)},
    {ROW(no_heartbeat)},
    {ROW(no_resend)},
    {ROW(no_offer_pin)},
    {ROW(no_pull_timeout)},
    {ROW(no_load_timeout)},
    {ROW(too_many_slots)},
    {ROW(too_many_segments)},
    {ROW(segments_of_no_bytes)},
    {ROW(no_node)},
    {ROW(a_domain_that_is_no_name)},
    {ROW(an_address_without_end)},
};

static void configs_are_checked(void **state)
{
    struct driver *d = *state;
    for (size_t i = 0; i < ROWS(unusable); i++) {
        const struct unusable *row = &unusable[i];
        driver_config(d);
        struct agent_config *c = &d->config;
        row->spoil(c);
        char reason[CKPT_REASON_MAX + 1] = "";
        ROW_HOLDS(row, agent_memory_bytes(c, reason) == 0);
        ROW_HOLDS(row, reason[0] != '\0');
        static uint8_t memory[64] __attribute__((aligned(64)));
        struct agent *agent = (struct agent *)d;
        ROW_HOLDS(row,
                  agent_init(memory, sizeof(memory), c, life(1), 1, &agent) == CKPT_ERR_CONFIG);
        ROW_HOLDS(row, agent == (struct agent *)d);
    }
    driver_config(d);
    static uint8_t small[128] __attribute__((aligned(64)));
    struct agent *agent = NULL;
    assert_int_equal(agent_init(small, sizeof(small), &d->config, life(1), 1, &agent),
                     CKPT_ERR_MEMORY);
    assert_int_equal(agent_init(small + 1, SIZE_MAX, &d->config, life(1), 1, &agent),
                     CKPT_ERR_MEMORY);
    assert_int_equal(agent_init(small, SIZE_MAX, &d->config, life(0), 1, &agent), CKPT_ERR_INVALID);
    assert_null(agent);
    d->config.segments = d->config.slots = CKPT_ARENA_SEGMENTS_MAX;
    char reason[CKPT_REASON_MAX + 1];
    assert_in_range(agent_memory_bytes(&d->config, reason), 1, 64u << 20);
}

/* A coordinator of before there were goodbyes hears none. */
static void who_ends_in_order_says_goodbye(void **state)
{
    struct driver *d = *state;
    for (uint32_t features = 0; features <= FEATURES_BEFORE_KEYS;
         features += FEATURES_BEFORE_KEYS) {
        driver_start(d);
        driver_join(d);
        driver_coordinator(
            d, (struct message){
                   .type = MESSAGE_WELCOME,
                   .welcome = {.heartbeat_ms = 1000, .lease_ms = 5000, .features = features}});
        driver_event(d, (struct agent_event){.type = AGENT_STOP});
        assert_int_equal(driver_said_count(d, MESSAGE_GOODBYE), features != 0);
        driver_tick(d, 60000);
        assert_true(driver_silent(d));
        driver_stop(d);
    }
}

/* An agent that was stopped has heard nobody: that is not the coordinator's fault. */
static void a_stopped_agent_suspects_itself_first(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    d->now_ms += 30000;
    driver_event(d, (struct agent_event){.type = AGENT_TICK, .late_ms = 29000});
    for (uint32_t i = 0; i < d->update.message_count; i++) {
        assert_false(d->update.messages[i].close);
    }
    assert_in_range(d->update.deadline_ms, d->now_ms, d->now_ms + 1000);
    driver_tick(d, 5000); /* its lease, in which it ran */
    assert_int_equal(d->update.message_count, 1);
    assert_true(d->update.messages[0].close);
}

/* Where it listens at every address, the connection says which one others are told. */
static void the_connection_may_say_the_address(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP, .address = "10.0.0.7:7472"});
    assert_string_equal(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_JOIN)->message.join.address,
                        "10.0.0.7:7472");
}

static void a_join_is_repeated_until_welcome(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_JOIN);
    assert_string_equal(out->message.join.node, "n1");
    assert_string_equal(out->message.join.domain, "rack1");
    assert_string_equal(out->message.join.address, "n1:7000");
    assert_int_equal(out->message.join.protocol, WIRE_PROTOCOL_VERSION);
    assert_int_equal(out->message.join.segments, 8);
    assert_int_equal(out->message.join.segments_free, 8);
    driver_tick(d, d->config.resend_ms);
    assert_non_null(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_JOIN));
    driver_checkpoint(d, 10, CHECKPOINT_CONSISTENT); /* not before the welcome */
    driver_rank(d, 1, ALICE, 0);
    assert_int_equal(driver_ask(d, 1, 10, SEGMENT)->status, CKPT_OK);
    struct message no = {.type = MESSAGE_WELCOME,
                         .welcome = {.status = CKPT_ERR_VERSION, .reason = "too old"}};
    driver_coordinator(d, no);
    assert_non_null(strstr(driver_noted(d, EVENT_join_refused)->text, "too old"));
    driver_coordinator(d, no);
    assert_null(driver_noted(d, EVENT_join_refused));
    driver_tick(d, d->config.heartbeat_ms);
    assert_non_null(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_JOIN));
    struct message welcome = {.type = MESSAGE_WELCOME,
                              .welcome = {.heartbeat_ms = 300, .lease_ms = 900}};
    driver_coordinator(d, welcome);
    assert_non_null(driver_noted(d, EVENT_joined));
    driver_coordinator(d, welcome);
    assert_true(driver_silent(d));
    driver_tick(d, 300);
    assert_non_null(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_HEARTBEAT));
    assert_null(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_JOIN));
}

static void a_silent_coordinator_is_left(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    struct message lease = {.type = MESSAGE_LEASE};
    for (int i = 0; i < 10; i++) {
        driver_tick(d, 1000);
        assert_non_null(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_HEARTBEAT));
        driver_coordinator(d, lease);
    }
    driver_tick(d, 4999);
    assert_null(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_NONE));
    driver_tick(d, 1);
    assert_true(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_NONE)->close);
    driver_tick(d, 60000);
    assert_true(driver_silent(d));
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
    driver_join(d);
}

static void a_restarted_agent_remembers_the_epoch(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    driver_event(d, (struct agent_event){.type = AGENT_ADOPT_END, .epoch = EPOCH + 1});
    assert_int_equal(agent_epoch(d->agent), EPOCH + 1);
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    struct message welcome = {.type = MESSAGE_WELCOME, .epoch = EPOCH};
    welcome.welcome.heartbeat_ms = 1000;
    driver_coordinator(d, welcome);
    assert_non_null(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_STALE_EPOCH));
    driver_tick(d, 1000);
    assert_null(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_HEARTBEAT)); /* not joined */
    welcome.epoch = EPOCH + 1;
    driver_coordinator(d, welcome);
    driver_tick(d, 1000);
    assert_non_null(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_HEARTBEAT));
}

static void heartbeats_tell_of_rails(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    for (uint32_t up = 0; up <= 2; up++) {
        d->now_ms += 1000;
        driver_event(d, (struct agent_event){.type = AGENT_TICK, .rails = 2, .rails_up = up});
        const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_HEARTBEAT);
        assert_non_null(out);
        assert_int_equal(out->message.heartbeat.rails, 2);
        assert_int_equal(out->message.heartbeat.rails_up, up);
    }
}

static void only_the_highest_epoch_rules(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_join(d);
    assert_int_equal(agent_epoch(d->agent), EPOCH);
    driver_rank(d, 1, ALICE, 0);
    uint32_t slot = driver_save(d, 1, 10, SEGMENT);
    struct message retire = {.type = MESSAGE_CHECKPOINT_STATE, .epoch = EPOCH - 1};
    retire.checkpoint_state.run = key_of(ALICE, 10, 0).run;
    retire.checkpoint_state.attempt = 1;
    retire.checkpoint_state.step = 10;
    retire.checkpoint_state.world = 4;
    retire.checkpoint_state.state = CHECKPOINT_RETIRED;
    driver_coordinator(d, retire);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_STALE_EPOCH);
    assert_int_equal(out->message.epoch, EPOCH);
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    struct message lease = {.type = MESSAGE_LEASE, .epoch = EPOCH + 2};
    driver_coordinator(d, lease);
    assert_int_equal(agent_epoch(d->agent), EPOCH + 2);
    retire.epoch = EPOCH;
    driver_coordinator(d, retire);
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    struct message peer = {.type = MESSAGE_OFFER_DONE, .epoch = 1000};
    driver_peer(d, 5, peer); /* a peer raises no epoch */
    assert_int_equal(agent_epoch(d->agent), EPOCH + 2);

    /* Another coordinator on the same connection is joined before it is heard. */
    retire.epoch = EPOCH + 3;
    retire.incarnation = life(66);
    driver_coordinator(d, retire);
    assert_int_equal(driver_slot(d, slot).state, SLOT_VERIFIED);
    assert_non_null(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_JOIN));
    struct message welcome = {.type = MESSAGE_WELCOME,
                              .epoch = EPOCH + 3,
                              .incarnation = life(66),
                              .welcome = {.heartbeat_ms = 1000}};
    driver_coordinator(d, welcome);
    assert_int_equal(driver_said_count(d, MESSAGE_SHARD_REPORT), 1);
    driver_coordinator(d, retire);
    assert_int_equal(driver_slot(d, slot).state, SLOT_FREE);
}

static void strangers_change_nothing(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    struct nonce cluster = agent_cluster(d->agent);
    assert_true(nonce_is_zero(&cluster));
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    struct message lease = {.type = MESSAGE_LEASE, .epoch = 1000, .incarnation = life(66)};
    driver_coordinator(d, lease); /* no WELCOME came before it */
    assert_int_equal(agent_epoch(d->agent), 0);
    driver_join(d);
    cluster = agent_cluster(d->agent);
    assert_int_equal(cluster.bytes[0], CLUSTER);

    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    const struct agent_outgoing *join = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_JOIN);
    assert_true(nonce_equal(&join->message.join.cluster, &cluster));
    struct message welcome = {.type = MESSAGE_WELCOME, .epoch = 1000, .incarnation = life(66)};
    welcome.welcome.heartbeat_ms = 1000;
    welcome.welcome.cluster = (struct nonce){{CLUSTER + 1}};
    driver_coordinator(d, welcome);
    assert_non_null(driver_noted(d, EVENT_another_cluster));
    assert_true(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_NONE)->close);
    assert_int_equal(agent_epoch(d->agent), EPOCH);
    assert_int_equal(agent_cluster(d->agent).bytes[0], CLUSTER);
    driver_tick(d, 10000);
    assert_null(driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_HEARTBEAT));
}

static void without_a_coordinator_saves_stage(void **state)
{
    struct driver *d = *state;
    driver_start(d);
    driver_rank(d, 1, ALICE, 0);
    struct message_slot_granted granted = *driver_ask(d, 1, 10, SEGMENT);
    driver_seal(d, 1, 10, granted.slot, granted.generation);
    assert_int_equal(driver_slot(d, granted.slot).state, SLOT_SEALED);
    driver_event(d, (struct agent_event){.type = AGENT_TICK});
    assert_int_equal(driver_said_count(d, MESSAGE_SHARD_REPORT), 0);
    assert_null(driver_works(d, AGENT_WORK_DIGEST)); /* under which key is not known */
    driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
    struct message welcome = {.type = MESSAGE_WELCOME, .welcome = {.heartbeat_ms = 1000}};
    driver_coordinator(d, welcome);
    const struct agent_outgoing *out = driver_said(d, AGENT_TO_COORDINATOR, MESSAGE_SHARD_REPORT);
    assert_int_equal(out->message.shard_report.state, COPY_SEALED);
    assert_int_equal(out->message.shard_report.generation, granted.generation);
    assert_non_null(driver_works(d, AGENT_WORK_DIGEST));
}

/* Words of any sender in any order, with values near those that mean something and values that mean
 * nothing. The invariants are asserted inside after each. */
static void number(struct prng *prng, void *field, size_t bytes)
{
    uint64_t value = prng_below(prng, 12);
    switch (prng_below(prng, 8)) {
    case 0:
        value = prng_next(prng);
        break;
    case 1:
        value = UINT64_MAX;
        break;
    default:
        break;
    }
    memcpy(field, &value, bytes);
}

static void random_shard(struct prng *prng, struct shard_key *shard)
{
    *shard = key_of(prng_chance(prng, 100000) ? BOB : ALICE, 1 + prng_below(prng, 6),
                    (uint32_t)prng_below(prng, 4));
    if (prng_chance(prng, 20000)) {
        number(prng, &shard->step, sizeof(shard->step));
        number(prng, &shard->rank, sizeof(shard->rank));
        memset(shard->run.name, 'x', sizeof(shard->run.name));
    }
}

/* Most often one in which something goes on. */
static uint32_t random_slot(struct driver *d, struct prng *prng)
{
    uint32_t slot = 0;
    for (int i = 0; i < 8; i++) {
        slot = (uint32_t)prng_below(prng, d->config.slots);
        enum slot_state slot_state = driver_slot(d, slot).state;
        if (slot_state != SLOT_FREE && slot_state != SLOT_VERIFIED) {
            break;
        }
    }
    return slot;
}

static struct digest_key random_key(struct prng *prng)
{
    struct digest_key key = {.kind = (enum digest_kind)prng_below(prng, 3)};
    if (key.kind == DIGEST_KIND_FINGERPRINT) {
        key.secret.bytes[7] = (uint8_t)prng_chance(prng, 100000);
    }
    return key;
}

static void random_coordinator_message(struct driver *d, struct prng *prng, struct message *m)
{
    static const enum message_type types[] = {
        MESSAGE_WELCOME,         MESSAGE_LEASE,        MESSAGE_SHARD_ACK,
        MESSAGE_PULL_ORDER,      MESSAGE_PULL_ORDER,   MESSAGE_PULL_ORDER,
        MESSAGE_VERIFY_ORDER,    MESSAGE_LOAD_VERDICT, MESSAGE_CHECKPOINT_STATE,
        MESSAGE_CHECKPOINT_INFO, MESSAGE_JOIN,         MESSAGE_SHARD_ACK};
    m->type = types[prng_below(prng, sizeof(types) / sizeof(types[0]))];
    struct shard_key shard;
    random_shard(prng, &shard);
    uint32_t slot = (uint32_t)prng_below(prng, d->config.slots);
    struct agent_slot_view view = driver_slot(d, slot);
    if (m->type == MESSAGE_WELCOME) {
        m->welcome.heartbeat_ms = 1000;
        m->welcome.lease_ms = 60000;
        m->welcome.features = prng_chance(prng, 900000) ? WIRE_FEATURE_FINGERPRINT : 0;
    } else if (m->type == MESSAGE_SHARD_ACK) {
        m->shard_ack.shard = view.shard;
        m->shard_ack.generation = view.generation + prng_chance(prng, 100000);
        m->shard_ack.state = (enum copy_state)prng_below(prng, 5);
        m->shard_ack.keep = prng_chance(prng, 700000);
        m->shard_ack.key = random_key(prng);
        m->shard_ack.checkpoint = (enum checkpoint_state)prng_below(prng, 8);
    } else if (m->type == MESSAGE_PULL_ORDER) {
        *m = driver_order(d, shard.step, shard.rank, 1 + prng_below(prng, 3 * SEGMENT));
        m->pull_order.bytes = prng_chance(prng, 50000) ? prng_next(prng) : m->pull_order.bytes;
        m->pull_order.shard = shard;
        m->pull_order.key = random_key(prng);
        m->pull_order.order -= prng_below(prng, 3);
        m->pull_order.purpose = (enum pull_purpose)prng_below(prng, 4);
        m->pull_order.source_address[1] = (char)('2' + prng_below(prng, 3));
    } else if (m->type == MESSAGE_VERIFY_ORDER) {
        m->verify_order.order = ++d->orders;
        m->verify_order.shard = prng_chance(prng, 800000) ? view.shard : shard;
        m->verify_order.generation = view.generation;
        m->verify_order.key = random_key(prng);
    } else if (m->type == MESSAGE_CHECKPOINT_STATE) {
        m->checkpoint_state.run = shard.run;
        m->checkpoint_state.attempt = 1;
        m->checkpoint_state.step = shard.step;
        m->checkpoint_state.world = prng_chance(prng, 900000) ? 4 : 5;
        m->checkpoint_state.state = (enum checkpoint_state)prng_below(prng, 8);
    } else if (m->type == MESSAGE_LOAD_VERDICT) {
        m->load_verdict.run = shard.run;
        m->load_verdict.attempt = 1;
        m->load_verdict.asking_rank = shard.rank;
        m->load_verdict.collective = true;
        m->load_verdict.load = (uint32_t)prng_below(prng, 3);
        m->load_verdict.shard = shard;
        m->load_verdict.status = prng_chance(prng, 200000) ? CKPT_ERR_LOST : CKPT_OK;
    }
    m->incarnation = life(prng_chance(prng, 500) ? 50 : LIFE_OF_COORDINATOR);
    m->epoch = EPOCH - prng_chance(prng, 10000);
}

static void random_rank_message(struct driver *d, struct prng *prng, struct message *m)
{
    static const enum message_type types[] = {
        MESSAGE_RANK_OPEN,      MESSAGE_SLOT_ASK, MESSAGE_SLOT_ASK, MESSAGE_SEAL,
        MESSAGE_SEAL,           MESSAGE_SEAL,     MESSAGE_ABANDON,  MESSAGE_LOAD_ASK,
        MESSAGE_CHECKPOINT_ASK, MESSAGE_RELEASE,  MESSAGE_LEASE};
    m->type = types[prng_below(prng, sizeof(types) / sizeof(types[0]))];
    uint32_t slot = random_slot(d, prng);
    struct agent_slot_view view = driver_slot(d, slot);
    slot = prng_chance(prng, 20000) ? d->config.slots : slot;
    if (m->type == MESSAGE_RANK_OPEN) {
        strcpy(m->rank_open.run, "llama");
        m->rank_open.attempt = 1;
        m->rank_open.world = 4;
        m->rank_open.rank = (uint32_t)prng_below(prng, 5);
        m->rank_open.reader = prng_chance(prng, 100000);
    } else if (m->type == MESSAGE_SLOT_ASK) {
        m->slot_ask.step = 1 + prng_below(prng, 30);
        m->slot_ask.bytes = prng_below(prng, 4 * SEGMENT);
        if (prng_chance(prng, 20000)) {
            number(prng, &m->slot_ask.step, sizeof(m->slot_ask.step));
            number(prng, &m->slot_ask.bytes, sizeof(m->slot_ask.bytes));
        }
    } else if (m->type == MESSAGE_SEAL || m->type == MESSAGE_ABANDON) {
        m->seal.step = view.shard.step;
        m->seal.slot = slot;
        m->seal.generation = view.generation;
    } else if (m->type == MESSAGE_LOAD_ASK) {
        m->load_ask.collective = prng_chance(prng, 700000);
        m->load_ask.load = (uint32_t)prng_below(prng, 4);
        m->load_ask.step = 1 + prng_below(prng, 6);
        number(prng, &m->load_ask.rank, sizeof(m->load_ask.rank));
    } else if (m->type == MESSAGE_RELEASE) {
        m->release.slot = slot;
        m->release.generation = view.generation;
    }
}

struct chaos {
    uint64_t works[64]; /* under way; the machine never has more */
    uint64_t ended;     /* one that is over */
    uint64_t pulls[64];
    uint32_t links[64];
    uint32_t work_count;
    uint32_t pulls_next;
};

static void remember(const struct driver *d, struct chaos *chaos)
{
    for (uint32_t i = 0; i < d->update.work_count; i++) {
        if (d->update.works[i].work != 0) {
            assert_true(chaos->work_count < 64);
            chaos->works[chaos->work_count++] = d->update.works[i].work;
        }
    }
    for (uint32_t i = 0; i < d->update.message_count; i++) {
        const struct agent_outgoing *out = &d->update.messages[i];
        if (out->message.type == MESSAGE_OFFER_ASK) {
            chaos->pulls[chaos->pulls_next % 64] = out->message.offer_ask.pull;
            chaos->links[chaos->pulls_next++ % 64] = out->link;
        }
        assert_int_equal(out->message.epoch, agent_epoch(d->agent));
    }
}

static void random_peer_event(struct driver *d, struct prng *prng, const struct chaos *chaos)
{
    uint32_t which = (chaos->pulls_next + 63 - (uint32_t)prng_below(prng, 4)) % 64;
    uint32_t slot = (uint32_t)prng_below(prng, d->config.slots);
    struct agent_slot_view view = driver_slot(d, slot);
    struct message m = {.type = MESSAGE_OFFER};
    switch (prng_below(prng, 6)) {
    case 0:
    case 1:
        m.offer.pull = chaos->pulls[which];
        m.offer.generation = 41 + prng_below(prng, 6);
        m.offer.bytes = prng_below(prng, 3 * SEGMENT);
        m.offer.segment_bytes = SEGMENT;
        m.offer.region_count = (uint32_t)((m.offer.bytes + SEGMENT - 1) / SEGMENT);
        for (uint32_t i = 0; i < d->config.slots; i++) { /* most often one that adds up */
            struct agent_slot_view v = driver_slot(d, i);
            if (v.state == SLOT_PULLING && prng_chance(prng, 500000)) {
                m.offer.generation = 40 + v.shard.step;
                m.offer.bytes = v.bytes;
                m.offer.region_count = v.segment_count;
            }
        }
        break;
    case 2:
        m.type = MESSAGE_OFFER_CLOSED;
        m.offer_closed.pull = chaos->pulls[which];
        m.offer_closed.status = prng_chance(prng, 100000) ? CKPT_ERR_STALE : CKPT_OK;
        break;
    case 3:
        m.type = MESSAGE_OFFER_ASK;
        m.offer_ask.pull = prng_below(prng, 5);
        m.offer_ask.shard = view.shard;
        m.offer_ask.generation = view.generation;
        m.offer_ask.source_incarnation = life(LIFE_OF_AGENT);
        break;
    case 4:
        m.type = MESSAGE_OFFER_DONE;
        m.offer_done.pull = prng_below(prng, 5);
        m.offer_done.slot = slot;
        m.offer_done.generation = view.generation;
        break;
    default:
        if (prng_chance(prng, 300000)) {
            driver_event(
                d, (struct agent_event){.type = AGENT_PEER_DOWN, .link = chaos->links[which]});
        }
        return;
    }
    driver_peer(d, prng_chance(prng, 800000) ? chaos->links[which] : 3, m);
}

static void end_a_work(struct driver *d, struct prng *prng, struct chaos *chaos)
{
    enum ckpt_status status = prng_chance(prng, 100000) ? CKPT_ERR_SYSTEM : CKPT_OK;
    uint64_t work = chaos->ended;
    if (chaos->work_count > 0 && prng_chance(prng, 900000)) {
        uint32_t which = (uint32_t)prng_below(prng, chaos->work_count);
        work = chaos->works[which];
        chaos->works[which] = chaos->works[--chaos->work_count];
        chaos->ended = work;
    }
    driver_work(d, work, status, (uint8_t)prng_chance(prng, 50000));
}

static void one_event(struct driver *d, struct prng *prng, struct chaos *chaos)
{
    struct message m = {.type = MESSAGE_NONE};
    uint32_t link = 1 + (uint32_t)prng_below(prng, 6);
    switch (prng_below(prng, 12)) {
    case 0:
        driver_event(d, (struct agent_event){
                            .type = AGENT_RANK_UP, .link = link, .uid = link == 6 ? BOB : ALICE});
        break;
    case 1:
        if (prng_chance(prng, 300000)) {
            driver_event(d, (struct agent_event){.type = AGENT_RANK_DOWN, .link = link});
        }
        break;
    case 2:
    case 3:
    case 4:
        random_rank_message(d, prng, &m);
        driver_rank_says(d, link, m);
        break;
    case 5:
    case 6:
        random_coordinator_message(d, prng, &m);
        driver_coordinator(d, m);
        break;
    case 7:
        driver_tick(d, prng_below(prng, 400));
        break;
    case 8:
        if (prng_chance(prng, 20000)) {
            driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_DOWN});
        } else if (prng_chance(prng, 200000)) {
            driver_event(d, (struct agent_event){.type = AGENT_COORDINATOR_UP});
        }
        break;
    case 9:
        end_a_work(d, prng, chaos);
        break;
    default:
        random_peer_event(d, prng, chaos);
        break;
    }
    remember(d, chaos);
}

static void any_words_in_any_order(void **state)
{
    struct driver *d = *state;
    uint32_t saved = 0, pulled = 0, renewed = 0, freed = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct chaos chaos = {0};
        struct prng prng;
        prng_seed(&prng, seed);
        driver_start(d);
        driver_join(d);
        for (int i = 0; i < 10000; i++) {
            one_event(d, &prng, &chaos);
            for (uint32_t j = 0; j < d->update.record_count; j++) {
                const struct slot_record *record = &d->update.records[j];
                saved += record->state == SLOT_VERIFIED && record->owner;
                pulled += record->state == SLOT_VERIFIED && !record->owner;
                freed += d->update.records[j].state == SLOT_FREE;
            }
            renewed += driver_works_count(d, AGENT_WORK_RENEW);
        }
        driver_stop(d);
    }
    /* The words did get somewhere. */
    assert_true(saved > 200);
    assert_true(pulled > 200);
    assert_true(freed > 1000);
    assert_true(renewed > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(configs_are_checked, driver),
        MACHINE_TEST(who_ends_in_order_says_goodbye, driver),
        MACHINE_TEST(a_stopped_agent_suspects_itself_first, driver),
        MACHINE_TEST(the_connection_may_say_the_address, driver),
        MACHINE_TEST(a_join_is_repeated_until_welcome, driver),
        MACHINE_TEST(a_silent_coordinator_is_left, driver),
        MACHINE_TEST(heartbeats_tell_of_rails, driver),
        MACHINE_TEST(only_the_highest_epoch_rules, driver),
        MACHINE_TEST(a_restarted_agent_remembers_the_epoch, driver),
        MACHINE_TEST(strangers_change_nothing, driver),
        MACHINE_TEST(without_a_coordinator_saves_stage, driver),
        MACHINE_TEST(any_words_in_any_order, driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
