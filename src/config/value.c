/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/nearest.h"

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit byte_units[] = {
    {"TiB", (int64_t)(CKPT_GIB << 10)},
    {"GiB", (int64_t)CKPT_GIB},
    {"MiB", (int64_t)CKPT_MIB},
    {"KiB", (int64_t)CKPT_KIB},
    {"", 1},
    {NULL, 0},
};

static const struct unit time_units[] = {
    {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};

static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

struct bool_word {
    const char *word;
    int64_t number;
};

static const struct bool_word bool_words[] = {
    {"yes", 1}, {"no", 0}, {"true", 1}, {"false", 0}, {"on", 1}, {"off", 0}, {"1", 1}, {"0", 0},
};

static int64_t key_max(const struct config_key *key)
{
    return key->min == 0 && key->max == 0 ? INT64_MAX : key->max;
}

/* Reads digits with an optional '-' in front; gives what follows them. */
static bool parse_digits(const char *text, int64_t *number_out, const char **rest_out)
{
    bool negative = *text == '-';
    int64_t number = 0;
    text += negative;
    if (*text < '0' || *text > '9') {
        return false;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *text - '0', &number)) {
            return false;
        }
    }
    *number_out = negative ? -number : number;
    *rest_out = text;
    return true;
}

/* Digits and one of the units, with or without spaces between; "0" needs no unit. */
static bool parse_with_unit(const char *text, const struct unit *units, int64_t *number_out)
{
    int64_t number;
    if (!parse_digits(text, &number, &text)) {
        return false;
    }
    text += strspn(text, " ");
    for (; units->name; units++) {
        if (strcmp(text, units->name) == 0) {
            return !__builtin_mul_overflow(number, units->factor, number_out);
        }
    }
    *number_out = 0;
    return number == 0 && *text == '\0';
}

/* The number in the largest unit that divides it, as a person would have written it. */
static void print_with_unit(int64_t number, const struct unit *units, char *text_out, size_t size)
{
    while (units[1].name && (number == 0 || number % units->factor != 0)) {
        units++;
    }
    snprintf(text_out, size, "%" PRId64 "%s", number / units->factor, units->name);
}

static bool parse_number(const struct config_key *key, const char *text, const struct unit *units,
                         const char *wanted, int64_t *number_out, char *problem_out,
                         size_t problem_size)
{
    int64_t number;
    char low[40];
    char high[40];
    if (!parse_with_unit(text, units, &number)) {
        snprintf(problem_out, problem_size, "want %s", wanted);
        return false;
    }
    if (number < key->min || number > key_max(key)) {
        print_with_unit(key->min, units, low, sizeof(low));
        print_with_unit(key_max(key), units, high, sizeof(high));
        snprintf(problem_out, problem_size, "want %s%s%s%s",
                 key_max(key) == INT64_MAX ? "at least " : "from ", low,
                 key_max(key) == INT64_MAX ? "" : " to ", key_max(key) == INT64_MAX ? "" : high);
        return false;
    }
    *number_out = number;
    return true;
}

static bool parse_bool(const char *text, int64_t *number_out, char *problem_out,
                       size_t problem_size)
{
    for (size_t i = 0; i < sizeof(bool_words) / sizeof(bool_words[0]); i++) {
        if (strcasecmp(text, bool_words[i].word) == 0) {
            *number_out = bool_words[i].number;
            return true;
        }
    }
    snprintf(problem_out, problem_size, "want yes or no");
    return false;
}

static bool parse_choice(const struct config_key *key, const char *text, int64_t *number_out,
                         char *problem_out, size_t problem_size)
{
    size_t count = 0;
    for (; key->choices[count]; count++) {
        if (strcmp(text, key->choices[count]) == 0) {
            *number_out = (int64_t)count;
            return true;
        }
    }
    const char *nearest = nearest_name(text, key->choices, count);
    int used = nearest ? snprintf(problem_out, problem_size, "did you mean '%s'? want ", nearest)
                       : snprintf(problem_out, problem_size, "want ");
    for (size_t i = 0; i < count && (size_t)used < problem_size; i++) {
        const char *joint = i == 0 ? "" : i + 1 == count ? " or " : ", ";
        used += snprintf(problem_out + used, problem_size - (size_t)used, "%s%s", joint,
                         key->choices[i]);
    }
    return false;
}

size_t value_split(const char *text, char *items_out, const char **list_out)
{
    size_t count = 0;
    text += strspn(text, " \t");
    if (*text == '\0') {
        return 0;
    }
    for (;;) {
        size_t all = strcspn(text, ",");
        size_t kept = all;
        while (kept > 0 && (text[kept - 1] == ' ' || text[kept - 1] == '\t')) {
            kept--;
        }
        if (kept == 0) {
            return SIZE_MAX;
        }
        if (list_out) {
            list_out[count] = items_out;
        }
        memcpy(items_out, text, kept);
        items_out[kept] = '\0';
        items_out += kept + 1;
        count++;
        if (text[all] == '\0') {
            return count;
        }
        text += all + 1;
        text += strspn(text, " \t");
    }
}

static bool parse_list(const char *text, char *problem_out, size_t problem_size)
{
    char items[CONFIG_TEXT_MAX + 2];
    size_t count = value_split(text, items, NULL);
    if (count == SIZE_MAX) {
        snprintf(problem_out, problem_size, "want entries apart by commas; one is empty");
        return false;
    }
    if (count > CONFIG_LIST_MAX) {
        snprintf(problem_out, problem_size, "want at most %d entries, have %zu", CONFIG_LIST_MAX,
                 count);
        return false;
    }
    return true;
}

/* No value has control characters: they could not be printed or logged as they are. */
static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

bool value_parse(const struct config_key *key, const char *text, int64_t *number_out,
                 char *problem_out, size_t problem_size)
{
    int64_t number = 0;
    bool good = true;
    if (strnlen(text, CONFIG_TEXT_MAX + 1) > CONFIG_TEXT_MAX) {
        snprintf(problem_out, problem_size, "want at most %d characters", CONFIG_TEXT_MAX);
        return false;
    }
    if (!is_printable(text)) {
        snprintf(problem_out, problem_size, "want text without control characters");
        return false;
    }
    switch (key->type) {
    case CONFIG_STRING:
    case CONFIG_PATH:
        break;
    case CONFIG_INTEGER:
        good =
            parse_number(key, text, no_units, "a whole number", &number, problem_out, problem_size);
        break;
    case CONFIG_BYTES:
        good = parse_number(key, text, byte_units, "a number of bytes such as 4096, 64KiB or 2GiB",
                            &number, problem_out, problem_size);
        break;
    case CONFIG_DURATION:
        good = parse_number(key, text, time_units, "a time such as 500ms, 30s, 5min or 2h", &number,
                            problem_out, problem_size);
        break;
    case CONFIG_BOOL:
        good = parse_bool(text, &number, problem_out, problem_size);
        break;
    case CONFIG_ENUM:
        good = parse_choice(key, text, &number, problem_out, problem_size);
        break;
    case CONFIG_LIST:
        good = parse_list(text, problem_out, problem_size);
        break;
    }
    if (good) {
        *number_out = number;
    }
    return good;
}
