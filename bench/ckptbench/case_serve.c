/* SPDX-License-Identifier: Apache-2.0 */
/* ckptbench serve: the other end for `ckptbench raw --connect`. Listens; each session is a process
 * of its own (case_source.c), one at a time: two would measure each other. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process/belongings.h"
#include "base/reason.h"
#include "case.h"
#include "process/clock.h"
#include "process/complain.h"
#include "raw/control.h"
#include "options.h"
#include "process/self.h"
#include "raw/control_socket.h"
#include "session/address.h"
#include "raw/spec.h"

/* What a session whose client has left needs to end, and a client for its first words. */
#define BUSY_MS 1000

enum key { KEY_LISTEN, KEY_TRANSPORT, KEY_DEVICES, KEY_LIMIT, KEY_ONCE, KEY_COUNT };

static const struct config_key keys[KEY_COUNT] = {
    [KEY_LISTEN] = {.name = "listen",
                    .flag = "listen",
                    .letter = 'l',
                    .type = CONFIG_STRING,
                    .placeholder = "[HOST]:PORT",
                    .fallback = "*:" CONTROL_PORT,
                    .help = "where clients connect to"},
    [KEY_TRANSPORT] = {.name = "transport",
                       .flag = "transport",
                       .letter = 't',
                       .type = CONFIG_STRING,
                       .placeholder = "SPEC",
                       .fallback_is = "what the client says",
                       .help = "the transport to serve, with this machine's names of devices"},
    [KEY_DEVICES] = OPTION_DEVICES("network devices to serve at"),
    [KEY_LIMIT] = {.name = "bytes_max",
                   .flag = "bytes-max",
                   .type = CONFIG_BYTES,
                   .fallback = "8GiB",
                   .min = 1 << 20,
                   .max = OPTION_AMOUNT_MAX,
                   .help = "the most memory that a client may ask for"},
    [KEY_ONCE] = {.name = "once",
                  .flag = "once",
                  .type = CONFIG_BOOL,
                  .fallback = "no",
                  .help = "end after one client, with its exit status"},
};

static const struct config_program program = {
    .name = "ckptbench serve",
    .version = CKPT_VERSION,
    .summary = "Waits for \"ckptbench raw --connect=HOST\" on other machines, gives each client "
               "memory to read, and serves it until the client ends; one client at a time, until "
               "it is interrupted.",
    .keys = keys,
    .key_count = KEY_COUNT,
    .details = "Whoever reaches the port can have memory allocated and read it: random bytes of "
               "the\nbenchmark's own, nothing else of this machine. Listen where the cluster "
               "trusts.\n",
    .examples = "  ckptbench serve\n"
                "  ckptbench serve --transport=verbs:mlx5_0+mlx5_1 --once\n",
};

struct server {
    const struct config *config;
    char path[PATH_MAX];
    int listener;
    pid_t session; /* 0: none */
    int session_fd;
    uint64_t started_ns;
    char client[CKPT_ADDRESS_MAX + 1];
};

static void start_session(struct server *server, int fd)
{
    char transport[CONFIG_TEXT_MAX + 16];
    char devices[CONFIG_TEXT_MAX + 16];
    char limit[64];
    char *argv[6] = {"ckptbench", "source"};
    int count = 2;
    size_t used = 0;
    snprintf(limit, sizeof(limit), "--bytes-max=%" PRId64,
             config_number(server->config, KEY_LIMIT));
    argv[count++] = limit;
    if (config_text(server->config, KEY_TRANSPORT) != NULL) {
        snprintf(transport, sizeof(transport), "--transport=%s",
                 config_text(server->config, KEY_TRANSPORT));
        argv[count++] = transport;
    }
    for (size_t i = 0; i < config_list_count(server->config, KEY_DEVICES); i++) {
        used += (size_t)snprintf(devices + used, sizeof(devices) - used, "%s%s",
                                 i == 0 ? "--devices=" : ",",
                                 config_list_at(server->config, KEY_DEVICES, i));
        argv[count] = devices;
    }
    server->session = belongings_start(server->path, argv, fd, -1, -1);
    server->session_fd = -1;
    if (server->session > 0) {
        server->session_fd = (int)syscall(SYS_pidfd_open, server->session, 0);
    } else {
        complain("serve: cannot start a session: %s", strerror(errno));
        server->session = 0;
    }
    server->started_ns = clock_now_ns();
    printf("client %s\n", server->client);
    fflush(stdout);
}

/* Tells a client why not, after its first words have come: what lies unread when a connection is
 * closed would take the answer away. */
static void refuse_busy(const struct server *server, int fd)
{
    char text[CKPT_REASON_MAX + 1];
    char line[CKPT_REASON_MAX + 64];
    char words[4096];
    struct pollfd waiter = {.fd = fd, .events = POLLIN};
    snprintf(text, sizeof(text), "this server is busy with a client at %.60s: try again later",
             server->client);
    int length = snprintf(line, sizeof(line), "{\"error\": \"%s\", \"status\": %d}\n", text,
                          (int)CKPT_ERR_BUSY);
    if (poll(&waiter, 1, BUSY_MS) == 1) {
        (void)!recv(fd, words, sizeof(words), MSG_DONTWAIT);
    }
    (void)!send(fd, line, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Returns how the session ended. */
static enum bench_exit end_session(struct server *server)
{
    int status = belongings_wait(server->session, NULL);
    if (server->session_fd >= 0) {
        close(server->session_fd);
    }
    printf("client %s %s after %.1f s\n", server->client, status == 0 ? "ended" : "failed",
           seconds_since(server->started_ns));
    fflush(stdout);
    server->session = 0;
    server->session_fd = -1;
    return status == 0 ? BENCH_OK : BENCH_FAILED;
}

/* A client that follows another comes before the other's session has noticed its end. */
static bool ends_soon(const struct server *server)
{
    struct pollfd waiter = {.fd = server->session_fd, .events = POLLIN};
    (void)poll(&waiter, 1, BUSY_MS);
    return !belongings_alive(server->session);
}

static void take_client(struct server *server)
{
    struct address from = {.bytes = sizeof(from.socket)};
    int fd = accept4(server->listener, (struct sockaddr *)&from.socket, &from.bytes, SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    if (server->session > 0 && !config_flag(server->config, KEY_ONCE) && ends_soon(server)) {
        end_session(server);
    }
    if (server->session > 0) {
        refuse_busy(server, fd);
    } else {
        address_text(&from, server->client);
        start_session(server, fd);
    }
    close(fd);
}

static enum bench_exit serve(struct server *server)
{
    bool once = config_flag(server->config, KEY_ONCE);
    for (;;) {
        struct pollfd waiters[] = {{.fd = server->listener, .events = POLLIN},
                                   {.fd = server->session_fd, .events = POLLIN}};
        /* A kernel without pidfd: look now and then. */
        (void)poll(waiters, 2, server->session > 0 && server->session_fd < 0 ? 200 : -1);
        if (server->session > 0 && !belongings_alive(server->session)) {
            enum bench_exit code = end_session(server);
            if (once) {
                return code;
            }
        } else if (waiters[0].revents != 0) {
            take_client(server);
        }
    }
}

/* What is wrong with the flags is told here, and not to the first client. */
static enum ckpt_status check(const struct config *config, char *reason)
{
    const char *transport = config_text(config, KEY_TRANSPORT);
    if (transport != NULL && spec_is_local(transport)) {
        return reason_refuse(reason, CKPT_ERR_CONFIG,
                             "the transport %.60s does not leave its process", transport);
    }
    enum ckpt_status status = transport != NULL ? spec_check(transport, NULL, reason) : CKPT_OK;
    for (size_t i = 0; i < config_list_count(config, KEY_DEVICES) && status == CKPT_OK; i++) {
        status = spec_check(transport != NULL ? transport : "ucx",
                            config_list_at(config, KEY_DEVICES, i), reason);
    }
    return status;
}

static enum bench_exit run(int argc, char **argv)
{
    struct config *config;
    enum bench_exit code;
    char where[CKPT_ADDRESS_MAX + 1];
    char reason[CKPT_REASON_MAX + 1] = "";
    struct server server = {.session = 0, .session_fd = -1};
    if (!case_options(&program, argc, argv, &config, &code)) {
        return code;
    }
    server.config = config;
    enum ckpt_status status = check(config, reason);
    if (status == CKPT_OK) {
        server.listener = control_listen(config_text(config, KEY_LISTEN), where, reason);
        status = server.listener >= 0 ? CKPT_OK : CKPT_ERR_SYSTEM;
    }
    if (status != CKPT_OK || !self_path(server.path, sizeof(server.path))) {
        code = case_fail("serve", status, reason);
    } else {
        printf("ckptbench %s listens at %s\n", CKPT_VERSION, where);
        fflush(stdout);
        code = serve(&server);
        close(server.listener);
    }
    config_delete(&config);
    return code;
}

const struct bench_case case_serve = {.name = "serve",
                                      .summary = "the other end of raw, on another machine",
                                      .program = &program,
                                      .run = run};
