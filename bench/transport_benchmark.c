/* SPDX-License-Identifier: Apache-2.0 */
/* Bandwidth of one transport between two processes of this machine, and what the reader and the
 * source spend of their processors. The source is a child that is executed anew, so that each
 * process opens its own library.
 *
 *     transport_benchmark SPEC [SLICE_KIB [DEPTH [TOTAL_MIB [REGION_MIB [DEVICES]]]]]
 *     transport_benchmark register GIB
 *
 * Prints one line: spec, slice, depth, GB/s, CPU seconds per GB of the reader and of the source.
 * The working set is 1 GiB on both sides, so the bytes come from memory and go to memory. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "transport/transport.h"

#define GB 1e9

static uint64_t region_bytes = CKPT_GIB;

struct label {
    uint8_t address[CKPT_WORKER_ADDRESS_MAX], descriptor[CKPT_DESCRIPTOR_MAX];
    size_t address_bytes, descriptor_bytes;
};

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double cpu(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return (double)use.ru_utime.tv_sec + (double)use.ru_stime.tv_sec +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-6;
}

static void die(const char *what, enum ckpt_status status)
{
    fprintf(stderr, "transport_benchmark: %s: status %d %s\n", what, status,
            transport_open_error());
    exit(1);
}

static uint8_t *make_memory(uint64_t bytes, int fill)
{
    uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        die("memory", CKPT_ERR_MEMORY);
    }
    madvise(memory, bytes, MADV_HUGEPAGE);
    memset(memory, fill, bytes);
    return memory;
}

static struct transport *open_one(const char *spec, uint32_t depth, const char *devices,
                                  struct transport_region **region_out, int fill)
{
    struct transport_options options = {.in_flight_max = depth + 1, .devices = devices};
    struct transport_memory memory = {
        .address = make_memory(region_bytes, fill), .bytes = region_bytes, .generation = 1};
    struct transport *t;
    enum ckpt_status status = transport_open(spec, &options, &t);

    if (status != CKPT_OK) {
        die(spec, status);
    }
    status = transport_register(t, &memory, region_out);
    if (status != CKPT_OK) {
        die("register", status);
    }
    return t;
}

/* Serves until the socket at descriptor 3 closes; then writes its CPU seconds there. */
static int serve(const char *spec, const char *devices)
{
    struct transport_region *region;
    struct transport *t = open_one(spec, 1, devices, &region, 0x5a);
    struct transport_completion done;
    struct label label;
    struct pollfd fds[2] = {{.fd = transport_event_fd(t), .events = POLLIN},
                            {.fd = 3, .events = POLLIN}};
    double before, spent;
    char byte;

    transport_export(region, label.descriptor, &label.descriptor_bytes);
    transport_address(t, label.address, &label.address_bytes);
    if (write(3, &label, sizeof(label)) != (ssize_t)sizeof(label)) {
        return 1;
    }
    before = cpu();
    for (int spin = 0;; spin++) {
        transport_progress(t, &done, 1);
        if (spin % 64 == 0 && transport_arm(t)) {
            poll(fds, 2, -1);
            if (fds[1].revents != 0 && read(3, &byte, 1) >= 0) {
                break;
            }
        }
    }
    spent = cpu() - before;
    if (write(3, &spent, sizeof(spent)) < 0) {
        return 1;
    }
    transport_close(t, NULL, NULL);
    return 0;
}

static double run(struct transport *t, struct transport_endpoint *endpoint,
                  struct transport_region *region, const struct label *label, uint64_t slice,
                  uint32_t depth, uint64_t total)
{
    struct transport_completion done[64];
    struct pollfd waiter = {.fd = transport_event_fd(t), .events = POLLIN};
    uint64_t issued = 0, ended = 0;
    double begin = now();

    while (ended < total) {
        while (issued < total && issued - ended < slice * depth) {
            struct transport_read_request request = {.endpoint = endpoint,
                                                     .descriptor = label->descriptor,
                                                     .descriptor_bytes = label->descriptor_bytes,
                                                     .remote_offset = issued % region_bytes,
                                                     .local = region,
                                                     .local_offset = issued % region_bytes,
                                                     .bytes = slice};
            enum ckpt_status status = transport_read(&request);
            if (status != CKPT_OK) {
                die("read", status);
            }
            issued += slice;
        }
        size_t count = transport_progress(t, done, 64);
        for (size_t i = 0; i < count; i++) {
            if (done[i].status != CKPT_OK) {
                die("completion", done[i].status);
            }
            ended += slice;
        }
        if (count == 0 && transport_arm(t)) {
            poll(&waiter, 1, -1);
        }
    }
    return now() - begin;
}

static int measure_registration(double gib)
{
    uint64_t bytes = (uint64_t)(gib * (double)CKPT_GIB);
    struct transport_memory memory = {
        .address = make_memory(bytes, 1), .bytes = bytes, .generation = 1};
    static const char *const specs[] = {"loop", "ucx", "ucx:tcp", "ucx:shm"};

    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        struct transport *t;
        struct transport_region *region;
        enum ckpt_status status = transport_open(specs[i], NULL, &t);
        double begin = now();
        if (status == CKPT_OK) {
            status = transport_register(t, &memory, &region);
        }
        if (status != CKPT_OK) {
            die(specs[i], status);
        }
        printf("%-8s register %.1f GiB: %.6f s\n", specs[i], gib, now() - begin);
        transport_close(t, NULL, NULL);
    }
    return 0;
}

static pid_t start_source(const char *spec, const char *devices, const char *region_mib,
                          int *socket_out)
{
    int pair[2];
    pid_t child = -1;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0 || (child = fork()) < 0) {
        die("fork", CKPT_ERR_SYSTEM);
    }
    if (child == 0) {
        if (dup2(pair[1], 3) == 3) {
            close(pair[0] == 3 ? pair[1] : pair[0]);
            execl("/proc/self/exe", "transport_benchmark", "serve", spec, devices, region_mib,
                  (char *)NULL);
        }
        _exit(127);
    }
    close(pair[1]);
    *socket_out = pair[0];
    return child;
}

int main(int count, char **arguments)
{
    const char *spec = count > 1 ? arguments[1] : "";
    uint64_t slice = (count > 2 ? strtoull(arguments[2], NULL, 10) : 1024) * CKPT_KIB;
    uint32_t depth = count > 3 ? (uint32_t)strtoul(arguments[3], NULL, 10) : 16;
    uint64_t total = (count > 4 ? strtoull(arguments[4], NULL, 10) : 4096) * CKPT_MIB;
    const char *region_mib = count > 5 ? arguments[5] : "1024";
    const char *devices = count > 6 ? arguments[6] : "lo";
    struct transport_region *region;
    struct transport_endpoint *endpoint;
    struct label label;
    double spent, source_spent = 0, seconds;
    int socket;

    if (count == 5 && strcmp(spec, "serve") == 0) {
        region_bytes = strtoull(arguments[4], NULL, 10) * CKPT_MIB;
        return serve(arguments[2], arguments[3]);
    }
    region_bytes = strtoull(region_mib, NULL, 10) * CKPT_MIB;
    if (count >= 3 && strcmp(spec, "register") == 0) {
        return measure_registration(strtod(arguments[2], NULL));
    }
    if (count < 2 || slice == 0 || depth == 0 || total % slice != 0 || region_bytes < slice ||
        region_bytes % slice != 0) {
        fprintf(stderr, "usage: transport_benchmark SPEC [SLICE_KIB [DEPTH [TOTAL_MIB [REGION_MIB "
                        "[DEVICES]]]]]\n"
                        "       transport_benchmark register GIB\n");
        return 2;
    }
    pid_t child = start_source(spec, devices, region_mib, &socket);
    if (read(socket, &label, sizeof(label)) != (ssize_t)sizeof(label)) {
        die("source", CKPT_ERR_LINK);
    }
    struct transport *t = open_one(spec, depth, devices, &region, 0);
    enum ckpt_status status =
        transport_connect(t, label.address, label.address_bytes, 0, &endpoint);
    if (status != CKPT_OK) {
        die("connect", status);
    }
    run(t, endpoint, region, &label, slice, depth, region_bytes);
    spent = cpu();
    seconds = run(t, endpoint, region, &label, slice, depth, total);
    spent = cpu() - spent;
    for (uint64_t i = 0; i < region_bytes; i += 4096) {
        if (region->address[i] != 0x5a) {
            die("bytes differ", CKPT_ERR_DIGEST);
        }
    }
    if (write(socket, "", 1) == 1 && read(socket, &source_spent, sizeof(source_spent)) < 0) {
        source_spent = 0;
    }
    waitpid(child, NULL, 0);
    /* The source's CPU time covers the warm-up too. */
    source_spent *= (double)total / (double)(total + region_bytes);
    printf("%-8s slice %5ju KiB depth %3u: %7.4f GB/s  cpu s/GB: reader %.3f source %.3f\n", spec,
           (uintmax_t)(slice / CKPT_KIB), depth, (double)total / GB / seconds,
           spent / ((double)total / GB), source_spent / ((double)total / GB));
    transport_close(t, NULL, NULL);
    return 0;
}
