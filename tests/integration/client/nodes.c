/* SPDX-License-Identifier: Apache-2.0 */
#include "integration/client/nodes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void start_coordinator(struct nodes *nodes)
{
    char socket[128];
    char records[128];
    char log[128];
    char line[1024];
    const char *arguments[] = {"--listen=127.0.0.1:0", socket,       records,
                               "--heartbeat=200ms",    "--lease=5s", NULL};
    (void)snprintf(socket, sizeof(socket), "--socket=%s/ctl.sock", nodes->directory);
    (void)snprintf(records, sizeof(records), "--state-directory=%s/state", nodes->directory);
    (void)snprintf(log, sizeof(log), "%s/ckptctld.log", nodes->directory);
    process_start(&nodes->coordinator, CKPTCTLD_PROGRAM, arguments, NULL, log);
    process_await(&nodes->coordinator, "event=ready", 0, line, sizeof(line));
    assert_int_equal(sscanf(strstr(line, "address="), "address=%63s", nodes->coordinator_address),
                     1);
}

void nodes_start_agent(struct nodes *nodes, uint32_t node)
{
    char name[32];
    char coordinator[96];
    char socket[128];
    char arena[128];
    char log[128];
    const char *arguments[] = {name, coordinator, socket, arena, "--listen=127.0.0.1:0",
                               "--arena-bytes=32MiB", "--arena-segment-bytes=2MiB",
                               "--arena-lock=off",
                               /* As between nodes, which share no memory. */
                               "--transport=ucx:tcp", NULL};
    (void)snprintf(name, sizeof(name), "--node=node%u", node);
    (void)snprintf(coordinator, sizeof(coordinator), "--coordinator=%s",
                   nodes->coordinator_address);
    (void)snprintf(socket, sizeof(socket), "--socket=%s", nodes->sockets[node]);
    (void)snprintf(arena, sizeof(arena), "--arena-directory=%s", nodes->arenas[node]);
    (void)snprintf(log, sizeof(log), "%s/ckptd%u.log", nodes->directory, node);
    (void)snprintf(nodes->agents[node].log, sizeof(nodes->agents[node].log), "%s", log);
    size_t from = process_log_bytes(&nodes->agents[node]);
    process_start(&nodes->agents[node], CKPTD_PROGRAM, arguments, NULL, log);
    process_await(&nodes->agents[node], "event=joined", from, NULL, 0);
}

int nodes_start(void **state)
{
    struct nodes *nodes = calloc(1, sizeof(*nodes));
    assert_non_null(nodes);
    (void)snprintf(nodes->directory, sizeof(nodes->directory), "/tmp/ckpt-nodes-XXXXXX");
    assert_non_null(mkdtemp(nodes->directory));
    start_coordinator(nodes);
    for (uint32_t i = 0; i < NODES; i++) {
        (void)snprintf(nodes->sockets[i], sizeof(nodes->sockets[i]), "%s/ckptd%u.sock",
                       nodes->directory, i);
        (void)snprintf(nodes->arenas[i], sizeof(nodes->arenas[i]), "/dev/shm/%s-%u",
                       strrchr(nodes->directory, '/') + 1, i);
        nodes_start_agent(nodes, i);
    }
    *state = nodes;
    return 0;
}

static void remove_tree(const char *path)
{
    const char *arguments[] = {"-rf", path, NULL};
    struct process remover = {.pid = 0};
    process_start(&remover, "/bin/rm", arguments, NULL, "/dev/null");
    (void)process_wait(&remover);
}

int nodes_stop(void **state)
{
    struct nodes *nodes = *state;
    for (uint32_t i = 0; i < NODES; i++) {
        process_kill(&nodes->agents[i]);
        remove_tree(nodes->arenas[i]);
    }
    process_kill(&nodes->coordinator);
    remove_tree(nodes->directory);
    free(nodes);
    return 0;
}

struct ckpt *nodes_open(const struct nodes *nodes, uint32_t node, const char *run, uint32_t attempt,
                        uint32_t timeout_ms)
{
    struct ckpt_options options = {
        .size = sizeof(options),
        .socket = nodes->sockets[node],
        .run = run,
        .attempt = attempt,
        .world = 1,
        .copies = 2,
        .timeout_ms = timeout_ms,
    };
    struct ckpt *ckpt = NULL;
    char reason[256] = "";
    enum ckpt_status status = ckpt_open_reason(&options, &ckpt, reason, sizeof(reason));
    if (status != CKPT_OK) {
        fail_msg("ckpt_open: %s: %s", ckpt_status_name(status), reason);
    }
    return ckpt;
}
