/* SPDX-License-Identifier: Apache-2.0 */
#include "slurm/hostlist.h"

#include <stdint.h>
#include <string.h>

#define DIGITS_MAX 9 /* of a number in a range */

struct walk {
    slurm_on_host *on_host;
    void *context;
    uint32_t hosts;
    bool stopped;
    char host[SLURM_HOST_NAME_MAX + 1];
};

/* The digits at *at as a number; 0: there are none, or too many. */
static size_t read_number(const char *at, const char *end, uint32_t *number_out)
{
    size_t digits = 0;
    uint32_t number = 0;
    while (at + digits < end && at[digits] >= '0' && at[digits] <= '9' && digits <= DIGITS_MAX) {
        number = number * 10 + (uint32_t)(at[digits] - '0');
        digits++;
    }
    *number_out = number;
    return digits <= DIGITS_MAX ? digits : 0;
}

static bool append(struct walk *walk, size_t *length, const char *text, size_t bytes)
{
    if (*length + bytes > SLURM_HOST_NAME_MAX) {
        return false;
    }
    memcpy(walk->host + *length, text, bytes);
    *length += bytes;
    return true;
}

static bool append_number(struct walk *walk, size_t *length, uint32_t number, size_t width)
{
    char digits[DIGITS_MAX + 2];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (sizeof(digits) - at < width) {
        digits[--at] = '0';
    }
    return append(walk, length, digits + at, sizeof(digits) - at);
}

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

static bool expand(struct walk *walk, const char *at, const char *end, size_t length);

/* All hosts of one bracket, "1-2,07", with what follows it. */
static bool expand_bracket(struct walk *walk, const char *at, const char *close, const char *end,
                           size_t length)
{
    while (!walk->stopped) {
        uint32_t first;
        size_t width = read_number(at, close, &first);
        uint32_t last = first;
        if (width == 0) {
            return false;
        }
        at += width;
        if (at < close && *at == '-') {
            size_t digits = read_number(at + 1, close, &last);
            if (digits == 0 || last < first) {
                return false;
            }
            at += 1 + digits;
        }
        for (uint32_t number = first; number <= last && !walk->stopped; number++) {
            size_t longer = length;
            if (!append_number(walk, &longer, number, width) ||
                !expand(walk, close + 1, end, longer)) {
                return false;
            }
        }
        if (at == close) {
            return true;
        }
        if (*at++ != ',') {
            return false;
        }
    }
    return true;
}

/* One name, at..end, behind the first `length` bytes of walk->host. Deeper with each bracket, and
 * each bracket adds a byte to the name, so the depth is bounded by its length. */
static bool expand(struct walk *walk, const char *at, const char *end, size_t length)
{
    while (at < end && *at != '[') {
        if (!is_name_character(*at) || !append(walk, &length, at, 1)) {
            return false;
        }
        at++;
    }
    if (at < end) {
        const char *close = memchr(at, ']', (size_t)(end - at));
        return close != NULL && expand_bracket(walk, at + 1, close, end, length);
    }
    if (length == 0 || walk->hosts == SLURM_HOSTS_MAX) {
        return false;
    }
    walk->host[length] = '\0';
    walk->hosts++;
    walk->stopped = !walk->on_host(walk->host, walk->context);
    return true;
}

/* Where the name that begins at `at` ends: the next comma that is in no bracket. */
static const char *name_end(const char *at, const char *end)
{
    bool inside = false;
    while (at < end && (inside || *at != ',')) {
        inside = *at == '[' || (inside && *at != ']');
        at++;
    }
    return at;
}

enum ckpt_status slurm_hostlist_walk(const char *list, size_t bytes, slurm_on_host *on_host,
                                     void *context)
{
    struct walk walk = {.on_host = on_host, .context = context};
    const char *at = list;
    const char *end = list + bytes;
    while (!walk.stopped) {
        const char *stop = name_end(at, end);
        if (!expand(&walk, at, stop, 0)) {
            return CKPT_ERR_INVALID;
        }
        if (stop == end) {
            break;
        }
        at = stop + 1;
    }
    return CKPT_OK;
}

struct search {
    const char *host;
    bool found;
};

static bool compare(const char *host, void *context)
{
    struct search *search = context;
    search->found = strcmp(host, search->host) == 0;
    return !search->found;
}

bool slurm_hostlist_has(const char *list, size_t bytes, const char *host)
{
    struct search search = {.host = host};
    return slurm_hostlist_walk(list, bytes, compare, &search) == CKPT_OK && search.found;
}
