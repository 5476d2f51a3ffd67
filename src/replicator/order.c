/* SPDX-License-Identifier: Apache-2.0 */
#include "order.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/ids.h"
#include "base/reason.h"

#define NODES_MAX 65536

static enum ckpt_status wrong(char *reason, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static enum ckpt_status wrong(char *reason, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t used = (size_t)snprintf(reason, CKPT_REASON_MAX + 1, "%s: ", ORDER_FILE);
    vsnprintf(reason + used, CKPT_REASON_MAX + 1 - used, format, arguments);
    va_end(arguments);
    return CKPT_ERR_CONFIG;
}

/* The value of a key of the document's mapping; NULL: not there, or twice. */
static const yaml_node_t *find(yaml_document_t *document, const char *key, char *reason)
{
    const yaml_node_t *found = NULL;
    const yaml_node_t *root = yaml_document_get_root_node(document);
    for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
         pair < root->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(document, pair->key);
        if (name->type != YAML_SCALAR_NODE ||
            strcmp((const char *)name->data.scalar.value, key) != 0) {
            continue;
        }
        if (found != NULL) {
            (void)wrong(reason, "%s is there twice", key);
            return NULL;
        }
        found = yaml_document_get_node(document, pair->value);
    }
    if (found == NULL) {
        (void)wrong(reason, "%s is missing", key);
    }
    return found;
}

/* A scalar's text; NULL, with a reason, for anything else. */
static const char *find_text(yaml_document_t *document, const char *key, char *reason)
{
    const yaml_node_t *node = find(document, key, reason);
    if (node != NULL && node->type != YAML_SCALAR_NODE) {
        (void)wrong(reason, "%s is no single value", key);
        node = NULL;
    }
    return node == NULL ? NULL : (const char *)node->data.scalar.value;
}

static bool to_number(const char *text, uint32_t most, uint32_t *number_out)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number > most) {
        return false;
    }
    *number_out = (uint32_t)number;
    return true;
}

static bool find_number(yaml_document_t *document, const char *key, uint32_t most,
                        uint32_t *number_out, char *reason)
{
    const char *text = find_text(document, key, reason);
    if (text != NULL && !to_number(text, most, number_out)) {
        (void)wrong(reason, "%s: %.40s is no number up to %u", key, text, most);
        text = NULL;
    }
    return text != NULL;
}

static enum ckpt_status take_peers(yaml_document_t *document, struct order *order, char *reason)
{
    const yaml_node_t *list = find(document, "peer-ranks", reason);
    if (list == NULL) {
        return CKPT_ERR_CONFIG;
    }
    if (list->type != YAML_SEQUENCE_NODE) {
        return wrong(reason, "peer-ranks is no list");
    }
    for (const yaml_node_item_t *item = list->data.sequence.items.start;
         item < list->data.sequence.items.top; item++) {
        const yaml_node_t *node = yaml_document_get_node(document, *item);
        uint32_t rank;
        if (node->type != YAML_SCALAR_NODE ||
            !to_number((const char *)node->data.scalar.value, order->nodes - 1, &rank) ||
            rank == order->node) {
            return wrong(reason, "peer-ranks names what is no other node");
        }
        order->peers++;
    }
    return CKPT_OK;
}

static bool is_there(yaml_document_t *document, const char *key)
{
    char unused[CKPT_REASON_MAX + 1];
    return find(document, key, unused) != NULL;
}

static enum ckpt_status take(yaml_document_t *document, struct order *order, char *reason)
{
    const char *framework = find_text(document, "framework", reason);
    const char *job = framework == NULL ? NULL : find_text(document, "job-name", reason);
    if (job == NULL || !find_number(document, "nodes", NODES_MAX, &order->nodes, reason) ||
        !find_number(document, "node-rank", NODES_MAX, &order->node, reason)) {
        return CKPT_ERR_CONFIG;
    }
    if (strcmp(framework, "orbax") != 0) {
        return wrong(reason, "framework %.40s: orbax is served", framework);
    }
    if (order->node >= order->nodes) {
        return wrong(reason, "node-rank %u of %u nodes", order->node, order->nodes);
    }
    if (is_there(document, "backup-interval-minutes") ==
        is_there(document, "backup-interval-steps")) {
        return wrong(reason, "exactly one of backup-interval-minutes and -steps is wanted");
    }
    if (!name_is_valid(job, CKPT_RUN_NAME_MAX)) {
        (void)wrong(reason, "job-name: at most %u of A-Z a-z 0-9 . _ / - are a run's name",
                    (unsigned)CKPT_RUN_NAME_MAX);
        return CKPT_ERR_NAME;
    }
    snprintf(order->job, sizeof order->job, "%s", job);
    return take_peers(document, order, reason);
}

enum ckpt_status order_parse(const char *text, size_t bytes, struct order *order_out, char *reason)
{
    struct order order = {.peers = 0};
    yaml_parser_t parser;
    yaml_document_t document;
    if (yaml_parser_initialize(&parser) == 0) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "no memory to read %s", ORDER_FILE);
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, bytes);
    enum ckpt_status status = CKPT_OK;
    if (yaml_parser_load(&parser, &document) == 0) {
        status = wrong(reason, "line %zu: %s", parser.problem_mark.line + 1,
                       parser.problem != NULL ? parser.problem : "no YAML");
        yaml_parser_delete(&parser);
        return status;
    }
    const yaml_node_t *root = yaml_document_get_root_node(&document);
    status = root == NULL || root->type != YAML_MAPPING_NODE
                 ? wrong(reason, "there are no keys in it")
                 : take(&document, &order, reason);
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    if (status == CKPT_OK) {
        *order_out = order;
    }
    return status;
}
