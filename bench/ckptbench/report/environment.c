/* SPDX-License-Identifier: Apache-2.0 */
#include "report/environment.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "commit.h"
#include "report/nics.h"
#include "transport/transport.h"

static void read_cpu(char *cpu_out, size_t size)
{
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "re");
    cpu_out[0] = '\0';
    while (file != NULL && cpu_out[0] == '\0' && fgets(line, sizeof(line), file) != NULL) {
        char *value = strchr(line, ':');
        if (strncmp(line, "model name", strlen("model name")) == 0 && value != NULL) {
            value += 1 + strspn(value + 1, " \t");
            value[strcspn(value, "\n")] = '\0';
            snprintf(cpu_out, size, "%s", value);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

void environment_read(struct environment *environment_out)
{
    struct environment e = {.busy = busy_end()};
    struct utsname names;
    time_t now = time(NULL);
    struct tm utc;
    read_cpu(e.cpu, sizeof(e.cpu));
    if (uname(&names) == 0) {
        snprintf(e.kernel, sizeof(e.kernel), "%s %s", names.sysname, names.release);
        snprintf(e.machine, sizeof(e.machine), "%s", names.machine);
    }
    snprintf(e.commit, sizeof(e.commit), "%s", CKPTBENCH_COMMIT);
    snprintf(e.ucx, sizeof(e.ucx), "%s", transport_ucx_version());
    snprintf(e.build, sizeof(e.build), "%s", CKPTBENCH_BUILD);
    nics_read(e.nics, sizeof(e.nics));
    e.cores = sysconf(_SC_NPROCESSORS_ONLN);
    e.memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (gmtime_r(&now, &utc) != NULL) {
        strftime(e.when, sizeof(e.when), "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    *environment_out = e;
}

static const char *known(const char *text)
{
    return text[0] != '\0' ? text : "unknown";
}

void environment_print_lines(const struct environment *environment, const char *prefix, FILE *out)
{
    const struct environment *e = environment;
    fprintf(out, "%s%s, %ld cores, %.1f GiB, %s %s, load %.2f\n", prefix, known(e->cpu), e->cores,
            (double)e->memory_bytes / (double)(UINT64_C(1) << 30), known(e->kernel), e->machine,
            e->busy.load);
    fprintf(out, "%snetwork: %s\n", prefix, e->nics[0] != '\0' ? e->nics : "none");
    fprintf(out, "%sckptbench %s, commit %s, build %s, UCX %s, %s\n", prefix, CKPT_VERSION,
            known(e->commit), known(e->build), known(e->ucx), e->when);
}

void environment_print(const struct environment *environment, FILE *out)
{
    environment_print_lines(environment, "", out);
}

static json_t *text_or_null(const char *text)
{
    return text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *cores_or_null(double cores)
{
    return cores >= 0 ? json_real(cores) : json_null();
}

json_t *environment_json(const struct environment *environment)
{
    const struct environment *e = environment;
    return json_pack("{so so so so so so so so si sI sf so so ss}", "cpu", text_or_null(e->cpu),
                     "kernel", text_or_null(e->kernel), "machine", text_or_null(e->machine),
                     "commit", text_or_null(e->commit), "ucx", text_or_null(e->ucx), "build",
                     text_or_null(e->build), "when", text_or_null(e->when), "nics",
                     text_or_null(e->nics), "cores", (int)e->cores, "memory_bytes",
                     (json_int_t)e->memory_bytes, "load", e->busy.load, "other_cores_before",
                     cores_or_null(e->busy.before), "other_cores", cores_or_null(e->busy.during),
                     "version", CKPT_VERSION);
}
