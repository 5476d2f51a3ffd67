/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/findings.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const words[FINDING_LEVELS] = {"ok", "unknown", "warning", "wrong"};

void findings_add(struct findings *findings, enum finding_level level, const char *check,
                  const char *format, ...)
{
    va_list list;
    if (findings->count == FINDINGS_MAX) {
        if (level != FINDING_WRONG) {
            return;
        }
        findings->count--;
    }
    struct finding *finding = &findings->list[findings->count++];
    finding->level = level;
    finding->check = check;
    finding->fix[0] = '\0';
    va_start(list, format);
    (void)vsnprintf(finding->text, sizeof(finding->text), format, list);
    va_end(list);
}

void findings_fix(struct findings *findings, const char *format, ...)
{
    va_list list;
    if (findings->count == 0) {
        return;
    }
    struct finding *finding = &findings->list[findings->count - 1];
    va_start(list, format);
    (void)vsnprintf(finding->fix, sizeof(finding->fix), format, list);
    va_end(list);
}

size_t findings_count(const struct findings *findings, enum finding_level level)
{
    size_t count = 0;
    for (size_t i = 0; i < findings->count; i++) {
        count += findings->list[i].level == level;
    }
    return count;
}

enum exit_code findings_code(const struct findings *findings, bool strict)
{
    bool is_bad = findings_count(findings, FINDING_WRONG) > 0 ||
                  (strict && findings_count(findings, FINDING_WARNING) > 0);
    return is_bad ? EXIT_NO : EXIT_DONE;
}

void findings_print(const struct findings *findings, const struct ctl *ctl)
{
    static const char *const colors[FINDING_LEVELS] = {"\033[32m", "\033[2m", "\033[33m",
                                                       "\033[1;31m"};
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->list[i];
        printf("%s%-8s%s %-12s %s\n", ctl->color ? colors[finding->level] : "",
               words[finding->level], ctl->color ? "\033[0m" : "", finding->check, finding->text);
        if (finding->fix[0] != '\0') {
            printf("%-8s %-12s   %s\n", "", "", finding->fix);
        }
    }
    printf("\n%zu ok, %zu to be warned of, %zu wrong, %zu that could not be looked at\n",
           findings_count(findings, FINDING_OK), findings_count(findings, FINDING_WARNING),
           findings_count(findings, FINDING_WRONG), findings_count(findings, FINDING_UNKNOWN));
}

json_t *findings_describe(const struct findings *findings)
{
    json_t *list = json_array();
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->list[i];
        json_t *fix = finding->fix[0] != '\0' ? json_string(finding->fix) : json_null();
        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:o}", "level", words[finding->level],
                                              "check", finding->check, "text", finding->text, "fix",
                                              fix));
    }
    json_t *document = json_pack("{s:o}", "findings", list);
    for (int level = 0; level < FINDING_LEVELS; level++) {
        size_t count = findings_count(findings, (enum finding_level)level);
        json_object_set_new(document, words[level], json_integer((json_int_t)count));
    }
    return document;
}
