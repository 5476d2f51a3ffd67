/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/doctor_agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ckptctl/document.h"
#include "ckptctl/hook.h"
#include "ckptctl/link.h"
#include "session/address.h"

#define AGENT_MS 2000

/* The kernel remembers who began to listen. */
static void read_peer(const char *path, struct doctor_agent *agent)
{
    struct address address;
    struct ucred peer;
    socklen_t bytes = sizeof(peer);
    char reason[CKPT_REASON_MAX + 1];
    if (!address_is_path(path) || address_resolve(path, false, &address, reason) != CKPT_OK) {
        return;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return;
    }
    if (connect(fd, (const struct sockaddr *)&address.socket, address.bytes) == 0 &&
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0) {
        agent->pid = peer.pid;
        agent->uid = peer.uid;
    }
    (void)close(fd);
}

/* A running program whose file has been replaced is of an earlier version. */
static void judge_program(pid_t pid, struct findings *findings)
{
    char path[64];
    char target[4096];
    (void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    ssize_t bytes = readlink(path, target, sizeof(target) - 1);
    target[bytes > 0 ? bytes : 0] = '\0';
    size_t tail = strlen(" (deleted)");
    if (bytes <= 0) {
        findings_add(findings, FINDING_UNKNOWN, "version",
                     "whether the agent's program was replaced since it was started: /proc/%d/exe "
                     "is not this user's to read",
                     (int)pid);
    } else if (bytes > (ssize_t)tail && strcmp(target + bytes - tail, " (deleted)") == 0) {
        findings_add(findings, FINDING_WARNING, "version",
                     "the agent's program was replaced since it was started: it is of before");
        findings_fix(findings, "systemctl restart ckptd");
    }
}

void doctor_ask_agent(const struct ctl *ctl, const struct doctor_settings *settings,
                      struct doctor_agent *agent_out, struct findings *findings)
{
    struct ctl other = *ctl;
    struct message_job told = {.verb = JOB_SHOW, .job = "none"};
    struct message_job_told answer;
    char reason[CKPT_REASON_MAX + 1] = "";
    const char *variable = getenv("CKPT_SOCKET");
    memset(agent_out, 0, sizeof(*agent_out));
    if (other.agent_socket == NULL && (variable == NULL || variable[0] == '\0')) {
        other.agent_socket = settings->socket;
    }
    const char *path = hook_socket(&other);
    enum ckpt_status status = hook_tell(&other, &told, AGENT_MS, &answer, reason);
    read_peer(path, agent_out);
    if (status == CKPT_ERR_NO_AGENT || status == CKPT_ERR_LINK || status == CKPT_ERR_NAME) {
        findings_add(findings, FINDING_WRONG, "agent", "%s", reason);
        findings_fix(findings, "systemctl enable --now ckptd   (or start ckptd in a shell, which "
                               "says why it does not)");
    } else if (status == CKPT_ERR_TIMEOUT) {
        findings_add(findings, FINDING_WRONG, "agent",
                     "the agent at %s (pid %d) takes the connection, and answers nothing within "
                     "%d s",
                     path, (int)agent_out->pid, AGENT_MS / 1000);
        findings_fix(findings, "journalctl -u ckptd -n 50 ; systemctl restart ckptd");
    } else if (status == CKPT_ERR_PROTOCOL || status == CKPT_ERR_VERSION) {
        findings_add(findings, FINDING_WRONG, "agent", "%s", reason);
        findings_fix(findings, "install one version of ckptd and ckptctl, then: systemctl restart "
                               "ckptd");
    } else {
        agent_out->answers = true;
        findings_add(findings, FINDING_OK, "agent", "answers at %s, pid %d", path,
                     (int)agent_out->pid);
    }
    if (agent_out->answers && agent_out->pid > 0) {
        judge_program(agent_out->pid, findings);
    }
}

void doctor_ask_coordinator(const struct ctl *ctl, const struct doctor_settings *settings,
                            struct findings *findings)
{
    struct ctl other = *ctl;
    struct message_admin_ask ask = {.verb = ADMIN_STATUS};
    char reason[CKPT_REASON_MAX + 1] = "";
    json_t *document = NULL;
    other.link = NULL;
    other.coordinator = settings->coordinator;
    enum ckpt_status status = link_ask(&other, &ask, &document, reason);
    link_close(&other);
    if (status == CKPT_OK) {
        findings_add(findings, FINDING_OK, "coordinator", "answers at %s, up for %llu s",
                     settings->coordinator,
                     (unsigned long long)field_number(document, "uptime_ms") / 1000);
        doctor_judge_versions(settings->version, field_text(document, "version"), findings);
        json_decref(document);
        return;
    }
    if (status == CKPT_ERR_DENIED) {
        findings_add(findings, FINDING_OK, "coordinator", "is reached at %s, and tells nothing: %s",
                     settings->coordinator, reason);
    } else {
        findings_add(findings, FINDING_WRONG, "coordinator", "%s", reason);
        findings_fix(findings,
                     "systemctl enable --now ckptctld   (on its machine), or in %s: "
                     "[agent] coordinator = HOST:PORT",
                     settings->file);
    }
    doctor_judge_versions(settings->version, "", findings);
}

static void judge_version(const char *what, const char *version, struct findings *findings)
{
    if (version[0] == '\0') {
        findings_add(findings, FINDING_UNKNOWN, "version", "of %s: not known", what);
    } else if (strcmp(version, CKPT_VERSION) == 0) {
        findings_add(findings, FINDING_OK, "version", "%s is %s, as ckptctl is", what, version);
    } else {
        findings_add(findings, FINDING_WARNING, "version", "%s is %s, ckptctl is %s", what, version,
                     CKPT_VERSION);
        findings_fix(findings, "install one version on all nodes: agents first, then ckptctld");
    }
}

void doctor_judge_versions(const char *agent, const char *coordinator, struct findings *findings)
{
    judge_version("the installed ckptd", agent, findings);
    judge_version("the coordinator", coordinator, findings);
}
