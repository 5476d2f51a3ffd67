/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

#include "ckptctl/doctor_agent.h"
#include "ckptctl/doctor_memory.h"
#include "ckptctl/doctor_network.h"
#include "ckptctl/doctor_read_memory.h"
#include "ckptctl/doctor_read_network.h"
#include "ckptctl/doctor_tier.h"
#include "ckptctl/document.h"
#include "ckptctl/options.h"

enum key { KEY_CKPTD, KEY_CKPTD_CONFIG, KEY_STRICT, KEY_TIMEOUT };

static const struct config_key keys[] = {
    [KEY_CKPTD] = {.name = "ckptd",
                   .flag = "ckptd",
                   .type = CONFIG_PATH,
                   .fallback_is = "the one beside ckptctl, or [slurm] agent",
                   .help = "the program, which is asked for its settings"},
    [KEY_CKPTD_CONFIG] = {.name = "ckptd_config",
                          .flag = "ckptd-config",
                          .type = CONFIG_PATH,
                          .fallback_is = "[slurm] agent_config, or ckptd's own",
                          .help = "ckptd's configuration file"},
    [KEY_STRICT] = OPTION_SWITCH("strict", "exit with 1 for warnings too"),
    [KEY_TIMEOUT] = OPTION_TIMEOUT("5s", "how long the tier may take to answer"),
};

/* Beside this program, as in a build folder; else where it is installed. */
static void find_ckptd(const struct ctl *ctl, char *path_out, size_t size)
{
    ssize_t bytes = readlink("/proc/self/exe", path_out, size - sizeof("/ckptd"));
    char *slash = NULL;
    if (bytes > 0) {
        path_out[bytes] = '\0';
        slash = strrchr(path_out, '/');
    }
    if (slash != NULL) {
        (void)snprintf(slash, size - (size_t)(slash - path_out), "/ckptd");
    }
    if (option_is_set(ctl, KEY_CKPTD)) {
        (void)snprintf(path_out, size, "%s", option_text(ctl, KEY_CKPTD));
    } else if (slash == NULL || access(path_out, X_OK) != 0) {
        (void)snprintf(path_out, size, "%s", ctl->hook.agent);
    }
}

static void judge_clock(struct findings *findings)
{
    struct timex clock = {.modes = 0};
    int state = adjtimex(&clock);
    if (state < 0) {
        findings_add(findings, FINDING_UNKNOWN, "clock", "the kernel does not tell: %s",
                     strerror(errno));
    } else if (state == TIME_ERROR || (clock.status & STA_UNSYNC) != 0) {
        findings_add(findings, FINDING_WARNING, "clock",
                     "the kernel says that nothing keeps it right: dates on record, and the order "
                     "of jobs' words, are this clock's");
        findings_fix(findings, "timedatectl set-ntp true   (or: systemctl enable --now chrony)");
    } else {
        findings_add(findings, FINDING_OK, "clock", "kept right, within %ld ms",
                     clock.maxerror / 1000);
    }
}

static void examine(struct ctl *ctl, struct findings *findings)
{
    char program[4096];
    struct doctor_settings settings;
    struct doctor_agent agent;
    struct doctor_memory memory;
    struct doctor_network network = {.port_count = 0};
    doctor_settings_default(&settings);
    find_ckptd(ctl, program, sizeof(program));
    doctor_settings_read(program,
                         option_is_set(ctl, KEY_CKPTD_CONFIG) ? option_text(ctl, KEY_CKPTD_CONFIG)
                                                              : ctl->hook.agent_config,
                         &settings, findings);
    doctor_ask_agent(ctl, &settings, &agent, findings);
    if (agent.pid > 0 && !option_is_set(ctl, KEY_CKPTD_CONFIG)) {
        doctor_settings_follow(program, agent.pid, &settings, findings);
    }
    doctor_ask_coordinator(ctl, &settings, findings);
    doctor_read_ports("", &network);
    doctor_read_interface("", &settings, &network);
    doctor_read_memory(&settings, &agent, &memory);
    doctor_judge_lock(&settings, &memory, doctor_is_pinned(&settings, &network), findings);
    doctor_judge_huge_pages(&settings, &memory, findings);
    doctor_judge_room(&settings, &memory, findings);
    doctor_judge_group(&settings, &memory, findings);
    doctor_judge_network(&settings, &network, findings);
    judge_clock(findings);
    doctor_try_tier(&settings, &agent, (uint32_t)option_number(ctl, KEY_TIMEOUT), findings);
}

static enum exit_code run(struct ctl *ctl)
{
    struct findings *findings = calloc(1, sizeof(*findings));
    if (findings == NULL) {
        return complain(EXIT_NO, "no memory");
    }
    examine(ctl, findings);
    if (ctl->json) {
        json_t *document = findings_describe(findings);
        print_json(document);
        json_decref(document);
    } else {
        findings_print(findings, ctl);
    }
    enum exit_code code = findings_code(findings, option_flag(ctl, KEY_STRICT));
    free(findings);
    return code;
}

const struct verb verb_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "what on this node stops saves, or slows them, and what mends it",
    .help =
        "Looks at this node: the limit of locked memory, huge pages, the room of the arena, "
        "limits\n"
        "of control groups, RDMA ports and their addresses, MTU, clock, versions, the agent, its\n"
        "coordinator and the tier, as ckptd is configured on it. A line each: ok; warning, it\n"
        "works and could be better; wrong, it stops somebody; unknown, it could not be looked at.\n"
        "Below what is not ok stands what mends it. Needs no root, and changes nothing; as root\n"
        "it tries the tier as the agent's user. Exits 1 when something is wrong.\n"
        "\n"
        "Huge pages: `sysctl -w vm.nr_hugepages=N`, with the N that `ckptctl plan` says and\n"
        "/dev/hugepages mounted, or `mount -o remount,huge=within_size /dev/shm`; the arena must\n"
        "be made anew for it. Without them a process' first saves map it page by page.\n"
        "\n"
        "Settings are those of the agent that runs, its flags included, or of the file that is\n"
        "named; limits those of that agent, else of systemd's ckptd.service, else of this shell.\n"
        "The coordinator that is asked is the one of ckptd's configuration.",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .run = run,
};
