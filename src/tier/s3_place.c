/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/s3_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/reason.h"

void s3_question(const struct s3 *s3, struct s3_request *request, const char *method,
                 const char *name)
{
    s3_clear(request, method);
    snprintf(request->path, sizeof(request->path), "/%s%s%s%s", s3->bucket, name != NULL ? "/" : "",
             name != NULL ? s3->prefix : "", name != NULL ? name : "");
}

void s3_query(struct s3_request *request, const char *name, const char *value)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    char *query = request->query;
    size_t at = strlen(query);
    size_t room = sizeof(request->query);
    at += (size_t)snprintf(query + at, room - at, "%s%s=", at > 0 ? "&" : "", name);
    for (const char *c = value != NULL ? value : ""; *c != '\0' && at + 4 < room; c++) {
        at += (size_t)snprintf(query + at, room - at, strchr(plain, *c) != NULL ? "%c" : "%%%02X",
                               (unsigned char)*c);
    }
}

/* One page of a list, and what it goes on with. */
struct page {
    const char *before; /* what keys begin with */
    tier_thing_visit *visit;
    void *context;
    uint64_t count;
    bool is_ended;
};

static void show(struct page *page, const char *key, enum tier_thing thing, const char *bytes)
{
    char name[S3_VALUE_SIZE];
    size_t before = strlen(page->before);
    if (page->is_ended || strncmp(key, page->before, before) != 0 || key[before] == '\0') {
        return; /* not asked for, or the folder itself, as some tools make one */
    }
    snprintf(name, sizeof(name), "%s", key + before);
    size_t length = strlen(name);
    if (thing == TIER_FOLDER && name[length - 1] == '/') {
        name[length - 1] = '\0';
    }
    page->count++;
    page->is_ended = !page->visit(page->context, name, thing, strtoull(bytes, NULL, 10));
}

static void show_file(void *context, const struct s3_item *item)
{
    show(context, item->values[0], TIER_FILE, item->values[1]);
}

static void show_folder(void *context, const struct s3_item *item)
{
    show(context, item->values[0], TIER_FOLDER, "0");
}

static enum ckpt_status list_page(struct s3 *s3, struct page *page, char token[S3_VALUE_SIZE],
                                  char *reason_out)
{
    static const char *const file[S3_FIELDS] = {"Key", "Size"};
    static const char *const folder[S3_FIELDS] = {"Prefix"};
    struct s3_request *request = &s3->request;
    s3_question(s3, request, "GET", NULL);
    if (token[0] != '\0') {
        s3_query(request, "continuation-token", token);
    }
    s3_query(request, "delimiter", "/");
    s3_query(request, "list-type", "2");
    s3_query(request, "prefix", page->before);
    s3_ask(&s3->server, request);
    enum ckpt_status status = s3_judge(request, reason_out);
    if (status != CKPT_OK) {
        return status;
    }
    if (!s3_text_items(&request->text, "CommonPrefixes", folder, show_folder, page) ||
        !s3_text_items(&request->text, "Contents", file, show_file, page)) {
        return reason_refuse(reason_out, CKPT_ERR_DISK, "GET %.100s: the list is no XML",
                             request->path);
    }
    s3_text_field(&request->text, "NextContinuationToken", token, S3_VALUE_SIZE);
    return CKPT_OK;
}

enum ckpt_status s3_list(struct tier_medium *medium, const char *folder, tier_thing_visit *visit,
                         void *context, char *reason_out)
{
    struct s3 *s3 = (struct s3 *)medium;
    char before[1024];
    char token[S3_VALUE_SIZE] = "";
    struct page page = {.before = before, .visit = visit, .context = context};
    enum ckpt_status status;
    snprintf(before, sizeof(before), "%s%s%s", s3->prefix, folder, folder[0] != '\0' ? "/" : "");
    do {
        status = list_page(s3, &page, token, reason_out);
    } while (status == CKPT_OK && token[0] != '\0' && !page.is_ended);
    if (status == CKPT_OK && page.count == 0 && folder[0] != '\0') {
        return reason_refuse(reason_out, CKPT_ERR_NOT_FOUND, "%s is not there", folder);
    }
    return status;
}

/* Uploads that a list has named. */
struct left {
    const struct s3 *s3;
    uint64_t before_ms;
    struct s3_item items[100]; /* the rest is for the next start */
    size_t count;
};

static void keep_left(void *context, const struct s3_item *item)
{
    struct left *left = context;
    struct tm when = {0};
    const char *end = strptime(item->values[2], "%Y-%m-%dT%H:%M:%S", &when);
    if (end == NULL || left->count == sizeof(left->items) / sizeof(left->items[0]) ||
        strncmp(item->values[0], left->s3->prefix, strlen(left->s3->prefix)) != 0) {
        return;
    }
    if ((uint64_t)timegm(&when) * 1000 <= left->before_ms) {
        left->items[left->count++] = *item;
    }
}

void s3_end_left(struct s3 *s3)
{
    static const char *const names[S3_FIELDS] = {"Key", "UploadId", "Initiated"};
    struct s3_request *request = &s3->request;
    struct left *left = calloc(1, sizeof(*left));
    if (left == NULL) {
        return;
    }
    left->s3 = s3;
    left->before_ms = clock_wall_ms() - s3->options.stale_ms;
    s3_question(s3, request, "GET", NULL);
    s3_query(request, "prefix", s3->prefix);
    s3_query(request, "uploads", NULL);
    s3_ask(&s3->server, request);
    if (s3_judge(request, NULL) == CKPT_OK) {
        (void)s3_text_items(&request->text, "Upload", names, keep_left, left);
    }
    for (size_t i = 0; i < left->count; i++) {
        s3_question(s3, request, "DELETE", left->items[i].values[0] + strlen(s3->prefix));
        s3_query(request, "uploadId", left->items[i].values[1]);
        s3_ask(&s3->server, request);
    }
    free(left);
}
