/* SPDX-License-Identifier: Apache-2.0 */
/* Both formats are read by the line: a name is remembered until a line has nodes. What else they
 * may say (children, link speeds, block sizes) does not matter here. */
#include "slurm/topology.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/ids.h"
#include "base/reason.h"
#include "slurm/hostlist.h"

struct piece {
    const char *at;
    size_t bytes;
};

struct reader {
    const char *node;
    struct piece name;  /* of the switch or block that is being read */
    struct piece found; /* it has the node */
    bool found_here;    /* in the topology that is being read */
    bool is_default;    /* that topology is the cluster's default */
    unsigned line;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct piece trim(struct piece piece)
{
    while (piece.bytes > 0 && is_blank(piece.at[0])) {
        piece.at++;
        piece.bytes--;
    }
    while (piece.bytes > 0 && is_blank(piece.at[piece.bytes - 1])) {
        piece.bytes--;
    }
    if (piece.bytes >= 2 && (piece.at[0] == '"' || piece.at[0] == '\'') &&
        piece.at[piece.bytes - 1] == piece.at[0]) {
        piece.at++;
        piece.bytes -= 2;
    }
    return piece;
}

static bool is_word(struct piece piece, const char *word)
{
    return piece.bytes == strlen(word) && strncasecmp(piece.at, word, piece.bytes) == 0;
}

/* The whole list is walked, also behind the node, so that a fault in it is always found. */
static bool compare(const char *host, void *context)
{
    struct reader *r = context;
    if (strcmp(host, r->node) == 0 && r->name.bytes > 0 && !r->found_here) {
        r->found_here = true;
        if (r->found.bytes == 0 || r->is_default) {
            r->found = r->name;
        }
    }
    return true;
}

/* False: nodes that are no host list. */
static bool take(struct reader *r, struct piece key, struct piece value)
{
    if (is_word(key, "SwitchName") || is_word(key, "BlockName") || is_word(key, "switch") ||
        is_word(key, "block")) {
        if (value.bytes > 0) { /* "block:" alone opens the section */
            r->name = value;
        }
        return true;
    }
    if (is_word(key, "nodes")) {
        return slurm_hostlist_walk(value.at, value.bytes, compare, r) == CKPT_OK;
    }
    if (is_word(key, "topology")) {
        r->found_here = false;
        r->is_default = false;
        r->name.bytes = 0;
    } else if (is_word(key, "cluster_default")) {
        r->is_default = is_word(value, "true");
    }
    return true;
}

/* "Key=value Key=value", as in topology.conf. */
static bool take_conf_line(struct reader *r, struct piece line)
{
    r->name.bytes = 0;
    while (line.bytes > 0) {
        size_t word = 0;
        while (word < line.bytes && !is_blank(line.at[word])) {
            word++;
        }
        const char *equals = memchr(line.at, '=', word);
        if (equals != NULL) {
            struct piece key = {line.at, (size_t)(equals - line.at)};
            struct piece value = {equals + 1, word - key.bytes - 1};
            if (!take(r, key, value)) {
                return false;
            }
        }
        line.at += word;
        line.bytes -= word;
        line = trim(line);
    }
    return true;
}

/* "- key: value" or "key: value", as in topology.yaml. */
static bool take_yaml_line(struct reader *r, struct piece line)
{
    while (line.bytes > 0 && line.at[0] == '-') {
        line.at++;
        line.bytes--;
        line = trim(line);
    }
    const char *colon = memchr(line.at, ':', line.bytes);
    if (colon == NULL) {
        return true;
    }
    struct piece key = trim((struct piece){line.at, (size_t)(colon - line.at)});
    struct piece value =
        trim((struct piece){colon + 1, line.bytes - (size_t)(colon - line.at) - 1});
    return take(r, key, value);
}

static bool is_conf(const char *text, size_t bytes)
{
    for (size_t i = 0; i + 4 < bytes; i++) {
        if (strncasecmp(text + i, "Name=", 5) == 0) {
            return true;
        }
    }
    return false;
}

enum ckpt_status slurm_topology_domain(const char *text, size_t bytes, const char *node,
                                       char domain_out[CKPT_DOMAIN_NAME_MAX + 1], char *reason_out)
{
    struct reader r = {.node = node};
    bool conf = is_conf(text, bytes);
    for (size_t at = 0; at < bytes;) {
        const char *newline = memchr(text + at, '\n', bytes - at);
        size_t end = newline == NULL ? bytes : (size_t)(newline - text);
        size_t length = end - at;
        const char *comment = memchr(text + at, '#', length);
        struct piece line = {text + at, comment == NULL ? length : (size_t)(comment - text) - at};
        line = trim(line);
        r.line++;
        if (!(conf ? take_conf_line(&r, line) : take_yaml_line(&r, line))) {
            return reason_refuse(reason_out, CKPT_ERR_INVALID,
                                 "line %u: its nodes are no host list", r.line);
        }
        at = end + 1;
    }
    if (r.found.bytes == 0) {
        return reason_refuse(reason_out, CKPT_ERR_NOT_FOUND, "no switch or block has node %.63s",
                             node);
    }
    char name[CKPT_DOMAIN_NAME_MAX + 1] = "";
    if (r.found.bytes <= CKPT_DOMAIN_NAME_MAX) {
        memcpy(name, r.found.at, r.found.bytes);
    }
    if (!name_is_valid(name, CKPT_DOMAIN_NAME_MAX)) {
        return reason_refuse(reason_out, CKPT_ERR_NAME,
                             "the switch of node %.63s has a name that is no failure domain's",
                             node);
    }
    memcpy(domain_out, name, sizeof(name));
    return CKPT_OK;
}

enum ckpt_status slurm_topology_file_domain(const char *path, const char *node,
                                            char domain_out[CKPT_DOMAIN_NAME_MAX + 1],
                                            char *reason_out)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return reason_refuse(reason_out, CKPT_ERR_SYSTEM, "%.160s: %s", path, strerror(errno));
    }
    enum ckpt_status status = CKPT_ERR_MEMORY;
    char why[CKPT_REASON_MAX + 1] = "no memory to read it";
    char *text = malloc(SLURM_TOPOLOGY_BYTES_MAX + 1);
    if (text != NULL) {
        size_t bytes = fread(text, 1, SLURM_TOPOLOGY_BYTES_MAX + 1, file);
        if (ferror(file)) {
            snprintf(why, sizeof(why), "it cannot be read");
            status = CKPT_ERR_SYSTEM;
        } else if (bytes > SLURM_TOPOLOGY_BYTES_MAX) {
            snprintf(why, sizeof(why), "it is larger than 8 MiB");
            status = CKPT_ERR_TOO_LARGE;
        } else {
            status = slurm_topology_domain(text, bytes, node, domain_out, why);
        }
        free(text);
    }
    (void)fclose(file);
    if (status != CKPT_OK) {
        reason_set(reason_out, "%.120s: %.120s", path, why);
    }
    return status;
}
