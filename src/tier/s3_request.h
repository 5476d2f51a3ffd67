/* SPDX-License-Identifier: Apache-2.0 */
/* One question to an S3 server and its answer, and what becomes of those that fail. */
#ifndef CKPT_TIER_S3_REQUEST_H
#define CKPT_TIER_S3_REQUEST_H

#include <curl/curl.h>

#include "tier/s3_xml.h"

#define S3_TARGET_SIZE 2048
#define S3_HEADERS_MAX 4
#define S3_HEADER_SIZE 512
#define S3_TRIES 7

struct s3_request {
    const char *method;
    char path[S3_TARGET_SIZE];  /* "/bucket/key", of characters that need no escape */
    char query[S3_TARGET_SIZE]; /* as it is signed: in the order of names, escaped; "" for none */
    char headers[S3_HEADERS_MAX][S3_HEADER_SIZE];
    uint32_t header_count;
    const uint8_t *body; /* stays as it is until the answer */
    size_t body_bytes;
    uint8_t *into; /* where the bytes of an answer of 2xx go; NULL: into the text */
    size_t into_bytes;

    long code; /* of HTTP; 0: there was no answer */
    CURLcode curl;
    size_t into_at;
    char etag[128];
    struct s3_text text; /* of an answer that is not bytes, or says what is wrong */

    uint32_t tries;
    uint64_t due_ms; /* of the next try */
    bool is_busy;    /* from s3_begin() until it is answered for good */
    bool is_sent;    /* a try is under way */
    size_t body_at;
    CURL *easy;
    struct curl_slist *list;
};

/* The server, and its requests in flight. One thread at a time. */
struct s3_server {
    CURLM *multi;
    char base[512];   /* "https://host" */
    char sigv4[128];  /* "aws:amz:region:s3" */
    char login[520];  /* "key:secret"; "" where there is none: requests are not signed */
    char token[4096]; /* of a session; "" for none */
    uint32_t timeout_ms;
    uint32_t depth;
    uint64_t spread;             /* of the jitter */
    struct s3_request *requests; /* depth of them: those of puts */
};

/* False: no memory. To be ended in either case. */
bool s3_server_begin(struct s3_server *server);
void s3_server_end(struct s3_server *server);

/* Clears a request for its next question; what it holds is kept for use again. */
void s3_clear(struct s3_request *request, const char *method);
bool s3_header(struct s3_request *request, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* "x-amz-checksum-crc32c" of the body, as the server computes it from what it gets. */
bool s3_checksum(struct s3_request *request);

/* Begins it, tries it again where that may help, and ends when its answer is final. */
void s3_begin(struct s3_server *server, struct s3_request *request);
void s3_turn(struct s3_server *server, uint32_t wait_ms);
void s3_ask(struct s3_server *server, struct s3_request *request);

/* CKPT_OK for an answer of 2xx, else its class, and a line that says what. */
enum ckpt_status s3_judge(const struct s3_request *request, char *reason_out);

/* Forgets an answer that is not waited for any more. */
void s3_cancel(struct s3_server *server, struct s3_request *request);
void s3_free(struct s3_request *request);

#endif
