/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/doctor_settings.h"

#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ckptctl/child.h"

#define ASK_MS 5000
#define OUTPUT_BYTES 65536
#define COMMAND_BYTES 8192
#define FLAGS_MAX 128
#define CONFIG_FILE "/etc/ckptd/ckptd.conf"

/* Texts, by where they go; sizes are below. */
struct place {
    const char *section, *name;
    size_t at, bytes;
};

#define PLACE(section, name, field)                                                                \
    {                                                                                              \
        section, name, offsetof(struct doctor_settings, field),                                    \
            sizeof(((struct doctor_settings *)0)->field)                                           \
    }

static const struct place places[] = {
    PLACE("agent", "node", node),
    PLACE("agent", "coordinator", coordinator),
    PLACE("agent", "listen", listen),
    PLACE("agent", "socket", socket),
    PLACE("arena", "directory", arena_directory),
    PLACE("arena", "huge_pages", huge_pages),
    PLACE("arena", "lock", lock),
    PLACE("transport", "spec", spec),
    PLACE("transport", "devices", devices),
    PLACE("tier", "path", tier),
    PLACE("tier", "endpoint", tier_endpoint),
    PLACE("tier", "region", tier_region),
};

void doctor_settings_default(struct doctor_settings *settings_out)
{
    *settings_out = (struct doctor_settings){.file = CONFIG_FILE,
                                             .coordinator = "127.0.0.1:7471",
                                             .listen = "127.0.0.1:7472",
                                             .socket = "/run/ckptd/ckptd.sock",
                                             .arena_bytes = 4 * CKPT_GIB,
                                             .segment_bytes = CKPT_SEGMENT_BYTES_DEFAULT,
                                             .huge_pages = "auto",
                                             .lock = "try",
                                             .spec = "ucx:tcp"};
    char host[CKPT_NODE_NAME_MAX + 1] = "";
    if (gethostname(host, sizeof(host) - 1) == 0) {
        (void)snprintf(settings_out->node, sizeof(settings_out->node), "%s", host);
    }
}

/* A size as --check-config prints it: 4GiB. */
static uint64_t take_size(const char *text)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    char *end;
    uint64_t number = strtoull(text, &end, 10);
    for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i]) == 0) {
            return number << (10 * i);
        }
    }
    return 0;
}

static int take(void *context, const char *section, const char *name, const char *value)
{
    struct doctor_settings *settings = context;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (strcmp(section, places[i].section) == 0 && strcmp(name, places[i].name) == 0) {
            (void)snprintf((char *)settings + places[i].at, places[i].bytes, "%s", value);
        }
    }
    if (strcmp(section, "arena") == 0) {
        uint64_t *bytes = strcmp(name, "bytes") == 0           ? &settings->arena_bytes
                          : strcmp(name, "segment_bytes") == 0 ? &settings->segment_bytes
                                                               : NULL;
        uint64_t size = bytes != NULL ? take_size(value) : 0;
        if (size > 0) {
            *bytes = size;
        }
    }
    return 1;
}

void doctor_settings_take(struct doctor_settings *settings, char *text)
{
    char file[DOCTOR_TEXT_MAX + 1];
    const char *first = strstr(text, "# ckptd "); /* behind what is warned of */
    if (first != NULL &&
        sscanf(first, "# ckptd %31[^,], file: %255[^\n]", settings->version, file) == 2 &&
        strcmp(file, "none") != 0) {
        memcpy(settings->file, file, sizeof(file));
    }
    (void)ini_parse_string(text, take, settings);
}

static void say_end(const char *program, enum child_end end, int code, char *output,
                    const struct doctor_settings *settings, struct findings *findings)
{
    output[strcspn(output, "\n")] = '\0';
    if (end == CHILD_MISSING) {
        findings_add(findings, FINDING_WARNING, "ckptd",
                     "%s cannot be started (%s): its settings are taken to be the defaults",
                     program, strerror(errno));
        findings_fix(findings, "ckptctl doctor --ckptd=/PATH/OF/ckptd");
    } else if (end == CHILD_LATE) {
        findings_add(findings, FINDING_UNKNOWN, "ckptd",
                     "%s --check-config does not end within %d s: its settings are taken to be "
                     "the defaults",
                     program, ASK_MS / 1000);
    } else if (code != 0) {
        findings_add(findings, FINDING_WRONG, "ckptd", "its configuration is refused: %s", output);
        findings_fix(findings, "correct %s, then: %s --config=%s --check-config", settings->file,
                     program, settings->file);
    } else {
        findings_add(findings, FINDING_OK, "ckptd", "%s is %s, and takes %s", program,
                     settings->version[0] != '\0' ? settings->version : "of no known version",
                     settings->file);
    }
}

void doctor_settings_read(const char *program, const char *file, struct doctor_settings *settings,
                          struct findings *findings)
{
    int code = 0;
    char name[4096];
    char flag[4096];
    char check[] = "--check-config";
    char *output = malloc(OUTPUT_BYTES);
    if (output == NULL) {
        findings_add(findings, FINDING_UNKNOWN, "ckptd", "no memory");
        return;
    }
    (void)snprintf(name, sizeof(name), "%s", program);
    (void)snprintf(flag, sizeof(flag), "--config=%s", file != NULL ? file : "");
    char *arguments[] = {name, check, file != NULL ? flag : NULL, NULL};
    if (file != NULL) {
        (void)snprintf(settings->file, sizeof(settings->file), "%s", file);
    }
    enum child_end end = child_run(arguments, ASK_MS, output, OUTPUT_BYTES, &code);
    if (end == CHILD_DONE && code == 0) {
        doctor_settings_take(settings, output);
    }
    say_end(program, end, code, output, settings, findings);
    free(output);
}

/* The words of a process' command line behind its name, in text; their count. */
static size_t read_flags(pid_t pid, char text[COMMAND_BYTES], char *flags_out[FLAGS_MAX])
{
    char path[64];
    size_t count = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    FILE *file = fopen(path, "re");
    size_t bytes = file != NULL ? fread(text, 1, COMMAND_BYTES - 1, file) : 0;
    if (file != NULL) {
        (void)fclose(file);
    }
    text[bytes] = '\0';
    for (size_t at = strlen(text) + 1; at < bytes && count < FLAGS_MAX;
         at += strlen(text + at) + 1) {
        flags_out[count++] = text + at;
    }
    return count;
}

void doctor_settings_follow(const char *program, pid_t pid, struct doctor_settings *settings,
                            struct findings *findings)
{
    int code = 0;
    char name[4096];
    char check[] = "--check-config";
    char text[COMMAND_BYTES];
    char *arguments[FLAGS_MAX + 3] = {name};
    size_t count = read_flags(pid, text, arguments + 1);
    char *output = malloc(OUTPUT_BYTES);
    if (count == 0 || output == NULL) {
        free(output);
        return;
    }
    (void)snprintf(name, sizeof(name), "%s", program);
    arguments[count + 1] = check;
    enum child_end end = child_run(arguments, ASK_MS, output, OUTPUT_BYTES, &code);
    if (end == CHILD_DONE && code == 0) {
        doctor_settings_take(settings, output);
        findings_add(findings, FINDING_OK, "ckptd",
                     "pid %d runs with flags: its settings are those, as it was started", (int)pid);
    } else {
        findings_add(findings, FINDING_UNKNOWN, "ckptd",
                     "pid %d runs with flags that %s does not take: what they set is not known",
                     (int)pid, program);
    }
    free(output);
}
