/* SPDX-License-Identifier: Apache-2.0 */
/* All ranks of a checkpoint become a folder. It is filled under another name beside its place, and
 * moved there when every file in it is whole: whoever looks sees all of it, or nothing. */
#include "ckptctl/export_all.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckptctl/agent.h"
#include "ckptctl/document.h"
#include "ckptctl/export.h"
#include "ckptctl/export_shard.h"
#include "ckptctl/progress.h"

struct whole {
    const struct ctl *ctl;
    const char *run;
    uint32_t timeout_ms; /* of each shard */
    struct ckpt_info info;
    struct ckpt *reader;
    char path[PATH_MAX];      /* where it is to be */
    char temporary[PATH_MAX]; /* where it is made */
    FILE *sums;
    json_t *files;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    interrupted = number;
}

/* The first takes away what was made so far; a second ends the process at once. */
static void watch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
}

/* Nothing of anybody's is written over: the folder is not there, or is empty. */
static enum exit_code check_place(const char *path)
{
    DIR *directory = opendir(path);
    size_t entries = 0;
    if (!directory) {
        return errno == ENOENT ? EXIT_DONE
                               : complain(EXIT_NO, "cannot write to %s: %s", path, strerror(errno));
    }
    for (struct dirent *entry; (entry = readdir(directory));) {
        entries += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(directory);
    return entries == 0 ? EXIT_DONE
                        : complain(EXIT_NO,
                                   "%s has files in it: export --all writes to a folder that is "
                                   "empty or is not there",
                                   path);
}

static enum exit_code make_temporary(struct whole *whole, const char *path)
{
    snprintf(whole->path, sizeof(whole->path), "%s", path);
    for (size_t bytes = strlen(whole->path); bytes > 1 && whole->path[bytes - 1] == '/';) {
        whole->path[--bytes] = '\0';
    }
    /* Room for the files' names, too. */
    if (strlen(path) + 64 >= sizeof(whole->temporary)) {
        return complain(EXIT_USAGE, "the folder's name is too long");
    }
    enum exit_code code = check_place(whole->path);
    if (code != EXIT_DONE) {
        return code;
    }
    snprintf(whole->temporary, sizeof(whole->temporary), "%.*s.XXXXXX", PATH_MAX - 64, whole->path);
    if (!mkdtemp(whole->temporary)) {
        code = complain(EXIT_NO, "cannot write beside %s: %s", whole->path, strerror(errno));
        whole->temporary[0] = '\0';
    }
    return code;
}

/* Of a folder that this process has made, and only what lies in it itself. */
static void remove_temporary(struct whole *whole)
{
    DIR *directory = whole->temporary[0] ? opendir(whole->temporary) : NULL;
    if (!directory) {
        return;
    }
    int folder = dirfd(directory);
    for (struct dirent *entry; folder >= 0 && (entry = readdir(directory));) {
        (void)unlinkat(folder, entry->d_name, 0);
    }
    closedir(directory);
    (void)rmdir(whole->temporary);
}

static enum exit_code export_rank(struct whole *whole, uint32_t rank)
{
    char name[64];
    char path[PATH_MAX + 64];
    char hex[EXPORT_HEX_BYTES];
    struct ckpt_shard shard;
    snprintf(name, sizeof(name), RANK_FILE, rank);
    snprintf(path, sizeof(path), "%s/%s", whole->temporary, name);
    enum exit_code code = export_shard(whole->ctl, whole->reader, whole->info.step, rank,
                                       whole->timeout_ms, path, &shard);
    if (code == EXIT_DONE && interrupted != 0) {
        code = complain(EXIT_NO, "interrupted: nothing was written");
    }
    if (code != EXIT_DONE) {
        return code;
    }
    export_hex(&shard, hex);
    snprintf(path, sizeof(path), "%s/%s", whole->path, name);
    json_array_append_new(whole->files,
                          json_pack("{s:I,s:I,s:s,s:s}", "rank", (json_int_t)rank, "bytes",
                                    (json_int_t)shard.bytes, "digest", hex, "file", path));
    fprintf(whole->sums, "%s  %s\n", hex, name);
    return EXIT_DONE;
}

static enum exit_code open_sums(struct whole *whole)
{
    char path[PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s/%s", whole->temporary, SUMS_FILE);
    whole->sums = fopen(path, "wxe");
    return whole->sums ? EXIT_DONE
                       : complain(EXIT_NO, "cannot write %s: %s", path, strerror(errno));
}

static bool close_sums(struct whole *whole)
{
    bool good = fflush(whole->sums) == 0 && fsync(fileno(whole->sums)) == 0;
    good = fclose(whole->sums) == 0 && good;
    whole->sums = NULL;
    return good;
}

static enum exit_code move_into_place(struct whole *whole)
{
    mode_t mask = umask(0);
    umask(mask);
    bool good = close_sums(whole) && chmod(whole->temporary, 0777 & ~mask) == 0;
    if (good) {
        export_sync_parent(whole->temporary);
        good = rename(whole->temporary, whole->path) == 0;
    }
    if (!good) {
        return complain(EXIT_NO, "cannot write %s: %s", whole->path, strerror(errno));
    }
    whole->temporary[0] = '\0';
    export_sync_parent(whole->path);
    return EXIT_DONE;
}

static enum exit_code fill(struct whole *whole)
{
    enum exit_code code = open_sums(whole);
    for (uint32_t rank = 0; rank < whole->info.world && code == EXIT_DONE; rank++) {
        code = export_rank(whole, rank);
    }
    if (code == EXIT_DONE) {
        code = move_into_place(whole);
    }
    if (whole->sums) {
        fclose(whole->sums);
    }
    return code;
}

static enum exit_code report(const struct whole *whole)
{
    size_t i;
    const json_t *file;
    if (whole->ctl->json) {
        json_t *document = json_pack(
            "{s:s,s:I,s:I,s:I,s:s,s:O}", "run", whole->run, "step", (json_int_t)whole->info.step,
            "attempt", (json_int_t)whole->info.attempt, "world", (json_int_t)whole->info.world,
            "directory", whole->path, "files", whole->files);
        print_json(document);
        json_decref(document);
        return EXIT_DONE;
    }
    json_array_foreach(whole->files, i, file)
    {
        printf("%s  %s\n", field_text(file, "digest"), field_text(file, "file"));
    }
    return EXIT_DONE;
}

static enum exit_code complain_of(const struct whole *whole, enum ckpt_status status, uint64_t step)
{
    if (status == CKPT_ERR_NOT_FOUND) {
        return complain(EXIT_NO, "%s has no consistent step %" PRIu64, whole->run, step);
    }
    if (status == CKPT_ERR_NO_CHECKPOINT) {
        return complain(EXIT_NO, "%s has no consistent checkpoint", whole->run);
    }
    return agent_complain(status, ckpt_reason(whole->reader));
}

enum exit_code export_all(const struct ctl *ctl, const char *run, uint64_t step,
                          uint32_t timeout_ms, const char *path)
{
    struct whole whole = {.ctl = ctl, .run = run, .timeout_ms = timeout_ms, .files = json_array()};
    watch_interrupts();
    enum exit_code code = agent_open_reader(ctl, run, &whole.reader);
    if (code == EXIT_DONE) {
        enum ckpt_status status = ckpt_info(whole.reader, step, &whole.info);
        code = status == CKPT_OK ? make_temporary(&whole, path) : complain_of(&whole, status, step);
    }
    if (code == EXIT_DONE) {
        code = fill(&whole);
    }
    progress_clear();
    remove_temporary(&whole);
    ckpt_close(&whole.reader);
    if (code == EXIT_DONE) {
        code = report(&whole);
    }
    json_decref(whole.files);
    return code;
}
