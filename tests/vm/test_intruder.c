/* SPDX-License-Identifier: Apache-2.0 */
/* One machine: descriptors and peers that are not what they say, links that are cut, and what a
 * person is told. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <infiniband/verbs.h>
#include <netinet/in.h>
#include <rdma/rdma_cma.h>

#include "transport/label.h"
#include "transport/transport.h"
#include "transport/verbs/card.h"

#define BYTES CKPT_MIB
#define PATIENCE_S 60
#define BOUND_S 10 /* from a fault to its error: no hang, not a bar on speed */

static _Alignas(4096) uint8_t source_bytes[BYTES], other_bytes[BYTES], reader_bytes[BYTES];

struct world {
    struct transport *source, *reader;
    struct transport_region *source_region, *reader_region;
    struct transport_endpoint *endpoint;
    uint8_t descriptor[CKPT_DESCRIPTOR_MAX], address[CKPT_WORKER_ADDRESS_MAX];
    size_t descriptor_bytes, address_bytes;
    unsigned ended;
    enum ckpt_status status;
};

static struct transport *open_one(uint8_t *bytes, struct transport_region **region_out)
{
    struct transport_memory memory = {.address = bytes, .bytes = BYTES, .generation = 1};
    struct transport_options options = {.timeout_ms = 3000};
    struct transport *t = NULL;

    if (transport_open("verbs:rxe0", &options, &t) != CKPT_OK) {
        fail_msg("%s", transport_open_error());
    }
    assert_int_equal(transport_register(t, &memory, region_out), CKPT_OK);
    return t;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    memset(source_bytes, 0x5a, BYTES);
    memset(reader_bytes, 0, BYTES);
    w->source = open_one(source_bytes, &w->source_region);
    w->reader = open_one(reader_bytes, &w->reader_region);
    transport_export(w->source_region, w->descriptor, &w->descriptor_bytes);
    transport_address(w->source, w->address, &w->address_bytes);
    assert_int_equal(transport_connect(w->reader, w->address, w->address_bytes, 0, &w->endpoint),
                     CKPT_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    transport_close(w->reader, NULL, NULL);
    transport_close(w->source, NULL, NULL);
    free(w);
    return 0;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static enum ckpt_status fetch(struct world *w, uint64_t offset, uint64_t bytes)
{
    struct transport_read_request request = {.endpoint = w->endpoint,
                                             .descriptor = w->descriptor,
                                             .descriptor_bytes = w->descriptor_bytes,
                                             .remote_offset = offset,
                                             .local = w->reader_region,
                                             .bytes = bytes};
    struct transport_completion done;
    double begin = now();
    enum ckpt_status status = transport_read(&request);

    if (status != CKPT_OK) {
        return status;
    }
    while (transport_progress(w->reader, &done, 1) == 0) {
        assert_int_equal(transport_progress(w->source, &done, 1), 0);
        assert_true(now() - begin < BOUND_S);
    }
    printf("%s after %.1f s\n", ckpt_status_name(done.status), now() - begin);
    fflush(stdout);
    return done.status;
}

/* The descriptor with something changed, and a checksum that is right. */
static void forge(struct world *w, void change(struct label *label, struct ticket *ticket))
{
    uint8_t copy[CKPT_DESCRIPTOR_MAX], payload[TICKET_BYTES_MAX];
    struct ticket ticket;
    struct label label;

    memcpy(copy, w->descriptor, w->descriptor_bytes);
    assert_int_equal(label_decode(copy, w->descriptor_bytes, LABEL_REGION, LABEL_VERBS, &label),
                     CKPT_OK);
    assert_int_equal(ticket_decode(label.payload, label.payload_bytes, &ticket), CKPT_OK);
    change(&label, &ticket);
    label.payload = payload;
    label.payload_bytes = ticket_encode(&ticket, payload);
    assert_int_equal(label_encode(&label, w->descriptor, CKPT_DESCRIPTOR_MAX, &w->descriptor_bytes),
                     CKPT_OK);
}

static void expect_nothing_was_read(void)
{
    for (size_t i = 0; i < BYTES; i++) {
        assert_int_equal(reader_bytes[i], 0);
    }
}

/* And the endpoint still works, with the true descriptor. */
static void expect_recovery(struct world *w)
{
    transport_export(w->source_region, w->descriptor, &w->descriptor_bytes);
    assert_int_equal(fetch(w, 0, BYTES), CKPT_OK);
    assert_memory_equal(reader_bytes, source_bytes, BYTES);
}

static void guess_key(struct label *label, struct ticket *ticket)
{
    (void)label;
    ticket->keys[0].region ^= 0x55;
}

static void test_wrong_key(void **state)
{
    struct world *w = *state;

    forge(w, guess_key);
    assert_int_equal(fetch(w, 0, BYTES), CKPT_ERR_STALE);
    expect_nothing_was_read();
    expect_recovery(w);
}

static void claim_more(struct label *label, struct ticket *ticket)
{
    (void)ticket;
    label->bytes += BYTES;
}

static void test_beyond_the_end(void **state)
{
    struct world *w = *state;

    forge(w, claim_more);
    assert_int_equal(fetch(w, BYTES / 2, BYTES), CKPT_ERR_STALE);
    expect_recovery(w);
}

static struct ticket foreign;

static void use_foreign_key(struct label *label, struct ticket *ticket)
{
    (void)label;
    ticket->address = foreign.address;
    ticket->keys[0].region = foreign.keys[0].region;
}

/* The key of a region of another transport on the same device: another protection domain. */
static void test_wrong_domain(void **state)
{
    struct world *w = *state;
    struct transport_region *region;
    struct transport *other = open_one(other_bytes, &region);
    uint8_t descriptor[CKPT_DESCRIPTOR_MAX];
    size_t bytes = 0;
    struct label label;

    assert_int_equal(transport_export(region, descriptor, &bytes), CKPT_OK);
    assert_int_equal(label_decode(descriptor, bytes, LABEL_REGION, LABEL_VERBS, &label), CKPT_OK);
    assert_int_equal(ticket_decode(label.payload, label.payload_bytes, &foreign), CKPT_OK);
    forge(w, use_foreign_key);
    assert_int_equal(fetch(w, 0, BYTES), CKPT_ERR_STALE);
    expect_nothing_was_read();
    expect_recovery(w);
    transport_close(other, NULL, NULL);
}

static struct card card_of(const struct world *w, struct label *label_out)
{
    struct card card;

    assert_int_equal(
        label_decode(w->address, w->address_bytes, LABEL_ADDRESS, LABEL_VERBS, label_out), CKPT_OK);
    assert_int_equal(card_decode(label_out->payload, label_out->payload_bytes, &card), CKPT_OK);
    return card;
}

static void test_wrong_secret(void **state)
{
    struct world *w = *state;
    struct label label;
    struct card card = card_of(w, &label);
    uint8_t payload[CARD_BYTES_MAX], address[CKPT_WORKER_ADDRESS_MAX];
    size_t bytes = 0;

    card.secret[3] ^= 1;
    label.payload = payload;
    label.payload_bytes = card_encode(&card, payload);
    assert_int_equal(label_encode(&label, address, sizeof(address), &bytes), CKPT_OK);
    assert_int_equal(transport_connect(w->reader, address, bytes, 1, &w->endpoint), CKPT_OK);
    assert_int_equal(fetch(w, 0, 64), CKPT_ERR_LINK);
}

/* IPv4 and IPv6 do not reach each other: that is said at once. */
static void test_the_other_family(void **state)
{
    static const uint8_t four[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 77, [15] = 1};
    static const uint8_t six[16] = {0xfd, 0x00, 0x00, 0x77, [15] = 1};
    struct world *w = *state;
    struct label label;
    struct card card = card_of(w, &label);
    uint8_t payload[CARD_BYTES_MAX], address[CKPT_WORKER_ADDRESS_MAX];
    struct transport_endpoint *endpoint;
    size_t bytes = 0;

    for (uint32_t i = 0; i < card.rails_count; i++) {
        bool is_four = card_is_ipv4(card.rails[i].gid);
        memcpy(card.rails[i].gid, is_four ? six : four, 16);
    }
    label.payload = payload;
    label.payload_bytes = card_encode(&card, payload);
    assert_int_equal(label_encode(&label, address, sizeof(address), &bytes), CKPT_OK);
    assert_int_equal(transport_connect(w->reader, address, bytes, 1, &endpoint), CKPT_ERR_LINK);
}

/* The source's owner, who goes on calling progress. */
struct pump {
    struct transport *t;
    atomic_bool stop;
};

static void *run_pump(void *argument)
{
    struct pump *pump = argument;
    struct transport_completion done;

    while (!atomic_load(&pump->stop)) {
        transport_progress(pump->t, &done, 1);
    }
    return NULL;
}

/* Connects as a peer that knows the secret, with a queue pair of its own that may do anything. */
static struct rdma_cm_id *intrude(const struct world *w)
{
    struct label label;
    struct card card = card_of(w, &label);
    struct hello hello = {.target = label.transport, .reader = 1, .mtu = IBV_MTU_1024};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(card.rails[0].port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(card.rails[0].port)};
    bool is_four = card_is_ipv4(card.rails[0].gid);
    struct ibv_qp_init_attr attributes = {
        .cap = {.max_send_wr = 4, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1},
        .qp_type = IBV_QPT_RC,
        .sq_sig_all = 1};
    uint8_t bytes[HELLO_BYTES];
    struct rdma_conn_param parameters = {.private_data = bytes,
                                         .private_data_len = sizeof(bytes),
                                         .responder_resources = 1,
                                         .initiator_depth = 1,
                                         .retry_count = 6};
    struct rdma_cm_id *id;

    memcpy(&four.sin_addr, card.rails[0].gid + 12, 4);
    memcpy(&six.sin6_addr, card.rails[0].gid, 16);
    memcpy(hello.secret, card.secret, CARD_SECRET_BYTES);
    hello_encode(&hello, bytes);
    assert_int_equal(rdma_create_id(NULL, &id, NULL, RDMA_PS_TCP), 0);
    assert_int_equal(rdma_resolve_addr(id, NULL,
                                       is_four ? (struct sockaddr *)&four : (struct sockaddr *)&six,
                                       5000),
                     0);
    assert_int_equal(rdma_resolve_route(id, 5000), 0);
    assert_int_equal(rdma_create_qp(id, NULL, &attributes), 0);
    assert_int_equal(rdma_connect(id, &parameters), 0);
    return id;
}

static enum ibv_wc_status attack(const struct world *w, enum ibv_wr_opcode opcode)
{
    static _Alignas(64) uint8_t own[64];
    struct pump pump = {.t = w->source};
    pthread_t thread;
    struct rdma_cm_id *id;
    struct label label;
    struct ticket ticket;
    struct ibv_wc wc = {0};
    time_t end = time(NULL) + PATIENCE_S;

    assert_int_equal(pthread_create(&thread, NULL, run_pump, &pump), 0);
    id = intrude(w);
    assert_int_equal(
        label_decode(w->descriptor, w->descriptor_bytes, LABEL_REGION, LABEL_VERBS, &label),
        CKPT_OK);
    assert_int_equal(ticket_decode(label.payload, label.payload_bytes, &ticket), CKPT_OK);
    struct ibv_mr *mr = ibv_reg_mr(id->pd, own, sizeof(own), IBV_ACCESS_LOCAL_WRITE);
    struct ibv_sge sge = {.addr = (uintptr_t)own, .length = 8, .lkey = mr->lkey};
    struct ibv_send_wr *bad, wr = {.sg_list = &sge, .num_sge = 1, .opcode = opcode};
    wr.wr.rdma.remote_addr = ticket.address;
    wr.wr.rdma.rkey = ticket.keys[0].region;
    if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
        wr.wr.atomic.remote_addr = ticket.address;
        wr.wr.atomic.rkey = ticket.keys[0].region;
        wr.wr.atomic.compare_add = 1;
    }
    assert_int_equal(ibv_post_send(id->qp, &wr, &bad), 0);
    while (ibv_poll_cq(id->send_cq, 1, &wc) == 0) {
        assert_true(time(NULL) < end);
    }
    rdma_disconnect(id);
    ibv_dereg_mr(mr);
    rdma_destroy_qp(id);
    rdma_destroy_id(id);
    atomic_store(&pump.stop, true);
    pthread_join(thread, NULL);
    return wc.status;
}

static void test_no_memory_is_writable(void **state)
{
    struct world *w = *state;

    /* What the same intruder may do, so that the refusals mean something. */
    assert_int_equal(attack(w, IBV_WR_RDMA_READ), IBV_WC_SUCCESS);
    enum ibv_wc_status write = attack(w, IBV_WR_RDMA_WRITE);
    enum ibv_wc_status atomic = attack(w, IBV_WR_ATOMIC_FETCH_AND_ADD);
    assert_true(write == IBV_WC_REM_INV_REQ_ERR || write == IBV_WC_REM_ACCESS_ERR);
    assert_true(atomic == IBV_WC_REM_INV_REQ_ERR || atomic == IBV_WC_REM_ACCESS_ERR);
    for (size_t i = 0; i < BYTES; i++) {
        assert_int_equal(source_bytes[i], 0x5a);
    }
    assert_int_equal(fetch(w, 0, BYTES), CKPT_OK);
}

static void expect_refused(const char *spec, const char *words)
{
    struct transport *t = NULL;

    assert_int_equal(transport_open(spec, NULL, &t), CKPT_ERR_CONFIG);
    assert_null(t);
    if (strstr(transport_open_error(), words) == NULL) {
        fail_msg("%s: \"%s\" lacks \"%s\"", spec, transport_open_error(), words);
    }
    printf("%s: %s\n", spec, transport_open_error());
    fflush(stdout);
}

/* The kernel asks for about a second whether somebody else has it; so long it is no address yet. */
static void test_an_address_that_is_new(void **state)
{
    struct transport *t;

    (void)state;
    assert_int_equal(system("ip addr flush dev v1 && ip addr add fd00:99::1/64 dev v1"), 0);
    assert_int_equal(system("ip -6 addr show dev v1 tentative | grep -q fd00:99::1"), 0);
    if (transport_open("verbs:rxe1", NULL, &t) != CKPT_OK) {
        fail_msg("%s", transport_open_error());
    }
    transport_close(t, NULL, NULL);
}

static void test_messages(void **state)
{
    struct rlimit few = {.rlim_cur = 65536, .rlim_max = 65536};

    (void)state;
    expect_refused("verbs:rxe7", "no RDMA device \"rxe7\", did you mean \"rxe0\"?");
    expect_refused("verbs:mlx5_0", "there are: rxe0, rxe1");
    expect_refused("verbs:rxe0:9", "no such port");
    expect_refused("verbs:rxe0:x", "no port number");
    assert_int_equal(system("ip addr flush dev v1; ip -6 addr flush dev v1"), 0);
    expect_refused("verbs:rxe1", "no RoCE v2 address");
    assert_int_equal(system("ip link set v1 down"), 0);
    expect_refused("verbs:rxe1", "is DOWN");
    expect_refused("verbs:rxe0+rxe1", "is DOWN");
    assert_int_equal(system("chmod 666 /dev/infiniband/*"), 0);
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &few), 0);
    assert_int_equal(seteuid(65534), 0);
    expect_refused("verbs:rxe0", "LimitMEMLOCK=infinity");
    assert_int_equal(seteuid(0), 0);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
#define INTRUDER_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        INTRUDER_TEST(test_wrong_key),
        INTRUDER_TEST(test_beyond_the_end),
        INTRUDER_TEST(test_wrong_domain),
        INTRUDER_TEST(test_wrong_secret),
        INTRUDER_TEST(test_no_memory_is_writable),
        INTRUDER_TEST(test_the_other_family),
        cmocka_unit_test(test_an_address_that_is_new), /* it takes rxe1's address away */
        cmocka_unit_test(test_messages),               /* the last: it takes rxe1 away */
    };

    if (getenv("CKPT_VM_GUEST") == NULL) {
        printf("skipped: this runs in the machines of tests/vm/vm.py\n");
        return 77;
    }
    if (count == 2) {
        cmocka_set_test_filter(arguments[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
