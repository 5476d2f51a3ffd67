/* SPDX-License-Identifier: Apache-2.0 */
/* map    = rails { "," rails }
 * rails  = memory "=" port { "+" port }, blanks anywhere between. */
#include "topology/override.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct parse {
    const struct topology *topology;
    struct topology_rail_map *map;
    const char *at;
    struct reason reason;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

static void skip_blanks(struct parse *p)
{
    while (is_blank(*p->at)) {
        p->at++;
    }
}

/* The text up to the next separator, and past the blanks behind it. False when it is empty or
 * longer than any name. */
static bool take_word(struct parse *p, char *word_out, size_t size)
{
    skip_blanks(p);
    size_t length = strcspn(p->at, "=+, \t\n");
    if (length == 0 || length >= size) {
        return false;
    }
    memcpy(word_out, p->at, length);
    word_out[length] = '\0';
    p->at += length;
    skip_blanks(p);
    return true;
}

static bool take_character(struct parse *p, char c)
{
    skip_blanks(p);
    if (*p->at != c) {
        return false;
    }
    p->at++;
    return true;
}

static enum ckpt_status refuse_form(const struct parse *p)
{
    return reason_refuse_in(
        p->reason, CKPT_ERR_CONFIG,
        "rails: at '%.40s': expected MEMORY=PORT+PORT, ..., as in \"gpu0=mlx5_0+mlx5_1, "
        "numa1=mlx5_2\"",
        p->at);
}

/* Appends a name to the list of known ones, as long as it and an ellipsis fit. */
static void add_name(char *text, size_t size, const char *name)
{
    size_t length = strlen(text);
    size_t needed = strlen(name) + 2 + 5;
    if (length + needed < size) {
        snprintf(text + length, size - length, "%s%s", length ? ", " : "", name);
    } else if (length >= 3 && strcmp(text + length - 3, "...") != 0) {
        snprintf(text + length, size - length, ", ...");
    }
}

static enum ckpt_status refuse_memory(const struct parse *p, const char *word)
{
    char known[160] = "";
    for (uint32_t i = 0; i < p->topology->gpu_count; i++) {
        add_name(known, sizeof(known), p->topology->gpus[i].name);
    }
    for (uint32_t i = 0; i < p->topology->numa_count; i++) {
        add_name(known, sizeof(known), p->topology->numas[i].name);
    }
    return reason_refuse_in(p->reason, CKPT_ERR_CONFIG,
                            "rails: no memory '%.40s' here; this node has %s", word, known);
}

static enum ckpt_status refuse_port(const struct parse *p, const char *word)
{
    char known[160] = "";
    for (uint32_t i = 0; i < p->topology->port_count; i++) {
        add_name(known, sizeof(known), p->topology->ports[i].name);
    }
    return reason_refuse_in(p->reason, CKPT_ERR_CONFIG,
                            "rails: no port '%.40s' here; this node has %s", word,
                            known[0] ? known : "none at all");
}

static struct topology_rails *find_memory(const struct parse *p, const char *name)
{
    for (uint32_t i = 0; i < p->topology->gpu_count; i++) {
        if (strcmp(name, p->topology->gpus[i].name) == 0) {
            return &p->map->gpus[i];
        }
    }
    for (uint32_t i = 0; i < p->topology->numa_count; i++) {
        if (strcmp(name, p->topology->numas[i].name) == 0) {
            return &p->map->numas[i];
        }
    }
    return NULL;
}

/* Whether the word is the port's name, its device's, or both with the number: mlx5_0:1. */
static bool names_port(const char *word, const struct topology_port *port)
{
    char full[TOPOLOGY_NAME_MAX + 16];
    snprintf(full, sizeof(full), "%s:%" PRIu32, port->device, port->number);
    return strcmp(word, port->name) == 0 || strcmp(word, port->device) == 0 ||
           strcmp(word, full) == 0;
}

static bool has_port(const struct topology_rails *rails, uint32_t port)
{
    for (uint32_t i = 0; i < rails->port_count; i++) {
        if (rails->ports[i] == port) {
            return true;
        }
    }
    return false;
}

static enum ckpt_status take_port(struct parse *p, struct topology_rails *rails)
{
    char word[TOPOLOGY_NAME_MAX + 16];
    bool found = false;
    if (!take_word(p, word, sizeof(word))) {
        return refuse_form(p);
    }
    for (uint32_t i = 0; i < p->topology->port_count; i++) {
        if (!names_port(word, &p->topology->ports[i])) {
            continue;
        }
        found = true;
        if (has_port(rails, i)) {
            return reason_refuse_in(p->reason, CKPT_ERR_CONFIG,
                                    "rails: port '%.40s' is named twice for %s", word,
                                    topology_end_name(p->topology, rails->memory));
        }
        rails->ports[rails->port_count++] = i;
        rails->own_count = rails->port_count;
    }
    return found ? CKPT_OK : refuse_port(p, word);
}

static enum ckpt_status take_rails(struct parse *p)
{
    char word[TOPOLOGY_NAME_MAX + 16];
    const char *begin = p->at;
    if (!take_word(p, word, sizeof(word)) || !take_character(p, '=')) {
        p->at = begin;
        skip_blanks(p);
        return refuse_form(p);
    }
    struct topology_rails *rails = find_memory(p, word);
    if (!rails) {
        return refuse_memory(p, word);
    }
    if (rails->is_overridden) {
        return reason_refuse_in(p->reason, CKPT_ERR_CONFIG, "rails: %s is given twice", word);
    }
    rails->is_overridden = true;
    do {
        enum ckpt_status status = take_port(p, rails);
        if (status != CKPT_OK) {
            return status;
        }
    } while (take_character(p, '+'));
    return CKPT_OK;
}

enum ckpt_status topology_override_apply(const struct topology *topology, const char *text,
                                         struct topology_rail_map *map, struct reason reason)
{
    struct parse p = {.topology = topology, .map = map, .at = text, .reason = reason};
    skip_blanks(&p);
    if (*p.at == '\0') {
        return CKPT_OK;
    }
    do {
        enum ckpt_status status = take_rails(&p);
        if (status != CKPT_OK) {
            return status;
        }
    } while (take_character(&p, ','));
    return *p.at == '\0' ? CKPT_OK : refuse_form(&p);
}
