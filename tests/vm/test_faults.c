/* SPDX-License-Identifier: Apache-2.0 */
/* Faults between two machines, one table of them: peers that die, stop and take their memory back,
 * keys that are not theirs, links that are cut and that lose packets. From each fault on all reads
 * end within BOUND_S, well or in an error of the fault's class; what ended well has its bytes; and
 * what can be mended reads again. Prints what each ended in, and after how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "transport/label.h"
#include "transport/verbs/card.h"
#include "vm/machines.h"

/* No hang: a read that is given up by its time-out (TIMEOUT_MS), and its queue pairs, which are
 * destroyed a second later at the latest, are far below, on a machine that is ten times too slow
 * too. It is no bar on speed, so where all bytes still come there are few reads: under emulation
 * they take their time. Where they do not,
 * there are so many that the fault comes before the last. */
#define BOUND_S 10
#define FAULT_READS 12

/* In mid-read, before the connection and so the first read, or while the connection is made. */
enum when { MID_READ, BEFORE, CONNECTING };
enum good { ALL_GOOD, NONE_GOOD, HALF_GOOD, SOME_FAIL, ANY_GOOD };

struct fault {
    const char *name;
    void (*strike)(struct world *w);
    /* If not NULL, some time after the first: the second half of the fault. */
    void (*strike_again)(struct world *w);
    double again_s;
    void (*mend)(struct world *w);
    enum good good;
    enum ckpt_status status, or_status; /* what else a read may end in */
    enum when when;
};

/* When the second half follows: within what a queue pair outlives by asking again, and beyond it.
 * Soft-RoCE (6.1) must not be asked to outlive it: a source whose port was down for less than its
 * reader's patience lets READs complete without their bytes (transport.md). A reader whose own port
 * goes down gives its queue pairs up at once. */
#define SOON_S 0.3
#define LATE_S 2.0

/* ---- The peer ---- */

static void kill_peer(struct world *w)
{
    (void)w;
    ask("kill");
}

static void join_anew(struct world *w)
{
    transport_disconnect(w->endpoint);
    wait_for(w, &w->disconnected, 1);
    join(w);
    read_all(w);
}

static void start_peer(struct world *w)
{
    assert_int_equal(start(w, 0), CKPT_ERR_LINK);
    order("start", &w->card);
    join_anew(w);
}

static void stop_peer(struct world *w)
{
    (void)w;
    ask("stop");
}

static void continue_peer(struct world *w)
{
    order("continue", NULL);
    read_all(w);
}

static void continue_and_join(struct world *w)
{
    order("continue", NULL);
    join_anew(w);
}

static void deregister(struct world *w)
{
    (void)w;
    ask("deregister");
}

static void revoke(struct world *w)
{
    (void)w;
    ask("revoke");
}

/* ---- Keys ---- */

static struct source_card forged;

/* The descriptor with other keys, and a checksum that is right. */
static void forge(struct world *w, const struct ticket *ticket)
{
    uint8_t payload[TICKET_BYTES_MAX];
    struct label label;

    forged = w->card;
    assert_int_equal(label_decode(w->card.descriptor, w->card.descriptor_bytes, LABEL_REGION,
                                  LABEL_VERBS, &label),
                     CKPT_OK);
    label.payload = payload;
    label.payload_bytes = ticket_encode(ticket, payload);
    assert_int_equal(
        label_encode(&label, forged.descriptor, CKPT_DESCRIPTOR_MAX, &forged.descriptor_bytes),
        CKPT_OK);
    w->forged = &forged;
}

static struct ticket ticket_of(const struct source_card *card)
{
    struct ticket ticket;
    struct label label;

    assert_int_equal(
        label_decode(card->descriptor, card->descriptor_bytes, LABEL_REGION, LABEL_VERBS, &label),
        CKPT_OK);
    assert_int_equal(ticket_decode(label.payload, label.payload_bytes, &ticket), CKPT_OK);
    return ticket;
}

static void guess_keys(struct world *w)
{
    struct ticket ticket = ticket_of(&w->card);

    for (uint32_t i = 0; i < ticket.rails_count; i++) {
        ticket.keys[i].region ^= 0x55;
    }
    forge(w, &ticket);
}

/* The keys of another transport's region on the same devices: another protection domain. */
static void take_keys_of_another(struct world *w)
{
    struct source_card other;
    struct ticket ticket;

    order("start other", &other);
    ticket = ticket_of(&other);
    forge(w, &ticket);
}

static void forget_keys(struct world *w)
{
    w->forged = NULL;
    read_all(w);
}

static void forget_another(struct world *w)
{
    order("kill other", NULL);
    forget_keys(w);
}

/* ---- Links ---- */

static void cut_far_link(struct world *w)
{
    (void)w;
    ask("down v1");
}

static void mend_far_link(struct world *w)
{
    order("up v1", NULL);
    expect_use(w, "v1");
}

static void raise_far_link(struct world *w)
{
    (void)w;
    ask("up v1");
}

static void use_far_link(struct world *w)
{
    expect_use(w, "v1");
}

static void cut_own_link(struct world *w)
{
    (void)w;
    set_link("v0", false);
}

static void raise_own_link(struct world *w)
{
    (void)w;
    set_link("v0", true);
}

static void mend_own_link(struct world *w)
{
    raise_own_link(w);
    expect_use(w, "v0");
}

static void use_own_link(struct world *w)
{
    expect_use(w, "v0");
}

static void cut_all_links(struct world *w)
{
    cut_own_link(w);
    set_link("v1", false);
}

static void raise_all_links(struct world *w)
{
    raise_own_link(w);
    set_link("v1", true);
}

static void mend_all_links(struct world *w)
{
    raise_all_links(w);
    join_anew(w);
}

static void lose_packets(struct world *w)
{
    (void)w;
    ask("tc qdisc add dev v0 root netem loss 1% && tc qdisc add dev v1 root netem loss 1%");
}

static void lose_no_packets(struct world *w)
{
    order("tc qdisc del dev v0 root && tc qdisc del dev v1 root", NULL);
    read_all(w);
}

/* ---- The table ---- */

static const struct fault faults[] = {
    {"peer killed", kill_peer, NULL, 0, start_peer, SOME_FAIL, CKPT_ERR_LINK, CKPT_ERR_TIMEOUT,
     MID_READ},
    /* Its processor takes no part: it is read all the same. */
    {"peer stopped", stop_peer, NULL, 0, continue_peer, ALL_GOOD, CKPT_OK, CKPT_OK, MID_READ},
    {"peer stopped before the connection", stop_peer, NULL, 0, continue_and_join, NONE_GOOD,
     CKPT_ERR_LINK, CKPT_ERR_TIMEOUT, BEFORE},
    {"region deregistered", deregister, NULL, 0, NULL, SOME_FAIL, CKPT_ERR_STALE, CKPT_ERR_STALE,
     MID_READ},
    /* What ended well has the bytes of before. */
    {"region revoked", revoke, NULL, 0, NULL, SOME_FAIL, CKPT_ERR_STALE, CKPT_ERR_STALE, MID_READ},
    {"wrong key in every second read", guess_keys, NULL, 0, forget_keys, HALF_GOOD, CKPT_ERR_STALE,
     CKPT_ERR_STALE, BEFORE},
    {"wrong protection domain in every second read", take_keys_of_another, NULL, 0, forget_another,
     HALF_GOOD, CKPT_ERR_STALE, CKPT_ERR_STALE, BEFORE},
    {"one rail cut at the peer", cut_far_link, NULL, 0, mend_far_link, ALL_GOOD, CKPT_OK, CKPT_OK,
     MID_READ},
    {"one rail cut here", cut_own_link, NULL, 0, mend_own_link, ALL_GOOD, CKPT_OK, CKPT_OK,
     MID_READ},
    {"one rail down and up at the peer", cut_far_link, raise_far_link, LATE_S, use_far_link,
     ALL_GOOD, CKPT_OK, CKPT_OK, MID_READ},
    {"one rail down and up here", cut_own_link, raise_own_link, SOON_S, use_own_link, ALL_GOOD,
     CKPT_OK, CKPT_OK, MID_READ},
    {"both rails cut", cut_all_links, NULL, 0, mend_all_links, SOME_FAIL, CKPT_ERR_LINK,
     CKPT_ERR_TIMEOUT, MID_READ},
    {"both rails down and up", cut_all_links, raise_all_links, SOON_S, join_anew, ANY_GOOD,
     CKPT_ERR_LINK, CKPT_ERR_TIMEOUT, MID_READ},
    {"1 % of the packets lost", lose_packets, NULL, 0, lose_no_packets, ALL_GOOD, CKPT_OK, CKPT_OK,
     MID_READ},
    /* The last: on Soft-RoCE the rail may be lost for good (transport.md). */
    {"one rail down and up here while it connects", cut_own_link, raise_own_link, SOON_S, NULL,
     ALL_GOOD, CKPT_OK, CKPT_OK, CONNECTING},
};

#define FAULTS (sizeof(faults) / sizeof(faults[0]))

/* Strikes, and reads until every read has ended. Returns the seconds from the fault on. */
static double suffer(struct world *w, const struct fault *fault)
{
    bool again = fault->strike_again != NULL;
    double begin = now();

    if (fault->when == BEFORE) {
        fault->strike(w);
        await_answer(NULL);
        begin = now();
        start_all(w);
    } else if (fault->when == CONNECTING) {
        start_all(w);
        turn(w, 1);
        begin = now();
        fault->strike(w);
    } else {
        get_going(w);
        begin = now();
        fault->strike(w);
    }
    while (w->ended < w->reads) {
        assert_true(now() - begin < PATIENCE_S);
        turn(w, 20);
        if (again && now() - begin >= fault->again_s) {
            fault->strike_again(w);
            again = false;
        }
    }
    double seconds = now() - begin;
    if (again) {
        fault->strike_again(w);
    }
    await_answer(NULL);
    return seconds;
}

static void print_outcome(const struct world *w, const struct fault *fault, unsigned good,
                          double seconds)
{
    unsigned counts[2] = {0};
    const enum ckpt_status statuses[2] = {fault->status, fault->or_status};

    for (uint32_t i = 0; i < w->reads; i++) {
        if (w->status[i] == CKPT_OK) {
            continue;
        }
        if (w->status[i] != statuses[0] && w->status[i] != statuses[1]) {
            fail_msg("%s: read %u ended in %s", fault->name, i, ckpt_status_name(w->status[i]));
        }
        counts[w->status[i] == statuses[0] ? 0 : 1]++;
    }
    printf("%s -> %u of %u read well", fault->name, good, w->reads);
    for (int i = 0; i < 2; i++) {
        if (counts[i] != 0) {
            printf(", %u %s", counts[i], ckpt_status_name(statuses[i]));
        }
    }
    printf(" -> %.1f s\n", seconds);
    fflush(stdout);
}

static bool is_expected(enum good expected, unsigned good, unsigned reads)
{
    switch (expected) {
    case ALL_GOOD:
        return good == reads;
    case NONE_GOOD:
        return good == 0;
    case HALF_GOOD:
        return good == reads / 2;
    case SOME_FAIL:
        return good < reads;
    case ANY_GOOD:
        break;
    }
    return true;
}

static struct fault_state {
    const struct fault *fault;
    struct world *world;
} states[FAULTS];

static void test_fault(void **state)
{
    const struct fault_state *s = *state;
    const struct fault *fault = s->fault;
    struct world *w = s->world;
    double seconds = suffer(w, fault);
    unsigned good = check_all(w);

    print_outcome(w, fault, good, seconds);
    assert_true(is_expected(fault->good, good, w->reads));
    assert_true(seconds < BOUND_S);
    if (fault->mend != NULL) {
        fault->mend(w);
    }
}

static int setup_fault(void **state)
{
    struct fault_state *s = *state;
    void *world = NULL;
    int result = setup(&world);

    s->world = world;
    s->world->reads = s->fault->good == SOME_FAIL ? READS : FAULT_READS;
    return result;
}

static int teardown_fault(void **state)
{
    const struct fault_state *s = *state;
    void *world = s->world;

    return teardown(&world);
}

static void test_bytes_come_by_both_rails(void **state)
{
    struct world *w = *state;
    uint64_t before[2];

    /* A rail that connects later than the other one reads has no part in the first reads. */
    expect_use(w, "v0");
    expect_use(w, "v1");
    before[0] = received("v0");
    before[1] = received("v1");
    read_all(w);
    assert_true(received("v0") - before[0] > 4 * CKPT_MIB);
    assert_true(received("v1") - before[1] > 4 * CKPT_MIB);
}

static int run(void)
{
    struct CMUnitTest tests[FAULTS + 1] = {
        cmocka_unit_test_setup_teardown(test_bytes_come_by_both_rails, setup, teardown)};

    for (size_t i = 0; i < FAULTS; i++) {
        states[i].fault = &faults[i];
        tests[i + 1] = (struct CMUnitTest){.name = faults[i].name,
                                           .test_func = test_fault,
                                           .setup_func = setup_fault,
                                           .teardown_func = teardown_fault,
                                           .initial_state = &states[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int count, char **arguments)
{
    return machines_main(count, arguments, run);
}
