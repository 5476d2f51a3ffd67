/* SPDX-License-Identifier: Apache-2.0 */
#include "report/busy.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "process/clock.h"
#include "process/complain.h"

#define LOOK_NS 250000000
#define PROCESSES_MAX 4096

/* A twentieth of the machine, and not less than a fifth of a core: what a quiet system does. */
#define SHARE_MAX 0.05
#define CORES_MIN 0.2

struct look {
    uint64_t at_ns;
    uint64_t all;  /* ticks of all processes, and stolen ones */
    uint64_t ours; /* of those */
    bool known;
};

static struct busy last = {.load = -1, .before = -1, .during = -1};
static struct look begun;

/* user, nice, system and steal: not what interrupts take,
 * which moves bytes for us as for others. */
static bool read_all(uint64_t *ticks_out)
{
    uint64_t user, nice, system, idle, wait, irq, soft, steal;
    FILE *file = fopen("/proc/stat", "re");
    bool good =
        file != NULL && fscanf(file,
                               "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                               " %" SCNu64 " %" SCNu64 " %" SCNu64,
                               &user, &nice, &system, &idle, &wait, &irq, &soft, &steal) == 8;
    if (file != NULL) {
        fclose(file);
    }
    if (good) {
        *ticks_out = user + nice + system + steal;
    }
    return good;
}

struct process {
    int pid, parent;
    uint64_t ticks; /* its own, and of its children that have ended */
};

/* A name may hold spaces and parentheses: the fields begin behind the last of these. */
static bool read_process(const char *pid, struct process *process_out)
{
    char path[64];
    char line[1024];
    uint64_t user, system, children_user, children_system;
    snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    FILE *file = fopen(path, "re");
    const char *rest = file != NULL && fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
    if (file != NULL) {
        fclose(file);
    }
    process_out->pid = (int)strtol(pid, NULL, 10);
    if (rest == NULL ||
        sscanf(rest + 1,
               " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64
               " %" SCNu64,
               &process_out->parent, &user, &system, &children_user, &children_system) != 5) {
        return false;
    }
    process_out->ticks = user + system + children_user + children_system;
    return true;
}

static size_t list_processes(struct process *processes_out)
{
    size_t count = 0;
    DIR *folder = opendir("/proc");
    const struct dirent *entry;
    while (folder != NULL && count < PROCESSES_MAX && (entry = readdir(folder)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0]) &&
            read_process(entry->d_name, &processes_out[count])) {
            count++;
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return count;
}

static bool is_ours(const struct process *processes, size_t count, size_t which)
{
    int pid = processes[which].pid;
    for (size_t depth = 0; depth < 16; depth++) {
        if (pid == (int)getpid()) {
            return true;
        }
        size_t at = 0;
        while (at < count && processes[at].pid != pid) {
            at++;
        }
        if (at == count) {
            return false;
        }
        pid = processes[at].parent;
    }
    return false;
}

static uint64_t read_ours(void)
{
    static struct process processes[PROCESSES_MAX];
    uint64_t ticks = 0;
    size_t count = list_processes(processes);
    for (size_t i = 0; i < count; i++) {
        ticks += is_ours(processes, count, i) ? processes[i].ticks : 0;
    }
    return ticks;
}

static struct look take_look(void)
{
    struct look look = {.at_ns = clock_now_ns()};
    look.known = read_all(&look.all);
    look.ours = read_ours();
    return look;
}

/* Cores that others kept busy between two looks; -1: not known. */
static double others(const struct look *from, const struct look *to)
{
    double seconds = (double)(to->at_ns - from->at_ns) / 1e9;
    double ticks = (double)(to->all - from->all) - (double)(to->ours - from->ours);
    if (!from->known || !to->known || seconds <= 0) {
        return -1;
    }
    return ticks > 0 ? ticks / (double)sysconf(_SC_CLK_TCK) / seconds : 0;
}

bool busy_is_much(double cores)
{
    double most = SHARE_MAX * (double)sysconf(_SC_NPROCESSORS_ONLN);
    return cores > (most > CORES_MIN ? most : CORES_MIN);
}

void busy_begin(void)
{
    struct timespec moment = {.tv_nsec = LOOK_NS};
    struct look first = take_look();
    nanosleep(&moment, NULL);
    begun = take_look();
    last = (struct busy){.before = others(&first, &begun), .during = -1};
    if (getloadavg(&last.load, 1) != 1) {
        last.load = -1;
    }
    if (busy_is_much(last.before)) {
        complain("the machine is busy: other work keeps %.1f of %ld cores, load %.1f; what is "
                 "measured now is too low",
                 last.before, sysconf(_SC_NPROCESSORS_ONLN), last.load);
    }
}

struct busy busy_end(void)
{
    struct look now = take_look();
    last.during = others(&begun, &now);
    return last;
}
