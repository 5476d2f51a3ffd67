/* SPDX-License-Identifier: Apache-2.0 */
/* `ckptctl doctor` beside a real agent and coordinator, and beside what is silent or not there. */
#include <dirent.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "integration/ckptctld/cluster.h"

struct site {
    struct cluster *cluster;
    struct process agent;
    char config[128], socket[128], tier[128], arena[128];
    bool follows;   /* no file is named: the agent that runs is asked after */
    json_t *answer; /* of the last examination */
};

/* ckptd's configuration; more: of [tier] or after it. */
static void write_config(const struct site *site, const char *socket, const char *more)
{
    FILE *file = fopen(site->config, "w");
    assert_non_null(file);
    fprintf(file,
            "[agent]\nnode = n1\ncoordinator = %s\nlisten = 127.0.0.1:0\nsocket = %s\n"
            "[arena]\ndirectory = %s\nbytes = 64MiB\nsegment_bytes = 4MiB\nlock = off\n"
            "huge_pages = never\n%s\n",
            site->cluster->address, socket, site->arena, more);
    fclose(file);
}

static int start(void **state)
{
    struct site *site = calloc(1, sizeof(*site));
    void *made;
    if (cluster_make(&made) != 0) {
        free(site);
        return -1;
    }
    site->cluster = made;
    const char *directory = site->cluster->directory;
    snprintf(site->config, sizeof(site->config), "%s/ckptd.conf", directory);
    snprintf(site->socket, sizeof(site->socket), "%s/agent.sock", directory);
    snprintf(site->tier, sizeof(site->tier), "%s/tier", directory);
    snprintf(site->arena, sizeof(site->arena), "/dev/shm/%s-doctor", strrchr(directory, '/') + 1);
    mkdir(site->tier, 0700);
    cluster_start(site->cluster, NULL, NULL);
    *state = site;
    return 0;
}

static void start_agent(struct site *site)
{
    char config[192];
    char log[128];
    snprintf(config, sizeof(config), "--config=%s", site->config);
    snprintf(log, sizeof(log), "%s/agent.log", site->cluster->directory);
    const char *arguments[] = {config, NULL};
    process_start(&site->agent, CKPTD_PROGRAM, arguments, NULL, log);
    process_await(&site->agent, "event=joined", 0, NULL, 0);
}

static void clear(const char *path)
{
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char name[512];
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (unlink(name) != 0) {
            rmdir(name);
        }
    }
    if (directory) {
        closedir(directory);
    }
    rmdir(path);
}

static int stop(void **state)
{
    struct site *site = *state;
    void *made = site->cluster;
    if (site->agent.pid != 0) {
        process_kill(&site->agent);
    }
    json_decref(site->answer);
    clear(site->arena);
    clear(site->tier);
    unlink(site->config);
    cluster_clear(&made);
    free(site);
    return 0;
}

/* Its exit code; what it says is in site->answer. */
static int examine(struct site *site)
{
    char command[512];
    snprintf(command, sizeof(command),
             "env -u CKPT_SOCKET AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b %s doctor --json "
             "--timeout=1s --ckptd=%s --%s=%s",
             CKPTCTL_PROGRAM, CKPTD_PROGRAM, site->follows ? "socket" : "ckptd-config",
             site->follows ? site->socket : site->config);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    json_decref(site->answer);
    site->answer = json_loadf(pipe, 0, NULL);
    assert_non_null(site->answer);
    return WEXITSTATUS(pclose(pipe));
}

/* The first finding of a check that has the text. */
static void expect(const struct site *site, const char *check, const char *level, const char *text)
{
    size_t i;
    const json_t *finding;
    json_array_foreach(json_object_get(site->answer, "findings"), i, finding)
    {
        const json_t *fix = json_object_get(finding, "fix");
        const char *said = json_string_value(json_object_get(finding, "text"));
        if (strcmp(json_string_value(json_object_get(finding, "check")), check) == 0 &&
            strstr(said, text) != NULL) {
            assert_string_equal(json_string_value(json_object_get(finding, "level")), level);
            bool is_bad = strcmp(level, "wrong") == 0 || strcmp(level, "warning") == 0;
            assert_int_equal(json_is_string(fix), is_bad);
            return;
        }
    }
    fail_msg("%s: nothing says \"%s\"", check, text);
}

static void a_node_that_works_is_found_so(void **state)
{
    struct site *site = *state;
    char tier[192];
    snprintf(tier, sizeof(tier), "[tier]\npath = %s", site->tier);
    write_config(site, site->socket, tier);
    start_agent(site);
    assert_int_equal(examine(site), 0);
    expect(site, "ckptd", "ok", site->config);
    expect(site, "agent", "ok", site->socket);
    expect(site, "coordinator", "ok", site->cluster->address);
    expect(site, "version", "ok", "the coordinator is " CKPT_VERSION);
    expect(site, "room", "ok", site->arena);
    expect(site, "memlock", "ok", "nothing of the arena");
    expect(site, "tier", "ok", site->tier);
    assert_int_equal(json_integer_value(json_object_get(site->answer, "wrong")), 0);
    process_signal(&site->agent, SIGTERM);
    assert_int_equal(process_wait(&site->agent), 0);
    assert_int_equal(examine(site), 1); /* and without its agent it is not */
    expect(site, "agent", "wrong", site->socket);
    expect(site, "room", "ok", "has room");
    cluster_stop(site->cluster);
    assert_int_equal(examine(site), 1);
    expect(site, "coordinator", "wrong", site->cluster->address);
    expect(site, "version", "unknown", "of the coordinator");
    cluster_start(site->cluster, NULL, NULL);
}

static void trying_leaves_nothing_in_the_tier(void **state)
{
    struct site *site = *state;
    char tier[192];
    snprintf(tier, sizeof(tier), "[tier]\npath = %s", site->tier);
    write_config(site, site->socket, tier);
    (void)examine(site);
    expect(site, "tier", "ok", site->tier);
    assert_int_equal(rmdir(site->tier), 0); /* which it is only of an empty one */
    (void)examine(site);
    expect(site, "tier", "wrong", site->tier);
    assert_int_not_equal(rmdir(site->tier), 0);
}

static void flags_of_the_agent_that_runs_count(void **state)
{
    struct site *site = *state;
    char config[192];
    char tier[192];
    char log[128];
    write_config(site, site->socket, "[tier]\npath = /nowhere/at/all");
    snprintf(config, sizeof(config), "--config=%s", site->config);
    snprintf(tier, sizeof(tier), "--tier-path=%s", site->tier);
    snprintf(log, sizeof(log), "%s/agent.log", site->cluster->directory);
    const char *arguments[] = {config, tier, NULL};
    process_start(&site->agent, CKPTD_PROGRAM, arguments, NULL, log);
    process_await(&site->agent, "event=joined", 0, NULL, 0);
    assert_int_equal(examine(site), 1);
    expect(site, "tier", "wrong", "/nowhere/at/all"); /* of the file that was named */
    site->follows = true;
    assert_int_equal(examine(site), 0);
    expect(site, "ckptd", "ok", "as it was started");
    expect(site, "coordinator", "ok", site->cluster->address);
    expect(site, "tier", "ok", site->tier);
}

static void a_refused_configuration_is_named_with_its_line(void **state)
{
    struct site *site = *state;
    write_config(site, site->socket, "bytesy = 3");
    assert_int_equal(examine(site), 1);
    expect(site, "ckptd", "wrong", "ckptd.conf:12: unknown key bytesy");
    expect(site, "tier", "ok", "none is configured");
}

/* Takes connections, as the kernel does for who listens, and says nothing. */
static int listen_and_be_silent(const struct sockaddr *address, socklen_t bytes)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, address, bytes), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static void what_hangs_is_found_and_hangs_nobody(void **state)
{
    struct site *site = *state;
    char more[192];
    struct sockaddr_un agent = {.sun_family = AF_UNIX};
    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof(server);
    snprintf(agent.sun_path, sizeof(agent.sun_path), "%s/silent", site->cluster->directory);
    int silent = listen_and_be_silent((const struct sockaddr *)&agent, sizeof(agent));
    int store = listen_and_be_silent((const struct sockaddr *)&server, sizeof(server));
    assert_int_equal(getsockname(store, (struct sockaddr *)&server, &bytes), 0);
    snprintf(more, sizeof(more), "[tier]\npath = s3://bucket/a\nendpoint = http://127.0.0.1:%d",
             ntohs(server.sin_port));
    write_config(site, agent.sun_path, more);
    uint64_t before_ms = clock_now_ms();
    assert_int_equal(examine(site), 1);
    assert_in_range(clock_now_ms() - before_ms, 1000, 60000);
    expect(site, "agent", "wrong", "answers nothing");
    expect(site, "tier", "wrong", "s3://bucket/a");
    expect(site, "coordinator", "ok", site->cluster->address);
    close(silent);
    close(store);
    unlink(agent.sun_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_node_that_works_is_found_so, start, stop),
        cmocka_unit_test_setup_teardown(trying_leaves_nothing_in_the_tier, start, stop),
        cmocka_unit_test_setup_teardown(flags_of_the_agent_that_runs_count, start, stop),
        cmocka_unit_test_setup_teardown(a_refused_configuration_is_named_with_its_line, start,
                                        stop),
        cmocka_unit_test_setup_teardown(what_hangs_is_found_and_hangs_nobody, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
