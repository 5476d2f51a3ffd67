/* SPDX-License-Identifier: Apache-2.0 */
/* A file of one part is put at once. A larger one is a multipart upload: several parts under way,
 * each with a checksum that the server computes too, and the file is there when all are joined.
 * What is kept is sent from where it lies; the rest is gathered into parts first. */
#include "tier/s3_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault_point.h"
#include "base/reason.h"
#include "tier/name.h"
#include "tier/s3_place.h"

/* S3 takes 10,000 parts of at least 5 MiB. */
#define PART_BYTES (UINT64_C(8) << 20)
#define PARTS_MAX UINT64_C(10000)

/* What joins a part to its file. */
struct part {
    char etag[128];
    char sum[16];
};

/* A part that is being gathered, or is under way by the request of its number. */
struct load {
    const uint8_t *at;
    size_t bytes;
    uint8_t *own;    /* part_bytes of the writer's; NULL until they are needed */
    uint32_t number; /* from 1; 0: none */
};

struct s3_writer {
    struct tier_writer writer;
    struct tier_name name;
    char upload[1024]; /* its id; "" while none is begun */
    size_t part_bytes;
    struct load *loads; /* depth + 1: the last one is gathered */
    struct part *parts;
    uint32_t count; /* of parts given to requests */
    uint32_t room;
};

static struct s3 *s3_of(const struct s3_writer *writer)
{
    return (struct s3 *)writer->writer.medium;
}

static struct load *gathered(struct s3_writer *writer)
{
    return &writer->loads[s3_of(writer)->server.depth];
}

static enum ckpt_status no_memory(char *reason_out)
{
    return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory to write to the bucket");
}

static void free_writer(struct s3_writer *writer)
{
    for (uint32_t i = 0; writer->loads != NULL && i <= s3_of(writer)->server.depth; i++) {
        free(writer->loads[i].own);
    }
    free(writer->loads);
    free(writer->parts);
    free(writer);
}

enum ckpt_status s3_begin_file(struct tier_medium *medium, const char *name, uint64_t bytes,
                               struct tier_writer **writer_out, char *reason_out)
{
    struct s3 *s3 = (struct s3 *)medium;
    struct tier_name none = {""};
    struct s3_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL) {
        return no_memory(reason_out);
    }
    writer->writer.medium = medium;
    writer->name = tier_name_in(&none, name);
    writer->part_bytes = PART_BYTES;
    while (bytes / writer->part_bytes >= PARTS_MAX / 2) {
        writer->part_bytes *= 2;
    }
    writer->loads = calloc(s3->server.depth + 1, sizeof(*writer->loads));
    if (writer->loads == NULL) {
        free_writer(writer);
        return no_memory(reason_out);
    }
    *writer_out = &writer->writer;
    return CKPT_OK;
}

static enum ckpt_status begin_upload(struct s3_writer *writer, char *reason_out)
{
    struct s3 *s3 = s3_of(writer);
    s3_question(s3, &s3->request, "POST", writer->name.text);
    s3_query(&s3->request, "uploads", NULL);
    (void)s3_header(&s3->request, "x-amz-checksum-algorithm: CRC32C");
    s3_ask(&s3->server, &s3->request);
    enum ckpt_status status = s3_judge(&s3->request, reason_out);
    if (status == CKPT_OK) {
        s3_text_field(&s3->request.text, "UploadId", writer->upload, sizeof(writer->upload));
        if (writer->upload[0] == '\0') {
            status = reason_refuse(reason_out, CKPT_ERR_DISK, "POST %.100s: no UploadId came",
                                   s3->request.path);
        }
    }
    return status;
}

/* A part's answer is final: keeps what joins it. */
static enum ckpt_status take_part(struct s3_writer *writer, struct load *load,
                                  struct s3_request *request, char *reason_out)
{
    enum ckpt_status status = s3_judge(request, reason_out);
    struct part *part = &writer->parts[load->number - 1];
    load->number = 0;
    if (status == CKPT_OK && (request->etag[0] == '\0' || strpbrk(request->etag, "<>&") != NULL)) {
        status =
            reason_refuse(reason_out, CKPT_ERR_DISK, "PUT %.100s: no ETag came", request->path);
    }
    snprintf(part->etag, sizeof(part->etag), "%s", request->etag);
    return status;
}

/* A request whose part is answered, or that had none; waits for one. */
static enum ckpt_status free_load(struct s3_writer *writer, uint32_t *index_out, char *reason_out)
{
    struct s3_server *server = &s3_of(writer)->server;
    for (;;) {
        for (uint32_t i = 0; i < server->depth; i++) {
            if (!server->requests[i].is_busy) {
                *index_out = i;
                return writer->loads[i].number == 0
                           ? CKPT_OK
                           : take_part(writer, &writer->loads[i], &server->requests[i], reason_out);
            }
        }
        s3_turn(server, 20);
    }
}

static bool grow_parts(struct s3_writer *writer)
{
    if (writer->count < writer->room) {
        return true;
    }
    uint32_t room = writer->room > 0 ? 2 * writer->room : 64;
    struct part *grown = realloc(writer->parts, room * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    writer->parts = grown;
    writer->room = room;
    return true;
}

/* The gathered part goes. */
static enum ckpt_status send_part(struct s3_writer *writer, char *reason_out)
{
    struct s3 *s3 = s3_of(writer);
    struct load *load = gathered(writer);
    uint32_t slot;
    char number[16];
    enum ckpt_status status = CKPT_OK;
    if (writer->upload[0] == '\0') {
        status = begin_upload(writer, reason_out);
    }
    if (status == CKPT_OK) {
        status = free_load(writer, &slot, reason_out);
    }
    if (status != CKPT_OK) {
        return status;
    }
    if (!grow_parts(writer)) {
        return no_memory(reason_out);
    }
    struct s3_request *request = &s3->server.requests[slot];
    uint8_t *spare = writer->loads[slot].own;
    writer->loads[slot] = *load;
    writer->loads[slot].number = ++writer->count;
    *load = (struct load){.own = spare};
    snprintf(number, sizeof(number), "%u", (unsigned)writer->count);
    s3_question(s3, request, "PUT", writer->name.text);
    s3_query(request, "partNumber", number);
    s3_query(request, "uploadId", writer->upload);
    request->body = writer->loads[slot].at;
    request->body_bytes = writer->loads[slot].bytes;
    (void)s3_checksum(request);
    snprintf(writer->parts[writer->count - 1].sum, sizeof(writer->parts[0].sum), "%s",
             strchr(request->headers[0], ' ') + 1);
    s3_begin(&s3->server, request);
    s3_turn(&s3->server, 0);
    return CKPT_OK;
}

/* Takes bytes into the part that is gathered: by their address where they stay, side by side. */
static bool gather(struct s3_writer *writer, const uint8_t *data, size_t bytes, bool is_kept)
{
    struct load *load = gathered(writer);
    bool is_own = load->at == load->own && load->own != NULL;
    if (is_kept && !(is_own && load->bytes > 0) &&
        (load->bytes == 0 || load->at + load->bytes == data)) {
        load->at = load->bytes == 0 ? data : load->at;
        load->bytes += bytes;
        return true;
    }
    if (load->own == NULL && (load->own = malloc(writer->part_bytes)) == NULL) {
        return false;
    }
    if (load->at != load->own) {
        if (load->bytes > 0) {
            memcpy(load->own, load->at, load->bytes);
        }
        load->at = load->own;
    }
    memcpy(load->own + load->bytes, data, bytes);
    load->bytes += bytes;
    return true;
}

enum ckpt_status s3_append(struct tier_writer *on, const void *data, size_t bytes, bool is_kept,
                           char *reason_out)
{
    struct s3_writer *writer = (struct s3_writer *)on;
    const uint8_t *at = data;
    while (bytes > 0) {
        if (gathered(writer)->bytes == writer->part_bytes) {
            enum ckpt_status status = send_part(writer, reason_out);
            if (status != CKPT_OK) {
                return status;
            }
        }
        size_t room = writer->part_bytes - gathered(writer)->bytes;
        size_t part = bytes < room ? bytes : room;
        if (!gather(writer, at, part, is_kept)) {
            return no_memory(reason_out);
        }
        at += part;
        bytes -= part;
    }
    s3_turn(&s3_of(writer)->server, 0);
    return CKPT_OK;
}

static enum ckpt_status put_at_once(struct s3_writer *writer, char *reason_out)
{
    struct s3 *s3 = s3_of(writer);
    s3_question(s3, &s3->request, "PUT", writer->name.text);
    s3->request.body = gathered(writer)->at;
    s3->request.body_bytes = gathered(writer)->bytes;
    (void)s3_checksum(&s3->request);
    FAULT_POINT(tier_before_name);
    s3_ask(&s3->server, &s3->request);
    return s3_judge(&s3->request, reason_out);
}

static enum ckpt_status wait_for_parts(struct s3_writer *writer, char *reason_out)
{
    struct s3_server *server = &s3_of(writer)->server;
    enum ckpt_status status = CKPT_OK;
    for (uint32_t i = 0; i < server->depth && status == CKPT_OK; i++) {
        while (server->requests[i].is_busy) {
            s3_turn(server, 20);
        }
        if (writer->loads[i].number != 0) {
            status = take_part(writer, &writer->loads[i], &server->requests[i], reason_out);
        }
    }
    return status;
}

static enum ckpt_status join(struct s3_writer *writer, char *reason_out)
{
    struct s3 *s3 = s3_of(writer);
    size_t size = 128 + (size_t)writer->count * 320;
    char *text = malloc(size);
    if (text == NULL) {
        return no_memory(reason_out);
    }
    size_t at = (size_t)snprintf(text, size, "<CompleteMultipartUpload>");
    for (uint32_t i = 0; i < writer->count; i++) {
        at += (size_t)snprintf(text + at, size - at,
                               "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag>"
                               "<ChecksumCRC32C>%s</ChecksumCRC32C></Part>",
                               (unsigned)i + 1, writer->parts[i].etag, writer->parts[i].sum);
    }
    at += (size_t)snprintf(text + at, size - at, "</CompleteMultipartUpload>");
    s3_question(s3, &s3->request, "POST", writer->name.text);
    s3_query(&s3->request, "uploadId", writer->upload);
    s3->request.body = (const uint8_t *)text;
    s3->request.body_bytes = at;
    FAULT_POINT(tier_before_name);
    s3_ask(&s3->server, &s3->request);
    free(text);
    return s3_judge(&s3->request, reason_out);
}

/* Nothing of it stays in the bucket; what cannot be ended now a later start ends. */
static void abort_upload(struct s3_writer *writer)
{
    struct s3 *s3 = s3_of(writer);
    for (uint32_t i = 0; i < s3->server.depth; i++) {
        s3_cancel(&s3->server, &s3->server.requests[i]);
    }
    if (writer->upload[0] != '\0') {
        s3_question(s3, &s3->request, "DELETE", writer->name.text);
        s3_query(&s3->request, "uploadId", writer->upload);
        s3_ask(&s3->server, &s3->request);
    }
}

enum ckpt_status s3_end_file(struct tier_writer *on, char *reason_out)
{
    struct s3_writer *writer = (struct s3_writer *)on;
    enum ckpt_status status;
    if (writer->upload[0] == '\0') {
        status = put_at_once(writer, reason_out);
    } else {
        status = send_part(writer, reason_out);
        if (status == CKPT_OK) {
            status = wait_for_parts(writer, reason_out);
        }
        if (status == CKPT_OK) {
            status = join(writer, reason_out);
        }
    }
    if (status != CKPT_OK) {
        abort_upload(writer);
    }
    free_writer(writer);
    return status;
}

void s3_discard(struct tier_writer *on)
{
    struct s3_writer *writer = (struct s3_writer *)on;
    abort_upload(writer);
    free_writer(writer);
}
