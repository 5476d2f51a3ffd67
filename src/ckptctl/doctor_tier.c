/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/doctor_tier.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <mntent.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckptctl/child.h"
#include "ckptctl/text.h"
#include "tier/name.h"
#include "tier/tier.h"

#define TRIAL_BYTES 4096

enum trial_code { TRIAL_GOOD, TRIAL_READ_ONLY, TRIAL_UNREACHED };

struct trial {
    const struct doctor_settings *settings;
    uint32_t timeout_ms;
    bool is_other; /* it becomes another user's */
    uid_t uid;
};

/* The folder of a tier that is one; NULL: it is no folder. */
static const char *folder_of(const char *tier)
{
    if (strncmp(tier, "posix:/", 7) == 0) {
        return tier + 6;
    }
    return tier[0] == '/' ? tier : NULL;
}

static bool become(uid_t uid)
{
    const struct passwd *user = getpwuid(uid);
    return user != NULL && initgroups(user->pw_name, user->pw_gid) == 0 &&
           setgid(user->pw_gid) == 0 && setuid(uid) == 0;
}

static int write_and_sync(int fd)
{
    static const char zeros[TRIAL_BYTES];
    ssize_t written = write(fd, zeros, sizeof(zeros));
    if (written == (ssize_t)sizeof(zeros) && fsync(fd) == 0) {
        return 0;
    }
    return written >= 0 && written < (ssize_t)sizeof(zeros) ? ENOSPC : errno;
}

/* 0, or an errno. A file without a name where the file system has such, as nothing of it stays
 * whatever happens; else one that loses its name before anything is written. */
static int try_to_write(const char *folder)
{
    char path[sizeof(((struct doctor_settings *)0)->tier) + 64];
    struct stat what;
    (void)snprintf(path, sizeof(path), "%s/" TIER_INCOMING, folder);
    bool has_incoming = stat(path, &what) == 0;
    int fd = open(has_incoming ? path : folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        (void)snprintf(path, sizeof(path), "%s/%s.ckptctl-doctor-%d", folder,
                       has_incoming ? TIER_INCOMING "/" : "", (int)getpid());
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0) {
            (void)unlink(path);
        }
    }
    int error = fd < 0 ? errno : write_and_sync(fd);
    if (fd >= 0) {
        (void)close(fd);
    }
    return error;
}

static int try_it(void *context, char *text, size_t text_size)
{
    const struct trial *trial = context;
    const struct doctor_settings *settings = trial->settings;
    char reason[CKPT_REASON_MAX + 1] = "";
    struct tier *tier = NULL;
    struct tier_options options = {.is_reader = true, .timeout_ms = trial->timeout_ms};
    options.endpoint = settings->tier_endpoint[0] != '\0' ? settings->tier_endpoint : NULL;
    options.region = settings->tier_region[0] != '\0' ? settings->tier_region : NULL;
    if (trial->is_other && !become(trial->uid)) {
        (void)snprintf(text, text_size, "the agent's user %u cannot be taken on: %s",
                       (unsigned)trial->uid, strerror(errno));
        return TRIAL_UNREACHED;
    }
    if (tier_open(settings->tier, &options, &tier, reason) != CKPT_OK) {
        (void)snprintf(text, text_size, "%s", reason);
        return TRIAL_UNREACHED;
    }
    tier_close(&tier);
    const char *folder = folder_of(settings->tier);
    int error = folder != NULL ? try_to_write(folder) : 0;
    if (error != 0) {
        (void)snprintf(text, text_size, "%s", strerror(error));
    }
    return error == 0 ? TRIAL_GOOD : TRIAL_READ_ONLY;
}

static void say_unreached(const struct doctor_settings *settings, const char *why,
                          struct findings *findings)
{
    const char *folder = folder_of(settings->tier);
    findings_add(findings, FINDING_WRONG, "tier", "%s", why);
    if (folder != NULL) {
        findings_fix(findings, "mount %s   (or mkdir -p it, the agent's to write)", folder);
    } else {
        findings_fix(findings, "ckptctl tier list %s   (with the agent's credentials)",
                     settings->tier);
    }
}

/* is_agent: the user that tried is the agent's. */
static void say_read_only(const struct doctor_settings *settings, const char *user, bool is_agent,
                          const char *why, struct findings *findings)
{
    const char *folder = folder_of(settings->tier);
    bool is_denied = strcmp(why, strerror(EACCES)) == 0 || strcmp(why, strerror(EPERM)) == 0;
    if (is_denied && !is_agent) {
        findings_add(findings, FINDING_UNKNOWN, "tier",
                     "%s is reached; it may not be written to by %s, who may be another than the "
                     "agent: ask as root while it runs, or as its user",
                     settings->tier, user);
        return;
    }
    findings_add(findings, FINDING_WRONG, "tier", "%s cannot be written to by %s: %s",
                 settings->tier, user, why);
    if (strcmp(why, strerror(EROFS)) == 0) {
        findings_fix(findings, "mount -o remount,rw %s", folder);
    } else if (is_denied) {
        findings_fix(findings, "chown -R %s %s", user, folder);
    } else {
        findings_fix(findings, "df -h %s ; df -i %s ; quota -u %s", folder, folder, user);
    }
}

/* Where what has the folder is mounted, from the kernel's list: the folder itself would hang. */
static void find_mount(const char *folder, char *mount_out, size_t size)
{
    struct mntent entry;
    char buffer[4096];
    size_t longest = 0;
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    (void)snprintf(mount_out, size, "%s", folder);
    while (mounts != NULL && getmntent_r(mounts, &entry, buffer, sizeof(buffer)) != NULL) {
        size_t bytes = strlen(entry.mnt_dir);
        if (bytes >= longest && bytes > 1 && strncmp(folder, entry.mnt_dir, bytes) == 0 &&
            (folder[bytes] == '/' || folder[bytes] == '\0')) {
            longest = bytes;
            (void)snprintf(mount_out, size, "%s", entry.mnt_dir);
        }
    }
    if (mounts != NULL) {
        (void)endmntent(mounts);
    }
}

static void say_late(const struct doctor_settings *settings, uint32_t timeout_ms,
                     struct findings *findings)
{
    const char *folder = folder_of(settings->tier);
    char mount[sizeof(settings->tier)];
    findings_add(findings, FINDING_WRONG, "tier", "%s does not answer within %s: it hangs",
                 settings->tier, AGE_TEXT(timeout_ms));
    if (folder != NULL) {
        find_mount(folder, mount, sizeof(mount));
        findings_fix(findings, "umount -l %s && mount %s", mount, mount);
    } else {
        findings_fix(findings, "ckptctl tier list %s   (with the agent's credentials)",
                     settings->tier);
    }
}

void doctor_try_tier(const struct doctor_settings *settings, const struct doctor_agent *agent,
                     uint32_t timeout_ms, struct findings *findings)
{
    char text[1024];
    int code = TRIAL_UNREACHED;
    struct trial trial = {.settings = settings, .timeout_ms = timeout_ms, .uid = geteuid()};
    if (settings->tier[0] == '\0') {
        findings_add(findings, FINDING_OK, "tier", "none is configured: memory is all there is");
        return;
    }
    if (geteuid() == 0 && agent->pid > 0 && agent->uid != 0) {
        trial.is_other = true;
        trial.uid = agent->uid;
    }
    struct size_text user = user_text(trial.uid);
    enum child_end end = child_do(try_it, &trial, timeout_ms, text, sizeof(text), &code);
    if (end == CHILD_LATE) {
        say_late(settings, timeout_ms, findings);
    } else if (end == CHILD_MISSING || code > TRIAL_UNREACHED) {
        findings_add(findings, FINDING_UNKNOWN, "tier", "%s could not be tried: %s", settings->tier,
                     end == CHILD_MISSING ? strerror(errno) : "what tried it ended early");
    } else if (code == TRIAL_UNREACHED) {
        say_unreached(settings, text, findings);
    } else if (code == TRIAL_READ_ONLY) {
        say_read_only(settings, user.text, agent->pid > 0 && agent->uid == trial.uid, text,
                      findings);
    } else if (folder_of(settings->tier) != NULL) {
        findings_add(findings, FINDING_OK, "tier", "%s is reached, and written to by %s",
                     settings->tier, user.text);
    } else {
        findings_add(findings, FINDING_OK, "tier", "%s is reached", settings->tier);
        findings_add(findings, FINDING_UNKNOWN, "tier",
                     "whether it may be written to: of object stores that is not tried");
    }
    if (agent->pid > 0 && agent->uid != trial.uid) {
        findings_add(findings, FINDING_UNKNOWN, "tier",
                     "as what the agent's user may do there: it was tried as %s, as root the "
                     "doctor tries it as the agent's",
                     user.text);
    }
}
