/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/s3.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "tier/s3_login.h"
#include "tier/s3_place.h"
#include "tier/s3_write.h"

#define RANGE_BYTES (UINT64_C(8) << 20)

/* "//bucket/prefix" */
static bool read_location(struct s3 *s3, const char *location)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
    if (strncmp(location, "//", 2) != 0) {
        return false;
    }
    const char *bucket = location + 2;
    size_t length = strcspn(bucket, "/");
    const char *prefix = bucket + length + (bucket[length] == '/');
    if (length < 3 || length >= sizeof(s3->bucket) || strspn(bucket, letters) != length ||
        (prefix[0] != '\0' && !name_is_valid(prefix, sizeof(s3->prefix) - 2))) {
        return false;
    }
    snprintf(s3->bucket, sizeof(s3->bucket), "%.*s", (int)length, bucket);
    snprintf(s3->prefix, sizeof(s3->prefix), "%s%s", prefix, prefix[0] != '\0' ? "/" : "");
    return true;
}

static const char *region_of(const struct tier_options *options)
{
    const char *region = options->region;
    region = region != NULL ? region : getenv("AWS_REGION");
    region = region != NULL ? region : getenv("AWS_DEFAULT_REGION");
    return region != NULL && region[0] != '\0' ? region : "us-east-1";
}

static bool read_server(struct s3 *s3)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    const char *region = region_of(&s3->options);
    const char *endpoint = s3->options.endpoint;
    struct s3_server *server = &s3->server;
    if (strspn(region, letters) != strlen(region) || strlen(region) > 63) {
        return false;
    }
    snprintf(server->sigv4, sizeof(server->sigv4), "aws:amz:%s:s3", region);
    if (endpoint == NULL) {
        snprintf(server->base, sizeof(server->base), "https://s3.%s.amazonaws.com", region);
        return true;
    }
    size_t length = strlen(endpoint);
    length -= length > 0 && endpoint[length - 1] == '/';
    snprintf(server->base, sizeof(server->base), "%.*s", (int)length, endpoint);
    return length < sizeof(server->base) && strpbrk(endpoint, "@?# ") == NULL &&
           (strncmp(endpoint, "https://", 8) == 0 || strncmp(endpoint, "http://", 7) == 0);
}

/* Whether the bucket is there and ours to see. */
static enum ckpt_status look(struct s3 *s3, char *reason_out)
{
    s3_question(s3, &s3->request, "GET", NULL);
    s3_query(&s3->request, "list-type", "2");
    s3_query(&s3->request, "max-keys", "1");
    s3_query(&s3->request, "prefix", s3->prefix);
    s3_ask(&s3->server, &s3->request);
    return s3_judge(&s3->request, reason_out);
}

static void s3_close(struct tier_medium *medium)
{
    struct s3 *s3 = (struct s3 *)medium;
    s3_cancel(&s3->server, &s3->request);
    s3_free(&s3->request);
    s3_server_end(&s3->server);
    free(s3);
}

static enum ckpt_status begin(struct s3 *s3, const char *location, char *reason_out)
{
    if (!read_location(s3, location)) {
        return reason_refuse(reason_out, CKPT_ERR_CONFIG,
                             "s3:%.100s is not s3://BUCKET or s3://BUCKET/PREFIX", location);
    }
    if (!read_server(s3)) {
        return reason_refuse(reason_out, CKPT_ERR_CONFIG,
                             "s3: an endpoint is https://HOST:PORT, a region a-z 0-9 -");
    }
    if (!s3_server_begin(&s3->server)) {
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory for a tier");
    }
    enum ckpt_status status = s3_login_find(&s3->server, reason_out);
    if (status == CKPT_OK) {
        status = look(s3, reason_out);
    }
    if (status == CKPT_OK && !s3->options.is_reader) {
        s3_end_left(s3);
    }
    return status;
}

static enum ckpt_status s3_open(const char *location, const struct tier_options *options,
                                struct tier_medium **medium_out, char *reason_out)
{
    struct s3 *s3 = calloc(1, sizeof(*s3));
    if (s3 == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(s3);
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory for a tier");
    }
    s3->medium.backend = &tier_s3;
    s3->options = *options;
    s3->server.depth = options->depth;
    s3->server.timeout_ms = options->timeout_ms;
    enum ckpt_status status = begin(s3, location, reason_out);
    if (status != CKPT_OK) {
        s3_close(&s3->medium);
        return status;
    }
    *medium_out = &s3->medium;
    return CKPT_OK;
}

static enum ckpt_status s3_store(struct tier_medium *medium, const char *name, const char *text,
                                 size_t bytes, bool is_new, char *reason_out)
{
    struct s3 *s3 = (struct s3 *)medium;
    s3_question(s3, &s3->request, "PUT", name);
    s3->request.body = (const uint8_t *)text;
    s3->request.body_bytes = bytes;
    (void)s3_checksum(&s3->request);
    if (is_new) {
        (void)s3_header(&s3->request, "If-None-Match: *");
    }
    s3_ask(&s3->server, &s3->request);
    return s3_judge(&s3->request, reason_out);
}

static enum ckpt_status s3_load(struct tier_medium *medium, const char *name, size_t bytes_max,
                                char **text_out, size_t *bytes_out, char *reason_out)
{
    struct s3 *s3 = (struct s3 *)medium;
    s3_question(s3, &s3->request, "GET", name);
    s3_ask(&s3->server, &s3->request);
    enum ckpt_status status = s3_judge(&s3->request, reason_out);
    const struct s3_text *found = &s3->request.text;
    if (status != CKPT_OK) {
        return status;
    }
    if (found->bytes > bytes_max) {
        return reason_refuse(reason_out, CKPT_ERR_TOO_LARGE,
                             "%s has %zu bytes, at most %zu are expected", name, found->bytes,
                             bytes_max);
    }
    char *text = malloc(found->bytes + 1);
    if (text == NULL) {
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory to read %s", name);
    }
    if (found->bytes > 0) {
        memcpy(text, found->text, found->bytes);
    }
    text[found->bytes] = '\0';
    *text_out = text;
    *bytes_out = found->bytes;
    return CKPT_OK;
}

/* A range's answer: all of it, and that range. */
static enum ckpt_status judge_range(const struct s3_request *request, char *reason_out)
{
    enum ckpt_status status = s3_judge(request, reason_out);
    if (status == CKPT_OK && (request->code != 206 || request->into_at != request->into_bytes)) {
        return reason_refuse(reason_out, CKPT_ERR_CORRUPT,
                             "GET %.100s: %zu bytes came, of %zu that were asked for",
                             request->path, request->into_at, request->into_bytes);
    }
    return status;
}

static enum ckpt_status s3_read(struct tier_medium *medium, const char *name, uint64_t offset,
                                void *into, size_t bytes, char *reason_out)
{
    struct s3 *s3 = (struct s3 *)medium;
    uint8_t *to = into;
    enum ckpt_status status = CKPT_OK;
    while (bytes > 0 && status == CKPT_OK) {
        uint32_t used = 0;
        for (; used < s3->server.depth && bytes > 0; used++) {
            struct s3_request *request = &s3->server.requests[used];
            size_t part = (size_t)(bytes < RANGE_BYTES ? bytes : RANGE_BYTES);
            s3_question(s3, request, "GET", name);
            (void)s3_header(request, "Range: bytes=%" PRIu64 "-%" PRIu64, offset,
                            offset + part - 1);
            request->into = to;
            request->into_bytes = part;
            s3_begin(&s3->server, request);
            to += part;
            offset += part;
            bytes -= part;
        }
        for (uint32_t i = 0; i < used; i++) {
            while (s3->server.requests[i].is_busy) {
                s3_turn(&s3->server, 20);
            }
            if (status == CKPT_OK) {
                status = judge_range(&s3->server.requests[i], reason_out);
            }
        }
    }
    return status;
}

static enum ckpt_status s3_link(struct tier_medium *medium, const char *from, const char *to,
                                char *reason_out)
{
    struct s3 *s3 = (struct s3 *)medium;
    s3_question(s3, &s3->request, "PUT", to);
    (void)s3_header(&s3->request, "x-amz-copy-source: /%s/%s%s", s3->bucket, s3->prefix, from);
    s3_ask(&s3->server, &s3->request);
    return s3_judge(&s3->request, reason_out);
}

static enum ckpt_status s3_remove(struct tier_medium *medium, const char *name, bool is_durable,
                                  char *reason_out)
{
    struct s3 *s3 = (struct s3 *)medium;
    (void)is_durable;
    s3_question(s3, &s3->request, "DELETE", name);
    s3_ask(&s3->server, &s3->request);
    enum ckpt_status status = s3_judge(&s3->request, reason_out);
    return status == CKPT_ERR_NOT_FOUND ? CKPT_OK : status;
}

static enum ckpt_status s3_remove_folder(struct tier_medium *medium, const char *folder,
                                         char *reason_out)
{
    (void)medium; /* a folder is where files are */
    (void)folder;
    (void)reason_out;
    return CKPT_OK;
}

const struct tier_backend tier_s3 = {
    .scheme = "s3",
    .open = s3_open,
    .close = s3_close,
    .begin = s3_begin_file,
    .append = s3_append,
    .end = s3_end_file,
    .discard = s3_discard,
    .store = s3_store,
    .load = s3_load,
    .read = s3_read,
    .list = s3_list,
    .link = s3_link,
    .remove = s3_remove,
    .remove_folder = s3_remove_folder,
};
