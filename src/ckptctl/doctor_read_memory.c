/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/doctor_read_memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "arena/cgroup.h"
#include "ckptctl/child.h"

#define UNIT_MS 3000
#define CAPABILITY_IPC_LOCK 14
#define HUGE_PAGES_FOLDER "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define ALL_USERS UINT64_C(4294967295)

static uint64_t read_number(const char *path)
{
    unsigned long long number = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%llu", &number) != 1) {
        number = 0;
    }
    (void)fclose(file);
    return number;
}

/* What follows a word at the beginning of one of a file's lines; false: no line has it. */
static bool find_line(const char *path, const char *word, char *rest_out, size_t size)
{
    char line[512];
    bool is_found = false;
    FILE *file = fopen(path, "re");
    while (file != NULL && !is_found && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, word, strlen(word)) == 0) {
            is_found = true;
            (void)snprintf(rest_out, size, "%s", line + strlen(word));
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return is_found;
}

/* ---- limits ---- */

/* A number of bytes, or what stands for no limit. */
static uint64_t take_limit(const char *text)
{
    char *end;
    uint64_t limit = strtoull(text, &end, 10);
    return end == text ? UINT64_MAX : limit;
}

static void read_process(const char *process, struct doctor_memory *memory)
{
    char path[64];
    char rest[256];
    char hard[64];
    uint64_t users = 0;
    struct cgroup_memory group;
    (void)snprintf(path, sizeof(path), "/proc/%s/limits", process);
    memory->knows_lock = find_line(path, "Max locked memory", rest, sizeof(rest)) &&
                         sscanf(rest, "%*s %63s", hard) == 1;
    memory->lock_bytes = memory->knows_lock ? take_limit(hard) : 0;
    /* A capability counts where it is the machine's, not a user namespace's. */
    (void)snprintf(path, sizeof(path), "/proc/%s/uid_map", process);
    if (find_line(path, "", rest, sizeof(rest))) {
        (void)sscanf(rest, "%*s %*s %" SCNu64, &users);
    }
    (void)snprintf(path, sizeof(path), "/proc/%s/status", process);
    if (find_line(path, "CapEff:", rest, sizeof(rest))) {
        memory->locks_freely =
            users == ALL_USERS && (strtoull(rest, NULL, 16) >> CAPABILITY_IPC_LOCK & 1) != 0;
    }
    memory->is_limited = cgroup_memory_of("", process, &group);
    if (memory->is_limited) {
        memory->limit_bytes = group.limit;
        memory->left_bytes = group.left;
        (void)snprintf(memory->limit_file, sizeof(memory->limit_file), "%s", group.file);
    }
}

static bool find_setting(const char *text, const char *name, char *value_out, size_t size)
{
    const char *at = strstr(text, name);
    if (at == NULL) {
        return false;
    }
    at += strlen(name);
    (void)snprintf(value_out, size, "%.*s", (int)strcspn(at, "\n"), at);
    return true;
}

/* False: there is no such unit, or no systemd. */
static bool read_unit(struct doctor_memory *memory)
{
    char systemctl[] = "systemctl";
    char show[] = "show";
    char unit[] = "ckptd.service";
    char what[] = "--property=LoadState,LimitMEMLOCK,MemoryMax";
    char *arguments[] = {systemctl, show, unit, what, NULL};
    char output[1024];
    char value[64];
    int code = 0;
    if (child_run(arguments, UNIT_MS, output, sizeof(output), &code) != CHILD_DONE || code != 0 ||
        strstr(output, "LoadState=loaded") == NULL) {
        return false;
    }
    memory->whose = "ckptd.service";
    memory->is_unit = true;
    memory->locks_freely = false;
    memory->knows_lock = find_setting(output, "LimitMEMLOCK=", value, sizeof(value));
    memory->lock_bytes = memory->knows_lock ? take_limit(value) : 0;
    memory->is_limited =
        find_setting(output, "MemoryMax=", value, sizeof(value)) && take_limit(value) < INT64_MAX;
    if (memory->is_limited) {
        memory->limit_bytes = take_limit(value);
        memory->left_bytes = memory->limit_bytes;
        (void)snprintf(memory->limit_file, sizeof(memory->limit_file),
                       "MemoryMax of ckptd.service");
    }
    return true;
}

static void read_limits(const struct doctor_agent *agent, struct doctor_memory *memory)
{
    char process[16];
    if (agent->pid > 0) {
        memory->whose = "the agent";
        (void)snprintf(process, sizeof(process), "%d", (int)agent->pid);
        read_process(process, memory);
    } else if (agent->answers) {
        memory->whose = "the agent, of another namespace of processes,";
    } else if (!read_unit(memory)) {
        memory->whose = "what this shell starts";
        read_process("self", memory);
    }
}

/* ---- the arena's place ---- */

static void read_huge_pages(struct doctor_memory *memory)
{
    char line[256];
    memory->free_huge_pages = read_number(HUGE_PAGES_FOLDER "free_hugepages");
    memory->huge_pages = read_number(HUGE_PAGES_FOLDER "nr_hugepages");
    uint64_t promised = read_number(HUGE_PAGES_FOLDER "resv_hugepages");
    memory->free_huge_pages -=
        promised < memory->free_huge_pages ? promised : memory->free_huge_pages;
    if (find_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "", line, sizeof(line))) {
        const char *chosen = strchr(line, '[');
        size_t bytes = chosen != NULL ? strcspn(chosen + 1, "]") : 0;
        (void)snprintf(memory->shmem_enabled, sizeof(memory->shmem_enabled), "%.*s", (int)bytes,
                       chosen != NULL ? chosen + 1 : "");
    }
    char number[64];
    if (find_line("/proc/meminfo", "MemAvailable:", number, sizeof(number))) {
        memory->available_bytes = strtoull(number, NULL, 10) * 1024;
    }
}

/* Visits the mounts: the first hugetlbfs of 2 MiB pages, and huge= of the tmpfs that has a path. */
static void read_mounts(const char *path, char *hugetlbfs_out, size_t size,
                        struct doctor_memory *memory)
{
    struct mntent entry;
    char buffer[4096];
    size_t longest = 0;
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    while (mounts != NULL && getmntent_r(mounts, &entry, buffer, sizeof(buffer)) != NULL) {
        struct statfs info;
        size_t bytes = strlen(entry.mnt_dir);
        bool is_above =
            strncmp(path, entry.mnt_dir, bytes) == 0 && (path[bytes] == '/' || path[bytes] == '\0');
        if (hugetlbfs_out[0] == '\0' && strcmp(entry.mnt_type, "hugetlbfs") == 0 &&
            statfs(entry.mnt_dir, &info) == 0 && (uint64_t)info.f_bsize == 2 * CKPT_MIB) {
            (void)snprintf(hugetlbfs_out, size, "%s", entry.mnt_dir);
            memory->has_hugetlbfs = true;
        }
        if (is_above && bytes >= longest && strcmp(entry.mnt_type, "tmpfs") == 0) {
            const char *huge = hasmntopt(&entry, "huge");
            longest = bytes;
            memory->tmpfs_huge[0] = '\0';
            if (huge != NULL && huge[4] == '=') {
                (void)snprintf(memory->tmpfs_huge, sizeof(memory->tmpfs_huge), "%.*s",
                               (int)strcspn(huge + 5, ","), huge + 5);
            }
        }
    }
    if (mounts != NULL) {
        (void)endmntent(mounts);
    }
}

static bool is_folder(const char *path)
{
    struct stat what;
    return stat(path, &what) == 0 && S_ISDIR(what.st_mode);
}

/* The agent's own choice, arena_open(). */
static void choose_directory(const struct doctor_settings *settings, const char *hugetlbfs,
                             struct doctor_memory *memory)
{
    char small[DOCTOR_TEXT_MAX + 1];
    char huge[2 * DOCTOR_TEXT_MAX] = "";
    uint64_t need = settings->arena_bytes / (2 * CKPT_MIB) + 18;
    (void)snprintf(small, sizeof(small), "/dev/shm/ckptd-%.63s", settings->node);
    if (hugetlbfs[0] != '\0') {
        (void)snprintf(huge, sizeof(huge), "%s/ckptd-%.63s", hugetlbfs, settings->node);
    }
    bool is_required = strcmp(settings->huge_pages, "require") == 0;
    bool fits =
        strcmp(settings->huge_pages, "never") != 0 && huge[0] != '\0' &&
        (is_folder(huge) || is_required ||
         (access(hugetlbfs, W_OK) == 0 && memory->free_huge_pages >= need && !is_folder(small)));
    (void)snprintf(memory->directory, sizeof(memory->directory), "%.255s",
                   settings->arena_directory[0] != '\0' ? settings->arena_directory
                   : fits                               ? huge
                                                        : small);
}

/* Bytes that files of the arena have. */
static void read_present(struct doctor_memory *memory)
{
    const struct dirent *entry;
    DIR *folder = opendir(memory->directory);
    memory->is_there = folder != NULL || errno == EACCES;
    memory->knows_present = folder != NULL;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        struct stat what;
        if (fstatat(dirfd(folder), entry->d_name, &what, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(what.st_mode)) {
            memory->present_bytes += (uint64_t)what.st_blocks * 512;
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

static void read_place(struct doctor_memory *memory)
{
    struct statfs info;
    (void)snprintf(memory->mount, sizeof(memory->mount), "%s", memory->directory);
    char *slash = strrchr(memory->mount, '/');
    if (slash != NULL) {
        slash[slash == memory->mount] = '\0';
    }
    if (statfs(memory->mount, &info) != 0) {
        memory->place = DOCTOR_PLACE_MISSING;
        return;
    }
    memory->place = info.f_type == TMPFS_MAGIC       ? DOCTOR_PLACE_TMPFS
                    : info.f_type == HUGETLBFS_MAGIC ? DOCTOR_PLACE_HUGETLBFS
                                                     : DOCTOR_PLACE_OTHER;
    memory->size_bytes = (uint64_t)info.f_blocks * (uint64_t)info.f_bsize;
    memory->free_bytes = (uint64_t)info.f_bavail * (uint64_t)info.f_bsize;
}

void doctor_read_memory(const struct doctor_settings *settings, const struct doctor_agent *agent,
                        struct doctor_memory *memory_out)
{
    char hugetlbfs[DOCTOR_TEXT_MAX + 1] = "";
    memset(memory_out, 0, sizeof(*memory_out));
    memory_out->is_held = agent->answers || agent->pid > 0;
    read_limits(agent, memory_out);
    read_huge_pages(memory_out);
    read_mounts(settings->arena_directory[0] != '\0' ? settings->arena_directory : "/dev/shm/",
                hugetlbfs, sizeof(hugetlbfs), memory_out);
    choose_directory(settings, hugetlbfs, memory_out);
    read_present(memory_out);
    read_place(memory_out);
}
