/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/real_coordinator.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/reason.h"
#include "process/belongings.h"
#include "process/child_log.h"

#define START_TRIES 1500 /* of 20 ms */

static enum ckpt_status await_ready(struct real_coordinator *coordinator, char *reason)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    char line[CHILD_LOG_LINE_BYTES];
    for (int i = 0; i < START_TRIES; i++) {
        if (child_log_find(coordinator->log, "event=ready", line)) {
            const char *address = strstr(line, " address=");
            if (address == NULL) {
                return child_log_explain("it does not say its address", coordinator->log,
                                         CKPT_ERR_SYSTEM, reason);
            }
            address += strlen(" address=");
            snprintf(coordinator->address, sizeof(coordinator->address), "%.*s",
                     (int)strcspn(address, " "), address);
            return CKPT_OK;
        }
        if (!belongings_alive(coordinator->pid)) {
            return child_log_explain("it did not start", coordinator->log, CKPT_ERR_SYSTEM, reason);
        }
        nanosleep(&pause, NULL);
    }
    return child_log_explain("it does not listen", coordinator->log, CKPT_ERR_SYSTEM, reason);
}

enum ckpt_status real_coordinator_start(const struct real_coordinator_options *options,
                                        struct real_coordinator *coordinator_out, char *reason)
{
    char socket[PATH_MAX], state[PATH_MAX], keep[32], agents[32], shards[32];
    snprintf(socket, sizeof(socket), "--socket=%s/ctl.sock", options->directory);
    snprintf(state, sizeof(state), "--state-directory=%s/state", options->directory);
    snprintf(keep, sizeof(keep), "--keep=%" PRIu32, options->keep);
    snprintf(agents, sizeof(agents), "--agents-max=%" PRIu32, options->agents_max);
    snprintf(shards, sizeof(shards), "--shards-max=%" PRIu32, options->shards_max);
    char *argv[] = {"ckptctld",
                    "--config=/dev/null",
                    "--listen=127.0.0.1:0",
                    socket,
                    state,
                    keep,
                    options->agents_max > 0 ? agents : NULL,
                    shards,
                    NULL};
    *coordinator_out = (struct real_coordinator){.pid = -1};
    snprintf(coordinator_out->log, sizeof(coordinator_out->log), "%s/log", options->directory);
    if (mkdir(options->directory, 0700) != 0 && errno != EEXIST) {
        return reason_refuse(reason, CKPT_ERR_SYSTEM, "%.200s: %s", options->directory,
                             strerror(errno));
    }
    int fd = open(coordinator_out->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) {
        coordinator_out->pid = belongings_start(options->path, argv, -1, fd, fd);
        close(fd);
    }
    if (coordinator_out->pid < 0) {
        return reason_refuse(reason, CKPT_ERR_SYSTEM, "starting %.200s: %s", options->path,
                             strerror(errno));
    }
    return await_ready(coordinator_out, reason);
}

void real_coordinator_end(struct real_coordinator *coordinator)
{
    if (coordinator->pid > 0) {
        kill(coordinator->pid, SIGTERM);
        (void)belongings_wait(coordinator->pid, NULL);
        coordinator->pid = -1;
    }
}

double real_coordinator_rss_mib(const struct real_coordinator *coordinator)
{
    char path[64];
    char line[256];
    double kib = 0;
    snprintf(path, sizeof(path), "/proc/%ld/status", (long)coordinator->pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        (void)sscanf(line, "VmRSS: %lf kB", &kib);
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib / 1024;
}
