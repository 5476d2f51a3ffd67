/* SPDX-License-Identifier: Apache-2.0 */
/* What UCX logs goes to our log: it prints to standard output, which belongs to the program. Its
 * header for this needs GNU C since 1.17 (room.cmake). */
#include "transport/ucx/log.h"
#include "transport/ucx/settings.h"
#include "transport/ucx/ucx.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <ucs/debug/log_def.h>

#include "base/log.h"

__attribute__((format(printf, 6, 0))) static ucs_log_func_rc_t
log_of_ucx(const char *file, unsigned line, const char *function, ucs_log_level_t level,
           const ucs_log_component_config_t *component, const char *message, va_list arguments)
{
    char text[CKPT_REASON_MAX + 1];

    (void)function, (void)component;
    if (level <= UCS_LOG_LEVEL_WARN) {
        vsnprintf(text, sizeof(text), message, arguments);
        if (!ucx_settings_ignored(text)) {
            log_event(level == UCS_LOG_LEVEL_FATAL ? EVENT_ucx_fatal : EVENT_ucx,
                      "at=%s:%u text=%s", basename(file), line, LOG_QUOTED(text));
        }
    }
    return UCS_LOG_FUNC_RC_STOP;
}

static void push_handler(void)
{
    ucs_log_push_handler(log_of_ucx);
}

void ucx_log_take(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, push_handler);
}
