/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/s3_request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/prng.h"
#include "base/reason.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_LAST_MS 10000
#define EXPECT_MS 200L             /* a server that does not answer to Expect gets the body then */
#define SLOW_BYTES_PER_SECOND 1024 /* slower than that for timeout_ms is silence */

bool s3_server_begin(struct s3_server *server)
{
    server->spread = clock_now_ns() ^ (uint64_t)(uintptr_t)server;
    server->multi = curl_multi_init();
    server->requests = calloc(server->depth, sizeof(*server->requests));
    return server->multi != NULL && server->requests != NULL;
}

void s3_server_end(struct s3_server *server)
{
    for (uint32_t i = 0; server->requests != NULL && i < server->depth; i++) {
        s3_cancel(server, &server->requests[i]);
        s3_free(&server->requests[i]);
    }
    free(server->requests);
    if (server->multi != NULL) {
        curl_multi_cleanup(server->multi);
    }
    explicit_bzero(server->login, sizeof(server->login));
    explicit_bzero(server->token, sizeof(server->token));
}

void s3_clear(struct s3_request *request, const char *method)
{
    struct s3_text text = request->text;
    struct curl_slist *list = request->list;
    CURL *easy = request->easy;
    memset(request, 0, sizeof(*request));
    request->method = method;
    request->easy = easy;
    request->list = list;
    request->text = text;
    request->text.bytes = 0;
}

void s3_free(struct s3_request *request)
{
    curl_slist_free_all(request->list);
    if (request->easy != NULL) {
        curl_easy_cleanup(request->easy);
    }
    free(request->text.text);
    memset(request, 0, sizeof(*request));
}

bool s3_header(struct s3_request *request, const char *format, ...)
{
    va_list arguments;
    if (request->header_count == S3_HEADERS_MAX) {
        return false;
    }
    va_start(arguments, format);
    int length =
        vsnprintf(request->headers[request->header_count], S3_HEADER_SIZE, format, arguments);
    va_end(arguments);
    request->header_count++;
    return length < S3_HEADER_SIZE;
}

static void base64_of_4(const uint8_t bytes[4], char text_out[9])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t high = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
    uint32_t low = (uint32_t)bytes[3] << 16;
    snprintf(text_out, 9, "%c%c%c%c%c%c==", digits[high >> 18], digits[high >> 12 & 63],
             digits[high >> 6 & 63], digits[high & 63], digits[low >> 18], digits[low >> 12 & 63]);
}

bool s3_checksum(struct s3_request *request)
{
    char text[9];
    uint32_t sum = crc32c(0, request->body, request->body_bytes);
    const uint8_t bytes[4] = {(uint8_t)(sum >> 24), (uint8_t)(sum >> 16), (uint8_t)(sum >> 8),
                              (uint8_t)sum};
    base64_of_4(bytes, text);
    return s3_header(request, "x-amz-checksum-crc32c: %s", text);
}

static size_t send_body(char *buffer, size_t size, size_t count, void *context)
{
    struct s3_request *request = context;
    size_t left = request->body_bytes - request->body_at;
    size_t bytes = size * count < left ? size * count : left;
    memcpy(buffer, request->body + request->body_at, bytes);
    request->body_at += bytes;
    return bytes;
}

static int rewind_body(void *context, curl_off_t offset, int origin)
{
    struct s3_request *request = context;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > request->body_bytes) {
        return CURL_SEEKFUNC_FAIL;
    }
    request->body_at = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct s3_request *request = context;
    size_t bytes = size * count;
    long code = 0;
    (void)curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &code);
    if (request->into == NULL || code < 200 || code > 299) {
        return s3_text_add(&request->text, data, bytes) ? bytes : 0;
    }
    if (bytes > request->into_bytes - request->into_at) {
        return 0; /* more than was asked for */
    }
    memcpy(request->into + request->into_at, data, bytes);
    request->into_at += bytes;
    return bytes;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    static const char etag[] = "etag:";
    struct s3_request *request = context;
    size_t bytes = size * count;
    if (bytes > sizeof(etag) && strncasecmp(data, etag, sizeof(etag) - 1) == 0) {
        size_t at = sizeof(etag) - 1 + (data[sizeof(etag) - 1] == ' ');
        snprintf(request->etag, sizeof(request->etag), "%.*s", (int)strcspn(data + at, "\r\n"),
                 data + at);
    }
    return bytes;
}

static bool add_header(struct s3_request *request, const char *text)
{
    struct curl_slist *list = curl_slist_append(request->list, text);
    if (list != NULL) {
        request->list = list;
    }
    return list != NULL;
}

/* No "Expect:" to keep curl from sending one: 7.88 signs what it was told to leave out. */
static bool set_headers(const struct s3_server *server, struct s3_request *request)
{
    char line[sizeof(server->token) + 64];
    curl_slist_free_all(request->list);
    request->list = NULL;
    bool added = add_header(request, "x-amz-content-sha256: UNSIGNED-PAYLOAD");
    for (uint32_t i = 0; i < request->header_count; i++) {
        added = added && add_header(request, request->headers[i]);
    }
    if (server->token[0] != '\0') {
        snprintf(line, sizeof(line), "x-amz-security-token: %s", server->token);
        added = added && add_header(request, line);
        explicit_bzero(line, sizeof(line));
    }
    return added;
}

static void set_body(struct s3_request *request)
{
    CURL *easy = request->easy;
    if (strcmp(request->method, "PUT") == 0 || strcmp(request->method, "POST") == 0) {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_bytes);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, send_body);
        curl_easy_setopt(easy, CURLOPT_READDATA, request);
        curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, rewind_body);
        curl_easy_setopt(easy, CURLOPT_SEEKDATA, request);
        curl_easy_setopt(easy, CURLOPT_EXPECT_100_TIMEOUT_MS, EXPECT_MS);
    }
    if (strcmp(request->method, "GET") != 0) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

static bool set_up(const struct s3_server *server, struct s3_request *request)
{
    char url[sizeof(server->base) + 2 * S3_TARGET_SIZE + 2];
    if (request->easy == NULL) {
        request->easy = curl_easy_init();
    }
    if (request->easy == NULL || !set_headers(server, request)) {
        return false;
    }
    CURL *easy = request->easy;
    curl_easy_reset(easy);
    snprintf(url, sizeof(url), "%s%s%s%s", server->base, request->path,
             request->query[0] != '\0' ? "?" : "", request->query);
    set_body(request);
    if (server->login[0] != '\0') {
        curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, server->sigv4);
        curl_easy_setopt(easy, CURLOPT_USERPWD, server->login);
    }
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->list);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)server->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES_PER_SECOND);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(server->timeout_ms + 999) / 1000);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "ckptd/" CKPT_VERSION);
    return true;
}

static void send_now(struct s3_server *server, struct s3_request *request)
{
    request->tries++;
    request->code = 0;
    request->curl = CURLE_OUT_OF_MEMORY;
    request->text.bytes = 0;
    request->into_at = 0;
    request->body_at = 0;
    request->etag[0] = '\0';
    request->is_sent =
        set_up(server, request) && curl_multi_add_handle(server->multi, request->easy) == CURLM_OK;
    request->is_busy = request->is_sent;
}

void s3_begin(struct s3_server *server, struct s3_request *request)
{
    request->tries = 0;
    send_now(server, request);
}

/* Whether an answer of 200 says all the same that something failed, as that to a copy may. A file
 * of ours may look like that too. */
static bool is_error(const struct s3_request *request)
{
    return strcmp(request->method, "GET") != 0 && s3_text_is_error(&request->text);
}

/* Whether the same question may have another answer soon. */
static bool is_passing(const struct s3_request *request)
{
    char code[32];
    switch (request->code) {
    case 0:
        return request->curl != CURLE_OUT_OF_MEMORY && request->curl != CURLE_URL_MALFORMAT &&
               request->curl != CURLE_UNSUPPORTED_PROTOCOL &&
               request->curl != CURLE_PEER_FAILED_VERIFICATION;
    case 400:
        /* The checksum of what came, not of what we have. */
        s3_text_field(&request->text, "Code", code, sizeof(code));
        return strcmp(code, "BadDigest") == 0;
    case 408:
    case 409: /* of two that write one name at once */
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return true;
    default:
        /* An answer that broke off, or one of 200 that is none. */
        return request->curl != CURLE_OK || is_error(request);
    }
}

static void answer(struct s3_server *server, struct s3_request *request, CURLcode curl)
{
    (void)curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &request->code);
    (void)curl_multi_remove_handle(server->multi, request->easy);
    request->curl = curl;
    request->is_sent = false;
    if (request->tries >= S3_TRIES || !is_passing(request)) {
        request->is_busy = false;
        return;
    }
    uint64_t most_ms = BACKOFF_FIRST_MS << request->tries;
    struct prng prng;
    prng_seed(&prng, server->spread++);
    most_ms = most_ms < BACKOFF_LAST_MS ? most_ms : BACKOFF_LAST_MS;
    request->due_ms = clock_now_ms() + most_ms / 2 + prng_below(&prng, most_ms / 2 + 1);
}

static void take_answers(struct s3_server *server)
{
    int left;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(server->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            char *request = NULL;
            CURLcode curl = message->data.result;
            (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
            answer(server, (struct s3_request *)(void *)request, curl);
        }
    }
}

static void try_again(struct s3_server *server, struct s3_request *request, uint64_t now_ms)
{
    if (request->is_busy && !request->is_sent && now_ms >= request->due_ms) {
        send_now(server, request);
    }
}

void s3_turn(struct s3_server *server, uint32_t wait_ms)
{
    int running;
    (void)curl_multi_perform(server->multi, &running);
    take_answers(server);
    for (uint32_t i = 0; i < server->depth; i++) {
        try_again(server, &server->requests[i], clock_now_ms());
    }
    (void)curl_multi_poll(server->multi, NULL, 0, (int)wait_ms, NULL);
    (void)curl_multi_perform(server->multi, &running);
    take_answers(server);
}

void s3_ask(struct s3_server *server, struct s3_request *request)
{
    s3_begin(server, request);
    while (request->is_busy) {
        s3_turn(server, 20);
        try_again(server, request, clock_now_ms());
    }
}

void s3_cancel(struct s3_server *server, struct s3_request *request)
{
    if (request->is_sent) {
        (void)curl_multi_remove_handle(server->multi, request->easy);
    }
    request->is_sent = false;
    request->is_busy = false;
}

static enum ckpt_status class_of(const struct s3_request *request, const char *code)
{
    if (strstr(code, "Quota") != NULL || strcmp(code, "EntityTooLarge") == 0 ||
        strcmp(code, "XMinioStorageFull") == 0 || request->code == 507) {
        return CKPT_ERR_FULL;
    }
    switch (request->code) {
    case 401:
    case 403:
        return CKPT_ERR_DENIED;
    case 404:
        return CKPT_ERR_NOT_FOUND;
    case 408:
    case 504:
        return CKPT_ERR_TIMEOUT;
    case 412:
        return CKPT_ERR_STALE;
    case 416:
        return CKPT_ERR_CORRUPT;
    case 429:
    case 503:
        return CKPT_ERR_THROTTLED;
    default:
        return CKPT_ERR_DISK;
    }
}

enum ckpt_status s3_judge(const struct s3_request *request, char *reason_out)
{
    char code[64];
    char message[96];
    if (request->code == 0 || request->curl != CURLE_OK) {
        enum ckpt_status status = request->curl == CURLE_OPERATION_TIMEDOUT ? CKPT_ERR_TIMEOUT
                                  : request->curl == CURLE_OUT_OF_MEMORY    ? CKPT_ERR_MEMORY
                                                                            : CKPT_ERR_LINK;
        return reason_refuse(reason_out, status, "%s %.100s: %s", request->method, request->path,
                             curl_easy_strerror(request->curl));
    }
    if (request->code >= 200 && request->code <= 299 && !is_error(request)) {
        return CKPT_OK;
    }
    s3_text_field(&request->text, "Code", code, sizeof(code));
    s3_text_field(&request->text, "Message", message, sizeof(message));
    return reason_refuse(reason_out, class_of(request, code), "%s %.100s: HTTP %ld %s%s%s",
                         request->method, request->path, request->code, code,
                         message[0] != '\0' ? ": " : "", message);
}
