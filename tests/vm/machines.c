/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/machines.h"

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

/* ---- Both ---- */

uint8_t pattern(uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8) * 7 + (offset >> 16) + 1);
}

void nap(void)
{
    struct timespec pause = {.tv_nsec = 10000000};

    nanosleep(&pause, NULL);
}

struct transport *open_one(const char *spec, struct transport_region **region_out, bool fill)
{
    struct transport_options options = {.timeout_ms = TIMEOUT_MS, .in_flight_max = READS};
    struct transport_memory memory = {.bytes = REGION_BYTES, .generation = 1};
    struct transport *t;
    uint8_t *bytes =
        mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (bytes == MAP_FAILED) {
        abort();
    }
    for (uint64_t i = 0; fill && i < REGION_BYTES; i++) {
        bytes[i] = pattern(i);
    }
    memory.address = bytes;
    if (transport_open(spec, &options, &t) != CKPT_OK ||
        transport_register(t, &memory, region_out) != CKPT_OK) {
        fprintf(stderr, "%s\n", transport_open_error());
        abort();
    }
    return t;
}

static void exchange_path(char out[256], const char *name, unsigned number)
{
    snprintf(out, 256, "%s/%s.%u", getenv("CKPT_VM_EXCHANGE"), name, number);
}

/* Makes the file appear whole. */
void put(const char *name, unsigned number, const void *bytes, size_t count)
{
    char path[256], draft[256];
    FILE *file;

    exchange_path(path, name, number);
    exchange_path(draft, "draft", number);
    file = fopen(draft, "w");
    if (file == NULL || fwrite(bytes, 1, count, file) != count || fclose(file) != 0 ||
        rename(draft, path) != 0) {
        abort();
    }
}

bool get(const char *name, unsigned number, void *bytes, size_t count_max, size_t *count_out)
{
    char path[256];
    FILE *file;

    exchange_path(path, name, number);
    file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    *count_out = fread(bytes, 1, count_max, file);
    fclose(file);
    return true;
}

/* At once: a shell would take longer than a read. */
void set_link(const char *interface, bool up)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) != 0) {
        abort();
    }
    request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
    if (ioctl(fd, SIOCSIFFLAGS, &request) != 0) {
        abort();
    }
    close(fd);
}

/* ---- The second machine ---- */

const char *machines_spec = "verbs";
static unsigned orders;
static bool asked;

void ask(const char *what)
{
    await_answer(NULL);
    asked = true;
    put("order", ++orders, what, strlen(what));
}

void await_answer(struct source_card *card_out)
{
    struct source_card card;
    size_t count = 0;
    time_t end = time(NULL) + PATIENCE_S;

    if (!asked) {
        return;
    }
    while (!get("answer", orders, &card, sizeof(card), &count)) {
        if (time(NULL) > end) {
            fail_msg("the other machine does not answer to order %u", orders);
        }
        nap();
    }
    asked = false;
    assert_int_equal(count, sizeof(card));
    if (card_out != NULL) {
        *card_out = card;
    }
}

void order(const char *what, struct source_card *card_out)
{
    ask(what);
    await_answer(card_out);
}

void join(struct world *w)
{
    assert_int_equal(
        transport_connect(w->reader, w->card.address, w->card.address_bytes, 0, &w->endpoint),
        CKPT_OK);
}

int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    w->reads = READS;
    /* Whatever a test that failed has left. */
    set_link("v0", true);
    set_link("v1", true);
    order("start", &w->card);
    w->reader = open_one(machines_spec, &w->region, false);
    join(w);
    *state = w;
    return 0;
}

int teardown(void **state)
{
    struct world *w = *state;
    uint8_t *memory = w->region->address;

    transport_close(w->reader, NULL, NULL);
    order("kill", NULL);
    munmap(memory, REGION_BYTES);
    free(w);
    return 0;
}

void turn(struct world *w, int timeout_ms)
{
    struct transport_completion done[4];
    struct pollfd waiter = {.fd = transport_event_fd(w->reader), .events = POLLIN};
    size_t count = transport_progress(w->reader, done, 4);

    for (size_t i = 0; i < count; i++) {
        if (done[i].kind == TRANSPORT_DISCONNECTED) {
            w->disconnected++;
        } else {
            w->ended++;
            w->seen[done[i].cookie]++;
            w->status[done[i].cookie] = done[i].status;
        }
    }
    if (count == 0 && transport_arm(w->reader)) {
        poll(&waiter, 1, timeout_ms);
    }
}

void wait_for(struct world *w, const unsigned *counter, unsigned value)
{
    time_t end = time(NULL) + PATIENCE_S;

    while (*counter < value) {
        assert_true(time(NULL) < end);
        turn(w, PATIENCE_S * 1000);
    }
}

double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

enum ckpt_status start(struct world *w, uint64_t index)
{
    const struct source_card *card = w->forged != NULL && index % 2 == 1 ? w->forged : &w->card;
    struct transport_read_request request = {.endpoint = w->endpoint,
                                             .descriptor = card->descriptor,
                                             .descriptor_bytes = card->descriptor_bytes,
                                             .remote_offset = index * CKPT_MIB,
                                             .local = w->region,
                                             .local_offset = index * CKPT_MIB,
                                             .bytes = CKPT_MIB,
                                             .cookie = index};
    return transport_read(&request);
}

void start_all(struct world *w)
{
    memset(w->seen, 0, sizeof(w->seen));
    memset(w->region->address, 0xee, REGION_BYTES);
    w->ended = 0;
    for (uint64_t i = 0; i < w->reads; i++) {
        assert_int_equal(start(w, i), CKPT_OK);
    }
}

/* All rails are connected, some bytes have come and most have not: what is struck then is struck in
 * mid-read. */
void get_going(struct world *w)
{
    time_t end = time(NULL) + PATIENCE_S;
    uint64_t before;

    read_all(w);
    before = received("v0") + received("v1");
    start_all(w);
    while (received("v0") + received("v1") - before < CKPT_MIB) {
        assert_true(time(NULL) < end);
        turn(w, 1);
    }
    assert_true(w->ended < w->reads / 2);
}

/* Every read ended once; those that ended well have their bytes. Returns how many did. */
unsigned check_all(struct world *w)
{
    unsigned good = 0;

    for (uint64_t i = 0; i < w->reads; i++) {
        assert_int_equal(w->seen[i], 1);
        if (w->status[i] != CKPT_OK) {
            continue;
        }
        good++;
        for (uint64_t at = i * CKPT_MIB; at < (i + 1) * CKPT_MIB; at++) {
            if (w->region->address[at] != pattern(at)) {
                fail_msg("byte %ju is wrong: %02x", (uintmax_t)at, w->region->address[at]);
            }
        }
    }
    return good;
}

void read_all(struct world *w)
{
    start_all(w);
    wait_for(w, &w->ended, w->reads);
    assert_int_equal(check_all(w), w->reads);
}

uint64_t received(const char *interface)
{
    char path[128], text[32] = "";
    FILE *file;

    snprintf(path, sizeof(path), "/sys/class/net/%s/statistics/rx_bytes", interface);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    return strtoull(text, NULL, 10);
}

void expect_use(struct world *w, const char *interface)
{
    time_t end = time(NULL) + PATIENCE_S;
    uint64_t before = received(interface);

    while (received(interface) - before < 2 * CKPT_MIB) {
        assert_true(time(NULL) < end);
        read_all(w);
    }
}

int machines_main(int count, char **arguments, int (*run)(void))
{
    const char *guest = getenv("CKPT_VM_GUEST");
    int failures;

    if (count == 2 && strcmp(arguments[1], "serve") == 0) {
        return serve();
    }
    if (guest == NULL) {
        printf("skipped: this runs in the machines of tests/vm/vm.py\n");
        return 77;
    }
    if (strcmp(guest, "1") == 0) {
        return direct();
    }
    if (count == 2) {
        cmocka_set_test_filter(arguments[1]);
    }
    log_to_stderr(false);
    log_set_level(LOG_LEVEL_DEBUG);
    failures = run();
    put("order", ++orders, "end", 3);
    return failures;
}
