/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckptctl/progress.h"

enum exit_code complain(enum exit_code code, const char *format, ...)
{
    va_list arguments;
    fflush(stdout); /* what came before stays before */
    progress_clear();
    va_start(arguments, format);
    fputs("ckptctl: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return code;
}

bool parse_number(const char *what, const char *text, uint32_t max, uint32_t *number_out)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number > max) {
        complain(EXIT_USAGE, "%s '%s' is no number from 0 to %" PRIu32, what, text, max);
        return false;
    }
    *number_out = (uint32_t)number;
    return true;
}

bool parse_step(const char *text, uint64_t *step_out)
{
    char *end;
    if (strcmp(text, "latest") == 0) {
        *step_out = CKPT_STEP_LATEST;
        return true;
    }
    errno = 0;
    unsigned long long step = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || step == CKPT_STEP_LATEST) {
        complain(EXIT_USAGE, "'%s' is no step: a number or \"latest\" is", text);
        return false;
    }
    *step_out = step;
    return true;
}

bool name_run(const struct ctl *ctl, const char *text, struct message_admin_ask *ask)
{
    if (!name_is_valid(text, CKPT_RUN_NAME_MAX)) {
        complain(EXIT_USAGE, "'%s' is no name of a run: 1 to %d of A-Z a-z 0-9 . _ / -", text,
                 CKPT_RUN_NAME_MAX);
        return false;
    }
    ask->run.uid = ctl->user;
    snprintf(ask->run.name, sizeof(ask->run.name), "%s", text);
    return true;
}
