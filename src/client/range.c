/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a shard is read: the agent proves the chunks that it touches, and lends the memory.
 *
 * Where a tensor lies is in the shard's header, which is read in the same way, and its index kept.
 * A kept index counts for what is lent only when that is the same shard by start and digest, and
 * what it does not have is looked for in the shard as it is now. */
#include <string.h>

#include <ckpt/ckpt.h>

#include "base/reason.h"
#include "client/indexes.h"
#include "client/load.h"
#include "client/loan.h"

/* How often a shard may turn out to be another one while it is read. */
#define TURNS_MAX 3

struct reading {
    uint64_t step;
    uint32_t rank;
    const char *tensor; /* NULL: the file itself */
    uint64_t offset;
    uint64_t bytes;
    uint8_t *buffer;
    struct deadline deadline;
    struct ckpt_range *range_out; /* these two may be NULL */
    struct ckpt_shard *whole_out;
};

static enum ckpt_status lend(struct ckpt *ckpt, const struct reading *reading, uint64_t step,
                             uint64_t offset, uint64_t bytes, struct client_loan *loan_out)
{
    struct message_load_ask asked = {
        .step = step,
        .rank = reading->rank,
        .asking_rank = ckpt->rank,
        .attempt = ckpt->attempt,
        .world = ckpt->world,
        .load = CLIENT_FETCH_BASE | ++ckpt->fetches,
        .range_offset = offset,
        .range_bytes = bytes,
    };
    return client_loan_take(ckpt, &asked, reading->deadline, loan_out);
}

/* Copies, tells, and gives the loan back or, where it is of the whole, to the caller. */
static enum ckpt_status finish(struct ckpt *ckpt, const struct reading *reading,
                               struct client_loan *loan, uint64_t offset)
{
    const struct ckpt_range range = {
        .step = loan->step,
        .attempt = loan->attempt,
        .world = loan->world,
        .digest_kind = loan->digest_kind,
        .is_whole = loan->is_whole,
        .shard_bytes = loan->shard_bytes,
    };
    struct ckpt_shard whole = {.step = 0};
    if (loan->is_whole && reading->whole_out != NULL) {
        enum ckpt_status status = client_loaded_keep(ckpt, loan, &whole);
        if (status != CKPT_OK) {
            return status;
        }
    }
    if (reading->bytes > 0) {
        memcpy(reading->buffer, loan->view.address + (offset - loan->offset),
               (size_t)reading->bytes);
    }
    if (reading->range_out != NULL) {
        *reading->range_out = range;
        memcpy(reading->range_out->digest, loan->digest.bytes, sizeof(range.digest));
    }
    if (reading->whole_out != NULL) {
        *reading->whole_out = whole;
    }
    if (whole.private_state == NULL) {
        client_loan_return(ckpt, loan);
    }
    return CKPT_OK;
}

/* The loan has the first bytes of the shard, as many as proven_out says: a chunk, or the whole of
 * a shard that has less, which is known only once something of it was asked for. */
static enum ckpt_status lend_first(struct ckpt *ckpt, const struct reading *reading,
                                   struct client_loan *loan_out, uint64_t *proven_out)
{
    uint64_t bytes = CKPT_CHUNK_BYTES;
    enum ckpt_status status = lend(ckpt, reading, reading->step, 0, bytes, loan_out);
    if (status == CKPT_ERR_SIZE) {
        bytes = 8;
        status = lend(ckpt, reading, reading->step, 0, bytes, loan_out);
    }
    if (status == CKPT_ERR_SIZE) {
        return reason_refuse(ckpt->reason, CKPT_ERR_CORRUPT,
                             "the shard is no safetensors file: it has less than 8 bytes");
    }
    if (status == CKPT_OK) {
        *proven_out = loan_out->is_whole ? loan_out->shard_bytes : bytes;
    }
    return status;
}

/* The loan has the whole header. */
static enum ckpt_status lend_header(struct ckpt *ckpt, const struct reading *reading,
                                    struct client_loan *loan_out, uint64_t *header_bytes_out)
{
    struct client_loan loan;
    uint64_t proven = 0;
    uint64_t header_bytes;
    enum ckpt_status status = lend_first(ckpt, reading, &loan, &proven);
    if (status != CKPT_OK) {
        return status;
    }
    status = client_index_size(ckpt, loan.view.address, loan.shard_bytes, &header_bytes);
    if (status == CKPT_OK && header_bytes <= proven) {
        *loan_out = loan;
        *header_bytes_out = header_bytes;
        return CKPT_OK;
    }
    client_loan_return(ckpt, &loan);
    if (status != CKPT_OK) {
        return status;
    }
    status = lend(ckpt, reading, loan.step, 0, header_bytes, loan_out);
    *header_bytes_out = header_bytes;
    return status;
}

/* Where in the shard the reading begins. */
static enum ckpt_status find(struct ckpt *ckpt, const struct client_index *kept,
                             const struct reading *reading, uint64_t *offset_out)
{
    uint64_t begin = 0;
    uint64_t bytes = kept->shard_bytes;
    if (reading->tensor != NULL) {
        const struct shard_tensor *tensor = shard_index_find(kept->index, reading->tensor);
        if (tensor == NULL) {
            return reason_refuse(ckpt->reason, CKPT_ERR_NOT_FOUND,
                                 "rank %u's shard of step %llu has no tensor %.100s", kept->rank,
                                 (unsigned long long)kept->step, reading->tensor);
        }
        begin = tensor->offset;
        bytes = tensor->bytes;
    }
    if (reading->offset > bytes || reading->bytes > bytes - reading->offset) {
        return reason_refuse(
            ckpt->reason, CKPT_ERR_SIZE,
            "%llu bytes from %llu on are asked for of %.100s, which has %llu",
            (unsigned long long)reading->bytes, (unsigned long long)reading->offset,
            reading->tensor != NULL ? reading->tensor : "the shard", (unsigned long long)bytes);
    }
    *offset_out = begin + reading->offset;
    return CKPT_OK;
}

/* By an index that may be of what the shard was once: *is_now_out says whether the answer holds. */
static enum ckpt_status read_known(struct ckpt *ckpt, const struct reading *reading,
                                   const struct client_index *kept, bool *is_now_out)
{
    uint64_t offset;
    struct client_loan loan;
    *is_now_out = false;
    enum ckpt_status status = find(ckpt, kept, reading, &offset);
    if (status != CKPT_OK) {
        return status;
    }
    status = lend(ckpt, reading, kept->step, offset, reading->bytes, &loan);
    if (status != CKPT_OK) {
        *is_now_out = status != CKPT_ERR_SIZE;
        return status;
    }
    *is_now_out = client_index_is_of(kept, &loan);
    if (*is_now_out) {
        return finish(ckpt, reading, &loan, offset);
    }
    client_loan_return(ckpt, &loan);
    return CKPT_OK;
}

/* The index as it is now. Where all that is to be read lies in what was lent for it, it is read,
 * and *is_read_out is true. */
static enum ckpt_status read_header(struct ckpt *ckpt, const struct reading *reading,
                                    struct client_index **kept_out, bool *is_read_out)
{
    struct client_loan loan;
    struct shard_index *index;
    uint64_t header_bytes;
    uint64_t offset;
    *is_read_out = false;
    enum ckpt_status status = lend_header(ckpt, reading, &loan, &header_bytes);
    if (status != CKPT_OK) {
        return status;
    }
    status = client_index_read(ckpt, loan.view.address, header_bytes, loan.shard_bytes, &index);
    if (status == CKPT_OK) {
        *kept_out = client_index_keep(ckpt, &loan, index);
        status = find(ckpt, *kept_out, reading, &offset);
    }
    if (status == CKPT_OK && (loan.is_whole || reading->bytes == 0)) {
        *is_read_out = true;
        return finish(ckpt, reading, &loan, offset);
    }
    client_loan_return(ckpt, &loan);
    return status;
}

static enum ckpt_status read_by_index(struct ckpt *ckpt, const struct reading *reading)
{
    bool is_done = false;
    struct client_index *kept =
        reading->bytes > 0 ? client_index_find(ckpt, reading->step, reading->rank) : NULL;
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        enum ckpt_status status = CKPT_OK;
        if (kept == NULL) {
            status = read_header(ckpt, reading, &kept, &is_done);
        }
        if (status != CKPT_OK || is_done) {
            return status;
        }
        status = read_known(ckpt, reading, kept, &is_done);
        if (is_done) {
            return status;
        }
        client_index_forget(kept);
        kept = NULL;
    }
    return reason_refuse(ckpt->reason, CKPT_ERR_NOT_FOUND,
                         "rank %u's shard is another one each time it is asked for: ask for a step "
                         "by its number",
                         reading->rank);
}

static enum ckpt_status read_file(struct ckpt *ckpt, const struct reading *reading)
{
    struct client_loan loan;
    enum ckpt_status status =
        lend(ckpt, reading, reading->step, reading->offset, reading->bytes, &loan);
    return status == CKPT_OK ? finish(ckpt, reading, &loan, reading->offset) : status;
}

enum ckpt_status ckpt_read_range(struct ckpt *ckpt, uint64_t step, uint32_t rank,
                                 const char *tensor, uint64_t offset, uint64_t bytes, void *buffer,
                                 uint32_t timeout_ms, struct ckpt_range *range_out,
                                 struct ckpt_shard *whole_out)
{
    enum ckpt_status status = client_enter(ckpt);
    if (status != CKPT_OK) {
        return status;
    }
    if (buffer == NULL && bytes > 0) {
        return reason_refuse(ckpt->reason, CKPT_ERR_INVALID,
                             "ckpt_read_range has nowhere to write: buffer is NULL");
    }
    if (rank >= CKPT_WORLD_MAX) {
        return reason_refuse(ckpt->reason, CKPT_ERR_RANK,
                             "rank %u is outside any world: at most %d", rank, CKPT_WORLD_MAX);
    }
    struct reading reading = {
        .step = step,
        .rank = rank,
        .tensor = tensor,
        .offset = offset,
        .bytes = bytes,
        .buffer = buffer,
        .deadline = deadline_after_ms(timeout_ms),
        .range_out = range_out,
        .whole_out = whole_out,
    };
    return tensor == NULL && bytes > 0 ? read_file(ckpt, &reading) : read_by_index(ckpt, &reading);
}
