/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/reason.h"
#include "process/belongings.h"
#include "process/child_log.h"
#include "process/clock.h"
#include "process/self.h"

#define START_TRIES 6000 /* of 20 ms */
#define FLAGS_MAX 32

static const char *const names[CLUSTER_AGENTS] = {"a", "b", "c"};
static const char *const domains[CLUSTER_AGENTS] = {"left", "right", "left"};

/* ---- logs ---- */

/* Waits for a line of the log, as long as the process lives. */
static enum ckpt_status await_line(const char *what, pid_t pid, const char *log, const char *text,
                                   char line_out[CHILD_LOG_LINE_BYTES], char *reason)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    for (int i = 0; i < START_TRIES; i++) {
        if (child_log_find(log, text, line_out)) {
            return CKPT_OK;
        }
        if (!belongings_alive(pid)) {
            return child_log_explain(what, log, CKPT_ERR_SYSTEM, reason);
        }
        nanosleep(&pause, NULL);
    }
    return child_log_explain(what, log, CKPT_ERR_TIMEOUT, reason);
}

/* ---- processes ---- */

static enum ckpt_status start(const char *program, char *const argv[], const char *log,
                              pid_t *pid_out, char *reason)
{
    char path[PATH_MAX];
    if (!self_sibling(program, path, sizeof(path))) {
        return reason_refuse(reason, CKPT_ERR_NOT_FOUND, "%.200s is not there: build it first",
                             path);
    }
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    pid_t pid = fd >= 0 ? belongings_start(path, argv, -1, fd, fd) : -1;
    if (fd >= 0) {
        close(fd);
    }
    if (pid < 0) {
        return reason_refuse(reason, CKPT_ERR_SYSTEM, "starting %s: %s", program, strerror(errno));
    }
    *pid_out = pid;
    return CKPT_OK;
}

static enum ckpt_status start_coordinator(const struct cluster_options *options,
                                          struct cluster *cluster, char *reason)
{
    char socket[PATH_MAX];
    char state[PATH_MAX];
    char digest[64];
    char line[CHILD_LOG_LINE_BYTES];
    snprintf(socket, sizeof(socket), "--socket=%s/ctl.sock", options->directory);
    snprintf(state, sizeof(state), "--state-directory=%s/ctl", options->directory);
    snprintf(cluster->coordinator_log, sizeof(cluster->coordinator_log), "%s/ctl.log",
             options->directory);
    snprintf(digest, sizeof(digest), "--digest=%s", options->digest);
    char *argv[] = {
        "ckptctld", "--config=/dev/null", "--listen=127.0.0.1:0", socket, state, "--keep=1", digest,
        NULL};
    enum ckpt_status status =
        start("ckptctld", argv, cluster->coordinator_log, &cluster->coordinator, reason);
    if (status == CKPT_OK) {
        status = await_line("ckptctld did not start", cluster->coordinator,
                            cluster->coordinator_log, "event=ready", line, reason);
    }
    if (status != CKPT_OK) {
        return status;
    }
    const char *address = strstr(line, " address=");
    if (address == NULL) {
        return child_log_explain("ckptctld does not say its address", cluster->coordinator_log,
                                 CKPT_ERR_PROTOCOL, reason);
    }
    address += strlen(" address=");
    snprintf(cluster->address, sizeof(cluster->address), "--coordinator=%.*s",
             (int)strcspn(address, " "), address);
    return CKPT_OK;
}

static enum ckpt_status start_agent(const struct cluster_options *options, struct cluster *cluster,
                                    size_t i, char *reason)
{
    struct cluster_agent *agent = &cluster->agents[i];
    const char *directory = options->directory;
    char node[64], domain[64], transport[256], bytes[64], segment[64], extra[1024];
    char socket[PATH_MAX], arena[PATH_MAX];
    char *argv[FLAGS_MAX] = {"ckptd",
                             "--config=/dev/null",
                             "--listen=127.0.0.1:0",
                             cluster->address,
                             node,
                             domain,
                             socket,
                             arena,
                             bytes,
                             segment,
                             transport};
    size_t count = 11;
    if ((size_t)snprintf(agent->socket, sizeof(agent->socket), "%s/%s.sock", directory, names[i]) >=
        sizeof(agent->socket)) {
        return reason_refuse(reason, CKPT_ERR_CONFIG, "%.150s is too long for a socket's path",
                             directory);
    }
    snprintf(agent->arena, sizeof(agent->arena), "%s/%s", directory, names[i]);
    snprintf(agent->log, sizeof(agent->log), "%s/%s.log", directory, names[i]);
    snprintf(node, sizeof(node), "--node=%s", names[i]);
    snprintf(domain, sizeof(domain), "--domain=%s", domains[i]);
    snprintf(socket, sizeof(socket), "--socket=%s", agent->socket);
    snprintf(arena, sizeof(arena), "--arena-directory=%s/%s", directory, names[i]);
    snprintf(bytes, sizeof(bytes), "--arena-bytes=%" PRIu64,
             options->segments[i] * options->segment_bytes);
    snprintf(segment, sizeof(segment), "--arena-segment-bytes=%" PRIu64, options->segment_bytes);
    snprintf(transport, sizeof(transport), "--transport=%s", options->transport);
    snprintf(extra, sizeof(extra), "%s", options->agent_flags != NULL ? options->agent_flags : "");
    char *rest = NULL;
    for (char *flag = strtok_r(extra, " ", &rest); flag != NULL && count + 1 < FLAGS_MAX;
         flag = strtok_r(NULL, " ", &rest)) {
        argv[count++] = flag;
    }
    return start("ckptd", argv, agent->log, &agent->pid, reason);
}

enum ckpt_status cluster_start(const struct cluster_options *options, struct cluster *cluster_out,
                               char *reason)
{
    char line[CHILD_LOG_LINE_BYTES];
    enum ckpt_status status = start_coordinator(options, cluster_out, reason);
    for (size_t i = 0; i < CLUSTER_AGENTS && status == CKPT_OK; i++) {
        status = start_agent(options, cluster_out, i, reason);
    }
    for (size_t i = 0; i < CLUSTER_AGENTS && status == CKPT_OK; i++) {
        const struct cluster_agent *agent = &cluster_out->agents[i];
        status =
            await_line("ckptd did not start", agent->pid, agent->log, "event=ready", line, reason);
        if (status == CKPT_OK) {
            status = await_line("an agent did not join", agent->pid, agent->log, "event=joined",
                                line, reason);
        }
    }
    return status;
}

enum ckpt_status cluster_check(const struct cluster *cluster, char *reason)
{
    if (!belongings_alive(cluster->coordinator)) {
        return child_log_explain("ckptctld ended", cluster->coordinator_log,
                                 CKPT_ERR_NO_COORDINATOR, reason);
    }
    for (size_t i = 0; i < CLUSTER_AGENTS; i++) {
        if (!belongings_alive(cluster->agents[i].pid)) {
            return child_log_explain("ckptd ended", cluster->agents[i].log, CKPT_ERR_NO_AGENT,
                                     reason);
        }
    }
    return CKPT_OK;
}

double cluster_cpu_s(const struct cluster *cluster)
{
    uint64_t ns = process_cpu_ns(cluster->coordinator);
    for (size_t i = 0; i < CLUSTER_AGENTS; i++) {
        ns += process_cpu_ns(cluster->agents[i].pid);
    }
    return (double)ns / 1e9;
}

/* A line of smaps that begins a mapping has a '-' within
 * its first word; others have a ':' there. */
enum ckpt_status cluster_memory_beyond(const struct cluster_agent *agent, uint64_t *bytes_out)
{
    char path[64];
    char line[PATH_MAX + 256];
    bool in_arena = false;
    uint64_t kib = 0;
    uint64_t mappings = 0;
    snprintf(path, sizeof(path), "/proc/%ld/smaps", (long)agent->pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        size_t word = strcspn(line, " ");
        uint64_t rss;
        if (memchr(line, '-', word) != NULL && memchr(line, ':', word) == NULL) {
            const char *name = strchr(line, '/');
            size_t length = strlen(agent->arena);
            in_arena =
                name != NULL && strncmp(name, agent->arena, length) == 0 && name[length] == '/';
            mappings++;
        } else if (!in_arena && sscanf(line, "Rss: %" SCNu64 " kB", &rss) == 1) {
            kib += rss;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    if (mappings == 0) {
        return CKPT_ERR_SYSTEM;
    }
    *bytes_out = kib * CKPT_KIB;
    return CKPT_OK;
}
