/* SPDX-License-Identifier: Apache-2.0 */
#include "process/child_log.h"

#include <stdio.h>
#include <string.h>

#include "base/reason.h"

bool child_log_find(const char *path, const char *text, char line_out[CHILD_LOG_LINE_BYTES])
{
    char line[CHILD_LOG_LINE_BYTES];
    FILE *file = fopen(path, "re");
    bool found = false;
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strstr(line, text) != NULL && strchr(line, '\n') != NULL) {
            line[strcspn(line, "\n")] = '\0';
            memcpy(line_out, line, sizeof(line));
            found = true;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

enum ckpt_status child_log_explain(const char *what, const char *log, enum ckpt_status status,
                                   char *reason)
{
    char line[CHILD_LOG_LINE_BYTES] = "its log is empty";
    (void)child_log_find(log, "", line);
    return reason_refuse(reason, status, "%s: %.200s", what, line);
}
