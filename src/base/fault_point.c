/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault_point.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/nearest.h"
#include "base/reason.h"

static const char *const point_names[] = {
#define FAULT_POINT_ENTRY(name, program, place) #name,
#include "base/fault_points.def"
#undef FAULT_POINT_ENTRY
};
static const char *const point_programs[] = {
#define FAULT_POINT_ENTRY(name, program, place) program,
#include "base/fault_points.def"
#undef FAULT_POINT_ENTRY
};
static const char *const point_places[] = {
#define FAULT_POINT_ENTRY(name, program, place) place,
#include "base/fault_points.def"
#undef FAULT_POINT_ENTRY
};

const char *fault_point_name(enum fault_point point)
{
    return point_names[point];
}

const char *fault_point_program(enum fault_point point)
{
    return point_programs[point];
}

const char *fault_point_place(enum fault_point point)
{
    return point_places[point];
}

enum ckpt_status fault_points_arm_from_environment(char *reason_out, size_t reason_size)
{
    const char *spec = getenv("CKPT_FAULT");
    return spec ? fault_points_arm(spec, reason_out, reason_size) : CKPT_OK;
}

#if CKPT_FAULT_POINTS

enum action { ACTION_NONE, ACTION_CRASH, ACTION_STOP, ACTION_SLEEP, ACTION_ERROR };

struct arming {
    enum action action;
    uint64_t sleep_ms;
    uint64_t at_pass; /* 0: at every pass */
};

static const char *const action_names[] = {
    [ACTION_NONE] = "none",   [ACTION_CRASH] = "crash", [ACTION_STOP] = "stop",
    [ACTION_SLEEP] = "sleep", [ACTION_ERROR] = "error",
};

atomic_bool fault_points_are_armed;
static struct arming armings[FAULT_POINT_COUNT];
static _Atomic uint64_t passes[FAULT_POINT_COUNT];

static void sleep_fully(uint64_t ms)
{
    struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

bool fault_point_pass(enum fault_point point)
{
    const struct arming *arming = &armings[point];
    if (arming->action == ACTION_NONE) {
        return false;
    }
    uint64_t pass = atomic_fetch_add(&passes[point], 1) + 1;
    if (arming->at_pass != 0 && arming->at_pass != pass) {
        return false;
    }
    int saved_errno = errno;
    log_event(EVENT_fault_point, "name=%s action=%s pass=%" PRIu64, point_names[point],
              action_names[arming->action], pass);
    switch (arming->action) {
    case ACTION_CRASH:
        /* To the process, not to this thread's group: a crash runs no handler and no destructor. */
        kill(getpid(), SIGKILL);
        pause();
        break;
    case ACTION_STOP:
        kill(getpid(), SIGSTOP);
        break;
    case ACTION_SLEEP:
        sleep_fully(arming->sleep_ms);
        break;
    case ACTION_NONE:
    case ACTION_ERROR:
        break;
    }
    errno = saved_errno;
    return arming->action == ACTION_ERROR;
}

/* Parses a decimal number that fills text; false on anything else and above limit. */
static bool parse_number(const char *text, uint64_t limit, uint64_t *number_out)
{
    uint64_t number = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || number > limit / 10) {
            return false;
        }
        number = number * 10 + (uint64_t)(*text - '0');
    }
    if (number > limit) {
        return false;
    }
    *number_out = number;
    return true;
}

/* Parses "crash", "sleep:200@3" and so on; text is cut up in place. */
static bool parse_action(char *text, struct arming *arming_out)
{
    struct arming arming = {0};
    char *at = strchr(text, '@');
    if (at) {
        *at = '\0';
        if (!parse_number(at + 1, UINT64_C(1000000000), &arming.at_pass) || arming.at_pass == 0) {
            return false;
        }
    }
    char *colon = strchr(text, ':');
    if (colon) {
        *colon = '\0';
        if (!parse_number(colon + 1, 3600 * 1000, &arming.sleep_ms)) {
            return false;
        }
    }
    for (int i = ACTION_CRASH; i <= ACTION_ERROR; i++) {
        if (strcmp(text, action_names[i]) == 0) {
            arming.action = (enum action)i;
        }
    }
    if (arming.action == ACTION_NONE || (colon != NULL) != (arming.action == ACTION_SLEEP)) {
        return false;
    }
    *arming_out = arming;
    return true;
}

static void explain_unknown_name(const char *name, struct reason reason)
{
    const char *nearest = nearest_name(name, point_names, FAULT_POINT_COUNT);
    int wanted = snprintf(
        reason.out, reason.size, "CKPT_FAULT: unknown fault point '%s'%s%s%s; known:", name,
        nearest ? ", did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    size_t used = wanted < 0 ? 0 : (size_t)wanted;
    for (int i = 0; i < FAULT_POINT_COUNT && used < reason.size; i++) {
        wanted = snprintf(reason.out + used, reason.size - used, " %s", point_names[i]);
        used += (size_t)wanted;
    }
}

/* Arms one "name=action" of the list; entry is cut up in place. */
static enum ckpt_status arm_entry(char *entry, struct reason reason)
{
    char *equals = strchr(entry, '=');
    if (!equals) {
        return reason_refuse_in(reason, CKPT_ERR_CONFIG, "CKPT_FAULT: '%s' is not name=action",
                                entry);
    }
    *equals = '\0';
    int point = 0;
    while (point < FAULT_POINT_COUNT && strcmp(entry, point_names[point]) != 0) {
        point++;
    }
    if (point == FAULT_POINT_COUNT) {
        explain_unknown_name(entry, reason);
        return CKPT_ERR_CONFIG;
    }
    if (armings[point].action != ACTION_NONE) {
        return reason_refuse_in(reason, CKPT_ERR_CONFIG, "CKPT_FAULT: '%s' is named twice", entry);
    }
    if (!parse_action(equals + 1, &armings[point])) {
        return reason_refuse_in(
            reason, CKPT_ERR_CONFIG,
            "CKPT_FAULT: bad action of '%s': want crash, stop, error or sleep:MILLISECONDS, "
            "each with @PASS or not",
            entry);
    }
    return CKPT_OK;
}

static void disarm_all(void)
{
    atomic_store(&fault_points_are_armed, false);
    memset(armings, 0, sizeof(armings));
    for (int i = 0; i < FAULT_POINT_COUNT; i++) {
        atomic_store(&passes[i], 0);
    }
}

enum ckpt_status fault_points_arm(const char *spec, char *reason_out, size_t reason_size)
{
    struct reason reason = {reason_out, reason_size};
    char copy[4096];
    disarm_all();
    if (*spec == '\0') {
        return CKPT_OK;
    }
    if ((size_t)snprintf(copy, sizeof(copy), "%s", spec) >= sizeof(copy)) {
        return reason_refuse_in(reason, CKPT_ERR_CONFIG, "CKPT_FAULT: longer than %zu bytes",
                                sizeof(copy) - 1);
    }
    char *rest = copy;
    for (char *entry = strsep(&rest, ","); entry; entry = strsep(&rest, ",")) {
        enum ckpt_status status = arm_entry(entry, reason);
        if (status != CKPT_OK) {
            disarm_all();
            return status;
        }
    }
    atomic_store(&fault_points_are_armed, true);
    return CKPT_OK;
}

#else

enum ckpt_status fault_points_arm(const char *spec, char *reason_out, size_t reason_size)
{
    struct reason reason = {reason_out, reason_size};
    if (*spec == '\0') {
        return CKPT_OK;
    }
    return reason_refuse_in(reason, CKPT_ERR_CONFIG,
                            "CKPT_FAULT is set, but this build has no fault points");
}

#endif
