/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/degree.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ckptctl/document.h"
#include "ckptctl/options.h"
#include "ckptctl/text.h"

__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size,
                                                         const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + used, size - used, format, arguments);
    va_end(arguments);
}

static bool is_consistent(const json_t *checkpoint)
{
    return strcmp(field_text(checkpoint, "state"), "consistent") == 0;
}

bool degree_is_short(const json_t *checkpoint)
{
    const char *degree = field_text(checkpoint, "degree");
    return degree[0] != '\0' && strcmp(degree, "consistent") != 0;
}

struct long_text degree_state(const json_t *checkpoint)
{
    struct long_text state = {""};
    bool is_short = is_consistent(checkpoint) && degree_is_short(checkpoint);
    append(state.text, sizeof(state.text), "%s",
           field_text(checkpoint, is_short ? "degree" : "state"));
    if (is_short) {
        append(state.text, sizeof(state.text), " %" PRIu64 "/%" PRIu64,
               field_number(checkpoint, "copies_now"), field_number(checkpoint, "copies"));
    }
    return state;
}

enum style degree_style(const json_t *checkpoint)
{
    const char *state = field_text(checkpoint, "state");
    if (is_consistent(checkpoint)) {
        return !degree_is_short(checkpoint)                                ? STYLE_GOOD
               : strcmp(field_text(checkpoint, "degree"), "degraded") == 0 ? STYLE_WARN
                                                                           : STYLE_BAD;
    }
    return strcmp(state, "aborted") == 0 || strcmp(state, "quarantined") == 0 ? STYLE_BAD
                                                                              : STYLE_PLAIN;
}

enum exit_code degree_code(const json_t *checkpoint, bool any)
{
    if (!degree_is_short(checkpoint) || (any && field_number(checkpoint, "copies_now") > 0)) {
        return EXIT_DONE;
    }
    return EXIT_SHORT;
}

/* What is done about a shard that lacks copies, around the names of the nodes that do it. */
static void append_wait(char *text, size_t size, const json_t *shortage)
{
    static const struct {
        const char *name;
        const char *before;
        const char *after;
        bool has_node;
        bool has_from;
    } words[] = {
        {"seal", "not sealed yet", "", false, false},
        {"pull", "", " copies it from ", true, true},
        {"digest", "", " digests it", true, false},
        {"return", "waits for ", "", true, false},
        {"domain", "too few failure domains are joined", "", false, false},
        {"room", "no node in another failure domain has room", "", false, false},
        {"source", "no node has a good copy", "", false, false},
        {"order", "a copy is about to be made", "", false, false},
    };
    const char *wait = field_text(shortage, "waits_for");
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i].name, wait) == 0) {
            append(text, size, "%s%s%s%s", words[i].before,
                   words[i].has_node ? field_text(shortage, "node") : "", words[i].after,
                   words[i].has_from ? field_text(shortage, "from") : "");
        }
    }
}

/* "3", or "3 (n1)" of a rank that has to do something itself. */
static void append_rank(char *text, size_t size, const json_t *shortage)
{
    const char *node = field_text(shortage, "node");
    bool is_its_own = strcmp(field_text(shortage, "waits_for"), "seal") == 0 && node[0] != '\0';
    append(text, size, "%s%" PRIu64 "%s%s%s", text[0] != '\0' ? ", " : "",
           field_number(shortage, "rank"), is_its_own ? " (" : "", is_its_own ? node : "",
           is_its_own ? ")" : "");
}

/* "n1 (lost), n2 (lost)": where a copy belongs and is not. */
static void append_missing(char *text, size_t size, const json_t *shortage)
{
    size_t i;
    const json_t *home;
    const char *comma = "";
    json_array_foreach(json_object_get(shortage, "homes"), i, home)
    {
        if (!field_true(home, "has")) {
            append(text, size, "%s%s (%s)", comma, field_text(home, "node"),
                   field_true(home, "joined")    ? "joined, without it"
                   : field_true(home, "stopped") ? "stopped"
                   : field_true(home, "seen")    ? "lost"
                                                 : "not joined since the coordinator started");
            comma = ", ";
        }
    }
    if (json_array_size(json_object_get(shortage, "homes")) == 0) {
        append(text, size, "nodes that are not on record");
    }
}

static struct long_text shortage_text(const json_t *checkpoint, const json_t *shortage)
{
    struct long_text words = {""};
    char missing[512] = "";
    uint64_t copies = field_number(shortage, "copies");
    bool is_return = strcmp(field_text(shortage, "waits_for"), "return") == 0;
    if (!degree_is_short(checkpoint)) {
        append_wait(words.text, sizeof(words.text), shortage);
        return words;
    }
    append_missing(missing, sizeof(missing), shortage);
    if (copies == 0) {
        append(words.text, sizeof(words.text), "no copy is known, was on %s", missing);
    } else {
        append(words.text, sizeof(words.text), "%" PRIu64 " of %" PRIu64 " copies%s%s", copies,
               field_number(checkpoint, "copies"), missing[0] ? ", not on " : "", missing);
    }
    if (!is_return) {
        append(words.text, sizeof(words.text), ", ");
        append_wait(words.text, sizeof(words.text), shortage);
    }
    return words;
}

/* Those that lack the same for the same reason are told together; how many they are. */
static uint64_t append_group(struct long_text *all, const json_t *checkpoint, const json_t *list,
                             size_t first)
{
    struct long_text words = shortage_text(checkpoint, json_array_get(list, first));
    struct long_text ranks = {""};
    uint64_t count = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *other = json_array_get(list, i);
        if (strcmp(shortage_text(checkpoint, other).text, words.text) != 0) {
            continue;
        }
        if (i < first) {
            return 0; /* told already */
        }
        append_rank(ranks.text, sizeof(ranks.text), other);
        count++;
    }
    append(all->text, sizeof(all->text), "%s%s %.300s: %.400s", all->text[0] ? "; " : "",
           count > 1 ? "ranks" : "rank", ranks.text, words.text);
    return count;
}

struct long_text degree_shortages(const json_t *checkpoint)
{
    struct long_text all = {""};
    const json_t *list = json_object_get(checkpoint, "short");
    uint64_t count = field_number(checkpoint, "world") - field_number(checkpoint, "shards_ready");
    uint64_t told = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        told += append_group(&all, checkpoint, list, i);
    }
    if (told > 0 && count > told) {
        append(all.text, sizeof(all.text), "; and %" PRIu64 " more", count - told);
    }
    return all;
}

struct size_text degree_duration(const json_t *checkpoint, const char *name)
{
    bool is_known = json_is_integer(json_object_get(checkpoint, name));
    return is_known ? age_text(field_number(checkpoint, name)) : (struct size_text){"-"};
}

struct size_text degree_time(const json_t *checkpoint)
{
    struct size_text time = {"-"};
    const char *text = field_text(checkpoint, "committed_at");
    if (strlen(text) > 19) {
        snprintf(time.text, sizeof(time.text), "%.19sZ", text);
    }
    return time;
}

bool degree_flags(const struct ctl *ctl, size_t strict, size_t any)
{
    if (option_flag(ctl, strict) && option_flag(ctl, any)) {
        complain(EXIT_USAGE, "--strict and --any ask for the opposite: give one");
        return false;
    }
    return true;
}
