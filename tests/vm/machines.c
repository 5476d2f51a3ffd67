/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/machines.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

/* ---- Both ---- */

uint8_t pattern(uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8) * 7 + (offset >> 16) + 1);
}

static void nap(void)
{
    struct timespec pause = {.tv_nsec = 10000000};

    nanosleep(&pause, NULL);
}

static struct transport *open_one(const char *spec, struct transport_region **region_out, bool fill)
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
static void put(const char *name, unsigned number, const void *bytes, size_t count)
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

static bool get(const char *name, unsigned number, void *bytes, size_t count_max, size_t *count_out)
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

/* ---- The first machine ---- */

/* The source: serves until its socket (descriptor 3) closes; 'd' there deregisters, 'r' revokes and
 * then changes the bytes. */
static int serve(void)
{
    struct transport_region *region;
    struct transport *t;
    struct transport_completion done;
    struct card card = {0};
    char byte;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    t = open_one("verbs", &region, true);
    transport_export(region, card.descriptor, &card.descriptor_bytes);
    transport_address(t, card.address, &card.address_bytes);
    if (write(3, &card, sizeof(card)) != (ssize_t)sizeof(card)) {
        return 1;
    }
    for (;;) {
        struct pollfd fds[2] = {{.fd = transport_event_fd(t), .events = POLLIN},
                                {.fd = 3, .events = POLLIN}};
        bool idle = transport_progress(t, &done, 1) == 0 && transport_arm(t);
        poll(fds, 2, idle ? -1 : 0);
        if (fds[1].revents == 0) {
            continue;
        }
        if (read(3, &byte, 1) != 1) {
            break;
        }
        uint8_t *memory = region->address;
        if (byte == 'd') {
            if (transport_deregister(region) != CKPT_OK) {
                return 1;
            }
            munmap(memory, REGION_BYTES);
        } else {
            transport_revoke(region, 2);
            memset(memory, 0, REGION_BYTES);
        }
        if (write(3, "", 1) != 1) {
            return 1;
        }
    }
    transport_close(t, NULL, NULL);
    return 0;
}

static pid_t start_source(int *socket_out, struct card *card_out)
{
    int pair[2];
    pid_t child;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        abort();
    }
    child = fork();
    if (child == 0) {
        if (dup2(pair[1], 3) == 3) {
            execl("/proc/self/exe", "source", "serve", (char *)NULL);
        }
        _exit(127);
    }
    close(pair[1]);
    *socket_out = pair[0];
    if (read(pair[0], card_out, sizeof(*card_out)) != (ssize_t)sizeof(*card_out)) {
        abort();
    }
    return child;
}

/* Does what the other machine orders, one order after another, until "end". */
static int direct(void)
{
    struct card card;
    pid_t source = 0;
    int socket = -1;

    for (unsigned number = 1;; number++) {
        char order[128];
        size_t count = 0;
        while (!get("order", number, order, sizeof(order) - 1, &count)) {
            nap();
        }
        order[count] = '\0';
        memset(&card, 0, sizeof(card));
        if (strcmp(order, "start") == 0) {
            source = start_source(&socket, &card);
        } else if (strcmp(order, "kill") == 0) {
            kill(source, SIGKILL);
            waitpid(source, NULL, 0);
            close(socket);
        } else if (strcmp(order, "stop") == 0) {
            kill(source, SIGSTOP);
        } else if (strcmp(order, "continue") == 0) {
            kill(source, SIGCONT);
        } else if (strcmp(order, "deregister") == 0 || strcmp(order, "revoke") == 0) {
            char byte = order[0];
            if (write(socket, &byte, 1) != 1 || read(socket, &byte, 1) != 1) {
                abort();
            }
        } else if (strcmp(order, "end") == 0) {
            return 0;
        } else if (system(order) != 0) {
            abort();
        }
        put("answer", number, &card, sizeof(card));
    }
}

/* ---- The second machine ---- */

const char *machines_spec = "verbs";
static unsigned orders;

void order(const char *what, struct card *card_out)
{
    struct card card;
    size_t count = 0;
    time_t end = time(NULL) + PATIENCE_S;

    put("order", ++orders, what, strlen(what));
    while (!get("answer", orders, &card, sizeof(card), &count)) {
        if (time(NULL) > end) {
            fail_msg("the other machine does not answer to \"%s\"", what);
        }
        nap();
    }
    assert_int_equal(count, sizeof(card));
    if (card_out != NULL) {
        *card_out = card;
    }
}

/* At once: a shell would take longer than a read. */
void set_link(const char *interface, bool up)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
    assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
    request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
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

void turn(struct world *w)
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
        poll(&waiter, 1, PATIENCE_S * 1000);
    }
}

void wait_for(struct world *w, const unsigned *counter, unsigned value)
{
    time_t end = time(NULL) + PATIENCE_S;

    while (*counter < value) {
        assert_true(time(NULL) < end);
        turn(w);
    }
}

enum ckpt_status start(struct world *w, uint64_t index)
{
    struct transport_read_request request = {.endpoint = w->endpoint,
                                             .descriptor = w->card.descriptor,
                                             .descriptor_bytes = w->card.descriptor_bytes,
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
    for (uint64_t i = 0; i < READS; i++) {
        assert_int_equal(start(w, i), CKPT_OK);
    }
}

/* Reads until some are done and most are not. */
void get_going(struct world *w)
{
    start_all(w);
    wait_for(w, &w->ended, 1);
}

/* Every read ended once; those that ended well have their bytes. Returns how many did. */
unsigned check_all(struct world *w)
{
    unsigned good = 0;

    for (uint64_t i = 0; i < READS; i++) {
        assert_int_equal(w->seen[i], 1);
        if (w->status[i] != CKPT_OK) {
            continue;
        }
        good++;
        for (uint64_t at = i * CKPT_MIB; at < (i + 1) * CKPT_MIB; at++) {
            if (w->region->address[at] != pattern(at)) {
                fail_msg("byte %ju is wrong", (uintmax_t)at);
            }
        }
    }
    return good;
}

void read_all(struct world *w)
{
    start_all(w);
    wait_for(w, &w->ended, READS);
    assert_int_equal(check_all(w), READS);
}

void expect_status(const struct world *w, enum ckpt_status a, enum ckpt_status b)
{
    for (size_t i = 0; i < READS; i++) {
        if (w->status[i] != CKPT_OK && w->status[i] != a && w->status[i] != b) {
            fail_msg("read %zu ended in %s", i, ckpt_status_name(w->status[i]));
        }
    }
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
    failures = run();
    put("order", ++orders, "end", 3);
    return failures;
}
