/* SPDX-License-Identifier: Apache-2.0 */
#include "raw/beside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/nearest.h"
#include "base/reason.h"
#include "process/belongings.h"
#include "config/value.h"
#include "process/self.h"

#define ARGUMENTS_MAX 40
#define ARGUMENT_MAX 128
#define OUTPUT_MAX 16384
#define TRIES 40 /* of 100 ms: until the tool's server listens */
#define WARM_UP 32
#define MESSAGE_MAX (INT64_C(4) << 30)

struct beside_test {
    const char *name;
    const char *tool;
    const char *kind; /* of transport that it is beside */
    const char *test; /* as the tool calls it; NULL: it has only one */
    /* With the settings of our own backend: messages in fragments, failing peers reported, asleep
     * when there is nothing to do. */
    bool alike;
};

static const struct beside_test tests[] = {
    {"ucp_am_bw", "ucx_perftest", "ucx", "ucp_am_bw", false},
    {"ucp_am_bw_eager", "ucx_perftest", "ucx", "ucp_am_bw", true},
    {"ucp_get", "ucx_perftest", "ucx", "ucp_get", false},
    {"tag_bw", "ucx_perftest", "ucx", "tag_bw", false},
    {"tag_bw_eager", "ucx_perftest", "ucx", "tag_bw", true},
    {"ib_read_bw", "ib_read_bw", "verbs", NULL, false},
};

#define TESTS (sizeof(tests) / sizeof(tests[0]))

/* A command line that is being put together. */
struct command {
    int count;
    char words[ARGUMENTS_MAX][ARGUMENT_MAX];
    char *argv[ARGUMENTS_MAX + 1];
};

const char *beside_names(void)
{
    return "ucp_am_bw, ucp_am_bw_eager, ucp_get, tag_bw, tag_bw_eager (ucx_perftest), ib_read_bw";
}

/* What follows the @ of a name. */
static bool read_message(const char *name, const char *text, struct beside *beside, char *reason)
{
    const struct config_key size = {
        .name = "size", .type = CONFIG_BYTES, .min = 1, .max = MESSAGE_MAX};
    char problem[CKPT_REASON_MAX + 1];
    int64_t value;
    if (!value_parse(&size, text, &value, problem, sizeof(problem))) {
        reason_set(reason, "--beside=%.60s: \"%.40s\": %.100s", name, text, problem);
        return false;
    }
    beside->message_bytes = (uint64_t)value;
    return true;
}

/* What is wrong with the words comes first: a tool that is missing is no fault of theirs. */
static bool check_words(const struct beside_test *test, const char *transport, char *reason)
{
    if (strncmp(transport, test->kind, strlen(test->kind)) != 0) {
        reason_set(reason, "%s is beside %s, not beside %.60s", test->name, test->kind, transport);
        return false;
    }
    return true;
}

static bool check_tool(const struct beside_test *test, char *reason)
{
    char path[PATH_MAX];
    if (!self_find(test->tool, path, sizeof(path))) {
        reason_set(reason, "%s is not installed (package %s)", test->tool,
                   strcmp(test->kind, "ucx") == 0 ? "ucx-utils" : "perftest");
        return false;
    }
    return true;
}

bool beside_find(const char *name, const char *transport, struct beside *beside_out, char *reason)
{
    const char *names[TESTS];
    char bare[BESIDE_NAME_MAX + 1];
    size_t length = strcspn(name, "@");
    struct beside beside = {.test = NULL};
    snprintf(beside.name, sizeof(beside.name), "%s", name);
    snprintf(bare, sizeof(bare), "%.*s", (int)length, name);
    for (size_t i = 0; i < TESTS; i++) {
        names[i] = tests[i].name;
        if (strcmp(tests[i].name, bare) == 0) {
            beside.test = &tests[i];
        }
    }
    if (beside.test == NULL) {
        const char *nearest = nearest_name(bare, names, TESTS);
        reason_set(reason, "unknown test \"%.40s\"%s%s%s known: %s", bare,
                   nearest != NULL ? ", did you mean " : "", nearest != NULL ? nearest : "",
                   nearest != NULL ? "?" : ";", beside_names());
        return false;
    }
    if (!check_words(beside.test, transport, reason) ||
        (name[length] == '@' && !read_message(name, name + length + 1, &beside, reason)) ||
        !check_tool(beside.test, reason)) {
        return false;
    }
    *beside_out = beside;
    return true;
}

static void word(struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void word(struct command *command, const char *format, ...)
{
    va_list arguments;
    if (command->count < ARGUMENTS_MAX) {
        va_start(arguments, format);
        vsnprintf(command->words[command->count], ARGUMENT_MAX, format, arguments);
        va_end(arguments);
        command->argv[command->count] = command->words[command->count];
        command->argv[++command->count] = NULL;
    }
}

/* Settings as the ucx backend makes them: no rendezvous, and messages in fragments of a segment. */
static void set_alike(struct command *command, bool tcp)
{
    word(command, "UCX_RNDV_THRESH=inf");
    word(command, "UCX_ZCOPY_THRESH=4k");
    if (tcp) {
        word(command, "UCX_TCP_PUT_ENABLE=n");
        word(command, "UCX_TCP_RX_SEG_SIZE=256k");
    } else {
        word(command, "UCX_MM_SEG_SIZE=63k");
        word(command, "UCX_MM_ERROR_HANDLING=y");
    }
}

static void set_ucx(struct command *command, const struct beside_test *test,
                    const struct beside_run *run)
{
    bool tcp = strcmp(run->transport, "ucx:tcp") == 0;
    bool shm = strcmp(run->transport, "ucx:shm") == 0;
    if (tcp || shm) {
        word(command, "UCX_TLS=%s", tcp ? "tcp" : "posix,tcp");
    }
    if (run->devices != NULL || tcp || shm) {
        word(command, "UCX_NET_DEVICES=%s", run->devices != NULL ? run->devices : "lo");
    }
    if (test->alike) {
        set_alike(command, tcp);
    }
}

/* The size of messages, their number, and how many of them are in flight: as many bytes as slices
 * would be, but one message at least. */
struct amount {
    uint64_t message_bytes;
    uint64_t count;
    uint32_t depth;
    uint32_t warm_up;
};

static struct amount reckon(const struct beside *beside, const struct beside_run *run)
{
    struct amount amount = {
        .message_bytes = run->slice_bytes, .depth = run->depth, .warm_up = WARM_UP};
    if (beside->message_bytes != 0) {
        uint64_t fitting = run->slice_bytes * run->depth / beside->message_bytes;
        amount.message_bytes = beside->message_bytes;
        amount.depth = fitting < 1 ? 1 : (uint32_t)fitting;
        amount.warm_up = amount.depth;
    }
    amount.count = run->bytes / amount.message_bytes;
    if (amount.count < 4 * (uint64_t)amount.depth) {
        amount.count = 4 * (uint64_t)amount.depth;
    }
    return amount;
}

/* host: NULL for the server. */
static void compose(struct command *command, const struct beside *beside,
                    const struct beside_run *run, const char *host, uint16_t port)
{
    const struct beside_test *test = beside->test;
    bool ucx = strcmp(test->kind, "ucx") == 0;
    struct amount amount = reckon(beside, run);
    command->count = 0;
    word(command, "env");
    if (ucx) {
        set_ucx(command, test, run);
    }
    if (run->is_pinned) {
        word(command, "taskset");
        word(command, "-c");
        word(command, "%u", host != NULL ? run->client_cpu : run->server_cpu);
    }
    word(command, "timeout");
    word(command, "120");
    word(command, "%s", test->tool);
    word(command, "-p");
    word(command, "%u", port);
    if (ucx && host != NULL) {
        word(command, "-f");
        word(command, "-v");
        word(command, "-t");
        word(command, "%s", test->test);
        word(command, "-w");
        word(command, "%u", amount.warm_up);
        word(command, "-O");
        word(command, "%u", amount.depth);
    }
    if (ucx && test->alike && host != NULL) {
        word(command, "-e");
        word(command, "-E");
        word(command, run->spins ? "poll" : "sleep");
    }
    if (!ucx) {
        const char *device = strchr(run->transport, ':');
        word(command, "-F");
        if (device != NULL) {
            word(command, "-d");
            word(command, "%.*s", (int)strcspn(device + 1, "+:"), device + 1);
        }
        word(command, "-t");
        word(command, "%u", amount.depth);
    }
    if (!ucx || host != NULL) {
        word(command, "-s");
        word(command, "%" PRIu64, amount.message_bytes);
        word(command, "-n");
        word(command, "%" PRIu64, amount.count);
    }
    if (host != NULL) {
        word(command, "%s", host);
    }
}

/* The last line of numbers: the bandwidth stands in its sixth (ucx_perftest's CSV) or fourth
 * (ib_read_bw's table) field, in 2^20 bytes a second. */
static bool parse(const struct beside_test *test, const char *output, double *gbps_out)
{
    bool ucx = strcmp(test->kind, "ucx") == 0;
    int fields = ucx ? 6 : 4;
    double found = 0;
    for (const char *line = output; line != NULL && *line != '\0';) {
        const char *at = line + strspn(line, " \t");
        double value = 0;
        int field = 0;
        for (; field < fields; field++) {
            char *end;
            value = strtod(at, &end);
            if (end == at) {
                break;
            }
            at = end + (*end == ',');
        }
        if (field == fields) {
            found = value;
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    *gbps_out = found * 1048576 / 1e9;
    return found > 0;
}

static bool free_port(uint16_t *port_out)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(where);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = fd >= 0 && bind(fd, (struct sockaddr *)&where, sizeof(where)) == 0 &&
                getsockname(fd, (struct sockaddr *)&where, &size) == 0;
    *port_out = ntohs(where.sin_port);
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

/* Runs the client until its end; what it prints, complaints included. */
static bool run_client(struct command *command, char output_out[OUTPUT_MAX])
{
    size_t filled = 0;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return false;
    }
    pid_t pid = belongings_start("/usr/bin/env", command->argv, -1, ends[1], ends[1]);
    close(ends[1]);
    ssize_t count = 1;
    while (pid > 0 && count > 0 && filled < OUTPUT_MAX - 1) {
        count = read(ends[0], output_out + filled, OUTPUT_MAX - 1 - filled);
        filled += count > 0 ? (size_t)count : 0;
    }
    output_out[filled] = '\0';
    close(ends[0]);
    int status = pid > 0 ? belongings_wait(pid, NULL) : -1;
    return status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Cuts the text down to it; "" when there is none. */
static const char *last_line(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\n-", text[length - 1]) != NULL) {
        text[--length] = '\0';
    }
    const char *line = strrchr(text, '\n');
    return line != NULL ? line + 1 : text;
}

enum ckpt_status beside_measure(const struct beside *beside, const struct beside_run *run,
                                double *gbps_out, char *reason)
{
    const struct beside_test *test = beside->test;
    const struct timespec pause = {.tv_nsec = 100000000};
    struct command command;
    char output[OUTPUT_MAX] = "";
    uint16_t port;
    bool good = false;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null < 0 || !free_port(&port)) {
        return reason_refuse(reason, CKPT_ERR_SYSTEM, "%s: %s", test->tool, strerror(errno));
    }
    compose(&command, beside, run, NULL, port);
    pid_t server = belongings_start("/usr/bin/env", command.argv, -1, null, null);
    compose(&command, beside, run, "127.0.0.1", port);
    for (int i = 0; i < TRIES && server > 0 && !good && belongings_alive(server); i++) {
        nanosleep(&pause, NULL);
        good = run_client(&command, output);
    }
    if (server > 0) {
        if (!good) {
            kill(server, SIGTERM);
        }
        belongings_wait(server, NULL);
    }
    close(null);
    if (!good || !parse(test, output, gbps_out)) {
        return reason_refuse(reason, CKPT_ERR_SYSTEM,
                             "%s of %s failed, or printed no bandwidth: %.120s", test->name,
                             test->tool, last_line(output));
    }
    return CKPT_OK;
}
