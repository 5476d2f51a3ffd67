/* SPDX-License-Identifier: Apache-2.0 */
#include "shard/scan.h"

struct scan {
    const char *text;
    uint64_t bytes;
    uint64_t at;
    uint64_t depth;
    uint64_t marks;
};

/* Moves from an opening quote to its closing one, or to the end. */
static void skip_string(struct scan *scan)
{
    for (scan->at++; scan->at < scan->bytes; scan->at++) {
        char c = scan->text[scan->at];
        if (c == '"') {
            return;
        }
        if (c == '\\') {
            scan->at++;
        }
    }
}

/* Looks at one character outside strings; NULL or what is wrong. */
static const char *look(struct scan *scan)
{
    char c = scan->text[scan->at];
    if (c == '"') {
        skip_string(scan);
    } else if (c == '}' || c == ']') {
        scan->depth--;
    } else if (c == '{' || c == '[' || c == ',') {
        scan->depth += c != ',';
        scan->marks++;
    }
    if (scan->depth > SCAN_DEPTH_MAX) {
        return "the header is nested too deeply";
    }
    return scan->marks > SCAN_MARKS_MAX ? "the header has too many values" : NULL;
}

enum ckpt_status scan_json(const char *text, uint64_t bytes, const char **problem_out,
                           uint64_t *at_out)
{
    struct scan scan = {.text = text, .bytes = bytes};
    *at_out = 0;
    if (bytes == 0 || text[0] != '{') {
        *problem_out = "the header does not start with '{'";
        return CKPT_ERR_CORRUPT;
    }
    do {
        const char *problem = look(&scan);
        if (problem) {
            *problem_out = problem;
            *at_out = scan.at;
            return CKPT_ERR_TOO_LARGE;
        }
        scan.at++;
    } while (scan.depth > 0 && scan.at < bytes);
    if (scan.depth > 0) {
        *problem_out = "the header's JSON does not end";
        *at_out = bytes;
        return CKPT_ERR_CORRUPT;
    }
    for (; scan.at < bytes; scan.at++) {
        if (text[scan.at] != ' ') {
            *problem_out = "the header's JSON is followed by something other than spaces";
            *at_out = scan.at;
            return CKPT_ERR_CORRUPT;
        }
    }
    return CKPT_OK;
}
